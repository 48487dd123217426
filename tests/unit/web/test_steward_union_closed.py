"""What is combined: a draft is of its members, and a signed file of those whom it was signed with."""

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import steward_kit as kit
from steward_kit import bring, weighed
from wardgan.hub.hub import Hub
from wardgan.web.steward.union import Union


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.three(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(autouse=True)
def trusted(clinic, monkeypatch):
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))


@pytest.fixture(scope="module")
def signed(desk, clinic):
    """Two hospitals' generators, combined and signed."""
    desk.post("/combine/new", name="signed")
    found = Union(desk.home / "_combined" / "signed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(clinic.trust))
        for name in "ab":
            bring(desk, found, clinic.file(name))
        weighed(desk, found)
        desk.post("/combine/signed/sign", key=str(clinic.key))
        assert "is signed" in desk.wait("/combine/signed").text
    return found


@pytest.fixture
def drafted(desk, clinic, request):
    """Two hospitals' generators, and a draft that nobody has signed."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    desk.post("/combine/new", name=name)
    found = Union(desk.home / "_combined" / name)
    for one in "ab":
        bring(desk, found, clinic.file(one))
    weighed(desk, found)
    assert found.draft.is_file()
    return found


def kept(union):
    return {path.name: path.read_bytes() for path in union.folder.rglob("*") if path.is_file()}


CHANGES = {
    "left": {"member": "a"}, "members": {"target": "./hub:c:1"}, "how": {"overlap": "1"}, "sign": {"hospital": "North"},
}  # fmt: skip


@pytest.mark.parametrize("way", CHANGES)
def test_what_was_signed_changes_no_more(desk, signed, way):
    before = kept(signed)
    answer = desk.post(f"/combine/signed/{way}", **CHANGES[way])
    assert answer.status_code == 400
    assert "signed is signed; begin another one for other members." in kit.words(answer)
    assert kept(signed) == before
    assert [one.stem for one in signed.members] == ["a", "b"]


def test_a_file_that_comes_after_the_signature_is_refused(desk, signed, clinic):
    before = kept(signed)
    assert bring(desk, signed, clinic.file("c")).status_code == 400
    assert kept(signed) == before


def test_the_page_of_what_was_signed_offers_no_change(desk, signed):
    page = desk.get("/combine/signed").text
    for way in CHANGES:
        assert f'action="/combine/signed/{way}"' not in page, way
    assert 'action="/combine/signed/publish"' in page


def test_a_file_that_comes_makes_the_draft_void(desk, drafted, clinic):
    assert bring(desk, drafted, clinic.file("c")).status_code == 303
    void(desk, drafted)
    assert [one.stem for one in drafted.members] == ["a", "b", "c"]
    assert "of all 3" in weighed(desk, drafted).text


def test_a_member_that_is_fetched_makes_the_draft_void(desk, drafted, clinic, tmp_path):
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file("c"), "north/c:1")
    assert desk.post(f"/combine/{drafted.name}/members", target=f"{tmp_path}/hub:north/c:1").status_code == 303
    desk.wait(f"/combine/{drafted.name}")
    void(desk, drafted)
    assert [one.stem for one in drafted.members] == ["a", "b", "c-1"]


def test_a_hospital_that_leaves_makes_the_draft_void(desk, drafted, clinic):
    bring(desk, drafted, clinic.file("c"))
    weighed(desk, drafted)
    assert desk.post(f"/combine/{drafted.name}/left", member="b").status_code == 303
    void(desk, drafted)


def void(desk, union):
    """What was shown is of other members: it is gone, and nobody can sign it."""
    assert not union.draft.exists()
    page = desk.get(f"/combine/{union.name}")
    assert "What one patient risks" not in page.text
    assert f'action="/combine/{union.name}/sign"' not in page.text
    answer = desk.post(f"/combine/{union.name}/sign", hospital="North")
    assert (answer.status_code, "look first" in answer.text) == (400, True)
    assert not union.file.exists()
