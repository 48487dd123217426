"""What pages say about a release, in words and small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from wardgan.errors import UsageError, WardganError
from wardgan.hub.entry import Entry
from wardgan.schema.columns import Column
from wardgan.web.doors import COMPARED
from wardgan.web.figures import Figure
from wardgan.web.preview import Asked
from wardgan.web.stock import Stock
from wardgan.web.tasks import Glance, privacy
from wardgan.web.workers import BusyError

_LARGE: Final = "It is too large to be fetched for this page; its gates are in its dossier."


def size(count: int) -> str:
    """Gives a number of bytes for people.

    Example:
        >>> size(6669), size(45_000_000)
        ('6.7 kB', '45.0 MB')
    """
    return f"{count / 1e3:,.1f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def bound(column: Column) -> str:
    """Gives which values a column may have, for people.

    Args:
        column: The column.
    """
    if column.levels:
        names = [str(level) for level in column.levels]
        more = "" if len(names) <= 8 else f" and {len(names) - 8} more"
        return ", ".join(names[:8]) + more
    if column.kind == "flag":
        return "true, false"
    low, high = column.ends
    return f"{low} to {high}{f' {column.unit}' if column.unit else ''}"


def term(value: object) -> str:
    """Gives a term of a schema, which may be anything that JSON can hold, for people.

    Args:
        value: The term.

    Example:
        >>> term("Teaching."), term(["a", 2]), term({"until": 2030, "by": None}), term(True)
        ('Teaching.', 'a, 2', 'until: 2030, by: ', 'yes')
    """
    if isinstance(value, Mapping):
        known = cast("Mapping[object, object]", value)
        return ", ".join(f"{name}: {term(one)}" for name, one in known.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(term, cast("Sequence[object]", value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


@dataclass(frozen=True)
class Seen:
    """What a page can say of a release beyond its entry.

    Attributes:
        facts: That; `None` if it is not known.
        closed: Why nobody here opens it.
        missing: Why it is not known of one that is opened.
    """

    facts: Glance | None = None
    closed: str | None = None
    missing: str | None = None


def glance_of(stock: Stock, entry: Entry) -> Seen:
    """Gives what a page says of a release beyond its entry, or why that is not known.

    Args:
        stock: What the hub has.
        entry: The release.
    """
    try:
        found = stock.glance(entry)
    except BusyError:
        return Seen(missing="Others are drawing patients: open this page again in a moment to see its gates.")
    except UsageError:
        return Seen(missing="It takes this hub too long to read what it says of itself; take it home for that.")
    except WardganError as error:
        return Seen(closed=str(error))
    return Seen(found, missing=_LARGE if found is None else None)


def beside(
    stock: Stock, one: Entry, other: Entry, closed: str | None = None
) -> tuple[list[tuple[str, str, str]], list[Figure], str | None]:
    """Gives two releases side by side: facts, figures of the columns that both declare alike, and why there are none.

    Args:
        stock: What the hub has.
        one: A release.
        other: Another one.
        closed: Why no patients are drawn.
    """
    rows = [
        (title, say(one), say(other))
        for title, say in (
            ("Data set", lambda entry: entry.title), ("Privacy", lambda entry: privacy(entry.privacy)),
            ("Revoked", lambda entry: str(entry.revoked) if entry.revoked else "no"),
            ("Hospitals", lambda entry: str(entry.hospitals)), ("Family", lambda entry: entry.family or "several"),
            ("Made", lambda entry: entry.created),
            ("Signed by", lambda entry: entry.signature.name or entry.signature.status),
            ("Licence", lambda entry: entry.licence or "not declared"), ("Size", lambda entry: size(entry.bytes)),
            ("Columns", lambda entry: str(len(entry.schema.columns)) if entry.schema else ""),
        )
    ]  # fmt: skip
    mine, theirs = (
        {column.name: column for column in entry.schema.columns} if entry.schema else {} for entry in (one, other)
    )
    for name in dict.fromkeys([*mine, *theirs]):
        said = [f"{each[name].kind}: {bound(each[name])}" if name in each else "none" for each in (mine, theirs)]
        if said[0] != said[1]:
            rows.append((f"Column {name}", said[0], said[1]))
    if closed is not None:
        return rows, [], closed
    try:
        return rows, stock.pair(one, other, Asked(COMPARED, 0)), None
    except WardganError as error:
        return rows, [], str(error)
