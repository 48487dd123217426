"""Sharing through a real registry (Debian's docker-registry), with skopeo and oras as other people's tools."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub_kit import Clinic
from registry_kit import Server, needs_registry
from wardgan.cli.main import app
from wardgan.errors import DigestError, HubError, TrustError
from wardgan.hub.hub import Hub

SKOPEO, HTPASSWD = (shutil.which(name) for name in ("skopeo", "htpasswd"))
needs_skopeo = pytest.mark.skipif(SKOPEO is None, reason="skopeo is not installed (Debian: skopeo)")
pytestmark = needs_registry


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    return Clinic(tmp_path_factory.mktemp("clinic"))


@pytest.fixture
def server(tmp_path):
    found = Server(tmp_path)
    yield found
    found.stop()


def skopeo(*words: object) -> None:
    done = subprocess.run(
        [str(SKOPEO), "copy", "--insecure-policy", "--preserve-digests", *map(str, words)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def digests(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in (folder / "blobs" / "sha256").iterdir()}


def test_through_a_registry_and_back(clinic, server, tmp_path):
    hub = Hub(server.place, trust=clinic.trust)
    for path, name in ((clinic.file(), "cardio/a:1.0"), (clinic.region(), "region/all:2026")):
        made = hub.push(path, name)
        assert made.sent > 0
        assert hub.push(path, name).sent == 0
        assert hub.pull(name, tmp_path / "got.hgan", force=True).path.read_bytes() == path.read_bytes()
        assert hub.pull(f"{name.partition(':')[0]}@{made.digest}", tmp_path / "got.hgan", force=True).entry.tag == name[
            -4:
        ].strip(":/a")
    assert [(one.name, one.tag) for one in hub.list()] == [("cardio/a", "1.0"), ("region/all", "2026")]
    assert [one.name for one in hub.search("sbp region")] == ["region/all"]
    hub.revoke("cardio/a:1.0", clinic.key, "a column was wrong")
    with pytest.raises(TrustError, match="was revoked by Clinic"):
        hub.pull("cardio/a:1.0", tmp_path / "x.hgan")


@needs_skopeo
def test_skopeo_copies_our_folder_to_a_registry_and_back(clinic, server, tmp_path):
    ours = Hub(tmp_path / "ours", trust=clinic.trust)
    for path, name in ((clinic.file(), "cardio/a:1.0"), (clinic.region(), "region/all:2026")):
        ours.push(path, name)
        where = f"docker://{server.place}/{name}"
        skopeo("--dest-tls-verify=false", f"oci:{tmp_path / 'ours'}:{name}", where)
        skopeo("--src-tls-verify=false", where, f"oci:{tmp_path / 'theirs'}:{name}")
        for hub in (Hub(server.place, trust=clinic.trust), Hub(tmp_path / "theirs", trust=clinic.trust)):
            assert hub.pull(name, tmp_path / "got.hgan", force=True).path.read_bytes() == path.read_bytes()
    assert digests(tmp_path / "theirs") == digests(tmp_path / "ours")
    manifests = [
        sorted(one["digest"] for one in json.loads((tmp_path / name / "index.json").read_text())["manifests"])
        for name in ("ours", "theirs")
    ]
    assert manifests[0] == manifests[1]


def test_oras_pulls_the_parts_by_their_names(clinic, server, tmp_path):
    oras = pytest.importorskip("oras.client", reason="oras is not installed")
    Hub(server.place, trust=clinic.trust).push(clinic.file(), "a:1")
    client = oras.OrasClient(hostname=server.place, insecure=True)
    client.pull(target=f"{server.place}/a:1", outdir=str(tmp_path / "out"))
    assert {"README.md", "generator.onnx", "schema.json", "privacy.json"} <= {
        one.name for one in (tmp_path / "out").iterdir()
    }


def test_bytes_that_were_changed_on_the_servers_disk_are_refused(clinic, server, tmp_path):
    hub = Hub(server.place, trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    from wardgan.hub.parcel import parcel_of

    parcel = parcel_of(clinic.file()).parcel
    for digest in (*(blob.digest for blob in parcel.blobs), parcel.index.digest, parcel.digest):
        file = server.blob(digest)
        good = file.read_bytes()
        file.write_bytes(good.replace(b"0", b"9") if b"0" in good else good + b" ")
        assert file.read_bytes() != good
        with pytest.raises((DigestError, HubError)):
            hub.pull("a:1", tmp_path / "x.hgan")
        assert not (tmp_path / "x.hgan").exists()
        file.write_bytes(good)
    hub.pull("a:1", tmp_path / "x.hgan")


def test_a_registry_that_is_down_and_comes_back(clinic, server, tmp_path, monkeypatch):
    hub = Hub(server.place, trust=clinic.trust)
    hub.push(clinic.file(), "a:1")
    server.stop()
    pauses = []

    def back(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            server.start()

    from wardgan.hub.registry import Registry

    monkeypatch.setattr(hub, "_store", lambda: Registry(server.place, pause=back))
    hub.pull("a:1", tmp_path / "x.hgan")
    assert len(pauses) == 2
    server.stop()
    monkeypatch.setattr(hub, "_store", lambda: Registry(server.place, pause=lambda _: None))
    with pytest.raises(HubError, match=r"cannot be reached \(ConnectError, tried 5 times\)"):
        hub.pull("a:1", tmp_path / "y.hgan")
    server.start()


@pytest.mark.skipif(HTPASSWD is None, reason="htpasswd is not installed (Debian: apache2-utils)")
def test_a_registry_with_passwords(clinic, tmp_path, monkeypatch):
    import base64

    users = tmp_path / "users"
    users.write_text(
        subprocess.run([str(HTPASSWD), "-Bbn", "ada", "s3cret"], capture_output=True, text=True, check=True).stdout
    )
    server = Server(tmp_path, users)
    try:
        monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "auth.json"))
        with pytest.raises(HubError, match="asks who you are"):
            Hub(server.place, trust=clinic.trust).push(clinic.file(), "a:1")
        for password, works in (("wrong", False), ("s3cret", True)):
            entry = {"auth": base64.b64encode(f"ada:{password}".encode()).decode()}
            (tmp_path / "auth.json").write_text(json.dumps({"auths": {server.place: entry}}))
            hub = Hub(server.place, trust=clinic.trust)
            if works:
                hub.push(clinic.file(), "a:1")
                hub.pull("a:1", tmp_path / "x.hgan")
            else:
                with pytest.raises(HubError, match="refuses"):
                    hub.push(clinic.file(), "a:1")
    finally:
        server.stop()


KILLED = """
import sys
from wardgan.hub.hub import Hub
from wardgan.hub.moving import Meter
place, trust, file, name, where = sys.argv[1:]
def watch(done, total, title):
    print(done, flush=True)
    if done > total // 2:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
hub = Hub(place, trust=trust)
hub.push(file, name, watch=watch) if where == "push" else hub.pull(name, where, watch=watch)
"""


@pytest.mark.parametrize("kind", ["folder", "registry"])
def test_killed_in_the_middle_nothing_is_half_visible(kind, clinic, server, tmp_path):
    place = str(tmp_path / "hub") if kind == "folder" else server.place
    hub = Hub(place, trust=clinic.trust)
    hub.push(clinic.file(), "a:1")

    def killed(name: str, where: str) -> None:
        words = [sys.executable, "-c", KILLED, place, str(clinic.trust), str(clinic.region()), name, where]
        done = subprocess.run(words, capture_output=True, env=dict(os.environ), check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    killed("b:1", "push")
    assert [one.name for one in hub.list()] == ["a"]
    with pytest.raises(HubError, match="has no b:1"):
        hub.pull("b:1", tmp_path / "x.hgan")
    made = hub.push(clinic.region(), "b:1")
    assert 0 < made.sent < hub.entry("b:1").bytes
    killed("b:1", str(tmp_path / "x.hgan"))
    assert not (tmp_path / "x.hgan").exists()
    hub.pull("b:1", tmp_path / "x.hgan")
    assert (tmp_path / "x.hgan").read_bytes() == clinic.region().read_bytes()
    assert not [one for one in tmp_path.iterdir() if one.name.endswith(".pull")]


def test_the_command_line(clinic, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARDGAN_TRUST", str(clinic.trust))

    def run(*words: object):
        return CliRunner().invoke(app, [str(word) for word in words])

    for target in ("./hub:cardio/a:1.0", f"{server.place}/cardio/a:1.0"):
        done = run("push", clinic.file(), target)
        assert done.exit_code == 0, done.output
        assert f"Next: wardgan pull {target}" in done.output
        assert "is there already" in run("push", clinic.file(), target).output
        done = run("pull", target, "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["output"] == "a-1.0.hgan"
        assert run("pull", target).exit_code == 2  # the file exists
        (tmp_path / "a-1.0.hgan").unlink()
        place = target.partition(":cardio" if target.startswith(".") else "/cardio")[0]
        listed = run("list", place)
        assert "cardio/a:1.0" in listed.output
        assert "epsilon 1" in listed.output
        assert "cardio/a:1.0" in run("search", "SBP", "--hub", place).output
        assert "nothing of that kind" in run("search", "xyz", "--hub", place).output
        done = run("revoke", target, "--key", clinic.key, "--reason", "wrong units")
        assert done.exit_code == 0, done.output
        assert "revoked by Clinic" in done.output
        done = run("pull", target)
        assert done.exit_code == 3
        assert "wrong units" in done.output
        assert "REVOKED" in run("list", place).output
        digest = run("list", place, "--revoked").output.strip()
        assert digest == json.loads(run("list", place, "--json").stdout)["releases"][0]["digest"]
    assert run("pull", "./hub").exit_code == 2
    assert run("pull", "https://x.example/a").exit_code == 2
