"""The steward's pages: whose they are, what a form does to a schema, what a fit costs, and what runs at a time."""

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import steward_kit as kit
from wardgan.errors import SchemaError, UsageError, WardganError
from wardgan.privacy.ledger import Ledger
from wardgan.schema.schema import Schema
from wardgan.web.steward import declare, fitting, pages, verbs, views
from wardgan.web.steward.app import ROUTERS
from wardgan.web.steward.places import begin_folder
from wardgan.web.steward.pool import begin_pool
from wardgan.web.steward.project import STEPS, Project, begin
from wardgan.web.steward.training import TRAININGS
from wardgan.web.steward.union import UNIONS, begin_union

EVIL = '<b>"it\'s" & 1.low</b>'
# Each address, and with what it is asked; `post` ones take a form of these pages.
WAYS = {
    "/": "get", "/open": "open", "/projects": "post", "/projects/{name}": "get", "/projects/{name}/{step}": "get",
    "/projects/{name}/editions/{edition}": "get", "/projects/{name}/schema": "post",
    "/projects/{name}/budget": "post", "/projects/{name}/training": "post", "/projects/{name}/stop": "post",
    "/projects/{name}/dossier": "post", "/projects/{name}/release": "post", "/projects/{name}/publish": "post",
    "/revoked": "post", "/combine": "get", "/combine/new": "post", "/combine/{name}": "get", "/combine/{name}/how": "post",
    "/combine/{name}/members": "post", "/combine/{name}/left": "post", "/combine/{name}/publish": "post",
    "/combine/{name}/sign": "post",
    "/combine/{name}/stop": "post",
    "/projects/{name}/survey": "post", "/projects/{name}/tables": "both", "/projects/{name}/tables/file": "get",
    "/combine/{name}/distil": "both", "/combine/{name}/distil/publish": "post",
    "/pool": "get", "/pool/new": "post", "/pool/{name}": "get", "/pool/{name}/like": "post",
    "/pool/{name}/survey": "post", "/pool/{name}/{what}": "get", "/pool/{name}/tables": "post",
    "/pool/{name}/left": "post", "/pool/{name}/how": "post", "/pool/{name}/sign": "post",
    "/pool/{name}/publish": "post", "/pool/{name}/stop": "post",
    "/federate": "get", "/federate/new": "post", "/federate/{name}": "get", "/federate/{name}/agreement": "post",
    "/federate/{name}/kits": "post", "/federate/{name}/kits/{site}.zip": "get", "/federate/{name}/run": "post",
    "/federate/{name}/publish": "post", "/federate/{name}/try": "post", "/federate/{name}/stop": "post",
}  # fmt: skip
METHODS = {"get": ["GET"], "open": ["GET"], "post": ["POST"], "both": ["GET", "POST"]}
POSTS = [way for way, kind in WAYS.items() if kind in ("post", "both")]
UPLOADS = ("/projects", "/pool/new", "/federate/new", "/projects/{name}/survey", "/pool/{name}/tables")
BUDGET = {"epsilon": "3", "delta": "1e-5", "policy": "default", "share": "0.4", "family": "copula"}


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    """Verbs meet no trust file and no ledger of the person who runs the tests, and can be stopped by Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.mktemp("trust") / "trust.json"))
        patch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))
        yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def desk(tmp_path_factory, surroundings):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(scope="module")
def drafted(desk):
    """A project whose schema was guessed."""
    assert desk.send("drafted", kit.patients()).headers["location"] == "/projects/drafted/schema"
    desk.wait("/projects/drafted/schema")
    return desk.home / "drafted"


@pytest.fixture(scope="module")
def ready(desk, drafted):
    """A project whose schema is declared."""
    folder = desk.copied(drafted, "ready")
    given = declare.load(folder / "draft.yaml")
    found = Schema.from_dict({**given, "confirm": None, "population": kit.PEOPLE})
    (folder / "schema.yaml").write_text(found.to_yaml(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(desk, ready):
    """A project with a generator."""
    folder = desk.copied(ready, "trained")
    answer = desk.post("/projects/trained/budget", **BUDGET, train="1")
    assert answer.headers["location"] == "/projects/trained/training"
    assert "It is trained" in desk.wait("/projects/trained/training").text
    return folder


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def tree(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Whose pages they are.


def at(way, name="drafted"):
    return way.format(name=name, step="schema", edition="internal", what="survey", site="alpha")


def test_there_is_no_way_that_this_list_forgets(desk):
    every = [route for router in ROUTERS for route in router.routes]
    found = {(route.path, method) for route in every for method in route.methods - {"HEAD"}}
    assert found == {(way, method) for way, kind in WAYS.items() for method in METHODS[kind]}
    # Nothing else was added to the application but what lies in the folder of static files.
    others = [route for route in desk.app.routes if getattr(route, "original_router", None) not in ROUTERS]
    assert {getattr(route, "path", "") for route in others} - set(WAYS) == {"/static"}


@pytest.mark.parametrize(("way", "kind"), WAYS.items())
@pytest.mark.parametrize("cookie", [None, "another", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_nobody_gets_anything_without_the_word(desk, drafted, way, kind, cookie):
    before = tree(desk.home)
    client = type(desk.client)(desk.app, base_url=kit.HERE)
    headers = kit.OURS | ({} if cookie is None else {"Cookie": f"wardgan-steward={cookie}".encode("latin-1")})
    if kind in ("post", "both"):
        files = {"file": ("a.csv", b"a\n1\n")}
        more = {} if way != "/projects" else {"files": files}
        answer = client.post(at(way), data={"csrf": desk.csrf, "name": "mine", **BUDGET}, headers=headers, **more)
    else:
        answer = client.get(at(way), headers=headers)
    assert answer.status_code == 403
    assert desk.csrf not in answer.text or 'name="csrf"' not in answer.text
    assert "drafted" not in answer.text
    assert tree(desk.home) == before


def test_another_word_opens_nothing(desk):
    client = type(desk.client)(desk.app, base_url=kit.HERE)
    for word in ("", "a", desk.app.state.session.word[:-1], "\N{SNOWMAN}"):
        answer = client.get("/open", params={"word": word}, follow_redirects=False)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
    answer = client.get("/open", params={"word": desk.app.state.session.word}, follow_redirects=False)
    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
    # What the address holds is not what the cookie holds.
    assert desk.app.state.session.word.lower() not in said


def test_another_host_is_refused(desk):
    for host in ("evil.example", "localhost.evil.example", "192.0.2.1"):
        assert desk.client.get("/", headers={"Host": host}).status_code == 400


ELSEWHERE = [
    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"},
    {"Origin": "http://localhost:1"}, {},
]  # fmt: skip


@pytest.mark.parametrize("way", POSTS)
def test_a_form_of_another_page_changes_nothing(desk, ready, way):
    if not (desk.home / UNIONS / "ready").exists():
        begin_union(desk.home, "ready")
        begin_pool(desk.home, "ready")
        begin_folder(desk.home, TRAININGS, "ready")
    before = tree(desk.home)
    form = {"name": "mine", "text": "name: a", **BUDGET, "train": "1", "hospital": "A", "target": "./hub:a:1"}
    upload = {"files": {"file": ("a.csv", b"a\n1\n")}} if way in UPLOADS else {}
    for headers in ELSEWHERE:
        answer = desk.client.post(at(way, "ready"), data={"csrf": desk.csrf, **form}, headers=headers, **upload)
        assert answer.status_code == 403, headers
    for csrf in ({}, {"csrf": ""}, {"csrf": desk.csrf[:-1]}, {"csrf": "\N{SNOWMAN}"}):
        answer = desk.client.post(at(way, "ready"), data={**csrf, **form}, headers=kit.OURS, **upload)
        assert answer.status_code == 403, csrf
    assert tree(desk.home) == before
    assert not (desk.home / "mine").exists()
    assert not desk.app.state.acts.busy(Project(desk.home / "ready"))


def test_an_upload_without_its_word_leaves_no_file(desk):
    large = b"a\n" + b"1\n" * 2_000_000  # more than is held in memory
    before = set(desk.home.iterdir())
    answer = desk.client.post("/projects", data={"name": "mine"}, files={"file": ("a.csv", large)}, headers=kit.OURS)
    assert answer.status_code == 403
    assert set(desk.home.iterdir()) == before
    assert not list((desk.home / ".uploads").iterdir())


def test_every_page_says_what_it_may_do(desk, drafted):
    for path in ("/", "/projects/drafted/schema", "/projects/nobody"):
        answer = desk.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        # The policy allows no style in a page, and no script.
        assert not re.search(r"<script| style=| on\w+=", answer.text)


# Files of patients.


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/b", ".uploads", "A", "a_b", "-a", "a-", "a" * 41, "a b", "ä", "ledger.db"],
)
def test_a_name_that_is_none_is_told(desk, name):
    before = set(desk.home.iterdir())
    answer = desk.send(name, b"a\n1\n")
    assert answer.status_code == 400
    assert "name=" in kit.words(answer)
    assert set(desk.home.iterdir()) == before
    assert desk.get(f"/projects/{name}/schema").status_code in (400, 404)


def test_a_name_is_taken_once(desk, drafted):
    before = tree(drafted)
    answer = desk.send("drafted", b"a\n1\n")
    assert (answer.status_code, tree(drafted)) == (400, before)
    assert "is taken" in answer.text


@pytest.mark.parametrize("file", ["patients.xlsx", "patients", "patients.csv.gz", "..", ".csv", EVIL])
def test_other_files_are_refused_by_their_ending(desk, file):
    answer = desk.send("others", b"a\n1\n", file=file)
    assert answer.status_code == 400
    assert "it must be CSV" in answer.text
    assert "<b>" not in answer.text
    assert not (desk.home / "others").exists()


def test_no_file_is_told(desk):
    for files in ({}, {"file": ("", b"")}):
        answer = desk.client.post(
            "/projects", data={"csrf": desk.csrf, "name": "none"}, files=files or None, headers=kit.OURS
        )
        assert answer.status_code == 400
        assert "choose a file" in answer.text
    assert not (desk.home / "none").exists()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [("empty", b"", "empty"), ("picture", b"\x89PNG\r\n\x1a\n\0\0\0", "not UTF-8"), ("head", b"a,b\n", "no row")],
)
def test_what_is_no_table_is_told(desk, name, data, said):
    assert desk.send(name, data).status_code == 303
    answer = desk.wait(f"/projects/{name}/schema")
    assert answer.status_code == 200
    assert said in (kit.alarm(answer) or ""), kit.alarm(answer)
    assert "Begin a new project" in answer.text
    left = {path.name for path in (desk.home / name).iterdir()}
    assert left <= {"patients.csv", "project.json", "said.txt"}
    # Nothing was declared, and nothing can be.
    assert desk.post(f"/projects/{name}/schema", population="3").status_code == 400
    answer = desk.post(f"/projects/{name}/budget", **BUDGET, train="1")
    assert answer.status_code == 400
    assert {path.name for path in (desk.home / name).iterdir()} == left


def test_what_is_kept_is_private(desk, trained):
    assert mode(desk.home) == mode(desk.home / ".uploads") == mode(trained) == 0o700
    for name in ("patients.csv", "schema.yaml", "schema-fit.yaml", "train.csv", "holdout.csv", "project.json",
                 "said.txt"):  # fmt: skip
        if name != "schema.yaml":  # written by the fixture
            assert mode(trained / name) == 0o600, name
    assert mode(desk.home / "ledger.db") == 0o600
    assert not list((desk.home / ".uploads").iterdir())
    assert (trained / "patients.csv").read_bytes() == kit.patients()


def test_a_file_keeps_its_ending(tmp_path):
    assert Project(tmp_path).data.name == "patients.csv"
    project = begin(tmp_path, "a", ".TSV")
    assert mode(project.folder) == 0o700
    (project.folder / "patients.tsv").touch()
    assert (project.data.name, project.train.name) == ("patients.tsv", "train.tsv")
    with pytest.raises(UsageError, match="taken"):
        begin(tmp_path, "a", ".csv")


# The form of a schema.

SCHEMA = {
    "name": "a", "population": 100,
    "table": {
        "age": {"kind": "integer", "low": 18, "high": 90, "unit": "a", "code": "loinc:1"},
        "arm": {"kind": "category", "levels": ["x", "y"], "label": True},
        "dose": {"kind": "category", "levels": [1, 2]},
        "day": {"kind": "date", "low": "2020-01-01", "high": "2020-12-31"},
        "size": {"kind": "number", "low": 0, "high": 2.5, "step": 0.1, "scale": "log1p"},
        "icd": {"kind": "category", "groups": {"heart": ["I10", "I20"], "other": ["J1"]}},
    },
    "confirm": ["population", "table.age.low", "table.age.high", "table.arm.levels"],
}  # fmt: skip


def given(**more):
    columns = {name: dict(facts) for name, facts in SCHEMA["table"].items()}
    return Schema.from_dict({**SCHEMA, "table": columns | more}).to_dict()


def shown(found):
    """Gives the fields that the page of a schema would send if nothing was touched."""
    fields = {"version": declare.version_of(found), "population": str(found.get("population") or "")}
    for number, row in enumerate(declare.rows_of(found)):
        fields |= {f"{number}.kind": row.facts["kind"], f"{number}.levels": row.levels.replace("\n", "\r\n")}
        fields |= {f"{number}.{name}": str(row.facts.get(name, "")) for name in ("low", "high", "unit", "code")}
        fields |= {
            f"{number}.{flag}": "on" for flag in ("nullable", "label", "sensitive", "learn") if row.facts.get(flag)
        }
    return fields


def said(changes=(), without=(), found=None):
    found = given() if found is None else found
    form = {key: value for key, value in (shown(found) | dict(changes)).items() if key not in without}
    return declare.schema_of(declare.declared(found, form)).to_dict()


@pytest.fixture(autouse=True, scope="module")
def scale_is_one():
    try:
        given()
    except SchemaError:
        SCHEMA["table"]["size"].pop("scale")


def test_a_form_that_nobody_touched_changes_nothing():
    assert said() == given()


def test_what_a_field_says_is_declared():
    found = said({"0.low": "20", "0.high": "99.0", "0.unit": "years", "0.nullable": "on", "0.sensitive": "on",
                  "3.low": "2019-02-03", "population": "1,200"}, ["1.label"])["table"]  # fmt: skip
    assert found["age"] == {"kind": "integer", "low": 20, "high": 99, "unit": "years", "code": "loinc:1",
                            "nullable": True, "sensitive": True}  # fmt: skip
    assert found["arm"] == {"kind": "category", "levels": ["x", "y"]}
    assert found["day"]["low"] == "2019-02-03"
    assert said({"population": "1,200"})["population"] == 1200
    assert "population" not in said({"population": " "})


def test_a_column_of_another_kind_forgets_its_values():
    # The form still shows what the old kind declared, and a new kind does not look at it.
    assert said({"0.kind": "category", "0.levels": "a\r\n b \r\n\r\nc"})["table"]["age"] == {
        "kind": "category", "levels": ["a", "b", "c"], "unit": "a", "code": "loinc:1",
    }  # fmt: skip
    assert said({"1.kind": "flag"}, ["1.label"])["table"]["arm"] == {"kind": "flag"}
    assert said({"1.kind": "number"}, ["1.label"])["table"]["arm"] == {"kind": "number"}
    assert said({"4.kind": "integer", "4.high": "3"})["table"]["size"] == {"kind": "integer", "low": 0, "high": 3}
    with pytest.raises(SchemaError, match="age"):
        said({"0.kind": "date"})


def test_whole_levels_stay_whole():
    assert said({"2.levels": "1\r\n2\r\n3"})["table"]["dose"]["levels"] == [1, 2, 3]
    assert said({"2.levels": "1\r\nmany"})["table"]["dose"]["levels"] == [1, "many"]
    assert said({"1.levels": "1\r\n2"})["table"]["arm"]["levels"] == ["1", "2"]


def test_groups_stay():
    assert said({"5.levels": "other"})["table"]["icd"] == given()["table"]["icd"]


def test_learned_bounds_are_left_empty():
    found = said({"0.learn": "on", "0.low": "", "0.high": ""})["table"]["age"]
    assert found == {"kind": "integer", "unit": "a", "code": "loinc:1", "learn": True}


def test_only_ticks_shorten_what_waits_for_a_word():
    whole = list(SCHEMA["confirm"])
    assert said({"0.low": "1", "population": "90"})["confirm"] == whole
    assert said({"0.sure": "on"})["confirm"] == ["population", "table.arm.levels"]
    assert said({"1.drop": "on"})["confirm"] == whole[:3]
    assert said({"sure": "on"})["confirm"] == whole[1:]
    assert "confirm" not in said({"sure": "on", "0.sure": "on", "1.sure": "on"})
    # A tick where nothing waits, or of a column that is not there, is nothing.
    assert said({"2.sure": "on", "17.sure": "on", "confirm": ""})["confirm"] == whole


def test_a_column_is_left_out():
    assert list(said({"0.drop": "on", "4.drop": "on"})["table"]) == ["arm", "dose", "day", "icd"]
    with pytest.raises(SchemaError, match="no column"):
        said({f"{number}.drop": "on" for number in range(6)})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"0.low": "eighteen"}, "age"), ({"0.low": "nan"}, "age"), ({"0.high": "1e999"}, "age"), ({"0.low": "91"}, "age"),
        ({"0.low": "1.5"}, "age"), ({"3.low": "yesterday"}, "day"), ({"0.kind": "person"}, "age"), ({"0.kind": ""}, "age"),
        ({"population": "many"}, "population"), ({"population": "0"}, "population"), ({"population": "-3"}, "population"),
        ({"population": "1" * 5000}, "population"), ({"1.levels": "a\r\na"}, "arm"),
        ({"0.high": "\N{SUPERSCRIPT TWO}"}, "age"), ({"0.high": "\N{ARABIC-INDIC DIGIT TWO}x"}, "age"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_column(changes, what):
    with pytest.raises(SchemaError, match=what):
        said(changes)


def test_a_form_of_another_schema_is_refused():
    found = given()
    old = shown(found)
    del found["table"]["age"]
    found["confirm"] = ["population"]
    with pytest.raises(UsageError, match="open the page again"):
        declare.declared(found, old)


def test_names_with_dots_do_not_answer_for_each_other():
    table = {"a": {"kind": "integer", "low": 0, "high": 1}, "a.b": {"kind": "integer", "low": 0, "high": 1}}
    found = Schema.from_dict(
        {"name": "a", "table": table, "confirm": ["table.a.low", "table.a.b.low", "table.a.b.high", "table.c.low"]}
    ).to_dict()
    assert [row.waiting for row in declare.rows_of(found)] == [("low",), ("low", "high")]
    assert declare.others_waiting(found) == ["table.c.low"]
    assert said({"0.sure": "on"}, found=found)["confirm"] == ["table.a.b.low", "table.a.b.high", "table.c.low"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "not YAML"), ("- 1", "mapping"), ("", "mapping"), ("name: a\ntable: {}", "no column"), ("[" * 3000, "YAML"),
        ("name: a\nname: b\ntable: {a: {kind: flag}}", "twice"), ("name: a\nday: 2020-02-30", "YAML"),
        ("name: !!python/object/apply:os.system ['true']", "YAML"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_schema_is_told(text, what):
    with pytest.raises(SchemaError, match=what):
        declare.from_text(text)


def test_a_page_with_a_mistake_keeps_what_was_written(desk, drafted):
    desk.copied(drafted, "kept")
    form = kit.form_of(desk.get("/projects/kept/schema"))
    answer = desk.post("/projects/kept/schema", **form | {"1.low": "fifty", "2.unit": "mm Hg", "1.sensitive": "on"})
    assert "is not a number" in kit.alarm(answer)
    assert kit.form_of(answer) == form | {"1.low": "fifty", "2.unit": "mm Hg", "1.sensitive": "on"}
    assert not (desk.home / "kept" / "schema.yaml").exists()
    text = "name: kept\ntable: [" + EVIL
    answer = desk.post("/projects/kept/schema", text=text)
    assert "not YAML" in kit.alarm(answer)
    assert "&lt;b&gt;" in answer.text
    assert "<b>" not in answer.text
    assert "<details open>" in answer.text
    assert not (desk.home / "kept" / "schema.yaml").exists()


def test_the_page_of_a_draft_round_trips_and_is_checked(desk, drafted):
    folder = desk.copied(drafted, "checked")
    form = kit.form_of(desk.get("/projects/checked/schema"))
    answer = desk.post("/projects/checked/schema", **form)
    assert answer.headers["location"] == "/projects/checked/schema"
    page = desk.wait("/projects/checked/schema")
    assert "the values that a draft took from patients are confirmed (not yet: 11)" in page.text
    assert mode(folder / "schema.yaml") == 0o600
    assert declare.load(folder / "schema.yaml") == declare.load(folder / "draft.yaml")
    # It was not confirmed, so nothing leads on; and what waits is shown.
    assert "Choose the budget" not in page.text
    assert "from patients: low, high" in page.text
    # A page that was opened before is of another schema by now.
    form = kit.form_of(desk.get("/projects/checked/schema"))
    changed = {**declare.load(folder / "schema.yaml"), "population": 300}
    (folder / "schema.yaml").write_text(Schema.from_dict(changed).to_yaml(), encoding="utf-8")
    answer = desk.post("/projects/checked/schema", **form)
    assert answer.status_code == 400
    assert "open the page again" in answer.text
    assert declare.load(folder / "schema.yaml")["population"] == 300


def test_what_breaks_the_schema_is_shown_with_its_rows(desk, drafted):
    desk.copied(drafted, "broken")
    form = kit.form_of(desk.get("/projects/broken/schema"))
    desk.post("/projects/broken/schema", **form | {"1.high": "130"})
    page = desk.wait("/projects/broken/schema")
    assert "does not obey the schema yet" in page.text
    assert ">stops<" in page.text
    assert "sbp" in page.text


def test_names_and_levels_are_text_and_nothing_else(desk):
    import csv
    import io

    names = ["id", EVIL, "1.low", "a.b", "{{ 7*7 }}", "0.drop"]
    levels = [EVIL, '"', "{% raw %}", "</textarea><script>", "yes", "1.0"]
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(names)
    rows.writerows(
        [f"p{at}", levels[at % 6], at % 50, levels[(at + 1) % 6], levels[at % 3], at % 7] for at in range(120)
    )
    desk.send("hostile", text.getvalue().encode())
    page = desk.wait("/projects/hostile/schema")
    assert kit.alarm(page) is None
    for evil in ("<b>", "<script>", "</textarea><script", ">49<"):
        assert evil not in page.text, evil
    draft = declare.load(desk.home / "hostile" / "draft.yaml")
    assert set(names[1:]) == set(draft["table"])
    desk.post("/projects/hostile/schema", **kit.form_of(page))
    assert ">stops<" not in desk.wait("/projects/hostile/schema").text
    assert declare.load(desk.home / "hostile" / "schema.yaml") == draft
    desk.post("/projects/hostile/schema", text=Schema.from_dict(draft).to_yaml())
    desk.wait("/projects/hostile/schema")
    assert declare.load(desk.home / "hostile" / "schema.yaml") == draft


# The budget.


def test_the_page_shows_what_the_plan_says(desk, ready):
    folder = desk.copied(ready, "planned")
    answer = desk.post("/projects/planned/budget", **BUDGET)
    assert answer.headers["location"] == "/projects/planned/budget"
    page = desk.get("/projects/planned/budget")
    # The fit sees those who are not set aside.
    assert declare.load(folder / "schema-fit.yaml")["population"] == 240
    words = ["plan", "schema-fit.yaml", "--epsilon", "3", "--delta", "1e-5", "--family", "copula", "--json"]
    done = subprocess.run([sys.executable, "-m", "wardgan", *words], cwd=folder, capture_output=True, check=True)
    events = json.loads(done.stdout)["events"]
    shares = re.findall(r'<th scope="row">([^<]*)</th><td>(\w+)</td><td><meter[^>]*>([\d.]+)</meter>', page.text)
    assert shares == [(one["name"], one["mechanism"], str(one["share"])) for one in events]
    assert "epsilon 3, delta 1e-05" in kit.words(page)
    assert "Nothing was spent on these patients before" in page.text
    # What was said is there without its table, which the page shows itself.
    assert "Protected: each patient" in page.text
    assert not set("┏┃┡│└") & set(page.text)
    assert not (folder / "run").exists()
    assert kit.form_of(page)["epsilon"] == "3"


@pytest.mark.parametrize(
    "wrong",
    [{"epsilon": "a lot"}, {"epsilon": EVIL}, {"delta": "small"}, {"share": "1"}, {"share": "-0.1"}, {"share": "half"},
     {"share": "nan"}, {"epsilon": "nan"}, {"family": "--help"}],
)  # fmt: skip
def test_nonsense_is_told_and_nothing_begins(desk, ready, wrong):
    name = "nonsense"
    folder = desk.home / name if (desk.home / name).exists() else desk.copied(ready, name)
    desk.post(f"/projects/{name}/budget", **BUDGET | wrong)
    page = desk.get(f"/projects/{name}/budget")
    assert page.status_code == 200
    assert kit.alarm(page)
    assert "Traceback" not in page.text
    assert "<b>" not in page.text
    assert 'name="train"' not in page.text
    assert "family" in wrong or wrong.items() <= kit.form_of(page).items()
    answer = desk.post(f"/projects/{name}/budget", **BUDGET | wrong, train="1")
    assert answer.status_code == 400
    assert not desk.app.state.acts.busy(Project(folder))
    assert not {"run", "train.csv"} & {path.name for path in folder.iterdir()}


def test_what_is_not_confirmed_is_not_trained_on(desk, drafted):
    folder = desk.copied(drafted, "waiting")
    answer = desk.post("/projects/waiting/budget", **BUDGET, train="1")
    assert answer.status_code == 400
    (folder / "schema.yaml").write_bytes((folder / "draft.yaml").read_bytes())
    desk.post("/projects/waiting/budget", **BUDGET)
    page = desk.get("/projects/waiting/budget")
    assert "still come from patients" in kit.alarm(page)
    assert 'name="train"' not in page.text
    answer = desk.post("/projects/waiting/budget", **BUDGET, train="1")
    assert answer.status_code == 400
    assert "still come from patients" in answer.text
    assert not desk.app.state.acts.busy(Project(folder))
    assert not {"run", "train.csv", "holdout.csv"} & {path.name for path in folder.iterdir()}


def test_steps_come_in_their_order(desk, ready):
    folder = desk.copied(ready, "ordered")
    before = tree(folder)
    forms = {"training": {}, "dossier": {}, "release": {"hospital": "A"}, "publish": {"target": "./hub:a:1"}}
    for step, form in forms.items():
        assert desk.get(f"/projects/ordered/{step}").url.path == "/projects/ordered/budget"
        answer = desk.post(f"/projects/ordered/{step}", **form)
        assert answer.status_code == 400
        assert "budget comes first" in answer.text
    assert tree(folder) == before
    assert desk.get("/projects/ordered/nothing").status_code == 404
    assert desk.get("/projects/ordered/publish/more").status_code == 404
    assert desk.get("/projects/nobody/schema").status_code == 404


def ledger(desk):
    done = subprocess.run(
        [sys.executable, "-m", "wardgan", "ledger", "show", "--ledger", "ledger.db", "--json"],
        cwd=desk.home, capture_output=True, check=True,
    )  # fmt: skip
    return {one["name"]: one for one in json.loads(done.stdout)["datasets"]}


def test_p14_the_same_file_under_another_name_is_the_same_patients(desk, ready):
    """Others are set aside each time, so the ledger itself cannot see it."""
    desk.copied(ready, "first")
    desk.post("/projects/first/budget", **BUDGET, counted_with="first", train="1")
    assert "It is trained" in desk.wait("/projects/first/training").text
    before = ledger(desk)
    folder = desk.copied(ready, "again")
    Project(folder).choose(digest="first")
    page = desk.get("/projects/again/budget")
    assert "Counted with the data set first : the same file was used before" in kit.words(page)
    assert 'name="counted_with"' not in page.text
    # What a form says does not change it.
    desk.post("/projects/again/budget", **BUDGET, counted_with="again", train="1")
    assert "It is trained" in desk.wait("/projects/again/training").text
    after = ledger(desk)
    assert set(after) == set(before)
    assert [len(one["first"]["entries"]) for one in (before, after)] == [1, 2]
    assert after["first"]["total"]["epsilon"] > before["first"]["total"]["epsilon"] * 1.2


def test_a_character_that_no_verb_can_be_told(desk):
    answer = desk.send("nul", kit.patients(), patient="a\0b")
    assert (answer.status_code, "patient: it holds a character" in answer.text) == (400, True)
    assert not (desk.home / "nul").exists()


def test_the_same_file_is_known_by_its_bytes(desk):
    data = kit.patients()
    for name in ("bytes", "bytes-again"):
        assert desk.send(name, data).status_code == 303
        desk.wait(f"/projects/{name}")
    assert desk.send("bytes-other", data + b"\n").status_code == 303
    desk.wait("/projects/bytes-other")
    Project(desk.home / "bytes").choose(dataset="theirs")
    assert Project(desk.home / "bytes-again").same == "theirs"
    assert Project(desk.home / "bytes-other").same is None


def test_p14_a_project_that_nobody_trained_hides_none_that_was(desk):
    for name in ("one-a", "one-b", "one-c"):
        begin(desk.home, name, ".csv").choose(digest="one")
    Project(desk.home / "one-b").choose(dataset="one-b")
    assert Project(desk.home / "one-c").same == "one-b"
    assert Project(desk.home / "one-a").same == "one-b"
    assert Project(desk.home / "one-b").same is None
    for name in ("one-a", "one-b", "one-c"):
        shutil.rmtree(desk.home / name)


def test_p14_a_fit_that_has_not_billed_yet_is_counted(desk):
    """It is in no ledger for a moment, and another one may begin in that moment."""
    first, second = (begin(desk.home, name, ".csv") for name in ("two-a", "two-b"))
    first.choose(dataset="two-a")
    with pytest.raises(UsageError, match="say with whom"):
        fitting.dataset_of(second, [])
    second.choose(counted_with="two-a")
    assert fitting.dataset_of(second, []) == "two-a"
    for project in (first, second):
        shutil.rmtree(project.folder)


def test_p14_two_that_begin_at_the_same_moment_are_told_apart(desk, ready, monkeypatch):
    """The ledger is asked first, which takes a moment; what it said may be old when the data set is settled."""
    folders = [desk.copied(ready, name) for name in ("three-a", "three-b")]
    for folder in folders:
        Project(folder).choose(digest="three", counted_with=folder.name, **BUDGET)
    meet, real = threading.Barrier(2), fitting.dataset_of

    def known(_project):
        meet.wait(10)
        return []

    def slow(project, found):
        name = real(project, found)
        time.sleep(0.5)
        return name

    def train(folder):
        with pytest.raises(UsageError, match="enough"):
            fitting.train(desk.app.state.acts, Project(folder))

    monkeypatch.setattr(fitting, "counted", known)
    monkeypatch.setattr(fitting, "dataset_of", slow)
    monkeypatch.setattr(fitting, "planned", lambda *_: {"problem": "enough"})
    threads = [threading.Thread(target=train, args=(folder,)) for folder in folders]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len({Project(folder).chosen["dataset"] for folder in folders}) == 1
    for folder in folders:
        shutil.rmtree(folder)


def test_p14_of_another_file_a_person_says_whose_patients_these_are(desk, ready, trained):
    folder = desk.copied(ready, "other")
    Project(folder).choose(counted_with="")
    before = ledger(desk)
    page = desk.post("/projects/other/budget", **BUDGET, train="1")
    assert page.status_code == 400
    assert "say with whom these patients are counted" in kit.words(page)
    for name in ("nowhere", "--cap"):
        assert desk.post("/projects/other/budget", **BUDGET, counted_with=name, train="1").status_code == 400
    assert ledger(desk) == before
    assert not (folder / "run").exists()
    shown = desk.get("/projects/other/budget").text
    for name in before:
        assert f'value="{name}"' in shown
    desk.post("/projects/other/budget", **BUDGET, counted_with="other", train="1")
    desk.wait("/projects/other/training")
    assert "other" in ledger(desk)


def test_a_second_training_costs_nothing(desk, trained):
    before = tree(trained)
    spent = ledger(desk)["trained"]
    assert spent["total"]["epsilon"] == pytest.approx(3, abs=0.01)
    answer = desk.post("/projects/trained/budget", **BUDGET | {"epsilon": "9", "share": "0.1"}, train="1")
    assert answer.status_code == 400
    assert "another fit costs again" in answer.text
    assert desk.post("/projects/trained/training").status_code == 303
    page = desk.wait("/projects/trained/training")
    assert "is finished" in kit.alarm(page)
    assert "It is trained" in page.text
    # What it was begun with stays, too.
    told = {Path("said.txt"), Path("progress.json")}
    assert {path: data for path, data in tree(trained).items() if path not in told} == {
        path: data for path, data in before.items() if path not in told
    }
    assert ledger(desk)["trained"] == spent


def test_the_bar_shows_what_was_spent_under_the_cap(desk, trained):
    command = [sys.executable, "-m", "wardgan", "ledger", "cap", "--ledger", "ledger.db", "--epsilon", "6"]
    subprocess.run(command, cwd=desk.home, capture_output=True, check=True)
    page = desk.get("/projects/trained/budget")
    assert "So far epsilon 3 was spent on these patients, this fit among it of a cap of 6" in kit.words(page)
    assert re.search(r'<meter min="0" max="6\.0" high="5\.4" value="2\.99\d*">', page.text)
    assert 'name="train"' not in page.text


@pytest.mark.slow
def test_a_fit_that_the_cap_refuses_says_so_where_it_was_begun(desk, ready):
    command = [sys.executable, "-m", "wardgan", "ledger", "cap", "--ledger", "ledger.db", "--epsilon", "6"]
    subprocess.run(command, cwd=desk.home, capture_output=True, check=True)
    folder = desk.copied(ready, "capped")
    answer = desk.post("/projects/capped/budget", **BUDGET | {"epsilon": "7", "share": "0"}, train="1")
    assert answer.status_code == 303
    page = desk.wait("/projects/capped/training")
    assert page.url.path == "/projects/capped/budget"
    assert "cap" in kit.alarm(page)
    assert not Project(folder).begun
    assert not ledger(desk).get("capped", {}).get("entries")


# What runs.


def slow(project, source=None, steps=120):
    return [*_WORDS(project, source), "--set", f"steps={steps}", "--set", "width=8", "--set", "noise_inputs=2"]


_WORDS = fitting.fit_words


def steps_in(run):
    """How many steps a fit that goes on has billed so far; its ledger may not be written yet."""
    try:
        return Ledger.resume(run / "ledger.jsonl").steps("discriminator")
    except WardganError:
        return 0


def asked_for(monkeypatch, words):
    for module in (fitting, pages):
        monkeypatch.setattr(module, "fit_words", words)


@pytest.mark.slow
def test_a_fit_is_stopped_and_goes_on(desk, ready, monkeypatch):
    folder = desk.copied(ready, "stopped")
    run, project = folder / "run", Project(folder)
    asked_for(monkeypatch, slow)
    desk.post("/projects/stopped/budget", **BUDGET | {"family": "tabgan", "share": "0"}, train="1")
    until = time.monotonic() + kit.LONGEST
    while not steps_in(run):
        assert time.monotonic() < until
        time.sleep(0.05)
    # Meanwhile nothing else begins, and nothing is written under it.
    before = (folder / "schema-fit.yaml").read_bytes()
    page = desk.get("/projects/stopped/budget")
    assert "Training" in kit.words(page)
    assert 'http-equiv="refresh"' in page.text
    for path, form in (("budget", {**BUDGET, "train": "1"}), ("schema", {"text": (folder / "schema.yaml").read_text()}),
                       ("training", {})):  # fmt: skip
        answer = desk.post(f"/projects/stopped/{path}", **form)
        assert answer.status_code == 400, path
    assert (folder / "schema-fit.yaml").read_bytes() == before
    assert ">at work<" in desk.get("/").text
    with pytest.raises(UsageError, match="at work"):
        desk.app.state.acts.start(project, "schema", "Another", ["--version"])
    assert desk.post("/projects/stopped/stop").status_code == 303
    page = desk.wait("/projects/stopped/training")
    assert "You stopped it" in page.text
    assert kit.alarm(page) is None
    begun = Ledger.resume(run / "ledger.jsonl")
    assert 0 < begun.steps("discriminator") < 120
    assert not (run / "trained.json").exists()
    assert not desk.app.state.acts.busy(project)
    # Looking at the budget again, or choosing another one, does not change what goes on.
    desk.post("/projects/stopped/budget", **BUDGET | {"epsilon": "1", "share": "0.7"})
    desk.get("/projects/stopped/budget")
    assert (folder / "schema-fit.yaml").read_bytes() == before
    assert desk.post("/projects/stopped/training").status_code == 303
    page = desk.wait("/projects/stopped/training")
    assert kit.alarm(page) is None
    assert "It is trained" in page.text
    done = Ledger.resume(run / "ledger.jsonl")
    assert done.steps("discriminator") == 120
    assert done.epsilon() <= 3
    found = ledger(desk)
    mine = [entry for one in found.values() for entry in one["entries"] if entry["run"] == str(run)]
    assert [(entry["state"], entry["epsilon"]) for entry in mine] == [("done", 3.0)]


@pytest.mark.slow
def test_a_fit_that_was_stopped_before_it_began_can_be_begun(desk, ready):
    folder = desk.copied(ready, "early")
    desk.post("/projects/early/budget", **BUDGET | {"share": "0"}, train="1")
    desk.post("/projects/early/stop")
    page = desk.wait("/projects/early/training")
    assert not (folder / "run" / "ledger.jsonl").exists()
    assert page.url.path == "/projects/early/budget"
    assert kit.alarm(page) is None
    assert 'name="train"' in page.text
    (folder / "run").mkdir(exist_ok=True)  # as a verb may leave it
    desk.app.state.acts.start(
        Project(folder), "training", "Training", ["--version"], first=lambda: fitting._check_free(Project(folder))
    )
    desk.wait("/projects/early/schema")


def test_a_verb_that_fails_says_so_on_its_own_step(desk, trained):
    folder = desk.copied(trained, "failing")
    (folder / "train.csv").write_bytes((folder / "patients.csv").read_bytes())
    desk.post("/projects/failing/dossier")
    page = desk.wait("/projects/failing/dossier")
    assert "these are not the patients" in kit.alarm(page)
    for step in ("schema", "training"):
        page = desk.get(f"/projects/failing/{step}")
        assert (page.status_code, kit.alarm(page)) == (200, None), step
    assert "these are not the patients" in kit.alarm(desk.get("/projects/failing/dossier"))
    # Of another project it says nothing.
    assert kit.alarm(desk.get("/projects/trained/dossier")) is None


SECRET = "zebra-quartz-9371"


def test_a_passphrase_is_seen_nowhere(desk, trained, monkeypatch, capfd):
    folder = desk.copied(trained, "secret")
    (folder / "run" / "dossier").mkdir()
    (folder / "run" / "dossier" / "internal.html").write_text("<p>", encoding="utf-8")
    seen, begin_process = [], subprocess.Popen

    def noted(words, **more):
        seen.append((list(words), more["env"].get("WARDGAN_PASSPHRASE")))
        return begin_process(words, **more)

    monkeypatch.setattr(verbs.subprocess, "Popen", noted)
    answer = desk.post("/projects/secret/release", hospital="Test Hospital", passphrase=SECRET, again=SECRET)
    assert answer.status_code == 303
    page = desk.wait("/projects/secret/release")
    assert kit.alarm(page)  # there is no dossier that it could seal
    first = len(verbs._command([]))
    assert [words[first] for words, _ in seen] == ["keys", "release"]
    assert all(given == SECRET for _, given in seen)
    assert SECRET not in repr([words for words, _ in seen])
    assert b"ENCRYPTED" in (desk.home / "signing.key").read_bytes()
    assert mode(desk.home / "signing.key") == 0o600
    assert not any(SECRET.encode() in data for data in tree(desk.home).values())
    for path in ("/", "/projects/secret/release", "/projects/secret/training"):
        assert SECRET not in desk.get(path).text
    assert SECRET not in "".join(capfd.readouterr())
    assert "WARDGAN_PASSPHRASE" not in os.environ
    assert SECRET not in repr(vars(desk.app.state.acts))
    assert kit.form_of(page)["key"] == "../signing.key"


def test_a_key_is_made_once_and_not_by_mistake(desk, trained):
    folder = desk.copied(trained, "keyless")
    (folder / "run" / "dossier").mkdir()
    (folder / "run" / "dossier" / "internal.html").write_text("<p>", encoding="utf-8")
    for form, phrase in (({}, "whose new one"), ({"hospital": "A", "passphrase": "a", "again": "b"}, "the same twice")):
        answer = desk.post("/projects/keyless/release", **form)
        assert answer.status_code == 400
        assert phrase in answer.text
    assert not desk.app.state.acts.busy(Project(folder))


def test_what_a_verb_says_is_shown_as_text(desk, trained):
    folder = desk.copied(trained, "spoken")
    (folder / "run" / "dossier").mkdir()
    (folder / "run" / "dossier" / "internal.html").write_text("<p>", encoding="utf-8")
    desk.post("/projects/spoken/release", key=EVIL)
    page = desk.wait("/projects/spoken/release")
    assert kit.alarm(page)
    assert "<b>" not in page.text


def test_the_end_of_the_pages_ends_what_runs(tmp_path, ready, monkeypatch):
    asked_for(monkeypatch, lambda project, source=None: slow(project, source, steps=20_000))
    with kit.opened(tmp_path / "home") as desk:
        folder = desk.copied(ready, "long")
        desk.post("/projects/long/budget", **BUDGET | {"family": "tabgan", "share": "0"}, train="1")
        until = time.monotonic() + kit.LONGEST
        while not (folder / "run" / "ledger.jsonl").is_file():
            assert time.monotonic() < until
            time.sleep(0.05)
        running = list(desk.app.state.acts._running.values())
    assert [process.poll() is not None for process in running] == [True]
    with pytest.raises(UsageError):
        desk.app.state.acts.start(Project(folder), "schema", "Another", ["--version"])


# The dossier's pages.


def test_only_two_editions_are_given_and_they_may_do_nothing(desk, trained):
    folder = desk.copied(trained, "editions")
    made = folder / "run" / "dossier"
    for name in ("internal", "public"):
        answer = desk.get(f"/projects/editions/editions/{name}")
        assert answer.status_code == 404
    made.mkdir()
    for name in ("internal.html", "public.html", "other.html", "internal.json"):
        (made / name).write_text("<script>alert(1)</script>", encoding="utf-8")
    for name in ("internal", "public"):
        answer = desk.get(f"/projects/editions/editions/{name}")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "sandbox" in policy
        assert "script-src" not in policy
    for name in ("other", "Internal", "internal.html", "../internal", "%2e%2e%2f%2e%2e%2fschema"):
        assert desk.get(f"/projects/editions/editions/{name}").status_code in (400, 404), name


def test_the_list_shows_what_is_next(desk, ready, trained):
    page = kit.words(desk.get("/"))
    assert "ready budget" in page
    assert "trained dossier" in page
    assert desk.get("/projects/ready").url.path == "/projects/ready/budget"
    assert set(STEPS) == set(views.SHOWN)


def test_every_template_is_installed():
    import tomllib

    import wardgan

    home = Path(wardgan.__file__).parent
    project = home.parents[1] / "pyproject.toml"
    if not project.is_file():
        pytest.skip("the package is installed, and not in its repository")
    globs = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]["wardgan"]
    kept = {path for one in globs for path in home.glob(one)}
    assert {path for path in (home / "web").rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")} <= kept
