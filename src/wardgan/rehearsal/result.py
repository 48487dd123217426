"""What a sketch gives: one row of estimates for each epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from wardgan.estimate import Estimate
from wardgan.rehearsal import words
from wardgan.simulate.assume import Assumptions


@dataclass(frozen=True)
class Rehearsed:
    """What one epsilon did to the simulated tables.

    Attributes:
        epsilon: The budget; `None` for a fit without privacy.
        refusals: Why fits were refused, once for each simulated table; one reason for all if the plan was refused.
        share: Area under the ROC curve on unseen patients that classifiers reach when taught by synthetic patients,
            as a share of what they reach when taught by the patients themselves; mean of the classifiers.
        shares: The same for each classifier.
        auroc: For each classifier the area itself, its baseline being that of the patients themselves.
        columns: Total variation of the columns, mean, 0 to 1; the baseline is that of unseen patients.
        pairs: The same for pairs of columns.
        classes: Share of each class among the synthetic patients, its baseline being that among the patients.
        count_noise: Standard deviation of the noise of one count, in patients; `None` if the plan has no such counts.
        seconds: How long the fit took, its plan aside.
    """

    epsilon: float | None
    refusals: tuple[str, ...] = ()
    share: Estimate | None = None
    shares: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    auroc: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    columns: Estimate | None = None
    pairs: Estimate | None = None
    classes: Mapping[str, Estimate] = field(default_factory=dict[str, Estimate])
    count_noise: float | None = None
    seconds: Estimate | None = None

    @property
    def refused(self) -> bool:
        """Whether there is no table that could be fitted."""
        return self.seconds is None


@dataclass(frozen=True)
class Sketch:
    """What each epsilon would do to a table like this one; a simulation, not a promise.

    Attributes:
        name: Name of the schema.
        patients: How many patients the table has.
        simulated: How many were simulated; fewer than `patients` in very large tables.
        variables: Columns besides the labels, each as often as it has visits.
        family: The model family.
        delta: Of all budgets.
        assume: What was taken for granted about the patients.
        seeds: How many tables were simulated.
        predicted: What the classifiers predict.
        labelled: Whether that is a label, so that `assume.signal` applies to it.
        smallest: Name of the smallest class.
        best: The same numbers for the patients themselves, and for unseen ones of the same population.
        rows: What each epsilon did, ascending, and last the fit without privacy.
    """

    name: str
    patients: int
    simulated: int
    variables: int
    family: str
    delta: float
    assume: Assumptions
    seeds: int
    predicted: tuple[str, ...]
    labelled: bool
    smallest: str
    best: Rehearsed
    rows: tuple[Rehearsed, ...]

    def __str__(self) -> str:
        return words.page(self)

    def reaches(self, share: float) -> float | None:
        """Gives the smallest epsilon from which on, with every larger one asked for, the share is reached.

        Args:
            share: Such as .95.

        Returns:
            An epsilon; `None` if not even the largest one reaches it.
        """
        found: float | None = None
        for row in reversed(self.rows):
            if row.epsilon is None:
                continue
            if row.share is None or row.refusals or row.share.value < share:
                break
            found = row.epsilon
        return found

    def verdict(self) -> str:
        """Gives what the sketch says, in a few sentences."""
        return words.verdict(self)

    def to_dict(self) -> dict[str, object]:
        """Gives everything for JSON."""
        return {
            "name": self.name,
            "patients": self.patients,
            "simulated": self.simulated,
            "variables": self.variables,
            "family": self.family,
            "delta": self.delta,
            "assume": asdict(self.assume),
            "seeds": self.seeds,
            "predicted": list(self.predicted),
            "labelled": self.labelled,
            "smallest": self.smallest,
            "best": _plain(self.best),
            "reaches": {"0.95": self.reaches(0.95), "0.98": self.reaches(0.98)},
            "verdict": self.verdict(),
            "rows": [_plain(row) for row in self.rows],
        }


def _plain(row: Rehearsed) -> dict[str, object]:
    """Gives a row for JSON."""
    found: dict[str, object] = {}
    for place in fields(row):
        value: object = getattr(row, place.name)
        if isinstance(value, Mapping):
            value = {name: estimate.to_dict() for name, estimate in value.items()}
        found[place.name] = value.to_dict() if isinstance(value, Estimate) else value
    return found
