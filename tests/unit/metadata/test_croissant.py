"""Croissant beside a sample: what it says is what the file has, and mlcroissant reads the patients back."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import release_kit as kit
import shards_kit
import wardgan as wg
from wardgan.cli.main import app
from wardgan.combining.loading import open_file
from wardgan.errors import UsageError
from wardgan.metadata.croissant import check_kind, croissant_of_shards
from wardgan.seal import artifact

ROOT = Path(__file__).parents[3]
READER = Path(os.environ.get("WARDGAN_MLCROISSANT", ROOT / ".venv-croissant/bin/mlcroissant"))


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def holes(tmp_path_factory):
    """A generator of each kind of column, all with missing cells."""
    rng, n = np.random.default_rng(0), 600
    table = {
        "x": {"kind": "number", "low": 0, "high": 100, "decimals": 1, "unit": "mg"},
        "k": {"kind": "integer", "low": 0, "high": 8, "code": "LOINC 8480-6"},
        "c": {"kind": "category", "levels": ["a b", "ü"]}, "g": {"kind": "category", "levels": [1, 2, 3]},
        "f": {"kind": "flag"}, "d": {"kind": "date", "low": "2020-01-01", "high": "2020-12-31"},
    }  # fmt: skip
    frame = pd.DataFrame({
        "x": rng.normal(50, 9, n).round(1), "k": rng.integers(0, 9, n), "c": rng.choice(["a b", "ü"], n),
        "g": rng.choice([1, 2, 3], n), "f": rng.random(n) < 0.3,
        "d": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 300, n), unit="D"),
    }).astype(object)  # fmt: skip
    frame = frame.where(rng.random(frame.shape) > 0.2, None)
    frame["s"] = rng.random(n) < 0.5
    columns = {name: {**one, "nullable": True} for name, one in table.items()} | {"s": {"kind": "flag", "label": True}}
    terms = {"licence": "CC-BY-4.0", "duo": ["GRU"]}
    schema = wg.Schema.from_dict({"name": "holes", "population": n, "terms": terms, "table": columns})
    place = tmp_path_factory.mktemp("croissant")
    made = wg.fit(wg.read(frame, schema), wg.Budget(epsilon=3), family="copula")
    artifact.release(made, place / "holes.hgan", None, kit.OVERRIDE, created=kit.DAY)
    return place


def described(place, name, *more):
    run("sample", place / "holes.hgan", "-n", 100, "--seed", 1, "-o", place / name, "--croissant", "--force", *more)
    return json.loads((place / f"{name}.croissant.json").read_text())


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_it_says_what_the_file_has(holes, name):
    found = described(holes, name)
    (file,) = found["distribution"]
    data = (holes / name).read_bytes()
    assert file["sha256"] == hashlib.sha256(data).hexdigest()
    assert file["contentSize"] == f"{len(data)} B"
    assert file["contentUrl"] == name
    types = {one["name"]: one["dataType"] for one in found["recordSet"][0]["field"]}
    assert types == {
        "x": "sc:Float", "k": "sc:Integer", "c": "sc:Text", "g": "sc:Integer", "f": "sc:Boolean", "d": "sc:Date",
        "s": "sc:Boolean",
    }  # fmt: skip
    assert found["license"] == "CC-BY-4.0"
    assert found["usageInfo"] == ["http://purl.obolibrary.org/obo/DUO_0000042"]
    assert "epsilon 3, delta" in found["description"]
    assert "with seed 1" in found["description"]


@pytest.mark.skipif(not READER.exists(), reason="mlcroissant is not installed (make test does it)")
@pytest.mark.parametrize("name", ["b.csv", "b.parquet"])
def test_mlcroissant_reads_the_patients_back(holes, name):
    described(holes, name)
    script = (
        "import json, sys, mlcroissant as mlc\n"
        "found = mlc.Dataset(jsonld=sys.argv[1])\n"
        "rows = [dict(one) for one in found.records(record_set='patients')]\n"
        "print(json.dumps([found.metadata.ctx.issues.report(), rows], default=lambda x: x.decode() if "
        "isinstance(x, bytes) else str(x)))"
    )
    command = [READER.parent / "python", "-c", script, holes / f"{name}.croissant.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, rows = json.loads(done.stdout.splitlines()[-1])
    assert "error" not in told.lower()
    real = pd.read_csv(holes / name) if name.endswith("csv") else pd.read_parquet(holes / name)
    assert len(rows) == len(real) == 100
    back = pd.DataFrame([{key.partition("/")[2]: value for key, value in row.items()} for row in rows])
    assert list(back["x"].isna()) == list(real["x"].isna())
    assert back["x"].dropna().tolist() == pytest.approx(real["x"].dropna().tolist())
    assert back["c"].dropna().tolist() == real["c"].dropna().tolist()
    assert back["s"].tolist() == real["s"].tolist()
    dates = [str(one)[:10] for one in back["d"].dropna()]
    assert dates == [str(one)[:10] for one in real["d"].dropna()]


@pytest.mark.skipif(not READER.exists(), reason="mlcroissant is not installed (make test does it)")
def test_mlcroissant_reads_all_shards(holes, tmp_path):
    found = open_file(holes / "holes.hgan", None, required=False)
    shards_kit.draw(holes / "holes.hgan", tmp_path / "out")
    text = croissant_of_shards(
        (tmp_path / "out" / "manifest.json").read_bytes(), list(shards_kit.rows(tmp_path / "out")), found.generator.schema,
        privacy=found.privacy, digest=found.digest, seed=7, created=kit.DAY,
    )  # fmt: skip
    (tmp_path / "out" / "croissant.json").write_bytes(text)
    script = (
        "import json, sys, mlcroissant as mlc\n"
        "found = mlc.Dataset(jsonld=sys.argv[1])\n"
        "rows = [bool(one['patients/s']) for one in found.records(record_set='patients')]\n"
        "print(json.dumps([found.metadata.ctx.issues.report(), rows]))"
    )
    command = [READER.parent / "python", "-c", script, tmp_path / "out" / "croissant.json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told, rows = json.loads(done.stdout.splitlines()[-1])
    assert "error" not in told.lower()
    assert sorted(rows) == sorted(shards_kit.rows(tmp_path / "out")["s"])


def test_visits_and_wide_samples_have_their_columns(tmp_path):
    artifact.release(kit.fit(), tmp_path / "a.hgan", None, kit.OVERRIDE, created=kit.DAY)
    for more, wanted in (([], ["id", "sex", "arm", "age", "visit", "sbp"]),
                         (["--wide"], ["id", "sex", "arm", "age", "sbp@A", "sbp@B"])):  # fmt: skip
        run("sample", tmp_path / "a.hgan", "-n", 5, "-o", tmp_path / "a.csv", "--croissant", "--force", *more)
        fields = json.loads((tmp_path / "a.csv.croissant.json").read_text())["recordSet"][0]["field"]
        assert [one["name"] for one in fields] == wanted
    assert fields[-1]["description"] == "at visit B, in mm[Hg], code LOINC 8480-6"
    assert fields[0]["dataType"] == "sc:Integer"


def test_what_cannot_be_described_is_refused_before_anything_is_drawn(holes, tmp_path):
    with pytest.raises(UsageError, match="neither"):
        check_kind("arrow")
    run("sample", holes / "holes.hgan", "-n", 5, "-o", tmp_path / "a.arrow", "--croissant", code=2)
    (tmp_path / "b.csv.croissant.json").write_text("mine")
    run("sample", holes / "holes.hgan", "-n", 5, "-o", tmp_path / "b.csv", "--croissant", code=2)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.csv.croissant.json"]
    assert (tmp_path / "b.csv.croissant.json").read_text() == "mine"


def test_a_card_for_catalogues_tells_what_is_missing(holes):
    done = run("card", holes / "holes.hgan", "--format", "dcat")
    assert json.loads(done.stdout)["@type"] == "dcat:Dataset"
    assert "health_data_access_body (healthdcatap:hdab)" in done.stderr
    found = json.loads(run("card", holes / "holes.hgan", "--format", "dcat", "--json").stdout)
    assert found["missing"][0] == "controller and contact (dct:publisher)"
    assert json.loads(run("card", holes / "holes.hgan", "--format", "hf", "--json").stdout)["missing"] == []
