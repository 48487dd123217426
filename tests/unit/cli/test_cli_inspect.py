"""What `wardgan inspect` and `wardgan verify` print about a file that somebody else wrote."""

import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

import release_kit as kit
from release_kit import release
from wardgan.cli.inspect import show_model, shown
from wardgan.cli.main import app
from wardgan.seal import bill


def printed(facts) -> str:
    out = io.StringIO()
    show_model(Console(file=out, width=150, markup=False, highlight=False, emoji=False), facts)
    return out.getvalue()


def facts(tmp_path, **changes):
    return release.inspect(release.release(kit.fit(**changes), tmp_path / "a.hgan"))


def test_what_was_spent_is_the_files_own_word(tmp_path):
    found = facts(tmp_path)
    assert "Spent:     epsilon 0.98 by the file's own word; by our own accountant at most 1.071" in printed(found)
    open_ended = printed({**found, "epsilon_bound": None})
    assert "0.98 by the file's own word; wardgan verify bills it again" in open_ended


def test_dates_after_others_and_events_are_shown(tmp_path):
    found = facts(tmp_path)
    table = found["schema"]["table"]
    table["came"] = {"kind": "date", "origin": True}
    table["left"] = {"kind": "date", "after": "ca\x1bme", "within": 30}
    found["schema"]["events"] = {"time": "age", "event": "sex"}
    rows = {row.split()[1]: row for row in printed(found).splitlines() if row.count("│") > 3}
    assert r"0 to 30 days after ca\x1bme" in rows["left"]
    assert "day 0 of each patient" in rows["came"]
    assert [name for name, row in rows.items() if "label" in row] == ["sex", "arm"]


def test_steps_and_scales_are_shown(tmp_path):
    found = facts(tmp_path)
    table = found["schema"]["table"]
    table["dose"] = {"kind": "integer", "low": 0, "high": 200, "step": 5}
    table["ph"] = {"kind": "number", "low": 6.8, "high": 7.8, "step": 0.01}
    table["crp"] = {"kind": "number", "low": 1, "high": 500, "scale": "log"}
    table["plain"] = {"kind": "number", "low": 0, "high": 1}
    rows = {row.split()[1]: row for row in printed(found).splitlines() if row.count("│") > 3}
    assert "0 to 200 in steps of 5 " in rows["dose"]
    assert "6.8 to 7.8 in steps of 0.01 " in rows["ph"]
    assert "1 to 500 (logarithmic) " in rows["crp"]
    assert "0 to 1 " in rows["plain"]
    assert "steps" not in rows["plain"]


def test_levels_are_shown_also_those_of_groups_and_how_many_there_are(tmp_path):
    found = facts(tmp_path)
    table = found["schema"]["table"]
    table["few"] = {"kind": "category", "levels": [f"a{at}" for at in range(12)]}
    table["many"] = {"kind": "category", "levels": [f"b{at}" for at in range(1329)]}
    table["grouped"] = {"kind": "category", "groups": {"heart": ["I10", "I21"], "lung": ["J18"]}}
    rows = {row.split()[1]: row for row in printed(found).splitlines() if row.count("│") > 3}
    assert "a10, a11 " in rows["few"]
    assert "b11, ... (1,329 levels)" in " ".join(printed(found).split())
    assert "I10, I21, J18 " in rows["grouped"]


def test_what_has_no_shape_is_spelled_out(tmp_path):
    """No file with such texts is read; if one ever were, its names would not move the cursor."""
    found = facts(tmp_path)
    hostile = "a\x1b[2J\u202eb\u200bc\nd"
    found["card"] |= {"name": hostile, "licence": hostile, "package": hostile}
    found["signature"] = {"status": "verified", "name": hostile, "keyid": None}
    found["schema"]["table"][hostile] = {"kind": "category", "levels": [hostile], "unit": hostile}
    found["schema"]["visits"]["grid"] = [hostile]
    text = printed(found)
    assert text.count(r"\x1b[2J\u202eb\u200bc\nd") == 8
    assert not set(text) & set("\x1b\u202e\u200b")
    assert shown("mm[Hg] Größe 年齢") == "mm[Hg] Größe 年齢"


@pytest.fixture
def signed(tmp_path):
    release.new_key(tmp_path / "k", name="hospital", trust=tmp_path / "trust.json")
    dear = {**kit.LEDGER, "events": [{**kit.LEDGER["events"][0], "noise_multiplier": 2.0}]}
    for name, ledger in (("good", kit.LEDGER), ("dear", dear)):
        release.release(kit.fit(ledger=ledger), tmp_path / name, tmp_path / "k")
    return tmp_path


def verified(folder, name, *more):
    return CliRunner().invoke(app, ["verify", str(folder / name), "--trust", str(folder / "trust.json"), *more])


def test_verify_without_the_accountant_says_what_it_knows(signed, monkeypatch):
    monkeypatch.setattr(bill, "pld_available", lambda: False)
    good = verified(signed, "good")
    assert good.exit_code == 0
    assert "Billed:    roughly; for the exact bill: pip install 'wardgan[train]'" in good.output
    assert "epsilon 1.071 by our own (Renyi), an upper bound" in good.output
    dear = verified(signed, "dear")
    assert dear.exit_code == 3
    assert "in order" not in dear.output
    assert "Not verified" in dear.output


def test_verify_prints_no_infinite_bound(signed, monkeypatch):
    monkeypatch.setattr(bill, "rdp_epsilon", lambda events, delta: 1.0 if events[0].batch_cap is None else float("inf"))
    batch = {"mechanism": "poisson-gaussian", "noise_multiplier": 3.8, "sampling_rate": 0.5}
    ledger = {**kit.LEDGER, "events": [{"name": "b", **batch, "steps": 1, "batch_cap": 100, "population": 100}]}
    release.release(kit.fit(ledger=ledger), signed / "open", signed / "k")
    found = verified(signed, "open", "--json")
    assert json.loads(found.stdout)["epsilon_bound"] is None
    assert "our own" not in verified(signed, "open").output
