"""A verb that the steward's pages run and the system kills: the page says so, goes on, and takes nothing half-made for done."""

import os
import signal

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
if not hasattr(signal, "SIGKILL"):
    pytest.skip("this system has no kill -9", allow_module_level=True)

import steward_kit as kit
import wardgan as wg
from hub_kit import Clinic
from steward_kit import bring, weighed
from wardgan.hub.hub import Hub
from wardgan.privacy.ledger import Ledger
from wardgan.schema.schema import Schema
from wardgan.web.steward import declare
from wardgan.web.steward.project import Project
from wardgan.web.steward.union import begin_union

BUDGET = {"epsilon": "3", "delta": "1e-5", "policy": "default", "share": "0.4", "family": "copula"}

# Python reads this before anything else: the process ends as a file with a certain name is about to get that name.
DIES = """
import os, signal
real = {"replace": os.replace, "link": os.link}
def at(call):
    def dying(source, target, *more, **named):
        if os.path.basename(target) == os.environ.get("DIES_AT"):
            os.kill(os.getpid(), signal.SIGKILL)
        return real[call](source, target, *more, **named)
    return dying
os.replace, os.link = at("replace"), at("link")
"""


@pytest.fixture(scope="module", autouse=True)
def surroundings(tmp_path_factory):
    place = tmp_path_factory.mktemp("dies")
    (place / "sitecustomize.py").write_text(DIES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.mktemp("trust") / "trust.json"))
        patch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")])))
        yield


@pytest.fixture(scope="module")
def desk(tmp_path_factory, surroundings):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home") as found:
        yield found


@pytest.fixture
def dies(monkeypatch):
    """Lets verbs die as they finish a file; with an empty name they live on."""
    return lambda name: monkeypatch.setenv("DIES_AT", name)


@pytest.fixture(scope="module")
def ready(desk):
    desk.send("ready", kit.patients())
    desk.wait("/projects/ready/schema")
    folder = desk.home / "ready"
    given = declare.load(folder / "draft.yaml")
    found = Schema.from_dict({**given, "confirm": None, "population": kit.PEOPLE})
    (folder / "schema.yaml").write_text(found.to_yaml(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(desk, ready):
    folder = desk.copied(ready, "trained")
    desk.post("/projects/trained/budget", **BUDGET, train="1")
    assert "It is trained" in desk.wait("/projects/trained/training").text
    return folder


def told(page, title):
    """What is asked of each page after a verb was killed: it says what was interrupted, and not what was said last."""
    assert kit.alarm(page).startswith(f"{title} was interrupted before its end (signal 9)"), kit.alarm(page)
    assert "Go on where it was, or begin it again" in kit.alarm(page)


def test_a_guess_that_is_killed_is_no_draft(desk, dies):
    dies("draft.yaml")
    desk.send("guess", kit.patients())
    page = desk.wait("/projects/guess/schema")
    told(page, "Guessing the schema")
    assert "The file was not read." in kit.words(page)
    assert not (desk.home / "guess" / "draft.yaml").exists()
    assert Project(desk.home / "guess").step == "schema"
    dies("")
    desk.send("guess-again", kit.patients())
    assert kit.alarm(desk.wait("/projects/guess-again/schema")) is None


@pytest.mark.slow
def test_patients_who_were_not_set_aside_whole_are_not_fitted_to(desk, dies, ready):
    folder, way = desk.copied(ready, "split"), "/projects/split"
    dies("holdout.csv")
    desk.post(f"{way}/budget", **BUDGET, train="1")
    page = desk.wait(f"{way}/training")
    assert page.url.path == f"{way}/budget"
    told(page, "Training")
    assert 'name="train"' in page.text
    assert not (folder / "holdout.csv").exists()
    assert not list(folder.rglob("*.part"))  # rows of patients would be in it
    assert not Project(folder).begun
    dies("")
    desk.post(f"{way}/budget", **BUDGET, train="1")
    assert "It is trained" in desk.wait(f"{way}/training").text
    parts = [pd.read_csv(folder / one) for one in ("train.csv", "holdout.csv", "patients.csv")]
    sizes = [len(set(one.iloc[:, 0])) for one in parts]
    assert sizes[0] + sizes[1] == sizes[2] == kit.PEOPLE


@pytest.mark.slow
def test_a_fit_that_is_killed_at_its_end_is_not_trained_and_goes_on(desk, dies, ready):
    folder = desk.copied(ready, "fitted")
    ledger, way = folder / "run" / "ledger.jsonl", "/projects/fitted"
    dies("generator.onnx")
    desk.post(f"{way}/budget", **BUDGET | {"share": "0"}, train="1")
    not_trained(desk, way)
    billed = Ledger.resume(ledger).epsilon()
    assert 0 < billed <= 3
    dies("trained.json")
    desk.post(f"{way}/training")
    not_trained(desk, way)
    dies("")
    desk.post(f"{way}/training")
    page = desk.wait(f"{way}/training")
    assert kit.alarm(page) is None
    assert "It is trained" in page.text
    assert Ledger.resume(ledger).epsilon() == billed
    assert len(wg.Trained.load(folder / "run").generator.sample(5)) >= 5


def not_trained(desk, way):
    page = desk.wait(f"{way}/training")
    told(page, "Training")
    assert "It is not trained yet" in page.text
    assert ">Go on</button>" in page.text
    assert desk.get(f"{way}/dossier").url.path == f"{way}/training"


@pytest.mark.slow
def test_a_dossier_that_is_killed_is_none_and_is_measured_again(desk, dies, trained):
    folder = desk.copied(trained, "measured")
    made = folder / "run" / "dossier"
    for name in ("public.html", "internal.html"):  # nothing has its name, or all but the first page
        dies(name)
        desk.post("/projects/measured/dossier")
        not_measured(desk, made)
    dies("")
    desk.post("/projects/measured/dossier")
    assert kit.alarm(desk.wait("/projects/measured/dossier")) is None
    assert Project(folder).step == "release"
    # Of a dossier that is replaced, the page of another measurement does not stand for it.
    dies("internal.json")
    desk.post("/projects/measured/budget", policy="research")
    desk.post("/projects/measured/dossier")
    not_measured(desk, made)


def not_measured(desk, made):
    page = desk.wait("/projects/measured/dossier")
    told(page, "Attacking and measuring")
    assert ">Begin</button>" in page.text
    assert 'href="/projects/measured/release"' not in page.text.partition("<main")[2]
    assert not (made / "internal.html").exists()
    assert Project(made.parents[1]).step == "dossier"
    assert desk.get("/projects/measured/release").url.path == "/projects/measured/dossier"
    assert desk.post("/projects/measured/release", key="k").status_code == 400


@pytest.fixture(scope="module")
def passed(desk, trained):
    """A project whose dossier was measured."""
    folder = desk.copied(trained, "passed")
    desk.post("/projects/passed/dossier")
    desk.wait("/projects/passed/dossier")
    assert Project(folder).step == "release"
    return folder


def test_a_release_and_its_publication_that_are_killed_are_none(desk, dies, passed):
    project = Project(desk.copied(passed, "leaving"))
    sign = {"override": "Dr Ada Example: a test"}
    dies("leaving.hgan")
    desk.post("/projects/leaving/release", hospital="North", **sign)
    page = desk.wait("/projects/leaving/release")
    told(page, "Signing")
    assert not project.file.exists()
    assert ">Sign and seal</button>" in page.text
    assert desk.get("/projects/leaving/publish").url.path == "/projects/leaving/release"
    # Its key was finished, and is the one that is offered.
    assert kit.form_of(page)["key"] == "../signing.key"
    dies("")
    desk.post("/projects/leaving/release", key="../signing.key", **sign)
    assert "may leave" in desk.wait("/projects/leaving/release").text
    dies("index.json")
    desk.post("/projects/leaving/publish", target="../hub:x:1")
    page = desk.wait("/projects/leaving/publish")
    told(page, "Publishing")
    assert "Published" not in page.text
    assert Hub(desk.home / "hub").list() == []
    assert kit.form_of(page)["target"] == "../hub:x:1"
    dies("")
    desk.post("/projects/leaving/publish", target="../hub:x:1")
    assert "Published" in desk.wait("/projects/leaving/publish").text
    assert [one.name for one in Hub(desk.home / "hub").list()] == ["x"]


# Several hospitals.


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    found = Clinic(tmp_path_factory.mktemp("clinic"))
    for at, name in enumerate("abc"):
        found.file(name, data=f"data-000000{at}", created=f"2026-0{at + 1}-01")
    return found


def test_what_is_combined_and_killed_is_neither_shown_nor_signed(desk, dies, clinic, monkeypatch, tmp_path):
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))
    union = begin_union(desk.home, "union")
    for name in "ab":
        bring(desk, union, clinic.file(name))
    dies("_draft.hgan")
    page = weighed(desk, union)
    told(page, "Combining")
    assert "What one patient risks" not in page.text
    assert desk.post("/combine/union/sign", hospital="North").status_code == 400
    dies("")
    assert "What one patient risks" in weighed(desk, union).text
    dies("union.hgan")
    desk.post("/combine/union/sign", key=str(clinic.key))
    page = desk.wait("/combine/union")
    told(page, "Combining and signing")
    assert "union is signed" not in page.text
    assert not union.file.exists()
    dies("")
    desk.post("/combine/union/sign", key=str(clinic.key))
    assert "union is signed" in desk.wait("/combine/union").text


def test_a_member_that_is_fetched_and_killed_is_no_member(desk, dies, clinic, monkeypatch, tmp_path):
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file("c"), "north/c:1")
    union = begin_union(desk.home, "fetched")
    dies("c-1.hgan")
    desk.post("/combine/fetched/members", target=f"{tmp_path}/hub:north/c:1")
    told(desk.wait("/combine/fetched"), "Fetching it")
    assert union.members == []
    dies("")
    desk.post("/combine/fetched/members", target=f"{tmp_path}/hub:north/c:1")
    assert kit.alarm(desk.wait("/combine/fetched")) is None
    assert [one.read_bytes() for one in union.members] == [clinic.file("c").read_bytes()]
