"""Shards on Ray, through the three lines of docs/scale.md. Ray is large, so this runs where somebody has installed it."""

from __future__ import annotations

from concurrent.futures import Executor

import pytest

import shards_kit as kit
from wardgan.errors import OutputError

ray = pytest.importorskip(
    "ray", reason="ray is not installed; pip install ray, and run this file alone with -W ignore::ResourceWarning"
)


class OnRay(Executor):
    def submit(self, call, /, *args, **kwargs):
        return ray.remote(call).remote(*args, **kwargs).future()


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield OnRay()
    ray.shutdown()


@pytest.mark.filterwarnings("default")  # its own
def test_ray_draws_the_same_shards(cluster, tmp_path):
    model = kit.released(tmp_path)
    whole = kit.draw(model, tmp_path / "here")
    made = kit.draw(model, tmp_path / "there", cluster=cluster)
    assert kit.told(made) == kit.told(whole)
    assert kit.sums(tmp_path / "there") == kit.sums(tmp_path / "here")
    (tmp_path / "there" / "patients" / kit.names()[3]).unlink()
    again = kit.draw(model, tmp_path / "there", cluster=cluster)
    assert (again.kept, again.mended) == (4, 1)
    kit.draw(model, tmp_path / "mixed", seed=8, only=2)
    (tmp_path / "mixed" / "manifest.json").unlink()
    with pytest.raises(OutputError, match="a shard of another sample"):
        kit.draw(model, tmp_path / "mixed", cluster=cluster)
