"""What a person should know of those who are put together: who protects nobody, and who signed what."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from wardgan.combining.tree import Member, MixtureNode, ModelNode
from wardgan.seal import keys
from wardgan.seal.reading import Signature

_SHORT: Final = 16


def of_signature(name: str, signature: Signature) -> list[str]:
    """Gives what must be said of a signature: nothing if a trusted key made it.

    Args:
        name: What was signed.
        signature: Who signed it.

    Example:
        >>> of_signature("alpha", Signature("unsigned"))
        ['alpha: nobody signed it.']
    """
    if signature.status == "unsigned":
        return [f"{name}: nobody signed it."]
    if signature.name is None:
        return [f"{name}: signed by a key that no trust file here knows, {(signature.keyid or '')[:_SHORT]}..."]
    return []


def loud(members: Sequence[Member], trust: str | Path | None, own: Collection[str]) -> list[str]:
    """Gives what must be said aloud: members that nothing protects, that nobody signed, or that a stranger signed.

    Without any trust file every key is unknown, and `inspect` says so of each member: then strangers are not named.

    Args:
        members: The parts.
        trust: Trust file; `None` for the default one, which may be missing.
        own: Digests of what was cooked here.
    """
    asked = trust is not None or keys.default_trust().exists()
    found: list[str] = []
    for name, node in (one for member in members for one in _nodes(member)):
        if isinstance(node, ModelNode) and node.facts.ledger.mode == "none":
            found.append(f"{name}: NOT PRIVATE, and so neither is the whole.")
        known = asked or node.signature.status == "unsigned"
        found += of_signature(name, node.signature) if known and node.digest not in own else []
    return list(dict.fromkeys(found))


def _nodes(member: Member, above: str = "") -> Iterator[tuple[str, ModelNode | MixtureNode]]:
    """Yields a member and all that is in it, with the names on the way."""
    name, node = f"{above}{member.name}", member.node
    yield name, node
    for one in node.members if isinstance(node, MixtureNode) else ():
        yield from _nodes(one, f"{name}/")


def alone(members: Sequence[Member]) -> list[str]:
    """Says what a whole of one member is: a region may have one hospital for now.

    Args:
        members: The parts.
    """
    if len(members) > 1:
        return []
    return [
        f"{members[0].name} is the only member: the whole draws its patients, at its price, and protects no better."
    ]
