"""The tree of a combined generator: hospitals in regions, regions in nations, and what follows from all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from wardgan.combining.leaf import Leaf
from wardgan.combining.mixture import Mixture
from wardgan.combining.records import MixtureRecord
from wardgan.combining.translate import Translation
from wardgan.errors import FormatError
from wardgan.privacy.accounts.together import Part
from wardgan.privacy.events import DEFAULT_DELTA, MAX_EPSILON, Budget, Event
from wardgan.privacy.union import Bounds, Site, largest, sites_of, union_bounds
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema
from wardgan.seal.reading import Facts, Signature

TOLERANCE: Final = 1.01


@dataclass(frozen=True, eq=False, repr=False)
class ModelNode:
    """One hospital's generator.

    Attributes:
        digest: Of its manifest.
        facts: What it says of itself.
        signature: Who signed it.
        generator: Gives it, read and checked when it is asked for.
    """

    digest: str
    facts: Facts
    signature: Signature
    generator: Callable[[], Generator]

    @property
    def schema(self) -> Schema:
        """What its patients obey."""
        return self.facts.schema


@dataclass(frozen=True, eq=False, repr=False)
class MixtureNode:
    """A combined generator.

    Attributes:
        digest: Of its index.
        record: What it says of itself.
        schema: What its patients obey.
        members: Its parts, with how their patients get into its schema.
        signature: Who signed it.
    """

    digest: str
    record: MixtureRecord
    schema: Schema
    members: tuple[Member, ...]
    signature: Signature

    def leaves(self) -> list[tuple[str, ModelNode, tuple[Translation, ...]]]:
        """Gives all generators below it, each once: names on the way, the generator, and the way to this schema."""
        found: dict[str, tuple[str, ModelNode, tuple[Translation, ...]]] = {}
        for name, node, path in walk(self):
            found.setdefault(node.digest, (name, node, path))
        return list(found.values())


@dataclass(frozen=True, eq=False, repr=False)
class Member:
    """A part of a combined generator.

    Attributes:
        name: What people call it.
        node: What it is.
        translation: How its patients get into the common schema.
    """

    name: str
    node: ModelNode | MixtureNode
    translation: Translation


def facts_behind(node: ModelNode | MixtureNode) -> list[tuple[str, Facts]]:
    """Gives digest and facts of each generator of a node, each once.

    Args:
        node: A generator, or a combined one.
    """
    if isinstance(node, ModelNode):
        return [(node.digest, node.facts)]
    return [(leaf.digest, leaf.facts) for _, leaf, _ in node.leaves()]


def walk(node: MixtureNode) -> Iterator[tuple[str, ModelNode, tuple[Translation, ...]]]:
    """Yields all generators below a combined one, as often as they are there.

    Args:
        node: The combined one.
    """
    for member in node.members:
        if isinstance(member.node, ModelNode):
            yield member.name, member.node, (member.translation,)
            continue
        for name, leaf, path in walk(member.node):
            yield f"{member.name}/{name}", leaf, (*path, member.translation)


def mixture_of(node: MixtureNode) -> Mixture:
    """Gives what can be sampled.

    Args:
        node: The combined generator.

    Raises:
        FormatError: Its record names other generators than are there, or classes that they do not have.
    """
    leaves = node.leaves()
    if [one.digest for one in node.record.leaves] != [leaf.digest for _, leaf, _ in leaves]:
        raise FormatError("mixture.json: its leaves are not the generators that are there, each once and in order.")
    found: list[Leaf] = []
    for one, (name, leaf, path) in zip(node.record.leaves, leaves, strict=True):
        if len(one.joint) != leaf.schema.classes:
            raise FormatError(f"mixture.json: {name} has {leaf.schema.classes} classes, and {len(one.joint)} shares.")
        found.append(Leaf(name, leaf.digest, leaf.generator, np.array(one.joint), path))
    whole = sum(float(leaf.joint.sum()) for leaf in found)
    if abs(whole - 1) > 1e-6:
        raise FormatError(f"mixture.json: its shares sum to {whole:.6g}, not to 1.")
    return Mixture(node.schema, tuple(found), node.record.privacy.model_dump())


def bounds_of(
    leaves: Sequence[tuple[str, Facts]], *, overlap: int | None, quick: bool = False
) -> Bounds:  # fmt: skip
    """Gives what generators cost one patient together.

    Args:
        leaves: Digest and facts of each.
        overlap: In how many hospitals a patient may be, as declared.
        quick: Whether only what takes milliseconds is tried, as for foreign files: the bounds may then be larger.
    """
    sites, delta = sites_behind(leaves)
    return union_bounds(sites, delta, most=overlap, quick=quick)


def sites_behind(leaves: Sequence[tuple[str, Facts]]) -> tuple[list[Site], float]:
    """Gives the data sets behind generators, and the largest delta of their claims.

    Args:
        leaves: Digest and facts of each.

    Raises:
        FormatError: They do not protect the same unit, or by other neighbours, so nothing can be said of them together.
    """
    kinds = {(facts.ledger.unit, facts.ledger.neighbours) for _, facts in leaves}
    if len(kinds) > 1:
        raise FormatError(f"privacy.json: members protect different things ({kinds}); they cannot be combined.")
    parts = [(digest, facts.card.training_data_id, part_of(facts)) for digest, facts in leaves]
    known = [facts.ledger.delta for _, facts in leaves if facts.ledger.delta is not None]
    return sites_of(parts), max(known, default=DEFAULT_DELTA)


def part_of(facts: Facts) -> Part:
    """Gives what one generator has cost, by its ledger.

    Args:
        facts: What its file says.
    """
    ledger = facts.ledger
    if ledger.mode == "none" or ledger.epsilon is None or ledger.delta is None:
        return Part((), None, protected=False)
    events = tuple(Event.from_dict(event.model_dump(exclude_none=True)) for event in ledger.events)
    return Part(events, Budget(ledger.epsilon, ledger.delta), protected=not ledger.replayable)


def claim(bounds: Bounds) -> dict[str, object]:
    """Gives the guarantee that may be claimed: by the declared overlap, or whoever is a patient of all.

    Args:
        bounds: What the union costs.
    """
    total = bounds.claimed
    if not total.epsilon <= MAX_EPSILON:
        # More than that protects nobody, whatever the arithmetic says.
        return {"mode": "none", "epsilon": None, "delta": None}
    return {"mode": "private", "epsilon": total.epsilon, "delta": total.delta}


def check_claim(node: MixtureNode) -> None:
    """Refuses a combined generator that claims far less than its members' ledgers say; `verify` looks closely.

    Of Gaussian sums the bound is exact. Of others a bound of milliseconds is held against it, which may be some times
    larger than the truth, and never less is claimed than what one member alone says it spent.

    Args:
        node: The combined one.

    Raises:
        FormatError: Says both.
    """
    said, leaves = node.record.privacy, facts_behind(node)
    sites, delta = sites_behind(leaves)
    if said.mode == "none":
        return
    if not all(site.protected for site in sites):
        raise FormatError("mixture.json: it claims to be private, and not all of its members are.")
    epsilon, at = said.epsilon or 0.0, said.delta or 0.0
    size = len(sites) if node.record.overlap is None else node.record.overlap
    least = largest([_plainly(site) for site in sites], size, max(at, delta), quick=True)
    most = epsilon * TOLERANCE if least.how in ("exact", "nothing") else 4 * epsilon + 4
    spent = [
        min(facts.ledger.spent.epsilon, math.inf if facts.bound is None else facts.bound)
        for _, facts in leaves
        if facts.ledger.spent and facts.ledger.delta == at
    ]
    dearest = max(spent, default=0.0)
    if not least.epsilon <= most or dearest > epsilon * TOLERANCE or at < delta:
        cost = max(least.epsilon, dearest)
        raise FormatError(f"mixture.json: it claims epsilon {epsilon:.4g}, and its members' ledgers cost {cost:.4g}.")


def _plainly(site: Site) -> Site:
    """Gives a data set as if no batch were cut off and no threshold failed: those use delta up, and take long."""
    parts = tuple(
        replace(part, events=tuple(replace(event, batch_cap=None, population=None, delta=0.0) for event in part.events))
        for part in site.parts
    )
    return replace(site, parts=parts)
