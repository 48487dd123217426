"""What is said of a sample in shards is what is there: nothing gone, nothing of others, nothing that is only noted."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest

import shards_kit as kit
import wardgan as wg
from wardgan.errors import OutputError, UsageError
from wardgan.scaling import record
from wardgan.scaling.place import Folder, Store, place_at
from wardgan.scaling.record import Job
from wardgan.scaling.worker import Task


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return kit.released(tmp_path_factory.mktemp("release"))


def two(model, out, **asked):
    return kit.draw(model, out, 20, 2, **asked)


def names(out, folder="patients"):
    return sorted(path.name for path in (out / folder).iterdir())


def known(out):
    found = kit.manifest(out)
    return found["complete"], [one["name"] for one in found["parts"]]


@pytest.mark.parametrize("damage", [os.unlink, partial(os.truncate, length=5)], ids=["gone", "cut"])
def test_a_manifest_is_complete_only_when_all_shards_are_there(model, tmp_path, damage):
    out = tmp_path / "out"
    two(model, out, only=0)
    damage(out / "patients" / kit.names(2)[0])
    made = two(model, out, only=1)
    assert (made.complete, made.finished, made.gone) == (False, 1, (0,))
    assert known(out) == (False, [])
    made = two(model, out, only=0)
    assert (made.complete, made.mended, made.gone) == (True, 1, ())
    assert known(out) == (True, kit.names(2))


@pytest.mark.parametrize("noted", [True, False])
def test_a_manifest_that_is_no_longer_true_is_taken_back(model, tmp_path, noted):
    out = tmp_path / "out"
    two(model, out)
    (out / "patients" / kit.names(2)[0]).unlink()
    if not noted:
        (out / "records" / f"{kit.names(2)[0]}.json").unlink()
    made = two(model, out, only=1)
    assert (made.complete, made.finished, made.gone) == (False, 1, (0,) if noted else ())
    assert known(out) == (False, [])


def test_a_shard_that_goes_while_others_are_drawn_is_missed(model, tmp_path):
    out = tmp_path / "out"

    def watch(done, total):
        if done == total:
            (out / "patients" / kit.names(2)[1]).unlink()

    made = two(model, out, watch=watch)
    assert (made.complete, made.finished, made.gone) == (False, 1, (1,))
    assert known(out) == (False, [])


def test_a_manifest_of_a_run_that_finished_meanwhile_stays(model, tmp_path, monkeypatch):
    """Who looked before the last shard was there does not take back what the last one wrote."""
    out = tmp_path / "out"
    two(model, out)
    looked, real = [], record.look

    def look(*given):
        looked.append(1)
        return record.There(1, (), ()) if len(looked) == 1 else real(*given)

    monkeypatch.setattr(record, "look", look)
    assert two(model, out, only=0).complete
    assert known(out) == (True, kit.names(2))


def test_a_shard_that_a_list_misses_is_asked_for_by_name(model, tmp_path, monkeypatch):
    """Folders of several machines are listed late."""
    real = Folder.inside
    monkeypatch.setattr(Folder, "inside", lambda self, folder="": {} if folder else real(self, folder))
    assert two(model, tmp_path / "out").complete


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("patients", "other.parquet"), ("patients", "part-00002-of-00002.parquet"),
        ("patients", "part-00000-of-00003.parquet"), ("patients", "part-000000-of-00002.parquet"),
        ("patients", "part-00000-of-00002.parquet.json"), ("records", "part-00000-of-00002.parquet"),
        ("records", "part-00000-of-00002.parquet (copy).json"), ("records", "notes.txt"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("begun", [False, True])
def test_what_others_put_between_shards_is_refused(model, tmp_path, begun, folder, name):
    out = tmp_path / "out"
    if begun:
        two(model, out, only=0)
    (out / folder).mkdir(parents=True, exist_ok=True)
    (out / folder / name).write_text("x")
    before = {one: names(out, one) for one in ("patients", "records") if (out / one).exists()}
    for only in (None, 1):
        with pytest.raises(OutputError, match=f"{folder} holds '.*', which is of no shard of this sample"):
            two(model, out, only=only)
    assert {one: names(out, one) for one in before} == before
    assert (out / "manifest.json").exists() == begun
    (out / folder / name).rename(out / folder / f".{name}")  # what is hidden is nobody's patient
    assert two(model, out).complete


@pytest.mark.parametrize("folder", ["patients", "records"])
def test_what_others_put_there_meanwhile_is_refused_before_the_end(model, tmp_path, folder):
    out = tmp_path / "out"
    stranger = out / folder / "other.parquet"
    with pytest.raises(OutputError, match=rf"{folder} holds 'other\.parquet'"):
        two(model, out, watch=lambda *_: stranger.write_text("x"))
    assert known(out) == (False, [])


def test_only_notes_with_the_names_of_shards_count(model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    two(model, out, only=0)
    (out / "records" / "part-00000-of-00002.parquet (copy).json").write_text("x")
    monkeypatch.setattr(record, "_refuse_strangers", lambda *_: None)
    made = two(model, out, only=0)
    assert (made.complete, made.finished) == (False, 1)
    assert known(out) == (False, [])


@pytest.mark.parametrize(
    "lie",
    [
        {"name": "../../../etc/passwd"}, {"name": "part-00001-of-00002.parquet"}, {"first": 77}, {"first": True},
        {"patients": "x"}, {"patients": -5}, {"patients": 10**9}, {"rows": "x"}, {"rows": float("inf")},
        {"rows": float("nan")}, {"rows": 20.0}, {"rows": 21}, {"rows": -1}, {"rows": None}, {"rows": True},
        {"bytes": "x"}, {"bytes": -1}, {"bytes": 10**30}, {"bytes": True}, {"sha256": "x"}, {"sha256": 5},
        {"sha256": "A" * 64}, {"sha256": "a" * 64 + "\n"},
    ],
    ids=str,
)  # fmt: skip
def test_notes_that_cannot_be_true_are_damaged(model, tmp_path, lie):
    out = tmp_path / "out"
    two(model, out, only=0)
    path = out / "records" / f"{kit.names(2)[0]}.json"
    found = json.loads(path.read_bytes())
    path.write_text(json.dumps({**found, "part": {**found["part"], **lie}}))
    with pytest.raises(OutputError, match=rf"records/{kit.names(2)[0]}\.json cannot be read; remove it"):
        two(model, out, only=1)
    assert known(out) == (False, [])


def test_rows_of_wide_shards_are_their_patients(model, tmp_path):
    out = tmp_path / "out"
    two(model, out, wide=True, only=0)
    path = out / "records" / f"{kit.names(2)[0]}.json"
    found = json.loads(path.read_bytes())
    path.write_text(json.dumps({**found, "part": {**found["part"], "rows": 11}}))
    with pytest.raises(OutputError, match="cannot be read; remove it"):
        two(model, out, wide=True)


def test_a_manifest_of_somebody_else_is_not_told_at_length(model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for balance in ("\x1b[31m" + "A" * 500_000, [["A" * 90] * 90] * 90):
        (out / "manifest.json").write_text(json.dumps({"format": 1, "seed": 7, "balance": balance}))
        with pytest.raises(OutputError, match="holds another sample") as said:
            two(model, out)
        assert len(str(said.value)) < 1500
        assert "\x1b" not in str(said.value)
    for seed in (True, -1, "7", None, 7.0, [7]):
        (out / "manifest.json").write_text(json.dumps({"format": 1, "seed": seed}))
        for mine in (7, None):
            with pytest.raises(OutputError, match=r"manifest\.json cannot be read; remove it"):
                two(model, out, seed=mine)


def race(model, out, monkeypatch, seed):
    """Lets another run begin between the look for a manifest and the first word of this one."""
    real = Folder.write

    def write(self, name, data, *, force=True):
        monkeypatch.setattr(Folder, "write", real)
        Job(wg.Shards(20, 2, seed), str(wg.inspect(model)["digest"]), dict(wg.load(model).privacy)).begin(self)
        real(self, name, data, force=force)

    monkeypatch.setattr(Folder, "write", write)


def test_two_runs_that_begin_at_once(model, tmp_path, monkeypatch):
    race(model, tmp_path / "a", monkeypatch, 8)
    with pytest.raises(
        OutputError, match="another run began it at the same time with another seed; run the same again"
    ):
        two(model, tmp_path / "a", seed=None)
    assert two(model, tmp_path / "a", seed=None).asked.seed == 8
    race(model, tmp_path / "b", monkeypatch, 8)
    with pytest.raises(OutputError, match="seed: 8 there, 7 here"):
        two(model, tmp_path / "b", seed=7)
    race(model, tmp_path / "c", monkeypatch, 7)
    assert two(model, tmp_path / "c", seed=7, only=0).finished == 1


@pytest.mark.parametrize("n", [10**18 + 1, 10**20, 10**5000], ids=["1", "2", "3"])
def test_there_are_bounds(n):
    with pytest.raises(UsageError, match="more than 1,000,000,000,000,000,000 patients"):
        wg.Shards(n, 1)
    with pytest.raises(UsageError, match="more than 1,000,000 are asked for"):
        wg.Shards(10**18, n)
    assert len(wg.Shards(10**18, 1).holds(0)) == 10**18


@pytest.mark.parametrize(
    "address",
    ["file://data/out", "file://user:SECRET@host/out", "file://", "file:///a?SECRET", "file:///a#b", "file://[x/y"],
)
def test_addresses_of_files_name_folders_of_this_machine(address):
    with pytest.raises(OutputError, match=r"names a folder of this machine .* file:///data/out") as said:
        place_at(address)
    assert "SECRET" not in str(said.value)


def test_addresses_of_files():
    with pytest.raises(OutputError, match="is not a path"):
        place_at("file:///tmp/%00x")
    assert place_at("file://localhost/a%20b").name == place_at("FILE:///a%20b").name == "/a b"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://AKIA:SEC RET@bucket/x", "s3://bucket/x"), ("s3x://AKIA:SECRET@b/x", "s3x://b/x"),
        ("s3://AKIA:SEC/RET@bucket/x", "s3://..."), ("s3://AKIA:SEC?RET@bucket/x", "s3://..."),
        ("s3://AKIA:SEC#RET@bucket/x", "s3://..."), ("s3://AKIA:SEC@RET@bucket/x", "s3://..."),
        ("s3://AKIA:SECRET", "s3://..."), ("s3://[AKIA:SECRET@b/x", "...://..."),
        ("s3://bucket/x?token=SECRET", "s3://bucket/x"), ("s3://bucket/a@b/c", "s3://bucket/a@b/c"),
        ("hdfs://host:8020/x", "hdfs://host:8020/x"), ("abfs://box@host/x", "abfs://host/x"),
    ],
)  # fmt: skip
def test_addresses_are_shown_without_what_may_be_a_secret(address, shown):
    store = Store(address, Refusing("When asking SECRET of x"), "x")
    assert store.name == shown
    with pytest.raises(OutputError) as said:
        store.read("manifest.json")
    assert str(said.value).startswith(f"output={shown!r} cannot be written or read: ")
    hidden = "SECRET" in address or "..." in shown
    assert ("SECRET" not in str(said.value)) == hidden
    assert (said.value.__cause__ is None) == hidden


class Refusing:
    """A client that repeats what it was told."""

    def __init__(self, words):
        self.words = words

    def get_file_info(self, _path):
        raise OSError(self.words)


def test_arrows_words_are_not_repeated(model, tmp_path):
    for address in ("s3://AKIA:SEC RET@bucket/x", "s3x://AKIA:SECRET@b/x"):
        with pytest.raises(OutputError, match="is no place that Arrow knows") as said:
            kit.draw(model, address)
        assert said.value.__cause__ is None
        assert said.value.__suppress_context__
        assert not [one for one in ("AKIA", "SEC", "RET") if one in str(said.value)]


def test_a_task_does_not_show_where_it_writes(model):
    job = Job(wg.Shards(20, 2, 7), "sha256:0", {})
    assert "SECRET" not in repr(Task(job, 0, "s3://AKIA:SECRET@b/x", str(model), b"SECRET"))
