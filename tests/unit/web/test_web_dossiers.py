"""Releases that have a dossier, on a hub's pages."""

import html
import re
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import image_family_kit
import wardgan as wg
import web_kit as kit
from wardgan.errors import UsageError
from wardgan.hub.hub import Hub
from wardgan.web import tasks
from wardgan.web.figures import figures_of
from wardgan.web.pages import rendered
from wardgan.web.workers import BusyError


@pytest.fixture(scope="module")
def hub(clinic, tmp_path_factory):
    home = tmp_path_factory.mktemp("dossiers")
    hub = Hub(home / "hub", trust=clinic.trust)
    for name in ("good", "overridden", "open"):
        hub.push(getattr(clinic, name), f"clinic/{name}:1")
    with kit.served(SimpleNamespace(home=home, trust=clinic.trust)) as (client, stock):
        yield client, stock


def page(hub, label):
    answer = hub[0].get(f"/releases/clinic/{label}:1")
    assert answer.status_code == 200
    return answer.text


def told(text):
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def test_gates_and_verdict_stand_on_the_page(hub, clinic):
    verdicts = []
    for label in ("good", "overridden", "open"):
        text, found = page(hub, label), wg.verify(getattr(clinic, label), trust=clinic.trust)
        verdicts.append(found.overall)
        assert f"gates: {found.overall}" in text
        for gate in found.gates:
            assert (gate.reason in told(text)) == (gate.verdict != "not asked"), gate
    assert verdicts[0] == "pass"
    assert verdicts[2] == "fail"
    assert "Released by decision of a person: Dr Ada Example" in told(page(hub, "overridden"))
    assert "Released by decision" not in told(page(hub, "good"))
    assert "not private" in page(hub, "open")


def test_the_patients_of_the_dossier_are_drawn(hub, clinic):
    text = page(hub, "good")
    assert "What its synthetic patients look like" in text
    generator = wg.load(clinic.good, trust=clinic.trust)
    seed = wg.verify(clinic.good, trust=clinic.trust).dossier.facts["seed"]
    drawn = generator.draw(10_000, seed=seed).wide()
    figures, _ = figures_of(generator.schema, drawn, drawn)
    assert [one.name for one in figures] == [column.name for column in generator.schema.columns]
    for one in figures:
        assert one.svg in text


def test_what_was_read_once_is_not_read_again(hub, monkeypatch):
    _, stock = hub
    before = page(hub, "good")
    asked = []
    monkeypatch.setattr(stock.workers, "ask", lambda *what: asked.append(what))
    assert page(hub, "good") == before
    assert not asked
    # Whoever trusts others from now on sees what their files hold.
    stock._trusted = None
    stock.refresh()
    monkeypatch.undo()
    assert page(hub, "good") == before


def test_nobody_sees_what_was_read_of_one_that_is_revoked(clinic, tmp_path):
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.good, "clinic/good:1")
    with kit.served(SimpleNamespace(home=tmp_path, trust=clinic.trust)) as (client, stock):
        assert "gates: pass" in client.get("/releases/clinic/good:1").text
        hub.revoke("clinic/good:1", clinic.key, "A mistake.")
        stock.refresh()
        text = client.get("/releases/clinic/good:1").text
        assert "gates: pass" not in text
        assert "A mistake." in text


def test_many_releases_do_not_fill_the_memory(hub, monkeypatch):
    _, stock = hub
    monkeypatch.setattr("wardgan.web.stock._GLANCES", 1)
    for label in ("good", "open", "overridden", "good"):
        page(hub, label)
        assert len(stock._glances) <= 1


def test_the_dossier_itself_is_a_page_that_may_do_nothing(hub):
    answer = hub[0].get("/dossiers/clinic/good:1")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "PUBLIC GATES: PASS" in answer.text


def test_images_are_shown():
    pytest.importorskip("PIL", reason="images are drawn by Pillow")
    made = wg.fit(image_family_kit.cohort(100), wg.Budget(20.0)).generator
    found = tasks._look(made, 7)
    assert len(found.images) == 12
    assert not found.figures
    assert found.images == tasks._look(made, 7).images
    page = rendered("release_look.html", {"look": found, "visits": None})
    assert page.count('<img src="data:image/png;base64,') == 12


@pytest.mark.parametrize(
    ("error", "said"),
    [(BusyError("Others are drawing."), "in a moment to see its gates"), (UsageError("It takes long."), "too long")],
)
def test_a_hub_that_is_busy_still_shows_what_it_knows(hub, monkeypatch, error, said):
    _, stock = hub

    def ask(*_):
        raise error

    stock._glances.clear()
    monkeypatch.setattr(stock.workers, "ask", ask)
    text = page(hub, "good")
    assert said in text
    assert "at most 95.3 % certainty" in told(text)
    assert "Download the generator" in text
    assert 'role="alert"' not in text
