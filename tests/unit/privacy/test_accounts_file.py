"""Whatever is wrong with the file of the institution's ledger: a clear error, and nothing is written over."""

import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from accounts_kit import claim, opened, patients, plan, raw
from wardgan.errors import FormatError, OutputError, UsageError, VersionError
from wardgan.privacy.accounts import file as file_module
from wardgan.privacy.accounts.book import Accounts
from wardgan.privacy.accounts.file import VERSION
from wardgan.privacy.events import Budget


@pytest.fixture
def full(tmp_path):
    with opened(tmp_path) as accounts:
        for at in range(40):
            accounts.reserve(patients(), claim(str(at), 0.01))
            accounts.settle(str(at), plan(0.01).events)
    return tmp_path / "ledger.db"


def untouched(path, kind, phrase, *, create=True):
    """Opens a ledger in all ways, which must be refused, and leaves its bytes as they are."""
    before = path.read_bytes()
    for more in ({}, {"create": create}, {"writable": False}):
        with pytest.raises(kind, match=phrase):
            Accounts.open(path, **more)
    assert path.read_bytes() == before
    assert {each.name for each in path.parent.iterdir()} <= {path.name, f"{path.name}.key"}


def test_there_is_none(tmp_path):
    with pytest.raises(UsageError, match="does not exist; wardgan fit makes one"):
        Accounts.open(tmp_path / "ledger.db")
    with pytest.raises(OutputError, match="is a folder"):
        Accounts.open(tmp_path)
    with pytest.raises(OutputError, match="does not exist; create it first") as refused:
        Accounts.open(tmp_path / "nowhere" / "ledger.db", create=True)
    assert "--ledger FILE" in " ".join(refused.value.__notes__)
    with pytest.raises(UsageError, match="int is not a path"):
        Accounts.open(3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 10, 60])
def test_it_was_cut_off_near_its_head(full, kept):
    full.write_bytes(full.read_bytes()[:kept])
    untouched(full, FormatError, "empty: it was cut off|is no ledger|damaged")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_it_was_cut_off_further_on(full, share):
    data = full.read_bytes()
    full.write_bytes(data[: int(share * len(data))])
    untouched(full, FormatError, "damaged; it is never overwritten. Put the last copy")


def test_a_page_of_it_is_rubbish(full):
    data = bytearray(full.read_bytes())
    data[4096 * 2 : 4096 * 12] = os.urandom(4096 * 10)
    full.write_bytes(data)
    untouched(full, FormatError, "damaged")


def test_it_is_a_file_of_another_kind(full):
    full.write_text("patient_id,age\nQuixote,50\n", encoding="utf-8")
    untouched(full, FormatError, "is no ledger; it is never overwritten")


def test_it_is_a_database_of_another_program(tmp_path):
    path = tmp_path / "ledger.db"
    raw(tmp_path, "CREATE TABLE entry (id INTEGER PRIMARY KEY)")
    untouched(path, FormatError, "database of another program")


def test_it_is_newer(full):
    raw(full.parent, f"PRAGMA user_version = {VERSION + 1}")
    untouched(full, VersionError, "newer wardgan; upgrade")


def test_a_table_is_missing(full):
    raw(full.parent, "DROP TABLE link")
    with Accounts.open(full) as accounts, pytest.raises(FormatError, match="damaged"):
        accounts.show()


def test_another_process_holds_it_for_too_long(full):
    holder = sqlite3.connect(full, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        with Accounts.open(full, wait=0.05) as accounts:
            assert len(accounts.show()[0].entries) == 40
            with pytest.raises(OutputError, match="in use by another process for too long"):
                accounts.reserve(patients(), claim("x", 0.1))
            with pytest.raises(OutputError, match="in use"):
                accounts.cap(Budget(1.0))
    finally:
        holder.close()
    with Accounts.open(full) as accounts:
        assert accounts.entry("x") is None


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no users")
def test_it_cannot_be_written_to(full):
    """The superuser may write everywhere, so another user tries."""
    full.chmod(0o444)
    closed = [each for each in (full.parent, *full.parent.parents) if not each.stat().st_mode & 1]
    modes = [each.stat().st_mode for each in closed]
    for each, mode in zip(closed, modes, strict=True):
        each.chmod(mode & ~0o222 | 0o111)
    try:
        code = "import os, sys; sys.path[:0] = sys.argv[2:]; from pathlib import Path; from test_accounts_file import _read_only; "
        code += "os.geteuid() or os.setuid(65534); _read_only(Path(sys.argv[1]))"
        words = [sys.executable, "-c", code, str(full), *filter(None, sys.path), os.path.dirname(__file__)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    finally:
        for each, mode in zip(closed, modes, strict=True):
            each.chmod(mode)
    assert done.returncode == 0, done.stderr


def _read_only(path):
    with Accounts.open(path, writable=False) as accounts:
        assert len(accounts.show()[0].entries) == 40
    with pytest.raises(OutputError, match=r"cannot be read or written to .*--ledger FILE"):
        Accounts.open(path).reserve(patients(), claim("x", 0.1))


def test_a_shown_ledger_is_not_written_to(full):
    with Accounts.open(full, writable=False) as accounts, pytest.raises(OutputError, match=r"cannot be .* written to"):
        accounts.cap(Budget(1.0))


def test_two_who_make_it_at_once_make_one(tmp_path, monkeypatch):
    real, made = file_module.files.write_bytes, []

    def late(path, data, **more):
        if not made:
            made.append(path)
            with opened(tmp_path) as other:
                other.cap(Budget(1.0))
        return real(path, data, **more)

    monkeypatch.setattr(file_module.files, "write_bytes", late)
    with opened(tmp_path) as accounts:
        accounts.reserve(patients(), claim("one", 0.5))
        assert [cap.epsilon for cap in accounts.show()[0].caps] == [1.0]


def test_threads_of_one_process_wait_for_each_other(tmp_path):
    with opened(tmp_path) as accounts:
        accounts.cap(Budget(1.0))
    refused = []

    def spend(name):
        for at in range(8):
            with opened(tmp_path) as own:
                try:
                    own.reserve(patients(), claim(f"{name}{at}", 0.3))
                except Exception as error:
                    refused.append(error)

    threads = [threading.Thread(target=spend, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(tmp_path) as accounts:
        found = accounts.show()[0]
    assert found.total().epsilon <= 1.0
    assert len(found.entries) + len(refused) == 16
    assert {type(error).__name__ for error in refused} == {"BudgetError"}


def test_commits_are_on_the_disk_before_a_patient_is_read(full):
    with Accounts.open(full) as accounts:
        connection = accounts._connection
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "journal_mode")]
        assert settings == [2, "wal"]
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
