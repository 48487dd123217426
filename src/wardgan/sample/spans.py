"""Which patients of a seed stand where: in a shard, and in the blocks that random numbers come in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from wardgan import check
from wardgan.errors import UsageError
from wardgan.sample.drawing import BLOCK, Drawn
from wardgan.schema.cohort import Cohort, joined


class Span(NamedTuple):
    """Some patients of one block.

    Attributes:
        block: Its number, from 0.
        start: The first of them, counted within the block from 0.
        stop: The one after the last.
    """

    block: int
    start: int
    stop: int


def shard(number: int, shards: int, n: int) -> range:
    """Gives which patients a shard holds, counted from 0. They follow from the three numbers and nothing else.

    All shards together hold every patient once, in order. Where shards have a block of 16,384 patients or more, their
    borders are those of blocks, so no block is drawn twice and their sizes differ by less than two blocks. Smaller
    ones differ by one patient.

    Args:
        number: Of the shard, 0 to `shards - 1`.
        shards: How many there are.
        n: Patients in all of them.

    Raises:
        UsageError: There is no such shard, or there are more shards than patients.

    Example:
        >>> shard(1, 3, 10), shard(999, 1000, 10**9)
        (range(3, 6), range(998998016, 1000000000))
    """
    check.whole(1, shards=shards)
    check.whole(0, number=number, n=n)
    if number >= shards:
        raise UsageError(f"number={number}: of {shards} shards the last one is {shards - 1}; they count from 0.")
    if shards > max(n, 1):
        raise UsageError(f"shards={shards} are more than {n} patients; ask for fewer shards.")
    return range(_border(number, shards, n), _border(number + 1, shards, n))


def _border(number: int, shards: int, n: int) -> int:
    even = number * n // shards
    return even if number == shards or n < shards * BLOCK else even // BLOCK * BLOCK


def spans(skip: int, n: int, size: int) -> Iterator[Span]:
    """Yields the blocks that hold some patients, in order; at least one.

    Args:
        skip: How many patients come before.
        n: How many patients, 0 or more.
        size: Patients in a block.

    Example:
        >>> list(spans(5, 7, 10))
        [Span(block=0, start=5, stop=10), Span(block=1, start=0, stop=2)]
    """
    first = skip // size
    for block in range(first, max(first + 1, -(-(skip + n) // size))):
        before = block * size
        yield Span(block, max(skip - before, 0), min(skip + n - before, size))


def told(blocks: Iterable[tuple[Cohort, Drawn]], drew: Callable[[Drawn], None] | None) -> Iterator[Cohort]:
    """Yields the patients of blocks, and tells what each took.

    Args:
        blocks: Patients, and what they took.
        drew: Called with the latter; `None` for nobody.
    """
    for cohort, drawn in blocks:
        if drew is not None:
            drew(drawn)
        yield cohort


def chunks(blocks: Iterable[Cohort], size: int) -> Iterator[Cohort]:
    """Yields the patients of all blocks in cohorts of `size`; one empty cohort if there are none.

    Args:
        blocks: At least one cohort.
        size: Patients in a cohort.
    """
    held: list[Cohort] = []
    rows = 0
    for block in blocks:
        start = 0
        while len(block) - start >= size - rows:
            stop = start + size - rows
            yield joined([*held, block.take(slice(start, stop))])
            held, rows, start = [], 0, stop
        if start < len(block) or not len(block):
            held.append(block.take(slice(start, None)))
            rows += len(block) - start
    if held:
        yield joined(held)
