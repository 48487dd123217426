"""What each extra is for, in short, for an environment that has it and nothing else; see smoke_extras.py.

python scripts/smoke_jobs.py prepare FOLDER     # with [all]: files that the others use
python scripts/smoke_jobs.py JOB FOLDER         # in an environment with one extra
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LABELS = ("clear", "mass")
PATIENTS = 120


def wardgan(*words: object, code: int = 0) -> str:
    """Runs the command line; stops unless it leaves with the given code. Gives what it printed."""
    command = [sys.executable, "-m", "wardgan", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != code or "Traceback" in done.stderr:
        sys.exit(f"wardgan {' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def wanted(truth: object, what: str) -> None:
    """Stops if something is not so."""
    if not truth:
        sys.exit(f"this is not so: {what}")


def prepare(folder: Path) -> None:
    """Makes a table's and an image family's release, for those who only sample."""
    subprocess.run([sys.executable, Path(__file__).with_name("smoke_make.py"), folder / "table.hgan"], check=True)
    labels = scans(folder / "scans")
    declared = {
        "name": "scans", "patient": "patient_id", "population": PATIENTS, "images": {"size": [16, 12]},
        "table": {"finding": {"kind": "category", "levels": list(LABELS), "label": True}},
    }  # fmt: skip
    (folder / "scans.yaml").write_text(json.dumps(declared))
    fit = ["fit", folder / "scans", folder / "scans.yaml", "--labels", labels, "--epsilon", 8, "-o", folder / "run"]
    wardgan(*fit, "--ledger", folder / "ledger.db")
    wardgan("release", folder / "run", "-o", folder / "images.hgan", "--override", "The smoke test: invented images")


def scans(folder: Path) -> Path:
    """Writes DICOM files of invented patients, and gives the table of their labels."""
    import numpy as np
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True)
    rows, numbers = ["file,patient_id,finding"], np.random.default_rng(0)
    for at in range(PATIENTS):
        pixels = numbers.integers(300, 900, (16, 12)).astype(np.uint16)
        pixels[4:10, 3:8] += 2000 * (at % 2)
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        scan = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        scan.SOPClassUID, scan.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        scan.Modality, scan.PatientID, scan.Rows, scan.Columns = "CT", f"P{at}", 16, 12
        scan.SamplesPerPixel, scan.PhotometricInterpretation, scan.PixelRepresentation = 1, "MONOCHROME2", 0
        scan.BitsAllocated = scan.BitsStored = 16
        scan.HighBit, scan.WindowCenter, scan.WindowWidth = 15, 1500, 3000
        scan.PixelData = pixels.tobytes()
        scan.save_as(folder / f"{at:03}.dcm", enforce_file_format=True)
        rows.append(f"{at:03}.dcm,P{at},{LABELS[at % 2]}")
    table = folder.with_suffix(".csv")
    table.write_text("\n".join(rows) + "\n")
    return table


def core(folder: Path) -> None:
    """A receiver without any extra: verifies, inspects, samples, and is told what else would need an extra."""
    subprocess.run([sys.executable, Path(__file__).with_name("smoke_use.py"), folder / "table.hgan"], check=True)
    wanted("not installed" in wardgan("--version"), "--version says which extras are not there")
    wanted("wardgan[hub]" in wardgan("serve", code=2), "serve names its extra")
    wardgan("sample", folder / "table.hgan", "-n", 100, "-o", folder / "sample.parquet", "--force")


def train(folder: Path) -> None:
    """A hospital: a private fit by torch, its release, and a sample of that."""
    import numpy as np

    numbers = np.random.default_rng(0)
    rows = zip(numbers.choice(["a", "b"], 400), numbers.integers(18, 99, 400), strict=True)
    (folder / "own.csv").write_text("arm,age\n" + "".join(f"{arm},{age}\n" for arm, age in rows))
    declared = {
        "name": "own", "population": 400,
        "table": {"arm": {"kind": "category", "levels": ["a", "b"], "label": True},
                  "age": {"kind": "integer", "low": 18, "high": 99}},
    }  # fmt: skip
    (folder / "own.yaml").write_text(json.dumps(declared))
    fit = ["fit", folder / "own.csv", folder / "own.yaml", "--epsilon", 3, "-o", folder / "own", "--family", "tabgan"]
    wardgan(*fit, "--set", "steps=100", "--ledger", folder / "own.db")
    wardgan("release", folder / "own", "-o", folder / "own.hgan", "--override", "The smoke test: invented patients")
    wardgan("sample", folder / "own.hgan", "-n", 100, "-o", folder / "own.parquet")


def images(folder: Path) -> None:
    """DICOM files in and out."""
    import pydicom

    labels = scans(folder / "new")
    wardgan("init", folder / "new", "--labels", labels, "-o", folder / "draft.yaml")
    wardgan("check", folder / "new", folder / "scans.yaml", "--labels", labels)
    wardgan("sample", folder / "images.hgan", "-n", 12, "-o", folder / "synthetic", "--format", "dicom")
    files = sorted((folder / "synthetic").rglob("*.dcm"))
    wanted(len(files) == 12, "there are 12 synthetic images")
    wanted(pydicom.dcmread(files[0]).pixel_array.shape == (16, 12), "they have the declared size")


def hub(folder: Path) -> None:
    """Pages: a release is pushed, shown, and sampled over HTTP; accounts in SQLite."""
    wardgan("push", folder / "table.hgan", f"{folder}/hub:smoke/patients:1.0", "--unsigned", "--force")
    with _served(folder, "--any-signer") as address:
        wanted("smoke/patients" in _got(f"{address}/"), "the first page lists the release")
        wanted("age" in _got(f"{address}/api/v1/releases/smoke/patients:1.0"), "the API tells its schema")
    wanted("ana" in wardgan("token", "new", "ana", "--database", folder / "accounts.db"), "a token is made")


def postgresql(folder: Path) -> None:
    """Accounts in PostgreSQL: the driver is there and asks a server, which is not."""
    told = wardgan("token", "list", "--database", f"postgresql://nobody@/none?host={folder}", code=2)
    wanted("pip install" not in told, "the driver is there")


def oidc(folder: Path) -> None:
    """Sign-in: a browser is sent to the provider."""
    wardgan("push", folder / "table.hgan", f"{folder}/hub:smoke/patients:1.0", "--unsigned", "--force")
    wardgan("token", "new", "ana", "--database", folder / "accounts.db")
    with _provider() as issuer:
        words = ["--database", folder / "accounts.db", "--oidc", issuer, "--oidc-client", "hub"]
        with _served(folder, "--any-signer", *words) as address:
            wanted(
                _sent_to(f"{address}/sign-in/elsewhere").startswith(f"{issuer}/authorize?"), "it leads to the provider"
            )


def federate(folder: Path) -> None:
    """Hospitals: startup kits with certificates."""
    wardgan("federate", "provision", "alpha", "beta", "-o", folder / "kits")
    wanted({"alpha", "beta"} <= {path.name for path in (folder / "kits").iterdir()}, "each hospital has a kit")


def cluster(folder: Path) -> None:
    """Shards: drawn by a worker of Dask, they are those that are drawn here."""
    from distributed import LocalCluster

    words = ["sample", folder / "table.hgan", "-n", 100, "--shards", 2, "--seed", 7, "-o"]
    wardgan(*words, folder / "here", "--workers", 1)
    with LocalCluster(n_workers=1, processes=False, protocol="tcp", dashboard_address=None) as found:
        wardgan(*words, folder / "there", "--cluster", found.scheduler_address.replace("tcp://", "dask://"))
    names = [path.name for path in (folder / "here" / "patients").iterdir()]
    same = [(folder / place / "patients" / name).read_bytes() for name in names for place in ("here", "there")]
    wanted(len(names) == 2 and same[::2] == same[1::2], "both draw the same shards")


def everything(folder: Path) -> None:
    """All in one environment."""
    for job in (train, images, hub):
        job(folder)


def _got(address: str) -> str:
    import httpx2

    return httpx2.get(address, timeout=60).raise_for_status().text


def _sent_to(address: str) -> str:
    import httpx2

    return httpx2.get(address, timeout=60, follow_redirects=False).headers["location"]


@contextmanager
def _served(folder: Path, *words: object) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "wardgan",
        "serve",
        "--hub",
        folder / "hub",
        "--port",
        0,
        "--files",
        folder / "files",
    ]
    process = subprocess.Popen([*map(str, command), *map(str, words)], stderr=subprocess.PIPE, text=True)
    lines: list[str] = []
    try:
        for line in process.stderr or ():
            lines.append(line)
            if " shows " in line:
                yield line.split()[0]
                return
        sys.exit(f"the pages did not start:\n{''.join(lines)}")
    finally:
        process.terminate()
        process.communicate(timeout=60)


@contextmanager
def _provider() -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = f"http://127.0.0.1:{self.server.server_address[1]}"
            told = {name: f"{place}/{name}" for name in ("authorize", "token", "jwks")}
            body = json.dumps({
                "issuer": place, "authorization_endpoint": told["authorize"], "token_endpoint": told["token"],
                "jwks_uri": told["jwks"], "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"], "code_challenge_methods_supported": ["S256"],
            }).encode()  # fmt: skip
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


JOBS = {
    "core": core, "train": train, "images": images, "hub": hub, "postgresql": postgresql, "oidc": oidc,
    "federate": federate, "cluster": cluster, "all": everything, "prepare": prepare,
}  # fmt: skip

if __name__ == "__main__":
    JOBS[sys.argv[1]](Path(sys.argv[2]))
