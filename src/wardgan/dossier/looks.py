"""What anybody with a generator sees: patients or images drawn from it, for the public edition."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol, cast

import pandas as pd

from wardgan.dossier.document import Block, Number, Numbers, Section, Table, Text
from wardgan.dossier.gates import Measured
from wardgan.dossier.gauges import rules_number
from wardgan.dossier.images.gallery import level_share, synthetic_gallery
from wardgan.dossier.shapes import AXES, shapes
from wardgan.errors import counted
from wardgan.estimate import proportion
from wardgan.evaluate import default_groups
from wardgan.sample.generator import Generator
from wardgan.schema.cohort import Cohort
from wardgan.schema.read import broken

DRAWN: Final = 10_000
_FIGURES: Final = 40
_TITLE: Final = "What synthetic patients look like"


class Look(Protocol):
    """What is drawn from a generator with a public seed: the same for the hospital and for every receiver."""

    @property
    def drawn(self) -> int:
        """How many patients were drawn to be counted."""
        ...

    def rules(self) -> Measured:
        """Gives what the gate on rules judges."""
        ...

    def shown(self, inside: str) -> Section:
        """Gives section 7; `inside` says where numbers about real patients are."""
        ...

    def groups(self, inside: str) -> Section:
        """Gives section 10."""
        ...


def look_of(generator: Generator, seed: int) -> Look:
    """Gives what a generator of patients or of images shows.

    Args:
        generator: The generator.
        seed: Of what is drawn.
    """
    return TableLook(generator, seed) if generator.schema.images is None else ImageLook(generator, seed)


@dataclass(frozen=True, eq=False, repr=False)
class TableLook:
    """10,000 patients with tables and visits.

    Attributes:
        generator: What draws them.
        seed: Of the draw.
    """

    generator: Generator
    seed: int

    @property
    def drawn(self) -> int:
        """10,000."""
        return DRAWN

    def rules(self) -> Measured:
        """Counts who breaks a rule of the schema."""
        if not self.generator.schema.rules:
            return Measured("impossible", "", None, because="The schema declares no rules.", asked=False)
        return rules_number(int(broken(self._patients)[1].sum()), len(self._patients))

    def shown(self, inside: str) -> Section:
        """Draws the columns."""
        table = self._table
        names = [str(name) for name in table.columns][:_FIGURES]
        text = (
            f"{counted(len(table), 'synthetic patient')}, as anybody with the generator can draw them. {AXES} {inside}"
        )
        more = [] if len(names) == table.shape[1] else [Text(f"The first {len(names)} of {table.shape[1]} columns.")]
        return Section(7, _TITLE, [Text(text), *more, *shapes(self.generator.schema, {"synthetic": table}, names)])

    def groups(self, inside: str) -> Section:
        """Counts groups."""
        table = self._table
        rows: list[Number] = []
        for name, grouped in default_groups(self.generator.schema).items():
            if name in table:
                counts = Counter(grouped.of(cast("pd.Series", table[name])).tolist())
                rows += [Number(f"{name}: {group}", proportion(counts[group], len(table))) for group in sorted(counts)]
        if not rows:
            return Section(10, "Groups of patients", [Text("The schema has no flags, small categories or ages.")])
        return Section(
            10, "Groups of patients", [Numbers("Share among synthetic patients", rows, ""), Text(inside)]
        )  # fmt: skip

    @cached_property
    def _patients(self) -> Cohort:
        return self.generator.draw(DRAWN, seed=self.seed)

    @cached_property
    def _table(self) -> pd.DataFrame:
        return self._patients.wide(named=False)


@dataclass(frozen=True, eq=False, repr=False)
class ImageLook:
    """Images of each level of the first label; the shares of all levels are exact, so none are drawn for them.

    Attributes:
        generator: What draws them.
        seed: Of the draw.
    """

    generator: Generator
    seed: int

    @property
    def drawn(self) -> int:
        """0: nothing is counted."""
        return 0

    def rules(self) -> Measured:
        """Says that there are none."""
        return Measured("impossible", "", None, because="A schema of images declares no rules.", asked=False)

    def shown(self, inside: str) -> Section:
        """Shows a gallery of synthetic images."""
        labels = self.generator.schema.labels
        text = Text(f"Synthetic images, as anybody with the generator can draw them. {inside}")
        first = labels[0].name if labels else None
        return Section(7, _TITLE, [text, *synthetic_gallery(self.generator, first, seed=self.seed)])

    def groups(self, inside: str) -> Section:
        """Gives the shares of the levels."""
        blocks: list[Block] = [
            Table(
                f"Shares of {column.name} among synthetic images", ["level", "share"],
                [
                    [str(level), f"{100 * level_share(self.generator, column.name, at):.3g} %"]
                    for at, level in enumerate(column.levels)
                ],
            )
            for column in self.generator.schema.labels
        ]  # fmt: skip
        if not blocks:
            return Section(10, "Groups of patients", [Text("The schema has no labels.")])
        return Section(10, "Groups of patients", [*blocks, Text(inside)])
