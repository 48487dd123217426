"""A hub with a few releases, and its pages."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path

from fastapi.testclient import TestClient

import release_kit as kit
from hub_kit import Clinic
from wardgan.hub.hub import Hub
from wardgan.seal import artifact
from wardgan.web.app import create_app
from wardgan.web.jobs import Jobs
from wardgan.web.stock import stock_of

EVIL = "<script>alert(1)</script>\"'&{{7*7}}"
HERE = "http://localhost"


def stocked(home) -> Clinic:
    """A hub with two versions of one release, a region, an open one, and one that nobody known signed."""
    clinic = Clinic(home)
    hub = Hub(home / "hub", trust=clinic.trust)
    hub.push(clinic.file("a"), "cardio/a:1.0")
    hub.push(clinic.file("b2", created="2026-02-03"), "cardio/a:1.1")
    hub.push(clinic.region(), "region/all:1")
    open_ = home / "open.hgan"
    artifact.release(
        kit.fit(ledger=kit.OPEN_LEDGER), open_, clinic.key, kit.OVERRIDE, training_data_id="data-0000009", created=kit.DAY
    )  # fmt: skip
    hub.push(open_, "research/open:1")
    hub.push(clinic.file("unsigned", signed=False), "other/unsigned:1", unsigned=True)
    return clinic


def jobs_in(stock):
    """Files made in the background, in a folder of their own."""
    return Jobs(Path(tempfile.mkdtemp(prefix="files-")), stock)


def stock_at(clinic, place, **more):
    """What a hub has, looked at now and when a test says so: by itself it would look while a test has changed how."""
    stock = stock_of(place or clinic.home / "hub", trust=clinic.trust, **more)
    stock._pause = 3600.0
    stock.refresh()
    return stock


@contextmanager
def served(clinic, *, place=None, **more):
    stock = stock_at(clinic, place, **more)
    with TestClient(create_app(stock, jobs_in(stock)), base_url=HERE) as client:
        yield client, stock


@contextmanager
def guarded(clinic, *, tier="registered", closed=False, secure=False, place=None, **more):
    """The same pages with accounts."""
    from wardgan.access.database import Database
    from wardgan.access.rules import Rules, default
    from wardgan.web.desk import Desk

    database = Database(clinic.home / "hub.db")
    rules = Rules(database, default(tier), closed=closed)
    stock = stock_at(clinic, place, **more)
    desk = Desk(database, rules, closed=closed, secure=secure)
    app = create_app(stock, jobs_in(stock), desk=desk, secure=secure)
    with TestClient(app, base_url=HERE.replace("http:", "https:") if secure else HERE) as client:
        yield client, database, rules
    database.close()
