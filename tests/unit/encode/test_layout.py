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


def test_dates_after_others_become_days():
    table = {
        "left": {"kind": "date", "after": "came", "within": 30, "nullable": True},
        "came": {"kind": "date", "low": "2010-01-01", "high": "2010-12-31"},
    }
    seen = {"kind": "date", "after": "came", "within": 400}
    columns = {"result": {"kind": "date", "after": "seen", "within": 9, "nullable": True}, "seen": seen}
    layout = Layout.of(kit.schema(table, {"key": "when", "grid": ["A", "B"], "complete": True, "columns": columns}))
    assert [(v.name, v.since, v.column.steps) for v in layout.variables] == [
        ("left", "came", 31), ("came", "", 365), ("result@A", "seen", 10), ("result@B", "seen", 10),
        ("seen@A", "came", 401), ("seen@B", "came", 401),
    ]  # fmt: skip
    assert [v.column.nullable for v in layout.variables] == [True, False, True, True, False, False]
    ragged = Layout.of(kit.schema(table, {"key": "when", "max_visits": 3, "columns": {"when": seen}}))
    assert [(v.name, v.since, v.gap, v.column.name, v.column.steps) for v in ragged.variables[3:]] == [
        ("when@1", "came", False, "when@since", 401),
        ("when@2", "", True, "when@gap", 401),
        ("when@3", "", True, "when@gap", 401),
    ]


def test_gaps_share_no_name_with_a_column():
    """Numbers of one name share a grid, so a gap must never be named like somebody's column."""
    when = {"kind": "number", "low": 1, "high": 5, "step": 0.5}
    visits = {"key": "when", "max_visits": 2, "columns": {"when": when, "when+": when}}
    columns = {v.column.name for v in Layout.of(kit.schema({}, visits)).variables}
    assert columns == {"visit@count", "when", "when@gap", "when+"}
    with pytest.raises(SchemaError, match="contain '@'"):
        kit.schema({}, {**visits, "columns": {"when": when, "when@gap": when}})


def test_constants_are_no_variables():
    five, day = {"kind": "integer", "low": 5, "high": 5}, {"kind": "date", "origin": True}
    free = {"kind": "number", "low": 0.1, "high": 0.1}
    some = {**five, "nullable": True}
    table = {"five": five, "came": day, "free": free, "some": some, "one": {"kind": "category", "levels": ["x"]}}
    visits = {"key": "when", "grid": ["A", "B"], "columns": {"five2": five, "u": FLAG}}
    assert Layout.of(kit.schema(table)).names == ("some", "one")
    assert Layout.of(kit.schema(table, visits)).names == ("some", "one", "visit@A", "visit@B", "u@A", "u@B")
    with pytest.raises(SchemaError, match="besides the labels and constants there is no column"):
        Layout.of(kit.schema({"five": five, "arm": TABLE["arm"]}))


def test_the_event_of_a_pair_is_no_variable():
    table = {"died": FLAG, "days": {"kind": "integer", "low": 0, "high": 9}}
    assert Layout.of(kit.schema(table)).names == ("died", "days")
    assert Layout.of(kit.schema(table, events={"time": "days", "event": "died"})).names == ("days",)


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(SchemaError, match="age: low and high are not declared"):
        Layout.of(kit.schema({"age": {"kind": "integer", "learn": True}}))
    with pytest.raises(SchemaError, match="arm: levels are not declared"):
        Layout.of(kit.schema({"arm": {"kind": "category", "learn": True}}))
    with pytest.raises(SchemaError, match="besides the labels and constants"):
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
