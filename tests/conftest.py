"""Fixtures of all tests. That this file is here also puts `tests/` on the import path, for `release_kit`."""

import pytest


@pytest.fixture(autouse=True)
def no_trust_file(tmp_path_factory, monkeypatch):
    """No test meets a trust file of the person who runs it."""
    monkeypatch.setenv("WARDGAN_TRUST", str(tmp_path_factory.getbasetemp() / "nobody" / "trust.json"))
