"""The processes of a training over a network: a hospital's, the server's, and whoever coordinates."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from wardgan import check, files
from wardgan.errors import BudgetError, OutputError, TrustError, UsageError
from wardgan.federating.agreement import Agreement
from wardgan.federating.coordinator import Coordinator, TooFewError
from wardgan.federating.flare import (
    ADMIN,
    CENTRE,
    CONSOLE,
    HOSPITAL,
    ORGANISATION,
    POLICY,
    POLICY_VARIABLE,
    RESULT,
    TASK,
)
from wardgan.federating.flare.kits import check_kit
from wardgan.federating.policy import Policy, check_files
from wardgan.federating.release import Federated, check_release, federated
from wardgan.federating.state import State
from wardgan.federating.wire import Message
from wardgan.models.base import Progress, Watcher

_SERVER: Final = ("nvflare.private.fed.app.server.server_train", "fed_server.json")
_CLIENT: Final = ("nvflare.private.fed.app.client.client_train", "fed_client.json")
_TRIES: Final = 5
_BEAT: Final = 3
_REACH: Final = 30


def run_site(kit: str | Path, policy: str | Path | None = None, *, begun: Callable[[], None] = lambda: None) -> int:
    """Runs a hospital's process until whoever coordinates ends the training; gives its exit code.

    Args:
        kit: Its startup kit.
        policy: Its policy; `None` for `local/policy.yaml` in the kit.
        begun: Is called when nothing was refused, and the process runs.

    Raises:
        UsageError: The kit or the policy is none, or files that the policy names are not there.
        FormatError: The policy is not filled in.
        TrustError: A certificate has expired.
    """
    place = check_kit(kit).resolve()
    rules = (Path(policy) if policy is not None else place / "local" / POLICY).resolve()
    check_files(Policy.load(rules), rules)
    process = _started(place, _CLIENT, [f"uid={_name_in(place)}", f"heart_beat_interval={_BEAT}"], rules)
    try:
        begun()
        return process.wait()
    finally:
        _ended(process)


def _name_in(place: Path) -> str:
    """Gives the name in a kit's certificate: it is the only one that the server believes."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    found = x509.load_pem_x509_certificate((place / "startup" / "client.crt").read_bytes())
    return str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


class Silent:
    """Nobody to ask: the training is over."""

    sites = ()

    def ask(self, message: Message) -> Mapping[str, Message]:
        """Nobody answers."""
        del message
        return {}


def coordinate(  # noqa: PLR0913 - what a training may be told, in one place
    agreement: Agreement, kits: str | Path, path: str | Path, *, patience: int = 600, most: int = 10,
    join: float = 600.0, key: str | Path | None = None, passphrase: bytes | None = None, override: str | None = None,
    created: str | None = None, force: bool = False, watch: Watcher | None = None,
) -> Federated:  # fmt: skip
    """Runs the server, trains with the hospitals that join, and writes the generator of all of them.

    The training is cut into jobs of some rounds. A hospital whose process was restarted takes part again from the next
    job on; the state lies in the server's kit, so a training that was stopped goes on where it was.

    Args:
        agreement: What was agreed on.
        kits: Folder with the kits of the server (`server`) and of the coordinator (`admin`).
        path: The `.hgan` file.
        patience: Seconds after which a step goes on without those who have not answered.
        most: Rounds in one job.
        join: Seconds to wait for hospitals at first, and again when too few are left.
        key: Private key that signs the file; it is not seen by the server.
        passphrase: Of the private key.
        override: `person: reason`, needed without privacy.
        created: Date, `YYYY-MM-DD`.
        force: Whether an existing file may be replaced.
        watch: Is told of progress.

    Raises:
        TooFewError: Fewer hospitals than agreed on joined in time; run it again to go on.
        BudgetError: The hospitals have spent all steps in an earlier training of the same agreement.
        TrustError: A certificate has expired.
        UsageError: The kits are none.
        OutputError: The file exists; or the server could not be started.
    """
    files.check_new(path, force=force)
    check.whole(1, patience=patience, most=most)
    check_release(agreement, key=key, passphrase=passphrase, override=override)
    server, admin = (check_kit(Path(kits) / name).resolve() for name in ("server", "admin"))
    folder = folder_of(server, agreement)
    if not Coordinator(agreement, Silent(), folder=folder).finished:
        with ExitStack() as held:
            work = Path(held.enter_context(tempfile.TemporaryDirectory()))
            held.enter_context(_quiet(admin))
            held.enter_context(_server(server))
            session = held.enter_context(_session(admin))
            _Jobs(session, agreement, folder, work, watch or _nobody).run(patience, most, join)
    # The server is gone: what is left is to write down what it has learned.
    coordinator = Coordinator(agreement, Silent(), folder=folder)
    return federated(coordinator, path, key=key, passphrase=passphrase, override=override, created=created, force=force)


@dataclass(frozen=True)
class _Jobs:
    """Jobs, one after the other, until the training is over; what they leave lies in the server's kit."""

    session: Any
    agreement: Agreement
    folder: Path
    work: Path
    told: Watcher

    def run(self, patience: int, most: int, join: float) -> None:
        self._joined(join)
        failures, number = 0, 0
        while True:
            job = write_job(self.agreement, self.work / f"job{number}", patience=patience, most=most)
            said = self._done(job)
            if said["done"]:
                return
            number, failures = number + 1, 0 if said["error"] is None else failures + 1
            if said["error"] is not None and (not said["again"] or failures >= _TRIES):
                raise (BudgetError if said["spent"] else TooFewError)(str(said["error"]))
            if failures:
                self._joined(join)

    def _done(self, job: Path) -> dict[str, Any]:
        """Runs a job, and gives what it says of itself: NVFlare's status speaks of processes, not of the training."""
        result = self.folder / RESULT
        result.unlink(missing_ok=True)
        name = self.session.submit_job(str(job))
        self.session.monitor_job_and_return_job_meta(name, timeout=0, poll_interval=1.0, cb=self._seen)
        if not result.exists():
            raise OutputError(
                f"The job ended without a result: a hospital refused it, or the server did; why is in {CONSOLE} in "
                "their kits."
            )
        return _json(result)

    def _seen(self, *_said: object, **_named: object) -> bool:
        state = State.load(self.folder, self.agreement.digest)
        rounds = self.agreement.rounds
        self.told(Progress(f"{len(state.members)} hospitals, {len(state.sums)} answers, rounds", state.round, rounds))
        return True

    def _joined(self, join: float) -> None:
        """Waits until all hospitals that are expected have joined; goes on with fewer when the time is up."""
        agreement, end = self.agreement, time.monotonic() + join
        while True:
            names = [one.name for one in self.session.get_connected_client_list()]
            self.told(Progress("hospitals that have joined", len(names), agreement.hospitals))
            if len(names) >= agreement.hospitals:
                return
            if time.monotonic() > end:
                break
            time.sleep(0.5)
        if len(names) < agreement.least:
            raise TooFewError(
                f"Only {len(names)} of at least {agreement.least} hospitals joined in {join:g} seconds (--join): "
                f"{', '.join(sorted(names)) or 'none'}. Run it again to go on."
            )


def folder_of(kit: Path, agreement: Agreement) -> Path:
    """Gives where a server keeps the state of a training.

    Args:
        kit: The server's.
        agreement: What was agreed on.
    """
    return kit / "together" / agreement.short


def write_job(agreement: Agreement, folder: Path, *, patience: int, most: int) -> Path:
    """Writes a job: it names two classes of this package, and holds what was agreed on; there is no code in it.

    Args:
        agreement: What was agreed on.
        folder: A new folder.
        patience: Seconds to wait for answers.
        most: Rounds.
    """
    config = folder / "app" / "config"
    config.mkdir(parents=True)
    plain: dict[str, object] = {"task_data_filters": [], "task_result_filters": [], "components": []}
    files: dict[Path, dict[str, object]] = {
        folder / "meta.json": {
            "name": "wardgan", "resource_spec": {}, "min_clients": agreement.least, "deploy_map": {"app": ["@ALL"]},
        },
        config / "config_fed_server.json": {
            "format_version": 2, "server": {"heart_beat_timeout": 60, "task_request_interval": 0.2}, **plain,
            "workflows": [
                {
                    "id": "wardgan", "path": CENTRE,
                    "args": {"agreement": agreement.to_dict(), "patience": patience, "most": most},
                }
            ],
            "dead_client_grace_period": 2.0, "dead_client_check_lead_time": 2.0,
        },
        config / "config_fed_client.json": {
            "format_version": 2, "executors": [{"tasks": [TASK], "executor": {"path": HOSPITAL, "args": {}}}], **plain,
            "default_task_fetch_interval": 0.2,
        },
    }  # fmt: skip
    for path, found in files.items():
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return folder


def _settle(kit: Path) -> None:
    """Tells the server where its stores are: in its kit, wherever that was moved to, and not in a shared folder."""
    path, store = kit / "local" / "resources.json", kit / "store"
    found = _json(path)
    found["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = str(store / "snapshots")
    for one in found["components"]:
        if one["id"] == "job_manager":
            one["args"]["uri_root"] = str(store / "jobs")
    files.write_bytes(path, json.dumps(found, indent=2).encode(), force=True, mode=0o600)


@contextmanager
def _server(kit: Path) -> Iterator[None]:
    _settle(kit)
    process = _started(kit, _SERVER, ["client_outcome_wait_timeout=10"], None)
    port = int(_json(kit / "startup" / "fed_server.json")["servers"][0]["service"]["target"].rpartition(":")[2])
    try:
        end = time.monotonic() + 60
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise OutputError(f"The server did not start on port {port}; see {kit / 'log.txt'}.")
            time.sleep(0.2)
        yield
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
    finally:
        _ended(process)


@contextmanager
def _quiet(kit: Path) -> Iterator[None]:
    """Keeps what NVFlare says in this process, on whatever thread and however late, out of what a person reads."""
    log = logging.getLogger("nvflare")
    log.propagate = False
    # It stays when the session is over: threads that still look for the server would speak after our last sentence.
    log.addHandler(logging.FileHandler(kit / CONSOLE, encoding="utf-8", delay=True))
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with (kit / CONSOLE).open("a", encoding="utf-8") as said, contextlib.redirect_stdout(said):
        yield


@contextmanager
def _session(kit: Path) -> Iterator[Any]:
    from nvflare.fuel.flare_api.api_spec import NoConnection
    from nvflare.fuel.flare_api.flare_api import new_secure_session

    try:
        session = new_secure_session(ADMIN, str(kit), timeout=_REACH)
    except NoConnection as error:
        raise UsageError(
            f"The server started, but could not be reached in {_REACH} seconds as {_address(kit)}, the name that the "
            "kits were written for. Run this where that name leads to, or write new kits with another --host."
        ) from error
    except Exception as error:
        raise TrustError(f"The server does not let the coordinator in: {type(error).__name__}: {error}") from error
    try:
        yield session
    finally:
        # Hospitals' processes end with the training. What goes wrong in that is told to the log and not to a person.
        with (kit / CONSOLE).open("a", encoding="utf-8") as said, contextlib.redirect_stderr(said):
            with contextlib.suppress(Exception):
                session.shutdown("all", timeout=20)
            with contextlib.suppress(Exception):
                session.close()


def _address(kit: Path) -> str:
    found = _json(kit / "startup" / "fed_admin.json").get("admin", {})
    return f"{found.get('host')}:{found.get('port')}"


def _started(kit: Path, what: tuple[str, str], more: list[str], policy: Path | None) -> subprocess.Popen[bytes]:
    module, config = what
    words = [
        sys.executable, "-u", "-m", module, "-m", str(kit), "-s", config, "--set", "secure_train=true", *more,
        f"org={ORGANISATION}", "config_folder=config",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if policy is not None:
        environment[POLICY_VARIABLE] = str(policy)
    with (kit / CONSOLE).open("ab") as log:
        return subprocess.Popen(
            words, cwd=kit, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            umask=0o077,
        )  # fmt: skip


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Ends a process politely, then firmly; those of its jobs end by themselves when it is gone."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
    if process.poll() is None:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("localhost", port), 1).close()
    except OSError:
        return False
    return True


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {type(error).__name__}.") from error


def _nobody(progress: Progress) -> None:
    """Nobody watches."""
