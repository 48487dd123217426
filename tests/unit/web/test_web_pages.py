"""Pages and API of a hub: what they show, what they refuse, and what they never do."""

import io
import json
import re

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import hub_kit
import release_kit
import wardgan as wg
import web_kit as kit
from wardgan.errors import HubError
from wardgan.hub.hub import Hub
from wardgan.seal import artifact
from wardgan.web.app import create_app
from wardgan.web.guard import HEADERS
from wardgan.web.stock import Stock

PAGES = [
    "/", "/?q=sbp", "/releases/cardio/a:1.0", "/releases/region/all:1", "/releases/research/open:1", "/play/cardio/a:1.1?seed=1",
    "/compare", "/compare?a=cardio/a:1.0&b=research/open:1", "/statistics",
]  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="module")
def client(clinic):
    with kit.served(clinic) as (found, _):
        yield found


def told(answer):
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", answer.text))


def test_the_list_shows_each_release_with_its_guarantee(client):
    page = client.get("/")
    assert page.status_code == 200
    words = told(page)
    for said in (
        "5 releases",
        "cardio/a:1.0",
        "epsilon 1",
        "not private",
        "signed by Clinic",
        "unsigned",
        "3 hospitals",
    ):
        assert said in words, said


def test_search_and_facets(client):
    found = client.get("/api/v1/releases", params={"q": "sbp", "privacy": "not private"}).json()
    assert [one["name"] for one in found["releases"]] == ["research/open"]
    assert found["facets"]["privacy"] == [["not private", 1]]
    assert client.get("/api/v1/releases", params={"q": "zzz"}).json()["total"] == 0
    page = client.get("/", params={"q": "sbp", "privacy": "not private"})
    assert "1 release" in told(page)
    assert "Remove the filter" in page.text


def test_a_release_says_what_it_gives_away(client, clinic):
    words = told(client.get("/releases/cardio/a:1.0"))
    for said in (
        "at most 73.2 % certainty",
        "LOINC 8480-6",
        "CC-BY-4.0",
        "about 1,000, as declared",
        "It has no dossier",
    ):
        assert said in words, said
    assert "without any protection" in told(client.get("/releases/research/open:1"))
    tree = told(client.get("/releases/region/all:1"))
    assert "Who is in it" in tree
    # Each member with its share of the patients, and who signed it.
    made = wg.inspect(clinic.region(), trust=clinic.trust)["tree"]
    inner, third = made
    for one in (inner, third, *inner["members"]):
        assert re.search(rf"{one['name']} {100 * one['share']:.1f} % epsilon [0-9.]+ signed by Clinic", tree), one[
            "name"
        ]
    assert sum(one["share"] for one in made) == pytest.approx(1)
    assert client.get("/releases/cardio/a").text == client.get("/releases/cardio/a:1.1").text


def test_what_nobody_known_signed_is_not_opened(client, clinic):
    assert "only what somebody known has signed" in told(client.get("/releases/other/unsigned:1"))
    for path in ("/play/", "/dossiers/", "/api/v1/files/", "/api/v1/preview/", "/api/v1/sample/"):
        assert client.get(f"{path}other/unsigned:1").status_code == 403, path
    with kit.served(clinic, any_signer=True) as (open_, _):
        assert open_.get("/api/v1/preview/other/unsigned:1").status_code == 200


def test_the_same_seed_shows_the_same_patients(client, clinic):
    one, two = (client.get("/api/v1/preview/cardio/a:1.0", params={"n": 30, "seed": 7}).json() for _ in range(2))
    assert one == two
    assert len(one["rows"]) == 30
    generator = wg.load(clinic.file("a"))
    wanted = generator.draw(30, seed=7).wide()
    assert one["columns"] == list(wanted.columns)
    ages = [row[one["columns"].index("age")] for row in one["rows"]]
    assert ages == [str(age) for age in wanted["age"]]
    other = client.get("/api/v1/preview/cardio/a:1.0", params={"n": 30}).json()
    assert client.get("/api/v1/preview/cardio/a:1.0", params={"n": 30, "seed": other["seed"]}).json() == other


def test_conditions_are_honoured_or_refused(client):
    found = client.get(
        "/api/v1/preview/cardio/a:1.0", params={"n": 50, "seed": 1, "where": ["arm=intensive", "age=65.."]}
    ).json()
    table = pd.DataFrame(found["rows"], columns=found["columns"])
    assert set(table["arm"]) == {"intensive"}
    assert table["age"].astype(int).min() >= 65
    both = client.get("/api/v1/preview/cardio/a:1.0", params={"n": 50, "seed": 1, "balance": "arm"}).json()
    assert pd.DataFrame(both["rows"], columns=both["columns"])["arm"].value_counts().tolist() == [25, 25]
    for where in ("arm=nobody", "what=1", "age", "age=200.."):
        answer = client.get("/api/v1/preview/cardio/a:1.0", params={"where": where})
        assert answer.status_code == 400, where
        assert answer.json()["error"]["kind"] == "UsageError"


def test_the_form_asks_for_the_same(client):
    page = client.get(
        "/play/cardio/a:1.0", params={"n": 20, "seed": 3, "is.arm": "intensive", "low.age": "70", "more": "sbp@A=..130"}
    )
    assert page.status_code == 200
    rows = re.findall(r"<tr>(.*?)</tr>", page.text, re.DOTALL)[1:]
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    names = re.findall(r'<th scope="col">(.*?)</th>', page.text)
    table = pd.DataFrame(cells, columns=names)
    assert len(table) == 20
    assert set(table["arm"]) == {"intensive"}
    assert table["age"].astype(int).min() >= 70
    assert table["sbp@A"].astype(int).max() <= 130
    assert '<option value="intensive" selected>intensive</option>' in page.text
    assert "where=arm%3Dintensive" in page.text
    wrong = client.get("/play/cardio/a:1.0", params={"more": "nonsense"})
    assert wrong.status_code == 400
    assert "is not a condition" in told(wrong)
    assert client.get("/play/cardio/a:1.0", params={"n": "many"}).status_code == 400


def test_a_download_is_the_sample(client, clinic):
    answer = client.get("/api/v1/sample/cardio/a:1.0", params={"n": 20_000, "seed": 5, "where": "arm=standard"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert 'filename="a-1.0-5.csv"' in answer.headers["content-disposition"]
    table = pd.read_csv(io.BytesIO(answer.content))
    wanted = wg.load(clinic.file("a")).sample(20_000, seed=5, where={"arm": "standard"})
    assert list(table.columns) == list(wanted.columns)
    np.testing.assert_array_equal(table["age"], wanted["age"])
    assert client.get("/api/v1/sample/cardio/a:1.0", params={"n": 10_000_001}).status_code == 400


def test_the_file_is_the_release(client, clinic):
    answer = client.get("/api/v1/files/cardio/a:1.0")
    assert answer.content == clinic.file("a").read_bytes()
    assert 'filename="a-1.0.hgan"' in answer.headers["content-disposition"]


def test_two_releases_beside_each_other(client):
    words = told(client.get("/compare", params={"a": "cardio/a:1.0", "b": "research/open:1"}))
    assert "NOT PRIVATE" in words
    assert "sbp by visit" in words
    assert client.get("/compare", params={"a": "cardio/a:1.0", "b": "none:1"}).status_code == 404


def test_statistics_count(client):
    words = told(client.get("/statistics"))
    assert "5 releases under 4 names" in words
    assert "not private 1" in words


@pytest.mark.parametrize(
    "path", ["/nothing", "/releases/none:1", "/releases/none", "/play/none:1", "/api/v1/releases/none:1"]
)
def test_what_is_not_there(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    if path.startswith("/api/"):
        assert answer.json()["error"]["message"]
    else:
        assert "All releases" in answer.text


@pytest.mark.parametrize(
    "label", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "a:b:c", "A:1", "%00", "a@sha256:" + "0" * 64, "x" * 300, "https://evil.example/x"]
)  # fmt: skip
def test_strange_names_are_refused(client, label):
    for path in (
        "/releases/",
        "/play/",
        "/dossiers/",
        "/api/v1/files/",
        "/api/v1/sample/",
        "/api/v1/preview/",
        "/api/v1/releases/",
    ):
        assert client.get(path + label).status_code in (400, 404), path


def test_every_answer_has_its_headers(client):
    for path in [*PAGES, "/nothing", "/api/v1/releases", "/static/hub.css", "/static/play.js"]:
        answer = client.get(path)
        for name, value in HEADERS.items():
            assert answer.headers[name] == value, (path, name)
        assert "server" not in answer.headers


def test_nothing_is_written_inline(client):
    """The policy forbids it, so it would not work."""
    for path in PAGES:
        text = client.get(path).text
        assert not re.search(r"<script(?! src=)|\son\w+=|\sstyle=|<style|javascript:", text), path
        assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", text), path


def test_every_control_has_a_name(client):
    for path in PAGES:
        text = client.get(path).text
        for field in re.findall(r"<(?:input|select|textarea)\b[^>]*>", text):
            ids = re.findall(r'\bid="([^"]+)"', field)
            assert 'type="hidden"' in field or "aria-label=" in field or f'for="{ids[0]}"' in text, field
        assert text.count("<h1") == 1, path
        assert len(re.findall(r'\bid="([^"]+)"', text)) == len(set(re.findall(r'\bid="([^"]+)"', text))), path


def test_another_host_name_is_refused(client):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


def test_it_reads_and_never_writes(client):
    for path in ("/", "/releases/cardio/a:1.0", "/api/v1/releases"):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert client.request(method, path).status_code == 405


def test_the_api_describes_itself(client):
    found = client.get("/api/v1/openapi.json").json()
    assert {"/api/v1/releases", "/api/v1/preview/{label}", "/api/v1/sample/{label}", "/api/v1/files/{label}"} <= set(
        found["paths"]
    )


def test_a_hostile_release_is_shown_as_text(tmp_path):
    """HTML, script and templates in every field that a publisher fills in."""
    clinic = hub_kit.Clinic(tmp_path)
    evil = kit.EVIL
    schema = {
        "name": f"set {evil}", "patient": "id", "population": 1000,
        "table": {
            f"age {evil}": {"kind": "integer", "low": 1, "high": 9, "unit": evil, "code": evil},
            f"arm {evil}": {"kind": "category", "levels": [f"a {evil}", f"b {evil}"], "label": True},
        },
        "terms": {"licence": evil, "contact": evil, "purpose": evil},
    }  # fmt: skip
    made = wg.fit(
        wg.read(
            pd.DataFrame({"id": range(1000), f"age {evil}": 5, f"arm {evil}": f"a {evil}"}), wg.Schema.from_dict(schema)
        ),
        wg.Budget(3.0),
    )
    artifact.release(made, tmp_path / "x.hgan", clinic.key, f"A {evil}: {evil}", training_data_id="data-0000001")
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(tmp_path / "x.hgan", "evil:1")
    paths = (
        "/",
        "/releases/evil:1",
        "/play/evil:1?seed=1",
        "/compare?a=evil:1&b=evil:1",
        "/statistics",
        "/?q=%3Cscript%3E",
    )
    with kit.served(clinic) as (client, stock):
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert "<script>alert" not in answer.text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text or path == "/?q=%3Cscript%3E"
        assert "<script>alert" not in client.get("/api/v1/preview/evil:1").json()["figures"][0]["svg"]
        hub.revoke("evil:1", clinic.key, evil)
        stock.refresh()
        page = client.get("/releases/evil:1")
        assert "was revoked by Clinic" in told(page)
        assert "<script>alert" not in page.text
        for path in (
            "/play/evil:1",
            "/api/v1/files/evil:1",
            "/api/v1/sample/evil:1",
            "/api/v1/preview/evil:1",
            "/dossiers/evil:1",
        ):
            answer = client.get(path)
            assert answer.status_code == 403, path
            assert "<script>alert" not in answer.text or path.startswith("/api/")


def test_a_hub_that_goes_away_is_told_and_what_was_known_stays(clinic, tmp_path):
    class Gone(Hub):
        gone = False

        def stamp(self):
            return None if self.gone else super().stamp()

        def entries(self, known):
            if self.gone:
                raise HubError("registry.example cannot be reached.")
            return super().entries(known)

    hub = Gone(clinic.home / "hub", trust=clinic.trust)
    stock = Stock(hub, clinic.trust, pause=0.01)
    stock.refresh()
    assert stock.trouble is None
    hub.gone = True
    stock.refresh()
    with kit.TestClient(create_app(stock, kit.jobs_in(stock)), base_url=kit.HERE) as client:
        words = told(client.get("/"))
        assert "may be old: registry.example cannot be reached." in words
        assert "5 releases" in words


def test_what_is_new_or_revoked_is_seen_and_the_rest_is_not_read_again(tmp_path, monkeypatch):
    clinic = hub_kit.Clinic(tmp_path)
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "a:1")
    stock = Stock(hub, clinic.trust)
    stock.refresh()
    read = []
    from wardgan.hub import entries as module

    real = module.entry_of
    monkeypatch.setattr(module, "entry_of", lambda *args, **more: read.append(args[2]) or real(*args, **more))
    hub.push(clinic.file("b2", created="2026-02-03"), "a:2")
    stock.refresh()
    assert read == ["2"]
    hub.revoke("a:1", clinic.key, "wrong units")
    read.clear()
    stock.refresh()
    assert read == ["1"]
    assert stock.entry("a:1").revoked.reason == "wrong units"
    hub.push(clinic.file("b2"), "a:1", force=True)
    stock.refresh()
    assert stock.entry("a:1").revoked is None
    stock.close()


def test_images_are_shown_as_pictures(tmp_path):
    pytest.importorskip("PIL", reason="images are drawn by Pillow")
    import image_family_kit

    clinic = hub_kit.Clinic(tmp_path)
    made = wg.fit(image_family_kit.cohort(100), wg.Budget(20.0))
    artifact.release(made, tmp_path / "x.hgan", clinic.key, release_kit.OVERRIDE, training_data_id="data-0000001")
    Hub(tmp_path / "hub", trust=clinic.trust).push(tmp_path / "x.hgan", "scans:1")
    with kit.served(clinic) as (client, _):
        found = client.get("/api/v1/preview/scans:1", params={"n": 4, "seed": 1, "where": "finding=benign"}).json()
        assert [one["title"] for one in found["images"]] == ["finding: benign"] * 4
        page = client.get("/play/scans:1?n=4&seed=1")
        assert page.text.count("data:image/png;base64,") == 4
        assert client.get("/play/scans:1?n=65").status_code == 400
        assert client.get("/api/v1/sample/scans:1").status_code == 400
        assert json.dumps(found)
