"""What hospitals agree on before they train together: all of it is public, and its digest names the training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from wardgan import check
from wardgan.errors import FormatError, SchemaError, UsageError
from wardgan.models import family_config
from wardgan.models.anchor.survey import declared
from wardgan.models.base import Config
from wardgan.models.planning import configured
from wardgan.models.together import check_together, steps_of
from wardgan.privacy.events import DEFAULT_DELTA, Budget
from wardgan.privacy.plan import BLOCK
from wardgan.schema.schema import Schema
from wardgan.schema.yaml_text import structure_in
from wardgan.seal.json_text import canonical

_KEYS: Final = (
    "name", "schema", "family", "settings", "patients", "hospitals", "epsilon", "delta", "blocks", "least", "overlap",
    "seed",
)  # fmt: skip
_MOST: Final = 1_000


@dataclass(frozen=True)
class Agreement:
    """A training of several hospitals.

    Attributes:
        name: Of the combined data set.
        schema: What all patients obey; each hospital has its own name and number of patients.
        patients: About how many patients all hospitals have together.
        hospitals: How many are expected.
        epsilon: What each hospital spends; `None`: without privacy, which the whole then is, too.
        delta: Probability that goes with it.
        family: Model family.
        settings: Its settings, as on the command line: name and value.
        blocks: Blocks of 50 discriminator steps in a round.
        least: With fewer hospitals no round is counted.
        overlap: In how many of the hospitals one patient may be at most, as somebody who knows declares.
        seed: Of the generator's first weights.
    """

    name: str
    schema: Schema
    patients: int
    hospitals: int
    epsilon: float | None
    delta: float = DEFAULT_DELTA
    family: str = "tabgan"
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    blocks: int = 1
    least: int = 2
    overlap: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        # What hospitals have names and numbers of their own for is not agreed on.
        object.__setattr__(self, "schema", replace(self.schema, name=self.name, population=None, confirm=()))
        check.whole(1, patients=self.patients, blocks=self.blocks)
        check.whole(2, hospitals=self.hospitals, least=self.least)
        check.whole(0, seed=self.seed)
        if self.least > self.hospitals:
            raise UsageError(f"agreement: least={self.least} is more than hospitals={self.hospitals}.")
        if self.overlap is not None:
            check.whole(1, overlap=self.overlap)
        if self.epsilon is not None:
            Budget(self.epsilon, self.delta)
        gap = next((column.name for column in self.schema.columns if not column.complete), None)
        if gap is not None:
            raise SchemaError(f"{gap}: bounds or levels are not declared; what hospitals agree on has none to learn.")
        check_together(self.config)
        if self.rounds > _MOST:
            raise UsageError(f"agreement: {self.rounds} rounds are more than {_MOST}; put more blocks into a round.")

    @property
    def config(self) -> Config:
        """The family with its settings."""
        given = [f"{name}={str(value).lower() if isinstance(value, bool) else value}"
                 for name, value in self.settings.items()]  # fmt: skip
        found = configured(self.family, given, self.schema)
        return family_config(found) if isinstance(found, str) else found

    @property
    def budget(self) -> Budget | None:
        """What each hospital spends."""
        return None if self.epsilon is None else Budget(self.epsilon, self.delta)

    @property
    def rounds(self) -> int:
        """Rounds of training; 0 if answers to questions are all there is."""
        return -(-steps_of(self.config) // (BLOCK * self.blocks))

    @property
    def digest(self) -> str:
        """Its name."""
        return "sha256:" + hashlib.sha256(canonical(self.to_dict(), sort=False)).hexdigest()

    @property
    def short(self) -> str:
        """Its name in names of folders."""
        return self.digest.removeprefix("sha256:")[:16]

    def fits(self, schema: Schema) -> bool:
        """Tells whether patients of a schema can be trained on: columns, visits and rules are the agreed ones.

        Args:
            schema: A hospital's own.
        """
        return declared(schema) == declared(self.schema) and schema.rules == self.schema.rules

    def to_dict(self) -> dict[str, object]:
        """Gives the fields for JSON."""
        return {
            "name": self.name, "schema": self.schema.to_dict(), "family": self.family, "settings": dict(self.settings),
            "patients": self.patients, "hospitals": self.hospitals, "epsilon": self.epsilon, "delta": self.delta,
            "blocks": self.blocks, "least": self.least, "overlap": self.overlap, "seed": self.seed,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, found: object, home: Path | None = None) -> Agreement:
        """Reads an agreement.

        Args:
            found: What JSON or YAML says.
            home: Folder that the path of a schema file starts from; `None`: the schema must stand inside.

        Raises:
            FormatError: A key is unknown, missing or of the wrong kind.
            UsageError: A number is out of its range.
        """
        if not isinstance(found, dict):
            raise FormatError("agreement: is no mapping of names to values.")
        given = cast("dict[str, Any]", dict(found))
        unknown = [str(name) for name in given if name not in _KEYS]
        if unknown:
            raise FormatError(f"agreement: unknown key {unknown[0]!a}; known are {', '.join(_KEYS)}.")
        missing = [name for name in ("name", "schema", "patients", "hospitals", "epsilon") if name not in given]
        if missing:
            raise FormatError(f"agreement: {missing[0]} is missing.")
        if not isinstance(given.get("family", ""), str):
            raise FormatError("agreement: family is the name of one.")
        schema, settings = given["schema"], given.get("settings") or {}
        if isinstance(schema, str) and home is not None:
            schema = Schema.load(home / schema).to_dict()
        if not isinstance(settings, dict) or not isinstance(given["name"], str):
            raise FormatError("agreement: name is a text, settings are names with values.")
        given |= cast("dict[str, Any]", {one: number(given[one]) for one in ("epsilon", "delta") if one in given})
        epsilon = None if given["epsilon"] in (None, "none") else given["epsilon"]
        more = {
            name: given[name] for name in ("family", "blocks", "least", "overlap", "seed", "delta") if name in given
        }
        return cls(
            given["name"],
            Schema.from_dict(schema),
            given["patients"],
            given["hospitals"],
            epsilon,
            settings=settings,
            **more,
        )

    @classmethod
    def load(cls, path: str | Path) -> Agreement:
        """Reads an agreement from a YAML or JSON file; the schema stands inside, or is the path of its file.

        Args:
            path: The file.

        Raises:
            UsageError: The file cannot be read.
            FormatError: It is none.
        """
        return cls.from_dict(structure_in(path, "agreement", wrong=FormatError), Path(path).parent)


def number(found: object) -> object:
    """Gives a number that YAML takes for a text, such as 1e-5; anything else as it is.

    Example:
        >>> number("1e-5"), number("none"), number(1)
        (1e-05, 'none', 1)
    """
    if isinstance(found, str):
        try:
            return float(found)
        except ValueError:
            return found
    return found
