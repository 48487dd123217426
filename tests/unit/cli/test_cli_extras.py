"""Without an extra, a step that needs it says which one, and how to get it."""

import json
import subprocess
import sys
from importlib import metadata

import pytest

import shards_kit
from wardgan.cli import facts, terminal

SCHEMA = {
    "name": "smoke", "population": 400,
    "table": {"arm": {"kind": "category", "levels": ["a", "b"], "label": True}, "age": {"kind": "integer", "low": 18, "high": 99}},
}  # fmt: skip
BLOCKED = (
    "import sys\n"
    "for name in sys.argv.pop(1).split(','):\n    sys.modules[name] = None\n"
    "from wardgan.cli.main import main\nmain()\n"
)
OIDC = ["--oidc", "https://id.example.org", "--oidc-client", "hub"]


def without(names, *words, **more):
    """Runs a verb in a process in which some modules cannot be imported."""
    command = [sys.executable, "-W", "error", "-c", BLOCKED, ",".join(names), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("train", ["plan", "schema.yaml", "--epsilon", 3]),
        ("images", ["init", "pictures", "-o", "draft.yaml"]),
        ("hub", ["serve"]),
        ("hub", ["token", "list", "--database", "accounts.db"]),
        ("postgresql", ["token", "list", "--database", "postgresql://hub@/hub"]),
        ("oidc", ["serve", "--database", "accounts.db", *OIDC]),
        ("federate", ["federate", "provision", "alpha", "beta", "-o", "kits"]),
    ],
    ids=lambda given: given if isinstance(given, str) else given[0],
)
def test_a_step_without_its_extra_names_it(tmp_path, extra, words):
    (tmp_path / "schema.yaml").write_text(json.dumps(SCHEMA))
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "one.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    names = [
        name for name, needs in terminal._EXTRAS.items() if needs == extra or (extra == "images" and name == "PIL")
    ]
    done = without(names, *words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert f"pip install 'wardgan[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"schema.yaml", "pictures"}


def test_shards_on_a_cluster_name_theirs(tmp_path):
    words = ["sample", shards_kit.released(tmp_path), "-n", 9, "--shards", 3, "-o", tmp_path / "out"]
    done = without(["distributed"], *words, "--cluster", "dask://host:8786")
    assert done.returncode == 2, done.stderr
    assert "pip install 'wardgan[cluster]'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_every_library_of_an_extra_has_its_name_in_the_refusal():
    modules = {}
    for module, owners in metadata.packages_distributions().items():
        for owner in owners:
            modules.setdefault(owner.lower().replace("_", "-"), set()).add(module)
    groups = {name.strip("[]"): libraries for name, libraries in facts._groups(metadata.requires("wardgan")).items()}
    del groups["core"]
    for extra, libraries in groups.items():
        for library in libraries:
            known = {terminal._EXTRAS[name] for name in modules[library.lower()] & set(terminal._EXTRAS)}
            assert any(library in groups[one] for one in known), (extra, library)
