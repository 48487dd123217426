"""One hospital's half: an ordinary fit, with its ledger, whose answers are added to those of others."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import files
from wardgan.encode.layout import Layout
from wardgan.errors import WardganError
from wardgan.federating.agreement import Agreement
from wardgan.federating.policy import Policy
from wardgan.federating.sums import Link, Sums, bill_of
from wardgan.federating.wire import Message, strange, versions
from wardgan.models.anchor.survey import as_one
from wardgan.models.base import LEDGER, TOGETHER, Config, Network, Run
from wardgan.models.fit import fit
from wardgan.models.planning import plan as plan_of
from wardgan.models.together import Game, game_of
from wardgan.privacy.accounts.spending import Account
from wardgan.privacy.accounts.together import Part, within
from wardgan.privacy.events import Budget
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Share
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.image_cohort import AnyCohort
from wardgan.schema.schema import Schema

LOG: Final = logging.getLogger("wardgan.federating")
_PART: Final = "part.txt"


class Site:
    """One hospital in a training: it answers each message with one.

    The first message brings the agreement. Unless the hospital's policy refuses it, the patients are read and a fit
    begins, in a thread of its own; a fit that was stopped goes on with its ledger, and nothing is paid for twice.
    """

    def __init__(self, policy: Policy) -> None:
        """Takes the hospital's policy.

        Args:
            policy: Its files, and the bounds within which it takes part.
        """
        self.policy = policy
        self._link = Link()
        self._thread: threading.Thread | None = None
        self._agreement: Agreement | None = None
        self._end: Message | None = None

    def reply(self, message: Message, *, stopped: Callable[[], bool] = lambda: False) -> Message:
        """Gives the hospital's answer to a message.

        Args:
            message: From whoever coordinates.
            stopped: Asked while the fit works: whether nobody waits for the answer any more.

        Returns:
            Facts with `kind`: `hello`, `answer`, `update`, `spent`, `waiting`, `done`, `refusal` or `failed`. The
            reason of a failure stays in the hospital's own log, but for its kind.
        """
        foreign = strange(message.facts)
        if foreign is not None:
            return _refusal([f"Whoever coordinates {foreign}."])
        try:
            agreement = Agreement.from_dict(message.facts.get("agreement"))
        except WardganError as error:
            return _refusal([f"The agreement cannot be read: {error}"])
        refusals = self.policy.refusals(agreement)
        if self._agreement is not None and agreement.digest != self._agreement.digest:
            refusals.append("Another training is going on.")
        if refusals:
            return _refusal(refusals)
        if self._thread is None and self._end is None:
            self._end = self._begun(agreement)
        if self._end is not None:
            return self._end
        found = self._link.ask(message, cast("threading.Thread", self._thread), stopped)
        if found is None or found.facts.get("kind") in ("done", "failed"):
            self._end = found or Message({"kind": "failed", "error": "stopped"})
            return self._end
        return found

    def _begun(self, agreement: Agreement) -> Message | None:
        """Begins the fit, unless the hospital's own schema or its earlier trainings are against it."""
        try:
            refusals = self._own_refusals(agreement)
        except WardganError as error:
            LOG.error("%s cannot take part: %s", self.policy.name, error)
            return Message({"kind": "failed", "error": type(error).__name__})
        if refusals:
            return _refusal(refusals)
        self._agreement = agreement
        self._thread = threading.Thread(target=self._work, args=(agreement,), daemon=True)
        self._thread.start()
        return None

    def close(self) -> None:
        """Stops the fit, if there is one; its ledger stays, and it can go on later."""
        if self._thread is not None:
            self._link.close()
            self._thread.join(timeout=60)

    def run_of(self, agreement: Agreement) -> Path:
        """Gives the run folder of a training: each agreement has its own."""
        return self.policy.run / agreement.short

    def _schema(self) -> Schema:
        """Gives what the patients are read with: the hospital's own schema, under the hospital's name."""
        policy = self.policy
        return replace(Schema.load(policy.schema), name=policy.name, population=policy.population)

    def _own_refusals(self, agreement: Agreement) -> list[str]:
        """Gives why a training is refused that the policy alone would allow, from what is public or was paid for."""
        own = self._schema()
        if not agreement.fits(own):
            return ["Its columns, bounds, levels, visits or rules are not those of the hospital's own schema."]
        policy, budget = self.policy, agreement.budget
        if budget is None or policy.epsilon is None:
            return []
        wanted = plan_of(own, budget, family=Half(agreement, policy, self._link))
        parts = [*self._before(agreement), Part(wanted.events, budget)]
        cap = Budget(policy.epsilon, policy.delta)
        if within(parts, cap):
            return []
        return [f"With the trainings before it would spend more than epsilon {cap.epsilon:g}, which the policy allows."]

    def _before(self, agreement: Agreement) -> list[Part]:
        """Gives what other trainings have spent or reserved, by the ledgers in the run folder."""
        mine, found = self.run_of(agreement), list[Part]()
        for path in sorted(self.policy.run.glob(f"*/{LEDGER}")):
            if path.parent != mine:
                plan = Ledger.resume(path).plan
                found.append(Part((), None, protected=False) if plan is None else Part(plan.events, plan.budget))
        return found

    def _work(self, agreement: Agreement) -> None:
        try:
            self._fit(agreement)
        except KeyboardInterrupt:
            return
        except Exception as error:  # whatever it is, the others must go on
            known = isinstance(error, WardganError)
            LOG.error("%s cannot take part: %s", self.policy.name, error, exc_info=not known)
            kind = type(error).__name__ if known else "InternalError"
            self._link.say(Message({"kind": "failed", "error": kind}))
            return
        self._link.say(Message({"kind": "done"}))

    def _fit(self, agreement: Agreement) -> None:
        policy, run = self.policy, self.run_of(agreement)
        schema = self._schema()
        cohort = _patients(policy, schema)
        run.parent.mkdir(parents=True, exist_ok=True)
        account = None if policy.ledger is None else Account(policy.ledger, policy.dataset)
        fit(
            cohort, agreement.budget, family=Half(agreement, policy, self._link),
            privacy="none" if agreement.budget is None else "private", run=run, resume=(run / LEDGER).exists(),
            accounts=account,
        )  # fmt: skip


def _patients(policy: Policy, schema: Schema) -> AnyCohort:
    if schema.images is None:
        from wardgan.schema.read import read

        return read(policy.data, schema, visits=policy.visits, invalid=policy.invalid, delimiter=policy.delimiter)
    from wardgan.imaging.cohort import read_images
    from wardgan.imaging.links import ImageNames

    names = ImageNames(key=policy.key, mask=policy.mask)
    how = "drop" if policy.invalid == "drop" else "refuse"
    return read_images(policy.data, schema, labels=policy.labels, names=names, invalid=how)[0]


class Half:
    """A family's configuration whose answers are added to those of other hospitals.

    Attributes:
        joint: Its generator is everybody's, so a run folder of one hospital does not hold it.
    """

    joint = True

    def __init__(self, agreement: Agreement, policy: Policy, link: Link) -> None:
        """Takes what was agreed on.

        Args:
            agreement: What was agreed on.
            policy: The hospital's own.
            link: To the others.
        """
        self._agreement, self._policy, self._link = agreement, policy, link
        self._base: Config = agreement.config

    @property
    def family(self) -> str:
        """Name of the family."""
        return self._base.family

    def settings(self) -> dict[str, object]:
        """Gives what a resumed run must have in common with the one that stopped."""
        return {"agreement": self._agreement.digest}

    def shares(self, layout: Layout, budget: Budget) -> list[Share]:
        """Gives the wishes for a budget, from public facts."""
        return self._base.shares(layout, budget)

    def check(self, layout: Layout, budget: Budget, population: int | None) -> None:
        """Refuses what cannot work: whether there are enough patients is a question of the sums."""
        agreement = self._agreement
        self._base.check(layout, budget, max(as_one(agreement.patients, agreement.hospitals), population or 1))

    def train(self, records: Records, run: Run) -> Network:
        """Takes part until the training is over, and gives the generator network of all hospitals.

        Args:
            records: The patients.
            run: Seeds, folder and public number of patients.
        """
        agreement, link = self._agreement, self._link
        hello = self._hello(records, run.folder)
        shared = Sums(records, link, link.first(), hello)
        game = game_of(self._base, shared, population=agreement.patients, seed=Seed(agreement.seed))
        state, player = shared.state, None
        while not state.facts.get("end"):
            turn = state.facts.get("round")
            if turn is None:
                state = link.swap(Message({"kind": "waiting", "bill": bill_of(records.ledger)}))
                continue
            if player is None:
                player = game.player(records, run)
            _load(game, state)
            taken = sum(player.block() for _ in range(agreement.blocks))
            facts: dict[str, object] = {"bill": bill_of(records.ledger), "round": turn, "steps": taken}
            arrays = {f"weight/{name}": one for name, one in game.weights().items()} if taken else {}
            state = link.swap(Message(facts | {"kind": "update" if taken else "spent"}, arrays))
        _load(game, state)
        if run.folder is not None:
            note = {"agreement": agreement.digest}
            files.write_bytes(run.folder / TOGETHER, json.dumps(note).encode(), force=True)
        return game.network()

    def _part(self, folder: Path | None) -> str:
        """Gives a random name for this run, the same whenever it goes on: two runs are two costs."""
        place = None if folder is None else folder / _PART
        if place is not None and place.is_file():
            return place.read_text(encoding="utf-8")
        name = secrets.token_hex(16)
        if place is not None:
            files.write_bytes(place, name.encode(), force=True)
        return name

    def _hello(self, records: Records, folder: Path | None) -> Message:
        plan, policy = records.plan, self._policy
        return Message(
            {
                "kind": "hello", "agreement": self._agreement.digest, "name": policy.name, "patients": policy.patients,
                "part": self._part(folder), "population": policy.population,
                "plan": None if plan is None else plan.to_dict(), "bill": bill_of(records.ledger), **versions(),
            }
        )  # fmt: skip


def _load(game: Game, state: Message) -> None:
    weights = state.part("weight")
    if weights:
        game.load(cast("Mapping[str, NDArray[np.float32]]", weights))


def _refusal(why: list[str]) -> Message:
    return Message({"kind": "refusal", "why": why})
