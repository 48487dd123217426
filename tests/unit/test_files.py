"""Files appear whole or not at all."""

import errno
import os
import resource
import signal
import socket
import stat

import pytest

from wardgan import files
from wardgan.errors import OutputError


def test_bytes_arrive_and_nothing_else_is_left(tmp_path):
    path = files.write_bytes(tmp_path / "a.bin", b"hello")
    assert path.read_bytes() == b"hello"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_mode_is_set_from_the_beginning(tmp_path):
    with files.new_file(tmp_path / "key", mode=0o600) as handle:
        (part,) = tmp_path.iterdir()
        assert part.stat().st_mode & 0o777 == 0o600
        handle.write(b"secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_existing_file_is_kept_unless_forced(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"exists; choose another name, or replace it \(--force, force=True\)"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    files.write_bytes(path, b"new", force=True)
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_file_that_appears_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a"
    writing = files.new_file(path)
    writing.__enter__().write(b"mine")
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="exists"):
        writing.__exit__(None, None, None)
    assert path.read_bytes() == b"theirs"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("taken", [False, True])
def test_file_system_without_hard_links(tmp_path, monkeypatch, taken):
    def no_link(source, target):
        if taken:
            target.write_bytes(b"theirs")
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    path = tmp_path / "a"
    if taken:
        with pytest.raises(OutputError, match="exists"):
            files.write_bytes(path, b"mine")
    else:
        files.write_bytes(path, b"mine")
    assert path.read_bytes() == (b"theirs" if taken else b"mine")
    assert os.listdir(tmp_path) == ["a"]


def test_dangling_link_counts_as_existing(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError, match="exists"):
        files.write_bytes(tmp_path / "a", b"x")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("chain", [1, 3])
def test_a_link_stays_and_its_file_is_replaced(tmp_path, chain):
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir()
    away.mkdir()
    (away / "real").write_bytes(b"old")
    goal = away / "real"
    for number in range(chain):
        (home / f"link{number}").symlink_to(goal)
        goal = home / f"link{number}"
    with pytest.raises(OutputError, match="exists"):
        files.write_bytes(goal, b"new")
    with files.new_file(goal, force=True) as handle:
        # Beside the file, because a rename is atomic only inside one file system.
        assert len(os.listdir(away)) == 2
        handle.write(b"new")
    assert goal.is_symlink()
    assert (away / "real").read_bytes() == b"new"
    assert os.listdir(away) == ["real"]
    assert len(os.listdir(home)) == chain


def test_a_relative_link_is_followed_from_where_it_lies(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    files.write_bytes("in/link", b"new", force=True)
    assert (tmp_path / "in" / "real").read_bytes() == b"new"
    assert (tmp_path / "in" / "link").is_symlink()


@pytest.mark.parametrize("goal", ["nowhere/x", "link", "."])
def test_links_that_lead_to_no_file_are_refused(tmp_path, goal):
    (tmp_path / "link").symlink_to(goal)
    with pytest.raises(OutputError):
        files.write_bytes(tmp_path / "link", b"x", force=True)
    assert os.listdir(tmp_path) == ["link"]
    assert (tmp_path / "link").is_symlink()


def pipe(path):
    os.mkfifo(path)


def listening(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


@pytest.mark.parametrize("make", [pipe, listening])
@pytest.mark.parametrize("through", ["", "link"])
@pytest.mark.parametrize("force", [False, True])
def test_pipes_and_sockets_are_never_replaced(tmp_path, monkeypatch, make, through, force):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    make(tmp_path / "special")
    kind = stat.S_IFMT((tmp_path / "special").stat().st_mode)
    path = tmp_path / "special"
    if through:
        path = tmp_path / "link"
        path.symlink_to("special")
    for refuse in (files.check_new, lambda *given, **more: files.write_bytes(*given, b"x", **more)):
        with pytest.raises(OutputError, match="is a device, a pipe or a socket, and is never replaced"):
            refuse(path, force=force)
    assert stat.S_IFMT((tmp_path / "special").stat().st_mode) == kind
    assert sorted(os.listdir(tmp_path)) == sorted({"special", path.name})


def test_a_pipe_that_appears_meanwhile_is_kept(tmp_path):
    writing = files.new_file(tmp_path / "a", force=True)
    writing.__enter__().write(b"mine")
    os.mkfifo(tmp_path / "a")
    with pytest.raises(OutputError, match="never replaced"):
        writing.__exit__(None, None, None)
    assert stat.S_ISFIFO((tmp_path / "a").stat().st_mode)
    assert os.listdir(tmp_path) == ["a"]


def test_standard_output_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for force in (False, True):
        with pytest.raises(OutputError, match="stands for standard output, where nothing is written to; name a file"):
            files.write_bytes("-", b"x", force=force)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", [None, 3, b"a", "a\0b"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(OutputError, match="is not a path; pass text or a pathlib"):
        files.write_bytes(path, b"x")


def test_full_disk_leaves_nothing(tmp_path):
    """A real limit of the operating system stands for a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large; nothing was changed"):
            files.write_bytes(tmp_path / "a", bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert os.listdir(tmp_path) == []


def test_full_disk_at_the_last_moment_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        files.write_bytes(path, b"new", force=True)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_failure_while_writing_leaves_nothing(tmp_path):
    writing = files.new_file(tmp_path / "a")
    writing.__enter__().write(b"half")
    passed_on = not writing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert passed_on
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("name", "phrase"), [("", "is a folder"), ("none/a", "does not exist"), ("x" * 300, "cannot")])
def test_impossible_targets(tmp_path, name, phrase):
    with pytest.raises(OutputError, match=phrase):
        files.write_bytes(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == []


def test_part_file_lies_beside_its_target(tmp_path):
    """A rename is atomic only inside one file system."""
    with files.new_file(tmp_path / "a"):
        (part,) = tmp_path.iterdir()
        assert part.name.startswith(".a.")
