"""Small schemas, random cohorts that obey them, and generators whose distribution is known in closed form."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
from hypothesis import strategies as st

from wardgan.encode.layout import Layout
from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.schema.cohort import Cohort
from wardgan.schema.columns import Column
from wardgan.schema.references import in_order
from wardgan.schema.schema import Schema

HOLES = 0.25
LEVELS = ("a", "None", "NA", "1.0", "x y", "é", 3, "0", "true")
STEPS = ("0.1", "0.25", "0.5", "0.01", "0.001", "2.5", "5", "0.3")


def schema(table=None, visits=None, **more):
    found = {"name": "demo", "table": table or {}, **more}
    if visits is not None:
        found |= {"patient": more.get("patient", "id"), "visits": visits}
    return Schema.from_dict(found)


def generator(declared: Schema, probabilities=None, *, tilt: float = 0.0, opaque: bool = False) -> Generator:
    """Independent uniform variables: numbers over their range, levels equally likely, a quarter of holes.

    With `tilt`, the normals of class y are shifted by y x tilt, so classes differ. With `opaque`, the same patients come
    from a network about which nothing is proved, so rare conditions are met by drawing again only.
    """
    layout = Layout.of(declared)
    numeric = np.array([variable.column.numeric for variable in layout.variables])
    nullable = np.array([variable.column.nullable for variable in layout.variables])
    sizes = np.array([variable.column.size or 1 for variable in layout.variables], dtype=float)
    graph = Graph(latent=len(layout))
    shift = graph.add("Gather", graph.floats(tilt * np.arange(declared.classes)[:, None]), "label", axis=0)
    normals = graph.add("Mul", graph.add("Add", "latent", shift), graph.floats(0.5**0.5))
    uniform = graph.add("Mul", graph.add("Add", graph.add("Erf", normals), graph.floats(1)), graph.floats(0.5))
    empty = graph.floats(np.where(nullable, HOLES, 0.0)[None, :])
    full = graph.floats(1 / (1 - np.where(nullable, HOLES, 0.0))[None, :])
    rest = graph.add("Mul", graph.add("Sub", uniform, empty), full)
    level = graph.add("Floor", graph.add("Mul", rest, graph.floats(sizes[None, :])))
    unit = graph.add("Where", graph.constant(numeric[None, :]), rest, level)
    units = graph.add("Where", graph.add("Less", uniform, empty), graph.floats([[-1.0]]), unit)
    if opaque:
        units = graph.add("Add", units, graph.add("Log", graph.floats([[1.0]])))
    shares = probabilities or (1 / declared.classes,) * declared.classes
    return Generator(declared, "uniform", graph.finish(units, variables=len(layout)), len(layout), tuple(shares))


def same(one: Cohort, other: Cohort, *, exact: bool = True, names: bool = True) -> bool:
    """Whether two cohorts hold the same patients; continuous numbers up to rounding unless `exact`."""

    def equal(name, a, b):
        column = one.schema.column(name)
        if exact or column.step is not None or not column.numeric:
            return np.array_equal(a, b, equal_nan=True)
        return np.allclose(a, b, rtol=0, atol=1e-6 * (column.high - column.low), equal_nan=True)

    return (
        list(one.static) == list(other.static)
        and list(one.measured) == list(other.measured)
        and all(equal(name, codes, other.static[name]) for name, codes in one.static.items())
        and all(equal(name, codes, other.measured[name]) for name, codes in one.measured.items())
        and (one.present is None) == (other.present is None)
        and (one.present is None or np.array_equal(one.present, other.present))
        and (not names or [str(name) for name in one.patients] == [str(name) for name in other.patients])
    )


def values_of(column: Column) -> list[float]:
    """All possible values of a stepped column, in exact decimal arithmetic."""
    low, step = Decimal(repr(column.low)), Decimal(repr(column.step or 1.0))
    return [float(low + step * number) for number in range(column.steps)]


def gaps(cohort: Cohort, column: Column) -> np.ndarray:
    """All the days that a date comes after the one that it is counted from."""
    mine = cohort.static.get(column.name, cohort.measured.get(column.name))
    first = cohort.static.get(column.after, cohort.measured.get(column.after))
    found = mine - (first[:, None] if first.ndim < mine.ndim else first)
    return found[~np.isnan(mine)]


@st.composite
def numbers(draw, name):
    if draw(st.booleans()):
        low = draw(st.floats(-1e6, 1e6))
        return Column(name, "number", low=low, high=low + draw(st.just(0.0) | st.floats(1e-3, 1e6)))
    step, low = Decimal(draw(st.sampled_from(STEPS))), Decimal(draw(st.integers(-500, 500))) / 10
    high = low + step * draw(st.integers(0, 400))
    return Column(name, "number", low=float(low), high=float(high), step=float(step))


@st.composite
def tails(draw, name):
    """Numbers and integers on a logarithmic scale."""
    shape = draw(st.sampled_from(["continuous", "steps", "integer"]))
    if shape == "continuous":
        low = draw(st.floats(1e-6, 1e6))
        return Column(name, "number", low=low, high=low * draw(st.floats(1.001, 1e6)), scale="log")
    if shape == "integer":
        low = draw(st.integers(0, 1000))
        return Column(name, "integer", low=low, high=low + draw(st.integers(1, 5000)), scale="log")
    step, low = Decimal(draw(st.sampled_from(STEPS))), Decimal(draw(st.integers(0, 500))) / 10
    high = low + step * draw(st.integers(1, 400))
    return Column(name, "number", low=float(low), high=float(high), step=float(step), scale="log")


@st.composite
def integers(draw, name):
    low, step = draw(st.integers(-1000, 1000)), draw(st.sampled_from([1, 1, 5, 250]))
    return Column(name, "integer", low=low, high=low + step * draw(st.integers(0, 5000)), step=step)


@st.composite
def dates(draw, name):
    low = draw(st.dates(date(1, 1, 1), date(2100, 1, 1))).toordinal()
    return Column(name, "date", low=low, high=low + draw(st.integers(0, 3000)))


@st.composite
def categories(draw, name, least=1):
    levels = draw(st.lists(st.sampled_from(LEVELS), min_size=least, max_size=5, unique_by=str))
    cut = draw(st.integers(0, len(levels)))
    parts = [(part, tuple(mine)) for part, mine in (("one", levels[:cut]), ("two", levels[cut:])) if mine]
    grouped = name[0] != "y" and draw(st.booleans())
    return Column(name, "category", groups=tuple(parts)) if grouped else Column(name, "category", levels=tuple(levels))


def flags(name):
    return st.just(Column(name, "flag"))


@st.composite
def columns(draw, name):
    column = draw(st.one_of(kind(name) for kind in (numbers, tails, integers, dates, categories, flags)))
    return replace(column, nullable=draw(st.booleans()))


def declared_of(columns):
    return {column.name: column.to_dict() for column in columns}


@st.composite
def days(draw, names, first):
    """Dates in a chain, by name: one of their own or an origin, unless there is a first one, and others after them."""
    found = {} if first is None else dict([first])
    for name in names:
        if not found:
            origin = {"kind": "date", "origin": True}
            found[name] = draw(st.just(origin) | dates(name).map(Column.to_dict))
        else:
            after = draw(st.sampled_from(sorted(found)))
            found[name] = {"kind": "date", "after": after, "within": draw(st.integers(1, 400))}
        holes = found[name].get("after") and found[found[name]["after"]].get("nullable")
        if holes or draw(st.integers(0, 3)) == 0:
            found[name] = {**found[name], "nullable": True}
    return {name: found[name] for name in names}


@st.composite
def tables(draw):
    """The table of a schema, and its events if there are any."""
    table = [draw(columns(f"t{at}")) for at in range(draw(st.integers(0, 4)))]
    labels = [draw(st.one_of(categories(f"y{at}", 2), flags(f"y{at}"))) for at in range(draw(st.integers(0, 2)))]
    found = declared_of([*table, *(replace(label, label=True) for label in labels)])
    found |= draw(days(["d0", "d1", "d2"][: draw(st.integers(0, 3))], None))
    more = {}
    if draw(st.booleans()):
        found |= {"end": {"kind": "flag"}, "time": {"kind": "integer", "low": 0, "high": 9}}
        more = {"events": {"time": "time", "event": "end"}}
    return dict(draw(st.permutations(sorted(found.items())))), more


@st.composite
def grids(draw, shape):
    if shape in ("named", "complete"):
        names = draw(st.lists(st.sampled_from(["RZ", "1M", "2M", "12M", 1, 2]), min_size=1, max_size=4, unique_by=str))
        return {"grid": names, "complete": shape == "complete"}
    if shape == "timed":
        start, step, bins = draw(st.sampled_from([(0, 6, 8), (0, 0.1, 10), (-1.5, 0.25, 4), (100, 1000, 3)]))
        return {"grid": {"start": start, "stop": start + bins * step, "step": step}}
    return {"max_visits": draw(st.integers(1, 5))}


@st.composite
def times(draw, first):
    """The key of ragged visits, and a date of each visit that is counted from it."""
    when = draw(st.one_of(numbers("when"), tails("when"), integers("when"), dates("when"))).to_dict()
    if first is not None and not first[1].get("nullable") and draw(st.booleans()):
        when = {"kind": "date", "after": first[0], "within": draw(st.integers(1, 400))}
    then = {"x": {"kind": "date", "after": "when", "within": 30}} if when["kind"] == "date" else {}
    return then | {"when": when}


@st.composite
def schemas(draw):
    found, more = draw(tables())
    shape = draw(st.sampled_from(["none", "named", "complete", "timed", "ragged", "gaps"]))
    if shape == "none":
        return schema(found | {"last": {"kind": "flag"}}, patient=draw(st.sampled_from([None, "id"])), **more)
    # A flag of its own, because the others may all be constants, which are not modelled.
    measured = declared_of([draw(columns("v0")), draw(columns("v1")), Column("v2", "flag")])
    first = draw(st.sampled_from([None, *((name, found[name]) for name in sorted(found) if name.startswith("d"))]))
    if first is not None:
        measured |= draw(days(["w0", "w1"][: draw(st.integers(0, 2))], first))
    if shape == "gaps":
        measured |= draw(times(first))
    return schema(found, {"key": "when", "columns": measured, **draw(grids(shape))}, **more)


@st.composite
def cohorts(draw, least=0):
    """A random cohort of a random schema; long tables need patients with at least `least` visits."""
    declared = draw(schemas())
    size = draw(st.integers(1, 12))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    static: dict = {}
    for column in in_order(declared.table):
        static[column.name] = _after(column, static, rng, (size,))
    static = {column.name: static[column.name] for column in declared.table}
    visits = declared.visits
    names = np.array([f"P{at}" for at in rng.permutation(size)], dtype=object)
    if declared.patient is None:
        names = np.arange(1, size + 1)
    if visits is None:
        return Cohort(declared, static, {}, None, names)
    slots = len(visits.slots)
    present = np.ones((size, slots), dtype=bool)
    if visits.ragged:
        present = np.arange(slots) < rng.integers(least, slots + 1, (size, 1))
    elif not visits.complete:
        present = rng.random((size, slots)) < 0.6
        present[np.arange(size), rng.integers(0, slots, size)] |= bool(least)
    measured: dict = {}
    firsts = {name: codes[:, None] for name, codes in static.items()}
    for column in in_order(visits.columns):
        codes = _after(column, firsts | measured, rng, (size, slots))
        if column.name == visits.key:
            codes.sort(axis=1)
        measured[column.name] = np.where(present, codes, np.nan)
    measured = {column.name: measured[column.name] for column in visits.columns}
    return Cohort(declared, static, measured, present, names)


def _after(column, firsts, rng, shape):
    if column.after is None:
        return _codes(column, rng, shape)
    codes = firsts[column.after] + rng.integers(0, column.within + 1, shape)
    return np.where(rng.random(shape) < HOLES * column.nullable, np.nan, codes)


def _codes(column, rng, shape):
    if not column.numeric:
        codes = rng.integers(0, column.size, shape).astype(float)
    elif column.step is None:
        codes = column.low + rng.random(shape) * (column.high - column.low)
    else:
        codes = np.array(values_of(column))[rng.integers(0, column.steps, shape)]
    if column.nullable:
        codes[rng.random(shape) < HOLES] = np.nan
    return codes
