"""Privacy events: what was done to the patients, in numbers that anyone can bill again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal, cast, get_args

from wardgan import check
from wardgan.errors import FormatError, PlanError

Mechanism = Literal["gaussian", "poisson-gaussian", "pure"]
MECHANISMS: Final = get_args(Mechanism)
UNIT: Final = "patient"
NEIGHBOURS: Final = "add-or-remove"
DEFAULT_DELTA: Final = 1e-5
MAX_DELTA: Final = 1e-3
MAX_EPSILON: Final = 100.0


@dataclass(frozen=True)
class Budget:
    """How much the generator may give away about one patient.

    Attributes:
        epsilon: Greater than 0 and at most 100.
        delta: Greater than 0 and at most 0.001; a chosen number, never 1/n of the private n (Rule P16).

    Raises:
        PlanError: A value is out of its range.

    Example:
        >>> Budget(epsilon=0)
        Traceback (most recent call last):
        wardgan.errors.PlanError: epsilon=0 is not a finite number greater than 0; 1 is strong, 3 is usual, 10 is weak.
    """

    epsilon: float
    delta: float = DEFAULT_DELTA

    def __post_init__(self) -> None:
        if not check.is_number(self.epsilon) or not math.isfinite(self.epsilon) or self.epsilon <= 0:
            raise PlanError(
                f"epsilon={self.epsilon!r} is not a finite number greater than 0; 1 is strong, 3 is usual, 10 is weak."
            )
        if self.epsilon > MAX_EPSILON:
            raise PlanError(
                f"epsilon={self.epsilon:g} is more than {MAX_EPSILON:g} and protects nobody; 10 is weak already. "
                "Choose less, or say privacy='none'."
            )
        if not check.is_number(self.delta) or not 0 < self.delta < 1:
            raise PlanError(f"delta={self.delta!r} is not between 0 and 1 (both excluded); 1e-5 is usual.")
        if self.delta > MAX_DELTA:
            raise PlanError(
                f"delta={self.delta:g} is more than {MAX_DELTA:g}: that large a share of the patients could be given "
                "away outright. Choose less than one over their number; 1e-5 is usual."
            )


@dataclass(frozen=True)
class Event:
    """One mechanism, run `steps` times.

    Attributes:
        name: What it was for.
        mechanism: `gaussian`: a sum with L2 sensitivity S and noise of sd `noise_multiplier` * S.
            `poisson-gaussian`: the same on a Poisson batch at `sampling_rate`, truncated at `batch_cap` patients
            out of at most `population`. `pure`: an `epsilon`-DP mechanism (exponential mechanism, noisy maximum).
        noise_multiplier: Noise in units of the sensitivity (Gaussian mechanisms).
        sampling_rate: Probability that a patient is in a batch.
        batch_cap: Largest batch.
        population: Public upper bound of the number of patients, behind `batch_cap`.
        steps: How many times it runs.
        epsilon: Of one run of a pure mechanism.
        delta: Additional failure probability of one run (thresholded counts).
    """

    name: str
    mechanism: Mechanism
    noise_multiplier: float | None = None
    sampling_rate: float | None = None
    batch_cap: int | None = None
    population: int | None = None
    steps: int = 1
    epsilon: float | None = None
    delta: float = 0.0

    def __post_init__(self) -> None:
        if self.mechanism not in MECHANISMS:
            raise FormatError(
                f"event {self.name!r}: mechanism={self.mechanism!r} is not one of {', '.join(MECHANISMS)}."
            )
        check.whole(0, steps=self.steps)
        if self.mechanism == "pure":
            check.positive(epsilon=_given(self.epsilon, self.name, "epsilon"))
        else:
            check.positive(noise_multiplier=_given(self.noise_multiplier, self.name, "noise_multiplier"))
        if self.mechanism == "poisson-gaussian":
            rate = _given(self.sampling_rate, self.name, "sampling_rate")
            if not 0 < rate <= 1:
                raise FormatError(f"event {self.name!r}: sampling_rate={rate!r} is not in (0, 1].")
        if self.batch_cap is not None and self.population is not None:
            check.whole(1, batch_cap=self.batch_cap, population=self.population)
        elif self.batch_cap is not None or self.population is not None:
            # A cap without the number of patients behind it would be billed as if nothing were cut off.
            raise FormatError(f"event {self.name!r}: batch_cap and population go together; give both or none.")
        if not 0 <= self.delta < 1:
            raise FormatError(f"event {self.name!r}: delta={self.delta!r} is not in [0, 1).")

    def times(self, steps: int) -> Event:
        """Gives the same mechanism run another number of times."""
        return replace(self, steps=steps)

    def to_dict(self) -> dict[str, object]:
        """Gives the fields for JSON, without those that do not apply."""
        return {
            name: value
            for name, value in asdict(self).items()
            if value is not None and not (name == "delta" and value == 0)
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, object]) -> Event:
        """Reads an event from JSON.

        Raises:
            FormatError: An unknown key, or a value that is no number where one is needed.
        """
        numbers = {"noise_multiplier", "sampling_rate", "epsilon", "delta"}
        whole = {"batch_cap", "population", "steps"}
        for name, value in found.items():
            if name in numbers and (
                isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value)
            ):
                raise FormatError(f"event: {name}={value!r} is not a finite number.")
            if name in whole and (isinstance(value, bool) or not isinstance(value, int)):
                raise FormatError(f"event: {name}={value!r} is not a whole number.")
            if name not in numbers | whole | {"name", "mechanism"}:
                raise FormatError(f"event: unknown key {name!r}.")
        if not isinstance(found.get("name"), str) or not isinstance(found.get("mechanism"), str):
            raise FormatError("event: name and mechanism are texts.")
        return cls(**cast("dict[str, str]", dict(found)))  # pyright: ignore[reportArgumentType]


def _given(value: float | None, name: str, field: str) -> float:
    if value is None:
        raise FormatError(f"event {name!r}: {field} is missing.")
    return value
