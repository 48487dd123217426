"""Plans, patients and a ledger for the tests of the institution's ledger."""

from __future__ import annotations

import sqlite3

import pandas as pd

import wardgan as wg
from wardgan.privacy.accountant import gaussian_mu
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.claim import Claim
from wardgan.privacy.accounts.whose import Patients
from wardgan.privacy.events import Budget, Event
from wardgan.privacy.plan import Plan

DELTA = 1e-5
AGE = {"kind": "integer", "low": 0, "high": 99}


def plan(epsilon, *, halves=2):
    """A plan of Gaussian events that costs exactly epsilon, in equal parts."""
    noise = halves**0.5 / gaussian_mu(epsilon, DELTA)
    events = tuple(Event(f"part {at}", "gaussian", noise_multiplier=noise) for at in range(halves))
    return Plan(Budget(epsilon, DELTA), events, 500, "copula")


def claim(token, epsilon, **more):
    return Claim(token, None if epsilon is None else plan(epsilon), "copula", **more)


def patients(mark="a", schema="clinic", dataset=None):
    return Patients(mark, schema, dataset)


def opened(folder, **more):
    return Accounts.open(folder / "ledger.db", create=True, **more)


def cohort(names=("P1", "P2", "P3"), name="clinic"):
    schema = wg.Schema.from_dict({"name": name, "patient": "id", "table": {"age": AGE}})
    return wg.read(pd.DataFrame({"id": list(names), "age": 50}), schema)


def raw(folder, statement):
    """Writes into the file behind the ledger's back."""
    connection = sqlite3.connect(folder / "ledger.db", isolation_level=None)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
