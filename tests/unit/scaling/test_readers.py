"""Shards read into what people work with, and each of them reads the sample, with its missing cells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pandas as pd
import pyarrow.dataset
import pyarrow.parquet
import pytest

import data_kit
import release_kit
import shards_kit as kit
import wardgan as wg
from wardgan.seal import artifact

N = 300


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Shards with a column of each kind, all but the label with missing cells."""
    place, numbers = tmp_path_factory.mktemp("many"), np.random.default_rng(0)
    table = {
        "x": {"kind": "number", "low": 0, "high": 100, "decimals": 1}, "k": {"kind": "integer", "low": 0, "high": 8},
        "c": {"kind": "category", "levels": ["a b", "ü"]}, "f": {"kind": "flag"},
        "d": {"kind": "date", "low": "2020-01-01", "high": "2020-12-31"},
    }  # fmt: skip
    frame = pd.DataFrame({
        "x": numbers.normal(50, 9, 600).round(1), "k": numbers.integers(0, 9, 600),
        "c": numbers.choice(["a b", "ü"], 600), "f": numbers.random(600) < 0.3,
        "d": pd.Timestamp("2020-01-01") + pd.to_timedelta(numbers.integers(0, 300, 600), unit="D"),
    }).astype(object)  # fmt: skip
    frame = frame.where(numbers.random(frame.shape) > 0.2, None)
    frame["s"] = numbers.random(600) < 0.5
    columns = {name: {**one, "nullable": True} for name, one in table.items()} | {"s": {"kind": "flag", "label": True}}
    made = wg.fit(wg.read(frame, data_kit.schema(columns)), privacy="none", family="copula", seed=1)
    artifact.release(made, place / "holes.hgan", None, release_kit.OVERRIDE, created=release_kit.DAY)
    kit.draw(place / "holes.hgan", place / "out", N)
    return place / "out" / "patients", plain(wg.load(place / "holes.hgan").sample(N, seed=7))


def plain(frame):
    """Cells as Python has them, `None` where one is missing."""
    found = frame.copy()
    found["d"] = [None if pd.isna(one) else str(one)[:10] for one in found["d"]]
    return [
        {name: None if pd.isna(one) else one for name, one in row.items()}
        for row in found.astype(object).to_dict("records")
    ]


def test_the_sample_has_missing_cells(many):
    _, rows = many
    assert len(rows) == N
    assert all(any(row[name] is None for row in rows) for name in "xkcfd")


def test_shards_without_any_value_in_a_column_have_its_type(many, tmp_path):
    """A column may be empty in one shard and not in another; together they are one table."""
    folder, rows = many
    kit.draw(folder.parent.parent / "holes.hgan", tmp_path / "out", 20, 20)
    shards = [pyarrow.parquet.read_table(tmp_path / "out" / "patients" / name) for name in kit.names(20)]
    assert all(any(shard[name].null_count for shard in shards) for name in "xkcfd")  # each has one patient
    assert all(shard.schema.remove_metadata() == shards[0].schema.remove_metadata() for shard in shards)
    assert plain(kit.rows(tmp_path / "out")) == rows[:20]


def test_pandas(many):
    folder, rows = many
    assert plain(pd.read_parquet(folder)) == rows


def test_duckdb(many):
    duckdb = pytest.importorskip("duckdb")
    folder, rows = many
    found = duckdb.sql(f"select * replace (d::date::varchar as d) from '{folder}/*.parquet'")
    names = found.columns
    assert [dict(zip(names, row, strict=True)) for row in found.fetchall()] == rows


def test_polars(many):
    polars = pytest.importorskip("polars")
    folder, rows = many
    found = polars.scan_parquet(folder).with_columns(polars.col("d").cast(polars.Date).cast(polars.String)).collect()
    assert found.to_dicts() == rows


def test_torch(many):
    torch = pytest.importorskip("torch")
    folder, rows = many
    batches = pyarrow.dataset.dataset(folder).to_batches(columns=["x", "s"], batch_size=50)
    found = torch.cat(
        [
            torch.stack(
                [torch.tensor(column.to_numpy(zero_copy_only=False).astype("f4")) for column in batch.columns], 1
            )
            for batch in batches
        ]
    )
    wanted = torch.tensor([[np.nan if row["x"] is None else row["x"], row["s"]] for row in rows], dtype=torch.float32)
    assert torch.equal(found.isnan(), wanted.isnan())
    assert torch.equal(found.nan_to_num(-1), wanted.nan_to_num(-1))


def test_hugging_face(many, tmp_path):
    """In a process of its own, for a script of the benchmarks has the same name."""
    try:
        metadata.version("datasets")
    except metadata.PackageNotFoundError:
        pytest.skip("datasets is not installed")
    folder, rows = many
    script = (
        "import json, sys\n"
        "from datasets import load_dataset\n"
        "found = load_dataset('parquet', data_dir=sys.argv[1], split='train', streaming=True)\n"
        "print(found.num_shards)\n"
        "print(json.dumps([{**one, 'd': one['d'] and str(one['d'])[:10]} for one in found]))\n"
    )
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, folder], capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**clean, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "USE_TORCH": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shards, read = done.stdout.splitlines()
    assert int(shards) == kit.SHARDS
    assert json.loads(read) == rows
