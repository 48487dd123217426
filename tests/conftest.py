"""Fixtures and settings of all tests. That this file is here also puts `tests/` on the import path."""

import os

import pytest
from hypothesis import settings

# The same examples each time, so that a change is judged by what it changed; `make fuzz` looks for new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("fuzz", print_blob=True)
settings.load_profile(os.environ.get("WARDGAN_EXAMPLES", "same"))


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
