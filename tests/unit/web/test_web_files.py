"""Files that are made in the background: in order, kept when the server ends, nobody else's, and to their limits."""

import contextlib
import io
import json
import shutil
import stat
import threading
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import hub_kit
import release_kit
import wardgan as wg
import web_kit as kit
from wardgan.access.journal import lines
from wardgan.access.people import new_token, revoke_token
from wardgan.errors import HubError, UsageError
from wardgan.hub.hub import Hub
from wardgan.seal import artifact
from wardgan.web import jobs as module
from wardgan.web import shapes
from wardgan.web.jobs import EACH, PIXELS, UNFINISHED, WAITING, Job, Jobs, folder_of
from wardgan.web.preview import Asked
from wardgan.web.stock import stock_of
from wardgan.web.workers import BusyError

A = "cardio/a:1.0"


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("files"))


@pytest.fixture
def stock(clinic):
    found = stock_of(clinic.home / "hub", trust=clinic.trust)
    found.refresh()
    yield found
    found.close()


def until(true, seconds=60):
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)


def ready(client, number, **more):
    until(lambda: client.get(f"/api/v1/jobs/{number}", **more).json()["state"] in ("ready", "failed"))
    return client.get(f"/api/v1/jobs/{number}", **more).json()


@pytest.fixture
def clinic_alone(tmp_path):
    """A hub that a test may change."""
    return kit.stocked(tmp_path)


def ordered(client, path=A, **asked):
    more = {"headers": asked.pop("headers")} if "headers" in asked else {}
    return client.post(f"/api/v1/sample/{path}", params=asked, **more)


# --- what is made -----------------------------------------------------------------------------------------------------


def test_a_file_is_made_and_is_what_the_stream_gives(clinic):
    with kit.served(clinic) as (client, _):
        asked = {"n": 40_000, "seed": 3, "where": "arm=intensive"}
        answer = ordered(client, **asked)
        assert answer.status_code == 202
        found = shapes.File.model_validate(answer.json())
        assert answer.headers["location"] == f"/api/v1/jobs/{found.id}"
        done = shapes.File.model_validate(ready(client, found.id))
        assert (done.state, done.done, done.problem) == ("ready", 40_000, None)
        taken = client.get(f"/api/v1/jobs/{found.id}/file")
        assert taken.headers["content-disposition"] == 'attachment; filename="a-1.0-3.csv"'
        assert len(taken.content) == done.bytes
        assert taken.content == client.get(f"/api/v1/sample/{A}", params=asked).content
        assert client.get(f"/api/v1/jobs/{found.id}/file", headers={"Range": "bytes=0-9"}).content == taken.content[:10]
        assert [one["id"] for one in client.get("/api/v1/jobs").json()["files"]] == [found.id]
        shapes.Files.model_validate(client.get("/api/v1/jobs").json())
        assert client.delete(f"/api/v1/jobs/{found.id}").status_code == 204
        assert client.get(f"/api/v1/jobs/{found.id}").status_code == 404


def test_a_parquet_file_says_what_it_is(clinic):
    with kit.served(clinic) as (client, _):
        number = ordered(client, n=500, seed=1, format="parquet").json()["id"]
        assert ready(client, number)["state"] == "ready"
        from pyarrow import parquet

        table = parquet.read_table(io.BytesIO(client.get(f"/api/v1/jobs/{number}/file").content))
        alone = pd.read_csv(io.BytesIO(client.get(f"/api/v1/sample/{A}", params={"n": 500, "seed": 1}).content))
        assert len(table) == len(alone)
        assert table.schema.metadata[b"synthetic"] == b"true"
        assert table.schema.metadata[b"seed"] == b"1"


def test_images_are_made_as_npz(tmp_path):
    pytest.importorskip("PIL", reason="images are drawn by Pillow")
    import image_family_kit

    clinic = hub_kit.Clinic(tmp_path)
    made = wg.fit(image_family_kit.cohort(100), wg.Budget(20.0))
    artifact.release(made, tmp_path / "x.hgan", clinic.key, release_kit.OVERRIDE, training_data_id="data-0000001")
    Hub(tmp_path / "hub", trust=clinic.trust).push(tmp_path / "x.hgan", "scans:1")
    with kit.served(clinic) as (client, _):
        assert ordered(client, "scans:1", n=5, format="csv").status_code == 400
        number = ordered(client, "scans:1", n=300, seed=1, format="npz").json()["id"]
        assert ready(client, number)["state"] == "ready"
        with np.load(io.BytesIO(client.get(f"/api/v1/jobs/{number}/file").content)) as found:
            assert found["images"].shape[0] == 300
            assert json.loads(str(found["note"]))


def test_progress_is_told(stock, tmp_path, clinic):
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(300_000, 1), "csv", None)
    jobs.start()
    seen = set()
    until(lambda: seen.add(jobs.done(jobs.find(job.id, None))) or jobs.find(job.id, None).over)
    assert len(seen) > 3
    assert max(seen) == 300_000
    jobs.close()


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_was_not_ready_is_made_by_the_next_server(stock, tmp_path, clinic):
    first = Jobs(tmp_path / "files", stock)
    small = first.add(stock.entry(A), Asked(10, 1), "csv", None)
    large = first.add(stock.entry(A), Asked(3_000_000, 2), "csv", 7)
    first.start()
    until(lambda: first.done(first.find(large.id, 7)) > 0)
    first.close()
    assert first.find(large.id, 7).state == "running"
    (tmp_path / "files" / large.id / f".{large.name}.0123456789abcdef.part").write_bytes(b"half")
    (tmp_path / "files" / ("f" * 32)).mkdir()  # a folder of a job that never began
    (tmp_path / "files" / "notes.txt").write_text("of somebody", encoding="utf-8")
    again = stock_of(clinic.home / "hub", trust=clinic.trust)
    again.refresh()
    second = Jobs(tmp_path / "files", again)
    assert second.find(small.id, None).state == "ready"
    assert second.find(large.id, 7).state == "waiting"
    assert not list((tmp_path / "files" / large.id).glob(".*.part"))
    assert not (tmp_path / "files" / ("f" * 32)).exists()
    assert (tmp_path / "files" / "notes.txt").exists()
    with pytest.raises(UsageError, match="not ready"):
        second.file(second.find(large.id, 7))
    second.drop(second.find(large.id, 7))
    second.start()
    second.close()
    again.close()


def test_a_file_waits_until_the_hub_has_been_read(stock, tmp_path, clinic):
    again = stock_of(clinic.home / "hub", trust=clinic.trust)
    jobs = Jobs(tmp_path / "files", again)
    job = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    jobs.start()
    time.sleep(0.5)
    assert jobs.find(job.id, None).state == "waiting"
    again.refresh()
    until(lambda: jobs.find(job.id, None).over)
    assert jobs.find(job.id, None).state == "ready"
    jobs.close()
    again.close()


def test_what_nobody_can_read_is_left_alone(stock, tmp_path, capsys):
    place = tmp_path / "files" / ("a" * 32)
    place.mkdir(parents=True)
    (place / "job.json").write_text('{"id": 3}', encoding="utf-8")
    jobs = Jobs(tmp_path / "files", stock)
    assert jobs.mine(None) == []
    assert place.exists()
    assert "no job that this wardgan knows" in capsys.readouterr().err
    jobs.close()


def test_two_servers_do_not_share_a_folder(stock, tmp_path):
    jobs = Jobs(tmp_path / "files", stock)
    with pytest.raises(UsageError, match="used by another server"):
        Jobs(tmp_path / "files", stock)
    jobs.close()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be used"):
        Jobs(tmp_path / "file", stock)


def test_files_go_after_a_day(stock, tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    jobs.start()
    until(lambda: jobs.find(job.id, None).over)
    place = tmp_path / "files" / job.id
    assert place.exists()
    monkeypatch.setattr(module, "HOURS", -1)
    jobs._wake.set()
    until(lambda: not place.exists())
    with pytest.raises(HubError, match="no such file"):
        jobs.find(job.id, None)
    jobs.close()


def test_dropping_one_that_is_being_made_leaves_nothing(stock, tmp_path):
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(5_000_000, 1), "csv", None)
    other = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    jobs.start()
    until(lambda: jobs.done(job) > 0)
    jobs.drop(job)
    until(lambda: jobs.find(other.id, None).state == "ready")
    assert not (tmp_path / "files" / job.id).exists()
    jobs.close()


def test_the_default_folder_is_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folder_of("registry.example") == folder_of("registry.example") != folder_of("other.example")
    assert folder_of("registry.example").is_relative_to(tmp_path)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_is_not_made(clinic):
    with kit.served(clinic) as (client, _):
        for more in (
            {"n": 0},
            {"n": 10_000_001},
            {"n": 5, "format": "xlsx"},
            {"n": 5, "format": "npz"},
            {"n": 5, "where": "arm=nobody"},
        ):
            assert ordered(client, **more).status_code == 400, more
        assert ordered(client, "cardio/none:1", n=5).status_code == 404
        assert client.get("/api/v1/jobs").json() == {"files": []}
        for site in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
        ):
            assert ordered(client, n=5, headers=site).status_code == 403
            assert client.post(f"/play/{A}", data={"n": "5"}, headers=site).status_code == 403


def test_a_failure_is_told_without_the_servers_paths(stock, tmp_path, monkeypatch, capsys):
    jobs = Jobs(tmp_path / "files", stock)
    ones = [jobs.add(stock.entry(A), Asked(10, at), "csv", None) for at in range(4)]
    jobs._jobs[ones[0].id] = ones[0].model_copy(update={"digest": "sha256:" + "0" * 64})
    jobs._jobs[ones[1].id] = ones[1].model_copy(update={"asked": Asked(10, 1, ("arm=nobody",))})
    made = stock.made

    def elsewhere(entry, asked, target, kind):
        if asked.seed == 2:
            target = tmp_path / "nowhere" / "x.csv"
        if asked.seed == 3:
            raise RuntimeError("secret")
        return made(entry, asked, target, kind)

    monkeypatch.setattr(stock, "made", elsewhere)
    jobs.start()
    until(lambda: all(one.over for one in jobs.mine(None)))
    problems = [str(jobs.find(one.id, None).problem) for one in ones]
    for problem, words in zip(
        problems, ("another release by now", "arm", "could not write", "The hub failed"), strict=True
    ):
        assert words in problem
    assert str(tmp_path) not in "".join(problems)
    assert str(tmp_path) in capsys.readouterr().err
    jobs.close()


def test_a_full_disk_is_told(stock, tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "files", stock)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: type("Usage", (), {"free": 1000})())
    with pytest.raises(BusyError, match="no room"):
        place(jobs, stock, None)
    jobs.close()


def place(jobs, stock, owner):
    """Whether there is a place: its kind."""
    with jobs.place(Asked(5, 1), "csv", stock.entry(A).schema, owner) as found:
        return found


def test_nobody_wants_too_many(stock, tmp_path):
    jobs = Jobs(tmp_path / "files", stock)
    asked = Asked(5, 1)

    def add(owner):
        return jobs.add(stock.entry(A), asked, place(jobs, stock, owner), owner)

    for _ in range(UNFINISHED):
        add(1)
    with pytest.raises(BusyError, match="not ready yet"):
        add(1)
    assert place(jobs, stock, 2) == "csv"
    for number, job in list(jobs._jobs.items()):
        jobs._jobs[number] = job.model_copy(update={"state": "ready"})
    for _ in range(EACH - UNFINISHED):
        found = add(1)
        jobs._jobs[found.id] = found.model_copy(update={"state": "failed"})
    with pytest.raises(BusyError, match="keeps 20 files"):
        add(1)
    for at in range(WAITING):
        add(10 + at)
    with pytest.raises(BusyError, match="Too many files"):
        add(2)
    jobs.close()


def test_places_that_are_held_count(stock, tmp_path):
    """Many questions at once do not pass together where one by one they would not."""
    jobs = Jobs(tmp_path / "files", stock)
    with contextlib.ExitStack() as held:
        for _ in range(UNFINISHED):
            held.enter_context(jobs.place(Asked(5, 1), "csv", stock.entry(A).schema, 1))
        with pytest.raises(BusyError, match="not ready yet"):
            place(jobs, stock, 1)
        assert place(jobs, stock, 2) == "csv"
    assert place(jobs, stock, 1) == "csv"
    jobs.close()


def test_images_have_a_bound_of_pixels(stock, tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "files", stock)
    schema = wg.Schema.from_dict({"name": "x", "images": {"size": [64, 64]}, "table": {"a": {"kind": "flag"}}})
    most = PIXELS // (64 * 64)
    with jobs.place(Asked(most, 1), "npz", schema, None) as found:
        assert found == "npz"
    with pytest.raises(UsageError, match="is not between"), jobs.place(Asked(most + 1, 1), "npz", schema, None):
        pass
    jobs.close()


def test_the_maker_goes_on_whatever_fails(stock, tmp_path, capsys):
    """A folder that is gone, as a cleaner of old files does it, fails its own file alone."""
    jobs = Jobs(tmp_path / "files", stock)
    one, two = (jobs.add(stock.entry(A), Asked(10, at), "csv", None) for at in range(2))
    shutil.rmtree(tmp_path / "files" / one.id)
    jobs.start()
    until(lambda: jobs.find(two.id, None).over)
    assert jobs.find(one.id, None).state == "failed"
    assert jobs.find(two.id, None).state == "ready"
    three = jobs.add(stock.entry(A), Asked(10, 3), "csv", None)
    until(lambda: jobs.find(three.id, None).over)
    assert jobs.find(three.id, None).state == "ready"
    assert capsys.readouterr().err
    jobs.close()


def test_a_state_that_cannot_be_written_is_told_all_the_same(stock, tmp_path, monkeypatch):
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    monkeypatch.setattr(jobs, "_write", lambda _job: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    jobs.start()
    until(lambda: jobs.find(job.id, None).over)
    monkeypatch.undo()
    other = jobs.add(stock.entry(A), Asked(10, 2), "csv", None)
    until(lambda: jobs.find(other.id, None).over)
    assert jobs.find(other.id, None).state == "ready"
    jobs.close()


def test_files_of_another_database_are_nobodys(stock, tmp_path):
    first = Jobs(tmp_path / "files", stock, "one")
    job = first.add(stock.entry(A), Asked(10, 1), "csv", 1)
    first.close()
    again = Jobs(tmp_path / "files", stock, "one")
    assert again.find(job.id, 1).id == job.id
    again.close()
    other = Jobs(tmp_path / "files", stock, "two")
    assert other.mine(1) == []
    assert not (tmp_path / "files" / job.id).exists()
    other.close()


def test_only_its_owner_on_the_machine_reads_it(stock, tmp_path):
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    place_ = tmp_path / "files" / job.id
    assert stat.S_IMODE(place_.stat().st_mode) == 0o700
    assert stat.S_IMODE((place_ / "job.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    jobs.close()


def test_what_is_dropped_while_it_is_made_stops(stock, tmp_path):
    jobs = Jobs(tmp_path / "files", stock)
    large = jobs.add(stock.entry(A), Asked(9_000_000, 2), "csv", None)
    jobs.start()
    until(lambda: jobs.done(jobs.find(large.id, None)) > 0)
    small = jobs.add(stock.entry(A), Asked(10, 1), "csv", None)
    begun = time.monotonic()
    jobs.drop(large)
    until(lambda: jobs.find(small.id, None).over)
    assert time.monotonic() - begun < 30  # nine million patients take minutes
    assert not (tmp_path / "files" / large.id).exists()
    jobs.close()


def test_a_release_that_took_its_tag_is_another_one(clinic_alone):
    clinic = clinic_alone
    with kit.served(clinic) as (client, stock):
        number = ordered(client, n=10, seed=1).json()["id"]
        assert ready(client, number)["state"] == "ready"
        hub = Hub(clinic.home / "hub", trust=clinic.trust)
        hub.revoke("cardio/a:1.0", clinic.key, "wrong")
        stock.refresh()
        assert client.get(f"/api/v1/jobs/{number}/file").status_code == 403
        hub.push(clinic.file("mended", created="2026-03-03"), "cardio/a:1.0", force=True)
        stock.refresh()
        answer = client.get(f"/api/v1/jobs/{number}/file")
        assert answer.status_code == 404
        assert "another release by now" in answer.text


def test_a_file_that_is_gone_does_not_hide_others(clinic_alone):
    with kit.served(clinic_alone) as (client, _):
        one, two = (ordered(client, n=10, seed=at).json()["id"] for at in range(2))
        assert ready(client, one)["state"] == ready(client, two)["state"] == "ready"
        (client.app.state.jobs._place(client.app.state.jobs.find(one, None)) / "a-1.0-0.csv").unlink()
        listed = client.get("/api/v1/jobs").json()["files"]
        assert {found["id"]: found["bytes"] is None for found in listed} == {one: True, two: False}
        assert client.get(f"/api/v1/jobs/{one}/file").status_code == 400


def test_a_file_that_never_ends_is_given_up(stock, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LONGEST", -1.0)
    jobs = Jobs(tmp_path / "files", stock)
    job = jobs.add(stock.entry(A), Asked(500_000, 1), "csv", None)
    jobs.start()
    until(lambda: jobs.find(job.id, None).over)
    assert "longer than the hour" in jobs.find(job.id, None).problem
    assert not list((tmp_path / "files" / job.id).glob(".*"))
    jobs.close()


# --- whose it is ------------------------------------------------------------------------------------------------------


def bearer(database, name="Ana", **more):
    return {"Authorization": f"Bearer {new_token(database, name, **more)[0]}"}


@pytest.fixture
def hub(clinic):
    for old in clinic.home.glob("hub.db*"):
        old.unlink()
    with kit.guarded(clinic) as found:
        yield found


def test_a_file_is_of_who_asked_for_it_and_counted_and_in_the_log(hub):
    client, database, rules = hub
    assert ordered(client, n=5).status_code == 401
    assert client.get("/api/v1/jobs").status_code == 401
    assert client.get("/jobs", follow_redirects=False).status_code == 303
    rules.set("cardio/a", "sample-only", rows=100)
    rules.grant(bearer_name(database, "Ana"), "cardio/a")
    ana, others = bearer(database), bearer(database, "Others")
    assert ordered(client, n=5, headers=others).status_code == 403
    answer = ordered(client, n=60, seed=4, headers=ana)
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]
    assert ordered(client, n=60, headers=ana).status_code == 429
    assert ready(client, number, headers=ana)["state"] == "ready"
    ways = [("get", f"/api/v1/jobs/{number}"), ("get", f"/api/v1/jobs/{number}/file"), ("delete", f"/api/v1/jobs/{number}"),
            ("get", f"/jobs/{number}")]  # fmt: skip
    for way, path in ways:
        assert getattr(client, way)(path, headers=others).status_code == 404, path
        assert getattr(client, way)(path, follow_redirects=False).status_code in (401, 303), path
    assert client.get("/api/v1/jobs", headers=others).json() == {"files": []}
    assert client.get(f"/api/v1/jobs/{number}/file", headers=ana).status_code == 200
    found = [
        (one.who, one.action, json.loads(one.detail)["rows"])
        for one in lines(database)
        if "rows" in one.detail and one.who == "Ana"
    ]
    assert found == [("Ana", "sampled", 60), ("Ana", "patients taken", 60)]
    rules.grant("Ana", "cardio/a", take=True)
    assert client.get(f"/api/v1/jobs/{number}/file", headers=ana).status_code == 403


def bearer_name(database, name):
    new_token(database, name)
    return name


def test_a_token_that_was_taken_back_opens_no_file(hub):
    client, database, _ = hub
    token, _ = new_token(database, "Ana")
    ana = {"Authorization": f"Bearer {token}"}
    number = ordered(client, n=5, headers=ana).json()["id"]
    ready(client, number, headers=ana)
    revoke_token(database, token)
    assert client.get(f"/api/v1/jobs/{number}/file", headers=ana).status_code == 401
    assert client.get(f"/api/v1/jobs/{number}/file", headers=bearer(database)).status_code == 200


def test_a_form_of_a_session_makes_one(hub):
    import re

    client, database, _ = hub
    ours = {"Sec-Fetch-Site": "same-origin"}
    token = new_token(database, "Ana")[0]
    client.post("/sign-in", data={"token": token, "following": "/"}, headers=ours)
    text = client.get(f"/play/{A}?seed=5&n=5&more=arm=intensive", headers=ours).text
    word = re.search(r'name="csrf" value="([0-9a-f]{64})"', text)[1]
    form = {"n": "7", "seed": "5", "where": "arm=intensive\nage=40..90", "format": "csv", "balance": ""}
    assert client.post(f"/play/{A}", data=form, headers=ours).status_code == 403
    answer = client.post(f"/play/{A}", data={**form, "csrf": word}, headers=ours, follow_redirects=False)
    assert answer.status_code == 303
    place = answer.headers["location"]
    until(lambda: "is ready" in client.get(place, headers=ours).text)
    assert A in client.get("/jobs", headers=ours).text
    found = client.get(f"{place}/file", headers=ours)
    assert {row["arm"] for row in pd.read_csv(io.BytesIO(found.content)).to_dict("records")} == {"intensive"}
    assert client.post(f"{place}/drop", data={"csrf": "0"}, headers=ours).status_code == 403
    assert client.post(f"{place}/drop", data={"csrf": word}, headers=ours, follow_redirects=False).status_code == 303
    assert client.get(place, headers=ours).status_code == 404


def test_a_release_that_was_taken_back_gives_no_file(tmp_path):
    clinic = kit.stocked(tmp_path)
    with kit.served(clinic) as (client, stock):
        number = ordered(client, n=5).json()["id"]
        ready(client, number)
        Hub(clinic.home / "hub", trust=clinic.trust).revoke("cardio/a:1.0", clinic.key, "wrong")
        stock.refresh()
        assert client.get(f"/api/v1/jobs/{number}/file").status_code == 403
        assert ready(client, ordered(client, n=5).json()["id"])["state"] == "failed"


def test_many_at_once_ask_for_one_thing_each(clinic):
    with kit.served(clinic) as (client, _):
        numbers = []
        threads = [
            threading.Thread(target=lambda at=at: numbers.append(ordered(client, n=50, seed=at).json()["id"]))
            for at in range(8)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(set(numbers)) == 8
        assert {ready(client, one)["state"] for one in numbers} == {"ready"}


def test_a_job_is_kept_as_it_is():
    job = Job(
        id="0" * 32,
        release=A,
        digest="sha256:1",
        asked=Asked(5, 1, ("x=1",), "arm"),
        kind="csv",
        owner=3,
        created="2026-01-01T00:00:00Z",
    )
    assert Job.model_validate_json(job.model_dump_json()) == job
    assert replace(job.asked, n=6) != job.asked
