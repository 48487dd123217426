"""One hospital's half: an ordinary fit, with its ledger, whose answers are added to those of others."""

from __future__ import annotations

import json
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import files
from wardgan.encode.layout import Layout
from wardgan.errors import FormatError, OutputError, WardganError
from wardgan.federating.agreement import Agreement
from wardgan.federating.policy import Policy
from wardgan.federating.wire import Message
from wardgan.models.base import LEDGER, TOGETHER, Config, Network, Run
from wardgan.models.fit import fit
from wardgan.models.together import Game, game_of
from wardgan.privacy.accounts.spending import Account
from wardgan.privacy.events import Budget
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan, Share
from wardgan.privacy.queries import Query
from wardgan.privacy.records import Records
from wardgan.rng import Seed
from wardgan.schema.image_cohort import AnyCohort
from wardgan.schema.schema import Schema

LOG: Final = logging.getLogger("wardgan.federating")
_PATIENCE: Final = 1.0


class Link:
    """Between the thread of a fit, which asks, and whoever brings messages from outside."""

    def __init__(self) -> None:
        """Opens the link."""
        self._inside: queue.Queue[Message | None] = queue.Queue()
        self._outside: queue.Queue[Message] = queue.Queue()

    def first(self) -> Message:
        """Gives the first message; called by the fit."""
        found = self._inside.get()
        if found is None:
            raise KeyboardInterrupt
        return found

    def swap(self, message: Message) -> Message:
        """Says something, and gives what comes back; called by the fit.

        Raises:
            KeyboardInterrupt: Nobody will ever answer.
        """
        self._outside.put(message)
        return self.first()

    def say(self, message: Message) -> None:
        """Says the last thing; called by the fit's thread."""
        self._outside.put(message)

    def ask(self, message: Message, alive: threading.Thread, stopped: Callable[[], bool]) -> Message | None:
        """Brings a message, and gives what the fit says to it; `None` if its thread has died, or nobody waits.

        Args:
            message: From outside.
            alive: The thread of the fit.
            stopped: Whether nobody waits for the answer any more.
        """
        self._inside.put(message)
        while True:
            try:
                return self._outside.get(timeout=_PATIENCE)
            except queue.Empty:
                if not alive.is_alive() or stopped():
                    return None

    def close(self) -> None:
        """Ends the fit at the next thing that it says."""
        self._inside.put(None)


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
        try:
            agreement = Agreement.from_dict(message.facts.get("agreement"))
        except WardganError as error:
            return _refusal([f"The agreement cannot be read: {error}"])
        refusals = self.policy.refusals(agreement)
        if self._agreement is not None and agreement.digest != self._agreement.digest:
            refusals.append("Another training is going on.")
        if refusals:
            return _refusal(refusals)
        if self._end is not None:
            return self._end
        if self._thread is None:
            self._agreement = agreement
            self._thread = threading.Thread(target=self._work, args=(agreement,), daemon=True)
            self._thread.start()
        found = self._link.ask(message, self._thread, stopped)
        if found is None or found.facts.get("kind") in ("done", "failed"):
            self._end = found or Message({"kind": "failed", "error": "stopped"})
            return self._end
        return found

    def close(self) -> None:
        """Stops the fit, if there is one; its ledger stays, and it can go on later."""
        if self._thread is not None:
            self._link.close()
            self._thread.join(timeout=60)

    def run_of(self, agreement: Agreement) -> Path:
        """Gives the run folder of a training: each agreement has its own."""
        return self.policy.run / agreement.digest.removeprefix("sha256:")[:16]

    def _work(self, agreement: Agreement) -> None:
        try:
            self._fit(agreement)
        except KeyboardInterrupt:
            return
        except Exception as error:  # whatever it is, the others must go on
            LOG.exception("%s cannot take part", self.policy.name)
            kind = type(error).__name__ if isinstance(error, WardganError) else "InternalError"
            self._link.say(Message({"kind": "failed", "error": kind}))
            return
        self._link.say(Message({"kind": "done"}))

    def _fit(self, agreement: Agreement) -> None:
        policy, run = self.policy, self.run_of(agreement)
        schema = replace(agreement.schema, name=policy.name, population=policy.population)
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

        how = cast("str", policy.invalid)
        return read(policy.data, schema, visits=policy.visits, invalid=how, delimiter=policy.delimiter)  # pyright: ignore[reportArgumentType]
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
        # N patients of H hospitals stand out of the noise of a sum as N / root of H do in one.
        as_one = round(agreement.patients / agreement.hospitals**0.5)
        self._base.check(layout, budget, max(as_one, population or 1))

    def train(self, records: Records, run: Run) -> Network:
        """Takes part until the training is over, and gives the generator network of all hospitals.

        Args:
            records: The patients.
            run: Seeds, folder and public number of patients.
        """
        agreement, link = self._agreement, self._link
        shared = Sums(records, link, link.first(), self._hello(records))
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
            note = {"agreement": agreement.digest, "digest": state.facts.get("digest")}
            files.write_bytes(run.folder / TOGETHER, json.dumps(note).encode(), force=True)
        return game.network()

    def _hello(self, records: Records) -> Message:
        plan, policy = records.plan, self._policy
        return Message(
            {
                "kind": "hello", "agreement": self._agreement.digest, "name": policy.name, "patients": policy.patients,
                "population": policy.population, "plan": None if plan is None else plan.to_dict(),
                "bill": bill_of(records.ledger),
            }
        )  # fmt: skip


def _load(game: Game, state: Message) -> None:
    weights = state.part("weight")
    if weights:
        game.load(cast("Mapping[str, NDArray[np.float32]]", weights))


def bill_of(ledger: Ledger) -> dict[str, object]:
    """Gives what a ledger has billed so far; what it costs is added up by whoever writes it into a file.

    Args:
        ledger: Of a fit.
    """
    return {
        "mode": ledger.mode, "replayable": ledger.replayable, "unbilled": list(ledger.unbilled),
        "events": [event.to_dict() for event in ledger.events],
    }  # fmt: skip


class Sums:
    """Patients whose answers are added to those of other hospitals: what comes back is the sum.

    Attributes:
        layout: The variables.
        state: The last message from outside.
    """

    def __init__(self, records: Records, link: Link, state: Message, hello: Message) -> None:
        """Introduces the hospital.

        Args:
            records: Its patients.
            link: To the others.
            state: The first message.
            hello: What it says.
        """
        self.layout = records.layout
        self._records, self._link = records, link
        self.state = state
        while not self._introduced():
            self.state = link.swap(hello)

    def _introduced(self) -> bool:
        return self.state.facts.get("noise") is not None or bool(self.state.facts.get("end"))

    @property
    def private(self) -> bool:
        """Whether answers carry noise."""
        return self._records.private

    @property
    def plan(self) -> Plan | None:
        """The noise of the sums; `None` without privacy."""
        own = self._records.plan
        return None if own is None else noisy_plan(own, self.state.facts.get("noise"))

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        """Gives the sum of all hospitals' answers; one's own is billed, and asked only if it is still wanted.

        Args:
            name: The event.
            query: What is asked.

        Raises:
            FormatError: The sum is of another question.
            KeyboardInterrupt: The training was ended.
        """
        own: NDArray[np.float64] | None = None
        while name not in (sums := self.state.part("sum")):
            if self.state.facts.get("end"):
                raise OutputError("The training ended before all questions were answered.")
            own = self._records.measure(name, query) if own is None else own
            facts = {"kind": "answer", "name": name, "bill": bill_of(self._records.ledger)}
            self.state = self._link.swap(Message(facts, {"answer": own}))
        found = sums[name].astype(np.float64)
        if own is not None and found.shape != own.shape:
            raise FormatError(f"sums: {name!r} has {found.size} numbers, and this hospital's answer {own.size}.")
        return found


def noisy_plan(own: Plan, noise: object) -> Plan:
    """Gives a plan with the noise of the sums.

    Args:
        own: Of one hospital.
        noise: By name of the event its noise multiplier in the sum.

    Raises:
        FormatError: An event is missing, or its noise is none.
    """
    if not isinstance(noise, dict):
        raise FormatError("message: it does not say how noisy the sums are.")
    given, events = cast("Mapping[str, object]", noise), []
    for event in own.events:
        if event.mechanism == "gaussian":
            value = given.get(event.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > 0:
                raise FormatError(f"message: the noise of {event.name!r} is none.")
            event = replace(event, noise_multiplier=float(value))  # noqa: PLW2901 - the same event, in the sum
        events.append(event)
    return replace(own, events=tuple(events))


def _refusal(why: list[str]) -> Message:
    return Message({"kind": "refusal", "why": why})
