"""What one hospital allows: it stands on its own disk, and nobody else can change it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, get_args

from wardgan import check
from wardgan.errors import FormatError, UsageError
from wardgan.federating.agreement import Agreement, number
from wardgan.models.together import FAMILIES
from wardgan.privacy.events import Budget
from wardgan.schema.read import Invalid
from wardgan.schema.yaml_text import structure_in
from wardgan.seal.artifact import check_data_id

_PATHS: Final = ("data", "schema", "visits", "labels", "run", "ledger")
_BLOCKS: Final = 20
_NEEDED: Final = ("name", "data", "schema", "population", "patients", "run", "epsilon")
_KEYS: Final = (
    "name", "data", "schema", "visits", "labels", "key", "mask", "delimiter", "invalid", "population", "patients",
    "run", "ledger", "dataset", "epsilon", "delta", "rounds", "families", "agreement",
)  # fmt: skip


@dataclass(frozen=True)
class Policy:
    """One hospital's files, and the bounds within which it takes part.

    Attributes:
        name: What the hospital is called.
        data: File of its patients; folder of images.
        schema: The hospital's own schema file. Patients are read with it and with no other, so nobody can find anything
            out by asking for other bounds or rules; a training with another one is refused.
        population: Public number of its patients.
        patients: Opaque name of the patients (`training_data_id`).
        run: Run folder, which stays on site.
        epsilon: Most that all trainings in the run folder may spend together; `None`: without privacy is allowed.
        delta: Largest delta.
        rounds: Most rounds; a round has at most 20 blocks of 50 steps.
        families: Which families may be trained.
        agreement: Digest of the one agreement that is allowed; `None`: any within these bounds.
        visits: Second file, with the visits.
        labels: Labels of images.
        key: Column of the labels that links them to images.
        mask: Column of the labels with paths of masks.
        delimiter: Between the cells of CSV files.
        invalid: What happens to rows that break the schema: `refuse`, `clip` or `drop`.
        ledger: The institution's ledger; `None`: the training is entered nowhere.
        dataset: Which patients these are, for that ledger.
    """

    name: str
    data: Path
    schema: Path
    population: int
    patients: str
    run: Path
    epsilon: float | None
    delta: float = 1e-5
    rounds: int = 100
    families: tuple[str, ...] = FAMILIES
    agreement: str | None = None
    visits: Path | None = None
    labels: Path | None = None
    key: str | None = None
    mask: str | None = None
    delimiter: str = ","
    invalid: Invalid = "refuse"
    ledger: Path | None = None
    dataset: str | None = None

    def __post_init__(self) -> None:
        check.whole(1, population=self.population)
        check.whole(0, rounds=self.rounds)
        if self.epsilon is not None:
            Budget(self.epsilon, self.delta)
        check_data_id(patients=self.patients)
        if not set(self.families) <= set(FAMILIES):
            raise FormatError(f"policy: families are some of {', '.join(FAMILIES)}.")
        if self.invalid not in get_args(Invalid):
            raise FormatError(f"policy: invalid={self.invalid!r} is not one of {', '.join(get_args(Invalid))}.")

    def refusals(self, agreement: Agreement) -> list[str]:
        """Gives why the hospital does not take part in a training, one sentence each; none if it does.

        Args:
            agreement: What was agreed on.
        """
        found: list[str] = []
        if self.agreement is not None and agreement.digest != self.agreement:
            found.append("It is not the agreement that the policy names.")
        if agreement.family not in self.families:
            found.append(f"The policy does not allow the family {agreement.family}.")
        if agreement.rounds > self.rounds:
            found.append(f"It takes {agreement.rounds} rounds, and the policy allows {self.rounds}.")
        if agreement.blocks > _BLOCKS:
            found.append(f"A round has {agreement.blocks} blocks of steps; {_BLOCKS} are allowed.")
        return found + self._too_dear(agreement)

    def _too_dear(self, agreement: Agreement) -> list[str]:
        if self.epsilon is None:
            return []
        if agreement.epsilon is None:
            return ["It is without privacy, and the policy asks for it."]
        found: list[str] = []
        if agreement.epsilon > self.epsilon:
            found.append(f"It spends epsilon {agreement.epsilon:g}, and the policy allows {self.epsilon:g}.")
        if agreement.delta > self.delta:
            found.append(f"It spends delta {agreement.delta:g}, and the policy allows {self.delta:g}.")
        return found

    @classmethod
    def load(cls, path: str | Path) -> Policy:
        """Reads a policy from a YAML file; paths in it start from its folder.

        Args:
            path: The file.

        Raises:
            UsageError: The file cannot be read.
            FormatError: It is none, or not filled in; the message says which keys are wrong.
        """
        found, home = structure_in(path, "policy", wrong=FormatError), Path(path).parent
        if not isinstance(found, dict):
            raise FormatError(f"policy={str(path)!r} is no mapping of names to values.")
        given = cast("dict[str, Any]", dict(found))
        unknown = [str(name) for name in given if name not in _KEYS]
        if unknown:
            raise FormatError(f"policy={str(path)!r}: unknown key {unknown[0]!a}; known are {', '.join(_KEYS)}.")
        missing = [one for one in _NEEDED if one not in given]
        if missing:
            raise FormatError(f"policy={str(path)!r}: {missing[0]} is missing.")
        blank = [one for one in _NEEDED if given[one] is None]
        if blank:
            raise FormatError(f"policy={str(path)!r} is not filled in: {', '.join(blank)}. Write them into that file.")
        _convert(given, home)
        return cls(**given)


def check_files(policy: Policy, path: str | Path) -> None:
    """Refuses a policy whose files are not there, so that a hospital finds out before the training.

    Args:
        policy: The hospital's.
        path: Its file, for the message.

    Raises:
        UsageError: A file that the policy names is not there.
    """
    given = {"data": policy.data, "schema": policy.schema, "visits": policy.visits, "labels": policy.labels}
    gone = [f"{name} ({str(one)!r})" for name, one in given.items() if one is not None and not one.exists()]
    if gone:
        raise UsageError(
            f"policy={str(path)!r} names what is not there: {', '.join(gone)}. Put it there, or mend the path in that "
            "file; paths start from its folder."
        )


def _convert(given: dict[str, Any], home: Path) -> None:
    """Makes paths, tuples and nothing out of texts; other texts must be texts."""
    given |= {name: number(given[name]) for name in ("epsilon", "delta") if name in given}
    given["epsilon"] = None if given["epsilon"] == "none" else given["epsilon"]
    given |= {name: home / str(given[name]) for name in _PATHS if given.get(name) is not None}
    if not isinstance(given.get("families", []), list):
        raise FormatError("policy: families is a list of names.")
    if "families" in given:
        given["families"] = tuple(map(str, given["families"]))
    for name in ("name", "patients", "delimiter", "invalid"):
        if not isinstance(given.get(name, ""), str):
            raise FormatError(f"policy: {name} is a text.")
