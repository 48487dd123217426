"""The package names what it offers, and loads nothing heavy before it is needed."""

import subprocess
import sys
from pathlib import Path

import wardgan.evaluate


def test_all_is_sorted_and_there():
    names = wardgan.evaluate.__all__
    assert names == sorted(names)
    assert all(hasattr(wardgan.evaluate, name) for name in names)


def test_no_module_hides_behind_a_name():
    modules = {path.stem for path in Path(wardgan.evaluate.__file__).parent.glob("*.py")}
    assert modules & set(wardgan.evaluate.__all__) == set()


def test_import_is_light():
    heavy = {"torch", "sklearn", "scipy", "matplotlib"}
    code = f"import sys, wardgan.evaluate; print({heavy!r} & set(sys.modules) or 'light')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "light"
