"""A dossier as a document: sections of blocks, the same for the page and for the JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.gates import Judgement, Verdict
from wardgan.estimate import Estimate


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Attributes:
        text: One or more sentences.
        tone: How it is shown: `plain`, `quiet`, or `alarm` for what nobody may overlook.
    """

    text: str
    tone: str = "plain"

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON."""
        return {"kind": "text", "text": self.text, "tone": self.tone}


@dataclass(frozen=True)
class Facts:
    """Names with what they are.

    Attributes:
        rows: Name and value.
    """

    rows: Sequence[tuple[str, str]]

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON."""
        return {"kind": "facts", "rows": [list(row) for row in self.rows]}


@dataclass(frozen=True)
class Number:
    """One line of a table of numbers.

    Attributes:
        label: What was measured.
        estimate: The number; `None` if it could not be measured, then `note` says why.
        control: The same for the leaking generator that every attack must see.
        note: A remark.
    """

    label: str
    estimate: Estimate | None
    control: Estimate | None = None
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """Gives the line for JSON."""
        return {
            "label": self.label, "estimate": None if self.estimate is None else self.estimate.to_dict(),
            "control": None if self.control is None else self.control.to_dict(), "note": self.note,
        }  # fmt: skip


@dataclass(frozen=True)
class Numbers:
    """A table of numbers, each with interval, n, hold-out and method.

    Attributes:
        caption: What the numbers are, with their unit.
        rows: The numbers.
        baseline: What the baseline of each estimate is.
    """

    caption: str
    rows: Sequence[Number]
    baseline: str = "hold-out"

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON."""
        rows = [row.to_dict() for row in self.rows]
        return {"kind": "numbers", "caption": self.caption, "baseline": self.baseline, "rows": rows}


@dataclass(frozen=True)
class Table:
    """A table of words.

    Attributes:
        caption: What it shows.
        head: Names of the columns.
        rows: Cells.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON."""
        return {
            "kind": "table", "caption": self.caption, "head": list(self.head), "rows": [list(row) for row in self.rows]
        }  # fmt: skip


@dataclass(frozen=True)
class Forest:
    """Estimates with their intervals below each other.

    Attributes:
        title: What the figure shows, in one sentence.
        rows: One line each.
        axis: Of the numbers.
        limit: A limit of the gates.
    """

    title: str
    rows: Sequence[Row]
    axis: Axis
    limit: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON: the numbers themselves stand in the tables."""
        return {"kind": "figure", "title": self.title, "lines": [row.label for row in self.rows]}


@dataclass(frozen=True)
class Curves:
    """Curves with their bands.

    Attributes:
        title: What the figure shows, in one sentence.
        lines: The curves.
        across: Horizontal axis.
        up: Vertical axis.
        diagonal: Whether to draw where both axes have the same value.
    """

    title: str
    lines: Sequence[Line]
    across: Axis
    up: Axis
    diagonal: bool = False

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON, with the points of the curves."""
        lines = [
            {
                "label": line.label, "who": line.kind, "x": list(line.x), "y": list(line.y),
                "low": list(line.low), "high": list(line.high),
            }
            for line in self.lines
        ]  # fmt: skip
        return {
            "kind": "curves", "title": self.title, "across": self.across.label, "up": self.up.label, "lines": lines
        }  # fmt: skip


@dataclass(frozen=True)
class Bars:
    """Shares of levels, for several groups of patients.

    Attributes:
        title: What the figure shows, in one sentence.
        labels: The levels.
        groups: Name, kind (`real`, `holdout`, `synthetic`) and the share of each level.
    """

    title: str
    labels: Sequence[str]
    groups: Sequence[tuple[str, str, Sequence[float]]]

    def to_dict(self) -> dict[str, object]:
        """Gives the block for JSON."""
        groups = [{"label": name, "who": kind, "shares": list(shares)} for name, kind, shares in self.groups]
        return {"kind": "bars", "title": self.title, "labels": list(self.labels), "groups": groups}


Block: TypeAlias = Text | Facts | Numbers | Table | Forest | Curves | Bars


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        number: 0 to 14.
        title: Its heading.
        blocks: What it says.
    """

    number: int
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple[Block, ...])

    def to_dict(self) -> dict[str, object]:
        """Gives the section for JSON."""
        return {"number": self.number, "title": self.title, "blocks": [block.to_dict() for block in self.blocks]}


@dataclass(frozen=True)
class Document:
    """A dossier in one edition.

    Attributes:
        name: Name of the data set.
        edition: `internal`, which stays in the hospital, or `public`.
        overall: The worst verdict of its gates.
        released: Person and reason of an override, or nothing.
        judgements: What the gates say.
        facts: What identifies the generator: digests, versions, date, policy.
        sections: The sections, in order.
    """

    name: str
    edition: str
    overall: Verdict
    released: tuple[str, ...]
    judgements: Sequence[Judgement]
    facts: dict[str, object]
    sections: Sequence[Section]

    def to_dict(self) -> dict[str, object]:
        """Gives the dossier for JSON."""
        gates = [
            {
                "gate": one.gate, "about": one.about, "verdict": one.verdict, "reason": one.reason,
                "estimate": None if one.estimate is None else one.estimate.to_dict(),
            }
            for one in self.judgements
        ]  # fmt: skip
        return {
            "format": "wardgan-dossier", "version": 1, "name": self.name, "edition": self.edition,
            "overall": self.overall, "overrides": list(self.released), "facts": self.facts, "gates": gates,
            "sections": [section.to_dict() for section in self.sections],
        }  # fmt: skip
