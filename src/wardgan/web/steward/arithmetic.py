"""What one patient risks where several hospitals are behind a generator, as lines of a drawing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wardgan.web.numbers import upward


@dataclass(frozen=True)
class Cost:
    """What one patient risks, as a line of the drawing.

    Attributes:
        words: Whose patient, and at which delta if it is another one than that of the whole.
        epsilon: What that costs; `None` if nothing protects them.
        share: Of the longest line, 0 to 1.
        kind: `member`, `bound`, `claim` (the bound that the file claims), or `added`.
    """

    words: str
    epsilon: float | None
    share: float
    kind: str


def costs_of(facts: Mapping[str, Any]) -> list[Cost]:
    """Gives what a patient of each hospital risks, and what one of several does: by three assumptions, and added up.

    Args:
        facts: What the combined file says of itself.
    """
    bounds = facts["bounds"]
    leaves = list(_leaves(facts["tree"], ""))
    lines: list[tuple[str, float | None, str]] = []
    for name, claim in leaves:
        other = "" if claim.get("delta") in (None, bounds["delta"]) else f" (at delta {upward(claim['delta'], 6)})"
        lines.append((f"{name}, as its file promises{other}", claim["epsilon"], "member"))
    declared = bounds["overlap"] is not None
    lines.append(("Together: a patient of one of the hospitals", bounds["disjoint"]["epsilon"], "bound"))
    if declared:
        lines.append(
            (
                f"Together: a patient of at most {min(bounds['most'], bounds['sites'])}, as you declare",
                bounds["overlap"]["epsilon"],
                "claim",
            )
        )
    lines.append(
        (f"Together: a patient of all {bounds['sites']}", bounds["worst"]["epsilon"], "bound" if declared else "claim")
    )
    promised = [claim["epsilon"] for _, claim in leaves]
    # Epsilons of several deltas have no sum that means anything.
    if len(leaves) > 1 and None not in promised and {claim.get("delta") for _, claim in leaves} == {bounds["delta"]}:
        lines.append(("The promises added up, which is too careful", sum(promised), "added"))
    longest = max((epsilon for _, epsilon, _ in lines if epsilon is not None), default=1.0) or 1.0
    return [Cost(words, epsilon, 1.0 if epsilon is None else epsilon / longest, kind) for words, epsilon, kind in lines]


def hospitals_in(facts: Mapping[str, Any], bounds: Mapping[str, Any]) -> dict[str, Any]:
    """Gives of one generator of several hospitals what `costs_of` takes.

    Args:
        facts: What its file says of itself.
        bounds: What its hospitals' ledgers cost one patient together.
    """
    tree = [
        {"name": one["name"], "privacy": {"mode": one["ledger"]["mode"], "epsilon": one["ledger"].get("epsilon"),
                                          "delta": one["ledger"].get("delta")}}
        for one in facts["privacy"]["sites"]
    ]  # fmt: skip
    return {"privacy": facts["privacy"], "bounds": bounds, "tree": tree}


def strangers_of(tree: Any) -> list[str]:  # noqa: ANN401 - JSON
    """Gives the members that no key of the trust file signed.

    Args:
        tree: Members, as the combined file says.
    """
    found: list[str] = []
    for member in tree:
        found += [] if member["signature"]["name"] else [str(member["name"])]
        found += strangers_of(member.get("members", ()))
    return found


def _leaves(tree: Any, above: str) -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401 - JSON
    for member in tree:
        name = f"{above}{member['name']}"
        if members := member.get("members"):
            yield from _leaves(members, f"{name} / ")
        else:
            claim = member["privacy"]
            yield name, claim if claim["mode"] == "private" else {"epsilon": None}
