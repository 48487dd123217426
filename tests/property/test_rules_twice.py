"""Rules against a slow twin: each row by itself, with None for what nobody knows; and all rows of small domains."""

from __future__ import annotations

import itertools
import operator
from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardgan.errors import SchemaError
from wardgan.schema import verdicts
from wardgan.schema.meaning import Meaning
from wardgan.schema.rules import Rule
from wardgan.schema.schema import Schema
from wardgan.schema.search import hardest_rule

many = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))

DAY = date(2020, 1, 1)
TABLE = {
    "sex": {"kind": "category", "levels": ["male", "female"], "nullable": True},
    "stage": {"kind": "category", "levels": ["I", "II", 3]},
    "ill": {"kind": "flag", "nullable": True},
    "n": {"kind": "integer", "low": 0, "high": 3, "nullable": True},
    "m": {"kind": "integer", "low": -1, "high": 2},
    "x": {"kind": "number", "low": 0.5, "high": 1.5, "step": 0.5},
    "five": {"kind": "integer", "low": 5, "high": 5},
    "d": {"kind": "date", "low": "2020-01-01", "high": "2020-01-03"},
    "e": {"kind": "date", "low": "2020-01-02", "high": "2020-01-04", "nullable": True},
}
SCHEMA = Schema.from_dict({"name": "demo", "table": TABLE})
NULLABLE = [name for name, column in TABLE.items() if column.get("nullable")]
OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq}
OPERATORS["!="] = operator.ne


def domain(name):
    """All values of a column, as people write them; None stands for a missing cell."""
    column = TABLE[name]
    kind = column["kind"]
    if kind == "category":
        values = [str(level) for level in column["levels"]]
    elif kind == "flag":
        values = [False, True]
    elif kind == "date":
        low, high = (date.fromisoformat(column[end]) for end in ("low", "high"))
        values = [low + timedelta(at) for at in range((high - low).days + 1)]
    else:
        step = column.get("step", 1)
        values = [column["low"] + at * step for at in range(round((column["high"] - column["low"]) / step) + 1)]
    return [*values, None] if column.get("nullable") else values


def code(name, value):
    if value is None:
        return np.nan
    if TABLE[name]["kind"] == "category":
        return float([str(level) for level in TABLE[name]["levels"]].index(value))
    return float(value.toordinal() if isinstance(value, date) else value)


def shown(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, (str, date)) else str(value)


def both(one, other, apply):
    return lambda row: None if one(row) is None or other(row) is None else apply(one(row), other(row))


def cell(name):
    return name, lambda row: row[name]


def constant(value):
    return shown(value), lambda row: value


numbers = st.recursive(
    st.sampled_from(["n", "m", "x", "five"]).map(cell) | st.integers(-2, 6).map(constant),
    lambda inner: st.builds(
        lambda sign, a, b: (
            f"({a[0]} {sign} {b[0]})",
            both(a[1], b[1], {"+": operator.add, "-": operator.sub, "*": operator.mul}[sign]),
        ),
        st.sampled_from("+-*"), inner, inner,
    ),
    max_leaves=3,
)  # fmt: skip
apart = st.builds(
    lambda a, b: (f"{a} - {b}", both(cell(a)[1], cell(b)[1], lambda p, q: (p - q).days)), *[st.sampled_from("de")] * 2
)
later = st.builds(
    lambda a, k: (f"{a} + {k}", both(cell(a)[1], constant(k)[1], lambda p, q: p + timedelta(q))),
    st.sampled_from("de"), st.integers(0, 3),
)  # fmt: skip
days = st.integers(0, 4).map(lambda k: constant(DAY + timedelta(k)))


def compared(signs, left, right):
    return st.builds(
        lambda sign, a, b: (f"{a[0]} {sign} {b[0]}", both(a[1], b[1], OPERATORS[sign])),
        st.sampled_from(signs), left, right,
    )  # fmt: skip


@st.composite
def members(draw):
    name = draw(st.sampled_from(["sex", "stage", "n", "d", "ill"]))
    values = draw(st.lists(st.sampled_from([value for value in domain(name) if value is not None]), min_size=1))
    word = draw(st.sampled_from(["in", "not in"]))
    inside = both(cell(name)[1], lambda row: values, lambda a, b: (a in b) == (word == "in"))
    return f"{name} {word} ({', '.join(map(shown, values))},)", inside


ALL, SAME = list(OPERATORS), ["==", "!="]
atoms = st.one_of(
    compared(ALL, numbers, numbers),
    compared(SAME, st.just(cell("sex")), st.sampled_from(["male", "female"]).map(constant)),
    compared(SAME, st.just(cell("stage")), st.sampled_from(["I", "II", "3"]).map(constant)),
    compared(SAME, st.just(cell("ill")), st.booleans().map(constant)),
    compared(ALL, st.sampled_from("de").map(cell), st.one_of(st.sampled_from("de").map(cell), later, days)),
    compared(ALL, apart, st.integers(-2, 3).map(constant)),
    members(),
    st.sampled_from(NULLABLE).map(lambda name: (f"missing({name})", lambda row: row[name] is None)),
    st.sampled_from(NULLABLE).map(lambda name: (f"present({name})", lambda row: row[name] is not None)),
)


def negation(value):
    return None if value is None else not value


def conjunction(one, other):
    return False if one is False or other is False else None if one is None or other is None else True


def disjunction(one, other):
    return negation(conjunction(negation(one), negation(other)))


statements = st.recursive(
    atoms,
    lambda inner: st.one_of(
        inner.map(lambda a: (f"not ({a[0]})", lambda row: negation(a[1](row)))),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) and ({p[1][0]})", lambda row: conjunction(p[0][1](row), p[1][1](row)))
        ),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) or ({p[1][0]})", lambda row: disjunction(p[0][1](row), p[1][1](row)))
        ),
    ),
    max_leaves=4,
)
conditions = st.tuples(statements, statements).map(
    lambda p: (f"if {p[0][0]} then {p[1][0]}", lambda row: disjunction(negation(p[0][1](row)), p[1][1](row)))
)
rules = (statements | conditions).filter(lambda rule: any(name in rule[0] for name in TABLE) and len(rule[0]) < 500)


def bound(text):
    """The rule under the schema, whether or not it can hold."""
    return Rule.parse(text).bound(Meaning({column.name: column for column in SCHEMA.columns}))


def every_row(names):
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*map(domain, names))]


def small(text):
    """Few enough rows to try them all."""
    names = bound_names(text)
    size = np.prod([len(domain(name)) for name in names])
    return names and size <= 1024


def bound_names(text):
    try:
        return Rule.parse(text).names
    except SchemaError:  # such as 1 < 2, which mentions no column
        return ()


@many
@given(rules.filter(lambda rule: small(rule[0])))
def test_a_rule_is_judged_as_a_person_would(rule):
    text, twin = rule
    names = bound_names(text)
    rows = every_row(names)
    columns = {name: np.array([code(name, row[name]) for row in rows]) for name in names}
    expected = [twin(row) is False for row in rows]
    assert bound(text).broken(columns).tolist() == expected


@many
@given(rules.filter(lambda rule: small(rule[0])), st.sampled_from([1, 8, 60, 1024]))
def test_a_rule_is_refused_only_if_no_row_makes_it_true(rule, tried):
    """With few enough values to try them all, exactly then; with intervals alone, never more often."""
    text, twin = rule
    some = any(twin(row) is True for row in every_row(bound_names(text)))
    columns = {column.name: column for column in SCHEMA.columns}
    mine = {name: columns[name] for name in bound_names(text)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdicts, "_TRIED", tried)
        found = verdicts.possible(bound(text).tree, mine)
    assert found or not some
    if tried == 1024:
        assert found == some


@few
@given(st.lists(rules.filter(lambda rule: small(rule[0])), min_size=1, max_size=4))
def test_the_search_finds_nothing_where_nothing_is(found):
    names = sorted({name for text, _ in found for name in bound_names(text)})
    if np.prod([len(domain(name)) for name in names]) > 4000:
        return
    some = any(all(twin(row) is not False for _, twin in found) for row in every_row(names))
    try:
        declared = Schema.from_dict({"name": "demo", "table": TABLE, "rules": [text for text, _ in found]})
    except SchemaError:
        return
    assert (hardest_rule(declared) is None) == some
