"""What the generators of several hospitals cost one patient together.

Each hospital's generator was paid for by its own patients. Whoever gets all of them gets what each of them gives away
about one patient: nothing but the largest, if nobody is a patient of two hospitals (parallel composition; it holds for
add-or-remove neighbours of one patient, and for no others), the most that any m of them cost together, if nobody is a
patient of more than m, and all of them together in any case. Mechanisms are composed; epsilons are not added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Final, cast

import numpy as np

from wardgan import check
from wardgan.errors import UsageError
from wardgan.privacy.accountant import rdp_curve, rdp_epsilon, rdp_epsilon_of
from wardgan.privacy.accounts.together import Part, Total, gaussian_epsilon, joined, total
from wardgan.privacy.events import Event

# So many different groups of hospitals are composed one by one; beyond, one bound covers all groups.
_GROUPS: Final = 12


@dataclass(frozen=True)
class Site:
    """The patients of one hospital, and everything that was made from them.

    Attributes:
        name: Opaque name of the patients (`training_data_id`).
        parts: What each of their generators has cost: several generators of the same patients compose.
    """

    name: str
    parts: tuple[Part, ...]

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All mechanisms, equal ones joined, in an order that hangs on nothing else."""
        if len(self.parts) == 1:
            return self.parts[0].joined
        return joined([event for part in self.parts for event in part.events])

    @property
    def protected(self) -> bool:
        """Whether noise that nobody can replay stands behind all of it."""
        return all(part.protected for part in self.parts)


@dataclass(frozen=True)
class Bounds:
    """What a union of generators costs one patient, by three assumptions.

    Attributes:
        delta: At which everything is stated.
        disjoint: If no patient is in two of the data sets.
        overlap: If no patient is in more than `most` of them; `None` if nobody declared it.
        most: In how many a patient may be, as declared.
        worst: Whoever is in all of them.
        sites: Number of data sets.
    """

    delta: float
    disjoint: Total
    overlap: Total | None
    most: int | None
    worst: Total
    sites: int

    @property
    def claimed(self) -> Total:
        """What may be claimed: the bound of what was declared, or without a declaration the worst case."""
        return self.worst if self.overlap is None else self.overlap

    def to_dict(self) -> dict[str, object]:
        """Gives the fields for JSON; an endless epsilon is `None`."""

        def plain(one: Total | None) -> dict[str, object] | None:
            if one is None:
                return None
            return {"epsilon": one.epsilon if math.isfinite(one.epsilon) else None, "delta": one.delta, "how": one.how}

        return {
            "delta": self.delta, "disjoint": plain(self.disjoint), "overlap": plain(self.overlap), "most": self.most,
            "worst": plain(self.worst), "sites": self.sites,
        }  # fmt: skip


def sites_of(generators: Sequence[tuple[str, str, Part]]) -> list[Site]:
    """Gives the data sets behind generators: each generator counts once, and those of the same patients together.

    Args:
        generators: Of each its digest, the opaque name of its patients, and what it has cost.

    Example:
        >>> made = [("a", "p"), ("b", "p"), ("a", "p"), ("c", "q")]
        >>> [len(one.parts) for one in sites_of([(*each, Part((), None)) for each in made])]
        [2, 1]
    """
    # What has the same digest and another bill is not the same thing: both count.
    found: dict[str, dict[tuple[str, Part], Part]] = {}
    for digest, patients, part in generators:
        found.setdefault(patients, {})[digest, part] = part
    return [Site(name, tuple(parts.values())) for name, parts in found.items()]


def union_bounds(
    sites: Sequence[Site], delta: float, *, most: int | None = None, quick: bool = False
) -> Bounds:  # fmt: skip
    """Gives what the generators of some data sets cost one patient.

    Args:
        sites: The data sets, at least one, each with a name of its own.
        delta: At which epsilon is wanted, in (0, 1).
        most: In how many data sets a patient may be at most, as somebody who knows declares; `None` if nobody does.
        quick: As for `largest`.

    Raises:
        UsageError: There is no data set, one is there twice, or `delta` or `most` is none.

    Source:
        Parallel composition: McSherry, SIGMOD 2009, theorem 4, for (epsilon, delta) taken as the largest of each.

    Example:
        >>> part = Part((Event("x", "gaussian", noise_multiplier=3.731),), None)
        >>> found = union_bounds([Site(name, (part,)) for name in "abc"], 1e-5, most=2)
        >>> [round(one.epsilon, 2) for one in (found.disjoint, found.overlap, found.worst)]
        [1.0, 1.47, 1.83]
    """
    names = [site.name for site in sites]
    if not names or len(set(names)) < len(names):
        raise UsageError("sites: there is none, or one is there twice; join generators of the same patients.")
    if not check.is_number(delta) or not 0 < delta < 1:
        raise UsageError(f"delta={delta!r} is not between 0 and 1 (both excluded); 1e-5 is usual.")
    if most is not None:
        check.whole(1, overlap=most)
    alone, whole = (largest(sites, size, delta, quick=quick) for size in (1, len(sites)))
    declared = None if most is None else largest(sites, most, delta, quick=quick)
    return Bounds(delta, alone, declared, most, whole, len(sites))


def largest(sites: Sequence[Site], size: int, delta: float, *, quick: bool = False) -> Total:
    """Gives an upper bound of what any `size` data sets cost together.

    It is exact for Gaussian sums, and the largest of all groups where there are few different ones; else Renyi
    divergences of the dearest `size` data sets are added at each order by itself, which covers each group.

    Args:
        sites: The data sets.
        size: How many of them count; all of them if there are fewer.
        delta: In (0, 1).
        quick: Whether only what takes milliseconds is tried: the bound may then be larger.
    """
    if not all(site.protected for site in sites):
        return Total(math.inf, delta, "no privacy")
    size = min(size, len(sites))
    if all(event.mechanism == "gaussian" and not event.delta for site in sites for event in site.events):
        precision = math.fsum(sorted(map(_precision, sites), reverse=True)[:size])
        return Total(gaussian_epsilon(math.sqrt(precision), delta), delta, "exact") if precision else total([], delta)
    if not quick and size == len(sites):
        return total([part for site in sites for part in site.parts], delta)
    if not quick and size == 1:
        return _covering([_alone(site, delta) for site in sites])
    groups = None if quick else _groups(sites, size)
    if groups is not None:
        return _covering([total([part for site in group for part in site.parts], delta) for group in groups])
    found = [rdp_curve(site.events) for site in sites]
    curves = np.sort(np.array([curve for curve, _, _ in found]), axis=0)[::-1][:size]
    cut = math.fsum(sorted((one for _, one, _ in found), reverse=True)[:size])
    spent = math.fsum(sorted((one for _, _, one in found), reverse=True)[:size])
    return Total(rdp_epsilon_of(curves.sum(axis=0), cut, delta - spent), delta, "RDP")


def _covering(totals: Sequence[Total]) -> Total:
    """Gives what covers all of some totals, which may be stated at different deltas: the largest of each."""
    largest_one = max(totals, key=lambda one: one.epsilon)
    return replace(largest_one, delta=max(one.delta for one in totals))


def _alone(site: Site, delta: float) -> Total:
    """Gives what one data set's generators cost; of a single one at most what it was billed for."""
    budget = site.parts[0].budget if len(site.parts) == 1 else None
    if budget is not None and site.events and budget.delta <= delta:
        return Total(min(budget.epsilon, rdp_epsilon(site.events, delta)), delta, "sum")
    return total(site.parts, delta)


def _precision(site: Site) -> float:
    return sum(event.steps / cast("float", event.noise_multiplier) ** 2 for event in site.events)


def _groups(sites: Sequence[Site], size: int) -> list[tuple[Site, ...]] | None:
    """Gives the groups of data sets that differ in what they cost; `None` if they are too many to look at."""
    kinds: dict[tuple[object, ...], list[Site]] = {}
    for site in sites:
        budgets = sorted(str(part.budget) for part in site.parts)
        kinds.setdefault((site.events, *budgets), []).append(site)
    # Of equal ones, the first stands for all.
    few = [site for alike in kinds.values() for site in alike[:size]]
    if math.comb(len(few), size) > 64 * _GROUPS:
        return None
    found: dict[tuple[str, ...], tuple[Site, ...]] = {}
    for group in combinations(few, size):
        key = tuple(sorted(str((site.events, [part.budget for part in site.parts])) for site in group))
        found.setdefault(key, group)
        if len(found) > _GROUPS:
            return None
    return list(found.values())
