"""Samples in shards that are drawn within the process of a test, so that each takes a moment."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pandas as pd

import release_kit
import wardgan as wg
from wardgan.scaling import worker

N, SHARDS = 50, 5


def here():
    """An executor of this process."""
    return ThreadPoolExecutor(2)


def draw(model, output, n=N, shards=SHARDS, *, only=None, cluster=None, watch=None, seed=7, **asked):
    """Draws in this process, as if no worker had read the release before."""
    worker._held.clear()
    while worker._kept:
        worker._kept.pop().cleanup()
    wanted = wg.Shards(n, shards, seed, **asked)
    if cluster is not None:
        return wg.sample_shards(model, wanted, output, only=only, cluster=cluster, watch=watch)
    with here() as pool:
        return wg.sample_shards(model, wanted, output, only=only, cluster=pool, watch=watch)


def released(folder: Path, name="model.hgan", **changes) -> Path:
    path = folder / name
    path.write_bytes(release_kit.forge(**changes))
    return path


def names(shards=SHARDS):
    return [f"part-{number:05d}-of-{shards:05d}.parquet" for number in range(shards)]


def rows(output) -> pd.DataFrame:
    return pd.read_parquet(Path(output) / "patients")


def manifest(output):
    return json.loads((Path(output) / "manifest.json").read_text(encoding="utf-8"))


def sums(output):
    """What lies in the folder of patients, by name."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((Path(output) / "patients").iterdir())
    }


def told(made):
    """What a call says, without its place."""
    found = asdict(made)
    del found["output"]
    return found
