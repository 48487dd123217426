"""What hospitals' trainings together are good for, and what they cost: beside the lines of `combine.py`.

    python benchmarks/federate.py --parts heart trial --seeds 3
    python benchmarks/federate.py --parts network --seeds 1
    python benchmarks/federate.py --show

`heart` and `trial` are the cases of `combine.py`, judged in the same way. `answers`: the copula of all hospitals'
answers, without a round of training. `rounds`: tabgan, with a private discriminator at each hospital. `network`: four
hospitals of 500 simulated patients as processes of their own, with certificates; in round 2 one of them is killed, and
started again a little later. What is measured is seconds for a round, memory, whether each hospital's
own ledger is the one in the file, and whether a note names the one that was killed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import mean, median

import combine
import wardgan as wg
from combine import Case, Row
from common import OUT, kept, markdown, note, save, spread
from wardgan.federating.agreement import Agreement
from wardgan.federating.here import federate
from wardgan.federating.policy import Policy
from wardgan.privacy.ledger import Ledger

DONE = OUT / "federate.jsonl"
WAYS: dict[str, dict[str, object]] = {"answers": {"family": "copula"}, "rounds": {"family": "tabgan"}}
STEPS = 600
SITES = ("alpha", "beta", "gamma", "delta")
PORT = 18_042
CALL = (sys.executable, "-m", "wardgan", "federate")
COORDINATOR = "coordinator"
FOUR = "four hospitals, one killed and restarted"
_OVERRIDE = "benchmark: nobody's data"
# What a round takes, and is billed for before it.
_BLOCK, _BATCHES = 50, "discriminator"


def main() -> None:
    """Runs what is asked for, or shows what is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["heart", "trial"], choices=["heart", "trial", "network"])
    parser.add_argument("--epsilon", nargs="+", default=list(combine.EPSILONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--show", action="store_true", help="print the tables of what is done")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if not asked.show:
        _run(asked)
    trained = [one for one in kept(DONE) if one["part"] != "network"]
    rows = [*_rows(), *combine.pairs(trained, "rounds", "answers", "rounds minus answers")]
    rows += [one for one in kept(DONE) if one["part"] == "network"]
    print(markdown(rows))
    print(save("federate", rows, asked.out, seeds=asked.seeds, runs=kept(DONE)))


def _run(asked: argparse.Namespace) -> None:
    done = {(one["part"], one.get("epsilon"), one.get("seed"), one.get("method")) for one in kept(DONE)}
    for part in asked.parts:
        for seed in range(asked.seeds):
            if part == "network":
                if (part, None, seed, FOUR) not in done:
                    note(DONE, _network(seed))
                continue
            case = combine.CASES[part](seed)
            for epsilon in asked.epsilon:
                for method, settings in WAYS.items():
                    if (part, epsilon, seed, method) not in done:
                        found = _trained(case, epsilon, seed, settings)
                        note(DONE, {"part": part, "epsilon": epsilon, "seed": seed, "method": method, **found})


def _trained(case: Case, epsilon: str, seed: int, settings: dict[str, object]) -> Row:
    size = sum(len(combine._read(case, one.train)) for one in case.hospitals)
    private = epsilon != "none"
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "schema.json").write_text(json.dumps(case.schema.to_dict()), encoding="utf-8")
        policies, budget = [], float(epsilon) if private else None
        for one in case.hospitals:
            file = home / f"{one.name}.csv"
            one.train.to_csv(file, index=False)
            count = int(float(f"{len(combine._read(case, one.train)):.1e}"))
            name = f"patients-of-{one.name.replace(' ', '-')}"
            policies.append(
                Policy(
                    one.name,
                    file,
                    home / "schema.json",
                    count,
                    name,
                    home / one.name,
                    budget,
                    invalid="clip",
                )
            )
        agreement = Agreement(
            "all", case.schema, size, len(policies), budget, overlap=1,
            settings={"steps": STEPS} if settings["family"] == "tabgan" else {}, family=str(settings["family"]),
        )  # fmt: skip
        begun = time.perf_counter()
        made = federate(agreement, policies, home / "all.hgan", override=None if private else _OVERRIDE)
        seconds = time.perf_counter() - begun
        found = combine._judged(case, made.path, size, seed)
        return {
            **combine._picked(found), "seconds": round(seconds, 1), "hospitals": len(made.hospitals),
            "rounds": made.rounds, "notices": list(made.notices),
        }  # fmt: skip


# --- processes with certificates --------------------------------------------------------------------------------------


def _network(seed: int) -> Row:
    """Four hospitals over a loopback network; one is killed in round 2 and comes back for a later job."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _prepared(home, seed)
        subprocess.run(
            [*CALL, "provision", *SITES, "-o", str(home / "kits"), "--port", str(PORT)], check=True, capture_output=True
        )
        running = {name: _site(home, name) for name in SITES}
        running[COORDINATOR] = _started(
            home, COORDINATOR, "coordinate", "agreement.yaml", "kits", "-o", "all.hgan", "--patience", "60",
            "--job-rounds", "3", "--json",
        )  # fmt: skip
        memory = _Memory(home)
        begun = time.perf_counter()
        try:
            killed = _killed(home, running)
            _ended(home, running)
        finally:
            memory.stop()
            _swept(home, running)
        seconds = time.perf_counter() - begun
        facts = json.loads(_said(home, COORDINATOR, "out"))
        exact, noted = _exact(home), _noted(facts["notices"], SITES[0])
        return {
            "part": "network", "method": FOUR, "seed": seed, "rounds": facts["rounds"],
            "seconds for a round (median)": round(median(facts["seconds"]), 2),
            "slowest round": round(max(facts["seconds"]), 1), "seconds in all": round(seconds, 1),
            "memory MB (largest process of a hospital)": memory.most["site"],
            "memory MB (largest process of the server)": memory.most["server"],
            "killed in round": killed, "hospitals in the file": len(facts["hospitals"]), "ledgers exact": exact,
            "a note names the one killed": noted, "notices": facts["notices"],
        }  # fmt: skip


def _prepared(home: Path, seed: int = 0) -> None:
    """Writes patients, policies and an agreement."""
    schema = {
        "name": "all", "patient": "id",
        "table": {
            "arm": {"kind": "category", "levels": ["old", "new"], "label": True},
            **{f"x{at}": {"kind": "number", "low": -5, "high": 5, "step": 0.1} for at in range(10)},
        },
    }  # fmt: skip
    (home / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    import numpy as np
    import pandas as pd

    for at, name in enumerate(SITES):
        numbers = np.random.default_rng([seed, at])
        table = pd.DataFrame({f"x{one}": np.clip(numbers.normal(at / 4, 1, 500), -5, 5).round(1) for one in range(10)})
        table.insert(0, "arm", numbers.choice(["old", "new"], 500))
        table.insert(0, "id", np.arange(500))
        table.to_csv(home / f"{name}.csv", index=False)
        policy = {
            "name": name, "data": f"{name}.csv", "schema": "schema.json", "population": 500,
            "patients": f"data-of-{name}", "run": f"run-{name}", "epsilon": 2,
        }  # fmt: skip
        (home / f"{name}.yaml").write_text(json.dumps(policy), encoding="utf-8")
    agreement = {
        "name": "region", "schema": "schema.json", "family": "tabgan", "settings": {"steps": STEPS}, "patients": 2_000,
        "hospitals": 4, "epsilon": 2, "least": 2, "overlap": 1,
    }  # fmt: skip
    (home / "agreement.yaml").write_text(json.dumps(agreement), encoding="utf-8")


def _started(home: Path, name: str, *words: str) -> subprocess.Popen[bytes]:
    """Starts a verb; what it says is kept in files, so that nobody has to read it meanwhile."""
    with (home / f"{name}.out").open("ab") as out, (home / f"{name}.err").open("ab") as err:
        return subprocess.Popen([*CALL, *words], cwd=home, stdout=out, stderr=err, start_new_session=True)


def _site(home: Path, name: str) -> subprocess.Popen[bytes]:
    return _started(home, name, "site", f"kits/{name}", "--policy", f"{name}.yaml")


def _said(home: Path, name: str, where: str) -> str:
    return (home / f"{name}.{where}").read_text(encoding="utf-8", errors="replace")


def _check(home: Path, running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Ends the run if a process has failed: without it the others would wait for ever.

    Raises:
        RuntimeError: With what the process said last.
    """
    for name, one in running.items():
        if one.poll():
            said = _said(home, name, "out")[-500:] + _said(home, name, "err")[-2000:]
            raise RuntimeError(f"{name} ended with code {one.returncode}: {said}")


def _ended(home: Path, running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Waits until all processes have ended well."""
    end = time.monotonic() + 900
    while any(one.poll() is None for one in running.values()):
        _check(home, running)
        if time.monotonic() > end:
            raise RuntimeError("The training did not end in 900 seconds.")
        time.sleep(0.2)
    _check(home, running)


def _swept(home: Path, running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Kills what is left of a run that failed."""
    for name, one in running.items():
        kit = home / "kits" / ("server" if name == COORDINATOR else name)
        for pid in _pids(kit):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        one.kill()
        one.wait()


def _killed(home: Path, running: dict[str, subprocess.Popen[bytes]]) -> int:
    """Kills all processes of one hospital when it is in round 2, and starts it again; gives the round."""
    name = SITES[0]
    ledger = _in_round(home, running, name, 2)
    for pid in _pids(home / "kits" / name):
        os.kill(pid, signal.SIGKILL)
    running[name].kill()
    running[name].wait()
    steps = _steps(ledger)
    time.sleep(5)
    running[name] = _site(home, name)
    return -(-steps // _BLOCK)


def _in_round(home: Path, running: dict[str, subprocess.Popen[bytes]], name: str, turn: int) -> Path:
    """Waits until a hospital has billed a round's steps, and gives its ledger."""
    end = time.monotonic() + 600
    while time.monotonic() < end:
        _check(home, running)
        ledger = next((home / f"run-{name}").glob("*/ledger.jsonl"), None)
        if ledger is not None and _steps(ledger) >= turn * _BLOCK:
            return ledger
        time.sleep(0.1)
    raise RuntimeError(f"{name} was not in round {turn} after 600 seconds.")


def _steps(ledger: Path) -> int:
    return sum(one.steps for one in Ledger.resume(ledger).events if one.name == _BATCHES)


def _pids(kit: Path) -> list[int]:
    """Gives the processes that work in a kit."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(kit.resolve()) in words:
            found.append(int(place.name))
    return found


class _Memory:
    """Watches the largest process of a hospital and of the server."""

    def __init__(self, home: Path) -> None:
        self._home, self._over = home, threading.Event()
        self.most = {"site": 0, "server": 0}
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stops watching."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for kind, kits in (("site", SITES), ("server", ("server",))):
                for pid in (pid for kit in kits for pid in _pids(self._home / "kits" / kit)):
                    self.most[kind] = max(self.most[kind], _megabytes(pid))


def _megabytes(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def _exact(home: Path) -> bool:
    """Tells whether what the file says of each hospital is what its own ledger says, or less where it was killed."""
    privacy = wg.inspect(home / "all.hgan")["privacy"]
    for site in privacy["sites"]:  # pyright: ignore[reportIndexIssue]
        ledger = Ledger.resume(next((home / f"run-{site['name']}").glob("*/ledger.jsonl")))
        own = {one.name: one.steps for one in ledger.events}
        said = {one["name"]: one.get("steps", 1) for one in site["ledger"]["events"]}
        if not _agree(own, said, lost=_BLOCK if site["name"] == SITES[0] else 0):
            return False
    return True


def _agree(own: dict[str, int], said: dict[str, int], *, lost: int) -> bool:
    """Tells whether two bills have the same events and steps; lost steps on batches may be in the own one alone."""
    if own.keys() != said.keys():
        return False
    fewer = {name: lost if name == _BATCHES else 0 for name in own}
    return all(own[name] - fewer[name] <= steps <= own[name] for name, steps in said.items())


def _noted(notices: list[str], name: str) -> bool:
    """Tells whether a person was told that a hospital did not answer in a round."""
    return any(one.startswith(f"{name}: was silent in round ") for one in notices)


# --- tables -----------------------------------------------------------------------------------------------------------


def _rows() -> Iterator[Row]:
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for one in kept(DONE):
        if one["part"] != "network":
            groups.setdefault((str(one["part"]), str(one["epsilon"]), str(one["method"])), []).append(one)
    for (part, epsilon, method), runs in groups.items():
        yield {
            "part": part, "epsilon": epsilon, "method": method, "seeds": len(runs),
            **{name: spread([float(str(one[name])) for one in runs]) for name in ("own", "all")},
            "hospitals": round(mean(float(str(one["hospitals"])) for one in runs), 1), "rounds": runs[0]["rounds"],
            "seconds": round(mean(float(str(one["seconds"])) for one in runs), 1),
        }  # fmt: skip


if __name__ == "__main__":
    main()
