"""A publisher who writes HTML, scripts and templates into everything: pages show it as words, and nothing runs."""

import io
import json
import re

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import markup_kit
import release_kit
import wardgan as wg
import web_kit as kit
from hub_kit import Clinic
from markup_kit import EVIL, LINK, UNSEEN, plain, words
from wardgan.access.people import new_token
from wardgan.errors import FormatError, GateError, SchemaError, UsageError, WardganError
from wardgan.hub.hub import Hub
from wardgan.hub.target import target_of
from wardgan.metadata.croissant import croissant
from wardgan.seal import artifact, keys
from wardgan.seal.records import Claim

OURS = {"Sec-Fetch-Site": "same-origin"}
# Where there is less room, and no stroke.
SHORT = " <img src=x onerror=alert(7)>'\"{{7*7}}"
KEYS = ("contact", "controller", "purpose", "source", "keywords", "legal_basis", "health_data_access_body",
        "health_category", "health_theme", "applicable_legislation", "population_described", "publisher_type")  # fmt: skip


def schema_of(text, link=None):
    """A schema that says one thing wherever a publisher may say something."""
    link = link or text
    return {
        "name": f"set {text}", "patient": f"id {text}", "population": 1000,
        "table": {
            f"sex {text}": {"kind": "flag", "nullable": True},
            f"age {text}": {"kind": "integer", "low": 1, "high": 9, "unit": text, "code": f"LOINC {text}"},
            f"arm {text}": {"kind": "category", "levels": [f"a {text}", f"b {text}"], "label": True},
        },
        "visits": {
            "key": f"visit {text}", "grid": [f"A {text}", f"B {text}"], "complete": True,
            "columns": {f"sbp {text}": {"kind": "integer", "low": 50, "high": 260, "unit": text}},
        },
        "terms": {"licence": link, **{name: [text, link] for name in KEYS}, f"said {text}": {text: [link, 5, None]},
                  "years": 5, "open": True, "nothing": None},
    }  # fmt: skip


def made(home, text, link=None, *, name="South"):
    """A hub with one release that says a text everywhere, and a combined one that holds it and another."""
    home.mkdir(exist_ok=True)
    clinic = Clinic(home)
    signer = home / "signer.key"
    keys.new_key(signer, name=name, trust=clinic.trust)
    hub = Hub(home / "hub", trust=clinic.trust)
    paths, short = [], SHORT if text == EVIL else " words"
    for at, day in ((1, "2026-01-01"), (2, "2026-02-01"), (3, "2026-03-01")):
        # Members are called by their files.
        paths.append(home / f"{at}{short}.hgan")
        artifact.release(
            release_kit.fit(schema=schema_of(text, link)), paths[-1], signer, f"Dr {text}: {text}",
            training_data_id=f"data-000000{at}", created=day,
        )  # fmt: skip
        hub.push(paths[-1], f"x:{at}")
    wg.combine(paths[:2], home / "all.hgan", name=f"all{short}", key=signer, created=release_kit.DAY)
    hub.push(home / "all.hgan", "all:1")
    hub.revoke("x:3", signer, text)
    return clinic


@pytest.fixture(scope="module")
def evil(tmp_path_factory):
    return made(tmp_path_factory.mktemp("evil") / "hub", EVIL, LINK, name=f"North {EVIL}"[:200])


@pytest.fixture(scope="module")
def harmless(tmp_path_factory):
    return made(tmp_path_factory.mktemp("harmless") / "hub", "words")


PAGES = [
    "/", "/?q=set", "/releases/x:1", "/releases/x:3", "/releases/all:1", "/play/x:1?seed=1&n=5", "/play/all:1?seed=1&n=5",
    "/play/x:3?seed=1", "/compare?a=x:1&b=all:1", "/compare?a=x:1&b=x:3", "/statistics", "/filters/label",
    "/filters/licence", "/filters/signer", "/filters/data", "/dossiers/x:1", "/terms/x:1", "/account", "/jobs",
]  # fmt: skip


def opened(clinic, text):
    """Gives what each page shows to somebody who is signed in, whose name and whose terms say the same text."""
    with kit.guarded(clinic, tier="public") as (client, database, rules):
        rules.set("x", "terms", text=f"Be {text}.")
        token = new_token(database, f"Ana {text}"[:200])[0]
        client.post("/sign-in", data={"token": token}, headers=OURS)
        shown = {"/terms/x:1 before": client.get("/terms/x:1").text}
        csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get("/terms/x:1").text)[1]
        digest = rules.of("x").terms
        client.post("/terms/x:1", data={"csrf": csrf, "digest": digest}, headers=OURS)
        order = {"csrf": csrf, "n": "5", "seed": "1", "format": "csv", "balance": f"arm {text}"}
        shown["a file"] = client.post("/play/x:1", data=order, headers=OURS).text
        shown |= {page: client.get(page, headers=OURS).text for page in PAGES}
        for way, params in (
            ("/", {"q": text}), ("/", {"label": text}), ("/compare", {"a": text, "b": text}), (f"/releases/{text}", {}),
            ("/play/x:1", {"seed": "1", f"is.arm {text}": text, f"low.age {text}": text, "more": text, "balance": text}),
            ("/sign-in", {"following": f"/{text}"}),
        ):  # fmt: skip
            shown[f"{way.partition(text)[0]} with {'+'.join(sorted(one.partition(' ')[0] for one in params))}"] = (
                client.get(way, params=params, headers=OURS).text
            )
        return shown


@pytest.fixture(scope="module")
def shown(evil, harmless):
    return opened(evil, EVIL), opened(harmless, "words")


def test_nothing_that_a_publisher_writes_runs(shown):
    """Whoever is hostile gets the same tags and attributes as whoever is not."""
    hostile, usual = shown
    assert hostile.keys() == usual.keys()
    for page, text in hostile.items():
        found = markup_kit.read(text)
        assert found.wrong == [], page
        assert found.marks <= markup_kit.read(usual[page]).marks, page
        for link in found.links:
            assert re.match(r"/(?!/)|#|\?|width=|light |0; url=/(?!/)|$|[0-9]|data:image/|http://purl\.obolibrary\.org/", link), (
                page, link
            )  # fmt: skip
        assert "49" not in re.sub(r"[0-9a-f]{12,}|[0-9.,:]*49[0-9.,:]+|[0-9.,:]+49", "", words(text)), page


def test_what_a_publisher_writes_is_shown_as_it_is(shown):
    hostile, _ = shown
    for page, times in (
        ("/", 3), ("/releases/x:1", 10), ("/releases/x:3", 5), ("/releases/all:1", 6), ("/play/x:1?seed=1&n=5", 5),
        ("/compare?a=x:1&b=all:1", 3), ("/statistics", 2), ("/terms/x:1", 2), ("/account", 1), ("a file", 1),
    ):  # fmt: skip
        assert words(hostile[page]).count(plain(EVIL)) >= times, page
    assert LINK in words(hostile["/releases/x:1"])
    assert words(hostile["/releases/all:1"]).count(plain(SHORT)) >= 3
    assert "<dt>years</dt><dd>5</dd>" in hostile["/releases/x:1"]


def test_figures_and_json_hold_it_as_words(evil):
    with kit.served(evil) as (client, _):
        answer = client.get("/api/v1/preview/x:1?n=5&seed=1")
        assert answer.headers["content-type"] == "application/json"
        found = answer.json()
        assert f"age {EVIL}" in found["columns"]
        assert [markup_kit.read(one["svg"]).wrong for one in found["figures"]] == [[]] * len(found["figures"])
        told = client.get("/api/v1/releases/x:1")
        assert told.headers["content-type"] == "application/json"
        assert told.json()["title"] == f"set {EVIL}"
        answer = client.get("/api/v1/sample/x:1?n=5&seed=1")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="x-1-1.csv"'


def addresses(found):
    """Yields all that a document of linked data names by an address."""
    if isinstance(found, dict):
        for name, value in found.items():
            if name in ("@id", "url", "contentUrl", "license") and isinstance(value, str):
                yield value
            yield from addresses(value)
    elif isinstance(found, list):
        for one in found:
            yield from addresses(one)


@pytest.mark.parametrize("way", ["/api/v1/dcat", "/api/v1/dcat/x:1", "/api/v1/dcat/all:1"])
def test_catalogues_get_addresses_that_are_some(evil, way):
    with kit.served(evil) as (client, _):
        answer = client.get(way)
    assert answer.headers["content-type"] == "application/ld+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    found = list(addresses(answer.json()))
    assert found
    for one in found:
        assert re.fullmatch(r"(?:https?://|urn:wardgan:|mailto:|spdx:)[^\s<>\"{}|\\^`]+", one), one
    assert EVIL.replace('"', '\\"')[:40] in answer.text or plain(EVIL) in json.dumps(answer.json(), ensure_ascii=False)


@pytest.mark.parametrize("odd", ["http://[", "https://[x", "http://", "http://a b", "//x", "data:text/html,x"])
def test_odd_addresses_break_no_catalogue(tmp_path, odd):
    clinic = made(tmp_path / "hub", "words", odd)
    with kit.served(clinic) as (client, _):
        answer = client.get("/api/v1/dcat/x:1")
        assert answer.status_code == 200
        assert odd not in list(addresses(answer.json()))
        assert client.get("/releases/x:1").status_code == 200


def test_a_description_of_a_sample_is_json(evil, tmp_path):
    generator = wg.load(evil.home / f"1{SHORT}.hgan", trust=evil.trust)
    path = tmp_path / "x.csv"
    generator.sample(20, seed=1).to_csv(path, index=False)
    text = croissant(
        path, "csv", generator.schema, privacy=Claim(mode="private", epsilon=1.0, delta=1e-5), digest=f"sha256:{'0' * 64}", seed=1, created="2026-01-01"
    )  # fmt: skip
    found = json.loads(text)
    assert found["name"] == f"set {EVIL}-synthetic"
    assert not any(one.lower().startswith(("javascript:", "data:")) for one in addresses(found) if one != LINK)


def test_the_page_in_a_file_holds_no_tag(evil):
    data = (evil.home / f"1{SHORT}.hgan").read_bytes()
    text = release_kit.oci.unpack(io.BytesIO(data), len(data)).parts().readme.decode()
    body = re.sub(r"```.*?```", "", text.partition("\n---\n")[2], flags=re.DOTALL)
    assert markup_kit.read(body).marks == set()
    assert not re.search(r"(?<!\\)\]\(javascript", body)


# What is refused.


@pytest.mark.parametrize("odd", UNSEEN, ids=ascii)
@pytest.mark.parametrize(
    "where", ["name", "column", "level", "unit", "code", "licence", "contact", "key of terms", "visit"]
)
def test_what_nobody_sees_does_not_leave(tmp_path, odd, where):
    found = schema_of("words")
    column = found["table"]["age words"]
    if where == "name":
        found["name"] = odd
    elif where == "column":
        found["table"][odd] = found["table"].pop("age words")
    elif where == "level":
        found["table"]["arm words"]["levels"][0] = odd
    elif where in ("unit", "code"):
        column[where] = odd
    elif where == "visit":
        found["visits"]["grid"][0] = odd
    else:
        found["terms"][where if where != "key of terms" else odd] = odd if where != "key of terms" else "x"
    with pytest.raises((FormatError, GateError, SchemaError)):
        artifact.release(
            release_kit.fit(schema=found),
            tmp_path / "x.hgan",
            None,
            training_data_id="data-0000001",
            created="2026-01-01",
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("odd", [*UNSEEN, f"a\n{EVIL}"], ids=lambda one: ascii(one)[:12])
def test_what_nobody_sees_is_no_name_and_no_reason(tmp_path, odd):
    clinic = Clinic(tmp_path)
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "a:1")
    with pytest.raises(UsageError, match="printable name"):
        keys.new_key(tmp_path / "odd.key", name=odd)
    with pytest.raises(UsageError, match="reason="):
        hub.revoke("a:1", clinic.key, odd)
    with pytest.raises(WardganError):
        wg.combine([clinic.file("a"), clinic.file("b2", created="2026-02-03", data="data-0000002")], tmp_path / "r.hgan",
                   name=odd, key=clinic.key)  # fmt: skip
    with pytest.raises(WardganError):
        artifact.release(
            release_kit.fit(ledger=release_kit.OPEN_LEDGER), tmp_path / "o.hgan", None, f"Dr Ada: {odd}",
            training_data_id="data-0000001", created="2026-01-01",
        )  # fmt: skip
    assert not (tmp_path / "r.hgan").exists()
    assert not (tmp_path / "o.hgan").exists()


@pytest.mark.parametrize("odd", [EVIL, LINK + "<", "a b", "a\u202eb", "A", "<script>", "a'b", "a{{7*7}}"])
def test_names_and_tags_hold_none_of_it(odd):
    for text in (f"./hub:{odd}:1", f"./hub:x:{odd}"):
        if (text, odd) == ("./hub:x:A", "A"):
            continue  # a tag may have large letters
        with pytest.raises(UsageError):
            target_of(text)


@pytest.mark.parametrize("odd", UNSEEN, ids=ascii)
def test_terms_and_accounts_are_seen(harmless, odd):
    with kit.guarded(harmless) as (_, database, rules):
        with pytest.raises(UsageError, match="some that nobody sees"):
            rules.set("x", "terms", text=odd)
        with pytest.raises(UsageError, match="cannot be the name"):
            new_token(database, odd.replace("\x85", "\x86"))  # the former is a space, and kept as one
