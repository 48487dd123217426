"""What a coordinator knows, kept in one file after each step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from wardgan import files
from wardgan.errors import FormatError, OutputError, WardganError
from wardgan.federating.members import Member
from wardgan.models.together import Weights
from wardgan.privacy.events import Event
from wardgan.privacy.plan import Plan

FILE: Final = "state.npz"


@dataclass
class State:
    """How far a training has come.

    Attributes:
        members: The hospitals that take part, by name.
        noise: Noise multiplier of each event in the sums.
        sums: What all hospitals have answered together, by name of the event.
        round: Rounds that are done.
        weights: The generator's, before the next round.
        mean: Their running mean.
        over: Whether all hospitals have spent all steps.
        notices: What a person should know.
        seconds: Of each round.
    """

    members: dict[str, Member] = field(default_factory=dict[str, Member])
    noise: dict[str, float] = field(default_factory=dict[str, float])
    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict[str, NDArray[np.float64]])
    round: int = 0
    weights: Weights | None = None
    mean: Weights | None = None
    over: bool = False
    notices: list[str] = field(default_factory=list[str])
    seconds: list[float] = field(default_factory=list[float])

    def save(self, folder: Path | None, agreement: str) -> None:
        """Writes the state; does nothing without a folder.

        Args:
            folder: Where.
            agreement: Digest of what was agreed on.

        Raises:
            OutputError: It cannot be written.
        """
        if folder is None:
            return
        facts = {
            "agreement": agreement, "noise": self.noise, "round": self.round, "over": self.over,
            "notices": self.notices, "seconds": self.seconds, "trained": self.weights is not None,
            "members": [
                {
                    "site": site, "name": one.name, "patients": one.patients, "population": one.population,
                    "part": one.part,
                    "plan": None if one.plan is None else one.plan.to_dict(), "heard": one.heard,
                    "events": [event.to_dict() for event in one.events],
                }
                for site, one in self.members.items()
            ],
        }  # fmt: skip
        text = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
        arrays = {f"sum/{name}": one for name, one in self.sums.items()}
        for kind, weights in (("weight", self.weights), ("mean", self.mean)):
            arrays |= {f"{kind}/{name}": one for name, one in (weights or {}).items()}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"folder={str(folder)!r} cannot be made: {error.strerror}.") from error
        with files.new_file(folder / FILE, force=True) as file:
            np.savez(file, allow_pickle=False, facts=text, **arrays)

    @classmethod
    def load(cls, folder: Path | None, agreement: str) -> State:
        """Reads the state of a training that stopped; a new one if there is none.

        Args:
            folder: Where.
            agreement: Digest of what was agreed on.

        Raises:
            FormatError: It is damaged, or of another training.
        """
        path = None if folder is None else folder / FILE
        if path is None or not path.exists():
            return cls()
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                facts = cast("dict[str, Any]", json.loads(arrays["facts"].tobytes()))
                parts = {
                    kind: {name.partition("/")[2]: arrays[name] for name in arrays.files if name.startswith(f"{kind}/")}
                    for kind in ("sum", "weight", "mean")
                }
            members = {one["site"]: _member(one) for one in facts["members"]}
            found = cls(
                members, dict(facts["noise"]), parts["sum"], facts["round"], None, None, facts["over"],
                list(facts["notices"]), list(facts["seconds"]),
            )  # fmt: skip
            if facts["trained"]:
                found.weights, found.mean = parts["weight"], parts["mean"]
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile, WardganError) as error:
            raise FormatError(f"state={str(path)!r} is damaged: {type(error).__name__}.") from error
        if facts["agreement"] != agreement:
            raise FormatError(
                f"state={str(path)!r} is of another training; choose another folder, or the agreement that it is of."
            )
        return found


def _member(found: dict[str, Any]) -> Member:
    plan = None if found["plan"] is None else Plan.from_dict(found["plan"])
    events = tuple(Event.from_dict(one) for one in found["events"])
    return Member(
        found["name"], found["patients"], found["population"], found["part"], plan, events, bool(found["heard"])
    )
