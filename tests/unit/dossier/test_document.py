"""A dossier's JSON: the same bytes after reading, and nothing in it that the page could not stand."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardgan.dossier.document import (
    MOST_BYTES,
    Bars,
    Curves,
    Document,
    Facts,
    Forest,
    Number,
    Numbers,
    Section,
    Table,
    Text,
)
from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.gates import Judgement, Measured
from wardgan.dossier.page import page
from wardgan.dossier.policy import Policy
from wardgan.errors import FormatError
from wardgan.estimate import Estimate

WORDS = st.text(max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
KINDS = st.sampled_from(["real", "holdout", "synthetic"])
VERDICTS = st.sampled_from(["pass", "warn", "fail", "unjudged", "not asked"])


@st.composite
def estimates(draw):
    open_ = draw(st.sampled_from([None, "low", "high", "all"]))
    value, low, high = draw(FLOATS), draw(FLOATS), draw(FLOATS)
    if open_ == "all":
        value, low, high = math.nan, -math.inf, math.inf
    low, high = (-math.inf if open_ == "low" else low), (math.inf if open_ == "high" else high)
    return Estimate(value, low, high, draw(st.integers(0, 10**9)), draw(WORDS), draw(st.none() | FLOATS))


def lists(of, size=3):
    return st.lists(of, max_size=size)


@st.composite
def axes(draw):
    low = draw(st.floats(1e-6, 1e3))
    return Axis(draw(WORDS), low, low + draw(st.floats(1e-3, 1e6)), draw(st.booleans()))


@st.composite
def lines(draw):
    size = draw(st.integers(1, 3))
    places = st.lists(st.floats(-1e6, 1e6), min_size=size, max_size=size)
    band = draw(st.booleans())
    low, high = (draw(places), draw(places)) if band else ((), ())
    kind = draw(KINDS | st.just("control"))
    return Line(draw(WORDS), kind, sorted(draw(places)), draw(places), low, high, draw(st.booleans()))


@st.composite
def bars(draw):
    labels = draw(lists(WORDS))
    shares = st.lists(st.floats(0, 1), min_size=len(labels), max_size=len(labels))
    return Bars(draw(WORDS), labels, draw(lists(st.tuples(WORDS, KINDS, shares))))


ROWS = st.builds(Row, WORDS, st.none() | estimates(), st.none() | estimates())
NUMBERS = st.builds(Number, WORDS, st.none() | estimates(), st.none() | estimates(), WORDS)
BLOCKS = st.one_of(
    st.builds(Text, WORDS, st.sampled_from(["plain", "quiet", "alarm"])),
    st.builds(Facts, lists(st.tuples(WORDS, WORDS))),
    st.builds(Numbers, WORDS, lists(NUMBERS), WORDS),
    st.builds(Table, WORDS, lists(WORDS), lists(lists(WORDS))),
    st.builds(Forest, WORDS, lists(ROWS), axes(), WORDS),
    st.builds(Curves, WORDS, lists(lines()), axes(), axes(), st.booleans()),
    bars(),
)
MEASURED = st.builds(
    Measured, WORDS, WORDS, st.none() | estimates(), st.none() | estimates(), FLOATS, st.booleans(), WORDS,
    st.booleans(), st.booleans(), st.none() | FLOATS,
)  # fmt: skip
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | WORDS,
    lambda inner: lists(inner) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.builds(
    Document, WORDS, st.sampled_from(["internal", "public"]), st.booleans(), st.dictionaries(WORDS, WORDS, max_size=2),
    st.just(Policy.load("strict").to_dict()), lists(MEASURED), VERDICTS,
    lists(st.builds(Judgement, WORDS, WORDS, VERDICTS, WORDS, st.none() | estimates())), lists(WORDS, 2),
    st.dictionaries(WORDS, PLAIN, max_size=3), lists(st.builds(Section, st.integers(0, 14), WORDS, lists(BLOCKS))),
)  # fmt: skip


@given(DOCUMENTS)
@settings(deadline=None, max_examples=60)
def test_reading_and_writing_again_gives_the_same_bytes_and_the_same_page(document):
    data = document.to_json()
    found = Document.of_json(data, "x.json")
    assert found.to_json() == data
    assert page(found) == page(document)
    assert found.policy == document.policy


def plain():
    """Gives the JSON of a small dossier."""
    blocks = [
        Text("so"), Numbers("risk", [Number("died", Estimate(0.1, 0.0, math.inf, 9, "made up"))]),
        Forest("risk", [Row("died", None)], Axis("risk", 0.0, 1.0)),
        Curves("alive", [Line("real", "real", [0.0, 1.0], [1.0, 0.5])], Axis("t", 0.0, 1.0), Axis("S", 0.0, 1.0)),
        Bars("sex", ["f"], [("real", "real", [1.0])]), Facts([("a", "b")]), Table("t", ["a"], [["b"]]),
    ]  # fmt: skip
    number = Estimate(0.1, 0.0, 0.2, 9, "made up")
    measured, said = [Measured("copies", "", number)], [Judgement("copies", "", "pass", "so", number)]
    made = Document(
        "demo", "public", True, {"bill": "b"}, Policy.load("default").to_dict(), measured, "pass", said, ("A: b",),
        {"seed": 1}, [Section(1, "One", blocks)],
    )  # fmt: skip
    return json.loads(made.to_json())


def block(number):
    return lambda found: found["sections"][0]["blocks"][number]


def put(place, **fields):
    """Sets fields of a part; `...` removes them."""

    def change(found):
        part = place(found)
        part.update(fields)
        for name in [name for name, value in fields.items() if value is ...]:
            del part[name]

    return change


def whole(found):
    return found


EVIL = 'x"><script>alert(1)</script>'
BROKEN = {
    "a field more": (put(whole, hook="x"), "hook"),
    "a field less": (put(whole, facts=...), "facts"),
    "another format": (put(whole, format="other"), "format"),
    "another version": (put(whole, version=2), "version"),
    "version as a text": (put(whole, version="1"), "version"),
    "another edition": (put(whole, edition=EVIL), "edition"),
    "private as a number": (put(whole, private=1), "private"),
    "an unknown verdict": (put(whole, overall=EVIL), "overall"),
    "a verdict of a gate": (put(lambda found: found["judgements"][0], verdict=EVIL), "judgements.0.verdict"),
    "an override that is a list": (put(whole, overrides=[["A: b"]]), "overrides.0"),
    "a digest that is a number": (put(whole, generator={"bill": 3}), "generator.bill"),
    "a number as a text": (put(lambda found: found["measured"][0], chance="0"), "measured.0.chance"),
    "an endless number": (put(lambda found: found["measured"][0], chance=math.inf), "measured.0.chance"),
    "no number": (put(lambda found: found["measured"][0], limit=math.nan), "measured.0.limit"),
    "an estimate with more": (put(lambda found: found["measured"][0]["estimate"], more=1), "measured.0.estimate"),
    "an estimate with less": (put(lambda found: found["measured"][0]["estimate"], n=...), "measured.0.estimate"),
    "an estimate of NaN": (put(lambda found: found["measured"][0]["estimate"], value=math.nan), "measured.0.estimate"),
    "an estimate of nobody": (put(lambda found: found["measured"][0]["estimate"], n=-1), "measured.0.estimate"),
    "an estimate of True": (put(lambda found: found["measured"][0]["estimate"], value=True), "measured.0.estimate"),
    "half a patient": (put(lambda found: found["measured"][0]["estimate"], n=1.5), "measured.0.estimate"),
    "an unknown block": (put(block(0), kind="html"), "sections.0.blocks.0"),
    "a block without a kind": (put(block(0), kind=...), "sections.0.blocks.0"),
    "a tone that is no word": (put(block(0), tone=EVIL), "tone"),
    "a line of an unknown kind": (put(lambda found: block(3)(found)["lines"][0], kind=EVIL), "lines.0.kind"),
    "bars of an unknown kind": (put(block(4), groups=[["real", EVIL, [1.0]]]), "groups.0.1"),
    "a step that is a text": (put(lambda found: block(3)(found)["lines"][0], step=EVIL), "lines.0.step"),
    "a place that is a text": (put(lambda found: block(3)(found)["lines"][0], x=["0", "1"]), "lines.0.x.0"),
    "an axis with a text": (put(lambda found: block(2)(found)["axis"], low=EVIL), "axis.low"),
    "a limit that is a text": (put(block(2), limit=EVIL), "limit"),
    "a fact of three": (put(block(5), rows=[["a", "b", "c"]]), "rows.0"),
    "a section that is a text": (put(lambda found: found["sections"][0], number=EVIL), "sections.0.number"),
    "sections that are a text": (put(whole, sections="x"), "sections"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_dossier_is_refused(name):
    change, place = BROKEN[name]
    found = plain()
    Document.of_json(json.dumps(found).encode(), "x.json")
    change(found)
    with pytest.raises(FormatError) as error:
        Document.of_json(json.dumps(found).encode(), "x.json")
    told = str(error.value)
    assert told.startswith("x.json: is no dossier of version 1 (")
    assert place in told
    assert "script" not in told
    assert len(told) < 600


@pytest.mark.parametrize("data", [
    b"", b"[]", b"null", b"{", b"{}", b'"x"', b"\xff\xfe", b"NaN", b"\xef\xbb\xbf{}",
    b"[" * 100_000, b'{"facts":' * 100_000, b'{"facts":{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}}",
])  # fmt: skip
def test_what_is_no_json_of_a_dossier_is_refused(data):
    with pytest.raises(FormatError, match=r"^x\.json: is "):
        Document.of_json(data, "x.json")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_fact_is_a_number_too(value):
    found = plain()
    found["facts"] = {"a": [value]}
    with pytest.raises(FormatError, match=r"facts"):
        Document.of_json(json.dumps(found).encode(), "x.json")


def test_too_many_bytes_are_not_even_read():
    found = plain()
    size = len(json.dumps(found).encode())
    found["name"] += " " * (MOST_BYTES - size)
    data = json.dumps(found).encode()
    assert len(data) == MOST_BYTES
    assert Document.of_json(data, "x.json").name.startswith("demo")
    with pytest.raises(FormatError, match=f"{MOST_BYTES + 1} bytes are more than {MOST_BYTES}"):
        Document.of_json(data + b" ", "x.json")


def test_each_class_of_the_page_is_a_known_word():
    text = page(Document.of_json(json.dumps(plain()).encode(), "x.json"))
    known = {"line", "bar", "dot", "band", "real", "holdout", "synthetic", "control", "mark", "limit", "grid", "quiet",
             "plain", "alarm", "edition", "edition-public", "verdict", "pass", "word", "wide", "numbers", "figures",
             "diagonal"}  # fmt: skip
    found = {word for words in re.findall(r"""class=["']([^"']*)["']""", text) for word in words.split()}
    assert found <= known
