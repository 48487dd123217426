"""Questions that nobody thought of, made from the API's own description: no answer is a failure of the hub."""

from urllib.parse import quote

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

import web_kit as kit
from wardgan.access.people import new_token
from wardgan.web.pace import Pace

_EXAMPLES = 25
_MOST = 2_000
# What a path should name, so that questions go beyond "there is no such release".
_LABEL = "cardio/a:1.0"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    clinic = kit.stocked(tmp_path_factory.mktemp("schemathesis"))
    with kit.guarded(clinic) as (client, database, _):
        client.app.state.desk._draws = Pace(1_000_000, 60.0)
        yield client, {"Authorization": f"Bearer {new_token(database, 'Ana')[0]}"}


def operations(client):
    schema = schemathesis.openapi.from_dict(client.get("/api/v1/openapi.json").json())
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def test_no_question_breaks_the_hub(hub):
    client, headers = hub
    found = operations(client)
    parts = {label.split()[1].split("/")[3] for label in found}
    assert parts == {"releases", "files", "preview", "sample", "jobs", "dcat"}
    answers = []

    def ask(operation, case):
        path = operation.path.replace("{label}", _LABEL)
        for name, value in (case.path_parameters or {}).items():
            path = path.replace("{" + name + "}", quote(str(value), safe=""))
        # Patients by the million are another test's business.
        query = {name: min(value, _MOST) if name == "n" and isinstance(value, int) else value
                 for name, value in (case.query or {}).items()}  # fmt: skip
        answer = client.request(operation.method, path, params=query, headers=headers, follow_redirects=False)
        answers.append(answer.status_code)
        assert answer.status_code < 500 or answer.status_code == 503, (operation.label, path, query, answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"], (operation.label, path)

    def asking(operation):
        @seed(len(operation.label))
        @settings(max_examples=_EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy())
        def every(case):
            ask(operation, case)

        return every

    for operation in found.values():
        asking(operation)()
    assert len(answers) > 10 * len(found)
    assert sum(status < 300 for status in answers) > len(answers) / 10
