"""The engine that runs networks: what was checked as ONNX is run as ONNX, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, cast

from wardgan.errors import NetworkError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Bytes 4 to 8 of the engine's own format. It would read that one first, whatever else the same bytes are.
_OTHER: Final = b"ORTM"


def engine(network: bytes) -> InferenceSession:
    """Gives an engine for a network that was checked.

    Args:
        network: An ONNX model.

    Raises:
        NetworkError: The bytes could be read as another network than the one that was checked, or it cannot be run.
    """
    import onnxruntime

    if network[4:8] == _OTHER:
        raise NetworkError("network: its bytes could be read in two ways, as two networks; ask its publisher.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")
    with refused():
        return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])


@contextmanager
def refused() -> Iterator[None]:
    """Says in our own words that the engine does not take a network."""
    import onnxruntime.capi.onnxruntime_pybind11_state as kinds  # pyright: ignore[reportMissingImports]

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    refusals = cast("list[type[Exception]]", [getattr(kinds, name) for name in names])
    try:
        yield
    except (*refusals, ValueError) as error:
        raise NetworkError(f"network: it cannot be run ({type(error).__name__}); ask its publisher.") from error
