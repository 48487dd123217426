"""Files whose digests are right and whose parts lie: the forger knows the format and has no key."""

import io
import json

import pytest

import release_kit as kit
from release_kit import release
from wardgan._version import __version__
from wardgan.errors import DigestError, FormatError, GateError, NetworkError, VersionError
from wardgan.schema.schema import Schema
from wardgan.seal import artifact, oci, tar
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


def set_column(name, **fields):
    """Changes one column of the table, and the fingerprint."""

    def change(schema):
        schema["table"][name] = {**schema["table"][name], **fields}
        return schema

    return with_schema(change)


def renamed(old, new):
    def change(schema):
        schema["table"] = {new if key == old else key: value for key, value in schema["table"].items()}
        return schema

    return with_schema(change)


def in_visits(**fields):
    def change(schema):
        schema["visits"] = {**schema["visits"], **fields}
        return schema

    return with_schema(change)


def batches(number):
    event = {"mechanism": "poisson-gaussian", "noise_multiplier": 50.0, "sampling_rate": 0.01, "steps": 10}
    return [{"name": f"batch {at}", **event} for at in range(number)]


def many_levels(schema):
    columns = {f"c{at}": {"kind": "flag"} for at in range(2000)}
    schema["visits"] = {"key": "visit", "max_visits": 1000, "columns": columns}
    return schema


def AFTER(other, days=9):
    return {"kind": "date", "after": other, "within": days}


def grouped(groups):
    """A schema whose column `arm`'s place is taken by groups; the card still has the fingerprint of `first`."""
    first = {"one": ["a", "b"], "two": ["c"]}

    def change(schema, found):
        schema["table"]["sex"] = {"kind": "category", "groups": found}
        return schema

    mark = Schema.from_dict(change(json.loads(kit.parts().schema), first)).fingerprint()
    return lambda: kit.forge(
        schema=lambda _: change(json.loads(kit.parts().schema), groups), card=kit.changed(schema_fingerprint=mark)
    )


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
    "right-to-left mark": (raw_card('"a\\u200fb"'), "control character U.200F"),
    "Arabic letter mark": (raw_card('"a\\u061cb"'), "control character U.061C"),
    "space without width": (raw_card('"a\\u200bb"'), "control character U.200B"),
    "joiner": (raw_card('"a\\u200db"'), "control character U.200D"),
    "soft hyphen": (raw_card('"a\\u00adb"'), "control character U.00AD"),
    "letters of a tag": (raw_card('"a\\udb40\\udc41b"'), "control character U.E0041"),
    "line end in a name": (raw_card('"a\\nb"'), "control character U.000A"),
    "tab in a name": (raw_card('"a\\tb"'), "control character U.0009"),
    "line end in an event": (set_event(name="a\nb"), "control character U.000A"),
    "line end in a level": (set_column("arm", levels=["a\nb", "c"]), "control character U.000A"),
    "line end in a unit": (set_column("age", unit="a\nb"), "control character U.000A"),
    "nothing in a column": (renamed("age", "ag\u200be"), "control character U.200B"),
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
    "digest with a line end": (set_card(network="sha256:" + "0" * 64 + "\n"), "U.000A"),
    "name": (set_card(name="other"), "name does not agree"),
    "variables": (set_card(variables=5), "variables does not agree"),
    "fingerprint": (set_card(schema_fingerprint="sha256:" + "0" * 64), "schema_fingerprint does not agree"),
    "smaller epsilon in the card": (set_card(privacy=claim(epsilon=0.1)), "privacy does not agree"),
    "private card, open ledger": (lambda: kit.forge(ledger=lambda _: kit.OPEN_LEDGER), "without|Nothing protects"),
    "override without a reason": (set_card(override="why not"), "does not name a person"),
    # ledger
    "empty but private": (set_ledger(events=[]), "its ledger is empty"),
    "rehearsal": (set_ledger(replayable=True), "rehearsal"),
    "unbilled": (set_ledger(unbilled=["counted by hand"]), "without a bill"),
    "overspent": (set_ledger(spent={"epsilon": 1.5, "accountant": "PLD"}), "more than its target"),
    "no epsilon": (set_ledger(epsilon=None), "Epsilon is None"),
    "epsilon 0": (set_ledger(epsilon=0.0), "Epsilon is 0"),
    "epsilon 101": (set_ledger(epsilon=101.0), "Epsilon is 101, more than 100"),
    "endless events": (set_ledger(events=[*kit.LEDGER["events"]] * 1_001), "events: List should have at most 1000"),
    "endless batches": (set_ledger(events=batches(9)), "9 events with batches, more than 8"),
    "absurd claim": (set_event(noise_multiplier=0.1), r"its events cost up to epsilon 110\.\d, the file claims 1"),
    "event without noise": (set_event(noise_multiplier=...), "noise_multiplier is missing"),
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
    "unknown key": (set_schema(hook="x"), "schema.json: .*1 unknown key"),
    "crossed bounds": (set_schema(table={"age": {"kind": "integer", "low": 9, "high": 1}}), "low=9 is above high=1"),
    "dates in a circle": (set_schema(table={"a": AFTER("b"), "b": AFTER("a")}, visits=None), "lead back to itself"),
    "a date after itself": (set_schema(table={"a": AFTER("a")}, visits=None), "lead back to itself"),
    "a date after nothing": (set_schema(table={"a": AFTER("b")}, visits=None), "after='b' is not in the schema"),
    "a date after a list": (set_schema(table={"a": AFTER(["a"])}, visits=None), "after=.* is not text"),
    "a date beyond time": (set_schema(table={"a": AFTER("b", 10**17)}, visits=None), "within=.* is not a whole number"),
    "endless rules": (set_schema(rules=["age > 20"] * 201), "201 rules are more than 200"),
    "a rule that never holds": (set_schema(rules=["age > 110"]), "can never hold, because age is 18 to 110"),
    "a rule as long as a book": (set_schema(rules=["age > 20 and " * 100 + "age > 20"]), "more than 500 characters"),
    "a rule with a call": (set_schema(rules=["missing.__class__(age)"]), "calls something else"),
    "a rule with an attribute": (set_schema(rules=["age.__class__ > 1"]), "may use column names"),
    "a rule with a formatted text": (set_schema(rules=["arm == f'{age}'"]), "may use column names"),
    "an event of nobody": (set_schema(events={"time": "age", "event": "dead"}), "'dead' is not in the schema"),
    "an event at visits": (set_schema(events={"time": "sbp", "event": "arm"}), "measured at visits"),
    "an event that is a list": (set_schema(events={"time": ["age"], "event": "arm"}), "not the name of a column"),
    "unfinished": (set_schema(table={"age": {"kind": "integer"}}, visits=None), "low and high are not declared"),
    "code for a rule": (set_schema(rules=["__import__('os').system('id') < age"]), "schema.json: rules"),
    "formula as a level": (set_column("arm", levels=["=cmd|' /C calc'!A0", "b"]), "as a formula"),
    "formula as a column": (renamed("age", '=HYPERLINK("http://example.org")'), "as a formula"),
    "formula as a visit": (in_visits(grid=["@SUM(A1:A9)", "B"]), "as a formula"),
    "formula as a key": (in_visits(key="-2+3+cmd|' /C calc'!A0"), "as a formula"),
    "formula as the patient": (with_schema(lambda found: {**found, "patient": "=1+f(2)"}), "as a formula"),
    "formula as a unit": (set_column("age", unit='=HYPERLINK("http://example.org")'), "unit, code or group .* as a formula"),
    "formula as a code": (set_column("age", code="=LOINC|cmd!A1"), "unit, code or group .* as a formula"),
    "groups in another order": (grouped({"two": ["c"], "one": ["a", "b"]}), "schema_fingerprint does not agree"),
    "a level of two groups": (grouped({"one": ["a", "b"], "two": ["b"]}), "level 'b' is declared twice"),
    "a group of nothing": (grouped({"one": []}), "schema.json: sex: a group is a list"),
    "groups that are no mapping": (grouped([["a", "b"], ["c"]]), "schema.json: sex: groups is a mapping"),
    "levels beside groups": (
        set_schema(table={"sex": {"kind": "category", "levels": ["a"], "groups": {"one": ["a"]}}}),
        "both say what the levels are",
    ),
    "a group nobody sees": (grouped({"on\u200be": ["a", "b"], "two": ["c"]}), "schema.json: .*shown safely|U\\+200B"),
    "a formula in a group": (grouped({"one": ["=cmd|' /C calc'!A0", "b"]}), "as a formula|does not agree"),
    "millions of levels in groups": (
        grouped({f"g{at}": [f"{at} {k}" for k in range(500)] for at in range(40)}), "20000 levels are more than 10000"
    ),
    "a logarithm of nothing": (
        set_schema(table={"age": {"kind": "number", "low": 0, "high": 9, "scale": "log"}}), "scale=log needs low above 0"
    ),
    "an unknown scale": (
        set_schema(table={"age": {"kind": "number", "low": 1, "high": 9, "scale": "exec"}}), "scale='exec' is not one of"
    ),
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
    "page with another tale": (
        lambda: kit.forge(readme=lambda page: page.replace(b"It holds no patient", b"It is certified by the state")),
        "is not the page that wardgan .* writes for this card",
    ),
    "page with more": (lambda: kit.forge(readme=lambda page: page + b"\nEpsilon is 0.01.\n"), "is not the page"),
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


@pytest.mark.parametrize("make", [set_card(version="2.0"), set_card(version="9999.0"), set_ledger(version=3)])
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


def open_file(page, package=__version__):
    """Gives a file that nothing protects, with a page made from the honest one."""
    facts = {"privacy": claim(mode="none", epsilon=None, delta=None), "override": kit.OVERRIDE, "package": package}
    made = kit.fit(ledger=kit.OPEN_LEDGER)
    honest = artifact._parts(made.generator, made.ledger.found, kit.OVERRIDE, kit.DAY, "data-12345678").readme
    return kit.forge(
        card=kit.changed(**facts, training_data_id="data-12345678"),
        ledger=lambda _: kit.OPEN_LEDGER,
        readme=lambda _: page(honest.decode()).encode(),
    )


NOT_FIRST = {
    "left out": lambda page: page.replace(f"# {BANNER}\n", "# demo\n"),
    "in a comment": lambda page: page.replace(f"# {BANNER}\n", f"<!--\n\n# {BANNER}\n\n-->\n"),
    "in a comment from the header on": lambda page: page.replace("---\n", "---\n<!--\n", 1),
    "in a comment from the name on": lambda page: page.replace("\n# demo\n", "\n# demo\n<!--\n"),
    "in a block of code": lambda page: page.replace(f"# {BANNER}\n", f"```\n\n# {BANNER}\n\n```\n"),
    "in a hidden part": lambda page: page.replace(f"# {BANNER}\n", f"<div hidden>\n\n# {BANNER}\n\n</div>\n"),
    "far below": lambda page: page.replace(f"\n# {BANNER}\n", "\n") + "\n" * 500 + f"\n# {BANNER}\n",
}


@pytest.mark.parametrize("package", [__version__, "99.0"])
@pytest.mark.parametrize("name", NOT_FIRST)
def test_open_file_that_does_not_say_so_first_is_refused(name, package, tmp_path):
    with pytest.raises(FormatError, match=r"README\.md: nothing protects the patients, and the page does not say so"):
        release.load(kit.write(tmp_path, open_file(NOT_FIRST[name], package)))


@pytest.mark.parametrize("package", [__version__, "99.0"])
def test_open_file_that_says_so_passes(package, tmp_path):
    page = kit.write(tmp_path, open_file(lambda page: page, package))
    assert release.load(page).privacy["mode"] == "none"
    assert f"\n# {BANNER}\n" in kit_page(page)


def test_page_of_another_version_is_not_compared_and_never_shown(tmp_path):
    """Its header is, since other programs read that."""
    other = kit.write(
        tmp_path, kit.forge(card=kit.changed(package="99.0"), readme=lambda page: page + b"\nCertified by the state.\n")
    )
    assert release.load(other).family == "copula"
    assert "Certified" not in json.dumps(release.inspect(other))
    lying = kit.forge(
        card=kit.changed(package="99.0"), readme=lambda page: page.replace(b"epsilon: 1.0", b"epsilon: 0.1")
    )
    with pytest.raises(FormatError, match="does not repeat the privacy"):
        release.load(kit.write(tmp_path, lying))


def test_a_name_opens_no_comment_in_the_header(tmp_path):
    """Who shows the header as Markdown must not lose the rest of the page."""
    made = kit.fit(ledger=kit.OPEN_LEDGER, schema={**kit.SCHEMA, "name": "<!-- x", "terms": {"licence": "<!-- y"}})
    page = kit_page(release.release(made, tmp_path / "a.hgan", override=kit.OVERRIDE))
    assert "<!--" not in page
    assert page.split("\n---\n")[1].split("\n\n")[1] == f"# {BANNER}"


def test_open_file_without_override_is_refused(tmp_path):
    facts = kit.changed(privacy=claim(mode="none", epsilon=None, delta=None))
    with pytest.raises(FormatError, match="only with an override"):
        release.load(kit.write(tmp_path, kit.forge(card=facts, ledger=lambda _: kit.OPEN_LEDGER)))


def test_order_of_columns_survives(tmp_path):
    """Sorting the schema's keys would exchange columns of the network's output."""
    found = release.load(kit.write(tmp_path, kit.valid()))
    assert [column.name for column in found.schema.table] == ["sex", "arm", "age"]


@pytest.mark.parametrize("part", ["card", "network", "schema", "privacy", "readme"])
def test_every_part_is_held_against_its_digest(part, tmp_path):
    content = getattr(kit.parts(), part)
    members = kit.members(kit.valid())
    members["blobs/sha256/" + oci.digest_of(content).removeprefix("sha256:")] = content[:-1] + bytes([content[-1] ^ 1])
    title = {kind.media_type: kind.name for kind in (oci.CARD, *oci.LAYERS)}
    names = dict(zip(("card", "network", "schema", "privacy", "readme"), title.values(), strict=True))
    with pytest.raises(DigestError, match=rf"^{names[part]}: its bytes do not match"):
        release.load(kit.write(tmp_path, tar.join(members)))


REAL = [
    "-",
    "+",
    "+/-",
    "-1",
    "+1",
    "=",
    "==",
    "=>5",
    "@home (weekly)",
    "+der(1;7)(q10;p10)",
    "-(X)",
    "a=b(c)",
    "n|a",
    "!",
]


def test_levels_that_only_look_like_formulas_pass(tmp_path):
    schema = {**kit.SCHEMA, "table": {**kit.SCHEMA["table"], "sex": {"kind": "category", "levels": REAL}}}
    found = release.load(release.release(kit.fit(schema=schema), tmp_path / "a.hgan"))
    assert found.schema.column("sex").levels == tuple(REAL)


FORMULAS = ["=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "+cmd|'/C calc'!A0", '-HYPERLINK("http://x")', "=f(1)"]


@pytest.mark.parametrize("field", ["unit", "code"])
@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_do_not_leave_as_units_or_codes(text, field, tmp_path):
    """OMOP files carry both."""
    age = {**kit.SCHEMA["table"]["age"], field: text}
    with pytest.raises(GateError, match=r"would run the unit, code or group .* as a formula"):
        release.release(
            kit.fit(schema={**kit.SCHEMA, "table": {**kit.SCHEMA["table"], "age": age}}), tmp_path / "a.hgan"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", [*FORMULAS, "\uff1df(1)", "\uff20f(1)", "\uff0bcmd|' /C calc'!A0"])
def test_formulas_do_not_leave(text, tmp_path):
    schema = {**kit.SCHEMA, "table": {**kit.SCHEMA["table"], "sex": {"kind": "category", "levels": ["a", text]}}}
    with pytest.raises(GateError, match=r"would run the name or level .* as a formula"):
        release.release(kit.fit(schema=schema), tmp_path / "a.hgan")
    assert list(tmp_path.iterdir()) == []


def test_terms_may_have_lines_and_joiners(tmp_path):
    terms = {"licence": "CC-BY-4.0", "contact": "Dr A\n\tWard 3", "owner": "\u0645\u06cc\u200c\u0631"}
    found = release.load(release.release(kit.fit(schema={**kit.SCHEMA, "terms": terms}), tmp_path / "a.hgan"))
    assert found.schema.terms == terms
    bad = kit.fit(schema={**kit.SCHEMA, "terms": {"contact": "a\u202eb"}})
    with pytest.raises(FormatError, match=r"control character U.202E"):
        release.release(bad, tmp_path / "b.hgan")


def kit_page(path) -> str:
    data = path.read_bytes()
    return oci.unpack(io.BytesIO(data), len(data)).parts().readme.decode()
