"""Members with other columns, units and levels: what they have in common, and why they have nothing."""

import numpy as np
import pytest

import combining_kit as kit
import wardgan as wg
from wardgan.combining.agreement import Given, agreed
from wardgan.combining.translate import Translation, fitted
from wardgan.errors import SchemaError, UsageError


def given(name, columns, sources=None, **more):
    return Given(name, kit.schema(name, 100, columns, **more), sources or {})


def column(**more):
    return {"arm": {"kind": "flag", "label": True}, "x": more}


NUMBER = {"kind": "number", "low": 0, "high": 10, "step": 0.5}


def test_bounds_hold_for_all_and_what_may_be_missing_in_one_may_be_in_all():
    one = given("a", column(**NUMBER))
    two = given("b", column(**NUMBER | {"low": -2, "high": 8, "step": 0.25, "nullable": True}))
    found = agreed("all", [one, two]).schema
    x = found.column("x")
    assert (x.low, x.high, x.step, x.nullable, x.unit) == (-2, 10, 0.25, True, None)
    assert found.population == 200
    assert found.labels[0].name == "arm"
    whole = agreed("all", [given("a", column(kind="integer", low=0, high=9)), one]).schema.column("x")
    assert (whole.kind, whole.low, whole.high, whole.step) == ("number", 0, 10, 0.5)


def test_columns_that_not_all_have_are_left_out_or_missing():
    one, two = given("a", kit.table()), given("b", kit.table(crp={"kind": "number", "low": 0, "high": 300}))
    common = agreed("all", [one, two])
    assert [each.name for each in common.schema.table] == ["arm", "age", "glucose"]
    assert common.notices == ("crp: left out, since a has no such column.",)
    every = agreed("all", [one, two], keep="all")
    assert every.schema.column("crp").nullable
    assert every.notices == ("crp: missing in patients of a.",)
    drawn = every.translations[0](kit.patients(one.schema, 30, 1))
    assert np.isnan(drawn.static["crp"]).all()
    some = agreed("all", [one, two], keep=["age", "arm"])
    assert [each.name for each in some.schema.table] == ["arm", "age"]
    with pytest.raises(SchemaError, match="weight: no member has it"):
        agreed("all", [one, two], keep=["weight"])


def test_units_are_mapped():
    mmol = {"kind": "number", "low": 2, "high": 25, "unit": "mmol/L", "step": 0.1}
    one, two = given("a", kit.table()), given("b", {**kit.table(), "glucose": mmol})
    with pytest.raises(SchemaError, match=r"glucose: in mg/dL in a, in mmol/L in b; map one onto the other"):
        agreed("all", [one, two])
    mapped = given("b", {**kit.table(), "glucose": mmol}, {"glucose": wg.Source("glucose", times=18.016)})
    found = agreed("all", [one, mapped])
    x = found.schema.column("glucose")
    assert (x.unit, x.low, x.high, x.step) == ("mg/dL", 36, 451, 1)
    cohort = kit.patients(mapped.schema, 200, 1)
    there = found.translations[1](cohort).static["glucose"]
    assert np.abs(there - 18.016 * cohort.static["glucose"]).max() <= 0.5 + 1e-9
    steps = (there - x.low) / x.step
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-6)
    assert fitted(np.array([-5.0, 9e9, np.nan]), x)[:2].tolist() == pytest.approx([x.low, x.high])


def test_levels_are_mapped_or_joined_and_labels_stay_labels():
    flipped = {"kind": "category", "levels": ["neu", "old"], "label": True}
    one, two = given("a", kit.table()), given("b", {**kit.table(), "arm": flipped})
    with pytest.raises(SchemaError, match=r"arm: only a has 'new', only b has 'neu'; map levels onto each other, or"):
        agreed("all", [one, two])
    mapped = given("b", {**kit.table(), "arm": flipped}, {"arm": wg.Source("arm", levels={"neu": "new"})})
    found = agreed("all", [one, mapped])
    assert found.schema.column("arm").levels == ("old", "new")
    assert found.translations[1].classes().tolist() == [1, 0]
    cohort = kit.patients(mapped.schema, 50, 1)
    there = found.translations[1](cohort)
    assert (there.wide()["arm"].astype(str) == cohort.wide()["arm"].astype(str).replace("neu", "new")).all()
    joined = agreed("all", [one, two], union=True).schema.column("arm")
    assert joined.levels == ("old", "new", "neu")


def test_all_that_is_wrong_is_said_at_once():
    other = {
        "arm": {"kind": "flag", "label": True}, "age": {"kind": "category", "levels": ["young", "old"]},
        "glucose": {"kind": "number", "low": 2, "high": 25, "unit": "mmol/L"},
    }  # fmt: skip
    with pytest.raises(SchemaError) as error:
        agreed("all", [given("a", kit.table()), given("b", other)])
    said = str(error.value)
    for line in (
        "- arm: a category in a, a flag in b.",
        "- age: a integer in a, a category in b.",
        "- glucose: in mg/dL in a",
    ):
        assert line in said
    with pytest.raises(SchemaError, match="no column in common"):
        agreed("all", [given("a", {"x": NUMBER}), given("b", {"y": NUMBER})])


def test_visits_and_images_must_be_of_one_kind():
    visits = {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260}}}
    other = {**visits, "grid": ["A", "C"]}
    one, two, none = given("a", {}, visits=visits), given("b", {}, visits=other), given("c", kit.table())
    with pytest.raises(SchemaError, match="visits: a and b have other visits"):
        agreed("all", [one, two])
    with pytest.raises(SchemaError, match="visits: a has visits, c has none"):
        agreed("all", [one, none])
    image = Given(
        "d", wg.Schema.from_dict({"name": "d", "images": {"size": [8, 8]}, "table": {"arm": {"kind": "flag"}}})
    )
    with pytest.raises(SchemaError, match="images of one size and kind"):
        agreed("all", [none, image])
    assert agreed("all", [one, one]).schema.visits == one.schema.visits


def test_rules_are_promised_where_all_have_them_on_the_same_columns():
    two = {"low": {"kind": "integer", "low": 0, "high": 9}, "high": {"kind": "integer", "low": 0, "high": 9}}
    one, other = given("a", two, rules=["low < high"]), given("b", two, rules=["low < high", "low > 1"])
    found = agreed("all", [one, other])
    assert [rule.text for rule in found.schema.rules] == ["low < high"]
    assert any("'low > 1'" in notice for notice in found.notices)
    renamed = given("b", {"l": two["low"], "high": two["high"]}, {"low": wg.Source("l")}, rules=["l < high"])
    assert agreed("all", [one, renamed]).schema.rules == ()


def test_steps_that_all_values_have():
    for steps, wanted in (((2, 3), 1), ((0.5, 0.2), 0.1), ((1, 0.25), 0.25), ((2, 2), 2)):
        parts = [
            given(name, column(kind="number", low=0, high=12, step=step))
            for name, step in zip("ab", steps, strict=True)
        ]
        found = agreed("all", parts)
        assert found.schema.column("x").step == pytest.approx(wanted)
        for one, to in zip(parts, found.translations, strict=True):
            cohort = kit.patients(one.schema, 200, 1)
            np.testing.assert_allclose(to(cohort).static["x"], cohort.static["x"], atol=1e-9)
    shifted = [
        given("a", column(kind="number", low=0, high=10, step=1)),
        given("b", column(kind="number", low=0.5, high=9.5, step=1)),
    ]
    assert agreed("all", shifted).schema.column("x").step == 0.5
    odd = [
        given("a", column(kind="number", low=0, high=10, step=1)),
        given("b", column(kind="number", low=0.12345, high=9.12345, step=1)),
    ]
    assert agreed("all", odd).schema.column("x").step is None


def test_dates_are_not_moved():
    dates = {"adm": {"kind": "date", "origin": True}, "dis": {"kind": "date", "after": "adm", "within": 30}}
    with pytest.raises(UsageError, match="multiplied or moved, but 'dis' is a date"):
        agreed("all", [given("a", dates, {"dis": wg.Source("dis", plus=-200)})])


def test_units_that_nobody_knows_any_more_and_units_that_nobody_said():
    mapped = [given(name, kit.table(), {"glucose": wg.Source("glucose", times=18)}) for name in "ab"]
    found = agreed("all", mapped)
    assert found.schema.column("glucose").unit is None
    assert "glucose: its values are mapped in all members, so nobody knows its unit." in found.notices
    silent = given("b", {**kit.table(), "glucose": {"kind": "number", "low": 50, "high": 400, "step": 1}})
    found = agreed("all", [given("a", kit.table()), silent])
    assert found.notices == ("glucose: b declares no unit; it is taken for mg/dL.",)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (wg.Source("nothing"), "mapped from 'nothing', which is no column"),
        (wg.Source("arm", times=2), "is multiplied or moved, but 'arm' is a category"),
        (wg.Source("arm", levels={"older": "old"}), "'older' is no level of 'arm'"),
        (wg.Source("age", times=0), "times is not 0"),
        (wg.Source("age", plus=np.inf), "finite numbers"),
    ],
)
def test_mappings_from_what_is_not_there(source, says):
    with pytest.raises(UsageError, match=says):
        agreed("all", [given("a", kit.table(), {"y": source})])


def test_a_translation_back_and_forth_gives_the_same_patients():
    here, there = kit.schema("a", 100), kit.schema("b", 100)
    cohort = kit.patients(here, 100, 3)
    sources = {each.name: wg.Source(each.name) for each in here.table}
    back = Translation(there, here, sources)(Translation(here, there, sources)(cohort))
    assert back.digest() == cohort.digest()
