"""A hub's database, in a file and in a real PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest


def programs() -> Path | None:
    """Where PostgreSQL's programs are."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parts[-3]))
    if found:
        return found[-1].parent
    known = shutil.which("initdb")
    return None if known is None else Path(known).parent


@contextmanager
def postgresql(folder):
    """A server of its own, on a socket in a folder; skips where there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra postgresql)")
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    home = Path(folder)
    command = []
    if os.geteuid() == 0:
        # It refuses to run as root.
        try:
            user = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL has no user of its own here")
        os.chown(home, user.pw_uid, user.pw_gid)
        for above in [home, *home.parents]:
            if above.stat().st_uid == 0 and above != Path("/") and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)
        command = ["runuser", "-u", "postgres", "--"]
    data = home / "data"
    done = subprocess.run(
        [*command, where / "initdb", "-D", data, "-A", "trust", "-U", "hub", "--no-sync"], capture_output=True, text=True,
        check=False, cwd=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    options = f"-k {home} -c listen_addresses='' -c fsync=off"
    pg = [*command, where / "pg_ctl", "-D", data, "-w"]
    subprocess.run([*pg, "-o", options, "-l", home / "log", "start"], check=True, capture_output=True, cwd=home)
    try:
        yield f"postgresql://hub@/postgres?host={home}"
    finally:
        subprocess.run([*pg, "-m", "immediate", "stop"], check=False, capture_output=True, cwd=home)
