"""The libraries for image files: asked for when they are needed, and kept quiet."""

from __future__ import annotations

import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from wardgan.errors import UsageError

# What libraries raise for a damaged file. Their messages may quote it, so only the reason is kept.
DAMAGED: Final = (
    ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, MemoryError, OSError,
    RuntimeError, SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_LOGGERS: Final = ("pydicom", "PIL", "pylibjpeg", "openjpeg")


@contextmanager
def needs_images() -> Iterator[None]:
    """Says how to install the libraries for image files if an import inside fails.

    Raises:
        UsageError: They are not installed.
    """
    absent = None
    try:
        yield
    except ImportError as error:
        absent = error.name
    if absent is not None:
        raise UsageError(f"Image files need {absent}. Install it with: pip install 'wardgan[images]'")


def dicom_errors() -> tuple[type[Exception], ...]:
    """Gives what pydicom raises for a damaged file.

    Raises:
        UsageError: It is not installed.
    """
    with needs_images():
        from pydicom.errors import BytesLengthException, InvalidDicomError
    return (BytesLengthException, InvalidDicomError, *DAMAGED)


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps libraries from repeating what a patient's file says, as a warning or in a log."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
