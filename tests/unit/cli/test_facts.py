"""What `wardgan --version` says."""

import platform
import re
import subprocess
import sys
from importlib import metadata

import pytest
from typer.testing import CliRunner

import wardgan
from wardgan.cli import facts
from wardgan.cli.main import app

REQUIRES = [
    "numpy>=2.2",
    "rich>=13.7",
    'torch>=2.6; extra == "train"',
    'Nobody.Has-it>=1; extra == "images"',
    "pydicom>=3.0 ; python_version < \"4\" and extra == 'images'",
    'psycopg[binary]>=3.2; extra == "postgresql"',
    'wardgan[hub]; extra == "postgresql"',
    'wardgan[train,images]; extra == "all"',
    'pytest>=8.3; extra == "dev"',
]
VERSIONS = {"numpy": "2.4.6", "rich": "15.0.0", "pydicom": "3.0.2"}


@pytest.fixture
def installed(monkeypatch):
    def version(name):
        if name not in VERSIONS:
            raise metadata.PackageNotFoundError(name)
        return VERSIONS[name]

    monkeypatch.setattr(facts.metadata, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(facts.metadata, "version", version)


def test_the_version_is_the_first_line():
    done = CliRunner().invoke(app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[0] == f"wardgan {wardgan.__version__}"
    assert done.stdout == facts.facts() + "\n"


@pytest.mark.usefixtures("installed")
def test_libraries_are_told_by_extra():
    assert facts.facts().splitlines()[3:] == [
        "core         numpy 2.4.6, rich 15.0.0",
        "[train]      not installed",
        "[images]     Nobody.Has-it missing, pydicom 3.0.2",
        "[postgresql] not installed",
    ]


def test_python_and_platform_are_told():
    lines = facts.facts().splitlines()
    assert lines[1].split() == ["python", platform.python_implementation(), platform.python_version()]
    assert lines[2].split(maxsplit=1) == ["platform", platform.platform()]


def test_every_library_of_this_environment_has_a_version():
    told = facts.facts()
    assert f"onnxruntime {metadata.version('onnxruntime')}" in told
    names = {
        re.match(r"[\w.-]+", one)[0]
        for one in metadata.requires("wardgan")
        if not re.search("extra == .(dev|docs)", one)
    }
    assert [name for name in names - {"wardgan"} if f" {name} " not in told] == []


def test_without_an_installation_there_is_still_an_answer(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(facts.metadata, "requires", missing)
    assert facts.facts().splitlines()[3] == "libraries    unknown, for wardgan itself is not installed"


def test_it_imports_nothing_heavy():
    code = (
        "import sys\nsys.argv = ['wardgan', '--version']\nfrom wardgan.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('torch', 'numpy', 'pandas', 'onnxruntime', 'pydantic') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
