"""The steward's pages where hospitals' generators become one: what is brought, what that costs, and what leaves."""

import json
import re
import shutil
import time

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import steward_kit as kit
import wardgan as wg
from steward_kit import bring, weighed
from wardgan.hub.hub import Hub
from wardgan.web.numbers import upward
from wardgan.web.steward import transfer
from wardgan.web.steward.arithmetic import costs_of
from wardgan.web.steward.union import Union, begin_union, words_of

SECRET = "zebra-quartz-9371"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.three(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(autouse=True)
def trusted(clinic, monkeypatch):
    """Verbs know the hospital's key."""
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))


@pytest.fixture
def union(desk, request):
    """An empty one, of a test's own."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    answer = desk.post("/combine/new", name=name)
    assert answer.headers["location"] == f"/combine/{name}"
    return Union(desk.home / "_combined" / name)


def test_from_files_to_a_region_in_a_hub(desk, union, clinic, tmp_path):
    for name in "ab":
        assert bring(desk, union, clinic.file(name)).status_code == 303
    assert not union.draft.exists()
    page = weighed(desk, union, overlap="1", weights="uniform", columns="common")
    assert kit.alarm(page) is None, kit.alarm(page)
    text = kit.words(page)
    assert "a patient of at most 1, as you declare" in text
    assert "50.0 %" in text
    assert not union.file.exists()
    # What is signed is what was shown, whatever a form says.
    answer = desk.post(
        f"/combine/{union.name}/sign", overlap="2", weights="size", hospital="Region", passphrase=SECRET, again=SECRET
    )
    assert answer.status_code == 303
    page = desk.wait(f"/combine/{union.name}")
    assert "a patient of at most 1, as you declare" in kit.words(page)
    assert "is signed" in page.text, kit.words(page)
    assert SECRET not in json.dumps(union.chosen) + page.text
    assert (desk.home / "signing.key").is_file()
    assert desk.post(f"/combine/{union.name}/publish", target="../../hub:region/all:1.0").status_code == 303
    page = desk.wait(f"/combine/{union.name}")
    assert "Published" in page.text
    (entry,) = Hub(desk.home / "hub").list()
    assert (entry.name, entry.kind, entry.hospitals) == ("region/all", "mixture", 2)
    assert len(wg.load(union.file).sample(10, seed=1)) >= 10
    # It is done: nothing changes any more.
    before = union.file.read_bytes()
    for answer in (bring(desk, union, clinic.file("c")), desk.post(f"/combine/{union.name}/sign", key="k")):
        assert answer.status_code == 400
        assert "signed" in answer.text
    assert union.file.read_bytes() == before


def test_the_arithmetic_is_that_of_the_verb(desk, union, clinic):
    for name in "abc":
        bring(desk, union, clinic.file(name))
    weighed(desk, union, overlap="2")
    made = wg.combine([clinic.file(name) for name in "abc"], union.folder / "again.hgan", overlap=2)
    page = kit.words(desk.get(f"/combine/{union.name}"))
    for epsilon in (made.bounds.disjoint.epsilon, made.bounds.overlap.epsilon, made.bounds.worst.epsilon):
        assert f" {upward(epsilon)} " in page
    assert made.bounds.disjoint.epsilon < made.bounds.overlap.epsilon < made.bounds.worst.epsilon
    added = sum(wg.inspect(clinic.file(name))["privacy"]["epsilon"] for name in "abc")
    assert f" {upward(added)} " in page
    assert made.bounds.worst.epsilon <= added


def test_what_is_claimed_is_dark(desk, union, clinic):
    for name in "ab":
        bring(desk, union, clinic.file(name))
    for overlap, claimed in (("", "of all 2"), ("1", "a patient of at most 1")):
        page = weighed(desk, union, overlap=overlap).text
        row = page[page.index('<tr class="claim">') :].partition("</tr>")[0]
        assert claimed in row
        assert 'class="mine" width="' in row


def test_lines_are_as_long_as_they_cost():
    def member(name, epsilon):
        mode = {"mode": "private", "epsilon": epsilon, "delta": 1e-5} if epsilon else {"mode": "none"}
        return {"name": name, "privacy": mode}

    bounds = {
        "delta": 1e-5,
        "disjoint": {"epsilon": 2.0},
        "overlap": None,
        "worst": {"epsilon": 2.5},
        "most": None,
        "sites": 3,
    }
    tree = [member("a", 1.0), {"name": "r", "members": [member("b", 2.0), member("c", 1.0)], "privacy": {}}]
    costs = costs_of({"bounds": bounds, "tree": tree})
    assert [(one.words, one.epsilon, one.share) for one in costs[:3]] == [
        ("a, as its file promises", 1.0, 0.25), ("r / b, as its file promises", 2.0, 0.5),
        ("r / c, as its file promises", 1.0, 0.25),
    ]  # fmt: skip
    assert [one.kind for one in costs] == ["member"] * 3 + ["bound", "claim", "added"]
    assert costs[-1].epsilon == 4.0
    # Another delta is said, and nothing is added up.
    tree[0]["privacy"]["delta"] = 1e-9
    costs = costs_of({"bounds": bounds, "tree": tree})
    assert costs[0].words == "a, as its file promises (at delta 1e-09)"
    assert "added" not in [one.kind for one in costs]
    open_ = {
        "delta": 1e-5,
        "disjoint": {"epsilon": None},
        "overlap": None,
        "worst": {"epsilon": None},
        "most": None,
        "sites": 1,
    }
    costs = costs_of({"bounds": open_, "tree": [member("a", None)]})
    assert [(one.epsilon, one.share) for one in costs] == [(None, 1.0)] * 3


def test_a_draft_of_another_kind_is_not_shown(desk, union, clinic):
    for name in "ab":
        bring(desk, union, clinic.file(name))
    weighed(desk, union, overlap="1")
    assert union.draft.exists()
    page = weighed(desk, union, overlap="x")
    assert kit.alarm(page)
    assert "What one patient risks" not in page.text
    assert desk.post(f"/combine/{union.name}/sign", hospital="A").status_code == 400


def test_a_hospital_leaves(desk, union, clinic):
    for name in "abc":
        bring(desk, union, clinic.file(name))
    weighed(desk, union)
    assert "of all 3" in desk.get(f"/combine/{union.name}").text
    assert desk.post(f"/combine/{union.name}/left", member="b").status_code == 303
    page = desk.get(f"/combine/{union.name}")
    assert "What one patient risks" not in page.text  # what was known is of others
    assert [one.stem for one in union.members] == ["a", "c"]
    assert "of all 2" in weighed(desk, union).text


def test_weights_of_ones_own(desk, union, clinic):
    for name in "ab":
        bring(desk, union, clinic.file(name))
    page = weighed(desk, union, weights="own", **{"weight.a": "3", "weight.b": "1"})
    assert "75.0 %" in kit.words(page)
    answer = desk.post(f"/combine/{union.name}/how", weights="own", **{"weight.a": "x", "weight.b": "1"})
    assert (answer.status_code, "weight of a" in answer.text) == (400, True)
    for wrong in ("-1", "nan", "inf"):
        page = weighed(desk, union, weights="own", **{"weight.a": wrong, "weight.b": "1"})
        assert kit.alarm(page), wrong


def test_from_a_hub(desk, union, clinic, tmp_path):
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file("a"), "cardio/a:1.0")
    answer = desk.post(f"/combine/{union.name}/members", target=f"{tmp_path}/hub:cardio/a:1.0")
    assert answer.status_code == 303
    page = desk.wait(f"/combine/{union.name}")
    assert kit.alarm(page) is None
    assert [one.name for one in union.members] == ["a-1.0.hgan"]
    # Who signed it must be known.
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file("nobodys", signed=False), "cardio/n:1.0", unsigned=True)
    desk.post(f"/combine/{union.name}/members", target=f"{tmp_path}/hub:cardio/n:1.0")
    assert "unsigned" in kit.alarm(desk.wait(f"/combine/{union.name}"))
    desk.post(f"/combine/{union.name}/members", target=f"{tmp_path}/hub:cardio/zzz:1.0")
    assert "zzz" in kit.alarm(desk.wait(f"/combine/{union.name}"))
    assert len(union.members) == 1


@pytest.mark.parametrize("name", ["..", ".hgan", "a b.hgan", "-o.hgan", "a.csv", "x" * 200 + ".hgan", "", "a\n.hgan"])
def test_what_is_called_oddly_is_refused(desk, union, name):
    before = sorted(union.folder.rglob("*"))
    answer = desk.client.post(
        f"/combine/{union.name}/members", data={"csrf": desk.csrf}, files={"file": (name, b"x")}, headers=kit.OURS,
        follow_redirects=False,
    )  # fmt: skip
    assert answer.status_code == 400
    assert sorted(union.folder.rglob("*")) == before
    shutil.rmtree(union.folder)


def test_what_cannot_be_combined_is_told(desk, union, clinic):
    answer = desk.post(f"/combine/{union.name}/sign", hospital="A")
    assert (answer.status_code, "look first" in answer.text) == (400, True)
    answer = desk.post(f"/combine/{union.name}/how")
    assert (answer.status_code, "bring a generator" in answer.text) == (400, True)
    bring(desk, union, clinic.file("a"))
    assert kit.alarm(weighed(desk, union)) is None  # a region may begin with one hospital
    broken = union.folder / "broken.hgan"
    broken.write_bytes(b"no release")
    bring(desk, union, broken)
    assert "broken" in kit.alarm(weighed(desk, union))
    desk.post(f"/combine/{union.name}/left", member="broken")
    # The same generator under two names is one generator.
    twice = union.folder / "again.hgan"
    shutil.copy(clinic.file("a"), twice)
    bring(desk, union, twice)
    assert kit.alarm(weighed(desk, union))
    assert bring(desk, union, twice).status_code == 400  # it is there already
    for words in ({"overlap": "x"}, {"overlap": "0"}, {"columns": "absent"}):
        assert kit.alarm(weighed(desk, union, **words)), words
    assert desk.post(f"/combine/{union.name}/how", weights="most").status_code == 400
    assert desk.post(f"/combine/{union.name}/publish", target="../hub:a:1").status_code == 400
    assert not union.file.exists()


def test_who_is_not_known_is_loud(desk, union, clinic, monkeypatch, tmp_path):
    for path in (clinic.file("a"), clinic.file("nobodys", signed=False)):
        bring(desk, union, path)
    page = weighed(desk, union)
    assert "nobodys: no key of your trust file signed it" in kit.alarm(page)
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path / "empty.json"))
    page = desk.get(f"/combine/{union.name}").text
    assert page.count("no key of your trust file signed it") == 2


def test_a_publication_is_kept_though_nobody_looks(desk, union, clinic):
    for name in "ab":
        bring(desk, union, clinic.file(name))
    weighed(desk, union)
    desk.post(f"/combine/{union.name}/sign", key=str(clinic.key))
    assert "is signed" in desk.wait(f"/combine/{union.name}").text
    desk.post(f"/combine/{union.name}/publish", target="../../hub:north/all:1.0")
    until = time.monotonic() + kit.LONGEST
    while desk.app.state.acts.busy(union):
        assert time.monotonic() < until
        time.sleep(0.1)
    # Where it is can be said from anywhere.
    assert union.chosen["published"] == f"{desk.home}/hub:north/all:1.0"
    answer = desk.post(f"/combine/{union.name}/publish", target="../../hub:a b")
    assert answer.status_code == 400
    assert f'href="/combine/{union.name}"' in answer.text


@pytest.mark.parametrize("name", ["", "A", "..", "a/b", "x" * 41])
def test_a_name_is_one(desk, name):
    assert desk.post("/combine/new", name=name).status_code == 400
    assert desk.get("/combine/nobody").status_code == 404


def test_words_cannot_be_options(desk, union, clinic):
    for name in "ab":
        bring(desk, union, clinic.file(name))
    union.choose(recipe={"columns": "--force", "overlap": "--key=x", "name": "--json", "members": []})
    words = words_of(union, union.draft, "-k")
    assert words == ["combine", "recipe.yaml", "-o", "_draft.hgan", "--json", "--key=-k"]


def test_a_union_may_be_called_draft(desk, clinic):
    found = begin_union(desk.home, "draft")
    for name in "ab":
        bring(desk, found, clinic.file(name))
    page = weighed(desk, found)
    assert "is signed" not in page.text
    assert found.draft.exists()
    assert not found.file.exists()


def test_what_came_too_slowly_is_not_taken(desk, union, clinic, monkeypatch):
    real = transfer.received

    def slow(*words):
        real(*words)
        union.file.write_bytes(b"signed meanwhile")

    monkeypatch.setattr(transfer, "received", slow)
    assert bring(desk, union, clinic.file("a")).status_code == 400
    assert union.members == []


def test_a_character_that_no_text_has(desk, union):
    for way, form in (("how", {"overlap": "1\0"}), ("members", {"target": "a\0b"})):
        answer = desk.post(f"/combine/{union.name}/{way}", **form)
        assert (answer.status_code, "it holds a character" in answer.text) == (400, True)
    assert "overlap" not in union.chosen


def test_two_of_one_name(desk):
    begin_union(desk.home, "twice")
    assert "taken" in desk.post("/combine/new", name="twice").text
    assert "twice" in desk.get("/combine").text
    # They are no projects.
    assert "_combined" not in desk.get("/").text


def test_one_that_is_not_private_is_loud(desk, union, clinic):
    import release_kit
    from wardgan.seal import artifact

    open_ = union.folder / "open.hgan"
    artifact.release(
        release_kit.fit(ledger=release_kit.OPEN_LEDGER), open_, clinic.key, release_kit.OVERRIDE,
        training_data_id="data-0000009", created="2026-01-01",
    )  # fmt: skip
    bring(desk, union, clinic.file("a"))
    bring(desk, union, open_)
    page = weighed(desk, union)
    assert "NOT PRIVATE: the combined generator claims nothing." in page.text
    assert "without limit" in page.text
    assert "not private</span>" in page.text
    said = notices_in(page)
    assert any("open" in one for one in said)
    # Also when a key was made before it was signed.
    for name in ("signing.key", "signing.key.pub"):
        (desk.home / name).unlink(missing_ok=True)
    desk.post(f"/combine/{union.name}/sign", hospital="North")
    page = desk.wait(f"/combine/{union.name}")
    assert "is signed" in page.text, kit.words(page)
    assert notices_in(page) == said


def notices_in(page):
    return re.findall(r'<p class="alarm">(.*?)</p>', page.text)
