"""The tree of a combined generator: hospitals in regions, regions in nations, and what follows from all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wardgan.combining.leaf import Leaf
from wardgan.combining.mixture import Mixture
from wardgan.combining.records import MixtureRecord, name_problem
from wardgan.combining.translate import Translation
from wardgan.errors import FormatError, UsageError
from wardgan.privacy.union import Bounds
from wardgan.sample.generator import Generator
from wardgan.schema.schema import Schema
from wardgan.seal import joint
from wardgan.seal.joint import Behind, behind
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


def facts_behind(node: ModelNode | MixtureNode) -> list[tuple[str, Facts]]:
    """Gives digest and facts of each generator of a node, each once.

    Args:
        node: A generator, or a combined one.
    """
    if isinstance(node, ModelNode):
        return [(node.digest, node.facts)]
    return [(leaf.digest, leaf.facts) for _, leaf, _ in node.leaves()]


def members_below(node: MixtureNode) -> Iterator[Member]:
    """Yields all members of a combined generator, at any depth.

    Args:
        node: The combined one.
    """
    for member in node.members:
        yield member
        if isinstance(member.node, MixtureNode):
            yield from members_below(member.node)


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
    _check_names(leaves)
    for one, (name, leaf, path) in zip(node.record.leaves, leaves, strict=True):
        if len(one.joint) != leaf.schema.classes:
            raise FormatError(f"mixture.json: {name} has {leaf.schema.classes} classes, and {len(one.joint)} shares.")
        found.append(Leaf(name, leaf.digest, leaf.generator, np.array(one.joint), path))
    whole = sum(float(leaf.joint.sum()) for leaf in found)
    if abs(whole - 1) > 1e-6:
        raise FormatError(f"mixture.json: its shares sum to {whole:.6g}, not to 1.")
    return Mixture(node.schema, tuple(found), node.record.privacy.model_dump())


def _check_names(leaves: Sequence[tuple[str, ModelNode, tuple[Translation, ...]]]) -> None:
    problem = next(filter(None, (name_problem(name) for name, _, _ in leaves)), None)
    if problem is not None:
        raise FormatError(f"mixture.json: {problem}; combine again with another name for it in a recipe.")


def check_name(name: str, node: ModelNode | MixtureNode) -> None:
    """Refuses a name of a new member that could not be a level of the column of sites, alone or before names in it.

    Args:
        name: Of the member.
        node: What it is.

    Raises:
        UsageError: Says the name, and how the member gets another one.
    """
    below = [] if isinstance(node, ModelNode) else [f"{name}/{one}" for one, _, _ in node.leaves()]
    problem = next(filter(None, map(name_problem, (name, *below))), None)
    if problem is not None:
        raise UsageError(f"members: {problem}; write {{file: ..., name: another name}} for it in a recipe.")


def ledgers_behind(leaves: Sequence[tuple[str, Facts]]) -> list[Behind]:
    """Gives the ledgers behind generators: of one hospital each, or of several.

    Args:
        leaves: Digest and facts of each.
    """
    return [one for digest, facts in leaves for one in behind(digest, facts.card.training_data_id, facts.ledger)]


def bounds_of(
    leaves: Sequence[tuple[str, Facts]], *, overlap: int | None, quick: bool = False
) -> Bounds:  # fmt: skip
    """Gives what generators cost one patient together.

    Args:
        leaves: Digest and facts of each.
        overlap: In how many hospitals a patient may be, as declared.
        quick: Whether only what takes milliseconds is tried, as for foreign files: the bounds may then be larger.
    """
    return joint.bounds_of(ledgers_behind(leaves), overlap=overlap, quick=quick)


def check_claim(node: MixtureNode) -> None:
    """Refuses a combined generator that claims far less than its members' ledgers say; `verify` looks closely.

    Args:
        node: The combined one.

    Raises:
        FormatError: Says both.
    """
    said, ledgers = node.record.privacy, ledgers_behind(facts_behind(node))
    joint.sites_behind(ledgers)
    if said.mode == "none":
        return
    problem = joint.understated(ledgers, said.epsilon or 0.0, said.delta or 0.0, node.record.overlap)
    if problem is not None:
        raise FormatError(f"mixture.json: {problem}")
