from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import data_kit as kit
from wardgan.errors import SchemaError
from wardgan.schema.cohort import Cohort
from wardgan.schema.read import broken
from wardgan.schema.rules import MAX_RULES, Rule
from wardgan.schema.schema import Schema
from wardgan.schema.search import hardest_rule

A, B = np.array([1.0, 2.0, 3.0, np.nan]), np.array([2.0, 2.0, 2.0, 2.0])
NAN = np.nan

TABLE = {
    "sex": {"kind": "category", "levels": ["male", "female"]},
    "pregnant": {"kind": "flag"},
    "stage": {"kind": "category", "levels": ["I", "II", "III"]},
    "grade": {"kind": "category", "levels": [1, 2, 3]},
    "town": {"kind": "category", "learn": True, "nullable": True},
    "age": {"kind": "integer", "low": 0, "high": 110},
    "weight": {"kind": "number", "low": 1, "high": 300, "nullable": True},
    "dose": {"kind": "number", "learn": True},
    "admitted": {"kind": "date", "low": "2010-01-01", "high": "2020-12-31"},
    "discharged": {"kind": "date", "after": "admitted", "within": 365},
    "died": {"kind": "flag"},
    "died_on": {"kind": "date", "after": "admitted", "within": 3000, "nullable": True},
    "born": {"kind": "date", "origin": True},
    "named": {"kind": "date", "after": "born", "within": 30},
}


def declared(*rules, **table):
    return kit.schema(TABLE | table, rules=list(rules))


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("a < b", [False, True, True, False]),
        ("a <= b", [False, False, True, False]),
        ("a > b", [True, True, False, False]),
        ("a >= b", [True, False, False, False]),
        ("a == b", [True, False, True, False]),
        ("a != b", [False, True, False, False]),
        ("not a < b", [True, False, False, False]),
        ("a < b or a > 2.5", [False, True, False, False]),
        ("a > 1 and a < 3", [True, False, True, False]),
        ("1 < a < 3", [True, False, True, False]),
        ("a + b * 2 - 1 < 6", [False, False, True, False]),
        ("a + b * 2 - 1 < 5", [False, True, True, False]),
        ("-a < -1", [True, False, False, False]),
        (" a < b ", [False, True, True, False]),
        ("a < 2 or 2 < 1", [False, True, True, False]),
        ("a * 1e60 * 1e60 * 1e99 * 1e99 < 1", [True, True, True, False]),
        # A missing cell does not save a row that is broken anyway, and does not break one that might be right.
        ("a > 0 and b > 2", [True, True, True, True]),
        ("a > 9 or b > 2", [True, True, True, False]),
        ("not (a > 9 or b == 2)", [True, True, True, True]),
        ("if b == 2 then a > 1", [True, False, False, False]),
        ("if b == 2 then missing(a)", [True, True, True, False]),
        ("if a > 1 then present(a)", [False, False, False, False]),
        ("a in (1, 3)", [False, True, False, False]),
        ("a not in (1, 3)", [True, False, True, False]),
        ("a in [2]", [True, False, True, False]),
        ("a in 2", [True, False, True, False]),
    ],
)
def test_a_rule_says_which_rows_break_it(text, broken):
    rule = Rule.parse(text)
    assert_array_equal(rule.broken({"a": A, "b": B}), broken)
    wide = {"a": A.reshape(2, 2), "b": B.reshape(2, 2)}
    assert_array_equal(rule.broken(wide), np.reshape(broken, (2, 2)))


def test_columns_of_different_shapes_are_joined():
    rule = Rule.parse("a < b")
    assert rule.names == ("a", "b")
    found = rule.broken({"a": np.array([[1.0, 5.0], [np.nan, 0.0]]), "b": np.array([[3.0], [np.nan]])})
    assert_array_equal(found, [[False, True], [False, False]])


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a < ", "a <", "1 < 2", "a = b", "a if a else b", "a < True", "a == True", "a < None", "a < 1j",
        "a / b < 1", "a ** 9 < 1", "abs(a) < 1", "a.b < 1", "a[0] < 1", "a in b", "a is b", "lambda: a", "~a < 1",
        "__import__('os') < a", "a < 10**400", "a < 1e999", "a < " + "9" * 400, "+a < 1", "[a] < 1", "a\x00 < 1",
        "a < b; a < b", "not " * 120 + "a", "(" * 300 + "a" + ")" * 300 + " < 1", "a" + " < a" * 200,
        "a < b # c\nb < a", None, 3, ["a < b"], "a < 1or b < 2", "a < 0x1", "a -> b", "a < 1 => b < 1",
        "a == '\\x41'", "a == b'x'", "a == f'{b}'", "a in ()", "a in (b,)", "a + 1 in (1, 2)", "not a in (1, (2, 3))",
        "missing(a + 1)", "missing('a')", "missing()", "missing(a, b)", "missing(a=b)", "missing(*a)", "missing(a)(b)",
        "a.missing(b)", "missing", "if a < 1", "if a < 1 then", "if then a < 1", "if (a < 1 then b < 1)",
        "if a < 1 then b < 1 then a < 1", "if a < 1 then if b < 1 then a < 1", "a < 1 then b < 1", "a := 3", "(a := 3) < 2",
        "a < b\nand b < 1", "a" + "+a" * 120 + " < 1", "a < b < ... < a", "a < *b", "a < (yield)", "{a: b} < a", "a < {b}",
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(SchemaError, match=r"^rules: "):
            Rule.parse(text)


@pytest.mark.parametrize("text", ["a < 1e5", "a < 1E-5", "a < 1.5e+5", "a < .5", "a < 1_000", "x1 < 2", 'a == "1or 2"'])
def test_numbers_are_written_as_usual(text):
    assert Rule.parse(text).text == text


def test_a_word_inside_quotes_or_brackets_is_no_part_of_the_sentence():
    assert Rule.parse('if sex == "then" then age > 3').names == ("sex", "age")
    assert Rule.parse("if (sex == 'if then (') then age > 3").names == ("sex", "age")
    assert Rule.parse("then > 3 and iffy < 2").names == ("then", "iffy")
    assert Rule.parse("if (then > 3) then age > 3").names == ("then", "age")


@pytest.mark.parametrize(
    "text",
    [
        'not (sex == "male" and pregnant == true)', 'stage in ("I", "II") or pregnant == false', "grade in (1, 2)",
        'grade == "3"', "grade != 3", 'if sex == "male" then pregnant == false', "discharged >= admitted",
        "discharged - admitted <= 300", 'admitted >= "2012-01-31"', '"2012-01-31" <= admitted <= "2013-01-31"',
        "if died == false then missing(died_on)", "discharged <= admitted + 30", "30 + admitted >= discharged",
        "discharged - 30 <= admitted", "named - born <= 9", "named >= born + 1", "pregnant == 0", "pregnant + died <= 1",
        'if sex == "male" then age > 2', "missing(town)", "present(weight)", "dose > 3", 'admitted in ("2012-01-31",)',
        "age in (3, 4)", "pregnant in (true,)",
    ],
)  # fmt: skip
def test_what_makes_sense_is_taken(text):
    schema = declared(text)
    assert schema.to_dict()["rules"] == [text]
    assert Schema.from_dict(schema.to_dict()) == schema


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("height > 3", "mentions 'height', which is no column of the schema"),
        ("missing(height)", "mentions 'height', which is no column of the schema"),
        ('sex == "man"', "'man' is no level of sex; it has male, female."),
        ('"man" == sex', "'man' is no level of sex; it has male, female."),
        ('sex in ("male", "man")', "'man' is no level of sex"),
        ("sex == 1", "1 is no level of sex"),
        ("sex == true", "true is no level of sex"),
        ("grade == 4", "4 is no level of grade; it has 1, 2, 3."),
        ('stage < "II"', "the levels of stage have no order; compare them with ==, != or in."),
        ('"I" <= stage <= "II"', "the levels of stage have no order"),
        ("pregnant < true", "true and false have no order"),
        ("sex == stage", "two categories are compared with each other"),
        ("sex == age", "a category cannot be compared with a number"),
        ("admitted > age", "a date cannot be compared with a number"),
        ("sex + 1 > 2", "+ is for numbers"),
        ('town == "Leeds"', "the levels of town are not declared"),
        ("missing(age)", "age is never missing; set nullable: true, or drop that part."),
        ('age == "3"', "'3' stands where a number is; write a number."),
        ("age == true", "true stands where a number is"),
        ('pregnant == "yes"', "'yes' stands where a flag is; write true or false."),
        ("admitted > 730000", "730000 stands where a date is; write it as in \"2020-12-31\"."),
        ('admitted > "31.12.2020"', "'31.12.2020' stands where a date is"),
        ('admitted > "2020-02-30"', "'2020-02-30' stands where a date is"),
        ("admitted == true", "true stands where a date is"),
        ("admitted + discharged > 3", "+ is for numbers; dates have a difference in days"),
        ("admitted * 2 > 3", "* is for numbers; dates"),
        ("3 - admitted > 3", "- is for numbers; dates"),
        ("age + true > 1", "true stands where a number is"),
        ('age + "a" > 1', "'a' stands where a number is"),
        ('"a" == "b" or age > 3', "'a' stands where a number is"),
        ('named > "2020-01-01"', "a date that is counted from born has no calendar; compare its distance from born."),
        ("named > admitted", "a date that is counted from born has no other calendar"),
        ("named - admitted > 3", "a date that is counted from born has no other calendar"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text, why):
    with pytest.raises(SchemaError) as error:
        declared(text)
    assert str(error.value).startswith(f"rules: {text!r}")
    assert why in str(error.value)


def test_only_some_of_many_levels_are_shown():
    many = {"kind": "category", "levels": [f"code {at}" for at in range(3000)]}
    with pytest.raises(SchemaError, match=r"code 18, code 19, \.\.\.\.$"):
        declared('site == "x"', site=many)
    assert declared('site == "code 2999"', site=many).rules


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("age > 110", "because age is 0 to 110."),
        ("age + weight > 410", "because age is 0 to 110; weight is 1 to 300."),
        ("age > 3 and not age > 2", "because age is 0 to 110."),
        ('sex == "male" and sex == "female"', "because sex is one of male, female."),
        ('admitted > "2020-12-31"', "because admitted is 2010-01-01 to 2020-12-31."),
        ("discharged - named > 1 and age > 110", "no other calendar"),
        ("weight < 1", "because weight is 1 to 300."),
        ('not (sex == "male" or sex == "female")', "because sex is one of"),
        ('admitted - discharged > 4017', "because admitted is 2010-01-01 to 2020-12-31; discharged is up to 365 days after"),
        ("age * 0 > 1", "because age is 0 to 110."),
        ("pregnant == true and pregnant == 0", "because pregnant is one of false, true."),
    ],
)  # fmt: skip
def test_a_rule_that_no_declared_value_satisfies_is_refused(text, shown):
    with pytest.raises(SchemaError) as error:
        declared(text)
    assert shown in str(error.value)


@pytest.mark.parametrize(
    "text", ["age > 109", "age >= 110", "dose > 1e99", "age * 0 == 0", "weight == 1", "age - age == 0"]
)
def test_a_rule_that_some_declared_value_satisfies_is_taken(text):
    assert declared(text).rules


@pytest.mark.parametrize(
    "text",
    [
        "missing(pain) and pain > 0",
        "missing(pain) and 1 + pain < 9",
        "missing(pain) and not pain in (1, 2)",
        "present(pain) and not pain >= 0",
    ],
)
def test_a_missing_cell_has_no_value_that_could_satisfy_a_rule(text):
    pain = {"kind": "integer", "low": 0, "high": 3, "nullable": True}
    with pytest.raises(SchemaError, match="can never hold, because pain is 0 to 3"):
        declared(text, pain=pain)
    assert declared(text.replace(" and ", " or "), pain=pain).rules


def test_what_grows_beyond_all_numbers_may_be_anything():
    """Infinity times 0 is no number: what comes of it is not known, so it is not refused."""
    share = {"kind": "number", "low": 0, "high": 1}
    assert declared("a * 1e99 * 1e99 * 1e99 * 1e99 * b > 1", a=share, b=share).rules
    assert declared("a * 1e99 * 1e99 * 1e99 * 1e99 - b * 1e99 * 1e99 * 1e99 * 1e99 == 1e50", a=share, b=share).rules


def test_learned_bounds_are_held_against_the_rules():
    schema = declared("dose > 30")
    with pytest.raises(SchemaError, match="can never hold, because dose is 0 to 30"):
        schema.replace_columns({"dose": schema.column("dose").with_bounds(0, 30)})
    assert schema.replace_columns({"dose": schema.column("dose").with_bounds(0, 31)}).rules


def test_there_are_at_most_so_many_rules():
    assert len(declared(*["age > 3"] * MAX_RULES).rules) == MAX_RULES
    with pytest.raises(SchemaError, match="201 rules are more than 200"):
        declared(*["age > 3"] * (MAX_RULES + 1))


def test_rules_of_levels_and_dates_are_judged_by_their_codes():
    schema = declared('if stage == "III" then grade in (2, 3)', 'admitted < "2010-01-03"', "pregnant == false")
    day = schema.column("admitted").low
    columns = {
        "stage": np.array([2.0, 2.0, 0.0]), "grade": np.array([0.0, 1.0, 0.0]),
        "admitted": np.array([day, day + 1, day + 2]), "pregnant": np.array([0.0, 1.0, 0.0]),
    }  # fmt: skip
    found = [rule.broken(columns).tolist() for rule in schema.rules]
    assert found == [[True, False, False], [False, False, True], [False, True, False]]


VISITS = {
    "key": "visit",
    "grid": ["A", "B"],
    "columns": {"sbp": {"kind": "integer", "low": 50, "high": 250, "nullable": True}},
}


def test_a_rule_of_visits_holds_in_each_visit_that_took_place():
    """An absent visit has no cells, though the patient's own column would break the rule."""
    arm = {"kind": "category", "levels": ["a", "b"]}
    for rule, expected in (
        ('arm == "a" or sbp > 100', [False, True, True, False, False]),
        ('arm == "a" and present(sbp)', [False, True, True, True, True]),
    ):
        schema = kit.schema({"arm": arm}, VISITS, rules=[rule])
        present = np.array([[1, 1], [1, 1], [1, 0], [1, 1], [0, 1]], dtype=bool)
        sbp = np.array([[90, 90], [90, 120], [90, NAN], [120, NAN], [NAN, 120]])
        cohort = Cohort(schema, {"arm": np.array([0.0, 1, 1, 1, 1])}, {"sbp": sbp}, present, np.arange(5))
        assert broken(cohort)[1].tolist() == expected
    nobody = Cohort(
        schema, {"arm": np.ones(1)}, {"sbp": np.full((1, 2), NAN)}, np.zeros((1, 2), dtype=bool), np.arange(1)
    )
    assert broken(nobody)[1].tolist() == [False]


def test_rules_that_contradict_each_other_are_found_by_a_search():
    assert hardest_rule(declared()) is None
    assert hardest_rule(declared("age > 3", "age < 5")) is None
    assert hardest_rule(declared("age > 5", "age < 5")).text in ("age > 5", "age < 5")
    assert hardest_rule(declared("discharged < admitted")).text == "discharged < admitted"
    assert hardest_rule(declared("discharged > admitted + 364")) is None
    assert hardest_rule(declared("age > 5", 'if age > 5 then sex == "male"', 'sex == "female"')) is not None
    assert hardest_rule(declared("age > 5", 'if age > 5 then sex == "male"')) is None
    assert hardest_rule(declared("missing(weight)", "missing(died_on)", "died == true")) is None
    assert hardest_rule(declared("weight > 120.125", "weight < 120.126")) is None
    assert hardest_rule(declared("dose > 3", "dose < 2")) is None  # what is to be learned is not known yet


def test_a_search_goes_from_row_to_row():
    """One in 3.6 million random rows is in order."""
    table = {f"a{at}": {"kind": "integer", "low": 0, "high": 1000} for at in range(10)}
    assert hardest_rule(kit.schema(table, rules=[f"a{at} < a{at + 1}" for at in range(9)])) is None
