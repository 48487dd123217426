"""Shares of the budget, and what is said after Ctrl-C."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from wardgan.cli.plan import budget_shares, plan_facts, show_noise, show_plan
from wardgan.cli.run import how_to_resume
from wardgan.models.planning import plan as planned
from wardgan.privacy.events import Budget
from wardgan.privacy.plan import Share, solve
from wardgan.schema.schema import Schema

SHARES = [
    Share("sums", 0.2),
    Share("three sums", 0.1, steps=3),
    Share("choice", 0.3, steps=2, pure=True),
    Share("training", 0.4, sampling_rate=0.1, steps=100),
]


@pytest.fixture(scope="module")
def plan():
    return solve(Budget(2.0), SHARES, population=5000, family="demo")


def test_shares_are_those_that_were_wished_for(plan):
    assert budget_shares(plan) == pytest.approx([share.weight for share in SHARES], rel=1e-6)


def test_both_accountants_speak(plan):
    facts = plan_facts(plan)
    assert facts["planned_epsilon"] <= 2.0 <= facts["planned_epsilon_rdp"] * 1.2
    assert [event["share"] for event in facts["events"]] == pytest.approx([0.2, 0.1, 0.3, 0.4], abs=1e-5)


def test_the_table_names_every_event(plan):
    console = Console(record=True, width=120, file=io.StringIO())
    show_plan(console, plan)
    text = console.export_text()
    for share in SHARES:
        assert share.name in text
    assert "40 %" in text
    assert "5,000 declared" in text
    assert "neighbours add-or-remove one patient" in text


def test_the_command_to_resume_has_what_the_run_needs_again(tmp_path):
    usual = {"--family": "auto", "--invalid": "refuse", "--visits": None, "--delimiter": ",", "--seed": None}
    before = how_to_resume(Path("a.csv"), Path("s.yaml"), tmp_path, usual)
    assert before == "Stopped before anything was read; run the same command again."
    (tmp_path / "ledger.jsonl").touch()
    text = how_to_resume(Path("my data.csv"), Path("s.yaml"), tmp_path, usual | {"--seed": 3, "--delimiter": ";"})
    assert text.endswith(f"\n  wardgan fit 'my data.csv' s.yaml --delimiter ';' --seed 3 --resume -o {tmp_path}")
    text = how_to_resume(Path("a.csv"), Path("s.yaml"), tmp_path, usual | {"--set": ["steps=3", "width=8"]})
    assert "--set steps=3 --set width=8 --resume" in text


@pytest.mark.parametrize(("population", "much"), [(100_000, False), (300, True), (None, False)])
def test_the_noise_of_a_count_is_said_beside_the_size_of_a_class(population, much):
    found = {"name": "demo", "table": {f"lab{i}": {"kind": "integer", "low": 0, "high": 9} for i in range(40)}}
    found["table"]["arm"] = {"kind": "flag", "label": True}
    schema = Schema.from_dict(found if population is None else {**found, "population": population})
    plan = planned(schema, Budget(1.0), family="copula")
    console = Console(record=True, width=120, file=io.StringIO())
    show_noise(console, plan, schema)
    text = console.export_text()
    assert f"off by about {plan.event('label tables').noise_multiplier * 40**0.5:.2g} patients" in text
    assert ("That is much" in text) is much
    assert ("not known yet" in text) is (population is None)
