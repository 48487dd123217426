"""What stands behind a generator, and behind several: the ledgers of hospitals, composed for one patient.

A file has the ledger of one hospital, or those of several whose patients are behind one generator. In a region both
kinds may meet, and the same ledger may be there twice: in the file of a hospital, and in what was distilled from it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from wardgan.errors import FormatError, TrustError
from wardgan.privacy.accountant import pld_available
from wardgan.privacy.accounts.together import Part
from wardgan.privacy.events import DEFAULT_DELTA, MAX_EPSILON, NEIGHBOURS, UNIT
from wardgan.privacy.union import Bounds, Site, largest, sites_of, union_bounds
from wardgan.seal import bill
from wardgan.seal.bill import TOLERANCE, Rebill
from wardgan.seal.json_text import canonical
from wardgan.seal.records import Bill, LedgerRecord, SiteLedger, read

Guarantee = dict[str, object]
_PLAIN: Final = ("exact", "nothing")


@dataclass(frozen=True)
class Behind:
    """One ledger behind a generator.

    Attributes:
        source: Digest of what was made from the patients.
        patients: Opaque name of the patients.
        ledger: What that has cost.
    """

    source: str
    patients: str
    ledger: Bill

    @property
    def part(self) -> Part:
        """What is composed."""
        return self.ledger.part


def behind(digest: str, patients: str, ledger: LedgerRecord) -> list[Behind]:
    """Gives the ledgers behind one file.

    Args:
        digest: Of the file.
        patients: Its `training_data_id`.
        ledger: Its ledger.
    """
    if ledger.sites is None:
        return [Behind(digest, patients, ledger)]
    return [Behind(site.source, site.patients, site.ledger) for site in ledger.sites]


@dataclass(frozen=True)
class Named(Behind):
    """A ledger behind a generator, with what the hospital is called.

    Attributes:
        name: For people.
    """

    name: str


def named(digest: str, name: str, patients: str, ledger: LedgerRecord) -> list[Named]:
    """Gives the ledgers behind one file, as `behind` does, with names.

    Args:
        digest: Of the file.
        name: What the file is called.
        patients: Its `training_data_id`.
        ledger: Its ledger.
    """
    if ledger.sites is None:
        return [Named(digest, patients, ledger, name)]
    return [Named(site.source, site.patients, site.ledger, f"{name}/{site.name}") for site in ledger.sites]


def ledger_of(
    ledgers: Sequence[Named], guarantee: Guarantee, *, how: str, of: str, overlap: int | None, family: str,
    rounds: int | None = None,
) -> dict[str, object]:  # fmt: skip
    """Gives the JSON of a ledger of several hospitals.

    Args:
        ledgers: Theirs.
        guarantee: What is claimed, from `claim`.
        how: How the generator came about; see `Origin`.
        of: Digest of what it was made from.
        overlap: In how many hospitals a patient may be at most, as declared.
        family: Model family.
        rounds: Rounds of training.

    Raises:
        FormatError: Two different bills are for the same thing.
    """
    sites: dict[tuple[str, str], dict[str, object]] = {}
    for one in ledgers:
        plain = site_of(one)
        first = sites.setdefault((one.patients, one.source), plain)
        if first["ledger"] != plain["ledger"]:
            raise FormatError(f"privacy.json: there are two bills for {first['name']}, which are not the same.")
    origin = {"how": how, "of": of} | ({} if rounds is None else {"rounds": rounds})
    return {
        "version": 2, "unit": UNIT, "neighbours": NEIGHBOURS, "replayable": False, "unbilled": [], "events": [],
        "family": family, "origin": origin, "sites": list(sites.values()),
        **{name: value for name, value in guarantee.items() if value is not None},
        **({} if overlap is None else {"overlap": min(overlap, len(sites))}),
    }  # fmt: skip


def site_of(one: Named) -> dict[str, object]:
    """Gives a hospital's ledger as JSON.

    Args:
        one: The ledger.
    """
    return {
        "patients": one.patients, "source": one.source, "name": one.name[:200],
        "ledger": one.ledger.model_dump(exclude_none=True),
    }  # fmt: skip


def site_in(found: object, what: str) -> Named:
    """Reads what `site_of` gave; nothing in it is believed.

    Args:
        found: The JSON.
        what: Where it is from, for errors.

    Raises:
        FormatError: It is none.
    """
    record = read(SiteLedger, found, what)
    return Named(record.source, record.patients, record.ledger, record.name)


def data_id(ledgers: Iterable[Behind]) -> str:
    """Gives the opaque name of the patients of several hospitals: the same for all generators of the same ones."""
    names = sorted({one.patients for one in ledgers})
    return "joint-" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def digest_of_part(agreement: str, patients: str, part: str) -> str:
    """Gives a name for a hospital's part of a training: the same for all generators that came of it, and for no others.

    Args:
        agreement: Digest of what was agreed on.
        patients: Opaque name of the hospital's patients.
        part: Random name of the hospital's run.
    """
    facts = canonical({"agreement": agreement, "patients": patients, "part": part})
    return "sha256:" + hashlib.sha256(facts).hexdigest()


def sites_behind(ledgers: Sequence[Behind]) -> tuple[list[Site], float]:
    """Gives the data sets behind generators, and the largest delta of their claims.

    Args:
        ledgers: All of them.

    Raises:
        FormatError: They do not protect the same unit, or by other neighbours, so nothing can be said of them together.
    """
    kinds = {(one.ledger.unit, one.ledger.neighbours) for one in ledgers}
    if len(kinds) > 1:
        raise FormatError(f"privacy.json: members protect different things ({kinds}); they cannot be combined.")
    known = [one.ledger.delta for one in ledgers if one.ledger.delta is not None]
    parts = [(one.source, one.patients, one.part) for one in ledgers]
    return sites_of(parts), max(known, default=DEFAULT_DELTA)


def bounds_of(ledgers: Sequence[Behind], *, overlap: int | None, quick: bool = False) -> Bounds:
    """Gives what generators cost one patient together.

    Args:
        ledgers: All that stand behind them.
        overlap: In how many hospitals a patient may be, as declared.
        quick: Whether only what takes milliseconds is tried, as for foreign files: the bounds may then be larger.
    """
    sites, delta = sites_behind(ledgers)
    return union_bounds(sites, delta, most=overlap, quick=quick)


def claim(bounds: Bounds) -> Guarantee:
    """Gives the guarantee that may be claimed: by the declared overlap, or whoever is a patient of all.

    Args:
        bounds: What the union costs.
    """
    total = bounds.claimed
    if not total.epsilon <= MAX_EPSILON:
        # More than that protects nobody, whatever the arithmetic says.
        return {"mode": "none", "epsilon": None, "delta": None}
    return {"mode": "private", "epsilon": total.epsilon, "delta": total.delta}


def understated(ledgers: Sequence[Behind], epsilon: float, delta: float, overlap: int | None) -> str | None:
    """Gives why a claim is far less than what the ledgers say, if it is; `verify` looks closely.

    Of Gaussian sums the bound is exact. Of others a bound of milliseconds is held against it, which may be some times
    larger than the truth, and never less is claimed than what one ledger alone says that was spent.

    Args:
        ledgers: All that stand behind the claim.
        epsilon: The claim.
        delta: The claim.
        overlap: In how many hospitals a patient may be, as declared.
    """
    sites, largest_delta = sites_behind(ledgers)
    if not all(site.protected for site in sites):
        return "it claims to be private, and not all of its members are."
    size = len(sites) if overlap is None else overlap
    least = largest([_plainly(site) for site in sites], size, max(delta, largest_delta), quick=True)
    most = epsilon * TOLERANCE if least.how in _PLAIN else 4 * epsilon + 4
    # A claim at a larger delta than any ledger's is a sum, so it is no less than any of its parts.
    known = [one for one in ledgers if one.ledger.delta == delta or delta > largest_delta]
    dearest = max((_spent(one, epsilon * TOLERANCE) for one in known), default=0.0)
    if least.epsilon <= most and dearest <= epsilon * TOLERANCE and delta >= largest_delta:
        return None
    cost = max(least.epsilon, dearest)
    return f"it claims epsilon {epsilon:.4g}, and its members' ledgers cost {cost:.4g}."


def short(mode: str, epsilon: float | None, delta: float | None, bounds: Bounds) -> list[str]:
    """Gives where a claim is smaller than what the ledgers say.

    Args:
        mode: What is claimed.
        epsilon: What is claimed.
        delta: What is claimed.
        bounds: What the ledgers cost together.
    """
    ours = claim(bounds)
    if ours["mode"] == "none":
        return [] if mode == "none" else ["It claims to be private, and not all of its members are."]
    if mode == "none":
        return []
    said, wanted = epsilon or 0.0, float(str(ours["epsilon"]))
    if said * TOLERANCE < wanted or (delta or 0.0) < float(str(ours["delta"])):
        return [f"It claims epsilon {said:.4g}, and its members' ledgers cost {wanted:.4g} together."]
    return []


def bound_of(ledger: LedgerRecord) -> float | None:
    """Gives an upper bound of what a file's ledger costs, by our own accountant; `None` without privacy.

    Args:
        ledger: A ledger that passed the gate.

    Returns:
        Epsilon; infinity if batches are cut off so often that our own accountant has no bound.

    Raises:
        FormatError: The events cost far more than the ledger says, or one of them is malformed.
    """
    if ledger.sites is None:
        return bill.bound_of(ledger)
    for site in ledger.sites:
        bill.bound_of(site.ledger)
    if ledger.mode == "none":
        return None
    ledgers = behind("", "", ledger)
    problem = understated(ledgers, ledger.epsilon or 0.0, ledger.delta or 0.0, ledger.overlap)
    if problem is not None:
        raise FormatError(f"privacy.json: {problem}")
    sites, _ = sites_behind(ledgers)
    size = len(sites) if ledger.overlap is None else ledger.overlap
    return largest(sites, size, ledger.delta or 0.0, quick=True).epsilon


def billed(ledger: LedgerRecord, bound: float, rebill: Rebill | None) -> float | None:
    """Gives what a file's ledger costs, if it is what it says.

    Args:
        ledger: A ledger that passed the gate.
        bound: What `bound_of` gives.
        rebill: Bills a ledger's JSON; `None` for the accountant of record.

    Returns:
        Epsilon; `None` if the accountant of record is not installed and our own confirms the claim.

    Raises:
        FormatError: The events cost more than the ledger says.
        TrustError: Our own accountant cannot confirm the claim, and the accountant of record is not there or would
            take too long.
    """
    if ledger.sites is None:
        return bill.billed(ledger, bound, rebill)
    for one in _different(site.ledger for site in ledger.sites):
        own = bill.bound_of(one)
        if own is not None:
            bill.billed(one, own, rebill)
    bounds = bounds_of(behind("", "", ledger), overlap=ledger.overlap)
    problems = short(ledger.mode, ledger.epsilon, ledger.delta, bounds)
    if problems and not pld_available():
        raise TrustError(
            f"Not verified: {problems[0]} That is by our own accountant; the accountant of record may find less: pip "
            "install 'wardgan[train]'."
        )
    if problems:
        raise FormatError(f"privacy.json: {problems[0]}")
    return bounds.claimed.epsilon if pld_available() else None


def _different(ledgers: Iterable[Bill]) -> list[Bill]:
    """Gives each bill once: hospitals that followed one agreement have equal ones."""
    found: dict[str, Bill] = {}
    for one in ledgers:
        found.setdefault(one.model_dump_json(), one)
    return list(found.values())


def _spent(one: Behind, enough: float) -> float:
    """Gives what one ledger says that was spent, or our own bound, if that is less; up to `enough` nobody need ask."""
    if one.ledger.spent is None or one.ledger.mode == "none":
        return 0.0
    if one.ledger.spent.epsilon <= enough:
        return one.ledger.spent.epsilon
    bound = bill.bound_of(one.ledger)
    return min(one.ledger.spent.epsilon, math.inf if bound is None else bound)


def _plainly(site: Site) -> Site:
    """Gives a data set as if no batch were cut off and no threshold failed: those use delta up, and take long."""
    if not any(event.batch_cap or event.delta for part in site.parts for event in part.events):
        return site
    parts = tuple(
        replace(part, events=tuple(replace(event, batch_cap=None, population=None, delta=0.0) for event in part.events))
        for part in site.parts
    )
    return replace(site, parts=parts)
