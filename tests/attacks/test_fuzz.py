"""Damaged files never give anything but a refusal or the very same model."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import release_kit as kit
from release_kit import release
from wardgan.errors import NetworkError, WardganError
from wardgan.schema.schema import Schema
from wardgan.seal.json_text import parse
from wardgan.seal.onnx_check import check_network

SIGNED = kit.valid(kit.key(1))
NETWORK = kit.network()
GENEROUS = settings(
    max_examples=300, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip

flips = st.lists(st.tuples(st.integers(0, len(SIGNED) - 1), st.integers(1, 255)), min_size=1, max_size=4)


def same(one, other) -> bool:
    names = ("family", "network", "latent", "probabilities", "privacy", "schema")
    return all(getattr(one, name) == getattr(other, name) for name in names)


@GENEROUS
@given(flips)
def test_flipped_bytes(tmp_path, places):
    data = bytearray(SIGNED)
    for at, change in places:
        data[at] ^= change
    path = kit.write(tmp_path, bytes(data))
    try:
        found = release.load(path)
    except WardganError:
        return
    assert same(found, release.load(kit.write(tmp_path, SIGNED)))


@GENEROUS
@given(st.integers(0, len(SIGNED)), st.integers(0, len(SIGNED)), st.binary(max_size=40))
def test_cut_and_pasted_bytes(tmp_path, at, length, paste):
    data = SIGNED[:at] + paste + SIGNED[at + length :]
    if data == SIGNED:
        return
    try:
        release.load(kit.write(tmp_path, data))
    except WardganError:
        return
    raise AssertionError("a changed file was accepted")


@GENEROUS
@given(st.lists(st.tuples(st.integers(0, len(NETWORK) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_changed_network_is_refused_as_data_or_is_a_plain_generator(places):
    data = bytearray(NETWORK)
    for at, value in places:
        data[at] = value
    try:
        check_network(bytes(data), latent=3, variables=4, classes=2)
    except NetworkError:
        return


@GENEROUS
@given(st.binary(max_size=300))
def test_any_bytes_as_a_network(data):
    try:
        check_network(data, latent=3, variables=4, classes=2)
    except NetworkError:
        return
    raise AssertionError("noise was accepted as a network")


@GENEROUS
@given(st.one_of(st.binary(max_size=60), st.text('{}[]",:0123456789.eE+-\\u null true', max_size=60).map(str.encode)))
def test_any_bytes_as_json(data):
    try:
        parse(data, what="text", cap=1000)
    except WardganError:
        return


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
paths = st.sampled_from(
    [("table",), ("table", "age"), ("table", "age", "low"), ("table", "arm", "levels"), ("table", "sex", "nullable"),
     ("visits",), ("visits", "grid"), ("visits", "columns"), ("visits", "columns", "sbp"), ("rules",), ("terms",),
     ("events",), ("events", "time"), ("rules", 0), ("table", "age", "after"), ("table", "age", "within"),
     ("table", "age", "origin"), ("table", "seen", "after"), ("table", "seen", "within"), ("table", "seen", "origin"),
     ("confirm",), ("population",), ("name",), ("patient",)]
)  # fmt: skip


@GENEROUS
@given(paths, json_values)
def test_any_value_in_the_schema(tmp_path, place, value):
    def change(schema):
        schema["table"]["seen"] = {"kind": "date", "after": "admitted", "within": 9}
        schema["table"]["admitted"] = {"kind": "date", "origin": True}
        schema |= {"rules": ["age > 20"], "events": {"time": "age", "event": "arm"}}
        inner = schema
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = value
        return schema

    try:
        data = kit.forge(schema=change)
    except WardganError:
        return
    try:
        release.load(kit.write(tmp_path, data))
    except WardganError:
        return


words = st.sampled_from([
    "age", "arm", "sex", "sbp", "if", "then", "and", "or", "not", "in", "missing", "present", "true", "false", "None", "(", ")",
    "[", "]", ",", "<", "<=", "==", "!=", ">", "+", "-", "*", "/", "->", "=", ":=", ".", ":", "1", "20", "1e99", "1e999", "0x1",
    '"standard"', "'", '"', '"2020-12-31"', "lambda", "__import__", "f''", "b''", "#", "\n", "\\", "\0", "\u202e", "is", "~",
])  # fmt: skip


@GENEROUS
@given(
    st.one_of(
        st.lists(words, max_size=40).map(" ".join), st.lists(words, max_size=20).map("".join), st.text(max_size=60)
    )
)
def test_any_text_as_a_rule(text):
    try:
        Schema.from_dict({**kit.SCHEMA, "rules": [text]})
    except WardganError:
        return


@GENEROUS
@given(st.sampled_from(sorted(kit.LEDGER)), json_values)
def test_any_value_in_the_ledger(tmp_path, name, value):
    try:
        data = kit.forge(ledger=kit.changed(**{name: value}))
        release.load(kit.write(tmp_path, data))
    except WardganError:
        return
