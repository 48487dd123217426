"""The clinic of `dossier_kit`, made once."""

import pytest

import dossier_kit as kit


@pytest.fixture(scope="session")
def clinic(tmp_path_factory):
    """Fits, dossiers, keys and files: tests read them and write elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WARDGAN_TRUST", str(tmp_path_factory.getbasetemp() / "nobody" / "trust.json"))
        patch.setenv("WARDGAN_LEDGER", str(tmp_path_factory.mktemp("institution") / "ledger.db"))
        return kit.opened(tmp_path_factory.mktemp("clinic"))
