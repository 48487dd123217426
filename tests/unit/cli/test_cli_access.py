"""What an operator types: tokens, policies, the log, and words of `serve` that are refused."""

import json
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from wardgan.cli.main import app

pytest.importorskip("fastapi", reason="fastapi is not installed (the extra hub)")
pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")


@pytest.fixture
def do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("hub").mkdir()

    def run(*words, code=0):
        done = CliRunner().invoke(app, list(words))
        assert done.exit_code == code, (done.exit_code, done.stdout, done.stderr)
        return done

    return run


def lines(do):
    return json.loads(do("audit-log", "show", "--json").stdout)["lines"]


def test_a_token_is_shown_once_and_ends(do):
    made = json.loads(do("token", "new", "Ana Example", "--scopes", "read,sample", "--days", "3", "--json").stdout)
    token = do("token", "new", "Bo").stdout.strip()
    assert made["token"].startswith(f"wgt_{made['id']}_")
    assert token.startswith("wgt_")
    listed = do("token", "list").stdout
    assert "Ana Example" in listed
    assert made["token"] not in listed + do("token", "list", "--json").stdout
    do("token", "revoke", token)
    do("token", "revoke", token, code=2)
    assert "revoked" in do("token", "list").stdout
    do("token", "close", "Ana Example")
    refused = do("token", "new", "Ana Example", code=2)
    assert "the account is closed" in refused.stderr
    assert [one["action"] for one in lines(do)] == ["token made", "token made", "token revoked", "account closed"]


def test_policies_and_grants(do):
    do("token", "new", "Ana")
    Path("terms.md").write_text("Be kind.", encoding="utf-8")
    do("access", "set", "cardio/*", "terms", "--terms", "terms.md", "--granted")
    do("access", "set", "cardio/sprint", "sample-only", "--rows", "500")
    do("access", "grant", "Ana", "cardio/*")
    found = json.loads(do("access", "list", "--json").stdout)
    assert [(one["pattern"], one["tier"], one["rows"]) for one in found["policies"]] == [
        ("cardio/*", "terms", None), ("cardio/sprint", "sample-only", 500),
    ]  # fmt: skip
    assert [(one["account"], one["name"]) for one in found["grants"]] == [("Ana", "cardio/*")]
    shown = do("access", "list").stdout
    assert "sample-only" in shown
    assert "Ana was granted cardio/*" in shown
    do("access", "withdraw", "Ana", "cardio/*")
    do("access", "withdraw", "Ana", "cardio/*", code=2)
    do("access", "unset", "cardio/sprint")
    do("access", "unset", "cardio/sprint", code=2)
    do("access", "grant", "Nobody Such", "cardio/*", code=2)
    do("access", "set", "cardio/*", "registered", "--rows", "5", code=2)
    do("access", "set", "cardio/*", "secret", code=2)
    do("access", "set", "cardio/*", "terms", "--terms", "absent.md", code=2)


def test_a_log_that_was_changed_ends_with_3(do):
    do("token", "new", "Ana")
    do("token", "new", "Bo")
    noted = lines(do)[-1]["digest"]
    assert noted in do("audit-log", "verify", "--seen", noted).stdout
    assert json.loads(do("audit-log", "verify", "--json").stdout)["lines"] == 2
    do("audit-log", "verify", "--seen", "1" * 64, code=3)
    do("audit-log", "verify", "--seen", "x", code=2)
    with closing(sqlite3.connect("hub.db", isolation_level=None)) as line:
        line.execute("DROP TRIGGER audit_kept_update")
        line.execute("UPDATE audit_log SET who = 'Cy' WHERE number = 1")
    done = do("audit-log", "verify", code=3)
    assert "1" in done.stderr
    assert json.loads(do("audit-log", "verify", "--json", code=3).stdout)["wrong"]


def test_a_database_that_is_not_there_is_not_made_by_a_look(do):
    for words in (("token", "list"), ("access", "list"), ("audit-log", "show"), ("audit-log", "verify")):
        assert "is not there" in do(*words, code=2).stderr
        assert not Path("hub.db").exists()


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["--host", "::"], "whoever reaches pages without accounts"),
        (["--host", "::", "--database", "hub.db"], "tokens would travel in the clear"),
        (["--host", ""], "it is empty"),
        (["--host", "no such host", "--database", "hub.db", "--plain-http"], "cannot listen there"),
        (["--closed"], "they are for a hub with accounts"),
        (["--tier", "public"], "they are for a hub with accounts"),
        (["--tier", "terms", "--database", "hub.db"], "neither public nor registered"),
        (["--database", "absent.db"], "is not there"),
        (["--database", "mysql://a/b"], "neither the path of a file"),
        (["--name", "http://x"], "is not the name of a host"),
        (["--certificate", "c.pem"], "TLS wants both"),
        (["--key", "k.pem"], "TLS wants both"),
        (["--certificate", "absent.pem", "--key", "terms.md"], "is not there"),
        (["--certificate", "terms.md", "--key", "terms.md"], "cannot be used together"),
        (["--files", "terms.md"], "cannot be used"),
        (["--hub", "absent"], "absent"),
        (["--oidc", "https://login.example", "--oidc-client", "hub"], "--database"),
        (["--oidc-client", "hub"], "--oidc"),
        (["--oidc-claim", "a=b"], "--oidc"),
        (["--database", "hub.db", "--oidc", "http://login.example", "--oidc-client", "hub"], "identity provider"),
        (["--database", "hub.db", "--oidc", "https://login.example"], "--oidc-client"),
    ],
)
def test_words_of_serve_that_are_refused(do, words, phrase):
    do("token", "new", "Ana")
    Path("terms.md").write_text("Be kind.", encoding="utf-8")
    assert phrase in do("serve", "--port", "0", *words, code=2).stderr


def test_a_port_that_is_taken(do):
    with socket.socket() as other:
        other.bind(("localhost", 0))
        other.listen()
        done = do("serve", "--port", str(other.getsockname()[1]), code=2)
    assert "choose another with --port" in done.stderr
