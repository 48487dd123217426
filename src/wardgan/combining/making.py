"""Combining: generators of several hospitals, or of regions, become one file."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan import files
from wardgan._version import __version__
from wardgan.combining.agreement import Given, Keep, agreed
from wardgan.combining.file import Packed, kind_of, pack, packed, read_mixture
from wardgan.combining.leaf import Leaf
from wardgan.combining.notices import alone, loud
from wardgan.combining.recipe import RECIPES, Recipe, Wanted, Weights
from wardgan.combining.records import FORMAT, VERSION
from wardgan.combining.tree import Member, MixtureNode, ModelNode, bounds_of, check_name, facts_behind, ledgers_behind
from wardgan.errors import ArtifactError, FormatError, TrustError, UsageError
from wardgan.privacy.union import Bounds
from wardgan.schema.schema import Schema
from wardgan.seal import keys, sign
from wardgan.seal.artifact import day_of
from wardgan.seal.joint import claim
from wardgan.seal.oci import Layout
from wardgan.seal.reading import Facts, Signature, read_file, signature_of, signed_by

Joint = dict[str, NDArray[np.float64]]
_DEPTH: Final = 8


@dataclass(frozen=True)
class Combined:
    """What came of combining.

    Attributes:
        path: The file.
        digest: Of its index: the name of the release.
        bounds: What the members cost one patient together.
        shares: Share of each member's patients, by name.
        notices: What a person should know.
    """

    path: Path
    digest: str
    bounds: Bounds
    shares: Mapping[str, float]
    notices: tuple[str, ...]


def combine(  # noqa: PLR0913 - what combining may be told, in one place
    members: Sequence[str | Path] | Recipe, path: str | Path, *, name: str | None = None, weights: Weights = "size",
    keep: Keep | Sequence[str] = "common", overlap: int | None = None, key: str | Path | None = None,
    passphrase: bytes | None = None, trust: str | Path | None = None, revoked: Sequence[str] = (),
    created: str | None = None, force: bool = False,
) -> Combined:  # fmt: skip
    """Combines generators into one file that is sampled like any other: a mixture, exactly as its shares say.

    The members are inside, each as its hospital signed it. Combined generators can be combined again.

    Args:
        members: `.hgan` files; or a recipe, which says everything else itself.
        path: The file, usually `region.hgan`.
        name: Of the combined data set; `None` for the name of the file.
        weights: `size`: shares by the declared numbers of patients; `uniform`: equal ones.
        keep: Columns that all members have (`common`), `all` columns, or their names.
        overlap: In how many of the hospitals one patient may be at most, as somebody who knows declares. Without it
            the guarantee is that of a patient who is in all of them.
        key: Private key of whoever combines; `None` leaves the file unsigned. The members keep their signatures.
        passphrase: Of the private key.
        trust: Trust file: then every member must be signed by a key in it.
        revoked: Digests of releases that must not be used any more.
        created: Date, `YYYY-MM-DD`; `None` for `$SOURCE_DATE_EPOCH`, or today.
        force: Whether an existing file may be replaced.

    Raises:
        UsageError: There is no member, weights do not fit, a recipe refers to itself, or a member is there twice.
        SchemaError: The schemas do not fit together; the message says why, column by column.
        ArtifactError: A member is no `.hgan` file, or is damaged.
        TrustError: A member is revoked, unsigned or unknown where a trust file asks for more, or wrongly signed.
        OutputError: The file exists, or cannot be written.
    """
    files.check_new(path, force=force)
    recipe = members
    if not isinstance(recipe, Recipe):
        kept: Keep | tuple[str, ...] = cast("Keep", keep) if isinstance(keep, str) else tuple(keep)
        wanted = tuple(Wanted(Path(one)) for one in members)  # pyright: ignore[reportGeneralTypeIssues]
        recipe = Recipe(name or Path(path).stem, wanted, weights, keep=kept, overlap=overlap)
    private = None if key is None else keys.read_private(key, passphrase=passphrase)
    signing = None if private is None else lambda digest: sign.sign(digest, private)
    with tempfile.TemporaryDirectory() as folder:
        cook = _Cook(trust, frozenset(revoked), day_of(created), Path(folder), signing)
        data, made = cook.cooked(recipe)
        # What a receiver would refuse must not be written.
        whole = Path(folder) / "whole.hgan"
        whole.write_bytes(data)
        try:
            read_mixture(whole, lambda *_: Signature("unsigned"), cook.known)
        except FormatError as error:
            raise UsageError(f"members: nobody could read the combined file: {error}") from error
    files.write_bytes(path, data, force=force)
    return Combined(Path(path), made.digest, made.bounds, made.shares, made.notices)


@dataclass(frozen=True)
class _Made:
    digest: str
    bounds: Bounds
    shares: Mapping[str, float]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class _Cook:
    """Makes recipes, and the recipes in them."""

    trust: str | Path | None
    revoked: frozenset[str]
    day: str
    folder: Path
    signing: Callable[[str], bytes] | None
    own: set[str] = field(default_factory=set[str])
    known: dict[str, Facts] = field(default_factory=dict[str, Facts])

    def cooked(self, recipe: Recipe, above: tuple[Path, ...] = ()) -> tuple[bytes, _Made]:
        nodes: list[tuple[str, ModelNode | MixtureNode]] = []
        parts: list[Packed] = []
        notices: list[str] = []
        for wanted in recipe.members:
            file, more = self._file(wanted.file, above)
            try:
                node = self._node(file)
            except (ArtifactError, TrustError) as error:
                raise type(error)(f"{wanted.file.name}: {error}") from error
            self.known.update(facts_behind(node))
            name = wanted.name or wanted.file.stem
            check_name(name, node)
            nodes.append((name, node))
            parts.append(packed(file))
            notices += more
        _check_once(nodes)
        given = [Given(name, node.schema, one.columns) for (name, node), one in zip(nodes, recipe.members, strict=True)]
        found = agreed(recipe.name, given, keep=recipe.keep, union=recipe.levels == "all")
        members = [Member(name, node, to) for (name, node), to in zip(nodes, found.translations, strict=True)]
        joint, said = shares_of(members, recipe, found.schema)
        leaves = [(digest, facts) for member in members for digest, facts in facts_behind(member.node)]
        bounds = bounds_of(list(dict(leaves).items()), overlap=recipe.overlap)
        notices += [*found.notices, *said, *loud(members, self.trust, self.own), *alone(members)]
        record = {
            "format": FORMAT, "version": VERSION, "package": __version__, "name": found.schema.name,
            "created": self.day, "weights": recipe.weights, "members": [_written(member) for member in members],
            "leaves": [{"digest": digest, "joint": shares.tolist()} for digest, shares in joint.items()],
            "overlap": recipe.overlap, "privacy": {**_CLAIM, **claim(bounds)},
            "schema_fingerprint": found.schema.fingerprint(),
        }  # fmt: skip
        data, digest = pack(record, found.schema, parts, self.signing)
        left = dict(joint)
        shares = {member.name: _share(member.node, left) for member in members}
        return data, _Made(digest, bounds, shares, tuple(dict.fromkeys(notices)))

    def _file(self, file: Path, above: tuple[Path, ...]) -> tuple[Path, list[str]]:
        """Gives the file of a member; a recipe is cooked first."""
        if file.suffix.lower() not in RECIPES:
            return file, []
        place = file.resolve()
        if place in above or len(above) >= _DEPTH:
            chain = " -> ".join(one.name for one in (*above, place))
            raise UsageError(f"members: {chain}: recipes refer to each other in a circle, or too deeply.")
        data, made = self.cooked(Recipe.load(file), (*above, place))
        self.own.add(made.digest)
        target = self.folder / f"{len(list(self.folder.iterdir()))}.hgan"
        target.write_bytes(data)
        return target, [f"{file.name}: {notice}" for notice in made.notices]

    def _node(self, file: Path) -> ModelNode | MixtureNode:
        """Gives a member, read and checked from the first to the last byte."""
        if kind_of(file) == "mixture":
            node = read_mixture(file, self._judge)
            for _, leaf, _ in node.leaves():
                leaf.generator()
            return node
        model = read_file(file, lambda layout: self._judge(layout.digest, layout.envelope, layout))
        facts = Facts(model.card, model.ledger, model.generator.schema, model.bound)
        return ModelNode(model.digest, facts, model.signature, lambda: model.generator)

    def _judge(self, digest: str, envelope: bytes | None, layout: Layout | None = None) -> Signature:
        if digest in self.revoked:
            raise TrustError(f"{digest[:23]}... was revoked by its publisher; leave it out.")
        # What was cooked from a recipe is one's own.
        required = self.trust is not None and digest not in self.own
        if layout is not None:
            return signature_of(layout, self.trust, required=required)
        return signed_by(digest, envelope, self.trust, required=required)


_CLAIM: Final = {"unit": "patient", "neighbours": "add-or-remove"}


def shares_of(
    members: Sequence[Member], recipe: Recipe, schema: Schema
) -> tuple[Joint, list[str]]:  # fmt: skip
    """Gives the probability of each class of each generator within the mixture, each generator once.

    Args:
        members: The parts.
        recipe: Which weights are wanted.
        schema: What the combined patients obey.

    Returns:
        For each generator's digest the probabilities of its classes, in the order in which they are met first; and what
        a person should know.

    Raises:
        UsageError: A weight is for nobody, a number of patients is not declared, or a generator is in two members
            where that has no meaning.
    """
    twice = _shared_leaves(members)
    if twice:
        return _flat(members, recipe, twice)
    weights = _weights(members, recipe)
    joint: Joint = {}
    for member, weight in zip(members, weights, strict=True):
        joint |= {digest: weight * shares for digest, shares in _inner(member.node).items()}
    if recipe.classes:
        joint = _by_class(members, recipe, schema, joint)
    return joint, []


def _weights(members: Sequence[Member], recipe: Recipe) -> NDArray[np.float64]:
    if recipe.weights == "uniform":
        found = np.ones(len(members))
    elif recipe.weights == "declared":
        found = np.array([cast("float", one.weight) for one in recipe.members])
    else:
        found = np.array([float(_size(member.name, member.node)) for member in members])
    found = found / found.max()
    return found / found.sum()


def _size(name: str, node: ModelNode | MixtureNode) -> int:
    """Gives the declared number of patients of a member: of each data set once."""
    sizes: dict[str, int] = {}
    for leaf in facts_behind(node):
        sizes |= _patients(name, leaf)
    return sum(sizes.values())


def _patients(name: str, leaf: tuple[str, Facts]) -> dict[str, int]:
    """Gives the declared number of patients of each data set behind a generator."""
    ledgers, declared = ledgers_behind([leaf]), leaf[1].schema.population
    sizes = {one.patients: one.ledger.population or (declared if len(ledgers) == 1 else None) for one in ledgers}
    found = {patients: size for patients, size in sizes.items() if size is not None}
    if len(found) < len(sizes):
        raise UsageError(
            f"weights: {name} does not declare how many patients it has; say weights=uniform, or give weights."
        )
    return found


def _flat(members: Sequence[Member], recipe: Recipe, twice: Mapping[str, list[str]]) -> tuple[Joint, list[str]]:
    """Gives shares by size where patients are in several members: each data set counts once, wherever it is."""
    first = next(iter(twice.values()))
    if recipe.weights != "size" or recipe.classes:
        raise UsageError(
            f"members: the same patients are in {' and in '.join(first)}; take them out of one, or let weights=size "
            "count each hospital once."
        )
    found: Joint = {}
    leaves = {digest: facts for member in members for digest, facts in facts_behind(member.node)}
    sizes = {digest: _patients(facts.card.name, (digest, facts)) for digest, facts in leaves.items()}
    versions = Counter(patients for one in sizes.values() for patients in one)
    for digest, facts in leaves.items():
        share = sum(size / versions[patients] for patients, size in sizes[digest].items())
        found[digest] = share * np.array(facts.card.probabilities) / sum(facts.card.probabilities)
    whole = sum(float(each.sum()) for each in found.values())
    said = [f"The same patients are in {' and in '.join(where)}: they count once." for where in twice.values()]
    return {digest: each / whole for digest, each in found.items()}, said


def _shared_leaves(members: Sequence[Member]) -> dict[str, list[str]]:
    """Gives the data sets that are behind several members, with the names of these."""
    found: dict[str, list[str]] = {}
    for member in members:
        for name in {one.patients for one in ledgers_behind(facts_behind(member.node))}:
            found.setdefault(name, []).append(member.name)
    return {name: where for name, where in sorted(found.items()) if len(where) > 1}


def _by_class(members: Sequence[Member], recipe: Recipe, schema: Schema, joint: Joint) -> Joint:
    """Gives shares in which the patients of some classes come from members as declared."""
    names = {schema.class_name(index): index for index in range(schema.classes)}
    places = _places(members)
    found = {digest: shares.copy() for digest, shares in joint.items()}
    for name, weights in recipe.classes.items():
        if name not in names:
            raise UsageError(f"classes: {name!r} is no class of the common schema, such as {next(iter(names))}.")
        unknown = sorted(set(weights) - {member.name for member in members})
        if unknown:
            raise UsageError(f"classes: {name}: {unknown[0]!r} is no member.")
        mass: dict[str, float] = {}
        for member in members:
            mass[member.name] = sum(
                float(joint[digest][places[member.name, digest] == names[name]].sum()) for digest in _inner(member.node)
            )
        wanted = {one: weights.get(one, 0.0) if mass[one] > 0 else 0.0 for one in mass}
        if not sum(wanted.values()) > 0:
            raise UsageError(f"classes: {name}: no member with a weight has patients of it.")
        whole, total = sum(mass.values()), sum(wanted.values())
        for member in members:
            factor = whole * wanted[member.name] / total / mass[member.name] if mass[member.name] > 0 else 0.0
            for digest in _inner(member.node):
                found[digest][places[member.name, digest] == names[name]] *= factor
    return found


def _places(members: Sequence[Member]) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Gives for each member and generator the common class of each of its own classes."""
    found: dict[tuple[str, str], NDArray[np.int64]] = {}
    for member in members:
        if isinstance(member.node, ModelNode):
            paths = [(member.node, (member.translation,))]
        else:
            paths = [(leaf, (*path, member.translation)) for _, leaf, path in member.node.leaves()]
        for leaf, path in paths:
            one = Leaf(member.name, leaf.digest, leaf.generator, np.ones(leaf.schema.classes), path)
            found[member.name, leaf.digest] = one.to_class
    return found


def _inner(node: ModelNode | MixtureNode) -> Joint:
    """Gives the probabilities of the classes of each generator within a member."""
    if isinstance(node, ModelNode):
        shares = np.array(node.facts.card.probabilities)
        return {node.digest: shares / shares.sum()}
    return {one.digest: np.array(one.joint) for one in node.record.leaves}


def _share(node: ModelNode | MixtureNode, left: Joint) -> float:
    """Gives the share of a member's patients; what is in several members counts in the first of them."""
    found = [left.pop(digest) for digest, _ in facts_behind(node) if digest in left]
    return float(sum(shares.sum() for shares in found))


def _check_once(nodes: Sequence[tuple[str, ModelNode | MixtureNode]]) -> None:
    seen: dict[str, str] = {}
    names: set[str] = set()
    for name, node in nodes:
        if node.digest in seen:
            raise UsageError(f"members: {seen[node.digest]} and {name} are the same file; name it once.")
        if name in names:
            raise UsageError(
                f"members: two of them have the name {name!r}; give them names of their own in a recipe (name:)."
            )
        seen[node.digest] = name
        names.add(name)


def _written(member: Member) -> dict[str, object]:
    columns: dict[str, object] = {}
    for name, source in member.translation.columns.items():
        said: dict[str, object] = {"column": source.name}
        if (source.times, source.plus) != (1, 0):
            said |= {"times": source.times, "plus": source.plus}
        if source.levels:
            said["levels"] = dict(source.levels)
        columns[name] = said
    kind = "model" if isinstance(member.node, ModelNode) else "mixture"
    return {"name": member.name, "digest": member.node.digest, "kind": kind, "columns": columns}
