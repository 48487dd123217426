"""`wardgan` has the names that it promises, sorted, and is light to import."""

import subprocess
import sys
from importlib import import_module

import pytest

import wardgan as wg

HEAVY = ("torch", "pandas", "numpy", "onnx", "onnxruntime", "sklearn", "matplotlib", "dp_accounting", "pyarrow")


def test_all_is_what_is_there():
    assert wg.__all__ == sorted(wg.__all__)
    assert set(wg.__all__) == {*wg._HOME, "__version__"}
    assert dir(wg) == wg.__all__


@pytest.mark.parametrize("name", wg._HOME)
def test_every_name_comes_from_its_home(name):
    assert getattr(wg, name) is getattr(import_module(wg._HOME[name]), name)


def test_no_submodule_takes_the_place_of_a_name():
    modules = "import wardgan.cli.main, wardgan.seal, wardgan.demo.journey, wardgan.models.fit, wardgan.schema.read"
    code = f"{modules}\nfrom types import ModuleType\nimport wardgan as wg\n"
    code += "print([name for name in wg.__all__ if isinstance(getattr(wg, name), ModuleType)])"
    assert run(code) == "[]"


def test_an_unknown_name_is_no_attribute():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = wg.nothing


def test_every_name_is_documented_where_it_lives():
    assert [name for name in wg._HOME if not (getattr(wg, name).__doc__ or "").strip()] == []


def test_importing_is_light():
    assert run(f"import sys, wardgan\nprint([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_a_receivers_names_need_no_torch():
    names = "wg.load, wg.verify, wg.inspect, wg.Generator, wg.read, wg.Schema, wg.CopulaConfig, wg.fit"
    code = f"import sys\nimport wardgan as wg\n{names}\nprint('torch' in sys.modules, 'sklearn' in sys.modules)"
    assert run(code) == "False False"


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
