"""What docs/format.md says is enough to write another reader: one that was written from it reads what we write."""

import ast
import json
import math
from datetime import date

import numpy as np
import pandas as pd
import pytest
from docs_kit import ROOT
from hgan_reader import Refused, Release, canonical, header, members

import wardgan as wg
from wardgan.encode.layout import Layout
from wardgan.encode.units import decode
from wardgan.rng import Seed
from wardgan.simulate import World

TABLE = {
    "arm": {"kind": "category", "levels": ["a", "b", "c"], "label": True},
    "age": {"kind": "integer", "low": 18, "high": 110},
    "bmi": {"kind": "number", "low": 10, "high": 70, "decimals": 1, "nullable": True},
    "crp": {"kind": "number", "low": 0, "high": 500, "decimals": 1, "scale": "log"},
    "dose": {"kind": "number", "low": 0.01, "high": 50, "scale": "log"},
    "cut": {"kind": "number", "low": -1, "high": 2.5, "nullable": True},
    "fives": {"kind": "integer", "low": 5, "high": 100, "step": 5},
    "site": {"kind": "category", "levels": ["Ä", "m\u00fcl", "x"], "nullable": True},
    "sex": {"kind": "flag"},
    "seen": {"kind": "date", "low": "2010-01-01", "high": "2019-12-31"},
    "five": {"kind": "integer", "low": 5, "high": 5},
    "died": {"kind": "flag"},
    "days": {"kind": "integer", "low": 0, "high": 365},
}
MEASURED = {"sbp": {"kind": "integer", "low": 50, "high": 260}, "ph": {"kind": "number", "low": 6.5, "high": 8}}
BINS = {"start": 0, "stop": 1.5, "step": 0.5, "unit": "h"}
SCHEMAS = {
    "table": {"table": TABLE, "events": {"time": "days", "event": "died"}, "rules": ["fives < age"]},
    "named": {"table": {"arm": TABLE["arm"]}, "visits": {"key": "v", "grid": ["A", "B"], "columns": MEASURED}},
    "bins": {"table": {"sex": TABLE["sex"]}, "visits": {"key": "v", "grid": BINS, "columns": MEASURED}},
    "ragged": {
        "table": {"sex": {**TABLE["sex"], "label": True}},
        "visits": {
            "key": "day",
            "max_visits": 4,
            "columns": {"day": {"kind": "integer", "low": 0, "high": 9}, **MEASURED},
        },
    },
}


ALLOWED = {"base64", "hashlib", "io", "json", "math", "re", "tarfile", "numpy", "onnxruntime", "cryptography"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A signed release of each schema, and the trust file."""
    home = tmp_path_factory.mktemp("spec")
    wg.new_key(home / "key", name="Spec", trust=home / "trust.json")
    for name, parts in SCHEMAS.items():
        schema = wg.Schema.from_dict({"name": name, "patient": "id", "population": 900, **parts})
        trained = wg.fit(World.of(schema, seed=Seed(3)).draw(900, seed=Seed(4)), wg.Budget(epsilon=5), family="copula")
        wg.release(trained, home / f"{name}.hgan", home / "key", "A. Tester: no dossier in a test")
    return home


@pytest.fixture(scope="module")
def trust(made):
    return json.loads((made / "trust.json").read_text(encoding="utf-8"))["keys"]


@pytest.fixture
def opened(made, trust):
    return lambda name: (Release((made / f"{name}.hgan").read_bytes(), trust), wg.load(made / f"{name}.hgan"))


def test_the_reader_knows_nothing_of_wardgan():
    tree = ast.parse((ROOT / "tests" / "docs" / "hgan_reader.py").read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} == ALLOWED


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_verifies_what_we_write(name, opened, made):
    release, generator = opened(name)
    assert release.signer == "Spec"
    assert release.name == wg.inspect(made / f"{name}.hgan")["digest"]
    assert [one[0].startswith("@") or one[0] for one in release.variables()] == [
        variable.role in ("presence", "count") or variable.source or variable.name
        for variable in Layout.of(generator.schema).variables
    ]


def cells(cohort):
    """What a cohort holds, column by column."""
    here = cohort.present
    found = {name: np.where(here, codes, np.nan) for name, codes in cohort.measured.items()} | cohort.static
    dates = [column.name for column in cohort.schema.columns if column.kind == "date"]
    return found | {name: found[name] - date(1970, 1, 1).toordinal() for name in dates}


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_same_latent_vectors_are_the_same_patients(name, opened):
    release, generator = opened(name)
    rng = np.random.default_rng(5)
    classes = rng.integers(0, generator.schema.classes, 500)
    units = release.units(rng.standard_normal((500, release.card["latent"])), classes)
    same(release.patients(units, classes), cells(decode(units, classes, Layout.of(generator.schema))))


@pytest.mark.parametrize("name", SCHEMAS)
def test_any_units_are_the_same_patients(name, opened):
    release, generator = opened(name)
    rng = np.random.default_rng(6)
    classes = rng.integers(0, generator.schema.classes, 4000)
    units = rng.uniform(-0.4, 1.4, (4000, release.card["variables"])).astype(np.float32)
    for at, (_, column, _) in enumerate(release.variables()):
        if column["kind"] in ("category", "flag"):
            units[:, at] = rng.choice([-0.5, 0, 0.5, 1, 1.5, 2, 3], 4000)
        if column.get("nullable"):
            units[:400, at] = rng.choice([np.nan, -1, -0.51, -0.5], 400)
    same(release.patients(units, classes), cells(decode(units, classes, Layout.of(generator.schema))))


def same(mine, ours):
    assert set(mine) == set(ours)
    for name, expected in ours.items():
        np.testing.assert_allclose(mine[name].astype(float), expected, rtol=1e-12, err_msg=name)


def test_a_sample_of_its_own_has_the_same_distribution(opened):
    release, generator = opened("table")
    mine, ours = release.sample(20_000, 1), generator.sample(20_000, seed=2)
    assert not release.broken(mine).any()
    for name in ("age", "bmi", "fives", "days"):
        column = ours[name].astype(float)
        spread = math.sqrt(2) * column.std() / math.sqrt(len(column))
        assert abs(np.nanmean(mine[name]) - column.mean()) < 5 * spread, name
        assert abs(np.isnan(mine[name]).mean() - column.isna().mean()) < 0.02
    shares = pd.Series(mine["arm"]).value_counts(normalize=True).sort_index().to_numpy()
    assert np.abs(shares - ours["arm"].value_counts(normalize=True).loc[["a", "b", "c"]].to_numpy()).max() < 0.02


def rebuilt(blobs):
    return b"".join(header(n, len(b)) + b + bytes(-len(b) % 512) for n, b in sorted(blobs.items())) + bytes(1024)


def test_it_refuses_what_was_changed(made, trust):
    data = (made / "named.hgan").read_bytes()
    blobs = members(data)
    assert rebuilt(blobs) == data
    for name in blobs:
        changed = bytearray(blobs[name])
        changed[len(changed) // 2] ^= 1
        with pytest.raises(Refused):
            Release(rebuilt({**blobs, name: bytes(changed)}), trust)
    for other in (data[:-512], data + bytes(512), data.replace(b"0000644", b"0000755", 1), b""):
        with pytest.raises(Refused):
            Release(other, trust)
    more = {**blobs, "blobs/sha256/" + "0" * 64: b"x"}
    with pytest.raises(Refused):
        Release(rebuilt(more), trust)
    with pytest.raises(Refused):
        Release(data, [])
    index = json.loads(blobs["index.json"])
    alone = canonical({**index, "manifests": index["manifests"][:1]})
    with pytest.raises(Refused, match="no manifest names"):
        Release(rebuilt({**blobs, "index.json": alone}), trust)
