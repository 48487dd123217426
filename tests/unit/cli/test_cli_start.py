"""The command line starts fast, and says what it can do."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from wardgan.cli.main import app

VERBS = ("init", "check", "plan", "fit", "audit", "release", "ledger", "keys", "verify", "inspect", "sample", "demo")
HEAVY = (
    "torch",
    "pandas",
    "onnxruntime",
    "onnx",
    "numpy",
    "scipy",
    "sklearn",
    "matplotlib",
    "pydantic",
    "cryptography",
)


def test_help_imports_nothing_heavy():
    code = (
        "import sys, json\n"
        "sys.argv = ['wardgan', '--help']\n"
        "from wardgan.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('HEAVY', json.dumps(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "HEAVY []"
    for verb in VERBS:
        assert f" {verb} " in done.stdout


def test_every_verb_has_help_and_json():
    for verb in VERBS:
        words = [verb, *{"keys": ["new"], "ledger": ["show"]}.get(verb, [])]
        done = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*words, "--help"])
        assert done.exit_code == 0
        assert "--json" in done.stdout


def test_a_wrong_verb_is_a_usage_error_that_knows_the_right_one():
    done = CliRunner().invoke(app, ["sampel"])
    assert done.exit_code == 2
    assert "sample" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(("asked", "found"), [(None, "passive"), ("active", "active")])
def test_threads_that_wait_sleep_unless_somebody_wants_otherwise(asked, found):
    """Libraries read this when they are loaded, so it must be said before."""
    code = (
        "import os, sys\nsys.argv = ['wardgan', '--version']\nimport wardgan.cli.main as cli\n"
        "cli.app = lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules, 'sklearn' in sys.modules)\ncli.main()"
    )
    world = {name: text for name, text in os.environ.items() if name != "OMP_WAIT_POLICY"}
    world |= {"OMP_WAIT_POLICY": asked} if asked else {}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=world)
    assert done.stdout.split() == [found, "False", "False"]
