"""A dossier as a document: sections of blocks, the same for the page and for the JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, JsonValue, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.gates import Judgement, Measured, Verdict
from wardgan.dossier.numbers import STRICT, Stated
from wardgan.errors import FormatError

Tone = Literal["plain", "quiet", "alarm"]
Who = Literal["real", "holdout", "synthetic", "control"]
Edition = Literal["internal", "public"]


@dataclass(frozen=True, config=STRICT)
class Text:
    """A paragraph.

    Attributes:
        text: One or more sentences.
        tone: How it is shown: `plain`, `quiet`, or `alarm` for what nobody may overlook.
    """

    text: str
    tone: Tone = "plain"
    kind: Literal["text"] = "text"


@dataclass(frozen=True, config=STRICT)
class Facts:
    """Names with what they are.

    Attributes:
        rows: Name and value.
    """

    rows: Sequence[tuple[str, str]]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True, config=STRICT)
class Number:
    """One line of a table of numbers.

    Attributes:
        label: What was measured.
        estimate: The number; `None` if it could not be measured, then `note` says why.
        control: The same for the leaking generator that every attack must see.
        note: A remark.
    """

    label: str
    estimate: Stated | None
    control: Stated | None = None
    note: str = ""


@dataclass(frozen=True, config=STRICT)
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
    kind: Literal["numbers"] = "numbers"


@dataclass(frozen=True, config=STRICT)
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
    kind: Literal["table"] = "table"


@dataclass(frozen=True, config=STRICT)
class Forest:
    """Estimates with their intervals below each other.

    Attributes:
        title: What the figure shows, in one sentence.
        rows: One line each.
        axis: Of the numbers.
        baseline: What the baseline of each estimate is.
    """

    title: str
    rows: Sequence[Row]
    axis: Axis
    baseline: str = "nothing leaks"
    kind: Literal["forest"] = "forest"


@dataclass(frozen=True, config=STRICT)
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
    kind: Literal["curves"] = "curves"


@dataclass(frozen=True, config=STRICT)
class Bars:
    """Shares of levels, for several groups of patients.

    Attributes:
        title: What the figure shows, in one sentence.
        labels: The levels.
        groups: Name, kind (`real`, `holdout`, `synthetic`) and the share of each level.
    """

    title: str
    labels: Sequence[str]
    groups: Sequence[tuple[str, Who, Sequence[float]]]
    kind: Literal["bars"] = "bars"


@dataclass(frozen=True, config=STRICT)
class Picture:
    """A row of images.

    Attributes:
        label: What they show.
        png: A grey PNG file, in base64.
    """

    label: str
    png: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


@dataclass(frozen=True, config=STRICT)
class Gallery:
    """Rows of images.

    Attributes:
        title: What they show, in one sentence.
        rows: The rows.
    """

    title: str
    rows: Sequence[Picture]
    kind: Literal["gallery"] = "gallery"


Block: TypeAlias = Annotated[
    Text | Facts | Numbers | Table | Forest | Curves | Bars | Gallery, Field(discriminator="kind")
]


@dataclass(frozen=True, config=STRICT)
class Section:
    """One section.

    Attributes:
        number: 0 to 14.
        title: Its heading.
        blocks: What it says.
    """

    number: int
    title: str
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, config=STRICT)
class Document:
    """A dossier in one edition.

    Attributes:
        name: Name of the data set.
        edition: `internal`, which stays in the hospital, or `public`.
        private: Whether the generator claims to be private.
        generator: What it is about: digest of the network, and of the bill.
        policy: What it was judged by.
        measured: The numbers that the gates judge.
        overall: The worst verdict of its gates.
        judgements: What the gates say.
        overrides: Person and reason of a release against the gates, or nothing.
        facts: Everything else that a program may want to know.
        sections: The sections, in order.
        format: Always `wardgan-dossier`.
        version: Of the format.
    """

    name: str
    edition: Edition
    private: bool
    generator: dict[str, str]
    policy: dict[str, JsonValue]
    measured: Sequence[Measured]
    overall: Verdict
    judgements: Sequence[Judgement]
    overrides: Sequence[str]
    facts: dict[str, JsonValue]
    sections: Sequence[Section]
    format: Literal["wardgan-dossier"] = "wardgan-dossier"
    version: Literal[1] = 1

    def to_dict(self) -> dict[str, JsonValue]:
        """Gives the dossier for JSON."""
        return _DOCUMENT.dump_python(self, mode="json")

    def to_json(self) -> bytes:
        """Gives the dossier as JSON: the same dossier gives the same bytes."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"

    @classmethod
    def of_json(cls, data: bytes, what: str) -> Document:
        """Gives a dossier from its JSON; unknown fields and wrong types are refused.

        Args:
            data: The bytes.
            what: What they are called in messages.

        Raises:
            FormatError: It is no dossier.
        """
        if len(data) > MOST_BYTES:
            raise FormatError(f"{what}: {len(data)} bytes are more than {MOST_BYTES}.")
        try:
            found = _DOCUMENT.validate_json(data)
            json.dumps([found.facts, found.policy], allow_nan=False)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"]))[:200] or "the whole"
            raise FormatError(f"{what}: is no dossier of version 1 ({place}: {first['msg'][:200]}).") from error
        except RecursionError as error:
            raise FormatError(f"{what}: is nested too deeply.") from error
        except ValueError as error:
            raise FormatError(f"{what}: a number of facts or policy is not finite.") from error
        return found


MOST_BYTES: Final = 2 << 20
_DOCUMENT: Final = TypeAdapter(Document)
