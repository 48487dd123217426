"""Figures of columns, the curve of epsilon, and the words that go with every figure."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

import data_kit as kit
import release_kit
from wardgan.dossier import draw
from wardgan.dossier.document import Bars, Curves, Facts, Table, Text
from wardgan.dossier.draw import Axis, Line, Row
from wardgan.dossier.shapes import shapes
from wardgan.dossier.subject import (
    Subject,
    bet,
    declared,
    digests,
    glossary,
    guarantee,
    identity,
    method,
    purpose,
    reproduce,
)
from wardgan.estimate import Estimate

CODES = [f"c{at:02d}" for at in range(30)]
TABLE = {
    "code": {"kind": "category", "levels": CODES, "nullable": True},
    "few": {"kind": "category", "levels": [0, 1, 2], "nullable": True},
    "dozen": {"kind": "category", "levels": list(range(12))},
    "sex": {"kind": "flag", "nullable": True},
    "one": {"kind": "category", "levels": ["only"]},
    "five": {"kind": "integer", "low": 5, "high": 5},
    "age": {"kind": "integer", "low": 0, "high": 120, "unit": "a", "nullable": True},
    "crp": {"kind": "number", "low": 1, "high": 10_000, "scale": "log"},
    "born": {"kind": "date", "low": "1950-01-01", "high": "2000-01-01"},
}
SCHEMA = kit.schema(TABLE)


def table(size=400, seed=0, **columns):
    rng = np.random.default_rng(seed)
    holes = rng.random(size) < 0.2
    found = {
        "code": pd.Categorical.from_codes(np.where(holes, -1, np.minimum(rng.geometric(0.15, size), 30) - 1), CODES),
        "few": pd.Categorical.from_codes(np.where(holes, -1, rng.integers(0, 3, size)), [0, 1, 2]),
        "dozen": pd.Categorical.from_codes(rng.integers(0, 12, size), list(range(12))),
        "sex": pd.arrays.BooleanArray(rng.random(size) < 0.3, holes),
        "one": pd.Categorical.from_codes(np.zeros(size, dtype=int), ["only"]),
        "five": np.full(size, 5),
        "age": pd.arrays.IntegerArray(rng.integers(20, 90, size), holes),
        "crp": np.exp(rng.normal(3, 1, size)).clip(1, 10_000),
        "born": np.array(["1970-01-01"] * size, dtype="datetime64[s]"),
    }
    return pd.DataFrame(found | columns)


def figure(name, tables):
    found = shapes(SCHEMA, tables, [name])
    return found[0] if found else None


def shares(bars, name="real"):
    """Gives the share of each level, as it is drawn."""
    return dict(zip(bars.labels, next(one for who, _, one in bars.groups if who == name), strict=True))


def test_shares_are_those_of_the_cells():
    real, made = table(), table(300, 1)
    for name in ("few", "sex", "dozen"):
        bars = figure(name, {"real": real, "synthetic": made})
        assert [(who, kind) for who, kind, _ in bars.groups] == [("real", "real"), ("synthetic", "synthetic")]
        for who, frame in (("real", real), ("synthetic", made)):
            found = shares(bars, who)
            assert math.fsum(found.values()) == pytest.approx(1)
            cells = ["(missing)" if pd.isna(cell) else str(cell) for cell in frame[name]]
            assert found == pytest.approx({level: cells.count(level) / len(cells) for level in found})
    assert figure("sex", {"real": real, "synthetic": made}).labels == ["False", "True", "(missing)"]
    assert figure("dozen", {"real": real, "synthetic": made}).labels == [str(at) for at in range(12)]


def test_beyond_a_dozen_the_most_frequent_are_shown_and_the_rest_is_one():
    real, made = table(), table(300, 1)
    bars = figure("code", {"real": real, "synthetic": made})
    assert len(bars.labels) == 12
    assert bars.labels[-1] == "(all others)"
    cells = real["code"].astype(object).where(real["code"].notna(), "(missing)")
    frequent = set(cells.value_counts().index[:11])
    assert set(bars.labels[:-1]) == frequent
    assert "(missing)" in frequent
    levels = [label for label in bars.labels if label in CODES]
    assert levels == sorted(levels)  # in the order of the schema
    for who in ("real", "synthetic"):
        assert math.fsum(shares(bars, who).values()) == pytest.approx(1)
    # In the public edition the synthetic patients say which are shown.
    alone = figure("code", {"synthetic": made})
    assert [kind for _, kind, _ in alone.groups] == ["synthetic"]
    assert len(alone.labels) == 12


def test_what_only_one_table_lacks_is_shown_for_all():
    full = table(few=pd.Categorical.from_codes(np.zeros(400, dtype=int), [0, 1, 2]))
    bars = figure("few", {"real": full, "synthetic": table(300, 1)})
    assert bars.labels == ["0", "1", "2", "(missing)"]
    assert shares(bars)["(missing)"] == 0
    assert shares(bars, "synthetic")["(missing)"] > 0.1
    empty = table(few=pd.Categorical.from_codes(np.full(400, -1), [0, 1, 2]))
    assert shares(figure("few", {"real": empty, "synthetic": full})) == {"0": 0, "1": 0, "2": 0, "(missing)": 1}


def test_numbers_are_the_share_at_or_below_each_value():
    real, made, held = table(), table(300, 1), table(200, 2)
    curves = figure("age", {"real": real, "holdout": held, "synthetic": made})
    assert [line.kind for line in curves.lines] == ["real", "holdout", "synthetic"]
    assert [line.label for line in curves.lines] == ["real", "hold-out", "synthetic"]
    assert curves.across.label == "age (a)"
    assert not curves.across.log
    for line, frame in zip(curves.lines, (real, held, made), strict=True):
        values = frame["age"].dropna().to_numpy(dtype=float)
        for x, y in zip(line.x, line.y, strict=True):
            assert y == pytest.approx((values <= x).mean(), abs=0.02)
        assert list(line.y) == sorted(line.y)
        assert line.y[-1] > 0.95
    everything = np.concatenate([frame["age"].dropna().to_numpy(dtype=float) for frame in (real, made, held)])
    assert (curves.across.low, curves.across.high) == pytest.approx(tuple(np.quantile(everything, [0.005, 0.995])))


def test_a_logarithmic_column_has_a_logarithmic_axis():
    curves = figure("crp", {"real": table(), "synthetic": table(300, 1)})
    assert curves.across.log
    steps = np.diff(np.log(curves.lines[0].x))
    assert np.ptp(steps) < 0.01
    text = draw.curves(curves.title, curves.lines, curves.across, curves.up)
    assert ">10</text>" in text
    assert ">100</text>" in text


def test_one_extreme_value_does_not_squeeze_the_figure():
    far = table()
    far.loc[0, "crp"] = 10_000.0
    assert figure("crp", {"real": far, "synthetic": table(300, 1)}).across.high < 1_000


@pytest.mark.parametrize("name", ["five", "born", "nowhere"])
def test_what_has_nothing_to_show_is_left_out(name):
    assert figure(name, {"real": table(), "synthetic": table(300, 1)}) is None


def test_a_level_that_everybody_has_is_still_shown():
    assert shares(figure("one", {"real": table(), "synthetic": table(300, 1)})) == {"only": 1}


def test_a_column_without_any_value_or_with_one_is_left_out():
    none = table(age=pd.arrays.IntegerArray(np.zeros(400, dtype=int), np.ones(400, dtype=bool)))
    same = table(age=np.full(400, 50))
    assert figure("age", {"real": none, "synthetic": table(300, 1)}) is None
    assert figure("age", {"real": same, "synthetic": same}) is None
    nearly = table(age=np.array([50] * 399 + [60]))
    assert (figure("age", {"real": nearly}).across.low, figure("age", {"real": nearly}).across.high) == (50, 60)


def test_visits_are_columns_of_their_own():
    declared_ = kit.schema(
        {"sex": {"kind": "flag"}},
        {"key": "visit", "grid": ["A", "B"], "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260}}},
    )
    made = kit.generator(declared_).draw(200, seed=1).wide()
    found = shapes(declared_, {"synthetic": made}, ["sex", "sbp@A", "sbp@B"])
    assert [one.title.split(":")[0] for one in found] == ["sex", "sbp@A", "sbp@B"]


@given(kit.cohorts())
@settings(deadline=None, max_examples=25)
def test_any_cohort_can_be_drawn_and_each_figure_is_told_in_words(cohort):
    wide = cohort.wide()
    made = kit.generator(cohort.schema).draw(8, seed=1).wide()
    names = [str(name) for name in wide.columns]
    for one in shapes(cohort.schema, {"real": wide, "synthetic": made}, names):
        if isinstance(one, Bars):
            assert len(one.labels) <= 12
            assert all(math.fsum(each) == pytest.approx(1) for _, _, each in one.groups)
            told(draw.bars(one.title, one.labels, one.groups))
        else:
            told(draw.curves(one.title, one.lines, one.across, one.up))


# --- figures --------------------------------------------------------------------------------------------------------


def told(text):
    """Checks that a figure has a title and a description, and that its numbers are numbers."""
    assert text.startswith('<svg viewBox="0 0 640 ')
    found = re.search(r"<title>([^<]+)</title><desc>([^<]*)</desc>", text)
    assert found
    assert 'role="img"' in text
    places = re.findall(r'(?: [xy][12]?| width| height| cx| cy)="([^"]*)"', text)
    assert all(math.isfinite(float(place)) for place in places)
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<(title|desc|text)[^>]*>[^<]*", "", text))
    return found.group(2)


def number(value, half=0.1, baseline=None):
    return Estimate(value, value - half, value + half, 100, "made up", baseline)


def marks(text):
    return text.count('class="holdout mark"'), text.count('class="control mark"'), text.count('class="limit"')


@pytest.mark.parametrize(("rows", "legend"), [
    ([Row("a", number(0.2))], ["measured, 95 % interval"]),
    ([Row("a", number(0.2, baseline=0.1))], ["measured, 95 % interval", "nothing leaks"]),
    ([Row("a", number(0.2), number(0.5))], ["measured, 95 % interval", "leaking generator"]),
    ([Row("a", number(0.2, baseline=0.0), number(0.5), 0.3), Row("b", None)],
     ["measured, 95 % interval", "nothing leaks", "leaking generator", "limit"]),
])  # fmt: skip
def test_the_legend_of_a_forest_names_the_marks_that_occur(rows, legend):
    text = draw.forest("What attacks gain", rows, Axis("excess risk", 0.0, 1.0))
    assert "a: 0.2" in told(text)
    assert ("leaking generator 0.500" in told(text), "limit 0.3" in told(text)) == (
        rows[0].control is not None, rows[0].limit is not None
    )  # fmt: skip
    inside = text[text.index('<g transform="translate(20 ') :]
    assert re.findall(r"<text[^>]*>([^<]+)</text></g>", inside) == legend
    # Each mark of the legend is one more than there are in the rows.
    known = [row.estimate for row in rows if row.estimate is not None]
    expected = (
        sum(one.baseline is not None for one in known), sum(row.control is not None for row in rows),
        sum(row.limit is not None for row in rows),
    )  # fmt: skip
    assert marks(text) == tuple(2 * count for count in expected)
    assert ("not measured" in text) == any(row.estimate is None for row in rows)


def test_numbers_that_are_open_or_beyond_the_axis_are_drawn_on_its_edge():
    rows = [Row("open", Estimate(0.5, -math.inf, math.inf, 9, "m")), Row("far", number(7.0)), Row("no", None),
            Row("undefined", Estimate(math.nan, -math.inf, math.inf, 9, "m"), Estimate(math.nan, 0, 1, 9, "m"))]  # fmt: skip
    text = draw.forest("f", rows, Axis("x", 0.0, 1.0))
    told(text)
    assert text.count("not measured") >= 2


def test_a_figure_of_nothing_is_a_figure():
    told(draw.forest("f", [], Axis("x", 0.0, 1.0)))
    told(draw.curves("f", [], Axis("x", 0.0, 1.0), Axis("y", 0.0, 1.0)))
    told(draw.bars("f", [], []))
    told(draw.curves("f", [Line("l", "real", [], [])], Axis("x", 1.0, 1.0), Axis("y", 0.0, 0.0)))


# --- what a dossier is about ----------------------------------------------------------------------------------------


def subject(ledger=None, **terms):
    schema = {**release_kit.SCHEMA, "terms": terms} if terms else None
    made = release_kit.fit(ledger=ledger, schema=schema)
    return Subject(made.generator, made.ledger.found, {"bins": 9, "rest": None}, "2026-01-31", 7)


def curve(events, epsilon=1.0, delta=1e-5):
    ledger = {**release_kit.LEDGER, "events": events, "epsilon": epsilon, "delta": delta}
    return next(block for block in guarantee(subject(ledger)).blocks if isinstance(block, Curves))


EVENTS = {
    "one": release_kit.LEDGER["events"],
    "two": [*release_kit.LEDGER["events"], {"mechanism": "pure", "name": "choice", "epsilon": 0.1, "steps": 3}],
    "batches": [{"mechanism": "poisson-gaussian", "name": "steps", "noise_multiplier": 1.0, "sampling_rate": 0.01,
                 "steps": 500}],
}  # fmt: skip


@pytest.mark.parametrize("name", EVENTS)
def test_epsilon_falls_where_delta_rises(name):
    upper, claimed = curve(EVENTS[name]).lines
    assert list(upper.x) == sorted(upper.x)
    assert len(upper.x) > 10
    assert all(one > other for one, other in zip(upper.y, upper.y[1:], strict=False))
    assert list(claimed.y) == [1.0, 1.0, 0.0]
    assert claimed.x[1] == claimed.x[2] == 1e-5
    made = curve(EVENTS[name])
    assert made.across.log
    assert made.up.high >= 1.1
    words = told(draw.curves(made.title, made.lines, made.across, made.up))
    assert re.search(r"upper bound: [0-9.]+ at 1e-10, .* at 0.01; what is claimed: 1 at 1e-10", words)


def test_the_bet_rises_with_epsilon_and_never_says_less_than_is_true():
    known = [float(re.search(r"at most ([0-9.]+) %", bet(epsilon, 1e-5)).group(1)) for epsilon in (0.01, 0.5, 1, 3, 10)]
    assert known == sorted(known)
    for epsilon, said in zip((0.01, 0.5, 1, 3, 10), known, strict=True):
        truth = 100 / (1 + math.exp(-epsilon))
        assert truth <= said <= truth + 0.1 + 1e-9


def test_what_is_not_private_has_no_bill_but_a_warning():
    section = guarantee(subject(release_kit.OPEN_LEDGER))
    (block,) = section.blocks
    assert block.tone == "alarm"
    assert block.text.startswith("NOT PRIVATE")


def texts(section):
    """Gives all words of a section."""
    found = []
    for block in section.blocks:
        if isinstance(block, Text):
            found.append(block.text)
        elif isinstance(block, Facts):
            found += [f"{name}: {value}" for name, value in block.rows]
        elif isinstance(block, Table):
            found += [" | ".join(row) for row in block.rows]
    return "\n".join(found)


def test_the_privacy_statement_says_what_was_spent_on_what():
    words = texts(guarantee(subject()))
    for part in ("epsilon: 1\n", "delta: 1e-05", "spent: epsilon 0.98 by PLD", "mechanisms: gaussian", "add or remove",
                 "margins | gaussian | 1 | 3.8 | none | "):  # fmt: skip
        assert part in words
    sampled = texts(guarantee(subject({**release_kit.LEDGER, "events": EVENTS["batches"]})))
    assert "steps: each patient with probability 0.01" in sampled


def test_terms_that_are_missing_are_named_and_those_that_are_there_are_shown():
    bare, full = subject(), subject(purpose="Teaching", controller="A Clinic", hobby="x" * 400)
    assert "Not said: controller, contact, expires." in texts(identity(bare))
    assert "controller: A Clinic" in texts(identity(full))
    assert "Not said: contact, expires." in texts(identity(full))
    words = texts(purpose(full))
    assert "purpose: Teaching" in words
    assert "hobby: " + "x" * 296 + " ..." in words
    assert "x" * 297 not in words


def test_the_declarations_are_a_table():
    found = declared(subject())
    words = [row for block in found if isinstance(block, Table) for row in block.rows]
    assert ["sex", "flag", "false, true", "", "nullable"] in words
    assert ["sbp", "integer", "50 to 260", "mm[Hg]", "at visits"] in words
    many = {**release_kit.SCHEMA, "table": {**release_kit.SCHEMA["table"], "arm": {"kind": "category", "levels": CODES,
            "label": True}}}  # fmt: skip
    long = replace(subject(), generator=release_kit.fit(schema=many, probabilities=(1 / 30,) * 30).generator)
    rows = {row[0]: row for block in declared(long) if isinstance(block, Table) for row in block.rows}
    assert rows["arm"][2] == ", ".join(CODES[:8]) + ", ... (30 levels)"


def test_what_ties_a_dossier_to_a_generator_changes_with_each_part():
    made = release_kit.fit()
    first = digests(made.generator, made.ledger.found)
    assert set(first) == {"network", "bill", "schema"}
    other = digests(replace(made.generator, network=made.generator.network + b"x"), made.ledger.found)
    assert [name for name in first if first[name] != other[name]] == ["network"]
    other = digests(made.generator, {**made.ledger.found, "epsilon": 1.1})
    assert [name for name in first if first[name] != other[name]] == ["bill"]
    # What is left out is as good as what is null.
    assert (
        digests(made.generator, {**made.ledger.found, "family": None})["bill"]
        == digests(made.generator, {key: value for key, value in made.ledger.found.items() if key != "family"})["bill"]
    )


def test_sizes_and_seeds_are_said():
    words = texts(method(subject(), [("files with the patients", 1_000_000), ("cells", 3)]))
    assert "files with the patients: 1,000,000 bytes" in words
    assert "setting bins: 9" in words
    assert "setting rest" not in words
    assert "it has room to memorise. Smaller: cells." in words
    assert "1,000,000" not in texts(method(subject()))
    assert "room to memorise" not in texts(method(subject(), [("files", 1_000_000)]))
    assert "seed of the synthetic patients: 7" in texts(reproduce(subject(), "wardgan dossier"))
    assert "epsilon, delta" in texts(glossary())
