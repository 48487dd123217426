"""A sample in shards is the sample, whoever draws which shard, and how often it was stopped."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import resource
import threading
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import nullcontext
from dataclasses import replace
from datetime import date

import pandas as pd
import pyarrow.parquet as parquet
import pytest

import combining_kit
import image_family_kit
import release_kit
import shards_kit as kit
import wardgan as wg
from wardgan.combining.loading import open_file
from wardgan.errors import DigestError, OutputError, UsageError
from wardgan.files import locked
from wardgan.sample.drawing import BLOCK
from wardgan.scaling import crew, run, worker
from wardgan.scaling.place import place_at
from wardgan.scaling.record import Job
from wardgan.scaling.worker import Task, make
from wardgan.seal import artifact


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return kit.released(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def region(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clinics")
    clinics = [combining_kit.hospital(folder, name, 600, seed=1, epsilon=None) for name in ("alpha", "beta")]
    wg.combine(clinics, folder / "region.hgan", overlap=1)
    return folder / "region.hgan"


def another(path):
    """A release that differs in its shares alone."""
    made = release_kit.fit(probabilities=(0.4, 0.6))
    artifact.release(made, path, None, release_kit.OVERRIDE, created=release_kit.DAY)
    return path


class Lossy(Executor):
    """Loses its workers the first few times."""

    def __init__(self, losses, error=BrokenExecutor):
        self.losses, self.asked, self.error = losses, 0, error

    def submit(self, fn, /, *args, **kwargs):
        self.asked += 1
        future = Future()
        if self.losses:
            self.losses -= 1
            future.set_exception(self.error("gone"))
        else:
            future.set_result(fn(*args, **kwargs))
        return future


class Killed(Executor):
    """Workers of this machine that are killed in the middle of their first shards, before a person wants to stop."""

    def __init__(self, output, killed):
        self.output, self.killed, self.asked = output, killed, []

    def submit(self, fn, /, *args, **kwargs):
        (task,) = args
        self.asked.append(task.number)
        if len(self.asked) > self.killed:
            raise KeyboardInterrupt
        for folder, name in (("patients", kit.names()[task.number]), ("records", f"{kit.names()[task.number]}.json")):
            (self.output / folder).mkdir(exist_ok=True)
            (self.output / folder / f".{name}.0123.part").write_bytes(b"half")
        future = Future()
        if len(self.asked) == self.killed:
            future.set_exception(BrokenExecutor("gone"))
        return future


class Elsewhere(Executor):
    """A machine on which the release has no file."""

    def __init__(self):
        self.sent = []

    def submit(self, fn, /, *args, **kwargs):
        (task,) = args
        self.sent.append(task.data is not None)
        future = Future()
        try:
            future.set_result(fn(Task(task.job, task.number, task.output, "nowhere.hgan", task.data)))
        except BaseException as error:
            future.set_exception(error)
        return future


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"wide": True}, {"balance": "arm"}, {"where": {"age": (30, 80), "arm": "intensive"}},
        {"where": {"sbp@A": (60, 150)}, "balance": "arm", "wide": True}, {"where": {"sex": [False]}},
    ],
    ids=str,
)  # fmt: skip
def test_all_shards_together_are_the_sample(model, tmp_path, asked):
    seen = []
    made = kit.draw(model, tmp_path / "out", watch=lambda done, total: seen.append((done, total)), **asked)
    wishes = {name: one for name, one in asked.items() if name != "wide"}
    cohort = wg.load(model).draw(kit.N, seed=7, **wishes)
    pd.testing.assert_frame_equal(kit.rows(tmp_path / "out"), cohort.wide() if asked.get("wide") else cohort.frame())
    assert (made.complete, made.drawn, made.kept, made.mended) == (True, 5, 0, 0)
    assert sorted(path.name for path in (tmp_path / "out" / "patients").iterdir()) == kit.names()
    assert seen[-1] == (kit.N, kit.N)
    assert len(seen) == kit.SHARDS


def test_shards_of_several_blocks_and_chunks(model, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "_CHUNK", BLOCK + 1000)
    n = 3 * BLOCK + 100
    made = kit.draw(model, tmp_path / "out", n, 2)
    assert [part.patients for part in made.parts] == [BLOCK, 2 * BLOCK + 100]
    assert kit.rows(tmp_path / "out").equals(wg.load(model).sample(n, seed=7))


@pytest.mark.parametrize("asked", [{}, {"where": {"age": (40, 60)}}, {"site": "clinic", "balance": "arm"}], ids=str)
def test_combined_generators_too(region, tmp_path, asked):
    kit.draw(region, tmp_path / "out", **asked)
    wishes = {name: one for name, one in asked.items() if name != "site"}
    mixture = wg.load(region).sited("clinic") if "site" in asked else wg.load(region)
    pd.testing.assert_frame_equal(kit.rows(tmp_path / "out"), mixture.sample(kit.N, seed=7, **wishes))


def test_the_manifest_says_what_is_there(model, tmp_path):
    made = kit.draw(model, tmp_path / "out", where={"age": (30, 80), "sex": [True, False]})
    found = kit.manifest(tmp_path / "out")
    parts = found.pop("parts")
    assert found == {
        "format": 1, "synthetic": True, "complete": True, "wardgan": wg.__version__, "release": made.release,
        "patients": kit.N, "shards": kit.SHARDS, "seed": 7,
        "where": [["age", {"from": 30, "to": 80}], ["sex", [True, False]]], "balance": None, "wide": False,
        "site": None, "privacy": dict(wg.load(model).privacy), "rows": made.rows, "bytes": made.bytes,
    }  # fmt: skip
    assert made.release == wg.inspect(model)["digest"]
    assert {one["name"]: one["sha256"] for one in parts} == kit.sums(tmp_path / "out")
    for number, one in enumerate(parts):
        path = tmp_path / "out" / "patients" / one["name"]
        table = parquet.read_table(path)
        assert (one["bytes"], one["rows"]) == (path.stat().st_size, len(table))
        assert (one["first"], one["patients"]) == (10 * number + 1, 10)
        assert sorted(set(table["id"].to_pylist())) == list(range(10 * number + 1, 10 * number + 11))
        note = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        assert (note["synthetic"], note["model"], note["seed"]) == ("true", made.release, "7")
        assert (note["shard"], note["patients"]) == (f"{number}/5", "50")
        assert json.loads(note["privacy"])["epsilon"] == 1.0
        assert json.loads(note["where"]) == found["where"]


def test_dates_in_conditions_have_a_place_in_the_manifest():
    asked = wg.Shards(9, 3, where={"day": (date(2020, 1, 2), date(2020, 1, 3)), "low": (1.5, float("inf"))})
    assert asked.to_dict()["where"] == [
        ["day", {"from": "2020-01-02", "to": "2020-01-03"}], ["low", {"from": 1.5, "to": "inf"}],
    ]  # fmt: skip


def test_shards_drawn_one_by_one_are_those_drawn_together(model, tmp_path):
    """Whoever hands out shards needs no more than their numbers, in any order and anywhere."""
    kit.draw(model, tmp_path / "all")
    seen = []
    for number in (3, 0, 4, 1, 2):
        made = kit.draw(model, tmp_path / "one", only=number)
        assert (made.finished, made.complete) == (len(seen) + 1, len(seen) == 4)
        assert [part.name for part in made.parts] == [kit.names()[number]]
        found = kit.manifest(tmp_path / "one")
        # Until then the list is empty: of two that finish at the same time none may write over a longer one.
        assert len(found["parts"]) == (kit.SHARDS if found["complete"] else 0)
        seen.append(found["complete"])
    assert seen == [False] * 4 + [True]
    for name in ("manifest.json", *(f"patients/{one}" for one in kit.names())):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_a_second_call_reads_what_is_there_and_draws_what_is_not(model, tmp_path):
    out = tmp_path / "out"
    kit.draw(model, out)
    whole = kit.sums(out)
    first, second, third, fourth, _ = (out / "patients" / name for name in kit.names())
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 1
    first.write_bytes(data)  # of the same size
    second.write_bytes(second.read_bytes()[:-1])
    third.unlink()
    (out / "records" / f"{fourth.name}.json").unlink()  # stopped before it was noted
    (out / "patients" / f".{fourth.name}.0123.part").write_bytes(b"killed")
    made = kit.draw(model, out)
    assert (made.drawn, made.mended, made.kept) == (1, 3, 1)
    assert kit.sums(out) == whole
    again = kit.draw(model, out)
    assert (again.drawn, again.mended, again.kept) == (0, 0, 5)
    assert again.parts == made.parts


def test_a_shard_that_looks_right_but_is_another_is_seen(model, tmp_path):
    """Digests are compared, not sizes alone."""
    kit.draw(model, tmp_path / "out")
    path = tmp_path / "out" / "patients" / kit.names()[1]
    size = path.stat().st_size
    place = place_at(tmp_path / "out")
    assert place.digest(f"patients/{path.name}", size) == kit.sums(tmp_path / "out")[path.name]
    assert place.digest(f"patients/{path.name}", size + 1) is None
    path.write_bytes(b"x" * size)
    assert kit.draw(model, tmp_path / "out", only=1).mended == 1
    assert hashlib.sha256(path.read_bytes()).hexdigest() == kit.manifest(tmp_path / "out")["parts"][1]["sha256"]


def test_a_seed_that_nobody_named_is_found_again(model, tmp_path):
    made = kit.draw(model, tmp_path / "out", seed=None)
    (tmp_path / "out" / "patients" / kit.names()[2]).unlink()
    again = kit.draw(model, tmp_path / "out", seed=None)
    assert again.asked == made.asked
    assert again.parts == made.parts
    assert kit.draw(model, tmp_path / "other", seed=None).asked.seed != made.asked.seed


def test_one_shard_alone_needs_a_seed(model, tmp_path):
    with pytest.raises(UsageError, match="one shard alone needs the seed"):
        kit.draw(model, tmp_path / "out", seed=None, only=1)
    assert not (tmp_path / "out").exists()
    kit.draw(model, tmp_path / "out", only=1)
    assert kit.draw(model, tmp_path / "out", seed=None, only=2).asked.seed == 7


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"seed": 8}, "seed: 7 there, 8 here"), ({"n": 51}, "patients: 50 there, 51 here"),
        ({"shards": 4}, "shards: 5 there, 4 here"), ({"balance": "arm"}, "balance: None there, 'arm' here"),
        ({"wide": True}, "wide: False there, True here"), ({"where": {"age": (30, 40)}}, r"where: \[\] there"),
    ],
)  # fmt: skip
def test_shards_of_another_sample_are_refused(model, tmp_path, changes, phrase):
    kit.draw(model, tmp_path / "out")
    whole = kit.sums(tmp_path / "out")
    with pytest.raises(OutputError, match=phrase):
        kit.draw(model, tmp_path / "out", **changes)
    assert kit.sums(tmp_path / "out") == whole


def test_shards_of_another_release_or_version_are_refused(model, tmp_path):
    kit.draw(model, tmp_path / "out")
    other = another(tmp_path / "other.hgan")
    with pytest.raises(OutputError, match="release: 'sha256:"):
        kit.draw(other, tmp_path / "out")
    found = kit.manifest(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({**found, "wardgan": "9.9.9"}))
    with pytest.raises(OutputError, match=r"wardgan: '9\.9\.9' there"):
        kit.draw(model, tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text(json.dumps({**found, "format": 2}))
    with pytest.raises(OutputError, match="newer version"):
        kit.draw(model, tmp_path / "out")


def test_a_single_shard_of_another_sample_is_refused_though_the_manifest_is_gone(model, tmp_path):
    kit.draw(model, tmp_path / "out", seed=8, only=2)
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(OutputError, match=r"part-00002-of-00005\.parquet is a shard of another sample"):
        kit.draw(model, tmp_path / "out")
    assert not kit.manifest(tmp_path / "out")["complete"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "seed": 7', '"x"', "[" * 5000])
def test_damaged_notes_are_refused(model, tmp_path, text):
    kit.draw(model, tmp_path / "out")
    for name in ("manifest.json", f"records/{kit.names()[0]}.json"):
        path = tmp_path / "out" / name
        good = path.read_bytes()
        path.write_text(text)
        with pytest.raises(OutputError, match="cannot be read; remove it"):
            kit.draw(model, tmp_path / "out")
        path.write_bytes(good)
    record = tmp_path / "out" / "records" / f"{kit.names()[0]}.json"
    found = json.loads(record.read_bytes())
    for part in ({}, {"name": "x"}, [], None, {**found["part"], "more": 1}):
        record.write_text(json.dumps({**found, "part": part}))
        with pytest.raises(OutputError, match="cannot be read; remove it"):
            kit.draw(model, tmp_path / "out")


def test_a_folder_with_other_things_is_left_alone(model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'thesis.txt' and no manifest.json"):
        kit.draw(model, out)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    with pytest.raises(OutputError, match=r"Not a directory|exists"):
        kit.draw(model, out / "thesis.txt")
    with pytest.raises(OutputError, match="the folder above it is not there"):
        kit.draw(model, tmp_path / "no" / "out")
    with pytest.raises(OutputError, match="no place that Arrow knows"):
        kit.draw(model, "gopher://name:secret@hole/x")


@pytest.mark.parametrize(
    ("asked", "phrase"),
    [
        ({"where": {"nobody": 1}}, "nobody"), ({"balance": "age"}, "not a label"), ({"site": "clinic"}, "one hospital"),
        ({"where": {"age": (18, 20), "sbp@A": (259, 260), "sbp@B": (50, 51), "sex": True}}, "can meet|too rare"),
        ({"n": 0}, "n=0"), ({"n": 3}, "more than 3 patients"), ({"shards": 0}, "shards=0"), ({"seed": -1}, "seed=-1"),
        ({"n": 10**9, "shards": 10**7}, "more than 1,000,000"), ({"only": 5}, "the last one is 4"), ({"n": 1e9}, "n="),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_leaves_nothing(model, tmp_path, monkeypatch, asked, phrase):
    monkeypatch.setattr("wardgan.sample.drawing.PATIENCE", 1 << 16)
    with pytest.raises(UsageError, match=phrase):
        kit.draw(model, tmp_path / "out", **asked)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cluster", ["dask://host", "ray://host:1", "host:8786", "dask://:1", "dask://h:x", "", 5])
def test_addresses_that_are_none(model, tmp_path, cluster):
    with pytest.raises(UsageError, match="not an address like dask://host:8786"):
        kit.draw(model, tmp_path / "out", cluster=cluster)


def test_workers_that_are_none(model, tmp_path):
    for workers in (0, -1, 1.5):
        with pytest.raises(UsageError, match="workers="):
            wg.sample_shards(model, wg.Shards(9, 3), tmp_path / "out", workers=workers)


def test_images_are_refused(model, tmp_path, monkeypatch):
    found = replace(open_file(model, None, required=False), generator=image_family_kit.generator())
    monkeypatch.setattr(run, "open_file", lambda *_args, **_more: found)
    with pytest.raises(UsageError, match="draws images"):
        kit.draw(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_workers_without_the_release_are_sent_it_once(model, tmp_path):
    far = Elsewhere()
    made = kit.draw(model, tmp_path / "out", cluster=far)
    assert made.drawn == kit.SHARDS
    # Tasks go out before the first answer is there; whoever has read the release needs no bytes again.
    assert far.sent.count(True) == far.sent[: kit.SHARDS].count(False)
    pd.testing.assert_frame_equal(kit.rows(tmp_path / "out"), wg.load(model).sample(kit.N, seed=7))


def test_a_release_that_is_replaced_meanwhile_is_seen(model, tmp_path):
    mine = tmp_path / "mine.hgan"
    mine.write_bytes(model.read_bytes())
    asked = wg.Shards(kit.N, kit.SHARDS, 7)
    job = Job(asked, wg.inspect(mine)["digest"], {})
    job.begin(place_at(tmp_path / "out"))
    task = Task(job, 0, str(tmp_path / "out"), str(mine))
    mine.unlink()
    another(mine)
    worker._held.clear()
    assert make(task) is None  # its bytes are asked for
    with pytest.raises(DigestError, match="another release than when the sample was begun"):
        make(Task(job, 0, str(tmp_path / "out"), str(mine), mine.read_bytes()))
    assert make(Task(job, 0, str(tmp_path / "out"), str(mine), model.read_bytes())).state == "drawn"


def test_workers_of_another_version_are_refused(model, tmp_path):
    job = Job(wg.Shards(kit.N, kit.SHARDS, 7), wg.inspect(model)["digest"], {}, "0.0.1")
    with pytest.raises(UsageError, match=r"a worker has wardgan .*, and 0\.0\.1 asks"):
        make(Task(job, 0, str(tmp_path / "out"), str(model)))
    assert list(tmp_path.iterdir()) == []


def test_lost_workers_are_replaced_and_their_shards_drawn(model, tmp_path):
    gone = type("KilledWorker", (Exception,), {})  # Dask's word for it
    for number, crowd in enumerate((Lossy(1), Lossy(2), Lossy(2, gone), Lossy(1, CancelledError))):
        losses = crowd.losses
        made = kit.draw(model, tmp_path / f"out{number}", cluster=crowd)
        assert made.complete
        assert crowd.asked >= kit.SHARDS + losses


def test_workers_that_are_lost_again_and_again_are_given_up(model, tmp_path):
    with pytest.raises(OutputError, match="processes ended 3 times before they finished a shard"):
        kit.draw(model, tmp_path / "out", cluster=Lossy(10**6))


def test_one_run_at_a_time(model, tmp_path):
    kit.draw(model, tmp_path / "out", only=0)
    (tmp_path / "out" / ".lock").touch()
    with locked(tmp_path / "out" / ".lock"), pytest.raises(OutputError, match="in use by another process"):
        kit.draw(model, tmp_path / "out")
    assert kit.draw(model, tmp_path / "out").complete


def test_what_killed_workers_leave_is_removed_even_if_the_run_is_stopped(model, tmp_path, monkeypatch):
    out = tmp_path / "out"
    killed = Killed(out, 4)
    monkeypatch.setattr(crew, "_here", lambda workers: nullcontext(killed))
    with pytest.raises(KeyboardInterrupt):
        wg.sample_shards(model, wg.Shards(kit.N, kit.SHARDS, 7), out, workers=2)
    assert killed.asked == [0, 1, 2, 3, 0]  # those that were lost come first
    assert sorted(path.name for path in out.rglob("*.part")) == []
    assert kit.draw(model, out).drawn == kit.SHARDS


def test_what_cannot_be_removed_does_not_hide_why_a_run_ended(model, tmp_path, monkeypatch):
    def refused(*_):
        raise OutputError("the disk is gone")

    killed = Killed(tmp_path / "out", 4)
    monkeypatch.setattr(crew, "_here", lambda workers: nullcontext(killed))
    monkeypatch.setattr(crew, "clear", refused)
    with pytest.raises(KeyboardInterrupt):
        wg.sample_shards(model, wg.Shards(kit.N, kit.SHARDS, 7), tmp_path / "out", workers=2)


def test_a_worker_that_shall_stop_begins_nothing(model, tmp_path, monkeypatch):
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(worker, "_stop", [stop])
    with pytest.raises(KeyboardInterrupt):
        kit.draw(model, tmp_path / "out")
    assert not (tmp_path / "out" / "patients").exists()


def test_what_workers_elsewhere_may_still_write_stays(model, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        kit.draw(model, out, cluster=Killed(out, 4))
    assert len(list(out.rglob("*.part"))) == 8
    assert kit.draw(model, out).complete
    assert list(out.rglob("*.part")) == []


def test_a_full_disk_keeps_what_is_finished(model, tmp_path):
    n, shards = 3 * BLOCK, 3
    whole = kit.draw(model, tmp_path / "whole", n, shards)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    kit.draw(model, tmp_path / "out", n, shards, only=1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large"):
            kit.draw(model, tmp_path / "out", n, shards)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()
    assert os.listdir(tmp_path / "out" / "patients") == ["part-00001-of-00003.parquet"]
    made = kit.draw(model, tmp_path / "out", n, shards)
    assert (made.kept, made.drawn) == (1, 2)
    assert made.parts == whole.parts


def test_the_folder_of_shards_may_be_an_address(model, tmp_path):
    made = kit.draw(model, (tmp_path / "a b").as_uri())
    assert made.complete
    assert sorted(kit.sums(tmp_path / "a b")) == kit.names()


def test_addresses_are_shown_without_secrets():
    assert place_at("s3://key:secret@bucket/a/b?endpoint_override=x.y&region=z").name == "s3://bucket/a/b"
    assert crew._AHEAD > 1


def test_what_workers_hold_is_read_once(model, tmp_path, monkeypatch):
    kit.draw(model, tmp_path / "out")
    opened = []
    monkeypatch.setattr(worker, "_opened", opened.append)
    with kit.here() as pool:
        wg.sample_shards(model, wg.Shards(kit.N, 2, 7), tmp_path / "two", cluster=pool)
    assert opened == []


def test_the_release_is_not_read_where_all_shards_are_there(model, tmp_path, monkeypatch):
    kit.draw(model, tmp_path / "out")
    monkeypatch.setattr(worker, "_generator", lambda task: pytest.fail("it is not needed"))
    assert kit.draw(model, tmp_path / "out").kept == kit.SHARDS


def test_a_lost_manifest_is_written_again_beside_a_description(tmp_path):
    """What `--croissant` wrote is ours, so the advice to remove a damaged manifest helps."""
    model, out = kit.released(tmp_path), tmp_path / "out"
    kit.draw(model, out)
    whole = (out / "manifest.json").read_bytes()
    (out / "croissant.json").write_text("{}")
    (out / "manifest.json").write_text("{")
    with pytest.raises(OutputError, match="remove it, and run the same again"):
        kit.draw(model, out)
    (out / "manifest.json").unlink()
    assert kit.draw(model, out).complete
    assert (out / "manifest.json").read_bytes() == whole


def test_a_store_without_a_bucket(tmp_path):
    with pytest.raises(OutputError, match="names no bucket"):
        kit.draw(kit.released(tmp_path), "s3://")
