"""A dossier of hostile columns, and what it says, on the hub's page and on the steward's: words, and nothing that runs."""

import json

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import markup_kit
import steward_kit
import wardgan as wg
import web_kit as kit
from hub_kit import Clinic
from markup_kit import EVIL, LINK, plain, words
from wardgan.dossier.assess import Dossier, assess
from wardgan.dossier.release import release
from wardgan.hub.hub import Hub
from wardgan.models.base import Trained
from wardgan.web.steward.project import Project

DAY = "2026-01-31"


def measured(home, text, link):
    """A run with a dossier, whose columns, levels and terms say a text."""
    schema = wg.Schema.from_dict({
        "name": f"set {text}", "population": 300,
        "table": {
            f"age {text}": {"kind": "integer", "low": 1, "high": 9, "unit": text, "sensitive": True},
            f"arm {text}": {"kind": "category", "levels": [f"a {text}", f"b {text}"], "label": True},
        },
        "terms": {"licence": link, "purpose": text, "controller": text, "contact": link},
    })  # fmt: skip
    frame = pd.DataFrame({f"age {text}": [1 + at % 9 for at in range(300)],
                          f"arm {text}": [f"{'ab'[at % 2]} {text}" for at in range(300)]})  # fmt: skip
    patients = wg.read(frame, schema)
    wg.fit(patients, wg.Budget(3.0), run=home / "run")
    assess(home / "run", patients, None, created=DAY).write(home / "run" / "dossier")
    (home / "schema.yaml").write_text(schema.to_yaml(), encoding="utf-8")


@pytest.fixture(scope="module", params=[(EVIL, LINK), ("words", "CC-BY-4.0")], ids=["hostile", "harmless"])
def place(request, tmp_path_factory):
    """The steward's folder with that run as a project, and a hub with its release."""
    home = tmp_path_factory.mktemp("steward") / "home"
    text, link = request.param
    project = Project(home / "evil")
    project.folder.mkdir(parents=True)
    measured(project.folder, text, link)
    clinic = Clinic(home.parent)
    run = project.run
    release(
        Trained.load(run), project.file, clinic.key, dossier=run / "dossier", created=DAY, override=f"Dr {text}: {text}"
    )
    Hub(home.parent / "hub", trust=clinic.trust).push(project.file, "x:1")
    return clinic, project, text


def checked(text):
    """A dossier brings its own style, and nothing that runs."""
    return [one for one in markup_kit.read(text).wrong if " style=" not in one]


def test_the_public_dossier_is_words(place):
    clinic, _, text = place
    with kit.served(clinic) as (client, _):
        answer = client.get("/dossiers/x:1")
    assert answer.status_code == 200
    assert checked(answer.text) == []
    assert words(answer.text).count(plain(text)) > 5
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy


def test_the_internal_dossier_is_words(place):
    _, project, text = place
    page = (project.run / "dossier" / "internal.html").read_text()
    assert checked(page) == []
    assert words(page).count(plain(text)) > 5


def test_the_stewards_pages_show_words(place, monkeypatch):
    clinic, project, text = place
    found = json.loads((project.run / "dossier" / "internal.json").read_bytes())
    for one in found["judgements"]:
        one |= {"about": text, "reason": text}
    (project.run / "dossier" / "internal.json").write_text(json.dumps(found))
    project.choose(epsilon=text, policy=text, target=text, published=text, dataset=text, counted_with=text, digest=text)
    (project.folder / "draft.yaml").write_bytes((project.folder / "schema.yaml").read_bytes())
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))
    with steward_kit.opened(project.folder.parent) as desk:
        for step, least in (
            ("schema", 5),
            ("budget", 1),
            ("training", 0),
            ("dossier", 2),
            ("release", 0),
            ("publish", 2),
        ):
            page = desk.get(f"/projects/evil/{step}")
            assert page.status_code == 200, step
            assert page.url.path.endswith(step)
            assert markup_kit.read(page.text).wrong == [], step
            assert words(page.text).count(plain(text)) + page.text.count("{{7*7}}") >= least, step
        failed = desk.post("/projects/evil/schema", text=f"{{name: {text}")
        assert markup_kit.read(failed.text).wrong == []
        assert plain(text)[:20] in words(failed.text)


def test_what_is_said_of_a_run_is_read_again(place):
    """The texts went into the files as they are: what is harmless is only how they are shown."""
    _, project, text = place
    assert Dossier.read(project.run / "dossier").public.name == f"set {text}"
