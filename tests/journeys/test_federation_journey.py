"""A training over a network: real processes with certificates on this machine."""

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

import pytest

import wardgan as wg
from combining_kit import schema
from federating_kit import policy_file, write_hospital
from wardgan.federating.agreement import Agreement
from wardgan.federating.policy import Policy
from wardgan.privacy.ledger import Ledger

if find_spec("nvflare") is None:
    pytest.skip("NVFlare is not installed (pip install 'wardgan[federate]')", allow_module_level=True)

SITES = ("alpha", "beta")
CALL = [sys.executable, "-W", "ignore", "-m", "wardgan", "federate"]


def run(*words, **more):
    found = subprocess.run([*CALL, *map(str, words)], capture_output=True, text=True, timeout=240, check=False, **more)
    return found.returncode, found.stdout + found.stderr


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    place = tmp_path_factory.mktemp("home")
    for at, name in enumerate(SITES):
        write_hospital(place, name, at)
        policy_file(place, name)
    agreement = {
        "name": "region", "schema": schema("x", None).to_dict(), "family": "tabgan", "settings": {"steps": 100},
        "patients": 600, "hospitals": 2, "epsilon": 2, "overlap": 1,
    }  # fmt: skip
    (place / "agreement.yaml").write_text(json.dumps(agreement))
    code, text = run("provision", *SITES, "-o", place / "kits", "--port", free_port())
    assert code == 0, text
    return place


def site(home, name):
    return subprocess.Popen(
        [*CALL, "site", str(home / "kits" / name), "--policy", str(home / f"{name}.yaml")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
def test_two_hospitals_train_over_a_network_and_their_ledgers_are_exact(home):
    sites = [site(home, name) for name in SITES]
    try:
        code, text = run(
            "coordinate", home / "agreement.yaml", home / "kits", "-o", home / "all.hgan", "--patience", 60,
            "--job-rounds", 1, "--join", 60,
        )  # fmt: skip
        assert code == 0, text
        assert [one.wait(timeout=60) for one in sites] == [0, 0]
    finally:
        for one in sites:
            one.kill()
    privacy = wg.inspect(home / "all.hgan")["privacy"]
    assert privacy["origin"]["rounds"] == 2
    # A training that is over is released again without asking anybody.
    code, text = run("coordinate", home / "agreement.yaml", home / "kits", "-o", home / "again.hgan", "--join", 1)
    assert code == 0, text
    assert wg.load(home / "again.hgan").sample(5, seed=1).equals(wg.load(home / "all.hgan").sample(5, seed=1))
    for one in privacy["sites"]:
        ledger = Ledger.resume(next((home / f"run-{one['name']}").glob("*/ledger.jsonl")))
        said = {event["name"]: event.get("steps", 1) for event in one["ledger"]["events"]}
        assert said == {event.name: event.steps for event in ledger.events}
        assert said["discriminator"] == 100


def test_kits_let_nothing_run_but_two_classes_and_are_nobody_elses(home):
    from wardgan.federating.flare import CENTRE, HOSPITAL

    for name in (*SITES, "server"):
        kit = home / "kits" / name
        found = json.loads((kit / "local" / "resources.json").read_text())
        assert found["class_list_enforcement_mode"] == "enforce"
        assert found["class_allow_list"] == [CENTRE if name == "server" else HOSPITAL]
        rights = json.loads((kit / "local" / "authorization.json").read_text())["permissions"]
        assert {role.get("byoc", "none") for role in rights.values()} == {"none"}
        assert {role.get("shell_commands", "none") for role in rights.values()} == {"none"}
    for one in (home / "kits").rglob("*"):
        if "store" not in one.parts and one.name not in ("console.txt",) and one.suffix in (".key", ".json", ".crt"):
            assert one.stat().st_mode & 0o077 == 0 or "startup" not in one.parts, one
    assert (home / "kits").stat().st_mode & 0o077 == 0
    assert not list((home / "kits" / "server").rglob("rootCA.key"))


REFUSED = """
import json, sys, time
from pathlib import Path
from wardgan.federating.flare.processes import _server, _session, write_job
from wardgan.federating.agreement import Agreement

home, executor, workflow = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
what = Agreement.load(home / "agreement.yaml")
with _server((home / "kits" / "server").resolve()), _session((home / "kits" / "admin").resolve()) as session:
    end = time.monotonic() + 60
    while len(session.get_connected_client_list()) < 2 and time.monotonic() < end:
        time.sleep(0.5)
    job = write_job(what, home / f"job-{time.time_ns()}", patience=20, most=1)
    client = job / "app" / "config" / "config_fed_client.json"
    facts = json.loads(client.read_text())
    if executor:
        facts["executors"][0]["executor"] = executor
    client.write_text(json.dumps(facts))
    if workflow:
        custom = job / "app" / "custom"
        custom.mkdir()
        (custom / "evil.py").write_text("open('/tmp/never', 'w')")
    name = session.submit_job(str(job))
    _, meta = session.monitor_job_and_return_job_meta(name, timeout=90, poll_interval=0.5)
    print("STATUS", (meta or {}).get("status"), (meta or {}).get("job_deploy_detail"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("path", ["subprocess.Popen", "wardgan.federating.flare.launcher.spawn_process", None])
def test_a_job_that_names_another_class_or_brings_code_is_refused(home, path):
    # The second one is a function that a module of ours has imported: a prefix would allow it.
    marker, custom = home / "ran", path is None
    words = {"args" if path == "subprocess.Popen" else "cmd_args": ["/usr/bin/touch", str(marker)]}
    executor = {} if custom else {"path": path, "args": words}
    sites = [site(home, name) for name in SITES]
    try:
        words = [sys.executable, "-W", "ignore", "-c", REFUSED, str(home), json.dumps(executor), json.dumps(custom)]
        found = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
        for one in sites:
            one.wait(timeout=60)
    finally:
        for one in sites:
            one.kill()
    assert "STATUS" in found.stdout, found.stderr[-2000:]
    assert "COMPLETED" not in found.stdout
    assert not marker.exists()
    if custom:
        assert "BYOC not permitted" in found.stdout
    else:
        logs = "".join((home / "kits" / name / "console.txt").read_text() for name in SITES)
        assert str(path) in logs
        assert "not in allow_list" in logs


def expired(kit):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "alpha")])
    past = datetime.now(UTC) - timedelta(days=10)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(past).not_valid_after(past + timedelta(days=5))
    data = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (kit / "startup").mkdir(parents=True)
    (kit / "startup" / "client.crt").write_bytes(data)


def test_expired_certificates_and_folders_that_are_no_kits_are_refused_at_once(tmp_path, home):
    expired(tmp_path / "old")
    code, text = run("site", tmp_path / "old", "--policy", home / "alpha.yaml")
    assert code == 3
    assert "is valid from" in " ".join(text.split())
    for place in (tmp_path, tmp_path / "nope"):
        code, text = run("site", place)
        assert code == 2
        assert "no startup kit" in text
        assert "taking part" not in text
    code, text = run("coordinate", home / "agreement.yaml", tmp_path, "-o", tmp_path / "x.hgan")
    assert code == 2
    assert not (tmp_path / "x.hgan").exists()


def test_kits_are_never_written_over_others_and_names_must_be_names(tmp_path, home):
    code, text = run("provision", "a", "b", "-o", home / "kits")
    assert code == 2
    assert "choose a new folder" in " ".join(text.split())
    for words in (
        ("a",),
        ("a", "a"),
        ("a", "b c"),
        ("a", "server"),
        ("a", "b", "--port", "0"),
        ("a", "b", "--host", "-x"),
    ):
        code, _ = run("provision", *words, "-o", tmp_path / "kits")
        assert code == 2, words
        assert not (tmp_path / "kits").exists()


def refused(home, *words):
    """A site that must say why it does not take part, and start nothing."""
    kit = home / "fresh" / "alpha"
    code, text = run("site", kit, *words)
    assert code == 2, text
    assert "taking part" not in text
    assert not (kit / "console.txt").exists()
    return " ".join(text.split())


def test_a_policy_that_is_not_filled_in_is_refused_before_anything_is_started(home):
    code, text = run("provision", *SITES, "-o", home / "fresh", "--port", free_port())
    assert code == 0, text
    path = home / "fresh" / "alpha" / "local" / "policy.yaml"
    template = path.read_text()
    said = refused(home)
    assert "local/policy.yaml' is not filled in: data, schema, population, patients. Write them into that file." in said
    filled = {"data": "patients.csv", "schema": "schema.yaml", "population": "300", "patients": "data-3f9c2a71"}
    for name, value in filled.items():
        template = template.replace(f"\n{name}: ", f"\n{name}: {value} ")
    path.write_text(template.replace("population: 300", "population:"))
    assert "is not filled in: population." in refused(home)
    path.write_text(template)
    said = refused(home)
    assert "names what is not there" in said
    assert "patients.csv'), schema (" in said
    assert "schema.yaml')." in said
    (path.parent / "patients.csv").write_text("id\n")
    assert "patients.csv" not in refused(home)
    assert "cannot be read" in refused(home, "--policy", home / "missing.yaml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("localhost", "Only 0 of at least 2 hospitals joined in 1 seconds (--join): none."),
        ("server.invalid", "could not be reached in 30 seconds as server.invalid:"),
    ],
)
def test_when_nobody_comes_one_sentence_says_so(tmp_path, home, host, why):
    code, text = run("provision", *SITES, "-o", tmp_path / "kits", "--host", host, "--port", free_port())
    assert code == 0, text
    words = ["coordinate", home / "agreement.yaml", tmp_path / "kits", "-o", tmp_path / "x.hgan", "--join", "1"]
    found = subprocess.run([*CALL, *map(str, words)], capture_output=True, text=True, timeout=240, check=False)
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.strip().startswith("error: ")
    assert len(found.stderr.strip().splitlines()) == 1, found.stderr
    assert why in found.stderr
    # What NVFlare says is kept where somebody who looks for it finds it.
    assert "FLARE" in (tmp_path / "kits" / "admin" / "console.txt").read_text()


@pytest.mark.slow
def test_a_training_whose_state_is_lost_is_refused_over_a_network_too(tmp_path):
    """Nobody has a step left, so there would be a file of no round."""
    for at, name in enumerate(SITES):
        write_hospital(tmp_path, name, at)
        policy_file(tmp_path, name)
    what = {
        "name": "region", "schema": schema("x", None).to_dict(), "family": "tabgan", "settings": {"steps": 50},
        "patients": 600, "hospitals": 2, "epsilon": 2, "overlap": 1,
    }  # fmt: skip
    (tmp_path / "agreement.yaml").write_text(json.dumps(what))
    policies = [Policy.load(tmp_path / f"{name}.yaml") for name in SITES]
    wg.federate(Agreement.load(tmp_path / "agreement.yaml"), policies, tmp_path / "first.hgan")
    code, text = run("provision", *SITES, "-o", tmp_path / "kits", "--port", free_port())
    assert code == 0, text
    sites = [site(tmp_path, name) for name in SITES]
    try:
        code, text = run(
            "coordinate", tmp_path / "agreement.yaml", tmp_path / "kits", "-o", tmp_path / "x.hgan", "--join", 60,
            "--patience", 60,
        )  # fmt: skip
    finally:
        for one in sites:
            one.terminate()
            one.wait(timeout=60)
    assert code == 4, text
    assert "alpha, beta have already spent" in " ".join(text.split())
    assert not (tmp_path / "x.hgan").exists()
