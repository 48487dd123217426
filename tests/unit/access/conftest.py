"""Each test of the database runs on both kinds."""

import secrets
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import sqlalchemy as sa

import access_kit
from wardgan.access.database import Database


@pytest.fixture(scope="session")
def server():
    # A socket's path may not be long.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder, access_kit.postgresql(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "hub.db")
    url = request.getfixturevalue("server")
    name = f"t{secrets.token_hex(6)}"
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as line:
        line.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def database(place):
    found = Database(place)
    yield found
    found.close()


@pytest.fixture
def file(tmp_path):
    return Path(tmp_path / "hub.db")
