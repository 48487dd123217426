"""Startup kits: a certificate and a policy for each hospital, for the server and for whoever coordinates."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from cryptography import x509
from nvflare.lighter.constants import CtxKey, PropKey
from nvflare.lighter.ctx import ProvisionContext
from nvflare.lighter.entity import Participant
from nvflare.lighter.entity import Project as Plan
from nvflare.lighter.impl.cert import CertBuilder
from nvflare.lighter.impl.static_file import StaticFileBuilder
from nvflare.lighter.impl.workspace import WorkspaceBuilder
from nvflare.lighter.provisioner import Provisioner
from nvflare.lighter.spec import Builder

from wardgan import check
from wardgan.errors import FormatError, OutputError, TrustError, UsageError
from wardgan.federating.flare import ADMIN, CENTRE, HOSPITAL, ORGANISATION, POLICY

SERVER: Final = "server"
_DAYS: Final = 360
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,40}")
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,200}")
_LAUNCHER: Final = {"path": "wardgan.federating.flare.launcher.RestartingLauncher", "args": {"restarts": 2}}
_NEVER: Final = {"byoc": "none", "shell_commands": "none", "server-predeployed-flwr": "none"}
_RIGHTS: Final = {
    "format_version": "1.0",
    "permissions": {
        "project_admin": {
            "submit_job": "any", "clone_job": "none", "manage_job": "any", "download_job": "any", "view": "any",
            "operate": "any", **_NEVER,
        },
        "org_admin": {"view": "any", "operate": "o:site", **_NEVER},
        "lead": {"view": "any", **_NEVER},
        "member": {"view": "any"},
    },
}  # fmt: skip
_TEMPLATE: Final = """\
# What {name} allows in a training with other hospitals. Fill in what is empty; it never leaves this machine.
# Paths start from the folder of this file.
name: {name}
data:                       # patients.csv, or a folder of images
schema:                     # schema.yaml, your own; a training with other columns, bounds or rules is refused
population:                 # about how many patients, in public, such as 300
patients:                   # a random name for these patients, such as data-3f9c2a71; the same for all models of them
run: run                    # ledger and state; stays here
epsilon: 1                  # the most that all trainings in the run folder may spend together
rounds: 100                 # the most rounds
families: [copula, tabgan, imagegan]
# invalid: clip             # what happens to rows that break the schema: refuse, clip or drop
# ledger: ledger.db         # the institution's ledger
# agreement: sha256:...     # allow this one only
"""


def provision(
    sites: Sequence[str], path: str | Path, *, host: str = "localhost", port: int = 8002, days: int = 360
) -> Path:
    """Writes a folder with a startup kit for each hospital, the server (`server`) and the coordinator (`admin`).

    A kit holds a certificate and its private key, so each is handed to its owner in secret. The authority that signed
    them lies in `authority`; whoever has it can let further hospitals in, so it is kept away from the server.

    Args:
        sites: Names of the hospitals.
        path: A new folder.
        host: Name or address by which hospitals reach the server.
        port: The server's port.
        days: Until the certificates expire; NVFlare allows at most 360.

    Raises:
        UsageError: A name is none, or is there twice.
        OutputError: The folder exists, or cannot be written.
    """
    _check(sites, host, port, days)
    target = Path(path)
    if target.exists():
        raise OutputError(f"output={str(target)!r} exists; choose a new folder: kits are never written over others.")
    with tempfile.TemporaryDirectory() as work:
        project = Plan(name="kits", description="wardgan")
        names = list(dict.fromkeys([host, "localhost"]))
        project.set_server(
            SERVER, ORGANISATION,
            {PropKey.FED_LEARN_PORT: port, PropKey.ADMIN_PORT: port, PropKey.DEFAULT_HOST: host,
             PropKey.HOST_NAMES: names},
        )  # fmt: skip
        for name in sites:
            project.add_client(name, ORGANISATION, {})
        project.add_admin(ADMIN, ORGANISATION, {PropKey.ROLE: "project_admin"})
        builders = [
            WorkspaceBuilder(), StaticFileBuilder(config_folder="config", scheme="grpc"),
            _Policies(loopback=_is_loopback(host)), CertBuilder(root_valid_days=days),
        ]  # fmt: skip
        with contextlib.redirect_stdout(sys.stderr):
            made = Provisioner(work, builders).provision(project, logger=_Quiet())
        if made.get(CtxKey.BUILD_ERROR):
            raise FormatError("provision: the startup kits could not be made.")
        _move(Path(str(made[CtxKey.CURRENT_PROD_DIR])), Path(work) / "kits" / "state", sites, target)
    return target


def _move(kits: Path, state: Path, sites: Sequence[str], target: Path) -> None:
    beside = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(mode=0o700, parents=True)
        for name, call in ((SERVER, SERVER), (ADMIN, "admin"), *((name, name) for name in sites)):
            shutil.move(kits / name, beside / call)
        shutil.move(state, beside / "authority")
        for one in beside.rglob("*"):
            one.chmod(0o700 if one.is_dir() or one.suffix == ".sh" else 0o600)
        beside.rename(target)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise OutputError(f"output={str(target)!r} cannot be written: {error.strerror}.") from error


def _check(sites: Sequence[str], host: str, port: int, days: int) -> None:
    # Folders of names that differ in capitals only are the same ones on some machines.
    if len(sites) < 2 or len({name.lower() for name in sites}) < len(sites):
        raise UsageError("sites: name at least two hospitals, each once; capitals alone tell no two apart.")
    for name in sites:
        if not _NAME.fullmatch(name) or name.lower() in (SERVER, "admin", "authority"):
            raise UsageError(f"sites: {name!r} is not a name of letters, digits and -, or it is taken.")
    if not _HOST.fullmatch(host):
        raise UsageError(f"host={host!r} is no name or address of a machine.")
    check.whole(1, port=port, days=days)
    if days > _DAYS:
        raise UsageError(f"days={days} is more than {_DAYS}, the longest that a certificate of NVFlare is valid.")
    if port > 65_535:
        raise UsageError(f"port={port} is more than 65535.")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Policies(Builder):
    """Writes what each side allows: one class of ours and nothing else, no code of a job, nobody's commands."""

    def __init__(self, *, loopback: bool) -> None:
        super().__init__()
        self._loopback = loopback

    def build(self, project: Plan, ctx: ProvisionContext) -> None:
        server, *clients = [project.get_server(), *project.get_clients()]
        self._server(cast("Participant", server), ctx)
        for client in clients:
            self._site(client, ctx)

    def _server(self, server: Participant, ctx: ProvisionContext) -> None:
        local = Path(ctx.get_local_dir(server))
        found = _strict(_json(local / "resources.json.default"), CENTRE)
        # Whoever is silent is soon known to be gone. Where the stores are is settled when the server is started.
        found["servers"][0]["heart_beat_timeout"] = 30
        for one in found["components"]:
            if one["id"] == "job_scheduler":
                one["args"] |= {"max_jobs": 1, "min_schedule_interval": 1.0, "max_schedule_interval": 10.0}
        _write(local, found)
        if self._loopback:
            path = Path(ctx.get_kit_dir(server)) / "fed_server.json"
            start = _json(path)
            service = start["servers"][0]["service"]
            service["target"] = "localhost:" + service["target"].rpartition(":")[2]
            path.write_text(json.dumps(start, indent=2), encoding="utf-8")

    def _site(self, client: Participant, ctx: ProvisionContext) -> None:
        local = Path(ctx.get_local_dir(client))
        found = _strict(_json(local / "resources.json.default"), HOSPITAL)
        # A site's log may name files; it is not sent to the server.
        found["allow_log_streaming"] = False
        found["components"] = [one for one in found["components"] if one["id"] != "site_log_streamer"]
        for one in found["components"]:
            if one["id"] == "process_launcher":
                one |= _LAUNCHER  # noqa: PLW2901 - the entry itself is changed
        _write(local, found)
        (local / POLICY).write_text(_TEMPLATE.format(name=client.name), encoding="utf-8")


def _strict(found: dict[str, Any], allowed: str) -> dict[str, Any]:
    return found | {"class_list_enforcement_mode": "enforce", "class_allow_list": [allowed]}


def _write(local: Path, found: dict[str, Any]) -> None:
    (local / "resources.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    (local / "authorization.json").write_text(json.dumps(_RIGHTS, indent=2), encoding="utf-8")
    log = _json(local / "log_config.json.default")
    log["loggers"]["root"] = {"level": "WARNING", "handlers": ["consoleHandler", "errorFileHandler", "logFileHandler"]}
    log["loggers"]["wardgan"] = {"level": "INFO"}
    (local / "log_config.json").write_text(json.dumps(log, indent=2), encoding="utf-8")


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


class _Quiet:
    """NVFlare's provisioning says nothing to people."""

    def debug(self, *said: object) -> None:
        del said

    info = warning = error = debug


def check_kit(kit: str | Path, *, now: datetime | None = None) -> Path:
    """Refuses a startup kit that is none, or whose certificates have expired: a site with one would wait for ever.

    Args:
        kit: The folder.
        now: The time; `None` for the clock's.

    Returns:
        The folder.

    Raises:
        UsageError: It is no startup kit.
        TrustError: A certificate is not valid now.
    """
    startup = Path(kit) / "startup"
    certificates = sorted([*startup.glob("*.crt"), *startup.glob("rootCA.pem")])
    if not certificates:
        raise UsageError(f"kit={str(kit)!r} is no startup kit; wardgan federate provision writes one.")
    today = now or datetime.now(UTC)
    for one in certificates:
        try:
            found = x509.load_pem_x509_certificate(one.read_bytes())
        except (OSError, ValueError) as error:
            raise FormatError(f"kit={str(kit)!r}: {one.name} is no certificate.") from error
        if not found.not_valid_before_utc <= today <= found.not_valid_after_utc:
            raise TrustError(
                f"kit={str(kit)!r}: {one.name} is valid from {found.not_valid_before_utc:%Y-%m-%d} to "
                f"{found.not_valid_after_utc:%Y-%m-%d}, and today is {today:%Y-%m-%d}. Ask whoever coordinates for "
                "a new kit."
            )
    return Path(kit)
