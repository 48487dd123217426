"""Shards on a Dask cluster: a scheduler and a worker of this process, spoken to over the network."""

from __future__ import annotations

import pytest

import shards_kit as kit
from wardgan.errors import OutputError, UsageError

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster():
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=None
    ) as found:
        yield found


def test_a_cluster_draws_the_same_shards(cluster, tmp_path):
    model = kit.released(tmp_path)
    whole = kit.draw(model, tmp_path / "here")
    address = cluster.scheduler_address.replace("tcp://", "dask://")
    made = kit.draw(model, tmp_path / "there", cluster=address)
    assert kit.told(made) == kit.told(whole)
    assert kit.sums(tmp_path / "there") == kit.sums(tmp_path / "here")
    (tmp_path / "there" / "patients" / kit.names()[3]).unlink()
    again = kit.draw(model, tmp_path / "there", cluster=address)
    assert (again.kept, again.mended) == (4, 1)
    kit.draw(model, tmp_path / "mixed", seed=8, only=2)
    (tmp_path / "mixed" / "manifest.json").unlink()
    with pytest.raises(OutputError, match="a shard of another sample"):  # what a worker refuses is a refusal here
        kit.draw(model, tmp_path / "mixed", cluster=address)


def test_a_client_of_ones_own_may_be_handed_over(cluster, tmp_path):
    model = kit.released(tmp_path)
    with distributed.Client(cluster, set_as_default=False) as client:
        made = kit.draw(model, tmp_path / "out", cluster=client.get_executor(pure=False))
    assert made.complete


def test_a_cluster_that_does_not_answer(tmp_path):
    model = kit.released(tmp_path)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "200ms"}),
        pytest.raises(UsageError, match="no Dask scheduler answers at tcp"),
    ):
        kit.draw(model, tmp_path / "out", cluster="dask://127.0.0.1:9")
    assert not (tmp_path / "out").exists()
