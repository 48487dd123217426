"""The steward's page where one generator learns from a combined one: choices, refusals, and how near it came."""

import re

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import steward_kit as kit
import wardgan as wg
from steward_kit import bring, weighed
from wardgan.hub.hub import Hub
from wardgan.web.numbers import upward
from wardgan.web.steward import offers
from wardgan.web.steward.union import Union

WAY = "/combine/region/distil"
SECRET = "zebra-quartz-9371"
FORM = {"family": "copula", "patients": "600", "name": "small", "overlap": ""}


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.three(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory, clinic):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(autouse=True)
def trusted(clinic, monkeypatch):
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))


def signed(desk, clinic, name, *paths):
    desk.post("/combine/new", name=name)
    union = Union(desk.home / "_combined" / name)
    for path in paths:
        bring(desk, union, path)
    weighed(desk, union, overlap="1")
    desk.post(f"/combine/{name}/sign", key=str(clinic.key))
    assert "is signed" in desk.wait(f"/combine/{name}").text
    return union


@pytest.fixture(scope="module")
def region(desk, clinic):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(clinic.trust))
        return signed(desk, clinic, "region", *(clinic.file(name) for name in "ab"))


@pytest.fixture(scope="module")
def distilled(desk, clinic, region):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(clinic.trust))
        assert 'href="/combine/region/distil"' in desk.get("/combine/region").text
        assert desk.post(WAY, **FORM, key=str(clinic.key)).headers["location"] == WAY
        return desk.wait(WAY)


def test_what_was_distilled_is_shown_with_how_near_it_is_and_what_it_costs(desk, region, distilled):
    assert kit.alarm(distilled) is None, kit.alarm(distilled)
    text = kit.words(distilled)
    assert "from 600 synthetic patients" in text
    assert "total variation of columns" in text
    assert "told apart (AUROC)" in text
    assert re.search(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", text)
    facts = wg.inspect(region.pupil)
    assert (facts["card"]["name"], facts["card"]["family"], facts["signature"]["name"]) == ("small", "copula", "Clinic")
    # The arithmetic is that of its teacher.
    teacher = wg.inspect(region.file)["bounds"]
    assert f"a patient of at most 1, as you declare {upward(teacher['overlap']['epsilon'])}" in text
    assert f"a patient of all 2 {upward(teacher['worst']['epsilon'])}" in text


def test_a_pupil_that_was_not_compared_says_so(desk, region, distilled):
    before = region.pupil.read_bytes()
    region.pupil.write_bytes(before + b"\0")
    page = desk.get(WAY)
    assert "not compared with its teacher" in kit.words(page)
    assert "told apart" not in page.text
    region.pupil.write_bytes(before)
    assert "told apart" in desk.get(WAY).text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"patients": "--force"}, "-n"), ({"name": "a\x1b[2J"}, "U+001B"), ({"family": "imagegan"}, "cannot draw")],
)
def test_nonsense_is_told_and_stays(desk, clinic, region, distilled, wrong, said):
    before = region.pupil.read_bytes()
    desk.post(WAY, **FORM | wrong, key=str(clinic.key))
    page = desk.wait(WAY)
    assert said in kit.alarm(page)
    fields = second_form(page)
    (name,) = wrong
    assert name == "family" or fields[name] == wrong[name]
    assert fields["patients"] == wrong.get("patients", "600")
    assert region.pupil.read_bytes() == before
    assert "told apart" in page.text
    # What failed here is told here.
    assert kit.alarm(desk.get("/combine/region")) is None


def test_a_distillate_is_no_teacher_unless_somebody_insists(desk, clinic, region, distilled):
    union = signed(desk, clinic, "again", region.pupil, clinic.file("c"))
    desk.post("/combine/again/distil", **FORM, key=str(clinic.key))
    page = desk.wait("/combine/again/distil")
    assert "was distilled itself" in kit.alarm(page)
    assert not union.pupil.exists()
    assert "<details open><summary>If it is refused" in page.text
    # The form as it is insists on nothing: only a tick does.
    fields = second_form(page, "/combine/again/distil")
    assert (fields["again"], "insist" in fields) == ("", False)
    desk.post("/combine/again/distil", **fields | {"insist": "on", "key": str(clinic.key)})
    page = desk.wait("/combine/again/distil")
    assert kit.alarm(page) is None, kit.alarm(page)
    assert wg.inspect(union.pupil)["privacy"]["origin"]["how"] == "distilled"


def test_a_new_key_has_a_passphrase_that_is_written_nowhere(desk, region, distilled):
    before = region.pupil.read_bytes()
    desk.post(WAY, **FORM | {"patients": "none"}, hospital="North", passphrase=SECRET, again=SECRET)
    assert "-n" in kit.alarm(desk.wait(WAY))
    assert (desk.home / "signing.key").is_file()
    assert not any(SECRET.encode() in path.read_bytes() for path in desk.home.rglob("*") if path.is_file())
    assert "insist" not in region.chosen["distil"]
    assert region.pupil.read_bytes() == before


def test_a_pupil_is_published(desk, region, distilled):
    assert desk.post(f"{WAY}/publish", target="").status_code == 400
    desk.post(f"{WAY}/publish", target="../../hub:region/small:1.0")
    assert "Published" in desk.wait(WAY).text
    assert [one.name for one in Hub(desk.home / "hub").list()] == ["region/small"]


def test_what_is_not_signed_teaches_nobody(desk, clinic):
    desk.post("/combine/new", name="unsigned")
    assert desk.get("/combine/unsigned/distil").url.path == "/combine/unsigned"
    assert desk.post("/combine/unsigned/distil", **FORM, key="k").status_code == 400


def test_families_are_those_that_the_verb_names(desk, region):
    assert offers.families_of("distill")[0] == "auto"
    assert {"copula", "marginal", "tabgan"} <= set(offers.families_of("distill"))
    assert offers.families_of("fit", option="--survey")[0] == "copula"
    assert offers.families_of("inspect") == ()
    page = desk.get(WAY).text
    for one in offers.families_of("distill"):
        assert f">{one}</option>" in page


def second_form(page, way=WAY):
    return kit.form_of(page, f'action="{way}"')
