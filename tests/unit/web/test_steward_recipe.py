"""The steward's recipe: classes, columns, units and levels as a form and as text; what is wrong stays, and is told."""

import copy

import pytest
import yaml

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import release_kit
import steward_kit as kit
import wardgan as wg
from hub_kit import Clinic
from steward_kit import bring, weighed
from wardgan.errors import UsageError
from wardgan.web.steward import recipes
from wardgan.web.steward.union import Union

EVIL = '<b>"it\'s" & 1</b>'
FORM = {"overlap": "1", "weights": "uniform", "columns": "common", "levels": "same"}
RR = {"map.0.member": "b", "map.0.to": "sbp", "map.0.from": "rr", "map.0.times": "7.5", "map.0.plus": "0.5"}
ARM = {"map.1.member": "b", "map.1.to": "arm", "map.1.from": "treatment",
       "map.1.levels": "s: standard\r\ni: intensive\r\n"}  # fmt: skip


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Two hospitals, of which the second has other names, units and levels."""
    found = Clinic(tmp_path_factory.mktemp("clinic"))
    found.file("a")
    other = copy.deepcopy(release_kit.SCHEMA)
    table, columns = other["table"], other["visits"]["columns"]
    other["table"] = {"sex": table["sex"], "treatment": table["arm"] | {"levels": ["s", "i"]}, "age": table["age"]}
    other["visits"]["columns"] = {"rr": columns["sbp"] | {"low": 6, "high": 35, "unit": "kPa"}}
    found.file("b", schema=other, data="data-0000002", created="2026-02-01")
    return found


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    with kit.opened(tmp_path_factory.mktemp("steward") / "home", quick=True) as found:
        yield found


@pytest.fixture(autouse=True)
def trusted(clinic, monkeypatch):
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))


@pytest.fixture
def union(desk, clinic, request):
    """Both hospitals' files, and nothing chosen."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    desk.post("/combine/new", name=name)
    found = Union(desk.home / "_combined" / name)
    for one in "ab":
        bring(desk, found, clinic.file(one))
    return found


def test_what_does_not_fit_is_told_column_by_column_and_mended_in_the_form(desk, union):
    page = weighed(desk, union, **FORM | {"columns": "all", "map.0.to": "sbp", "map.0.member": "b", "map.0.from": "rr"})
    said = kit.alarm(page)
    assert "- sbp: in mm[Hg] in a, in kPa in b; map one onto the other (times, plus)." in said.splitlines()
    page = weighed(desk, union, **FORM, **RR, **ARM)
    assert kit.alarm(page) is None, kit.alarm(page)
    text = kit.words(page)
    assert "sbp is rr \N{MULTIPLICATION SIGN} 7.5 +0.5" in text
    assert "arm is treatment (i: intensive, s: standard)" in text
    assert "a patient of at most 1, as you declare" in text
    # What was written is in the form, in the text, and in the file.
    fields = form_of(page, "how")
    assert fields.items() >= (FORM | RR).items()
    assert fields["map.1.levels"].split() == ["s:", "standard", "i:", "intensive"]
    assert {fields["map.2.to"], fields["map.3.to"]} == {""}
    recipe = yaml.safe_load(form_of(page, "text")["text"])
    assert recipe["members"][1]["map"]["sbp"] == {"from": "rr", "times": 7.5, "plus": 0.5}
    assert wg.Recipe.load(union.recipe).overlap == 1
    # The form as the page shows it says the same again.
    assert weighed(desk, union, **fields).text == page.text


def test_a_column_that_was_refused_has_a_line_that_waits():
    recipe = recipes.from_text("members: [a.hgan, {file: b.hgan, map: {sbp: rr}}]", ["a", "b"])
    said = "These schemas cannot be combined:\n- sbp: in mm[Hg] in a, in kPa in b.\n- arm: only a has 'x': y.\n- arm: more."
    fields = recipes.fields_of(recipe, {}, said)
    assert [fields[f"map.{at}.to"] for at in range(4)] == ["sbp", "arm", "", ""]
    assert (fields["map.0.member"], fields["map.0.from"], fields["map.1.member"]) == ("b", "rr", "")
    # A line that waits says nothing.
    assert recipes.from_form(recipe, fields)[0]["members"][0] == {"file": "a.hgan"}


def test_weights_of_a_class(desk, union):
    page = weighed(desk, union, **FORM, **RR, **ARM)
    fields = form_of(page, "how")
    assert [fields[f"class.{at}"] for at in range(2)] == ["arm=standard", "arm=intensive"]
    page = weighed(desk, union, **fields | {"class.1.a": "3", "class.1.b": "1"})
    assert kit.alarm(page) is None, kit.alarm(page)
    recipe = wg.Recipe.load(union.recipe)
    assert recipe.classes == {"arm=intensive": {"a": 3.0, "b": 1.0}}
    assert form_of(page, "how")["class.0.a"] == ""
    shares = {one["name"]: one["share"] for one in wg.inspect(union.draft)["tree"]}
    assert shares["a"] == pytest.approx(0.5 * 0.5 + 0.5 * 0.75, abs=1e-9)


WRONG = {
    "map.0.times": ("x", "sbp of b: times: 'x' is not a number"), "map.0.member": ("", "sbp of nobody: choose whose"),
    "map.1.levels": ("s = standard", "arm of b: levels: write 's = standard' as old: new"),
    "map.0.to": ("", "rr of b: say which column"), "map.1.to": ("sbp", "sbp of b: it is there twice"),
    "weight.a": ("x", "weight of a: 'x' is not a number"), "class.0.b": (EVIL, "arm=new: weight of b: "),
}  # fmt: skip


@pytest.mark.parametrize("field", WRONG)
def test_what_cannot_be_stays_and_is_told(desk, union, field):
    wrong, said = WRONG[field]
    form = {**FORM, "weights": "own", "weight.a": "1", "weight.b": "2", "class.0": "arm=new", **RR, **ARM, field: wrong}
    before = union.chosen
    answer = desk.post(f"/combine/{union.name}/how", **form)
    assert answer.status_code == 400
    assert said in kit.alarm(answer)
    fields = form_of(answer, "how")
    kept = {name: value for name, value in form.items() if not name.endswith("levels")}
    assert {name: fields[name] for name in kept} == kept
    assert "<b>" not in answer.text
    assert union.chosen == before
    assert not union.draft.exists()


def test_as_text_with_names_and_what_the_form_does_not_show(desk, union):
    text = (
        "name: north  # of the county\noverlap: 1\nmembers:\n  - a.hgan\n"
        "  - {file: b.hgan, name: Beta clinic, map: {sbp: {from: rr, times: 7.5}, "
        "arm: {from: treatment, levels: {s: standard, i: intensive}}}}\n"
        "classes: {'arm=intensive': {a: 3, Beta clinic: 1}}\n"
    )
    page = weighed(desk, union, text=text)
    assert kit.alarm(page) is None, kit.alarm(page)
    assert "Beta clinic" in kit.words(page)
    assert form_of(page, "text")["text"].strip() == text.strip()
    assert wg.inspect(union.draft)["name"] == "north"
    # The form goes on from there, and keeps the name.
    fields = form_of(page, "how")
    assert (fields["class.0"], fields["class.0.b"]) == ("arm=standard", "")
    assert (fields["class.1"], fields["class.1.a"], fields["class.1.b"]) == ("arm=intensive", "3", "1")
    page = weighed(desk, union, **fields | {"overlap": "2"})
    assert [one["name"] for one in wg.inspect(union.draft)["tree"]] == ["a", "Beta clinic"]
    assert "Beta clinic" in form_of(page, "text")["text"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "it is not YAML"), ("- a", "it is not a mapping"), ("members: 3", "is a list of files"),
        ("members: [a.hgan]", "b.hgan was brought and is not in the text"),
        ("members: [a.hgan, b.hgan, /etc/passwd]", "/etc/passwd.hgan was not brought"),
        ("members: [a.hgan, b.hgan, a.hgan]", "a.hgan is there twice"),
        ("members: [a.hgan, ../b.hgan]", "../b.hgan was not brought"), (EVIL, "it is not a mapping"),
        ("a: &x [*x]", "line 1 has an alias"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_recipe_is_told_and_stays(desk, union, text, said):
    answer = desk.post(f"/combine/{union.name}/how", text=text)
    assert (answer.status_code, said in kit.alarm(answer)) == (400, True), kit.alarm(answer)
    assert form_of(answer, "text")["text"].strip() == text
    assert "recipe" not in union.chosen
    assert not union.recipe.exists()


@pytest.mark.parametrize("text", ["overlap: many", "classes: {nobody: {a: 1}}"])
def test_what_the_verb_refuses_is_told_and_stays(desk, union, text):
    page = weighed(desk, union, text=text)
    assert kit.alarm(page)
    assert form_of(page, "text")["text"].strip() == text
    assert not union.draft.exists()


def test_a_form_that_nobody_touched_changes_nothing():
    recipe = recipes.from_text(
        "columns: [age, sex]\nlevels: all\nmembers:\n- {file: a.hgan, weight: 2.5}\n"
        "- {file: b.hgan, name: B, weight: 1, map: {x: y, z: {plus: 1, levels: {1: one}}}}\nclasses: {k=1: {B: 1}}",
        ["a", "b"],
    )
    found, problems = recipes.from_form(recipe, recipes.fields_of(recipe, {}, ""))
    assert problems == []
    recipe["members"][1]["map"]["x"] = {"from": "y"}
    assert found == recipe


def test_members_that_come_and_go_find_their_place():
    chosen = {"recipe": recipes.from_text("members: [{file: a.hgan, name: A}, b.hgan]", ["a", "b"])}
    assert recipes.kept(chosen, ["a", "c"])["members"] == [{"file": "a.hgan", "name": "A"}, {"file": "c.hgan"}]
    with pytest.raises(UsageError, match="weights='most'"):
        recipes.from_form(recipes.kept({}, ["a"]), {"weights": "most"})


def form_of(answer, which):
    """Gives the fields of the form of choices (`how`), or of the text."""
    return kit.form_of(answer, 'id="how"' if which == "how" else '<textarea id="text"')
