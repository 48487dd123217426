"""What a release may be used for, and by whom: tiers, terms, grants and limits, by its name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from wardgan import check
from wardgan.access.database import Database, acceptances, accounts, grants, now, policies, terms, usage
from wardgan.access.journal import note
from wardgan.access.people import OPERATOR, Account, plain
from wardgan.errors import HubError, UsageError
from wardgan.schema.texts import unsafe

Tier = Literal["public", "registered", "terms", "sample-only"]
Action = Literal["see", "sample", "file"]
TIERS: Final[Mapping[str, str]] = {
    "public": "everybody draws patients and takes the generator",
    "registered": "whoever is signed in draws patients and takes the generator",
    "terms": "whoever is signed in and accepted its terms draws patients and takes the generator",
    "sample-only": "whoever was granted it draws patients here, up to a number each day; the generator stays here",
}
ROWS: Final = 10_000
MOST_ROWS: Final = 1_000_000_000
_SCOPE: Final[Mapping[Action, str]] = {"see": "read", "sample": "sample", "file": "pull"}
_PART: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATTERN: Final = re.compile(rf"\*|{_PART}(?:/{_PART})*(?:/\*)?")
_TEXT: Final = 100_000
_LONGEST: Final = 200


class AccessError(HubError):
    """It may not be done by whoever asks.

    Attributes:
        way: What would help: `sign in`, `accept terms`, or nothing.
        name: Of the releases whose terms must be accepted.
    """

    def __init__(
        self, message: str, way: Literal["sign in", "accept terms", "nothing"] = "nothing", name: str = ""
    ) -> None:  # fmt: skip
        super().__init__(message)
        self.way = way
        self.name = name


class LimitError(HubError):
    """Enough for today."""


@dataclass(frozen=True)
class Policy:
    """Who may use the releases of a name.

    Attributes:
        pattern: The name, the beginning of names with `/*`, or `*` for all.
        tier: One of `TIERS`.
        terms: Digest of the terms that must be accepted; `None` for none.
        granted: Whether only accounts that were granted it may use it.
        rows: How many patients of each release an account may draw each day, where that has a limit.
    """

    pattern: str
    tier: Tier
    terms: str | None = None
    granted: bool = False
    rows: int = ROWS

    @property
    def limited(self) -> bool:
        """Whether patients are counted."""
        return self.tier == "sample-only"


def default(tier: Tier) -> Policy:
    """Gives the policy of names that nobody has set one for.

    Args:
        tier: Its tier; one that wants nothing more.
    """
    return Policy("*", tier)


def policy_of(every: Mapping[str, Policy], name: str, otherwise: Policy) -> Policy:
    """Gives the policy of a name: its own, or that of its longest beginning.

    Args:
        every: All policies, by pattern.
        name: Such as `cardio/sprint`.
        otherwise: For names without one.

    Example:
        >>> every = {"cardio/*": Policy("cardio/*", "registered")}
        >>> [policy_of(every, name, default("public")).tier for name in ("cardio/sprint", "cardiology")]
        ['registered', 'public']
    """
    parts = name.split("/")
    beginnings = ["/".join(parts[:count]) + "/*" for count in range(len(parts) - 1, 0, -1)]
    return next((every[one] for one in (name, *beginnings, "*") if one in every), otherwise)


class Rules:
    """Policies, terms, grants and limits of a hub.

    Args:
        database: The hub's.
        otherwise: Policy of names that nobody has set one for.
        closed: Whether even the list is for those who are signed in.
    """

    def __init__(self, database: Database, otherwise: Policy, *, closed: bool = False) -> None:
        self._database = database
        self._otherwise = otherwise
        self._closed = closed

    def all(self) -> dict[str, Policy]:
        """Gives all policies by pattern."""
        with self._database.read(alone=True) as line:
            return {row.pattern: Policy(*row) for row in line.execute(sa.select(policies))}

    def of(self, name: str) -> Policy:
        """Gives the policy of a name.

        Args:
            name: Such as `cardio/sprint`.
        """
        return policy_of(self.all(), name, self._otherwise)

    def for_names(self, names: Sequence[str]) -> dict[str, Policy]:
        """Gives the policies of many names.

        Args:
            names: Such as `cardio/sprint`.
        """
        every = self.all()
        return {name: policy_of(every, name, self._otherwise) for name in names}

    def accepted(self, account: Account | None, policy: Policy) -> bool:
        """Tells whether somebody accepted the terms of a policy.

        Args:
            account: Who; `None` for nobody.
            policy: Whose terms.
        """
        with self._database.read() as line:
            return account is not None and self._accepted(line, account, policy)

    def set(
        self,
        pattern: str,
        tier: str,
        *,
        text: str | None = None,
        granted: bool = False,
        rows: int | None = None,
        who: str = OPERATOR,
    ) -> Policy:
        """Sets the policy of a name, or of all names with a beginning.

        Args:
            pattern: Such as `cardio/sprint`, `cardio/*` or `*`.
            tier: One of `TIERS`.
            text: Terms that must be accepted.
            granted: Whether only accounts that were granted it may use it; `sample-only` always wants that.
            rows: How many patients of each release an account may draw each day, for `sample-only`; `None` for 10,000.
            who: Who does it, for the log.

        Raises:
            UsageError: The pattern or the tier is none, terms are missing or empty, or `rows` is out of range.
        """
        check_pattern(pattern)
        if tier not in TIERS:
            raise UsageError(f"tier={tier[:30]!r} is not one of {', '.join(TIERS)}.")
        if (tier == "terms") != (text is not None) and tier in ("terms", "public"):
            raise UsageError(
                f"terms: the tier {tier} {'wants the text of its terms' if tier == 'terms' else 'has none'}."
            )
        if text is not None and (not text.strip() or len(text) > _TEXT or unsafe(text, name=False)):
            raise UsageError(
                f"terms: the text is empty, longer than {_TEXT:,} characters, or has some that nobody sees."
            )
        if tier == "public" and granted:
            raise UsageError("granted: what is public is granted to everybody; choose another tier.")
        if rows is not None and tier != "sample-only":
            raise UsageError(f"rows: patients of the tier {tier} are not counted; choose sample-only.")
        rows = ROWS if rows is None else rows
        check.whole(1, rows=rows)
        if rows > MOST_ROWS:
            raise UsageError(f"rows={rows} is more than {MOST_ROWS:,}, which is no limit; choose another tier.")
        digest = None if text is None else hashlib.sha256(text.encode()).hexdigest()
        found = Policy(pattern, cast("Tier", tier), digest, granted or tier == "sample-only", rows)
        with self._database.write() as line:
            if digest is not None and line.scalar(sa.select(terms.c.digest).where(terms.c.digest == digest)) is None:
                line.execute(terms.insert().values(digest=digest, text=text))
            line.execute(policies.delete().where(policies.c.pattern == pattern))
            line.execute(policies.insert().values(**vars(found)))
            more = {"tier": tier, "terms": digest, "granted": found.granted, "rows": rows}
            note(line, who, "policy set", pattern, more)
        return found

    def unset(self, pattern: str, *, who: str = OPERATOR) -> None:
        """Takes a policy back; then that of a shorter beginning holds.

        Args:
            pattern: As it was set.
            who: Who does it, for the log.

        Raises:
            UsageError: There is none.
        """
        with self._database.write() as line:
            if not line.execute(policies.delete().where(policies.c.pattern == pattern)).rowcount:
                raise UsageError(f"name={pattern!r} has no policy of its own; wardgan access list shows all.")
            note(line, who, "policy unset", pattern)

    def terms(self, policy: Policy) -> str:
        """Gives the text of a policy's terms; an empty one if it has none.

        Args:
            policy: The policy.
        """
        with self._database.read(alone=True) as line:
            return str(line.scalar(sa.select(terms.c.text).where(terms.c.digest == policy.terms)) or "")

    def accept(self, account: Account, policy: Policy, digest: str) -> None:
        """Notes that somebody accepted terms: which, who and when.

        Args:
            account: Who.
            policy: Whose terms.
            digest: Of the text that they saw.

        Raises:
            UsageError: The terms are other ones by now.
        """
        if policy.terms is None or digest != policy.terms:
            raise UsageError("terms: they have changed since you read them; read them again.")
        with self._database.write() as line:
            if not self._accepted(line, account, policy):
                line.execute(
                    acceptances.insert().values(
                        account=account.id, pattern=policy.pattern, terms=digest, accepted=now()
                    )
                )
                note(line, account.name, "terms accepted", policy.pattern, {"terms": digest})

    def grant(self, name: str, pattern: str, *, take: bool = False, who: str = OPERATOR) -> None:
        """Grants an account the use of names, or takes it back.

        Args:
            name: Of the account.
            pattern: Such as `cardio/sprint`, `cardio/*` or `*`.
            take: Whether it is taken back.
            who: Who does it, for the log.

        Raises:
            UsageError: There is no such account, or nothing to take back, or it was granted already.
        """
        check_pattern(pattern)
        name = plain(name)
        with self._database.write() as line:
            account = line.scalar(sa.select(accounts.c.id).where(accounts.c.name == name))
            if account is None:
                raise UsageError(f"account={name!r} is not there; wardgan token new makes it.")
            mine = (grants.c.account == account, grants.c.pattern == pattern)
            there = line.scalar(sa.select(grants.c.pattern).where(*mine)) is not None
            if there != take:
                raise UsageError(f"account={name!r}: {pattern} was {'never granted' if take else 'granted already'}.")
            new = grants.insert().values(account=account, pattern=pattern, created=now())
            line.execute(grants.delete().where(*mine) if take else new)
            note(line, who, "grant withdrawn" if take else "granted", pattern, {"account": name})

    def grants(self) -> list[tuple[str, str, str]]:
        """Gives all grants: account, pattern, when."""
        chosen = sa.select(accounts.c.name, grants.c.pattern, grants.c.created).join(accounts)
        with self._database.read(alone=True) as line:
            return sorted((row[0], row[1], row[2]) for row in line.execute(chosen))

    def check(self, account: Account | None, names: Sequence[str], action: Action) -> dict[str, Policy]:
        """Refuses what somebody may not do with any of some releases; gives the policies of all.

        Args:
            account: Who; `None` for a visitor who is not signed in.
            names: Of the releases.
            action: What: see the list, draw patients, or take the file.

        Raises:
            AccessError: Says what is missing.
        """
        found = self.for_names(names)
        seen: set[Policy] = set()
        for name, policy in found.items():
            # Of names under one policy that asks for no grant, one stands for all.
            if policy.granted or policy.limited or policy not in seen:
                self._check(account, name, policy, action)
                seen.add(policy)
        return found

    def _check(self, account: Account | None, name: str, policy: Policy, action: Action) -> None:
        if not self._closed and (action == "see" or policy.tier == "public"):
            return
        if account is None:
            raise AccessError(f"{name}: sign in first; {TIERS[policy.tier]}.", "sign in")
        scope = _SCOPE[action]
        if scope not in account.scopes:
            raise AccessError(f"{name}: your token is not for that; ask the hub's operator for one with {scope}.")
        if action == "file" and policy.tier == "sample-only":
            raise AccessError(f"{name}: its generator stays here; draw patients here instead.")
        if action != "see" and policy.tier != "public":
            self._owed(account, name, policy)

    def _owed(self, account: Account, name: str, policy: Policy) -> None:
        """Refuses who was not granted a release, or has not accepted its terms."""
        with self._database.read() as line:
            if policy.granted and not self._granted(line, account, name):
                raise AccessError(f"{name}: it was not granted to you; ask the hub's operator.")
            if policy.terms is not None and not self._accepted(line, account, policy):
                raise AccessError(f"{name}: accept its terms first.", "accept terms", name)

    def spend(self, account: Account | None, policies: Mapping[str, Policy], rows: int) -> None:
        """Counts patients that are to be drawn, where they have a limit: before they are, and of all names or none.

        Args:
            account: Who draws them.
            policies: What `check` gave for each name.
            rows: How many.

        Raises:
            LimitError: That would be more than a day has.
        """
        limited = {name: policy for name, policy in policies.items() if policy.limited}
        if not limited or account is None:
            return
        with self._database.write() as line:
            for name, policy in sorted(limited.items()):
                self._count(line, account, name, policy, rows)

    def _count(self, line: Connection, account: Account, name: str, policy: Policy, rows: int) -> None:
        today = now()[:10]
        insert = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}[self._database.url.get_backend_name()]
        mine = (usage.c.account == account.id, usage.c.name == name, usage.c.day == today)
        line.execute(insert(usage).values(account=account.id, name=name, day=today, rows=0).on_conflict_do_nothing())
        changed = line.execute(
            usage.update().where(*mine, usage.c.rows + rows <= policy.rows).values(rows=usage.c.rows + rows)
        )
        if not changed.rowcount:
            spent = int(line.scalar(sa.select(usage.c.rows).where(*mine)) or 0)
            raise LimitError(
                f"{name}: {rows:,} patients are more than the {max(0, policy.rows - spent):,} of {policy.rows:,} "
                "that are left to you today (UTC)."
            )

    def spent(self, account: Account, name: str) -> int:
        """Gives how many patients somebody has drawn today.

        Args:
            account: Who.
            name: Of the releases.
        """
        mine = (usage.c.account == account.id, usage.c.name == name, usage.c.day == now()[:10])
        with self._database.read(alone=True) as line:
            return int(line.scalar(sa.select(usage.c.rows).where(*mine)) or 0)

    def _granted(self, line: Connection, account: Account, name: str) -> bool:
        found = line.execute(sa.select(grants.c.pattern).where(grants.c.account == account.id)).scalars()
        every = {pattern: Policy(pattern, "registered") for pattern in found}
        return policy_of(every, name, default("public")).tier != "public"

    def _accepted(self, line: Connection, account: Account, policy: Policy) -> bool:
        mine = (
            acceptances.c.account == account.id,
            acceptances.c.pattern == policy.pattern,
            acceptances.c.terms == policy.terms,
        )
        return line.scalar(sa.select(acceptances.c.accepted).where(*mine)) is not None


def check_pattern(pattern: str) -> None:
    """Refuses what is no name of releases, and no beginning of names.

    Args:
        pattern: Such as `cardio/sprint`, `cardio/*` or `*`.

    Raises:
        UsageError: It is none.
    """
    if len(pattern) > _LONGEST or not _PATTERN.fullmatch(pattern):
        raise UsageError(
            f"name={pattern[:60]!r} is neither a name such as cardio/sprint, nor a beginning such as cardio/*, nor *."
        )
