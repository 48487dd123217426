"""Noisy tables on the steward's pages: the survey, a hospital that answers it under its ledger, and the sum."""

import json
import re
import subprocess
import sys

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import steward_kit as kit
import wardgan as wg
from wardgan.combining.tables import read_tables
from wardgan.rng import Seed
from wardgan.schema.schema import Schema
from wardgan.simulate.sprint import sprint_like
from wardgan.web.numbers import upward
from wardgan.web.steward.fitting import families, planned
from wardgan.web.steward.pool import Pool
from wardgan.web.steward.project import begin

EVIL = '<b>"it\'s" & 1</b>'
ASKED = {"patients": "800", "hospitals": "2", "epsilon": "2", "delta": "1e-5"}
BUDGET = {"epsilon": "2", "delta": "1e-5", "policy": "default", "family": "copula"}


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    """Verbs meet no ledger and no trust file of the person who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.mktemp("trust") / "trust.json"))
        patch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))
        yield patch


@pytest.fixture(scope="module")
def desk(tmp_path_factory, surroundings):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(scope="module")
def shared():
    """What all hospitals declare."""
    grid = list(dict.fromkeys(sprint_like(5, seed=Seed(1))["visit"]))
    bounds = {"sbp": (40, 280), "dbp": (20, 180), "drugs": (0, 10)}
    measured = {name: {"kind": "integer", "low": low, "high": high} for name, (low, high) in bounds.items()}
    arm = {"kind": "category", "levels": ["standard", "intensive"], "label": True}
    return Schema.from_dict({
        "name": "trial", "patient": "patient_id", "population": kit.PEOPLE, "table": {"arm": arm},
        "visits": {"key": "visit", "grid": grid, "columns": measured},
    }).to_yaml()  # fmt: skip


@pytest.fixture(scope="module")
def pool(desk, shared):
    """A survey of two hospitals."""
    assert upload(desk, "/pool/new", "schema.yaml", shared.encode(), name="north").headers["location"] == "/pool/north"
    desk.post("/pool/north/survey", **ASKED)
    page = desk.wait("/pool/north")
    assert kit.alarm(page) is None, kit.alarm(page)
    assert (
        "It asks about 800 patients of 2 hospitals for family copula, and was made for simulated patients"
        in kit.words(page)
    )
    return Pool(desk.home / "_pooled" / "north")


def upload(desk, path, file, data, **fields):
    return desk.client.post(
        path, data={"csrf": desk.csrf, **fields}, files={"file": (file, data)}, headers=kit.OURS, follow_redirects=False
    )


def hospital(desk, shared, name, seed, *, digest=None):
    """A project whose schema is declared; with a digest, of a file that is known already."""
    project = begin(desk.home, name, ".csv")
    found = sprint_like(kit.PEOPLE, seed=Seed(seed))
    found["patient_id"] = f"hospital-{seed}-" + found["patient_id"]
    project.data.write_bytes(found.to_csv(index=False).encode())
    project.schema.write_text(shared.replace("name: trial", f"name: {name}"))
    project.choose(digest=digest or name)
    return project


def answered(desk, project, survey, **more):
    """Has a hospital answer, and gives the page of its fit."""
    assert upload(desk, f"/projects/{project.name}/survey", "survey.json", survey).status_code == 303
    answer = desk.post(f"/projects/{project.name}/budget", **BUDGET, share="0", train="1", **more)
    assert answer.status_code == 303, kit.words(answer)
    return desk.wait(f"/projects/{project.name}/training")


def ledger(desk):
    done = subprocess.run(
        [sys.executable, "-m", "wardgan", "ledger", "show", "--ledger", "ledger.db", "--json"],
        cwd=desk.home, capture_output=True, check=True,
    )  # fmt: skip
    return {one["name"]: one for one in json.loads(done.stdout)["datasets"]}


@pytest.fixture(scope="module")
def tables(desk, pool, shared):
    """Two hospitals that have answered, and their files."""
    survey = desk.get("/pool/north/survey").content
    assert survey == pool.survey.read_bytes()
    found = []
    for at, name in enumerate(("alpha", "beta")):
        project = hospital(desk, shared, name, at + 1)
        page = answered(desk, project, survey, counted_with=name)
        assert kit.alarm(page) is None, kit.alarm(page)
        assert f'href="/projects/{name}/tables"' in page.text
        desk.post(f"/projects/{name}/tables", **({"hospital": "Test"} if not at else {"key": "../signing.key"}))
        page = desk.wait(f"/projects/{name}/tables")
        assert "may leave" in page.text, kit.alarm(page)
        assert desk.get(f"/projects/{name}/tables/file").content == project.tables.read_bytes()
        found.append(project)
    return found


def test_from_a_survey_to_one_generator_of_the_sums(desk, pool, tables):
    assert desk.post("/pool/north/how").status_code == 400  # there are none yet
    for project in tables:
        assert upload(desk, "/pool/north/tables", project.tables.name, project.tables.read_bytes()).status_code == 303
    page = desk.wait("/pool/north")
    assert "What one patient risks" not in page.text
    assert desk.post("/pool/north/sign", hospital="North").status_code == 400
    desk.post("/pool/north/how", overlap="0")
    page = desk.wait("/pool/north")
    assert kit.alarm(page)
    assert 'value="0"' in page.text
    assert "What one patient risks" not in page.text
    desk.post("/pool/north/how", overlap="1")
    page = desk.wait("/pool/north")
    assert kit.alarm(page) is None, kit.alarm(page)
    text = kit.words(page)
    for said in ("alpha, as its file promises", "beta, as its file promises", "a patient of at most 1, as you declare"):
        assert said in text
    desk.post("/pool/north/sign", key="../../signing.key")
    page = desk.wait("/pool/north")
    assert "north is signed" in kit.words(page), kit.alarm(page)
    facts = wg.inspect(pool.file)
    assert [one["name"] for one in facts["privacy"]["sites"]] == ["alpha", "beta"]
    assert f"of all 2 {upward(pool.chosen['pooled']['bounds']['worst']['epsilon'])}" in text
    assert len(wg.load(pool.file).sample(5, seed=1)) >= 5
    # It is done: nothing changes any more.
    before = pool.file.read_bytes()
    for answer in (
        desk.post("/pool/north/sign", key="k"), desk.post("/pool/north/left", member="alpha"),
        desk.post("/pool/north/how", overlap="2"), desk.post("/pool/north/survey", **ASKED),
        upload(desk, "/pool/north/tables", "c.tables", b"{}"),
    ):  # fmt: skip
        assert (answer.status_code, "is signed" in answer.text) == (400, True)
    assert (pool.file.read_bytes(), len(pool.tables)) == (before, 2)


def test_p14_a_second_survey_of_the_same_patients_adds_up(desk, pool, shared, tables):
    before = ledger(desk)["alpha"]
    assert before["total"]["epsilon"] == pytest.approx(2, abs=0.02)
    project = hospital(desk, shared, "alpha-again", 1, digest="alpha")
    upload(desk, "/projects/alpha-again/survey", "survey.json", pool.survey.read_bytes())
    page = desk.get("/projects/alpha-again/budget")
    assert "Counted with the data set alpha : the same file was used before" in kit.words(page)
    page = desk.post("/projects/alpha-again/budget", **BUDGET, share="0") and desk.get("/projects/alpha-again/budget")
    assert "So far epsilon 2 was spent on these patients" in kit.words(page)
    assert not project.begun  # what it costs is known before anything is read
    # What a form says does not change with whom they are counted.
    page = answered(desk, project, pool.survey.read_bytes(), counted_with="alpha-again")
    assert kit.alarm(page) is None, kit.alarm(page)
    after = ledger(desk)
    assert "alpha-again" not in after
    assert len(after["alpha"]["entries"]) == len(before["entries"]) + 1
    assert after["alpha"]["total"]["epsilon"] > before["total"]["epsilon"] * 1.2
    # A fit that was begun answers its own survey, and is not asked a second time.
    for answer in (
        upload(desk, "/projects/alpha-again/survey", "survey.json", b"{}"), desk.post("/projects/alpha-again/survey"),
        desk.post("/projects/alpha-again/budget", **BUDGET, share="0", train="1"),
    ):  # fmt: skip
        assert answer.status_code == 400
    assert project.survey.read_bytes() == pool.survey.read_bytes()
    assert ledger(desk)["alpha"] == after["alpha"]
    # Their tables carry the same opaque name, so nobody takes them for other patients.
    desk.post("/projects/alpha-again/tables", key="../signing.key")
    desk.wait("/projects/alpha-again/tables")
    assert read_tables(project.tables).patients == read_tables(tables[0].tables).patients
    assert read_tables(tables[1].tables).patients != read_tables(tables[0].tables).patients


def test_p14_writing_the_tables_again_asks_nobody(desk, tables):
    before, found = ledger(desk), tables[1].tables.read_bytes()
    desk.post("/projects/beta/tables", key="../signing.key")
    desk.wait("/projects/beta/tables")
    assert read_tables(tables[1].tables).answers.keys() == json.loads(found)["tables"]["answers"].keys()
    assert ledger(desk) == before


@pytest.mark.parametrize("wrong", [{"hospitals": "1"}, {"epsilon": EVIL}])
def test_a_survey_that_cannot_be_is_told_and_stays(desk, shared, wrong):
    name = f"odd-{'-'.join(wrong)}-{len(next(iter(wrong.values())))}"
    upload(desk, "/pool/new", "schema.yaml", shared.encode(), name=name)
    desk.post(f"/pool/{name}/survey", **ASKED | wrong)
    page = desk.wait(f"/pool/{name}")
    assert kit.alarm(page)
    fields = kit.form_of(page, f'action="/pool/{name}/survey"')
    assert {key: fields[key] for key in ASKED} == ASKED | wrong
    assert "<b>" not in page.text
    assert not Pool(desk.home / "_pooled" / name).survey.exists()
    assert upload(desk, f"/pool/{name}/tables", "a.tables", b"{}").status_code == 400  # there is no survey yet


@pytest.mark.parametrize("data", [b"", b"name: [", b"\x00\xff", b"table: {}", b"name: x\ntable: 3"])
def test_what_is_no_schema_leaves_nothing(desk, data):
    answer = upload(desk, "/pool/new", "schema.yaml", data, name="nothing")
    assert answer.status_code == 400
    assert not (desk.home / "_pooled" / "nothing").exists()
    assert desk.post("/pool/new", name="nothing").status_code == 400


@pytest.mark.parametrize("name", ["..", ".tables", "a b.tables", "a.csv", "", "-o.tables", "x" * 200 + ".tables"])
def test_tables_that_are_called_oddly_are_refused(desk, shared, pool, name):
    before = sorted(pool.folder.rglob("*"))
    assert upload(desk, "/pool/north/tables", name, b"{}").status_code == 400
    assert sorted(pool.folder.rglob("*")) == before


def test_a_survey_of_other_patients_is_told_before_anything_is_read(desk, shared, tables):
    project = hospital(desk, shared, "gamma", 3)
    other = json.loads((desk.home / "_pooled" / "north" / "survey.json").read_bytes())
    for survey, said in (
        (json.dumps(other | {"about": "0" * 64}).encode(), ""), (b"\xff", ""),
        (json.dumps(other | {"like": [{"name": EVIL}]}).encode(), "it&#39;s"),
    ):  # fmt: skip
        assert upload(desk, "/projects/gamma/survey", "survey.json", survey).status_code == 303
        desk.post("/projects/gamma/budget", **BUDGET, share="0", counted_with="gamma")
        page = desk.get("/projects/gamma/budget")
        assert kit.alarm(page), survey[:40]
        assert said in page.text
        assert "<b>" not in page.text
        assert desk.post("/projects/gamma/budget", **BUDGET, share="0", train="1").status_code == 400
        assert not project.begun
    # It can be taken away again.
    assert desk.post("/projects/gamma/survey").status_code == 303
    assert not project.survey.exists()
    assert desk.get("/projects/gamma/tables").url.path == "/projects/gamma/budget"
    assert desk.post("/projects/gamma/tables", key="k").status_code == 400


def test_pages_of_pools_are_their_own(desk, pool):
    assert desk.get("/pool/nobody").status_code == 404
    assert desk.get("/pool/north/secret").status_code == 404
    assert "_pooled" not in desk.get("/").text
    assert ">north</a>" in desk.get("/pool").text
    assert desk.get("/pool/north/schema").headers["content-disposition"].startswith("attachment")


def test_a_survey_of_pairs_is_answered_by_its_family(desk, shared):
    """The hospital chooses nothing: the survey says which family answers it."""
    upload(desk, "/pool/new", "schema.yaml", shared.encode(), name="pairs")
    desk.post("/pool/pairs/survey", **ASKED | {"patients": "60000", "epsilon": "4", "family": "marginal"})
    page = desk.wait("/pool/pairs")
    assert kit.alarm(page) is None, kit.alarm(page)
    assert "of 2 hospitals for family marginal, and was made for" in kit.words(page)
    project = hospital(desk, shared, "epsilon-four", 7)
    upload(desk, f"/projects/{project.name}/survey", "survey.json", desk.get("/pool/pairs/survey").content)
    assert families(project) == ("marginal",)
    found = planned(project, {"epsilon": "4"})
    assert "pairs" in {event["name"] for event in found["plan"]["events"]}, found
    page = desk.get(f"/projects/{project.name}/budget")
    assert re.findall(r"<option[^>]*>(\w+)</option></select>", page.text)[-1] == "marginal"
