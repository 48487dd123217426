"""Strict JSON and strict records (the hostile side is in tests/attacks)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import release_kit as kit
from wardgan.errors import FormatError, UsageError
from wardgan.seal import records
from wardgan.seal.json_text import MAX_DEPTH, canonical, parse

plain = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x1FFF, exclude_categories=("Cs", "Cc", "Cf")), max_size=8
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_what_is_written_is_read_again(value):
    data = canonical(value)
    found = parse(data, what="text", cap=10**6)
    assert found == value
    assert canonical(found) == data


@given(st.dictionaries(plain, st.integers(), max_size=6))
def test_order_of_keys_does_not_matter_unless_it_is_kept(found):
    turned = dict(reversed(found.items()))
    assert canonical(found) == canonical(turned)
    assert list(json.loads(canonical(turned, sort=False))) == list(turned)


def test_nothing_but_json_is_written():
    for value in (float("nan"), float("inf"), {1, 2}, {"a": object()}, "\ud800"):
        with pytest.raises(UsageError, match="cannot be written as JSON"):
            canonical(value)


@pytest.mark.parametrize(("depth", "passes"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False)])
def test_depth_is_capped_exactly(depth, passes):
    data = b"[" * depth + b"]" * depth
    if passes:
        parse(data, what="text", cap=1000)
    else:
        with pytest.raises(FormatError, match="deeper than 32"):
            parse(data, what="text", cap=1000)


def test_length_is_capped_exactly():
    assert parse(b"[1]", what="text", cap=3) == [1]
    with pytest.raises(FormatError, match="4 bytes are more than 3"):
        parse(b"[1] ", what="text", cap=3)


def test_keys_are_texts_too():
    with pytest.raises(FormatError, match="control character"):
        parse(b'{"\\u0007": 1}', what="text", cap=100)


def test_letters_of_all_peoples_pass():
    names = ["Größe", "年齢", "العمر", "mm[Hg]", "10\u00a0000", "🟥"]
    assert parse(canonical(names), what="text", cap=100) == names


UNSEEN = ["\n", "\t", "\xad", "\u200c", "\u200d"]
UNSAFE = ["\0", "\r", "\x1b", "\x7f", "\x9b", "\u061c", "\u200b", "\u200e", "\u200f", "\u2028", "\u202a", "\u202e"]
UNSAFE += ["\u2060", "\u2066", "\u206f", "\ufeff", "\ufff9", "\U000e0001", "\U000e007f"]


@pytest.mark.parametrize("letter", UNSEEN + UNSAFE, ids=ascii)
def test_names_have_no_characters_that_nobody_sees(letter):
    for value in ({"name": f"a{letter}b"}, {f"a{letter}b": 1}, {"more": [{"x": f"{letter}"}]}, [f"a{letter}"], letter):
        with pytest.raises(FormatError, match=rf"character U\+{ord(letter):04X}") as found:
            parse(canonical(value), what="text", cap=100, free={"terms"})
        assert str(found.value).isprintable()


@pytest.mark.parametrize("letter", UNSEEN + UNSAFE, ids=ascii)
def test_free_text_may_have_lines_and_joiners_only(letter):
    data = canonical({"name": "x", "terms": {f"a{letter}": [f"b{letter}"]}})
    if letter in UNSEEN:
        assert parse(data, what="text", cap=100, free={"terms"}) == {
            "name": "x",
            "terms": {f"a{letter}": [f"b{letter}"]},
        }
    else:
        with pytest.raises(FormatError, match=rf"character U\+{ord(letter):04X}"):
            parse(data, what="text", cap=100, free={"terms"})
    with pytest.raises(FormatError, match="character"):
        parse(canonical({"more": {"terms": letter}}), what="text", cap=100, free={"terms"})


@pytest.mark.parametrize("place", ["terms", "other"])
def test_depth_of_free_text_is_capped_like_that_of_names(place):
    for depth, passes in ((MAX_DEPTH - 1, True), (MAX_DEPTH, False)):
        data = b'{"%s":' % place.encode() + b"[" * depth + b"]" * depth + b"}"
        if passes:
            parse(data, what="text", cap=1000, free={"terms"})
        else:
            with pytest.raises(FormatError, match="deeper than 32"):
                parse(data, what="text", cap=1000, free={"terms"})


def test_many_keys_are_compared_once():
    """A megabyte of keys, one of them twice: a minute and a half when each was looked for among all before it."""
    keys = ",".join(f'"{number:x}":0' for number in range(90_000))
    with pytest.raises(FormatError, match="the key '15f8f' is there twice"):
        parse(f'{{{keys},"15f8f":1}}'.encode(), what="text", cap=1 << 20)


def test_message_of_a_record_never_shows_the_value():
    with pytest.raises(FormatError) as found:
        records.read_ledger({**kit.LEDGER, "unit": "Jane Doe"}, "privacy.json")
    assert "Jane" not in str(found.value)
    assert str(found.value).startswith("privacy.json: unit: ")


def test_ledger_of_the_package_is_a_record():
    """The real ledger writes what the record reads."""
    from wardgan.privacy.events import Budget, Event
    from wardgan.privacy.ledger import Ledger
    from wardgan.privacy.plan import Plan

    plan = Plan(Budget(1.0), (Event("margins", "gaussian", noise_multiplier=3.8),), 1000, "copula")
    bill = Ledger(plan)
    bill.spend("margins")
    record = records.read_ledger(parse(canonical(bill.to_dict()), what="ledger", cap=10**6), "ledger")
    assert record.spent is not None
    assert 0.9 < record.spent.epsilon <= 1.1
    assert records.read_ledger(Ledger(None).to_dict(), "ledger").mode == "none"
