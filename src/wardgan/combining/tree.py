"""The tree of a combined generator: hospitals in regions, regions in nations, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wardgan.combining.mixture import Leaf, Mixture
from wardgan.combining.records import MixtureRecord
from wardgan.combining.translate import Translation
from wardgan.errors import FormatError
from wardgan.privacy.accounts.together import Part
from wardgan.privacy.events import DEFAULT_DELTA, MAX_EPSILON, Budget, Event
from wardgan.privacy.union import Bounds, Site, sites_of, union_bounds
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema
from wardgan.seal.reading import Facts, Signature


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
    leaves: Sequence[tuple[str, Facts]], *, overlap: int | None, delta: float | None = None
) -> Bounds:  # fmt: skip
    """Gives what generators cost one patient together.

    Args:
        leaves: Digest and facts of each.
        overlap: In how many hospitals a patient may be, as declared.
        delta: At which epsilon is wanted; `None` for the largest of theirs.
    """
    sites, most = sites_behind(leaves)
    return union_bounds(sites, delta or most, most=overlap)


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
    total = bounds.worst if bounds.overlap is None else bounds.overlap
    if not total.epsilon <= MAX_EPSILON:
        # More than that protects nobody, whatever the arithmetic says.
        return {"mode": "none", "epsilon": None, "delta": None}
    return {"mode": "private", "epsilon": total.epsilon, "delta": total.delta}
