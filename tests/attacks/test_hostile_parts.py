"""Files whose digests are right and whose parts lie: the forger knows the format and has no key."""

import json

import pytest

import release_kit as kit
from release_kit import release
from wardgan.errors import FormatError, NetworkError, VersionError
from wardgan.schema.schema import Schema
from wardgan.seal import oci
from wardgan.seal.card import BANNER
from wardgan.seal.json_text import canonical


def set_card(**fields):
    return lambda: kit.forge(card=kit.changed(**fields))


def raw_card(text: str):
    """Puts a text into the card in place of the name's value."""
    return lambda: kit.forge(card=lambda facts: canonical(facts).replace(b'"demo"', text.encode()))


def set_ledger(**fields):
    return lambda: kit.forge(ledger=kit.changed(**fields))


def set_event(**fields):
    return lambda: kit.forge(ledger=lambda bill: {**bill, "events": [kit.changed(**fields)(bill["events"][0])]})


def set_schema(**fields):
    return lambda: kit.forge(schema=kit.changed(**fields))


def with_schema(change, **facts):
    """Changes the schema and tells the card its new fingerprint."""
    schema = change(json.loads(kit.parts().schema))
    mark = Schema.from_dict(schema).fingerprint()
    return lambda: kit.forge(schema=lambda _: schema, card=kit.changed(schema_fingerprint=mark, **facts))


def claim(**fields):
    return {"mode": "private", "epsilon": 1.0, "delta": 1e-5, "unit": "patient", "neighbours": "add-or-remove"} | fields


def manifest(change):
    """Rewrites the model's manifest, keeps the parts."""

    def make() -> bytes:
        from wardgan.seal import tar

        members = kit.members(kit.valid())
        name = next(key for key, value in members.items() if b'"layers"' in value)
        found = json.loads(members.pop(name))
        data = canonical(change(found) or found)
        digest = oci.digest_of(data)
        entry = oci._entry({"mediaType": oci.MANIFEST_TYPE, "digest": digest, "size": len(data)}, oci.CARD_TYPE)
        members["blobs/sha256/" + digest.removeprefix("sha256:")] = data
        members["index.json"] = oci._index([entry])
        return tar.join(members)

    return make


def swap_types(found):
    first, second = found["layers"][0], found["layers"][1]
    first["mediaType"], second["mediaType"] = second["mediaType"], first["mediaType"]


def many_levels(schema):
    columns = {f"c{at}": {"kind": "flag"} for at in range(2000)}
    schema["visits"] = {"key": "visit", "max_visits": 1000, "columns": columns}
    return schema


FORMAT = {
    # JSON
    "deep": (raw_card("[" * 100 + "]" * 100), "deeper than 32"),
    "very deep": (raw_card("[" * 200_000 + "]" * 200_000), "deeper than 32"),
    "key twice": (raw_card('"demo","name":"demo"'), "'name' is there twice"),
    "NaN": (raw_card("NaN"), "NaN is no JSON number"),
    "Infinity": (raw_card("-Infinity"), "-Infinity is no JSON number"),
    "overflow": (raw_card("1e999"), "too large for double"),
    "long number": (raw_card("9" * 5000), "more than 18 digits"),
    "no JSON": (raw_card("nope"), "is not JSON"),
    "not UTF-8": (lambda: kit.forge(card=lambda facts: canonical(facts).replace(b"demo", b"\xff\xfe")), "not UTF-8"),
    "byte order mark": (lambda: kit.forge(card=lambda facts: b"\xef\xbb\xbf" + canonical(facts)), "not JSON"),
    "half a character": (raw_card('"\\ud800"'), "control character U.D800"),
    "terminal escape": (raw_card('"\\u001b[31mred"'), "control character U.001B"),
    "right-to-left override": (raw_card('"a\\u202eb"'), "control character U.202E"),
    "large card": (raw_card('"' + "x" * (1 << 20) + '"'), "more than 1048576"),
    "a list": (lambda: kit.forge(card=lambda _: b"[]"), "format is not 'wardgan'"),
    # card
    "unknown field": (set_card(payload="x"), "payload: Extra inputs are not permitted"),
    "missing field": (set_card(licence=...), "licence: Field required"),
    "other format": (set_card(format="other"), "format is not"),
    "malformed version": (set_card(version="1"), "version is not a text"),
    "older major": (set_card(version="0.9"), "never published"),
    "text for a number": (set_card(latent="3"), "latent"),
    "truth for a number": (set_card(latent=True), "latent"),
    "family as a path": (set_card(family="../../x"), "family"),
    "date": (set_card(created="yesterday"), "created"),
    "shares do not sum to 1": (set_card(probabilities=[0.5, 0.4]), "sum to 0.9"),
    "negative share": (set_card(probabilities=[1.5, -0.5]), "probabilities"),
    "too few shares": (set_card(probabilities=[1.0]), "1 class shares for 2 classes"),
    "network's digest": (set_card(network="sha256:" + "0" * 64), "network does not agree"),
    "digest with a line end": (set_card(network="sha256:" + "0" * 64 + "\n"), "network"),
    "name": (set_card(name="other"), "name does not agree"),
    "variables": (set_card(variables=5), "variables does not agree"),
    "fingerprint": (set_card(schema_fingerprint="sha256:" + "0" * 64), "schema_fingerprint does not agree"),
    "smaller epsilon in the card": (set_card(privacy=claim(epsilon=0.1)), "privacy does not agree"),
    "private card, open ledger": (lambda: kit.forge(ledger=lambda _: kit.OPEN_LEDGER), "without|Nothing protects"),
    "override of a private file": (set_card(override=kit.OVERRIDE), "override excuses only"),
    # ledger
    "empty but private": (set_ledger(events=[]), "its ledger is empty"),
    "rehearsal": (set_ledger(replayable=True), "rehearsal"),
    "unbilled": (set_ledger(unbilled=["counted by hand"]), "without a bill"),
    "overspent": (set_ledger(spent={"epsilon": 1.5, "accountant": "PLD"}), "more than its target"),
    "no epsilon": (set_ledger(epsilon=None), "Epsilon is None"),
    "epsilon 0": (set_ledger(epsilon=0.0), "Epsilon is 0"),
    "delta 1": (set_ledger(delta=1.0), "Delta is 1"),
    "nothing spent": (set_ledger(spent=None), "does not say what was spent"),
    "another unit": (set_ledger(unit="visit"), "unit"),
    "unknown mechanism": (set_event(mechanism="magic"), "mechanism"),
    "noise 0": (set_event(noise_multiplier=0.0), "noise_multiplier"),
    "noise almost 0": (set_event(noise_multiplier=1e-200), "noise_multiplier"),
    "no run": (set_event(steps=0), "steps"),
    "endless runs": (set_event(steps=10**17), "steps"),
    "endless population": (set_event(population=10**12), "population"),
    "unknown event field": (set_event(code="x"), "code: Extra inputs"),
    # schema
    "no column": (set_schema(table={}, visits=None), "schema.json: .*no column"),
    "unknown key": (set_schema(hook="x"), "schema.json: .*unknown key 'hook'"),
    "crossed bounds": (set_schema(table={"age": {"kind": "integer", "low": 9, "high": 1}}), "not below high"),
    "unfinished": (set_schema(table={"age": {"kind": "integer"}}, visits=None), "low and high are not declared"),
    "code for a rule": (set_schema(rules=["__import__('os').system('id') < age"]), "schema.json: rules"),
    "a list for a schema": (lambda: kit.forge(schema=lambda _: []), "schema.json: .*mapping"),
    "millions of variables": (lambda: kit.forge(schema=many_levels), "2000000 variables are more"),
    # page
    "page without header": (lambda: kit.forge(readme=lambda _: b"# demo\n"), "does not repeat the privacy"),
    "page with another epsilon": (
        lambda: kit.forge(readme=lambda page: page.replace(b"epsilon: 1.0", b"epsilon: 0.1")),
        "does not repeat the privacy",
    ),
    "page with two epsilons": (
        lambda: kit.forge(readme=lambda page: page.replace(b"epsilon: 1.0", b"epsilon: 1.0\nepsilon: 1.0")),
        "does not repeat the privacy",
    ),
    "page not UTF-8": (lambda: kit.forge(readme=lambda page: page + b"\xff"), "README.md: is not UTF-8"),
    "page with escapes": (lambda: kit.forge(readme=lambda page: page + b"\x1b[2J"), "control character U.001B"),
    # manifest
    "types swapped": (manifest(swap_types), "once each"),
    "a layer twice": (manifest(lambda found: found["layers"].append(found["layers"][0])), "once each"),
    "a layer left out": (manifest(lambda found: {**found, "layers": found["layers"][:3]}), "once each"),
    "two layers, same bytes": (
        manifest(lambda found: found["layers"][0].update({k: found["layers"][1][k] for k in ("digest", "size")})),
        "same bytes",
    ),
    "foreign layer": (manifest(lambda found: found["layers"][0].update(mediaType="application/x-pickle")), "once each"),
    "title as a path": (
        manifest(lambda found: found["layers"][0].update(annotations={"org.opencontainers.image.title": "../x"})),
        "once each",
    ),
    "unknown manifest field": (manifest(lambda found: {**found, "urls": ["http://example.org"]}), "urls: Extra inputs"),
    "blob from elsewhere": (
        manifest(lambda found: found["layers"][0].update(urls=["http://example.org"])),
        "urls: Extra inputs",
    ),
    "descriptor size": (manifest(lambda found: found["layers"][0].update(size=1)), "its descriptor says 1"),
    "negative size": (manifest(lambda found: found["layers"][0].update(size=-1)), "size"),
    "digest as a path": (manifest(lambda found: found["layers"][0].update(digest="sha256:../../index.json")), "digest"),
    "other digest kind": (manifest(lambda found: found["layers"][0].update(digest="md5:" + "0" * 32)), "digest"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMAT)
def test_lying_part_is_refused(name, tmp_path):
    make, phrase = FORMAT[name]
    path = kit.write(tmp_path, make())
    with pytest.raises(FormatError, match=phrase) as found:
        release.load(path)
    assert type(found.value) is FormatError
    assert len(str(found.value)) < 500
    assert str(found.value).isprintable()


@pytest.mark.parametrize("make", [set_card(version="2.0"), set_card(version="9999.0"), set_ledger(version=2)])
def test_newer_major_version_is_refused(make, tmp_path):
    with pytest.raises(VersionError, match="upgrade wardgan"):
        release.load(kit.write(tmp_path, make()))


def test_newer_minor_version_may_add_to_the_top_of_the_card_only(tmp_path):
    newer = kit.write(tmp_path, kit.forge(card=kit.changed(version="1.7", mood="good")))
    assert release.load(newer).family == "copula"
    deeper = kit.forge(card=kit.changed(version="1.7", privacy=claim(mood="good")))
    with pytest.raises(FormatError, match=r"privacy\.mood: Extra inputs"):
        release.load(kit.write(tmp_path, deeper))


def test_latent_of_the_card_must_be_the_networks(tmp_path):
    with pytest.raises(NetworkError, match=r"latent .float32, N x 7"):
        release.load(kit.write(tmp_path, kit.forge(card=kit.changed(latent=7))))


def test_open_file_without_banner_is_refused(tmp_path):
    """A file that nothing protects must say so on its first page."""
    made = kit.fit(ledger=kit.OPEN_LEDGER)
    path = release.release(made, tmp_path / "open.hgan", override=kit.OVERRIDE, created=kit.DAY)
    assert BANNER in kit_page(path)
    page = kit_page(path).replace(f"\n# {BANNER}\n", "\n# demo\n").encode()
    bill, nothing = kit.OPEN_LEDGER, claim(mode="none", epsilon=None, delta=None)
    facts = kit.changed(privacy=nothing, override=kit.OVERRIDE)
    forged = kit.forge(card=facts, ledger=lambda _: bill, readme=lambda _: page)
    with pytest.raises(FormatError, match="does not say so"):
        release.load(kit.write(tmp_path, forged))
    honest = kit.forge(card=facts, ledger=lambda _: bill, readme=lambda _: kit_page(path).encode())
    assert release.load(kit.write(tmp_path, honest)).privacy["mode"] == "none"


def test_open_file_without_override_is_refused(tmp_path):
    facts = kit.changed(privacy=claim(mode="none", epsilon=None, delta=None))
    with pytest.raises(FormatError, match="only with an override"):
        release.load(kit.write(tmp_path, kit.forge(card=facts, ledger=lambda _: kit.OPEN_LEDGER)))


def test_order_of_columns_survives(tmp_path):
    """Sorting the schema's keys would exchange columns of the network's output."""
    found = release.load(kit.write(tmp_path, kit.valid()))
    assert [column.name for column in found.schema.table] == ["sex", "arm", "age"]


def kit_page(path) -> str:
    import io

    data = path.read_bytes()
    return oci.unpack(io.BytesIO(data), len(data)).parts().readme.decode()
