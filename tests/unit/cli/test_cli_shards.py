"""What `wardgan sample --shards` understands, says and refuses. Its processes are threads here; those are in journeys."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager

import pandas as pd
import pyarrow.parquet as parquet
import pytest
import typer
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem
from typer.testing import CliRunner

import shards_kit as kit
import wardgan as wg
from wardgan.cli.main import app
from wardgan.cli.options import whole_number
from wardgan.cli.shards import size
from wardgan.scaling import crew
from wardgan.scaling.place import Store


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return kit.released(tmp_path_factory.mktemp("release"))


@pytest.fixture(autouse=True)
def threads(monkeypatch):
    """Gives how many workers were asked for."""
    asked = []

    @contextmanager
    def here(workers):
        asked.append(workers)
        with kit.here() as pool:
            yield pool

    monkeypatch.setattr(crew, "_here", here)
    return asked


def run(model, out, *words, n="50", code=0):
    done = CliRunner().invoke(app, ["sample", str(model), "-n", n, "-o", str(out), *map(str, words)])
    assert done.exit_code == code, (done.stdout, done.stderr)
    return done


def told(done):
    return " ".join(done.output.split())


def test_shards_are_the_sample_that_is_asked_for(model, tmp_path, threads):
    words = ["--where", "age=30..80", "--balance", "arm", "--wide", "--seed", 7]
    done = run(model, tmp_path / "out", "--shards", 5, "--workers", 1, *words, "--json", n="5e1")
    run(model, tmp_path / "one.parquet", *words)
    pd.testing.assert_frame_equal(kit.rows(tmp_path / "out"), pd.read_parquet(tmp_path / "one.parquet"))
    found = json.loads(done.stdout)
    assert threads == [1]
    parts = found.pop("parts")
    assert {one["name"]: one["sha256"] for one in parts} == kit.sums(tmp_path / "out")
    assert parts == kit.manifest(tmp_path / "out")["parts"]
    assert found == {
        "patients": 50, "shards": 5, "seed": 7, "where": ["age=30..80"], "balance": "arm", "wide": True, "site": None,
        "output": str(tmp_path / "out"), "format": "parquet", "model": wg.inspect(model)["digest"],
        "signature": {"status": "unsigned", "name": None, "keyid": None}, "rows": 50, "bytes": sum(one["bytes"] for one in parts), "only": None,
        "complete": True, "finished": 5, "drawn": 5, "kept": 0, "mended": 0, "gone": [], "croissant": None,
    }  # fmt: skip


def test_what_became_of_shards_is_said_in_words(model, tmp_path):
    out = tmp_path / "out"
    done = run(model, out, "--only", "3/5", "--seed", 7)
    assert "10 synthetic patients in 20 rows, shard 3 of 5 (from 0)" in told(done)
    assert "1 of 5 finished; manifest.json lists them when the last one is." in told(done)
    done = run(model, out, "--shards", 5)
    assert "50 synthetic patients in 100 rows, 5 shards" in told(done)
    assert "--seed 7 draws the same again." in told(done)
    assert "Shards: 4 drawn, 1 there already, with the right digest." in told(done)
    (out / "patients" / kit.names()[1]).unlink()
    done = run(model, out, "--shards", 5, "--seed", 7)
    assert "Shards: 4 there already, with the right digest, 1 gone or damaged, and drawn again." in told(done)
    assert "finished; manifest" not in told(done)


def test_a_description_of_all_shards(model, tmp_path):
    out = tmp_path / "out"
    done = run(model, out, "--only", "0/5", "--seed", 7, "--croissant", "--json")
    assert json.loads(done.stdout)["croissant"] is None  # there are others to come
    done = run(model, out, "--shards", 5, "--croissant", "--json")
    assert json.loads(done.stdout)["croissant"] == f"{out}/croissant.json"
    found = json.loads((out / "croissant.json").read_bytes())
    manifest, shards = found["distribution"]
    data = (out / "manifest.json").read_bytes()
    assert manifest["sha256"] == hashlib.sha256(data).hexdigest()
    assert manifest["contentSize"] == f"{len(data)} B"
    assert manifest["contentUrl"] == "manifest.json"
    assert sorted(path.name for path in out.glob(shards["includes"])) == kit.names()
    fields = found["recordSet"][0]["field"]
    assert [one["name"] for one in fields] == parquet.read_schema(out / "patients" / kit.names()[0]).names
    assert {one["source"]["fileSet"]["@id"] for one in fields} == {shards["@id"]}
    assert "with seed 7" in found["description"]
    # It lies in the folder, which is still one of shards.
    assert "5 there already" in told(run(model, out, "--shards", 5))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", 2], "they are for samples in shards; say how many with --shards"),
        (["--cluster", "dask://host:1"], "they are for samples in shards"),
        (["--shards", 5, "--force"], "none is replaced. Leave out --force"),
        (["--shards", 5, "--format", "csv"], "shards are Parquet files"), (["--shards", 5, "--bits", 16], "--bits"),
        (["--shards", 5, "--concepts", "x.yaml"], "--concepts"), (["--only", "1/5", "--concepts", "x.yaml"], "--concepts"),
        (["--only", "3"], "only='3' is not like 3/1000"), (["--only", "x/5"], "not like 3/1000"),
        (["--only", "1" * 5000 + "/8"], f"only='{'1' * 40}...' is not like 3/1000"),
        (["--only", "-1/5"], "not like 3/1000"), (["--only", "1/5/2"], "not like 3/1000"),
        (["--only", "1/5", "--shards", 4], "only='1/5' contradicts shards=4"),
        (["--only", "5/5", "--seed", 7], "the last one is 4"), (["--only", "1/5"], "needs the seed that the others have"),
        (["--shards", 0], "shards=0"), (["--shards", 51], "more than 50 patients"),
        (["--shards", 5, "--workers", 0], "workers=0"), (["--shards", 5, "--cluster", "host:1"], "not an address"),
        (["--shards", 5, "--where", "nobody=1"], "nobody"), (["--shards", 5, "--site", "clinic"], "one hospital"),
    ],
    ids=lambda given: " ".join(map(str, given)) if isinstance(given, list) else "",
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_and_leaves_nothing(model, tmp_path, words, said):
    assert said in told(run(model, tmp_path / "out", *words, code=2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [(), ("--json",), ("--croissant", "--json")], ids=len)
def test_the_secrets_of_an_address_are_never_shown(model, tmp_path, monkeypatch, words):
    for address in ("s3x://AKIA:SECRET@b/x", "s3://AKIA:SEC RET@bucket/x", "s3://AKIA:SEC/RET@bucket/x"):
        done = run(model, address, "--shards", 5, "--seed", 7, *words, code=2)
        assert "is no place that Arrow knows" in told(done)
        assert not [one for one in ("AKIA", "SEC", "RET") if one in done.stdout + done.stderr]
    # One that Arrow takes for an address, with a folder in its place.
    out = tmp_path / "out"
    out.mkdir()
    local = SubTreeFileSystem(str(out), LocalFileSystem())
    local.create_dir("x/patients")
    local.create_dir("x/records")
    monkeypatch.setattr(Store, "at", lambda uri: Store(uri, local, "x"))
    done = run(model, "s3://AKIA:SECRET@bucket/x?token=HIDDEN", "--shards", 5, "--seed", 7, *words)
    assert "s3://bucket/x" in done.stdout
    assert not [one for one in ("AKIA", "SECRET", "HIDDEN") if one in done.stdout + done.stderr]
    if words:
        found = json.loads(done.stdout)
        assert found["output"] == "s3://bucket/x"
        assert found["croissant"] == ("s3://bucket/x/croissant.json" if "--croissant" in words else None)
        assert (out / "x" / "croissant.json").exists() == ("--croissant" in words)


def test_a_shard_that_is_gone_is_told(model, tmp_path):
    out = tmp_path / "out"
    run(model, out, "--shards", 5, "--seed", 7)
    (out / "patients" / kit.names()[2]).unlink()
    done = run(model, out, "--only", "4/5", "--croissant", "--json")
    found = json.loads(done.stdout)
    assert (found["gone"], found["complete"], found["finished"], found["croissant"]) == ([2], False, 4, None)
    assert not (out / "croissant.json").exists()
    done = run(model, out, "--only", "4/5")
    assert "1 finished shard gone or of another size: number 2 (from 0)." in told(done)
    assert "4 of 5 finished" in told(done)


def test_a_number_may_be_written_short(model, tmp_path):
    for text, number in (("1e9", 10**9), ("2_500", 2500), ("2.5e3", 2500), ("-1", -1), ("1e18", 10**18)):
        assert whole_number(text) == number
    for text in ("1.5", "1e19", "x", "", "nan", "inf", "-inf", "1e999999999", "1e-1"):
        with pytest.raises(typer.BadParameter, match="not a whole number such as 1000000 or 1e6"):
            whole_number(text)
    assert "1.5" in told(run(model, tmp_path / "out", "--shards", 5, n="1.5", code=2))
    done = run(model, tmp_path / "two.csv", "--seed", 1, "--json", n="2e0")
    assert json.loads(done.stdout)["patients"] == 2


def test_sizes_in_words():
    assert [size(one) for one in (0, 999, 1000, 26_570_000, 2_157_000_000, 26.6e12, 3e18)] == [
        "0 bytes", "999 bytes", "1 kB", "26.6 MB", "2.16 GB", "26.6 TB", "3e+03 PB",
    ]  # fmt: skip
