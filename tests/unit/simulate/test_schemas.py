"""Schemas from numbers alone, and stand-ins for what is to be learned."""

import pytest

import data_kit as kit
from wardgan.encode.layout import Layout
from wardgan.errors import UsageError
from wardgan.simulate.schemas import LABEL, generic_schema, stand_in


@pytest.mark.parametrize("columns", [1, 2, 3, 4, 5, 30, 201])
def test_half_numbers_the_rest_categories_and_flags(columns):
    schema = generic_schema(columns)
    kinds = [column.kind for column in schema.table if not column.label]
    assert len(kinds) == columns == len(Layout.of(schema))
    assert sum(kind in ("number", "integer") for kind in kinds) == (columns + 1) // 2
    assert sum(kind == "category" for kind in kinds) == columns // 4
    assert all(column.complete for column in schema.table)


@pytest.mark.parametrize(("classes", "kind"), [(2, "flag"), (3, "category"), (64, "category")])
def test_the_label_has_the_classes(classes, kind):
    schema = generic_schema(4, classes=classes)
    assert schema.classes == classes
    assert (schema.column(LABEL).kind, schema.column(LABEL).label) == (kind, True)


def test_one_class_is_no_label():
    assert generic_schema(4, classes=1).labels == ()


def test_cells_may_be_missing_or_not():
    assert {c.nullable for c in generic_schema(9).table if c.kind not in ("flag",)} == {True}
    assert not any(c.nullable for c in generic_schema(9).table if c.kind == "flag")
    assert not any(c.nullable for c in generic_schema(9, missing=False).table)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"columns": 0}, "columns=0"), ({"columns": 5001}, "columns=5001"), ({"columns": 3, "classes": 0}, "classes=0"),
     ({"columns": 3, "classes": 65}, "classes=65"), ({"columns": 2.5}, "columns=2.5")],
)  # fmt: skip
def test_what_is_no_number_of_columns_or_classes(wrong, named):
    with pytest.raises(UsageError, match=named):
        generic_schema(**wrong)


def test_stand_ins_complete_what_is_to_be_learned_and_nothing_else():
    schema = kit.schema({
        "a": {"kind": "number", "decimals": 1, "learn": True},
        "b": {"kind": "integer", "low": 10, "learn": True},
        "c": {"kind": "number", "high": 5, "learn": True},
        "d": {"kind": "date", "learn": True},
        "e": {"kind": "date", "low": "2020-01-01", "learn": True},
        "f": {"kind": "category", "learn": True},
        "g": {"kind": "integer", "low": 0, "high": 3},
        "h": {"kind": "number", "step": 1e-6, "low": 1, "learn": True},
    })  # fmt: skip
    made = stand_in(schema)
    assert all(column.complete for column in made.table)
    bounds = {column.name: (column.low, column.high) for column in made.table}
    assert bounds["a"][1] == pytest.approx(20)
    assert bounds["b"] == (10, 210)
    assert bounds["c"] == (-195, 5)
    assert bounds["e"][0] == schema.column("e").low < bounds["e"][1]
    assert made.column("f").size == 100
    assert made.column("g") == schema.column("g")
    assert stand_in(made) == made


def test_what_is_neither_declared_nor_learned_stays_open():
    assert not stand_in(kit.schema({"a": {"kind": "number"}})).column("a").complete
