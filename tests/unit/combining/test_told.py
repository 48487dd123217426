"""What is said of a combined generator: how each member's columns became those of the whole, and what one alone is."""

import copy
import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

import release_kit
import wardgan as wg
from hub_kit import Clinic
from wardgan.cli.inspect import show_mixture
from wardgan.cli.main import app

MAP = {
    "sbp": {"from": "rr", "times": 7.50062, "plus": 0.5},
    "arm": {"from": "treatment", "levels": {"s": "standard", "i": "intensive"}},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two hospitals, of which the second has other names, units and levels."""
    found = Clinic(tmp_path_factory.mktemp("clinic"))
    found.file("a")
    table = copy.deepcopy(release_kit.SCHEMA)
    arm, sbp = table["table"].pop("arm"), table["visits"]["columns"].pop("sbp")
    table["table"] = {"sex": table["table"]["sex"], "treatment": arm | {"levels": ["s", "i"]}, "age": {
        "kind": "integer", "low": 18, "high": 110, "unit": "a"}}  # fmt: skip
    table["visits"]["columns"] = {"rr": sbp | {"low": 6, "high": 35, "unit": "kPa"}}
    found.file("b", schema=table, data="data-0000002", created="2026-02-01")
    recipe = {"members": ["a.hgan", {"file": "b.hgan", "map": MAP}], "overlap": 1}
    (found.home / "north.yaml").write_text(json.dumps(recipe))
    wg.combine(wg.Recipe.load(found.home / "north.yaml"), found.home / "north.hgan")
    return found.home


def printed(facts):
    out = io.StringIO()
    show_mixture(Console(file=out, width=150, markup=False, highlight=False, emoji=False), facts)
    return out.getvalue()


def test_inspect_tells_how_columns_were_mapped(home):
    first, second = wg.inspect(home / "north.hgan")["tree"]
    assert first["map"] == {}
    assert second["map"] == {
        "arm": {"from": "treatment", "times": 1.0, "plus": 0.0, "levels": {"s": "standard", "i": "intensive"}},
        "sbp": {"from": "rr", "times": 7.50062, "plus": 0.5, "levels": {}},
    }
    text = printed(wg.inspect(home / "north.hgan"))
    assert "arm is treatment (i: intensive, s: standard)" in text
    assert "sbp is rr x 7.50062 +0.5" in text
    assert "sex is" not in text


def test_inspect_tells_it_at_each_depth(home, tmp_path):
    wg.combine([home / "north.hgan"], tmp_path / "nation.hgan")
    (north,) = wg.inspect(tmp_path / "nation.hgan")["tree"]
    assert north["map"] == {}
    assert set(north["members"][1]["map"]) == {"arm", "sbp"}
    done = CliRunner().invoke(app, ["inspect", str(tmp_path / "nation.hgan")])
    assert "sbp is rr x 7.50062 +0.5" in done.output


def test_names_in_a_mapping_cannot_move_the_cursor(home):
    facts = wg.inspect(home / "north.hgan")
    facts["tree"][1]["map"] = {"a\x1b[2J": {"from": "b\u202e", "times": 1.0, "plus": 0.0, "levels": {"c\x07": "d\n"}}}
    assert r"a\x1b[2J is b\u202e (c\x07: d\n)" in printed(facts)


def test_one_member_alone_is_said(home, tmp_path):
    """A region may have one hospital for now: it is a whole like any other, and no better protected than that one."""
    done = CliRunner().invoke(app, ["combine", str(home / "a.hgan"), "-o", str(tmp_path / "one.hgan"), "--json"])
    found = json.loads(done.stdout)
    said = "a is the only member: the whole draws its patients, at its price, and protects no better."
    assert said in found["notices"]
    assert found["shares"] == {"a": 1.0}
    facts = wg.inspect(tmp_path / "one.hgan")
    bounds = facts["bounds"]
    assert bounds["sites"] == 1
    assert bounds["worst"]["epsilon"] == bounds["disjoint"]["epsilon"]
    assert facts["tree"][0]["share"] == 1.0
    assert wg.inspect(home / "a.hgan")["digest"] == facts["tree"][0]["digest"]
    assert wg.load(tmp_path / "one.hgan").sample(20, seed=1)["arm"].isin(["standard", "intensive"]).all()
    two = wg.combine([home / "a.hgan", home / "north.hgan"], tmp_path / "two.hgan")
    assert not [one for one in two.notices if "only member" in one]
