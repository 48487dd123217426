"""The page that people read first."""

import copy
import json
import math
import re

import pytest
import yaml

import release_kit as kit
from release_kit import release
from wardgan.seal import artifact
from wardgan.seal.card import BANNER, check_readme, statement
from wardgan.seal.records import Claim, read_card, read_ledger


def page(schema=None, ledger=None, override=None) -> str:
    made = kit.fit(schema=schema, ledger=ledger)
    return artifact._parts(made.generator, made.ledger.found, override, kit.DAY, None).readme.decode()


def facts(schema=None):
    """Gives card, schema and ledger behind a page."""
    made = kit.fit(schema=schema)
    parts = artifact._parts(made.generator, made.ledger.found, None, kit.DAY, None)
    card = read_card(json.loads(parts.card), "card.json")
    return card, made.generator.schema, read_ledger(made.ledger.found, "privacy.json")


def header(text: str) -> dict:
    return yaml.safe_load(text.split("\n---\n", maxsplit=1)[0].removeprefix("---\n"))


def test_header_is_yaml_with_the_guarantee():
    found = header(page())
    assert found["privacy"] == "private"
    assert found["epsilon"] == 1.0
    assert found["delta"] == 1e-5
    assert found["license"] == "CC-BY-4.0"
    assert "differential-privacy" in found["tags"]


def test_open_model_says_so_first():
    text = page(ledger=kit.OPEN_LEDGER, override=kit.OVERRIDE)
    body = text.split("\n---\n")[1].strip().split("\n\n")
    assert body[1] == f"# {BANNER}"
    assert "Dr Ada Example: public teaching data" in text
    assert header(text)["epsilon"] is None
    assert "differential-privacy" not in text.split("\n---\n")[0]
    assert BANNER not in page()


def test_its_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    release.new_key("k", name="hospital", trust="trust.json")
    release.release(kit.fit(), "model.hgan", "k")
    (example,) = re.findall(r"```python\n(.*?)```", page(), re.DOTALL)
    assert example.startswith("import wardgan as wg\n")
    world = {}
    exec(example, world)
    assert world["patients"]["id"].nunique() == 1000


def test_a_choice_says_what_it_cost():
    ledger = copy.deepcopy(kit.LEDGER)
    ledger["events"].append({"name": "selection", "mechanism": "pure", "epsilon": 0.0125, "steps": 8})
    text = page(ledger=ledger)
    assert "| margins | gaussian | 1 | 3.8 |  |  |" in text
    assert "| selection | pure | 8 |  |  | 0.0125 |" in text


def test_every_column_is_listed_once():
    text = page()
    for name in ("sex", "arm", "age", "sbp"):
        assert len(re.findall(rf"^\| {name} \|", text, re.MULTILINE)) == 1
    assert "| age | integer | 18 to 110 | a |" in text
    assert "2 (A, B)" in text


def test_dates_after_others_and_events_are_listed():
    found = copy.deepcopy(kit.SCHEMA)
    found["table"]["came"] = {"kind": "date", "origin": True}
    found["table"]["left"] = {"kind": "date", "after": "came", "within": 30, "nullable": True}
    found["table"]["arm"] = {**found["table"]["arm"], "label": False}
    found["events"] = {"time": "age", "event": "arm"}
    rows = {row.split("|")[1].strip(): row for row in page(found).splitlines() if row.startswith("| ")}
    assert "| 0 to 30 days after came |" in rows["left"]
    assert "| day 0 of each patient |" in rows["came"]
    assert [name for name, row in rows.items() if "| label |" in row] == ["arm"]
    assert "classes are made of `arm`" in page(found)


def test_certainty_is_the_bound_of_differential_privacy():
    """From an even bet: exp(epsilon) / (1 + exp(epsilon)), never rounded down."""
    for epsilon in (0.1, 0.5, 1.0, 3.0, 10.0):
        shown = float(
            re.search(r"at most ([0-9.]+) %", statement(Claim(mode="private", epsilon=epsilon, delta=1e-6)))[1]
        )
        bound = 100 * math.exp(epsilon) / (1 + math.exp(epsilon))
        assert bound <= shown < bound + 0.1 + 1e-9


HOSTILE = [
    "a | b",
    "<!-- a",
    "<script>alert(1)</script>",
    "[x](http://x)",
    "`code`",
    "# head",
    "line\nbreak",
    "---",
    "![x](y)",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_names_cannot_break_the_page(text):
    schema = copy.deepcopy(kit.SCHEMA)
    schema["name"] = text
    schema["table"]["arm"]["levels"] = [text, "other"]
    schema["table"]["age"]["unit"] = text
    schema["terms"] = {"licence": text, "contact": text}
    found = page(schema=schema)
    assert header(found)["model_name"] == text
    assert "<script>" not in found.split("\n---\n", 1)[1]
    rows = [line for line in found.split("\n") if line.startswith("| ") and "integer" in line]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert len(re.findall(r"^# ", found, re.MULTILINE)) == 1
    check_readme(found.encode(), *facts(schema=schema))


def test_long_lists_are_cut():
    schema = copy.deepcopy(kit.SCHEMA)
    schema["table"]["sex"] = {"kind": "category", "levels": [f"L{at}" for at in range(500)]}
    assert r"... \(500\)" in page(schema=schema)
    assert len(page(schema=schema)) < 5000


def test_page_is_the_same_for_the_same_facts():
    assert page() == page()


def test_page_speaks_of_the_licence_only_if_there_is_one():
    schema = {**kit.SCHEMA, "terms": {}}
    assert "none declared" in page(schema=schema)
    assert header(page(schema=schema))["license"] == "other"
    assert json.dumps("CC-BY-4.0") in page()
