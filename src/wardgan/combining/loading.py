"""Reading `.hgan` files of either kind: a hospital's generator, or a combined one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from wardgan.combining.file import kind_of, read_mixture
from wardgan.combining.mixture import Mixture
from wardgan.combining.tree import Member, MixtureNode, ModelNode, bounds_of, facts_behind, mixture_of
from wardgan.errors import TrustError
from wardgan.privacy.union import Bounds
from wardgan.sample.generator import Generator
from wardgan.seal import artifact
from wardgan.seal.bill import Rebill
from wardgan.seal.joint import billed, short
from wardgan.seal.reading import Facts, Signature, read_file, signature_of, signed_by
from wardgan.seal.records import Claim


@dataclass(frozen=True)
class Opened:
    """A `.hgan` file that was read, whatever it holds.

    Attributes:
        digest: Its name.
        signature: Who signed it.
        generator: What can be sampled.
        privacy: What is claimed.
        facts: What one generator says of itself; `None` for a combined one.
        node: The tree of a combined generator; `None` for one generator.
    """

    digest: str
    signature: Signature
    generator: Generator | Mixture
    privacy: Claim
    facts: Facts | None
    node: MixtureNode | None


def load(path: str | Path, *, trust: str | Path | None = None) -> Generator | Mixture:
    """Gives the generator of a `.hgan` file, a hospital's own or a combined one; nothing in it is ever executed.

    Args:
        path: The file.
        trust: Trust file: then the file must be signed by a key in it. `None`: an unsigned file and an unknown key
            pass, a wrong signature never does.

    Raises:
        UsageError: The file cannot be opened.
        ArtifactError: A part of it is malformed, too new, damaged or forged, or contradicts another.
        TrustError: The signature is missing, unknown, wrong or belongs to another file.
    """
    return open_file(path, trust, required=trust is not None).generator


def open_file(path: str | Path, trust: str | Path | None, *, required: bool) -> Opened:
    """Gives a file with its signature and its claim; see `load`.

    Args:
        path: The file.
        trust: Trust file; `None` for the default one.
        required: Whether the signature must be there, and from a key of the trust file.
    """
    if kind_of(path) == "model":
        model = read_file(path, lambda layout: signature_of(layout, trust, required=required))
        facts = Facts(model.card, model.ledger, model.generator.schema, model.bound)
        return Opened(model.digest, model.signature, model.generator, model.card.privacy, facts, None)
    node = read_mixture(path, _judge(trust, required=required))
    return Opened(node.digest, node.signature, mixture_of(node), node.record.privacy, None, node)


def inspect(path: str | Path, trust: str | Path | None = None) -> dict[str, object]:
    """Gives the facts of a `.hgan` file for printing; the file is checked as by `load`.

    Args:
        path: The file.
        trust: Trust file that gives the signer a name; `None` for the default one.

    Returns:
        Of a hospital's generator what `wardgan.seal.inspect` gives. Of a combined one `kind` (`mixture`), `bytes`,
        `digest`, `name`, `created`, `package`, `weights`, `overlap`, `privacy` (what it claims), `bounds` (what the
        members' ledgers cost together), `schema`, `signature`, and `tree`: of each member `name`, `share`, `digest`,
        `privacy`, `signature`, `map`, and `members` if it is combined itself. `map` holds for each column of the whole
        that the member has by another name, unit or level what a recipe says of it: `from`, `times`, `plus`, `levels`.
    """
    if kind_of(path) == "model":
        return artifact.inspect(path, trust)
    node = read_mixture(path, _judge(trust, required=False))
    found = bounds_of(facts_behind(node), overlap=node.record.overlap, quick=True)
    left = {one.digest: math.fsum(one.joint) for one in node.record.leaves}
    return {
        "kind": "mixture", "bytes": Path(path).stat().st_size, "digest": node.digest, "name": node.record.name,
        "created": node.record.created, "package": node.record.package, "weights": node.record.weights,
        "overlap": node.record.overlap, "privacy": node.record.privacy.model_dump(), "bounds": found.to_dict(),
        "schema": node.schema.to_dict(), "signature": vars(node.signature),
        "tree": [_branch(member, left) for member in node.members],
    }  # fmt: skip


@dataclass(frozen=True)
class VerifiedMixture:
    """What is known for certain of a combined generator after `verify`.

    Attributes:
        digest: Its name.
        signer: Name of the trusted key that signed it.
        keyid: Id of that key.
        privacy: What it claims.
        bounds: What the members' ledgers cost together, by three assumptions.
        billed: For each generator, by the names on the way to it, what its ledger was billed again for; `None` for one
            without privacy, or if only our own accountant is here and confirms it.
        refusals: Why it is not in order, one sentence each.
    """

    digest: str
    signer: str
    keyid: str
    privacy: Claim
    bounds: Bounds
    billed: Mapping[str, float | None]
    refusals: tuple[str, ...]


def verify_mixture(
    path: str | Path, trust: str | Path | None = None, *, rebill: Rebill | None = None
) -> VerifiedMixture:  # fmt: skip
    """Checks everything about a combined generator: digests, signatures, networks, each ledger and the arithmetic.

    Args:
        path: The file.
        trust: Trust file; `None` for the default one. The file itself must be signed by a key in it.
        rebill: Bills a ledger's JSON again; `None` for the accountant of record, if it is installed.

    Raises:
        TrustError: The file is unsigned, or a signature is unknown, wrong or belongs to something else; or a bill
            cannot be checked.
        FormatError: A ledger's events cost more than it says; and whatever `load` raises.
    """
    node = read_mixture(path, _judge(trust, required=True))
    bills: dict[str, float | None] = {}
    refusals: list[str] = []
    for name, leaf, _ in node.leaves():
        leaf.generator()
        bound = leaf.facts.bound
        bills[name] = None if bound is None else billed(leaf.facts.ledger, bound, rebill)
        if leaf.signature.name is None:
            refusals.append(f"{name}: its release is not signed by a key that you trust ({leaf.signature.status}).")
    bounds = bounds_of(facts_behind(node), overlap=node.record.overlap)
    refusals += claim_problems(node.record.privacy, bounds)
    for name, inner in _inner(node):
        if inner.signature.name is None:
            refusals.append(f"{name}: it is not signed by a key that you trust ({inner.signature.status}).")
        theirs = claim_problems(inner.record.privacy, bounds_of(facts_behind(inner), overlap=inner.record.overlap))
        refusals += [f"{name}: {problem}" for problem in theirs]
    return VerifiedMixture(
        node.digest, str(node.signature.name), str(node.signature.keyid), node.record.privacy, bounds, bills,
        tuple(refusals),
    )  # fmt: skip


def _inner(node: MixtureNode, above: str = "") -> Iterator[tuple[str, MixtureNode]]:
    """Yields the combined generators below one, with the names on the way to them."""
    for member in node.members:
        if isinstance(member.node, MixtureNode):
            yield f"{above}{member.name}", member.node
            yield from _inner(member.node, f"{above}{member.name}/")


def claim_problems(said: Claim, bounds: Bounds) -> list[str]:
    """Gives where a claim is smaller than what the ledgers say.

    Args:
        said: The claim.
        bounds: What the ledgers cost together.
    """
    return short(said.mode, said.epsilon, said.delta, bounds)


def _judge(trust: str | Path | None, *, required: bool) -> Callable[[str, bytes | None], Signature]:
    """Gives who signed the root as it is asked for, and of the members what is known of them."""
    first = True

    def judge(digest: str, envelope: bytes | None) -> Signature:
        nonlocal first
        root, first = first, False
        try:
            return signed_by(digest, envelope, trust, required=required and root)
        except TrustError as error:
            raise error if root else TrustError(f"{digest[:23]}...: {error}") from error

    return judge


def _branch(member: Member, left: dict[str, float]) -> dict[str, object]:
    """Gives a part of the tree; what is there several times has its share where it comes first."""
    node, mapped = member.node, _mapped(member)
    if isinstance(node, ModelNode):
        return {
            "name": member.name, "share": left.pop(node.digest, 0.0), "digest": node.digest,
            "privacy": node.facts.card.privacy.model_dump(), "signature": vars(node.signature),
            "override": node.facts.card.override, "family": node.facts.card.family, "map": mapped,
        }  # fmt: skip
    members = [_branch(one, left) for one in node.members]
    share = math.fsum(cast("float", one["share"]) for one in members)
    return {
        "name": member.name, "share": share, "digest": node.digest, "privacy": node.record.privacy.model_dump(),
        "signature": vars(node.signature), "members": members, "map": mapped,
    }  # fmt: skip


def _mapped(member: Member) -> dict[str, dict[str, object]]:
    """Gives how a member's columns become those of the whole, where they are not the same."""
    return {
        name: {"from": one.name, "times": one.times, "plus": one.plus, "levels": dict(one.levels)}
        for name, one in member.translation.columns.items()
        if one.name != name or not one.plain
    }
