"""A hundred million rows in shards on two cores: how fast, how large, in how much memory; and 1e12 rows on paper.

The generator is that of `sampling.py` (like SPRINT's: three numbers at twelve visits). Its patients are written as
Parquet shards by `wg.sample_shards`, once with one row per patient and 36 cells (wide), once with one row per visit
(long), by one process and by two, each case in a process of its own:

    python benchmarks/scale.py                    # 100 million rows in each of four cases
    python benchmarks/scale.py --rows 2e6         # a look, in a minute or two
    python benchmarks/scale.py --folder FOLDER    # where the shards go for a while; 5 GB for 100 million rows

Of each case all shards are read again: their digests are compared by a second call, their rows are counted, and the
sum of the patients' numbers is what it must be if nobody is missing or there twice. Where the disk is too small for
that, each shard is compared with its digest when it is finished, and removed.

What 1e12 rows cost is worked out from what was measured; nothing of it was run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import markdown, save
from sampling import SEED, model

VISITS = 12
PATIENTS_OF_A_SHARD = 1_000_000
# What is assumed on paper.
PAPER_ROWS = 10**12
PAPER_CORES = 1_000
PAPER_SHARD = 10**7
PAPER_LINE = 10e9 / 8
# Round numbers to multiply with, in any currency; nobody's offer.
PRICE_CORE_HOUR = 0.05
PRICE_TB_MONTH = 25
# More than was ever seen, so that the disk does not fill up.
BYTES_OF_A_ROW = 40


def released(folder: Path) -> Path:
    """Fits the generator, and gives its file."""
    import wardgan as wg
    from wardgan.seal.artifact import release

    model(folder / "run")
    path = folder / "sprint_like.hgan"
    release(wg.Trained.load(folder / "run"), path, None, "Benchmark: simulated patients", created="2026-01-31")
    return path


def case(form: str, workers: int, rows: int, folder: Path) -> dict[str, object]:
    """Runs one case in a fresh process."""
    asked = [sys.executable, __file__, "--case", form, "--workers", str(workers), "--rows", str(rows)]
    done = subprocess.run([*asked, "--folder", str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def run(form: str, workers: int, rows: int, folder: Path) -> dict[str, object]:
    """Draws the shards of one case, reads them again, and gives rates, sizes and peak memory."""
    import wardgan as wg

    patients = rows if form == "wide" else -(-rows // VISITS)
    asked = wg.Shards(patients, max(2 * workers, patients // PATIENTS_OF_A_SHARD), SEED, wide=form == "wide")
    out = folder / f"{form}{workers}"
    keep = shutil.disk_usage(folder).free > 2 * rows * BYTES_OF_A_ROW
    checked: set[str] = set()
    start = time.perf_counter()
    made = wg.sample_shards(
        folder / "sprint_like.hgan", asked, out, workers=workers,
        watch=None if keep else lambda done, total: checked.update(emptied(out)),
    )  # fmt: skip
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    found: dict[str, object] = {
        "case": f"{form}, {workers} {'process' if workers == 1 else 'processes'}",
        "patients": patients,
        "rows": made.rows,
        "shards": asked.shards,
        "seconds": round(seconds, 1),
        "rows/s": round(made.rows / seconds),
        "rows/s of one core": round(made.rows / cpu),
        "cores in use": round(cpu / seconds, 2),
        "bytes/row": round(made.bytes / made.rows, 2),
        "MB": round(made.bytes / 1e6, 1),
        "peak MB of a worker": round(used.ru_maxrss / 1024),
        "peak MB of the asking process": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "manifest bytes/shard": listed(out),
    }
    if keep:
        start = time.perf_counter()
        again = wg.sample_shards(folder / "sprint_like.hgan", asked, out, workers=workers)
        found["seconds to compare digests"] = round(time.perf_counter() - start, 1)
        confirm(again.kept == asked.shards, f"{again.kept} of {asked.shards} shards have their digest")
        everybody(out, made.rows, patients)
    else:
        checked |= emptied(out)
        confirm(len(checked) == asked.shards, f"{len(checked)} of {asked.shards} shards were compared and removed")
    shutil.rmtree(out)
    return found


def listed(out: Path) -> int:
    """Gives how many bytes of the manifest a shard takes."""
    parts = json.loads((out / "manifest.json").read_bytes())["parts"]
    return round(len(json.dumps(parts, indent=1)) / len(parts))


def emptied(out: Path) -> set[str]:
    """Compares shards that are finished with their digests, removes them, and gives their names."""
    found: set[str] = set()
    for note in (out / "records").glob("*.json"):
        part = json.loads(note.read_bytes())["part"]
        path = out / "patients" / part["name"]
        if path.is_file():
            with path.open("rb") as file:
                confirm(hashlib.file_digest(file, "sha256").hexdigest() == part["sha256"], f"{path.name} is damaged")
            path.unlink()
            found.add(part["name"])
    return found


def everybody(out: Path, rows: int, patients: int) -> None:
    """Makes sure that each patient is there, and as often as the others."""
    import pyarrow.dataset as ds

    count = total = 0
    for batch in ds.dataset(out / "patients").to_batches(columns=["patient_id"]):
        count += len(batch)
        total += int(batch["patient_id"].to_numpy().sum())
    confirm(count == rows, f"{count} rows, not {rows}")
    confirm(total == rows // patients * patients * (patients + 1) // 2, "somebody is missing, or there twice")


def confirm(true: bool, said: str) -> None:
    """Stops the benchmark if something is not as it must be."""
    if not true:
        sys.exit(f"wrong: {said}")


def paper(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Gives what 1e12 rows cost, from the cases with the most processes."""
    found: list[dict[str, object]] = []
    for form in ("wide", "long"):
        one = [row for row in rows if str(row["case"]).startswith(form)][-1]
        number = {name: float(str(value)) for name, value in one.items() if name != "case"}
        hours = PAPER_ROWS / number["rows/s of one core"] / 3600
        size = PAPER_ROWS * number["bytes/row"]
        shards = PAPER_ROWS // PAPER_SHARD
        line: dict[str, object] = {
            "1e12 rows": form,
            "patients": f"{PAPER_ROWS if form == 'wide' else PAPER_ROWS // VISITS:.3g}",
            "core-hours": f"{hours:,.0f}",
            f"price at {PRICE_CORE_HOUR} a core-hour": f"{hours * PRICE_CORE_HOUR:,.0f}",
            f"hours on {PAPER_CORES:,} cores": f"{hours / PAPER_CORES:.2f}",
            "TB": f"{size / 1e12:.2f}",
            f"price a month at {PRICE_TB_MONTH} a TB": f"{size / 1e12 * PRICE_TB_MONTH:,.0f}",
            f"shards of {PAPER_SHARD:,} rows": f"{shards:,}",
            "MB of each": f"{size / shards / 1e6:.0f}",
            "core-seconds of each": f"{hours * 3600 / shards:.0f}",
            "MB of manifest.json": f"{shards * number['manifest bytes/shard'] / 1e6:.0f}",
            "hours over a line of 10 Gbit/s": f"{size / PAPER_LINE / 3600:.2f}",
        }
        found.append(line)
    return found


def main() -> None:
    """Measures all cases, or one of them in a process of its own."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("--rows", type=lambda text: int(float(text)), default=10**8, help="in each case (1e8)")
    ask.add_argument("--folder", type=Path, help="where shards go for a while (default: the system's)")
    ask.add_argument("--out", type=Path, help="where the JSON goes (default: benchmarks/out/scale.json)")
    ask.add_argument("--case", choices=("wide", "long"), help=argparse.SUPPRESS)
    ask.add_argument("--workers", type=int, help=argparse.SUPPRESS)
    given = ask.parse_args()
    if given.case:
        print(json.dumps(run(given.case, given.workers, given.rows, given.folder)))
        return
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        released(Path(folder))
        for form in ("wide", "long"):
            for workers in (1, 2):
                rows.append(case(form, workers, given.rows, Path(folder)))
                print(rows[-1], flush=True)
            speed = [float(str(row["rows/s"])) for row in rows[-2:]]
            rows[-1]["times one process"] = round(speed[1] / speed[0], 2)
    print(markdown(rows))
    print(markdown(paper(rows)))
    print(save("scale", rows, given.out, seed=SEED, paper=paper(rows)))


if __name__ == "__main__":
    main()
