"""Fixtures and settings of all tests. That this file is here also puts `tests/` on the import path."""

import hashlib
import itertools
import os
from types import SimpleNamespace

import pytest
from hypothesis import settings

from wardgan import rng

# The same examples each time, so that a change is judged by what it changed; `make fuzz` looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
_EXAMPLES = os.environ.get("WARDGAN_EXAMPLES", "same")
settings.load_profile(_EXAMPLES)


# What takes longest comes first, so that no worker is alone with it at the end.
_FIRST = (
    "/journeys/", "/contract/", "test_steward", "test_training_together", "test_web_", "test_sketch", "test_cli_sketch",
    "test_examples_run", "test_attack_", "test_imagegan", "test_pool_pairs", "/docs/",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    items.sort(
        key=lambda item: next((at for at, part in enumerate(_FIRST) if part in item.path.as_posix()), len(_FIRST))
    )


def _stream(name):
    """The same noise each time, too: what the operating system gives is drawn from the name of a test or fixture."""
    count = itertools.count()
    return lambda size: hashlib.shake_256(f"{name}/{next(count)}".encode()).digest(size)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef, request):
    if fixturedef.scope == "function" or _EXAMPLES != "same":
        return (yield)
    with pytest.MonkeyPatch.context() as patch:
        name = f"{request.node.nodeid}::{fixturedef.argname}::{getattr(request, 'param', None)!r}"
        patch.setattr(rng, "os", SimpleNamespace(urandom=_stream(name)))
        return (yield)


@pytest.fixture(autouse=True)
def same_noise(request, monkeypatch):
    """What a test says of noise is judged by the same noise each time; `make fuzz` draws new noise."""
    if _EXAMPLES == "same":
        monkeypatch.setattr(rng, "os", SimpleNamespace(urandom=_stream(request.node.nodeid)))


@pytest.fixture(autouse=True)
def no_trust_file(tmp_path_factory, monkeypatch):
    """No test meets a trust file of the person who runs it."""
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path_factory.getbasetemp() / "nobody" / "trust.json"))


@pytest.fixture(autouse=True)
def no_ledger_file(tmp_path_factory, monkeypatch):
    """Nor a ledger of an institution, and none appears beside a test's files unless it asks for it."""
    monkeypatch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))


@pytest.fixture(scope="session")
def clinic(tmp_path_factory):
    """Fits, dossiers, keys and files of `dossier_kit`, made once: tests read them and write elsewhere."""
    import dossier_kit

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.getbasetemp() / "nobody" / "trust.json"))
        patch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))
        return dossier_kit.opened(tmp_path_factory.mktemp("clinic"))
