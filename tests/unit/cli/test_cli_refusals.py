"""How refusals look: one clear message, the right exit code, JSON if it was asked for."""

import errno
import json

import pytest
from typer.testing import CliRunner

from wardgan.cli.main import app
from wardgan.combining import file as filing
from wardgan.dossier import receiver
from wardgan.errors import BudgetError, DataError, GateError, TrustError


def invoke(monkeypatch, error, *words):
    def verify(*_args, **_options):
        raise error

    monkeypatch.setattr(receiver, "verify", verify)
    monkeypatch.setattr(filing, "kind_of", lambda _: "model")
    return CliRunner().invoke(app, ["verify", "model.hgan", *words])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("x=1 is not 2."), 2),
        (TrustError("unsigned"), 3),
        (GateError(["a", "b"]), 3),
        (BudgetError("spent"), 4),
    ],
)
def test_a_refusal_is_one_message_with_its_exit_code(monkeypatch, error, code):
    done = invoke(monkeypatch, error)
    assert done.exit_code == code
    assert done.stdout == ""
    assert done.stderr == f"error: {error}\n"


def test_a_refusal_as_json_is_alone_on_standard_output(monkeypatch):
    done = invoke(monkeypatch, GateError(["nobody signed.", "it is too late."]), "--json")
    found = json.loads(done.stdout)["error"]
    assert done.exit_code == 3
    assert found["kind"] == "GateError"
    assert found["reasons"] == ["nobody signed.", "it is too late."]
    assert "refused" in found["message"]
    assert done.stderr == ""


def test_the_notes_of_a_refusal_are_part_of_its_message(monkeypatch):
    error = DataError("x=1 is not 2.")
    error.add_note("Keep the folder.")
    assert invoke(monkeypatch, error).stderr == "error: x=1 is not 2. Keep the folder.\n"
    found = json.loads(invoke(monkeypatch, error, "--json").stdout)["error"]
    assert found == {"kind": "DataError", "message": "x=1 is not 2. Keep the folder."}


def test_a_long_message_is_not_broken_in_a_pipe(monkeypatch):
    text = "word " * 100 + "end [not markup] :smile:"
    assert text in invoke(monkeypatch, DataError(text)).stderr


def test_a_full_disk_is_a_message(monkeypatch):
    done = invoke(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "x.hgan"))
    assert done.exit_code == 2
    assert done.stderr == "error: 'x.hgan': No space left on device.\n"


def test_a_missing_extra_says_how_to_install_it(monkeypatch):
    done = invoke(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert done.exit_code == 2
    assert "pip install 'wardgan[train]'" in done.stderr


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    for error in (ValueError("a bug"), ModuleNotFoundError("No module named 'wardgan.x'", name="wardgan.x")):
        for words in ([], ["--json"]):
            done = invoke(monkeypatch, error, *words)
            assert done.exit_code == 1
            assert done.exception is error


def test_ctrl_c_is_130(monkeypatch):
    for words in ([], ["--json"]):
        done = invoke(monkeypatch, KeyboardInterrupt(), *words)
        assert done.exit_code == 130
        assert "run the same command again" in done.output


def test_a_usage_error_as_json():
    done = CliRunner().invoke(app, ["plan", "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["kind"] == "UsageError"
    assert "SCHEMA" in json.loads(done.stdout)["error"]["message"]


def test_a_usage_error_for_people():
    done = CliRunner().invoke(app, ["plan", "schema.yaml", "--epsilon", "much"])
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "--epsilon" in done.stderr
