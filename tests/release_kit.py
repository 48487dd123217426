"""A small model with everything that a `.hgan` file holds, and ways to forge one."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from wardgan.sample.generator import Generator
from wardgan.sample.network import Graph
from wardgan.schema.schema import Schema
from wardgan.seal import artifact, oci, sign
from wardgan.seal.json_text import canonical

# The package; `from wardgan import release` may also give the function of that name.
release = import_module("wardgan.seal")

DAY = "2026-01-31"
SCHEMA = {
    "name": "demo",
    "patient": "id",
    "population": 1000,
    "table": {
        "sex": {"kind": "flag", "nullable": True},
        "arm": {"kind": "category", "levels": ["standard", "intensive"], "label": True},
        "age": {"kind": "integer", "low": 18, "high": 110, "unit": "a"},
    },
    "visits": {
        "key": "visit",
        "grid": ["A", "B"],
        "complete": True,
        "columns": {"sbp": {"kind": "integer", "low": 50, "high": 260, "unit": "mm[Hg]", "code": "LOINC 8480-6"}},
    },
    "terms": {"licence": "CC-BY-4.0"},
}
LEDGER = {
    "version": 1,
    "mode": "private",
    "unit": "patient",
    "neighbours": "add-or-remove",
    "replayable": False,
    "unbilled": [],
    "epsilon": 1.0,
    "delta": 1e-5,
    "population": 1000,
    "family": "copula",
    "spent": {"epsilon": 0.98, "accountant": "PLD", "epsilon_rdp": 1.05},
    "events": [{"name": "margins", "mechanism": "gaussian", "noise_multiplier": 3.8, "steps": 1}],
}
OPEN_LEDGER = {
    "version": 1,
    "mode": "none",
    "unit": "patient",
    "neighbours": "add-or-remove",
    "replayable": False,
    "unbilled": [],
    "events": [],
}
OVERRIDE = "Dr Ada Example: public teaching data"


@dataclass(frozen=True)
class Bill:
    """Stands for a ledger: what it says is all that a release asks of it."""

    found: dict = field(default_factory=lambda: copy.deepcopy(LEDGER))

    def to_dict(self):
        return self.found


@dataclass(frozen=True)
class Fit:
    """Stands for a finished fit."""

    generator: Generator
    ledger: Bill


def network(latent=3, variables=4, classes=2) -> bytes:
    rng = np.random.default_rng(0)
    graph = Graph(latent=latent)
    hidden = graph.add("MatMul", "latent", graph.floats(rng.normal(size=(latent, variables))))
    shift = graph.add("Gather", graph.floats(rng.normal(size=(classes, variables))), "label", axis=0)
    units = graph.add("Mul", graph.add("Sigmoid", graph.add("Add", hidden, shift)), graph.floats(0.99))
    return graph.finish(units, variables=variables)


def fit(ledger=None, schema=None, **changes) -> Fit:
    bill = Bill(copy.deepcopy(LEDGER if ledger is None else ledger))
    claim = {name: bill.found.get(name) for name in ("mode", "epsilon", "delta", "unit", "neighbours")}
    declared = Schema.from_dict(SCHEMA if schema is None else schema)
    shares = changes.pop("probabilities", (0.5, 0.5))
    generator = Generator(declared, "copula", network(), 3, shares, claim)
    return Fit(replace(generator, **changes), bill)


def key(number=1) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)


def parts() -> oci.Parts:
    made = fit()
    return artifact._parts(made.generator, made.ledger.found, None, DAY, None)


def valid(signer: Ed25519PrivateKey | None = None) -> bytes:
    return oci.pack(parts(), None if signer is None else lambda digest: sign.sign(digest, signer))


def members(data: bytes) -> dict[str, bytes]:
    layout = oci.unpack(io.BytesIO(data), len(data))
    return {name: data[m.offset : m.offset + m.size] for name, m in layout.blobs.members.items()}


def forge(card=None, ledger=None, schema=None, readme=None, network=None, envelope=None) -> bytes:
    """Gives a file with changed parts whose digests are right again: the forger knows the format."""
    made = parts()
    facts, bill, declared = json.loads(made.card), json.loads(made.privacy), json.loads(made.schema)
    if ledger is not None:
        bill = ledger(bill)
    if schema is not None:
        declared = schema(declared)
    if network is not None:
        facts["network"] = oci.digest_of(network)
    if card is not None:
        facts = card(facts)
    forged = replace(
        made,
        card=facts if isinstance(facts, bytes) else canonical(facts),
        privacy=bill if isinstance(bill, bytes) else canonical(bill),
        schema=declared if isinstance(declared, bytes) else canonical(declared, sort=False),
        network=made.network if network is None else network,
        readme=made.readme if readme is None else readme(made.readme),
    )
    return oci.pack(forged, envelope)


def changed(**fields):
    """Gives a function that sets fields of a mapping; `None` stays `None`, `...` removes the field."""

    def apply(found):
        return {k: v for k, v in {**found, **fields}.items() if v is not ...}

    return apply


def write(folder: Path, data: bytes, name="model.hgan") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
