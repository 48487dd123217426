"""The demo, small: everything is there, true, and where it belongs."""

import json
from functools import partial

import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import wardgan as wg
from wardgan.cli.main import app
from wardgan.demo import journey

FILES = {
    "patients.csv", "holdout.csv", "draft.yaml", "schema.yaml", "run", "dossier", "demo.key", "demo.key.pub", "trust.json", "sprint.hgan",
    "synthetic.parquet", "synthetic.csv", "medians.png", "medians.svg", "correlations.png", "correlations.svg",
}  # fmt: skip


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(folder.parent / "mine.json"))
        patch.setattr(journey, "run_demo", partial(journey.run_demo, family="copula"))
        patch.setattr(journey, "SYNTHETIC", 600)
        words = ["demo", "-o", str(folder), "--patients", "1000", "--epsilon", "4", "--json"]
        done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder, json.loads(done.stdout), done.stderr


def test_everything_is_in_the_folder_and_nothing_beside_it(shown):
    folder, _, _ = shown
    assert {path.name for path in folder.iterdir()} == FILES
    assert {path.name for path in folder.parent.iterdir()} == {"demo"}


def test_the_numbers_are_those_of_the_files(shown):
    folder, facts, _ = shown
    found = wg.verify(folder / "sprint.hgan", folder / "trust.json")
    assert facts["spent_epsilon"] == pytest.approx(found.epsilon)
    assert found.epsilon <= 4
    assert facts["model_bytes"] == (folder / "sprint.hgan").stat().st_size
    table = pd.read_parquet(folder / "synthetic.parquet")
    assert table["patient_id"].nunique() == facts["synthetic_patients"] == 600
    assert len(pd.read_csv(folder / "synthetic.csv")) == len(table)
    for score in facts["accuracy"].values():
        assert score["n"] == 2000
        assert 0.5 < score["value"] < score["high"] <= 1
        assert 0.5 < score["baseline"] <= 1
    assert facts["correlations"]["spearman"] < facts["correlations_unseen"]["spearman"] <= 1


def test_the_draft_waits_for_a_person_and_the_schema_does_not(shown):
    folder, _, text = shown
    assert yaml.safe_load((folder / "draft.yaml").read_text(encoding="utf-8"))["confirm"]
    assert wg.Schema.load(folder / "schema.yaml").confirm == ()
    assert "# from patients: confirm or replace" in text


def test_the_plan_is_shown_before_the_fit_and_the_worth_at_the_end(shown):
    _, _, text = shown
    assert "Signature: verified demo hospital" in text
    places = [text.index(word) for word in ("Planned: epsilon", "Verified: signed by demo hospital", "Epsilon spent")]
    assert places == sorted(places)


def test_a_demo_is_replaced_only_by_force_and_only_its_own_files(shown, tmp_path):
    folder, _, _ = shown
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    for name in ("run", "sprint.hgan"):
        source = folder / name
        (tmp_path / name).mkdir() if source.is_dir() else (tmp_path / name).touch()
    with pytest.raises(wg.WardganError, match="is not empty"):
        journey._empty(tmp_path, force=False)
    journey._empty(tmp_path, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_ctrl_c_says_how_to_begin_again(tmp_path, monkeypatch):
    def stop(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(journey, "run_demo", stop)
    done = CliRunner().invoke(app, ["demo", "-o", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (130, "")
    assert done.stderr == f"Stopped. To begin again:\n  wardgan demo -o {tmp_path} --force\n"
