"""Compressed images are decoded in a process of its own, so that a damaged file ends that process and not the reading.

Codecs are written in C and C++. Some of them end the process on a stream that is damaged in the right place; others
may be led astray by one that was made to harm.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.imaging.decode import ANSWER, STATUS, decode
from wardgan.imaging.extras import needs_images
from wardgan.imaging.found import MAX_PIXELS
from wardgan.imaging.report import Reason

SECONDS: Final = 300.0
_CODE: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from wardgan.imaging.decode import main; main()"
)


class Decoder:
    """A process that decodes files one after the other; it is started for the first of them.

    Use it in a `with` statement, which ends the process.

    Attributes:
        seconds: How long one file may take.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def numbers(self, path: Path, *, compressed: bool) -> NDArray[np.unsignedinteger] | Reason:
        """Gives the stored numbers of a DICOM file.

        Args:
            path: A file whose header was read before.
            compressed: Whether a codec is needed; what needs none is read here.

        Returns:
            Shape (height, width), or why there are none; a file on which the process ends cannot be read.
        """
        if not compressed:
            return decode(path)
        process = self._started()
        limit = threading.Timer(self.seconds, process.kill)
        limit.start()
        try:
            found = _asked(process, path)
        except OSError:
            found = None
        finally:
            limit.cancel()
        if found is None:
            self._end()
            return Reason.UNREADABLE
        return found

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            with needs_images():
                import gdcm  # noqa: F401
                import openjpeg  # noqa: F401
                import pylibjpeg  # noqa: F401
            # The same places to import from as here, wherever this was started.
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, json.dumps(sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _asked(process: subprocess.Popen[bytes], path: Path) -> NDArray[np.unsignedinteger] | Reason | None:
    """Gives the answer of the process, or `None` if it ended or did not answer in the right form."""
    if process.stdin is None or process.stdout is None:
        return None
    process.stdin.write(json.dumps(str(path)).encode() + b"\n")
    process.stdin.flush()
    head = process.stdout.read(ANSWER.size)
    if len(head) < ANSWER.size:
        return None
    status, width, rows, columns = ANSWER.unpack(head)
    if status:
        return STATUS[status] if status < len(STATUS) else None
    if width not in (1, 2) or rows * columns > MAX_PIXELS:
        return None
    data = process.stdout.read(width * rows * columns)
    if len(data) < width * rows * columns:
        return None
    return cast("NDArray[np.unsignedinteger]", np.frombuffer(data, f"u{width}").reshape(rows, columns))
