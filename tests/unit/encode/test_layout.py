from __future__ import annotations

import pytest

import data_kit as kit
from wardgan.encode.layout import MAX_VARIABLES, Layout, gap_column
from wardgan.errors import SchemaError
from wardgan.schema.columns import Column

FLAG = {"kind": "flag"}
TABLE = {
    "age": {"kind": "integer", "low": 0, "high": 110},
    "arm": {"kind": "category", "levels": ["a", "b"], "label": True},
}


def names(**visits):
    return Layout.of(kit.schema(TABLE, {"key": "when", "columns": {"u": FLAG, "v": FLAG}, **visits})).names


def test_labels_are_no_variables():
    assert Layout.of(kit.schema(TABLE)).names == ("age",)


def test_visits_stand_column_by_column():
    assert names(grid=["A", "B"], complete=True) == ("age", "u@A", "u@B", "v@A", "v@B")
    assert names(grid=["A", "B"]) == ("age", "visit@A", "visit@B", "u@A", "u@B", "v@A", "v@B")
    assert names(grid={"start": 0, "stop": 12, "step": 6, "unit": "h"})[1:5] == ("visit@0h", "visit@6h", "u@0h", "u@6h")
    assert names(max_visits=2) == ("age", "visit@count", "u@1", "u@2", "v@1", "v@2")


def test_cells_of_a_column_are_one_piece():
    layout = Layout.of(kit.schema(TABLE, {"key": "when", "columns": {"u": FLAG, "v": FLAG}, "grid": ["A", "B", "C"]}))
    assert layout.cells == {"u": slice(4, 7), "v": slice(7, 10)}
    for name, where in layout.cells.items():
        mine = layout.variables[where]
        assert [(one.source, one.slot) for one in mine] == [(name, 0), (name, 1), (name, 2)]
    assert Layout.of(kit.schema(TABLE)).cells == {}


def test_the_key_of_ragged_visits_becomes_gaps():
    when = {"kind": "number", "low": 1, "high": 16, "step": 0.5}
    layout = Layout.of(kit.schema(TABLE, {"key": "when", "columns": {"when": when}, "max_visits": 3}))
    found = {one.name: one for one in layout.variables}
    assert [found[name].gap for name in ("when@1", "when@2", "when@3")] == [False, True, True]
    assert found["when@1"].column == layout.schema.column("when")
    assert found["when@2"].column == gap_column(layout.schema.column("when"))
    gap = found["when@3"].column
    assert (gap.low, gap.high, gap.step, gap.steps) == (0, 15, 0.5, 31)
    assert found["visit@count"].column.steps == 4


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(SchemaError, match="age: low and high are not declared"):
        Layout.of(kit.schema({"age": {"kind": "integer", "learn": True}}))
    with pytest.raises(SchemaError, match="arm: levels are not declared"):
        Layout.of(kit.schema({"arm": {"kind": "category", "learn": True}}))
    with pytest.raises(SchemaError, match="besides the labels"):
        Layout.of(kit.schema({"arm": TABLE["arm"]}))


@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ({"grid": list(range(100)), "complete": True}, 5000),
        ({"grid": list(range(100))}, 4900),
        ({"max_visits": 100}, 4900),
    ],
)
def test_the_number_of_variables_is_bounded(shape, most):
    columns = {f"c{at}": FLAG for at in range(most // 100)}
    assert len(Layout.of(kit.schema({}, {"key": "when", "columns": columns, **shape}))) in (MAX_VARIABLES, 4901)
    columns |= {"more": FLAG, "most": FLAG}
    with pytest.raises(SchemaError, match=r"variables \(columns x visits\) are more than 5000"):
        Layout.of(kit.schema({}, {"key": "when", "columns": columns, **shape}))


def test_variables_are_counted_before_they_are_made():
    columns = {f"c{at}": FLAG for at in range(20_000)}
    declared = kit.schema({}, {"key": "when", "columns": columns, "grid": list(range(1000))})
    with pytest.raises(SchemaError, match="20001000 variables"):
        Layout.of(declared)


def test_each_variable_has_a_name_of_its_own():
    declared = kit.schema({"visit": FLAG}, {"key": "when", "columns": {"u": FLAG}, "grid": ["count", "1"]})
    found = Layout.of(declared).names
    assert len(set(found)) == len(found)


def test_length_is_the_number_of_variables():
    layout = Layout.of(kit.schema({"x": FLAG, "y": FLAG}))
    assert len(layout) == len(layout.variables) == 2
    assert layout.variables[0].column == Column("x", "flag")
