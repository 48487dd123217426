"""A few synthetic patients to look at: as a table, and as small figures beside all patients of the generator."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from wardgan.combining.mixture import Mixture
from wardgan.errors import UsageError
from wardgan.sample.asked import parse_where
from wardgan.sample.conditions import conditions
from wardgan.sample.generator import Generator
from wardgan.sample.wish import Wanted
from wardgan.schema.columns import Column
from wardgan.schema.schema import Schema
from wardgan.web.figures import FLAGS, Figure, figures_of

MOST: Final = 1_000
MOST_IMAGES: Final = 64
BASE: Final = 1_000
CELLS: Final = 60_000
CONDITIONS: Final = 20

Drawable = Generator | Mixture


@dataclass(frozen=True)
class Asked:
    """What somebody wants to see.

    Attributes:
        n: How many patients.
        seed: Replays them.
        where: Conditions, each as text, such as `age=65..80`.
        balance: A label whose levels shall be equally frequent; `None` for as they are.
    """

    n: int
    seed: int
    where: tuple[str, ...] = ()
    balance: str | None = None

    def told(self, how: str) -> dict[str, object]:
        """Gives what the log says of it: enough to draw the same patients again.

        Args:
            how: In which way they leave.
        """
        return {"how": how, "seed": self.seed, "where": [text[:200] for text in self.where], "balance": self.balance}

    def check(self, schema: Schema) -> None:
        """Refuses what no patient of a schema can be asked for.

        Args:
            schema: What they obey.

        Raises:
            UsageError: A condition or the label is none.
        """
        conditions(schema, np.full(schema.classes, 1 / schema.classes).tolist(), self.wanted(schema), self.balance)

    def wanted(self, schema: Schema) -> dict[str, Wanted] | None:
        """Gives the conditions as a generator takes them.

        Args:
            schema: Whose columns they name.

        Raises:
            UsageError: A text is no condition, or there are too many of them.
        """
        if len(self.where) > CONDITIONS:
            raise UsageError(
                f"where: {len(self.where)} conditions are too many for a hub, which takes {CONDITIONS}; take the "
                "generator home, and use wardgan sample."
            )
        return parse_where(self.where, schema) or None


@dataclass(frozen=True)
class Preview:
    """Synthetic patients to look at.

    Attributes:
        columns: Names.
        rows: Cells as text, spelled as in a CSV file; an empty one is missing.
        figures: One for each of the first columns.
        drawable: How many columns there are to draw.
        images: PNG files in base64, with their labels.
        beside: Whether the figures show patients without any condition, too.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    figures: tuple[Figure, ...]
    drawable: int = 0
    images: tuple[tuple[str, str], ...] = ()
    beside: bool = True


def most_of(schema: Schema) -> int:
    """Gives how many patients can be looked at at once: a page has an end.

    Args:
        schema: What they obey.
    """
    if schema.images is not None:
        return MOST_IMAGES
    return max(1, min(MOST, CELLS // (1 + schema.cells)))


def check_count(n: int, schema: Schema | None) -> None:
    """Refuses to show more patients at once than a page has room for.

    Args:
        n: How many.
        schema: What they obey.

    Raises:
        UsageError: They are too many, or none.
    """
    most = MOST if schema is None else most_of(schema)
    if not 1 <= n <= most:
        raise UsageError(f"n={n} is not between 1 and {most:,}; take more of them home with a download.")


def preview(generator: Drawable, asked: Asked, base: pd.DataFrame | None) -> Preview:
    """Gives synthetic patients to look at.

    Args:
        generator: Draws them.
        asked: How many, and which.
        base: Patients without any condition, for the figures; `None` for a generator of images.

    Raises:
        UsageError: Too many are wanted, or a condition is none.
    """
    schema = generator.schema
    check_count(asked.n, schema)
    if schema.images is not None:
        return _images(generator, asked)
    found = generator.draw(asked.n, where=asked.wanted(schema), balance=asked.balance, seed=asked.seed).wide()
    figures, drawable = figures_of(schema, found, found if base is None else base)
    columns = [[_cell(value) for value in found[name]] for name in found.columns]
    rows = tuple(zip(*columns, strict=True))
    return Preview(tuple(map(str, found.columns)), rows, tuple(figures), drawable, beside=base is not None)


def pair_of(one: Drawable, other: Drawable, asked: Asked) -> list[Figure]:
    """Gives figures of the columns that two generators declare alike: bars of the first, an outline of the second.

    Args:
        one: A generator.
        other: Another one.
        asked: How many patients of each.
    """
    if one.schema.images is not None or other.schema.images is not None:
        return []
    theirs = {column.name: column for column in other.schema.columns}
    alike = {column.name for column in one.schema.columns if _alike(column, theirs.get(column.name))}
    mine, others = (each.draw(asked.n, seed=asked.seed).wide() for each in (one, other))
    both = [name for name in mine.columns if str(name).partition("@")[0] in alike or name in alike]
    return figures_of(one.schema, cast("pd.DataFrame", mine[both]), others)[0]


def _alike(one: Column, other: Column | None) -> bool:
    """Whether numbers of two columns of a name mean the same; a measure without a unit may be anything."""
    return (
        other is not None
        and one.numeric == other.numeric
        and (one.kind == "date") == (other.kind == "date")
        and one.unit == other.unit
    )


def base_of(generator: Drawable) -> pd.DataFrame | None:
    """Gives the patients beside whom others are shown.

    Args:
        generator: Draws them.
    """
    if generator.schema.images is not None:
        return None
    return generator.draw(max(1, min(BASE, CELLS // (1 + generator.schema.cells))), seed=0).wide()


def _images(generator: Drawable, asked: Asked) -> Preview:
    batch = generator.images(asked.n, where=asked.wanted(generator.schema), balance=asked.balance, seed=asked.seed)
    names = list(batch.labels)
    found = []
    for at in range(asked.n):
        title = ", ".join(f"{name}: {batch.labels[name][at]}" for name in names)
        found.append((_png(batch.pixels[at, 0]), title))
    return Preview((), (), (), 0, tuple(found))


def _png(pixels: NDArray[np.float32]) -> str:
    """Gives a grey picture as a PNG file in base64; `pixels` from -1 to 1."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.rint((pixels + 1) * 127.5).clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _cell(value: object) -> str:
    if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    if isinstance(value, bool | np.bool_):
        return FLAGS[0] if value else FLAGS[1]
    if isinstance(value, float):
        return f"{value:.12g}"
    return str(value)


def where_of(form: Mapping[str, str], schema: Schema) -> tuple[str, ...]:
    """Gives the conditions of a form, whose fields are `is.COLUMN`, `low.COLUMN`, `high.COLUMN` and `more`.

    Args:
        form: Fields and what was filled in.
        schema: Whose columns they are.
    """
    found: list[str] = []
    for column in schema.table:
        level = form.get(f"is.{column.name}", "")
        low, high = form.get(f"low.{column.name}", "").strip(), form.get(f"high.{column.name}", "").strip()
        if level:
            found.append(f"{column.name}={level}")
        elif low or high:
            found.append(f"{column.name}={low}..{high}")
    found += [line.strip() for line in form.get("more", "").splitlines() if line.strip()]
    return tuple(found)
