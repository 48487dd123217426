"""Runs the notebooks, each in an empty folder, and prints what they print: all of them, or those that are named."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]


def main(names: list[str]) -> int:
    """Runs some notebooks, or all; gives the exit code, which is 1 if one fails or warns."""
    wrong = False
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not names or path.stem in names:
            printed, warned = run(path)
            print(f"== {path.stem}\n{printed}", flush=True)
            print(warned, end="", file=sys.stderr)
            wrong |= bool(warned)
    return int(wrong)


def run(path: Path) -> tuple[str, str]:
    """Gives what a notebook prints, and what it prints as warnings.

    Raises:
        CellExecutionError: A cell fails.
    """
    book = nbformat.read(path, 4)
    with tempfile.TemporaryDirectory() as folder:
        # Sockets in a folder: nobody else on the machine can talk to the kernel.
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{folder}/kernel")
        NotebookClient(book, km=manager, timeout=600).execute(cwd=folder)
    found = [out for cell in book["cells"] for out in cell.get("outputs", []) if out["output_type"] == "stream"]
    printed, warned = ("".join(out["text"] for out in found if out["name"] == name) for name in ("stdout", "stderr"))
    return printed, warned


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
