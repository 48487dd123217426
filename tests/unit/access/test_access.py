"""Accounts, tokens, rules and the log, in SQLite and in PostgreSQL."""

import hashlib
import json
import secrets
import sqlite3
import stat
import tempfile
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="sqlalchemy is not installed (the extra hub)")

import sqlalchemy as sa

import access_kit
from wardgan.access import database as module
from wardgan.access import people, rules, sessions
from wardgan.access.database import Database, DatabaseError, log, meta, tokens, usage
from wardgan.access.database import sessions as tables_of_sessions
from wardgan.access.journal import head_of, lines, note, verify
from wardgan.access.people import account_by, account_of, all_tokens, close_account, new_token, revoke_token
from wardgan.access.rules import TIERS, AccessError, LimitError, Policy, Rules, default, policy_of
from wardgan.errors import UsageError

NAME = "cardio/sprint"


@pytest.fixture(scope="session")
def server():
    # A socket's path may not be long.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder, access_kit.postgresql(folder) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "hub.db")
    url = request.getfixturevalue("server")
    name = f"t{secrets.token_hex(6)}"
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with engine.connect() as line:
        line.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture
def database(place):
    found = Database(place)
    yield found
    found.close()


@pytest.fixture
def file(tmp_path):
    return Path(tmp_path / "hub.db")


def signed_in(database, name="Ana", **more):
    return account_of(database, new_token(database, name, **more)[0])


# --- the database -----------------------------------------------------------------------------------------------------


def test_it_is_kept_and_found_again(place):
    first = Database(place)
    token, _ = new_token(first, "Ana")
    first.close()
    second = Database(place)
    assert account_of(second, token).name == "Ana"
    second.close()


def test_nobody_else_on_the_machine_reads_the_file(file):
    Database(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_database_of_something_else_is_left_alone(tmp_path):
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other, isolation_level=None)) as line:
        line.execute("CREATE TABLE patients (name TEXT)")
    with pytest.raises(DatabaseError, match="something else"):
        Database(other)
    (tmp_path / "text.db").write_text("no database " * 100)
    with pytest.raises(DatabaseError, match="does not answer"):
        Database(tmp_path / "text.db")
    with pytest.raises(UsageError, match="is not there"):
        Database(tmp_path / "none.db", new=False)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        Database(tmp_path / "no" / "folder.db")
    for text in ("mysql://x/y", "postgresql:/x://", "://", "", ":memory:", "sqlite://", "postgresql://u:pw@h:abc/db"):
        with pytest.raises(UsageError, match="neither the path"):
            Database(text)


def test_a_newer_one_is_left_alone(database, place):
    with database.write() as line:
        line.execute(sa.update(module.meta).where(module.meta.c.name == "version").values(value="2"))
    with pytest.raises(DatabaseError, match="version 2"):
        Database(place)


def test_a_password_is_not_told():
    with pytest.raises(DatabaseError) as error:
        Database("postgresql://hub:secret@localhost:1/none")
    assert "secret" not in str(error.value)


def test_a_locked_file_is_told(file, monkeypatch):
    monkeypatch.setattr(module, "_BUSY", 0.2)
    found = Database(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="locked"):
            new_token(found, "Ana")
    assert new_token(found, "Ana")
    assert verify(found).wrong == ()
    found.close()


def test_what_fails_in_the_middle_leaves_nothing(database, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("killed")

    monkeypatch.setattr(people, "note", broken)
    with pytest.raises(RuntimeError):
        new_token(database, "Ana")
    assert all_tokens(database) == []


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_a_token_opens_its_account_and_no_other_text_does(database):
    token, kept = new_token(database, "Ana  of\tX", scopes=["sample", "read"], days=3)
    account = account_of(database, token)
    assert (account.name, account.scopes, account.token) == ("Ana of X", {"read", "sample"}, kept.id)
    assert account_by(database, kept.id) == account
    _, number, secret = token.split("_", 2)
    wrong = [
        "", "x", token[:-1], token + "a", token.upper(), f"wgt_{'0' * 12}_{secret}", f"wgt_{number}_{'a' * 43}", secret,
        f" {token}", f"wgt_{number}_{secret}'--", f"{token}\n",
    ]  # fmt: skip
    for text in wrong:
        assert account_of(database, text) is None, text


def test_of_a_token_only_a_digest_is_kept(database):
    token, kept = new_token(database, "Ana")
    secret = token.split("_", 2)[2]
    with database.read() as line:
        rows = json.dumps(
            [list(map(str, row)) for table in module.tables.sorted_tables for row in line.execute(sa.select(table))]
        )
    assert secret not in rows
    assert hashlib.sha256(secret.encode()).hexdigest() in rows
    assert kept.id in rows


def test_an_unknown_token_takes_the_same_way_as_a_known_one(database, monkeypatch):
    seen = []
    real = people.hmac.compare_digest
    monkeypatch.setattr(people.hmac, "compare_digest", lambda a, b: seen.append((len(a), len(b))) or real(a, b))
    token, _ = new_token(database, "Ana")
    for text in (token, f"wgt_{'0' * 12}_{'a' * 43}", "nonsense", ""):
        account_of(database, text)
    assert seen == [(64, 64)] * 4


def test_tokens_end(database):
    token, kept = new_token(database, "Ana", days=1)
    with database.write() as line:
        line.execute(tokens.update().values(expires="2020-01-01T00:00:00Z"))
    assert account_of(database, token) is None
    assert account_by(database, kept.id) is None
    token, kept = new_token(database, "Ana")
    revoke_token(database, token)
    assert account_of(database, token) is None
    with pytest.raises(UsageError, match="not there, or was taken back"):
        revoke_token(database, kept.id)
    token, _ = new_token(database, "Ana")
    close_account(database, "Ana")
    assert account_of(database, token) is None
    with pytest.raises(UsageError, match="closed"):
        new_token(database, "Ana")
    with pytest.raises(UsageError, match="closed already"):
        close_account(database, "Ana")


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        ({"name": ""}, "name of an account"), ({"name": "operator"}, "name of an account"), ({"name": "nobody"}, "name"),
        ({"name": "x" * 201}, "name of an account"), ({"name": "a\u202eb"}, "name of an account"),
        ({"name": "A", "scopes": []}, "choose some of"), ({"name": "A", "scopes": ["root"]}, "choose some of"),
        ({"name": "A", "days": 0}, "days=0"), ({"name": "A", "days": 4000}, "more than 3,650"),
    ],
)  # fmt: skip
def test_tokens_that_are_refused(file, given, phrase):
    found = Database(file)
    with pytest.raises(UsageError, match=phrase):
        new_token(found, **given)
    assert head_of(found)[0] == 0
    found.close()


# --- rules ------------------------------------------------------------------------------------------------------------


def test_bytes_that_are_no_text_are_refused(database):
    new_token(database, "Ana")
    some = Rules(database, default("registered"))
    for act in (
        lambda: close_account(database, "\udcff"), lambda: revoke_token(database, "\udcff"),
        lambda: some.grant("\udcff", "a"), lambda: some.unset("\udcff"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match="bytes that are no text"):
            act()


def test_a_name_is_the_same_however_it_was_typed(database):
    new_token(database, "Zo\u00eb  Example")
    some = Rules(database, default("registered"))
    some.grant(" Zoe\u0308 Example", "a")
    assert [one[0] for one in some.grants()] == ["Zo\u00eb Example"]
    close_account(database, "Zoe\u0308 Example")


def test_the_longest_beginning_decides():
    every = {one: Policy(one, "registered") for one in ("*", "cardio/*", "cardio/sprint", "cardio/heart/*")}
    for name, wanted in (
        ("cardio/sprint", "cardio/sprint"), ("cardio/other", "cardio/*"), ("cardio/heart/a", "cardio/heart/*"),
        ("cardiology", "*"), ("cardio", "*"), ("cardio/sprint/x", "cardio/*"),
    ):  # fmt: skip
        assert policy_of(every, name, default("public")).pattern == wanted, name
    assert policy_of({}, "x", default("public")).tier == "public"


TABLE = [
    # tier, signed in, scopes, granted, accepted: may sample, may take the file
    ("public", False, (), False, False, True, True),
    ("public", True, ("read",), False, False, True, True),
    ("registered", False, (), False, False, False, False),
    ("registered", True, ("read", "sample"), False, False, True, False),
    ("registered", True, ("read", "pull"), False, False, False, True),
    ("terms", False, (), False, False, False, False),
    ("terms", True, ("read", "sample", "pull"), False, False, False, False),
    ("terms", True, ("read", "sample", "pull"), False, True, True, True),
    ("sample-only", True, ("read", "sample", "pull"), False, False, False, False),
    ("sample-only", True, ("read", "sample", "pull"), True, False, True, False),
    ("sample-only", True, ("read", "pull"), True, False, False, False),
]


@pytest.mark.parametrize(("tier", "known", "scopes", "granted", "accepted", "sample", "file"), TABLE)
def test_who_may_what(database, tier, known, scopes, granted, accepted, sample, file):
    found = Rules(database, default("registered"))
    policy = found.set("cardio/*", tier, text="Be kind." if tier == "terms" else None)
    account = signed_in(database, scopes=list(scopes)) if known else None
    if granted:
        found.grant("Ana", NAME)
    if accepted:
        found.accept(account, policy, policy.terms)

    def may(action):
        try:
            found.check(account, [NAME], action)
        except AccessError:
            return False
        return True

    assert (may("see"), may("sample"), may("file")) == (True, sample, file)


def test_a_closed_hub_shows_nothing_to_nobody(database):
    found = Rules(database, default("public"), closed=True)
    with pytest.raises(AccessError, match="sign in first"):
        found.check(None, [NAME], "see")
    found.check(signed_in(database), [NAME], "file")
    with pytest.raises(AccessError, match="not for that"):
        found.check(signed_in(database, "B", scopes=["sample"]), [NAME], "see")


def test_terms_that_change_are_accepted_anew(database):
    found = Rules(database, default("registered"))
    ana = signed_in(database)
    first = found.set(NAME, "terms", text="One.")
    found.accept(ana, first, first.terms)
    found.accept(ana, first, first.terms)
    found.check(ana, [NAME], "sample")
    second = found.set(NAME, "terms", text="Two.")
    with pytest.raises(AccessError, match="accept its terms"):
        found.check(ana, [NAME], "sample")
    with pytest.raises(UsageError, match="changed"):
        found.accept(ana, second, first.terms)
    assert found.terms(second) == "Two."
    again = found.set(NAME, "terms", text="One.")
    found.check(ana, [NAME], "sample")
    assert again.terms == first.terms
    told = [one for one in lines(database) if one.action == "terms accepted"]
    assert [(one.who, json.loads(one.detail)["terms"]) for one in told] == [("Ana", first.terms)]


def test_grants_hold_for_names_and_beginnings_and_are_taken_back(database):
    found = Rules(database, default("public"))
    found.set("*", "registered", granted=True)
    ana = signed_in(database)
    with pytest.raises(AccessError, match="not granted"):
        found.check(ana, [NAME], "sample")
    found.grant("Ana", "cardio/*")
    found.check(ana, [NAME], "sample")
    with pytest.raises(AccessError, match="not granted"):
        found.check(ana, ["other/x"], "sample")
    assert [one[:2] for one in found.grants()] == [("Ana", "cardio/*")]
    found.grant("Ana", "cardio/*", take=True)
    with pytest.raises(AccessError, match="not granted"):
        found.check(ana, [NAME], "sample")
    for given in ({"take": True}, {}):
        with pytest.raises(UsageError):
            found.grant("Ana" if given else "Nobody here", "cardio/*", **given)
    found.unset("*")
    found.check(None, [NAME], "file")
    with pytest.raises(UsageError, match="no policy"):
        found.unset("*")


def test_a_day_has_so_many_patients_and_not_one_more(database):
    found = Rules(database, default("public"))
    policy = found.set(NAME, "sample-only", rows=1_000)
    ana, bo = signed_in(database), signed_in(database, "Bo")
    found.spend(ana, {NAME: policy}, 400)
    found.spend(ana, {NAME: policy}, 600)
    for rows in (1, 5_000):
        with pytest.raises(LimitError, match="more than the 0 of 1,000"):
            found.spend(ana, {NAME: policy}, rows)
    found.spend(bo, {NAME: policy}, 1_000)
    found.spend(ana, {"cardio/other": policy}, 1_000)
    assert found.spent(ana, NAME) == 1_000
    with database.write() as line:
        line.execute(usage.update().values(day="2020-01-01"))
    found.spend(ana, {NAME: policy}, 1_000)
    assert found.spent(ana, NAME) == 1_000
    assert datetime.now(UTC).year > 2020


def test_many_at_once_do_not_get_more(database):
    found = Rules(database, default("public"))
    policy = found.set(NAME, "sample-only", rows=100)
    ana, got = signed_in(database), []

    def draw():
        try:
            found.spend(ana, {NAME: policy}, 10)
            got.append(10)
        except LimitError:
            pass

    threads = [threading.Thread(target=draw) for _ in range(24)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(got) == 100


@pytest.mark.parametrize(
    ("given", "phrase"),
    [
        (("a b", "public"), "neither a name"), (("cardio/**", "public"), "neither a name"), (("x", "open"), "not one of"),
        (("x", "terms"), "wants the text"), (("*", "sample-only", 0), "rows=0"), (("*", "sample-only", 1 << 40), "no limit"),
        (("x", "registered", 5), "not counted"),
    ],
)  # fmt: skip
def test_policies_that_are_refused(file, given, phrase):
    found = Database(file)
    with pytest.raises(UsageError, match=phrase):
        Rules(found, default("public")).set(*given[:2], rows=given[2] if len(given) > 2 else None)
    with pytest.raises(UsageError, match="granted to everybody"):
        Rules(found, default("public")).set("x", "public", granted=True)
    with pytest.raises(UsageError, match="has none"):
        Rules(found, default("public")).set("x", "public", text="t")
    with pytest.raises(UsageError, match="is empty"):
        Rules(found, default("public")).set("x", "terms", text=" \n")
    assert set(TIERS) == {"public", "registered", "terms", "sample-only"}
    assert rules.ROWS > 0
    found.close()


def test_yesterday_gives_today_no_room(database, monkeypatch):
    found = Rules(database, default("registered"))
    policy = found.set(NAME, "sample-only", rows=100)
    ana = signed_in(database)

    with monkeypatch.context() as patch:
        patch.setattr(rules, "now", lambda: "2020-01-01T12:00:00Z")
        found.spend(ana, {NAME: policy}, 100)
    found.spend(ana, {NAME: policy}, 100)
    with pytest.raises(LimitError, match="more than the 0 of 100"):
        found.spend(ana, {NAME: policy}, 1)


def test_of_several_names_all_are_counted_or_none(database):
    found = Rules(database, default("registered"))
    small, large = found.set("a", "sample-only", rows=10), found.set("b", "sample-only", rows=5)
    ana = signed_in(database)
    with pytest.raises(LimitError, match=r"^b: "):
        found.spend(ana, {"a": small, "b": large}, 8)
    assert found.spent(ana, "a") == found.spent(ana, "b") == 0


def test_terms_of_another_pattern_are_not_these(database):
    found = Rules(database, default("registered"))
    one, other = found.set("a", "terms", text="Be kind."), found.set("b", "terms", text="Be kind.")
    ana = signed_in(database)
    found.accept(ana, one, one.terms)
    assert found.accepted(ana, one)
    assert not found.accepted(ana, other)


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_ends(database):
    ana = signed_in(database)
    word = sessions.begin(database, ana, "here")
    assert sessions.account_in(database, word).name == "Ana"
    assert sessions.account_in(database, word + "x") is None
    with database.write() as line:
        line.execute(tables_of_sessions.update().values(expires="2020-01-01T00:00:00Z"))
    assert sessions.account_in(database, word) is None
    sessions.begin(database, ana, "here")
    with database.read() as line:
        assert line.scalar(sa.select(sa.func.count()).select_from(tables_of_sessions)) == 1
    with database.read() as line:
        ends = line.scalar(sa.select(tables_of_sessions.c.expires))
    assert ends < (datetime.now(UTC) + timedelta(hours=12, minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- another file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_took_its_place_is_not_written_to(tmp_path, gone):
    path = tmp_path / "hub.db"
    found = Database(path)
    token, _ = new_token(found, "Ana")
    if gone:
        path.unlink()
    else:
        Database(tmp_path / "other.db").close()
        (tmp_path / "other.db").replace(path)
    for what in (lambda: account_of(found, token), lambda: new_token(found, "Bo")):
        with pytest.raises(DatabaseError, match=r"another file|cannot be opened"):
            what()
    found.close()


def test_a_copy_is_looked_at_and_not_changed(tmp_path):
    path = tmp_path / "hub.db"
    found = Database(path)
    new_token(found, "Ana")
    found.close()
    copy = tmp_path / "copy" / "hub.db"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    copy.chmod(0o444)
    copy.parent.chmod(0o555)
    before = copy.read_bytes()
    look = Database(copy, new=False, look=True)
    assert verify(look).wrong == ()
    with pytest.raises(DatabaseError, match="does not answer"):
        new_token(look, "Bo")
    look.close()
    assert copy.read_bytes() == before
    copy.parent.chmod(0o755)


def test_a_look_does_not_wait_for_who_writes(file):
    found = Database(file)
    new_token(found, "Ana")
    with found.write() as line:
        note(line, "operator", "x", "y")
        look = Database(file, new=False, look=True)
        assert verify(look).lines == 1
        look.close()
    found.close()


def test_a_file_that_others_could_read_is_closed_to_them(file):
    Database(file).close()
    file.chmod(0o644)
    Database(file).close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "place",
    [
        "sqlite:///t.db?mode=ro&uri=true",
        "sqlite+aiosqlite:///t.db",
        "sqlite://",
        ":memory:",
        "mysql://h/d",
        "",
        "postgresql+asyncpg://h/d",
    ],
)
def test_places_that_are_none(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError):
        Database(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://u:SECRET@localhost:1/x",
        "postgresql://u@localhost:1/x?password=SECRET",
        "postgresql://u:SEC@RET@localhost:1/x",
    ],
)
def test_no_password_is_told_wherever_it_stands(place):
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra postgresql)")
    with pytest.raises((DatabaseError, UsageError)) as told:
        Database(place)
    assert "SEC" not in str(told.value)
    assert "RET" not in str(told.value)


def test_verifying_while_others_write_sees_one_moment(place):
    found, stop = Database(place), threading.Event()

    def write():
        other = Database(place)
        while not stop.is_set():
            with other.write() as line:
                note(line, "operator", "x", "y")
        other.close()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert all(verify(found).wrong == () for _ in range(60))
    finally:
        stop.set()
        thread.join()
    found.close()


def test_a_log_that_lost_its_head_is_told(database):
    with database.write() as line:
        line.execute(sa.update(meta).where(meta.c.name == "head").values(value="x"))
    with pytest.raises(DatabaseError, match="lost its end"):
        new_token(database, "Ana")
    assert verify(database).wrong


# --- the log ----------------------------------------------------------------------------------------------------------


def written(database, count=6):
    for at in range(count):
        with database.write() as line:
            note(line, "Ana", "did", f"thing {at}", {"n": at})


def test_the_chain_is_what_its_rule_says(database):
    written(database)
    found = list(lines(database))
    assert [one.number for one in found] == [1, 2, 3, 4, 5, 6]
    previous = "0" * 64
    for one in found:
        text = json.dumps(
            {"action": one.action, "at": one.at, "detail": one.detail, "number": one.number, "previous": previous,
             "subject": one.subject, "who": one.who}, ensure_ascii=False,
        )  # fmt: skip
        previous = hashlib.sha256(text.encode()).hexdigest()
        assert one.digest == previous
    assert verify(database).wrong == ()
    assert verify(database, seen=found[2].digest).wrong == ()
    assert head_of(database) == (6, previous)
    assert [one.number for one in lines(database, last=2)] == [5, 6]


def test_nobody_changes_a_line_by_mistake(database):
    written(database)
    again = sa.text(
        "INSERT INTO audit_log SELECT -1,at,who,action,subject,detail,previous,digest FROM audit_log WHERE number=3"
    )
    for change in (log.update().values(who="Bo"), log.delete(), again):
        with pytest.raises(DatabaseError, match="only added to"), database.write() as line:
            line.execute(change)
    assert verify(database).lines == 6


MUTANTS = {
    "changed": ("UPDATE audit_log SET who='Bo' WHERE number=3", "Line 3 was changed"),
    "taken out": ("DELETE FROM audit_log WHERE number=3", "Line 3 is missing"),
    "cut off": ("DELETE FROM audit_log WHERE number>4", "lines at the end are missing"),
    "first": ("DELETE FROM audit_log WHERE number=1", "Line 1 is missing"),
    "renumbered": ("UPDATE audit_log SET number=9 WHERE number=6", "Line 6 is missing"),
    "before": ("INSERT INTO audit_log SELECT -1,at,who,action,subject,detail,previous,digest FROM audit_log WHERE number=3", "Line -1 should not"),
    "behind": ("INSERT INTO audit_log SELECT 7,at,who,action,subject,detail,previous,digest FROM audit_log WHERE number=3", "lines at the end"),
    "head set back": ("UPDATE meta SET value='0 ' || value WHERE name='head'", "written last"),
    "head of an older line": ("UPDATE meta SET value=(SELECT '3 ' || digest FROM audit_log WHERE number=3) WHERE name='head'", "written last"),
    "head lost": ("UPDATE meta SET value='x' WHERE name='head'", "written last"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_whoever_changes_the_log_is_seen(place, database, name):
    written(database)
    with database.write() as line:
        named = ["audit_kept_update", "audit_kept_delete", "audit_kept_insert"]
        if database.url.get_backend_name() == "postgresql":
            named = ["audit_kept ON audit_log", "audit_next ON audit_log"]
        for one in named:
            line.execute(sa.text(f"DROP TRIGGER {one}"))
        line.execute(sa.text(MUTANTS[name][0]))
    assert any(MUTANTS[name][1] in one for one in verify(database).wrong), verify(database)


def test_a_log_that_was_written_anew_lacks_what_was_noted(database, place):
    written(database)
    seen = head_of(database)[1]
    assert any("written anew" in one for one in verify(database, seen="ab" * 32).wrong)
    assert verify(database, seen=seen).wrong == ()
    with pytest.raises(UsageError, match="is not a digest"):
        verify(database, seen="abc")


def test_many_writers_make_one_chain(place):
    every = [Database(place) for _ in range(4)]
    threads = [threading.Thread(target=written, args=(one, 8)) for one in every]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    found = verify(every[0])
    assert (found.lines, found.wrong) == (32, ())
    for one in every:
        one.close()


def test_a_change_and_its_line_are_there_together_or_not_at_all(database):
    def killed():
        with database.write() as line:
            note(line, "Ana", "did", "x")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()
    assert verify(database).lines == 0
