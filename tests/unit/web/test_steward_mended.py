"""What the steward's pages tell, keep and refuse, without running a verb where none is needed."""

import time
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

from hypothesis import given, settings
from hypothesis import strategies as st

import federating_kit
import steward_kit as kit
from combining_kit import schema
from wardgan.errors import UsageError, WardganError
from wardgan.web.numbers import upward
from wardgan.web.steward import combining, federating, pooling, quoting, recipes, trying
from wardgan.web.steward import union as unions
from wardgan.web.steward.arithmetic import costs_of
from wardgan.web.steward.distilling import words_of as distil_words
from wardgan.web.steward.pool import add_words, begin_pool, survey_words
from wardgan.web.steward.project import Kept, begin
from wardgan.web.steward.training import Hospital, Standing, Training
from wardgan.web.steward.union import begin_union, words_of
from wardgan.web.steward.verbs import Acts

DIGEST = "sha256:" + "ab" * 32
SIGNED = {"status": "unknown key", "name": None, "keyid": "feed" * 16}
BOUNDS = {
    "delta": 1.4e-5, "disjoint": {"epsilon": 1.001}, "overlap": {"epsilon": 1.231}, "worst": {"epsilon": 1.231},
    "most": 5, "sites": 2,
}  # fmt: skip
FACTS = {
    "digest": DIGEST, "signature": SIGNED, "schema": schema("x", None).to_dict(), "privacy": {"mode": "private"}, "bounds": BOUNDS,
    "tree": [{"name": "a", "share": 1.0, "signature": SIGNED,
              "privacy": {"mode": "private", "epsilon": 1.001, "delta": 1.4e-5}}],
}  # fmt: skip
NOTICE = "a: nobody signed it"


@pytest.fixture
def desk(tmp_path):
    with kit.opened(tmp_path / "home", quick=True) as found:
        yield found


@pytest.fixture
def told(monkeypatch):
    """A verb that tells `FACTS` of whatever file."""
    for module in (unions, pooling):
        monkeypatch.setattr(module, "ask", lambda *_: (FACTS, ""))


# Numbers.


@given(st.floats(1e-12, 1e6), st.integers(2, 8))
def test_what_is_shown_of_a_promise_is_never_less(value, digits):
    assert value * (1 - 1e-11) <= float(upward(value, digits)) <= value * (1 + 10 ** (1 - digits)) + 1e-18


def test_delta_and_epsilon_are_not_rounded_down():
    costs = costs_of(FACTS)
    page = kit.words(SimpleNamespace(text=rendered_risks(costs)))
    assert "Epsilon at delta 1.4e-05," in page
    assert "a patient of at most 2, as you declare 1.24" in page  # there are not five hospitals
    assert "as its file promises 1.01" in page
    assert costs_of(FACTS | {"tree": [{"name": "b", "privacy": FACTS["tree"][0]["privacy"] | {"delta": 2.5e-9}}]})[
        0
    ].words.endswith("(at delta 2.5e-09)")


def rendered_risks(costs):
    from wardgan.web import pages

    text = '{% from "steward/risks.html" import risks %}{{ risks(costs, facts) }}'
    return pages._PAGES.from_string(text).render(costs=costs, facts=FACTS)


def test_what_a_hospital_has_spent_is_shown_though_it_is_more_than_planned(desk, monkeypatch):
    agreement = federating_kit.agreement()
    standing = Standing(1, 2, 3, False, (Hospital("alpha", 100, 2.3456, 2.0, True),), ())
    monkeypatch.setattr(federating, "known_problem", lambda _: (agreement, standing, ""))
    (desk.home / "_federated" / "x").mkdir(parents=True)
    page = desk.get("/federate/x")
    assert 'value="2.3456"' in page.text
    assert "2.35 2 " in kit.words(page)


# Recipes.

NAMES = st.one_of(st.sampled_from(["12:30", "x,y", '"q"', "a: b", ":", ",", '"', "é:1", "tab\t:", "l\u2028:"]),
                  st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6))  # fmt: skip
PLAIN = st.text("abcé:,\"'#- ", min_size=1, max_size=5).filter(lambda text: text.strip() == text)
NUMBERS = st.one_of(st.integers(-99, 99), st.floats(-1e9, 1e9))
SOURCES = st.fixed_dictionaries({"from": PLAIN}, optional={
    "times": NUMBERS, "plus": NUMBERS, "levels": st.dictionaries(NAMES, NAMES, min_size=1, max_size=3),
})  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_a_form_says_what_the_recipe_says(data):
    own = data.draw(st.booleans())
    members = [{"file": f"{stem}.hgan"} | ({"weight": data.draw(st.integers(0, 9))} if own else {}) for stem in "ab"]
    if maps := data.draw(st.dictionaries(PLAIN, SOURCES, max_size=3)):
        members[1]["map"] = maps
    recipe = {"members": members} | ({} if own else {"weights": "size"})
    recipe |= data.draw(st.fixed_dictionaries({}, optional={
        "columns": st.lists(NAMES, max_size=4), "overlap": st.integers(1, 9), "levels": st.just("all"),
        "classes": st.dictionaries(PLAIN, st.fixed_dictionaries({"b": st.integers(0, 9)}), min_size=1, max_size=2),
    }))  # fmt: skip
    assert recipes.from_form(recipe, recipes.fields_of(recipe, {}, "")) == (recipe, [])


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("members: [a.hgan, {file: b.hgan, map: {x: {form: y}}}]", "members"),
        ("members: [a.hgan, {file: b.hgan, map: {' x': y}}]", "members"),
        ('members: [a.hgan, {file: b.hgan, map: {x: "y\\nz"}}]', "members"),
        ("classes: {k: {nobody: 1}}", "classes"), ("column: [x]", "column"), ("columns: named", "columns"),
    ],
)  # fmt: skip
def test_a_form_refuses_to_change_what_it_cannot_say(text, part):
    recipe = recipes.from_text(text, ["a", "b"])
    with pytest.raises(UsageError, match=rf"written in {part}, and would change it"):
        recipes.from_form(recipe, recipes.fields_of(recipe, {}, ""))


def test_a_class_loses_the_weight_of_who_left():
    recipe = recipes.from_text("classes: {k: {a: 1, b: 2}, l: {b: 1}}", ["a", "b"])
    left = recipes.kept({"recipe": recipe}, ["a"])
    assert left["classes"] == {"k": {"a": 1}}
    assert recipes.from_form(left, recipes.fields_of(left, {}, ""))[0]["classes"] == left["classes"]


def test_what_follows_a_quote_is_told():
    with pytest.raises(UsageError, match="follows a name in quotes"):
        quoting.columns_of('"x" y, z')
    for line in ('"a" b: c', 'a: "b" c', ": x", "x:", "x"):
        assert quoting.level_of(line) is None, line
    assert quoting.level_of("a: b:c") == ("a", "b:c")


def test_a_text_that_doubles_with_each_line_is_refused_at_once():
    lines = ["a0: &a0 [x, x]", *(f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 60))]
    begun = time.process_time()
    with pytest.raises(WardganError, match="has an alias"):
        recipes.from_text("\n".join(lines), [])
    assert time.process_time() - begun < 60
    with pytest.raises(UsageError, match="is it a recipe"):
        recipes.from_text("#" * 1_000_001, [])


# What is kept.


def test_notices_stay_until_it_is_signed(desk, told):
    union = begin_union(desk.home, "kept")
    union.draft.write_bytes(b"draft")
    # Of a draft nobody knows what was told: it must be looked at again.
    for kept in ({}, {"digest": "sha256:other", "notices": [NOTICE]}):
        union.choose(combined=kept)
        assert "Sign it" not in desk.get("/combine/kept").text
        answer = desk.post("/combine/kept/sign", hospital="A")
        assert (answer.status_code, "look first" in answer.text) == (400, True)
    union.choose(combined={"digest": DIGEST, "notices": [NOTICE]})
    assert NOTICE in desk.get("/combine/kept").text  # nothing ran since these pages began
    union.draft.rename(union.file)
    assert NOTICE in desk.get("/combine/kept").text


def run(kept, answers, **after):
    """Runs verbs of which each gives an exit code and an answer."""
    acts = Acts()

    def one(project, act, words, secret):
        code, said = answers[words[0]]
        act.answers.append(said)
        return code

    acts._run = one
    acts.start(kept, "x", "x", *([name] for name in answers), **after)
    while acts.busy(kept):
        time.sleep(0.01)


def test_what_was_made_is_kept_though_it_cannot_be_verified(desk, monkeypatch):
    kept, found, over = Kept(desk.home), [], []
    run(kept, {"make": (0, {"output": "x"}), "verify": (3, {"ok": False})}, each=found.append, last=over.append,
        ended=lambda: over.append("ended"))  # fmt: skip
    assert (found, over) == ([{"output": "x"}], ["ended"])


@pytest.mark.parametrize("module", [combining, pooling, federating])
def test_pages_keep_what_a_verb_made_and_not_what_another_one_says(desk, module, monkeypatch):
    monkeypatch.setattr(Acts, "start", lambda self, *words, **more: started.append((words, more)))
    monkeypatch.setattr(federating, "agreed_in", lambda _: 1)
    started = []
    for place in ("_combined", "_pooled", "_federated"):
        (desk.home / place / "x").mkdir(parents=True)
    kept = {combining: begin_union, pooling: begin_pool}.get(module)
    folder = Kept(desk.home / "_federated" / "x") if kept is None else kept(desk.home, "y")
    if module is combining:
        request = SimpleNamespace(app=desk.app)
        combining._start(request, folder, "x", ["combine"])
        name = "combined"
    elif module is pooling:
        pooling._add(SimpleNamespace(app=desk.app), folder, "x", ["pool"])
        name = "pooled"
    else:
        (folder.folder / "kits" / "alpha").mkdir(parents=True)
        assert desk.post("/federate/x/run", key="k").status_code == 303
        name = "federated"
    each = started[0][1]["each"]
    each({"output": "x.hgan", "bounds": {}, "notices": []})
    each({"ok": True, "bounds": {"else": 1}})
    assert folder.chosen[name]["output"] == "x.hgan"


def test_a_trial_leaves_nothing_however_it_ends(desk, monkeypatch):
    training = Training(desk.home / "_federated" / "x")
    training.folder.mkdir(parents=True)
    agreement = federating_kit.agreement()
    monkeypatch.setattr(federating, "agreed_in", lambda _: agreement)
    made = lambda *_: (training.folder / trying.FOLDER).mkdir()  # noqa: E731
    monkeypatch.setattr(trying, "invent", made)
    for code in (1, 0):
        monkeypatch.setattr(Acts, "_run", lambda *_, code=code: code)
        monkeypatch.setattr(trying, "keep", lambda *_: None)
        assert desk.post("/federate/x/try").status_code == 303
        while desk.app.state.acts.busy(training):
            time.sleep(0.01)
        assert not (training.folder / trying.FOLDER).exists(), code


def test_who_answers_no_survey_any_more_has_a_hold_out_again(desk):
    project = begin(desk.home, "mine", ".csv")
    project.schema.write_text("x")
    for before, after in (("0", None), ("0.3", "0.3")):
        project.survey.write_text("{}")
        project.choose(share=before)
        assert desk.post("/projects/mine/survey").status_code == 303
        assert (project.chosen["share"], project.survey.exists()) == (after, False)


# Whom the steward believes.


def revoke(desk, data):
    return desk.client.post(
        "/revoked",
        data={"csrf": desk.csrf},
        files={"file": ("list.txt", data)},
        headers=kit.OURS,
        follow_redirects=False,
    )


def test_what_was_revoked_goes_to_every_verb_that_refuses_it(desk):
    union, pool = begin_union(desk.home, "u"), begin_pool(desk.home, "p")
    for name in "ab":
        (union.folder / "members" / f"{name}.hgan").write_bytes(b"x")
        pool.place(name).write_bytes(b"x")

    def words():
        return [words_of(union, union.draft, None), words_of(union, union.file, "k"), distil_words(union, {}, "k"),
                survey_words(pool), add_words(pool, pool.draft, None), add_words(pool, pool.file, "k")]  # fmt: skip

    assert not any(word.startswith("--revoked") for one in words() for word in one)
    assert "No list of revoked" in desk.get("/combine").text
    assert revoke(desk, f"{DIGEST} north/a:1.0\n# more\n".encode()).status_code == 303
    assert all(one.count("--revoked=../../revoked.txt") == 1 for one in words())
    for page in ("/combine", "/combine/u", "/pool/p"):
        assert "1 revoked release in revoked.txt: refused" in desk.get(page).text
    # What is not understood takes the place of nothing.
    for wrong in (b"north/a:1.0\n", b"\xff", b"sha256:ab"):
        assert revoke(desk, wrong).status_code == 400
    assert (desk.home / "revoked.txt").read_bytes().startswith(DIGEST.encode())
    assert desk.post("/revoked").status_code == 400
    (desk.home / "revoked.txt").write_text("nonsense")
    assert "Everything is refused until" in desk.get("/combine").text


def test_pages_say_whose_key_signed_what_was_brought(desk, told, monkeypatch):
    union, pool = begin_union(desk.home, "u"), begin_pool(desk.home, "p")
    for file in (union.file, pool.like, pool.survey):
        file.write_bytes(b"{}")
    union.choose(combined={"digest": DIGEST, "notices": []})
    stranger = "signed by feedfeedfeedfeed..., a key that is not in your trust file"
    for page in ("/combine/u", "/combine/u/distil", "/pool/p"):
        assert stranger in kit.words(desk.get(page)), page
    pool.place("alpha").write_bytes(b"{}")
    assert "cannot be read" in kit.words(desk.get("/pool/p"))
    known = SimpleNamespace(signature=SimpleNamespace(**SIGNED | {"name": "Clinic"}))
    monkeypatch.setattr("wardgan.web.steward.believed.read_tables", lambda _: known)
    assert "signed by Clinic, whose key is in your trust file" in kit.words(desk.get("/pool/p"))
