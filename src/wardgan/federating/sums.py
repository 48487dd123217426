"""Between a hospital's fit and the others: the link, and answers that come back as sums."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import FormatError, OutputError, UsageError
from wardgan.federating.wire import Message
from wardgan.privacy.image_queries import ImageQuery
from wardgan.privacy.ledger import Ledger
from wardgan.privacy.plan import Plan
from wardgan.privacy.queries import Query
from wardgan.privacy.records import Records

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

        Raises:
            UsageError: The hospital was not let in, so it pays for nothing.
        """
        self.layout = records.layout
        self._records, self._link = records, link
        self.state = state
        while not self._introduced():
            self.state = link.swap(hello)
        members = self.state.facts.get("members")
        if not isinstance(members, list) or hello.facts["part"] not in members:
            raise UsageError("The hospital was not let in, or came after the first question; nothing was spent.")

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
