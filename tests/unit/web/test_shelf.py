"""Lists and searches of a hub, fast and slow."""

import random
from dataclasses import replace

import pytest

from wardgan.hub.entries import Broken
from wardgan.hub.entry import Entry
from wardgan.schema.schema import Schema
from wardgan.seal.reading import Signature
from wardgan.seal.records import Claim
from wardgan.web.shelf import FACETS, Shelf, _day, facets_of

WORDS = ["sbp", "sbpx", "age", "Größe", "heart", "rate", "lactate", "blood pressure", "mm[Hg]"]


def entry(at=0, **changes):
    numbers = random.Random(at)
    names = numbers.sample(WORDS, 3)
    schema = Schema.from_dict(
        {"name": f"set {at % 7}", "table": {name: {"kind": "number", "low": 0, "high": 1} for name in names}
         | ({"arm": {"kind": "category", "levels": ["x", "y"], "label": True}} if at % 2 else {})}
    )  # fmt: skip
    epsilon = numbers.choice([0.5, 1.0, 3.0, 8.0, 20.0, None])
    claim = Claim(mode="none") if epsilon is None else Claim(mode="private", epsilon=epsilon, delta=1e-5)
    found = Entry(
        name=f"n/{at % 40}", tag=str(at), digest=f"sha256:{at:064x}", manifest=f"sha256:{at + 1000:064x}", kind="model",
        title=schema.name, created=f"2026-{at % 12 + 1:02d}-{at % 28 + 1:02d}", privacy=claim, family="copula", licence=None,
        hospitals=1, signature=Signature("verified", f"Hospital {at % 5}", "k"), bytes=10 ** (at % 10), revoked=None, schema=schema,
    )  # fmt: skip
    return replace(found, **changes)


@pytest.fixture(scope="module")
def entries():
    return [entry(at) for at in range(300)]


def slow(entries, words, chosen):
    """The same by looking at each release."""
    found = []
    for one in entries:
        text = one.words()
        parts = "".join(c if c.isalnum() else " " for c in text).split()
        wanted = "".join(c if c.isalnum() else " " for c in words.casefold()).split()
        held = all(any(part.startswith(word) for part in parts) for word in wanted)
        if held and all(value in facets_of(one)[facet] for facet, value in chosen.items()):
            found.append(one)
    return found


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("", {}), ("sbp", {}), ("SB", {}), ("sbp age", {}), ("mm[Hg]", {}), ("gröss", {}), ("größe", {}), ("nothing-here", {}),
        ("", {"privacy": "not private"}), ("", {"privacy": "epsilon 1 to 3", "label": "arm"}), ("heart", {"signer": "Hospital 3"}),
        ("", {"signer": "Nobody"}), ("", {"size": "above 100 MB"}), ("2026", {"data": "tables"}),
    ],
)  # fmt: skip
def test_it_finds_what_looking_at_each_release_finds(entries, words, chosen):
    shelf = Shelf(entries)
    wanted = slow(entries, words, chosen)
    found = shelf.find(words, chosen, limit=1000)
    assert found.total == len(wanted)
    assert {one.digest for one in found.entries} == {one.digest for one in wanted}
    for facet in FACETS:
        counts = {}
        for one in wanted:
            for value in facets_of(one)[facet]:
                counts[value] = counts.get(value, 0) + 1
        assert dict(found.facets[facet]) == counts
        numbers = [count for _, count in found.facets[facet]]
        assert numbers == sorted(numbers, reverse=True)


def test_pages_follow_each_other_newest_first(entries):
    shelf = Shelf(entries)
    every = [one for at in range(0, 300, 40) for one in shelf.find(offset=at, limit=40).entries]
    assert len({one.digest for one in every}) == 300
    assert [one.created for one in every] == sorted((one.created for one in every), reverse=True)
    assert shelf.find(offset=300).entries == ()


def test_bands_of_epsilon():
    bands = {}
    for epsilon in (0.1, 1.0, 1.01, 3.0, 10.0, 10.1):
        bands[epsilon] = facets_of(entry(privacy=Claim(mode="private", epsilon=epsilon, delta=1e-5)))["privacy"]
    assert [bands[one][0] for one in (0.1, 1.0, 1.01, 3.0, 10.0, 10.1)] == [
        "epsilon up to 1", "epsilon up to 1", "epsilon 1 to 3", "epsilon 1 to 3", "epsilon 3 to 10", "epsilon above 10",
    ]  # fmt: skip


def test_an_empty_shelf_and_broken_releases():
    shelf = Shelf([Broken("a", "1", "damaged")]).ready()
    assert (len(shelf), len(shelf.broken)) == (0, 1)
    assert shelf.find("x", {"privacy": "y"}).total == 0
    assert shelf.entry("a", "1") is None
    assert _day(entry(3)) == entry(3).created
