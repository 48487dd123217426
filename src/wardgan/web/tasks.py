"""What is done with the files of releases, in processes of their own: reading them, judging them, drawing from them."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, cast

import pandas as pd

from wardgan.combining.file import kind_of
from wardgan.combining.loading import Opened, open_file
from wardgan.combining.tree import MixtureNode, ModelNode
from wardgan.dossier.cards import card
from wardgan.dossier.gates import Judgement
from wardgan.dossier.looks import DRAWN
from wardgan.dossier.receiver import public_gates, read_dossier
from wardgan.sample.generator import Generator
from wardgan.seal.reading import Signature, read_file, signature_of
from wardgan.seal.records import Claim
from wardgan.web.figures import Figure, figures_of
from wardgan.web.numbers import upward
from wardgan.web.preview import Asked, Drawable, Preview, base_of, pair_of, preview
from wardgan.web.streams import csv_of, write_file

_KEPT: Final = 6
_IMAGES: Final = 12


@dataclass(frozen=True)
class Glance:
    """What a page says of a release beyond its entry.

    Attributes:
        verdict: The worst of its public gates; `None` without a dossier.
        gates: Name, subject, verdict and reason of each.
        override: Who released it against the gates, and why.
        tree: A combined generator with its members.
        look: The synthetic patients, or some images, that its public dossier shows; `None` without one.
    """

    verdict: str | None = None
    gates: tuple[tuple[str, str, str, str], ...] = ()
    override: str | None = None
    tree: Branch | None = None
    look: Look | None = None


@dataclass(frozen=True)
class Look:
    """What synthetic patients look like.

    Attributes:
        figures: One for each of the first columns.
        drawable: How many columns there are to draw.
        images: PNG files in base64, with their labels.
    """

    figures: tuple[Figure, ...] = ()
    drawable: int = 0
    images: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Branch:
    """A generator in a tree.

    Attributes:
        name: What it is called.
        privacy: Its guarantee, in a few words.
        override: Who released it against the gates, and why.
        members: Its parts.
        share: Of the patients that are drawn from the whole, 0 to 1.
        signature: Who signed it, as far as a key of the trust file says.
    """

    name: str
    privacy: str
    override: str | None = None
    members: tuple[Branch, ...] = ()
    share: float = 1.0
    signature: Signature = Signature("unsigned")  # noqa: RUF009 - frozen


class Held:
    """A file that was opened.

    Args:
        opened: What it holds.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @cached_property
    def base(self) -> pd.DataFrame | None:
        """Patients without any condition."""
        return base_of(self.opened.generator)


class Shop:
    """Files that one process has opened; a few of them stay open.

    Args:
        any_signer: Whether unsigned files and unknown keys pass.
        trust: Trust file; `None` for the default one.
    """

    def __init__(
        self, trust: Path | None, *, any_signer: bool, tell: Callable[[object], None] = lambda _part: None
    ) -> None:  # fmt: skip
        self.tell = tell
        self._trust = trust
        self._any = any_signer
        self._held: OrderedDict[Path, Held] = OrderedDict()

    def generator(self, path: Path) -> Drawable:
        """Gives the generator of a file.

        Args:
            path: The file.
        """
        return self.held(path).opened.generator

    def held(self, path: Path) -> Held:
        """Gives a file that was read and checked.

        Args:
            path: The file.
        """
        if path not in self._held:
            self._held[path] = Held(open_file(path, self._trust, required=not self._any))
            while len(self._held) > _KEPT:
                self._held.popitem(last=False)
        self._held.move_to_end(path)
        return self._held[path]


def seen(shop: Shop, path: Path, asked: Asked, base: bool) -> Iterator[Preview]:
    """Yields synthetic patients to look at.

    Args:
        shop: Opens files.
        path: Of the release.
        asked: How many, and which.
        base: Whether patients without any condition are drawn beside them.
    """
    held = shop.held(path)
    yield preview(held.opened.generator, asked, held.base if base else None)


def beside(shop: Shop, one: Path, other: Path, asked: Asked) -> Iterator[list[Figure]]:
    """Yields figures of two releases.

    Args:
        shop: Opens files.
        one: File of a release.
        other: File of another one.
        asked: How many patients of each.
    """
    yield pair_of(shop.generator(one), shop.generator(other), asked)


def csv(shop: Shop, path: Path, asked: Asked) -> Iterator[bytes]:
    """Yields a CSV file of synthetic patients.

    Args:
        shop: Opens files.
        path: Of the release.
        asked: How many, and which.
    """
    return csv_of(shop.generator(path), asked)


def file(shop: Shop, path: Path, asked: Asked, target: Path, kind: str) -> Iterator[int]:
    """Makes a file of synthetic patients or images, tells how many have been drawn, and yields how many it has.

    Args:
        shop: Opens files.
        path: Of the release.
        asked: How many, and which.
        target: The file; what is there is replaced.
        kind: `csv`, `parquet` or `npz`.
    """
    write_file(shop.held(path).opened, asked, target, kind, shop.tell)
    yield asked.n


def page(shop: Shop, path: Path, form: str) -> Iterator[str]:
    """Yields a card of a release; see `wardgan card`.

    Args:
        shop: Opens files.
        path: Of the release.
        form: Which one.
    """
    del shop
    yield card(path, form)


def glance(shop: Shop, path: Path, title: str) -> Iterator[Glance]:
    """Yields what a page says of a release beyond its entry.

    Args:
        shop: Opens files.
        path: Of the release.
        title: What it is called.
    """
    if kind_of(path) == "mixture":
        node = shop.held(path).opened.node
        yield Glance(tree=None if node is None else _tree(title, node))
        return
    model = read_file(path, lambda layout: signature_of(layout, None, required=False))
    if model.dossier is None:
        yield Glance(override=model.card.override)
        return
    document = read_dossier(model)
    gates = [one for one in public_gates(model, document) if one.verdict != "not asked"]
    words = {one.verdict for one in gates}
    worst = next((word for word in ("fail", "warn", "unjudged") if word in words), "pass")
    look = _look(model.generator, cast("int", document.facts["seed"]))
    yield Glance(worst, tuple(map(_gate, gates)), model.card.override, look=look)


def _look(generator: Generator, seed: int) -> Look:
    """Draws the patients of whom the dossier speaks, again."""
    schema = generator.schema
    if schema.images is not None:
        return Look(images=preview(generator, Asked(_IMAGES, seed), None).images)
    drawn = generator.draw(DRAWN, seed=seed).wide()
    figures, drawable = figures_of(schema, drawn, drawn)
    return Look(tuple(figures), drawable)


def _gate(one: Judgement) -> tuple[str, str, str, str]:
    return one.gate, one.about, one.verdict, one.reason


def privacy(claim: Claim) -> str:
    """Gives a guarantee in a few words.

    Args:
        claim: The guarantee.
    """
    return "NOT PRIVATE" if claim.epsilon is None else f"epsilon {upward(claim.epsilon)}"


def _tree(name: str, node: MixtureNode) -> Branch:
    """Gives the members of a combined generator; what is there several times has its share where it comes first."""
    left = {leaf.digest: math.fsum(leaf.joint) for leaf in node.record.leaves}

    def branch(name: str, node: MixtureNode | ModelNode) -> Branch:
        if isinstance(node, ModelNode):
            card = node.facts.card
            return Branch(name, privacy(card.privacy), card.override, (), left.pop(node.digest, 0.0), node.signature)
        members = tuple(branch(member.name, member.node) for member in node.members)
        share = math.fsum(one.share for one in members)
        return Branch(name, privacy(node.record.privacy), None, members, share, node.signature)

    return branch(name, node)


Task = Callable[..., Iterator[object]]
TASKS: Final[Mapping[str, Task]] = {
    "preview": seen, "pair": beside, "csv": csv, "file": file, "card": page, "glance": glance,
}  # fmt: skip
