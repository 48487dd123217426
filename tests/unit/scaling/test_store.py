"""Shards in an object store: Arrow's own client against a server of the S3 protocol on this machine."""

from __future__ import annotations

import json

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSystem

import shards_kit as kit
import wardgan as wg
from wardgan.errors import OutputError
from wardgan.scaling.place import place_at


@pytest.fixture(scope="module")
def server():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return kit.released(tmp_path_factory.mktemp("release"))


@pytest.fixture
def bucket(server, monkeypatch):
    for name, value in (("ACCESS_KEY_ID", "me"), ("SECRET_ACCESS_KEY", "mine"), ("EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(f"AWS_{name}", value)
    client = boto3.client("s3", endpoint_url=f"http://{server}", region_name="us-east-1")
    client.create_bucket(Bucket="research")
    yield Bucket(client, f"s3://research/a/b?endpoint_override={server}&scheme=http&region=us-east-1")
    for one in client.list_objects_v2(Bucket="research").get("Contents", []):
        client.delete_object(Bucket="research", Key=one["Key"])
    client.delete_bucket(Bucket="research")


class Bucket:
    def __init__(self, client, uri):
        self.client, self.uri = client, uri

    def names(self):
        return sorted(one["Key"] for one in self.client.list_objects_v2(Bucket="research").get("Contents", []))

    def get(self, key):
        return self.client.get_object(Bucket="research", Key=key)["Body"].read()

    def put(self, key, data):
        self.client.put_object(Bucket="research", Key=key, Body=data)


def test_a_sample_in_a_bucket_is_the_sample_in_a_folder(model, bucket, tmp_path):
    whole = kit.draw(model, tmp_path / "out")
    made = kit.draw(model, bucket.uri)
    assert made.parts == whole.parts
    patients = [f"a/b/patients/{name}" for name in kit.names()]
    records = [f"a/b/records/{name}.json" for name in kit.names()]
    assert bucket.names() == ["a/b/manifest.json", *patients, *records]
    for name in bucket.names():
        assert bucket.get(name) == (tmp_path / "out" / name.removeprefix("a/b/")).read_bytes()


def test_it_is_gone_on_with(model, bucket):
    for number in (4, 1):
        made = kit.draw(model, bucket.uri, only=number)
    assert (made.finished, made.complete) == (2, False)
    key = f"a/b/patients/{kit.names()[1]}"
    good = bucket.get(key)
    bucket.put(key, good[:-1] + bytes([good[-1] ^ 1]))
    made = kit.draw(model, bucket.uri, seed=None)
    assert (made.kept, made.mended, made.drawn) == (1, 1, 3)
    assert bucket.get(key) == good
    assert json.loads(bucket.get("a/b/manifest.json"))["complete"]
    with pytest.raises(OutputError, match="seed: 7 there, 8 here"):
        kit.draw(model, bucket.uri, seed=8)


def test_other_things_in_a_bucket_are_left_alone(model, bucket):
    bucket.put("a/b/thesis.txt", b"mine")
    with pytest.raises(OutputError, match=r"output='s3://research/a/b' holds 'thesis.txt'"):
        kit.draw(model, bucket.uri)
    assert bucket.names() == ["a/b/thesis.txt"]


def test_a_bucket_that_is_not_there(model, bucket, server):
    with pytest.raises(OutputError, match=r"output='s3://nowhere/a' cannot be written or read"):
        kit.draw(model, f"s3://nowhere/a?endpoint_override={server}&scheme=http&region=us-east-1")


def test_an_object_of_many_parts_is_whole(bucket, tmp_path):
    """Arrow sends what is larger than 10 MB in parts."""
    data = bytes(range(256)) * 43_000
    place = place_at(bucket.uri)

    def make(path):
        path.write_bytes(data)
        return 1

    filled = place.fill("patients/large", make)
    assert bucket.get("a/b/patients/large") == data
    assert place.digest("patients/large", len(data)) == filled.sha256
    assert place.digest("patients/large", len(data) + 1) is None
    assert place.digest("patients/none", 1) is None


def test_a_shard_that_is_not_finished_never_appears(bucket):
    place = place_at(bucket.uri)

    def stopped(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.fill("patients/x", stopped)
    assert bucket.names() == []
    place.write("manifest.json", b"one", force=False)
    with pytest.raises(OutputError, match="exists"):
        place.write("manifest.json", b"two", force=False)
    assert bucket.get("a/b/manifest.json") == b"one"


def test_pandas_reads_it_there(model, bucket):
    kit.draw(model, bucket.uri)
    system, path = FileSystem.from_uri(bucket.uri)
    found = pd.read_parquet(f"{path}/patients", filesystem=system)
    pd.testing.assert_frame_equal(found, wg.load(model).sample(kit.N, seed=7))
