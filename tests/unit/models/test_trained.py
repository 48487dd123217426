"""What is said about a run folder that cannot be loaded."""

import pytest

import release_kit as kit
from wardgan.errors import FormatError, OutputError, UsageError
from wardgan.models.base import LEDGER, NETWORK, TRAINED, Trained
from wardgan.privacy.ledger import Ledger


@pytest.fixture
def run(tmp_path):
    """A finished run of a fit without privacy."""
    made = Trained(kit.fit(kit.OPEN_LEDGER).generator, Ledger(None), {})
    made.save(tmp_path / "run")
    Ledger(None, path=tmp_path / "run" / LEDGER)
    return tmp_path / "run"


def test_a_finished_run_is_loaded(run):
    assert Trained.load(run).generator.network == kit.network()
    assert Trained.load(str(run)).ledger.mode == "none"


def test_a_missing_folder_a_file_and_a_folder_without_a_run(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name, error, phrase in (
        ("nosuch", UsageError, "nosuch' does not exist"),
        ("file", UsageError, "file' is a file, not a run folder"),
        ("empty", FormatError, "empty' is not a run folder: no fit was begun in it"),
    ):
        with pytest.raises(error, match=phrase) as found:
            Trained.load(tmp_path / name)
        assert "resume" not in str(found.value)


def test_a_run_that_stopped_can_go_on(run):
    (run / TRAINED).unlink()
    with pytest.raises(FormatError, match=r"is not a finished run\. If it stopped, finish it with fit --resume"):
        Trained.load(run)


@pytest.mark.parametrize("damage", [lambda run: (run / NETWORK).unlink(), lambda run: (run / TRAINED).write_text("{}")])
def test_a_damaged_run_is_not_called_unfinished(run, damage):
    damage(run)
    with pytest.raises(FormatError, match="is damaged") as found:
        Trained.load(run)
    assert "resume" not in str(found.value)


@pytest.mark.parametrize("folder", [None, 3, b"run"])
def test_what_is_no_path_is_refused(folder):
    with pytest.raises(UsageError, match=r"run: \w+ is not a path"):
        Trained.load(folder)
    with pytest.raises(OutputError, match="is not a path"):
        Trained(kit.fit().generator, Ledger(None), {}).save(folder)
