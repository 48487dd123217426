"""What a hub has, in memory, so that lists and searches take a few milliseconds.

A shelf is a snapshot that never changes; a new one takes its place when the hub has changed. Ten thousand releases are
some ten megabytes of arrays.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from wardgan.hub.entries import VERSION, Broken, order_of, several
from wardgan.hub.entry import Entry, pieces

PAGE: Final = 25
FACETS: Final = {
    "data": "Data", "privacy": "Privacy", "label": "Labels", "kind": "Kind", "family": "Family", "licence": "Licence",
    "signer": "Signed by", "size": "Size",
}  # fmt: skip
_BANDS: Final = (
    (1.0, "epsilon up to 1"), (3.0, "epsilon 1 to 3"), (10.0, "epsilon 3 to 10"), (np.inf, "epsilon above 10"),
)  # fmt: skip
_SIZES: Final = ((1 << 20, "below 1 MB"), (100 << 20, "1 to 100 MB"), (1 << 60, "above 100 MB"))
_MOST_WORDS: Final = 12

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        total: How many releases.
        entries: Those of one page.
        facets: For each facet its values with the number of releases found, the most frequent first.
    """

    total: int
    entries: tuple[Entry, ...]
    facets: Mapping[str, Sequence[tuple[str, int]]]


class Shelf:
    """A snapshot of a hub.

    Args:
        found: Its releases.
    """

    def __init__(self, found: Iterable[Entry | Broken]) -> None:
        every = list(found)
        entries = [one for one in every if isinstance(one, Entry)]
        # Newest first; names keep an order among those of one day.
        self.entries = tuple(sorted(sorted(entries, key=lambda one: (one.name, one.tag)), key=_day, reverse=True))
        self.broken = tuple(one for one in every if isinstance(one, Broken))
        self._places = {(one.name, one.tag): at for at, one in enumerate(self.entries)}
        self._digests: dict[str, list[Entry]] = {}
        for one in entries:
            self._digests.setdefault(one.digest, []).append(one)
        self._mixtures = [one for one in entries if one.leaves]
        self._named: dict[str, list[Entry]] = {}
        for one in sorted(entries, key=lambda one: order_of(one.tag), reverse=True):
            self._named.setdefault(one.name, []).append(one)

    def __len__(self) -> int:
        return len(self.entries)

    def entry(self, name: str, tag: str) -> Entry | None:
        """Gives a release; `None` if it is not here.

        Args:
            name: Such as `cardio/sprint`.
            tag: Such as `1.0`.
        """
        at = self._places.get((name, tag))
        return None if at is None else self.entries[at]

    def versions(self, name: str) -> list[Entry]:
        """Gives all releases of a name, newest first, by their tags.

        Args:
            name: Such as `cardio/sprint`.
        """
        return list(self._named.get(name, ()))

    def within(self, entry: Entry) -> list[str]:
        """Gives the names under which a release, or a part of it, is here: its file holds all of them.

        Args:
            entry: The release.
        """
        held = {entry.digest, *entry.leaves}
        found = {one.name for digest in held for one in self._digests.get(digest, ())}
        parts = (one for one in self._mixtures if one.leaves and held.issuperset(one.leaves))
        return sorted(found | {one.name for one in parts} | {entry.name})

    def holding(self, digests: Iterable[str]) -> list[Entry]:
        """Gives the releases that have one of some digests, under whatever names.

        Args:
            digests: Of releases.
        """
        return [one for digest in digests for one in self._digests.get(digest, ())]

    def find(
        self, words: str = "", chosen: Mapping[str, str] | None = None, *, offset: int = 0, limit: int = PAGE
    ) -> Found:  # fmt: skip
        """Gives the releases in which each word occurs, and that have the chosen values.

        Args:
            words: Words, or parts of them, as in `Entry.has`.
            chosen: A value for some facets.
            offset: How many to leave out.
            limit: How many to give at most.
        """
        kept = np.ones(len(self), dtype=bool)
        for word in pieces(words)[:_MOST_WORDS]:
            kept &= self._with(word)
        for facet, value in (chosen or {}).items():
            kept &= self._valued(facet, value)
        where = np.flatnonzero(kept)
        picked = tuple(self.entries[at] for at in where[offset : offset + limit])
        return Found(len(where), picked, {facet: self._counts(facet, kept) for facet in FACETS})

    def _with(self, word: str) -> Mask:
        text, starts, postings = self._words
        found = np.zeros(len(self), dtype=bool)
        at = text.find(word)
        while at >= 0:
            number = bisect_right(starts, at) - 1
            found[postings[number]] = True
            # Once in a word is enough.
            at = text.find(word, starts[number + 1]) if number + 1 < len(starts) else -1
        return found

    def _valued(self, facet: str, value: str) -> Mask:
        found = np.zeros(len(self), dtype=bool)
        values, rows, codes = self._coded.get(facet, ((), _NONE, _NONE))
        if value in values:
            found[rows[codes == values.index(value)]] = True
        return found

    def _counts(self, facet: str, kept: Mask) -> list[tuple[str, int]]:
        values, rows, codes = self._coded[facet]
        counts = np.bincount(codes[kept[rows]], minlength=len(values))
        found = [(value, int(count)) for value, count in zip(values, counts, strict=True) if count]
        return sorted(found, key=lambda one: (-one[1], one[0]))

    @cached_property
    def _words(self) -> tuple[str, list[int], list[NDArray[np.int32]]]:
        """All words in one text, where each begins, and in which releases it is."""
        found: dict[str, list[int]] = {}
        for at, entry in enumerate(self.entries):
            for word in set(pieces(entry.words())):
                found.setdefault(word, []).append(at)
        starts = [0, *np.cumsum([len(word) + 1 for word in found])[:-1].tolist()] if found else []
        return "\n".join(found), starts, [np.array(each, dtype=np.int32) for each in found.values()]

    @cached_property
    def _coded(self) -> dict[str, tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]]:
        found: dict[str, tuple[tuple[str, ...], NDArray[np.int32], NDArray[np.int32]]] = {}
        each = [facets_of(entry) for entry in self.entries]
        for facet in FACETS:
            values = tuple(sorted({value for one in each for value in one[facet]}))
            codes = {value: code for code, value in enumerate(values)}
            pairs = [(at, codes[value]) for at, one in enumerate(each) for value in one[facet]]
            table = np.array(pairs, dtype=np.int32).reshape(-1, 2)
            found[facet] = values, table[:, 0], table[:, 1]
        return found

    def ready(self) -> Shelf:
        """Builds its indexes now, not when somebody waits for a page."""
        _ = self._words, self._coded
        return self


_NONE: Final = np.zeros(0, dtype=np.int32)


def facets_of(entry: Entry) -> dict[str, tuple[str, ...]]:
    """Gives the values of a release's facets.

    Args:
        entry: The release, with its schema.
    """
    schema = entry.schema
    data = "tables"
    if schema is not None and schema.images is not None:
        data = "images"
    elif schema is not None and schema.visits is not None:
        data = "visits"
    epsilon = entry.privacy.epsilon
    band = "not private" if epsilon is None else next(name for most, name in _BANDS if epsilon <= most)
    labels = () if schema is None else tuple(column.name for column in schema.columns if column.label)
    signer = entry.signature.name or entry.signature.status
    return {
        "data": (data,), "privacy": (band,), "label": labels, "signer": (signer,),
        "kind": ("several hospitals" if entry.kind == "mixture" else "one hospital",),
        "family": (entry.family,) if entry.family else (), "licence": (entry.licence or "not declared",),
        "size": (next(name for most, name in _SIZES if entry.bytes < most),),
    }  # fmt: skip


def newest(versions: Sequence[Entry]) -> Entry | None:
    """Gives the release that a name without a tag means, as `Hub.pull` does; `None` if there is none.

    Args:
        versions: All of a name, newest first.

    Raises:
        UsageError: There are several, and no version among them.
    """
    if len(versions) > 1 and not VERSION.fullmatch(versions[0].tag):
        raise several(versions[0].name, [one.tag for one in versions])
    return next(iter(versions), None)


def _day(entry: Entry) -> str:
    return entry.created
