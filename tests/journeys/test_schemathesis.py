"""Questions that nobody thought of, made from the API's own description: no answer is a failure of the hub."""

import itertools
import time
from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

import web_kit as kit
from wardgan.access.people import new_token
from wardgan.hub.hub import Hub
from wardgan.web.pace import Pace

_ROUNDS = 3
_MOST = 2_000
_BUSY = 0.02
# Releases of each kind, and what an account and nobody are told of their patients, and of their file.
LABELS = {
    "cardio/a:1.0": ((200, 200), (200, 200)),  # public; none of these has a dossier
    "region/all:1": ((200, 200), (200, 200)),  # combined
    "research/open:1": ((200, 401), (200, 401)),  # for accounts, and not private
    "drawn/a:1.0": ((200, 401), (403, 401)),  # sample-only
    "agreed/a:1.0": ((403, 401), (403, 401)),  # its terms were not accepted
    "gone/a:1.0": ((403, 403), (403, 403)),  # revoked
    "other/unsigned:1": ((403, 403), (403, 403)),
    "no/such:1": ((404, 404), (404, 404)),
}
PEOPLE = ("account", "nobody")
DRAWING = ("/preview/", "/sample/")
# Ways that make a file, or a stream.
MAKING = ("/api/v1/sample/{label}",)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    clinic = kit.stocked(tmp_path_factory.mktemp("schemathesis"))
    store = Hub(clinic.home / "hub", trust=clinic.trust)
    for at, name in enumerate(("drawn", "agreed", "gone")):
        store.push(clinic.file(name, data=f"data-000001{at}", created=f"2026-04-0{at + 1}"), f"{name}/a:1.0")
    store.revoke("gone/a:1.0", clinic.key, "wrong units")
    with kit.guarded(clinic) as (client, database, rules):
        client.app.state.desk._draws = Pace(1_000_000, 60.0)
        for name in ("cardio", "region", "gone", "other"):
            rules.set(f"{name}/*", "public")
        rules.set("drawn/*", "sample-only", rows=1_000_000)
        rules.set("agreed/*", "terms", text="Be kind.")
        tokens = {"account": "Ana", "another": "Bea"}
        people = {who: {"Authorization": f"Bearer {new_token(database, name)[0]}"} for who, name in tokens.items()}
        rules.grant("Ana", "drawn/*")
        yield client, {**people, "nobody": {}}


def operations(client):
    schema = schemathesis.openapi.from_dict(client.get("/api/v1/openapi.json").json())
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def allowed(label, who, path):
    """What somebody is told of a release if the question is in order; 200 for what is neither patients nor a file."""
    patients, file = LABELS[label]
    found = patients if any(way in path for way in DRAWING) else file if "/files/" in path else None
    if found is not None:
        return found[PEOPLE.index(who)]
    return 404 if label.startswith("no/") else 200


def test_there_is_a_release_of_each_kind(hub):
    client, people = hub
    for label, who, way in itertools.product(LABELS, PEOPLE, ("preview", "sample", "files", "releases", "dcat")):
        path = f"/api/v1/{way}/{label}"
        answer = client.get(path, params={"n": 5} if way in ("preview", "sample") else {}, headers=people[who])
        assert answer.status_code == allowed(label, who, path), (label, who, way, answer.text)


class Asked:
    """Asks what schemathesis makes up, and keeps what was answered."""

    def __init__(self, client, people):
        self.client, self.people = client, people
        self.statuses, self.large = [], 0

    def ask(self, operation, case, label, who):
        path = operation.path.replace("{label}", label)
        for name, value in (case.path_parameters or {}).items():
            path = path.replace("{" + name + "}", quote(str(value), safe=""))
        query = dict(case.query or {})
        n = query.get("n")
        if operation.path in MAKING and allowed(label, who, path) == 200 and isinstance(n, int):
            query["n"] = min(n, _MOST)  # patients by the million are another test's business
        elif isinstance(n, int) and n > _MOST:
            self.large += 1
        answer = self.client.request(
            operation.method, path, params=query, headers=self.people[who], follow_redirects=False
        )
        self.check(answer, (operation.label, path, query, who), label, who)

    def check(self, answer, what, label, who):
        status = answer.status_code
        self.statuses.append(status)
        if status >= 400:
            message = answer.json()["error"]["message"]
            assert message, what
            # Only who waits for others may be told to come back.
            assert status < 500 or (status == 503 and "thers are drawing" in message), (what, answer.text)
            assert status != 503 or int(answer.headers["Retry-After"]) > 0, what
        elif status != 202 and label in what[1]:  # what is ordered is judged when it is made
            assert allowed(label, who, what[1]) == 200, what
        assert status != 202 or who == "account", what


def test_no_question_breaks_the_hub(hub):
    client, people = hub
    found = operations(client)
    parts = {label.split()[1].split("/")[3] for label in found}
    assert parts == {"releases", "files", "preview", "sample", "jobs", "dcat"}
    asked = Asked(client, people)

    def asking(operation):
        cases = list(itertools.product(LABELS if "{label}" in operation.path else ("cardio/a:1.0",), PEOPLE))
        turns = itertools.cycle(cases)

        @seed(len(operation.label))
        @settings(max_examples=max(20, _ROUNDS * len(cases)), deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy())
        def every(case):
            asked.ask(operation, case, *next(turns))

        return every

    for operation in found.values():
        asking(operation)()
    statuses = asked.statuses
    assert len(statuses) > 20 * len(found)
    assert sum(status < 300 for status in statuses) > len(statuses) / 10
    assert sum(status == 503 for status in statuses) <= _BUSY * len(statuses)
    assert asked.large > 20


def test_a_busy_hub_is_the_only_one_that_gives_up(hub, monkeypatch):
    """What `Asked.check` allows is what a hub says whose processes are all at work."""
    client, people = hub
    workers = client.app.state.stock.workers
    held = [workers._idle.get(timeout=60) for _ in range(2)]
    monkeypatch.setattr(workers, "_wait", 0.01)
    asked = Asked(client, people)
    try:
        answer = client.get("/api/v1/preview/cardio/a:1.0?n=5", headers=people["account"])
    finally:
        for one in held:
            workers._idle.put(one)
    assert answer.status_code == 503
    asked.check(answer, ("", "", {}, "account"), "cardio/a:1.0", "account")


def test_a_file_is_there_for_whoever_asked_for_it_alone(hub):
    """Schemathesis makes up no number of a file that exists."""
    client, people = hub
    found = {label: one for label, one in operations(client).items() if "{number}" in one.path}
    assert len(found) == 3
    number = client.post("/api/v1/sample/cardio/a:1.0?n=5", headers=people["another"]).json()["id"]
    until = time.monotonic() + 60
    while client.get(f"/api/v1/jobs/{number}", headers=people["another"]).json()["state"] != "ready":
        assert time.monotonic() < until
        time.sleep(0.05)
    for who, statuses in (("nobody", {401}), ("account", {404}), ("another", {200, 204})):
        for operation in sorted(found.values(), key=lambda one: one.method == "delete"):
            path = operation.path.replace("{number}", number)
            assert client.request(operation.method, path, headers=people[who]).status_code in statuses, operation.label
