"""Whoever coordinates: adds up answers, averages weights, goes on without who is late, and writes the release."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.encode.layout import Layout
from wardgan.errors import BudgetError, FormatError, WardganError, counted
from wardgan.federating.agreement import Agreement
from wardgan.federating.members import Member, member_of
from wardgan.federating.state import State
from wardgan.federating.sums import noisy_plan
from wardgan.federating.wire import Message, versions
from wardgan.models.base import Progress, Watcher
from wardgan.models.together import Game, Weights, game_of
from wardgan.models.weights import checked
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.plan import BLOCK, Plan
from wardgan.privacy.queries import Query
from wardgan.privacy.records import nobodys
from wardgan.rng import Seed

# Weights that moved so many times as far as the usual ones are left out of the mean.
_FAR: Final = 10.0
_ENOUGH: Final = 3
_TOLD: Final = 8
_LONGEST: Final = 500
_HEADROOM: Final = 1.1
_TAIL: Final = 12.0
_STEPS: Final = "discriminator"


class Channel(Protocol):
    """The way to the hospitals."""

    @property
    def sites(self) -> Collection[str]:
        """Names of all hospitals that may be asked."""
        ...

    def ask(self, message: Message) -> Mapping[str, Message]:
        """Sends a message to all hospitals, and gives the answers of those who gave one in time."""
        ...


class TooFewError(WardganError):
    """Fewer hospitals answered than were agreed on; what was done so far is kept."""


class Coordinator:
    """One training, from the first word to the generator; it can be stopped, and goes on from its folder."""

    def __init__(
        self, agreement: Agreement, channel: Channel, *, folder: str | Path | None = None, watch: Watcher | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Takes what was agreed on, and goes on where an earlier training of the same agreement stopped.

        Args:
            agreement: What was agreed on.
            channel: The way to the hospitals.
            folder: Where the state is kept after each step; `None`: nowhere.
            watch: Is told of progress.
            stop: Asked between steps; `True` ends the training, whose state is kept.

        Raises:
            FormatError: The folder holds the state of another training.
        """
        self.agreement, self._channel = agreement, channel
        self._folder = None if folder is None else Path(folder)
        self._watch = watch or _nobody
        self._stop = stop
        self.state = State.load(self._folder, agreement.digest)

    def run(self) -> Game:
        """Trains until the end, and gives the generator.

        Raises:
            TooFewError: Fewer hospitals than agreed on answered; run again to go on.
            BudgetError: All hospitals have spent all steps in an earlier training, so there is no round.
            PlanError: By the sums there are too few patients.
        """
        game = self._begun()
        while self._unfinished:
            self._round(game)
        game.load(self.state.mean or {})
        return game

    def train(self, most: int) -> bool:
        """Trains for some rounds, and tells whether the training is over.

        Args:
            most: Rounds.

        Raises:
            TooFewError: Fewer hospitals than agreed on answered; what was done is kept.
            BudgetError: All hospitals have spent all steps in an earlier training, so there is no round.
        """
        game = self._begun()
        for _ in range(most):
            if self._unfinished:
                self._round(game)
        return not self._unfinished

    @property
    def finished(self) -> bool:
        """Whether all questions are answered and all rounds are done."""
        return self.state.weights is not None and not self._unfinished

    @property
    def _unfinished(self) -> bool:
        return self.state.round < self.agreement.rounds and not self.state.over

    def _begun(self) -> Game:
        """Gives the generator that the answers give; hospitals are asked for those that are not there yet."""
        agreement, state = self.agreement, self.state
        if not state.members:
            self._introduce()
        game = game_of(agreement.config, self, population=agreement.patients, seed=Seed(agreement.seed))
        if state.weights is None:
            state.weights = state.mean = game.weights()
            self._save()
        return game

    def farewell(self) -> None:
        """Gives all hospitals the generator, and lets them end."""
        weights = {f"weight/{name}": one for name, one in (self.state.mean or {}).items()}
        self._say({"end": True}, weights)

    # --- what the generator asks: the coordinator answers for all hospitals ------------------------------------------

    @property
    def layout(self) -> Layout:
        """The variables."""
        schema = self.agreement.schema
        return Layout.of(replace(schema, population=self.agreement.patients))

    @property
    def private(self) -> bool:
        """Whether answers carry noise."""
        return self.agreement.epsilon is not None

    @property
    def plan(self) -> Plan | None:
        """The noise of the sums; `None` without privacy."""
        if not self.private:
            return None
        return noisy_plan(next(one.plan for one in self.state.members.values() if one.plan), self.state.noise)

    def measure(self, name: str, query: Query | ImageQuery) -> NDArray[np.float64]:
        """Gives the sum of what the hospitals answer.

        Args:
            name: The event.
            query: What is asked.

        Raises:
            TooFewError: Fewer hospitals than agreed on answered.
        """
        if name in self.state.sums:
            return self.state.sums[name]
        self._watch(Progress(f"asking: {name}", len(self.state.sums), len(self.state.sums) + 1))
        wanted = nobodys(query, self.layout).shape
        found: dict[str, NDArray[np.float64]] = {}
        for site, reply in self._heard({"wanted": name}, f"for {name!r}").items():
            answer = reply.arrays.get("answer")
            if reply.facts.get("kind") != "answer" or reply.facts.get("name") != name or answer is None:
                self._note(site, f"gave no answer to {name!r}", reply)
            elif answer.shape != wanted:
                self._note(site, f"answered {name!r} with {answer.size} numbers, not {math.prod(wanted)}")
            elif not np.abs(answer).max(initial=0.0) <= self._most(site, name, query):
                self._note(site, f"answered {name!r} with numbers that so many patients cannot give")
            elif self._billed(site, reply, name):
                found[site] = answer.astype(np.float64)
        self._enough(found, f"answered {name!r}")
        state, everybody = self.state, sum(one.population for one in self.state.members.values())
        # Who has answered so far and is silent now is represented by the others.
        factor = everybody / sum(state.members[site].population for site in found)
        state.sums[name] = factor * np.sum(list(found.values()), axis=0)
        self._save()
        return state.sums[name]

    # --- steps --------------------------------------------------------------------------------------------------------

    def _introduce(self) -> None:
        found: dict[str, Member] = {}
        for site, reply in self._say({"hello": True}).items():
            try:
                found[site] = member_of(site, reply, self.agreement, found)
            except WardganError as error:
                self._note(site, str(error), reply)
        self._enough(found, "took part")
        self.state.members = found
        names = {event.name for one in found.values() if one.plan for event in one.plan.events}
        self.state.noise = {
            name: math.sqrt(sum(one.noise(name) ** 2 for one in found.values())) for name in sorted(names)
        }
        self._save()

    def _round(self, game: Game) -> None:
        state, agreement, begun = self.state, self.agreement, time.monotonic()
        now = cast("Weights", state.weights)
        weights = {f"weight/{name}": one for name, one in now.items()}
        replies = self._heard({"round": state.round}, f"in round {state.round + 1}", weights)
        found: dict[str, Weights] = {}
        spent: list[str] = []
        for site, reply in replies.items():
            if reply.facts.get("round") != state.round:
                self._note(site, f"was not in step in round {state.round + 1}", reply)
            elif reply.facts.get("kind") == "spent":
                spent.append(site)
            elif reply.facts.get("kind") == "update" and self._billed(site, reply, _STEPS):
                theirs = self._weights(site, reply, now)
                found |= {} if theirs is None else {site: theirs}
        if len(spent) == len(replies) and len(spent) >= agreement.least:
            self._end(spent)
            return
        self._enough(found, f"trained in round {state.round + 1}", also=len(spent))
        self._average(game, self._usual(found, now))
        state.seconds.append(round(time.monotonic() - begun, 3))
        state.round += 1
        self._save()
        self._watch(Progress(f"training at {len(found)} hospitals", state.round, agreement.rounds))

    def _end(self, spent: list[str]) -> None:
        """Ends the rounds, because nobody has a step left; without any round there is nothing to release."""
        state, rounds = self.state, self.agreement.rounds
        if not state.round:
            names = ", ".join(sorted(spent))
            raise BudgetError(
                f"No round was trained, and no file is written: {names} have already spent what they "
                "agreed to. Go on from the state of the training in which they did (--state, or the server's kit), or "
                "make a new agreement, such as one with another seed; each hospital pays for it anew."
            )
        state.over = True
        text = f"{state.round} of {counted(rounds, 'round')} counted; the hospitals have spent all steps of the others."
        state.notices.append(text)
        self._save()

    def _weights(self, site: str, reply: Message, now: Weights) -> Weights | None:
        try:
            given = cast("Mapping[str, NDArray[np.float32]]", reply.part("weight"))
            return checked(given, {name: one.shape for name, one in now.items()})
        except FormatError as error:
            self._note(site, f"sent weights that do not fit: {error}")
            return None

    def _usual(self, found: dict[str, Weights], now: Weights) -> dict[str, Weights]:
        """Leaves out weights that moved many times as far as those of the others."""
        far = {site: _distance(one, now) for site, one in found.items()}
        if len(found) < _ENOUGH:
            return found
        most = _FAR * statistics.median(far.values())
        if not most:
            return found
        odd = [site for site, distance in far.items() if distance > most]
        for site in odd:
            self._note(site, f"sent weights that moved {far[site] / most * _FAR:.0f} times as far as the usual ones")
        return {site: one for site, one in found.items() if site not in odd}

    def _average(self, game: Game, found: dict[str, Weights]) -> None:
        state = self.state
        whole = sum(state.members[site].population for site in found)
        mean = {
            name: np.sum(
                [state.members[site].population / whole * one[name] for site, one in found.items()], axis=0
            ).astype(np.float32)
            for name in cast("Weights", state.weights)
        }
        decay = game.decay(BLOCK * self.agreement.blocks)
        before = cast("Weights", state.mean)
        state.mean = {name: (decay * before[name] + (1 - decay) * one).astype(np.float32) for name, one in mean.items()}
        state.weights = mean

    def _say(
        self, facts: Mapping[str, object], arrays: Mapping[str, NDArray[np.float32]] | None = None
    ) -> Mapping[str, Message]:
        if self._stop():
            raise KeyboardInterrupt
        state = self.state
        members = [one.part for one in state.members.values()]
        noise = state.noise if state.members else None
        whole = {**versions(), "agreement": self.agreement.to_dict(), "noise": noise, "members": members, **facts}
        sums = {f"sum/{name}": one for name, one in state.sums.items()}
        return self._channel.ask(Message(whole, {**sums, **(arrays or {})}))

    def _heard(
        self, facts: Mapping[str, object], when: str, arrays: Mapping[str, NDArray[np.float32]] | None = None
    ) -> dict[str, Message]:
        """Gives the answers of those who take part, and notes who of them was silent."""
        replies = self._say(facts, arrays)
        for site in self.state.members:
            if site not in replies:
                self._note(site, f"was silent {when}")
        return {site: reply for site, reply in replies.items() if site in self.state.members}

    def _most(self, site: str, name: str, query: Query | ImageQuery) -> float:
        """Gives the largest number that a hospital's patients can give, with its noise."""
        member = self.state.members[site]
        return query.sensitivity * (_HEADROOM * member.population + _TAIL * member.noise(name))

    def _billed(self, site: str, reply: Message, name: str) -> bool:
        """Takes over what a hospital has billed; a bill that is not within its plan ends its part."""
        try:
            self.state.members[site] = self.state.members[site].billed(reply.facts.get("bill"), name)
        except WardganError as error:
            self._note(site, str(error))
            return False
        return True

    def _enough(self, found: Collection[str], did: str, *, also: int = 0) -> None:
        if len(found) + also < self.agreement.least:
            self._save()
            asked = self._channel.sites
            silent = ", ".join(sorted(set(asked) - set(found)))
            error = TooFewError(
                f"Only {len(found)} of at least {self.agreement.least} hospitals {did}; "
                f"{counted(len(asked), 'hospital')} could be asked{silent and f'; silent or refused: {silent}'}. What "
                "was done is kept: run it again to go on."
            )
            for notice in self.state.notices[-_TOLD:]:
                error.add_note(notice)
            raise error

    def _note(self, site: str, what: str, reply: Message | None = None) -> None:
        facts = {} if reply is None else reply.facts
        why = facts.get("why") or facts.get("error")
        more = "" if why is None else f" ({'; '.join(map(str, why)) if isinstance(why, list) else why})"
        text = f"{site}: {what}{more}"[:_LONGEST]
        if text not in self.state.notices:
            self.state.notices.append(text)

    def _save(self) -> None:
        self.state.save(self._folder, self.agreement.digest)


def _distance(one: Weights, other: Weights) -> float:
    return math.sqrt(sum(float(((one[name] - other[name]).astype(np.float64) ** 2).sum()) for name in one))


def _nobody(progress: Progress) -> None:
    """Nobody watches."""
