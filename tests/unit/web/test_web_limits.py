"""What a hub bears: questions that take too long, visitors who leave, keys that are no longer trusted, things that break."""

import json
import threading
import time
from dataclasses import replace

import pandas as pd
import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")

import hub_kit
import release_kit
import wardgan as wg
import web_kit as kit
from wardgan.errors import HubError, TrustError, UsageError
from wardgan.hub.hub import Hub
from wardgan.hub.store import UnreachableError
from wardgan.seal import artifact
from wardgan.web import app as apps
from wardgan.web import rack as racks
from wardgan.web import shapes, tasks
from wardgan.web import stock as stocks
from wardgan.web import workers as processes
from wardgan.web.figures import figures_of
from wardgan.web.guard import HEADERS
from wardgan.web.preview import CELLS, Asked, most_of, preview
from wardgan.web.rack import Rack
from wardgan.web.stock import Stock
from wardgan.web.workers import BusyError, Workers


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return kit.stocked(tmp_path_factory.mktemp("limits"))


@pytest.fixture(scope="module")
def served(clinic):
    with kit.served(clinic) as found:
        yield found


@pytest.fixture(scope="module")
def client(served):
    return served[0]


def released(clinic, name, table, frame, *, tag="1"):
    made = wg.fit(
        wg.read(frame, wg.Schema.from_dict({"name": name, "patient": "id", "population": 1000, "table": table})),
        wg.Budget(3.0),
    )
    path = clinic.home / f"{name}-{tag}.hgan"
    artifact.release(made, path, clinic.key, release_kit.OVERRIDE, training_data_id=f"data-{name}")
    Hub(clinic.home / "hub", trust=clinic.trust).push(path, f"{name}:{tag}")
    return path


# --- questions that take too long -------------------------------------------------------------------------------------


def test_a_question_that_takes_too_long_ends_and_the_next_is_answered(clinic):
    path = clinic.file("a")
    workers = Workers(1, clinic.trust, any_signer=False)
    asked = Asked(5, 1)
    first = workers.ask("preview", path, asked, True)
    workers._patience = 0.0
    with pytest.raises(UsageError, match="takes longer than the 0 seconds"):
        workers.ask("preview", path, asked, True)
    workers._patience = 30.0
    assert workers.ask("preview", path, asked, True) == first
    workers.close()


def test_what_is_not_taken_is_not_made_and_blocks_nobody(clinic):
    path = clinic.file("a")
    workers = Workers(1, clinic.trust, any_signer=False, patience=30.0, wait=0.1)
    asked = Asked(10_000_000, 1)
    with workers.parts("csv", path, asked) as parts:
        assert next(parts).startswith(b'"')
        with pytest.raises(BusyError, match="try again"):
            workers.ask("preview", path, asked, True)
    assert len(workers._every) == 0  # the process that was left in the middle is gone
    assert workers.ask("preview", path, Asked(5, 1), True).rows
    workers.close()


def test_who_waits_leaves_threads_for_others():
    assert processes.QUEUE + stocks.QUEUE + 2 * 2 <= apps.THREADS - 20


def test_few_wait_so_that_others_are_answered(clinic):
    """Who waits holds a thread of the server; beyond a few, the answer is to come back."""
    found = Workers(1, clinic.trust, any_signer=False, wait=20.0, queue=2)
    asked = Asked(5, 1)
    said = []

    def wait():
        try:
            said.append(found.ask("preview", clinic.file("a"), asked, False))
        except BusyError as error:
            said.append(error)

    with found.parts("csv", clinic.file("a"), Asked(100_000, 1)) as parts:
        next(parts)
        threads = [threading.Thread(target=wait) for _ in range(2)]
        for one in threads:
            one.start()
        while found._waiting._value:
            time.sleep(0.01)
        begun = time.monotonic()
        with pytest.raises(BusyError, match="Too many others"):
            found.ask("preview", clinic.file("a"), asked, False)
        assert time.monotonic() - begun < 5
        for _ in parts:
            pass
    for one in threads:
        one.join()
    assert [type(one).__name__ for one in said] == ["Preview"] * 2
    assert found._waiting._value == 2
    found.close()


def test_a_process_that_dies_is_replaced(clinic):
    path = clinic.file("a")
    workers = Workers(1, clinic.trust, any_signer=False, patience=30.0)
    with workers.parts("csv", path, Asked(10_000_000, 1)) as parts:
        next(parts)
        next(iter(workers._every))._process.kill()
        with pytest.raises(UsageError, match="memory"):
            list(parts)
    assert workers.ask("preview", path, Asked(5, 1), True).rows
    workers.close()
    with pytest.raises(BusyError, match="closing"):
        workers.ask("preview", path, Asked(5, 1), True)


def test_refusals_keep_their_kind(clinic):
    workers = Workers(1, clinic.trust, any_signer=False, patience=30.0)
    with pytest.raises(UsageError, match="arm"):
        workers.ask("preview", clinic.file("a"), Asked(5, 1, ("arm=nobody",)), True)
    with pytest.raises(TrustError, match="unsigned"):
        workers.ask("preview", clinic.file("unsigned", signed=False), Asked(5, 1), True)
    with pytest.raises(HubError, match="failed"):
        workers.ask("card")
    assert workers.ask("preview", clinic.file("a"), Asked(5, 1), True).rows
    assert set(tasks.TASKS) == {"preview", "pair", "csv", "file", "card", "glance"}
    workers.close()


def test_many_conditions_are_refused_by_form_and_api(client):
    conditions = [f"age={low}..100" for low in range(21)]
    assert client.get("/api/v1/preview/cardio/a:1.0", params={"where": conditions}).status_code == 400
    assert client.get("/api/v1/sample/cardio/a:1.0", params={"where": conditions}).status_code == 400
    page = client.get("/play/cardio/a:1.0", params={"seed": 1, "more": "\n".join(conditions)})
    assert page.status_code == 400
    assert "21 conditions are too many" in page.text


def test_a_wide_table_is_shown_with_fewer_patients():
    columns = {f"c{at}": {"kind": "number", "low": 0, "high": 1} for at in range(299)}
    schema = wg.Schema.from_dict({"name": "wide", "patient": "id", "population": 1000, "table": columns})
    assert most_of(schema) == CELLS // 300

    class Fake:
        pass

    fake = Fake()
    fake.schema = schema
    with pytest.raises(UsageError, match="between 1 and 200"):
        preview(fake, Asked(201, 1), None)


# --- figures and cells ------------------------------------------------------------------------------------------------


def test_levels_that_are_0_and_1_are_no_flags():
    schema = wg.Schema.from_dict({"name": "d", "table": {"arm": {"kind": "category", "levels": [0, 1]}}})
    frame = pd.DataFrame({"arm": [0, 1, 1, 1]})
    ((figure,), count) = figures_of(schema, frame, frame)
    assert count == 1
    assert "0 25%, 1 75%" in figure.svg


def test_flags_and_many_levels_are_drawn_and_spelled_as_in_the_file(tmp_path):
    clinic = hub_kit.Clinic(tmp_path)
    levels = [f"L{at}" for at in range(9)]
    table = {
        "smoker": {"kind": "flag", "nullable": True},
        "ward": {"kind": "category", "levels": levels},
        "dose": {"kind": "number", "low": 0, "high": 1, "step": 0.05},
    }
    rows = range(900)
    frame = pd.DataFrame(
        {"id": rows, "smoker": [[True, False, None][at % 3] for at in rows], "ward": [levels[at % 9] for at in rows], "dose": 0.15}
    )  # fmt: skip
    made = wg.read(frame, wg.Schema.from_dict({"name": "flags", "patient": "id", "population": 1000, "table": table}))
    path = tmp_path / "flags.hgan"
    artifact.release(
        wg.fit(made, wg.Budget(3.0)), path, clinic.key, release_kit.OVERRIDE, training_data_id="data-0000001"
    )
    Hub(tmp_path / "hub", trust=clinic.trust).push(path, "flags:1")
    with kit.served(clinic) as (client, _):
        found = client.get("/api/v1/preview/flags:1", params={"n": 300, "seed": 1}).json()
        drawn = {one["name"]: one["svg"] for one in found["figures"]}
        shares = dict(
            part.rsplit(" ", 1) for part in drawn["smoker"].partition("<title>")[2].partition("<")[0].split(", ")
        )
        smokers = pd.Series([row[found["columns"].index("smoker")] for row in found["rows"]])
        assert shares["true"] == f"{(smokers == 'true').mean():.0%}"
        assert shares["missing"] == f"{(smokers == '').mean():.0%}"
        assert "all others" in drawn["ward"]
        text = client.get("/api/v1/sample/flags:1", params={"n": 300, "seed": 1}).text.splitlines()
        header = [name.strip('"') for name in text[0].split(",")]
        for column in ("smoker", "ward", "dose"):
            at = header.index(column)
            in_file = [line.split(",")[at].strip('"') for line in text[1:]]
            assert [row[found["columns"].index(column)] for row in found["rows"]] == in_file, column
        page = client.get("/play/flags:1", params={"seed": 1, "is.smoker": "true", "n": 50})
        assert page.status_code == 200
        assert ">false</td>" not in page.text


def test_columns_that_mean_something_else_are_not_drawn_together(tmp_path):
    clinic = hub_kit.Clinic(tmp_path)
    rows = range(900)
    days = pd.to_datetime("2020-01-01") + pd.to_timedelta([at % 300 for at in rows], unit="D")
    released(
        clinic, "one",
        {"when": {"kind": "date", "low": "2020-01-01", "high": "2021-01-01"},
         "weight": {"kind": "number", "low": 0, "high": 200, "unit": "kg"}, "age": {"kind": "integer", "low": 0, "high": 99}},
        pd.DataFrame({"id": rows, "when": days, "weight": 70.0, "age": 50}),
    )  # fmt: skip
    released(
        clinic, "two",
        {"when": {"kind": "category", "levels": ["early", "late"]},
         "weight": {"kind": "number", "low": 0, "high": 400, "unit": "lb"}, "age": {"kind": "integer", "low": 0, "high": 99}},
        pd.DataFrame({"id": rows, "when": "early", "weight": 150.0, "age": 50}),
    )  # fmt: skip
    with kit.served(clinic) as (client, _):
        page = client.get("/compare", params={"a": "one:1", "b": "two:1"})
        assert page.status_code == 200
        assert page.text.count('<svg viewBox="0 0 220') == 1  # age alone
        assert "0 to 400 lb" in page.text


# --- keys, versions, addresses ----------------------------------------------------------------------------------------


def test_a_key_that_is_no_longer_trusted_opens_nothing(tmp_path):
    clinic = hub_kit.Clinic(tmp_path)
    Hub(tmp_path / "hub", trust=clinic.trust).push(clinic.file("a"), "a:1")
    whole = clinic.trust.read_text()
    with kit.served(clinic) as (client, stock):
        assert client.get("/api/v1/preview/a:1").status_code == 200
        clinic.trust.write_text(json.dumps({**json.loads(whole), "keys": []}))
        stock.refresh()
        for kind in ("preview", "sample", "files"):
            assert client.get(f"/api/v1/{kind}/a:1").status_code == 403, kind
        clinic.trust.write_text("{")
        stock.refresh()
        assert "malformed" in client.get("/").text
        clinic.trust.write_text(whole)
        stock.refresh()
        assert client.get("/api/v1/preview/a:1").status_code == 200
        assert "may be old" not in client.get("/").text


def test_without_a_tag_the_newest_version_is_meant_as_in_pull(tmp_path):
    clinic = hub_kit.Clinic(tmp_path)
    hub = Hub(tmp_path / "hub", trust=clinic.trust)
    hub.push(clinic.file("a", created="2026-05-01"), "a:1.9")
    hub.push(clinic.file("b", created="2026-02-01"), "a:1.10")
    hub.push(clinic.file("c", created="2026-06-01"), "b:old")
    hub.push(clinic.file("d", created="2026-07-01"), "b:new")
    hub.push(clinic.file("e", created="2026-07-01"), "c:only")
    with kit.served(clinic) as (client, _):
        assert client.get("/api/v1/releases/a").json()["tag"] == hub.entry("a").tag == "1.10"
        assert client.get("/api/v1/releases/c").json()["tag"] == "only"
        answer = client.get("/api/v1/releases/b")
        assert answer.status_code == 400
        assert "b:TAG" in answer.json()["error"]["message"]


def test_a_registry_with_the_beginning_of_all_names(tmp_path, monkeypatch):
    clinic, fake = hub_kit.Clinic(tmp_path), hub_kit.FakeRegistry()
    monkeypatch.setattr(Hub, "_store", lambda _: fake.client())
    Hub(hub_kit.PLACE, trust=clinic.trust).push(clinic.file("a"), "cardio/a:1")
    Hub(hub_kit.PLACE, trust=clinic.trust).push(clinic.file("b"), "other/b:1")
    stock = Stock(Hub(f"{hub_kit.PLACE}/cardio", trust=clinic.trust), clinic.trust)
    stock.refresh()
    assert [one.name for one in stock.shelf.entries] == ["cardio/a"]
    entry = stock.entry("cardio/a:1")
    assert stock.preview(entry, Asked(5, 1)).rows
    fake.faults.append(lambda *_: UnreachableError("gone"))
    stock.refresh()
    assert stock.trouble == "gone"
    stock.refresh()
    assert stock.trouble is None
    stock.close()


def test_a_hub_that_comes_back_is_no_longer_in_trouble(clinic, monkeypatch):
    stock = Stock(Hub(clinic.home / "hub", trust=clinic.trust), clinic.trust)
    stock.refresh()
    shelf = stock.shelf

    def gone(_):
        raise HubError("It is gone.")

    with monkeypatch.context() as patch:
        patch.setattr(Hub, "stamp", gone)
        stock.refresh()
        assert stock.trouble == "It is gone."
    stock.refresh()
    assert stock.trouble is None
    assert stock.shelf is shelf
    stock.close()


def test_files_that_nobody_asked_for_make_room(clinic, monkeypatch):
    hub = Hub(clinic.home / "hub", trust=clinic.trust)
    every = {one.tag: one for one in hub.entries({}) if one.name == "cardio/a"}
    rack = Rack(hub, room=3 * clinic.file("a").stat().st_size // 2)
    first = rack.file(every["1.0"])
    assert rack.file(every["1.0"]) == first
    second = rack.file(every["1.1"])
    # Who got its path a moment ago can still open it; who asks now gets another one.
    assert first.read_bytes() == clinic.file("a").read_bytes()
    again = rack.file(every["1.0"])
    assert again != first
    assert again.read_bytes() == clinic.file("a").read_bytes()
    with pytest.raises(TrustError):
        rack.file(replace(every["1.0"], signature=replace(every["1.0"].signature, status="unknown key")))
    real = time.monotonic
    monkeypatch.setattr(racks.time, "monotonic", lambda: real() + racks.GRACE + 1)
    rack.forget()
    assert not first.exists()
    assert not second.exists()
    assert again.exists()
    assert rack.file(every["1.0"]) != again
    rack.close()
    assert not again.exists()


def test_files_that_were_let_go_of_fill_no_disk(clinic):
    hub = Hub(clinic.home / "hub", trust=clinic.trust)
    every = {one.tag: one for one in hub.entries({}) if one.name == "cardio/a"}
    rack = Rack(hub, room=3 * clinic.file("a").stat().st_size // 2)
    paths = [rack.file(every[tag]) for tag in ("1.0", "1.1", "1.0", "1.1")]
    assert [path.exists() for path in paths] == [False, False, True, True]
    rack.close()


def test_what_is_fetched_while_trust_changes_is_fetched_again(clinic):
    hub = Hub(clinic.home / "hub", trust=clinic.trust)
    entry = next(one for one in hub.entries({}) if (one.name, one.tag) == ("cardio/a", "1.0"))
    rack = Rack(hub)
    real, pulls = hub.pull, []

    def pull(*words, **more):
        pulls.append(words)
        found = real(*words, **more)
        if len(pulls) == 1:
            rack.forget()
        return found

    hub.pull = pull
    first = rack.file(entry)
    assert first.exists()
    second = rack.file(entry)
    assert second != first
    assert rack.file(entry) == second
    assert len(pulls) == 2
    rack.close()


def test_an_address_shows_the_same_patients_for_ever(client):
    answer = client.get("/play/cardio/a:1.0?is.arm=intensive&more=", follow_redirects=False)
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert "is.arm=intensive" in place
    assert "more" not in place
    one, two = (client.get(place).text for _ in range(2))
    assert one == two
    again = client.get(f"{place}&again=1", follow_redirects=False).headers["location"]
    assert again.count("seed=") == 1
    assert again != place


# --- things that break ------------------------------------------------------------------------------------------------


def test_a_registry_that_is_away_is_no_missing_page(served, monkeypatch):
    client, stock = served

    def gone(*_, **__):
        raise UnreachableError("registry.example cannot be reached.")

    monkeypatch.setattr(Rack, "file", gone)
    for path in ("/api/v1/files/cardio/a:1.0", "/api/v1/preview/cardio/a:1.0", "/play/cardio/a:1.0?seed=1"):
        answer = client.get(path)
        assert answer.status_code == 502, path
        assert "cannot be reached" in answer.text
        assert answer.headers["retry-after"]
    assert "cannot be reached" in client.get("/releases/cardio/a:1.0").text
    assert stock.trouble is None


def test_a_failure_is_an_answer_with_headers_and_tells_nothing(served, monkeypatch, capfd):
    client, _ = served

    def broken(*_, **__):
        raise ZeroDivisionError("secret of the operator")

    monkeypatch.setattr(Stock, "entry", broken)
    answer = client.get("/releases/cardio/a:1.0")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]
    assert "secret of the operator" in capfd.readouterr().err


def test_other_sites_may_link_and_not_ask(client):
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert client.get("/", headers={**cross, "Sec-Fetch-Mode": "navigate"}).status_code == 200
    assert client.get("/api/v1/sample/cardio/a:1.0", headers={**cross, "Sec-Fetch-Mode": "no-cors"}).status_code == 403


def test_heads_have_no_body(client):
    answer = client.head("/")
    assert answer.status_code == 200
    assert answer.content == b""
    for path in ("/api/v1/sample/cardio/a:1.0", "/api/v1/preview/cardio/a:1.0", "/play/cardio/a:1.0", "/compare"):
        assert client.head(path).status_code == 405


def test_pages_beyond_the_last(client):
    answer = client.get("/?page=99&q=sbp", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=sbp&page=1")


def test_all_values_of_a_filter(client):
    page = client.get("/filters/signer?q=sbp")
    assert "/?q=sbp&amp;signer=Clinic" in page.text
    assert client.get("/filters/nothing").status_code == 404


def test_dossiers_that_are_not_there_are_explained(client):
    assert "combined" in client.get("/dossiers/region/all:1").text
    answer = client.get("/dossiers/cardio/a:1.0")
    assert answer.status_code == 404
    assert "cardio/a:1.0 has no dossier: nobody has measured" in answer.text
    assert "format=" not in answer.text


def test_the_document_of_the_api_is_true(client):
    found = client.get("/api/v1/openapi.json").json()
    listed = {one["name"] for one in found["paths"]["/api/v1/releases"]["get"]["parameters"]}
    assert {"q", "offset", "limit", "privacy", "signer", "label"} <= listed
    shapes.Releases.model_validate(client.get("/api/v1/releases").json())
    for name in ("cardio/a:1.0", "region/all:1", "research/open:1"):
        shapes.Release.model_validate(client.get(f"/api/v1/releases/{name}").json())
        shapes.Preview.model_validate(client.get(f"/api/v1/preview/{name}?n=3").json())
    shapes.Refusal.model_validate(client.get("/api/v1/releases/none:1").json())
    sample = found["paths"]["/api/v1/sample/{label}"]["get"]["responses"]
    assert "text/csv" in sample["200"]["content"]
    assert {"400", "403", "404", "502", "503"} <= set(sample)


def test_many_previews_at_once_are_all_answered(client):
    found = []

    def ask(seed):
        found.append(client.get(f"/api/v1/preview/cardio/a:1.0?n=20&seed={seed}").status_code)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(24)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [200] * 24
