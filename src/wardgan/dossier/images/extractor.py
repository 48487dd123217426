"""A hospital's own network as features of images: an ONNX file that is looked at before it is run."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray

from wardgan.errors import NetworkError, UsageError
from wardgan.evaluate.images import Extractor
from wardgan.evaluate.images.sets import Pixels, Values
from wardgan.sample.engine import engine, refused

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from onnx import ModelProto
    from onnxruntime import InferenceSession

MOST_BYTES: Final = 1 << 30
_MOST_FEATURES: Final = 4_096
_BATCH: Final = 32
_LONGEST: Final = 40
_LARGEST: Final = 1_024
_TRIED: Final = 64
# What could read other files, run other code or never end.
_FORBIDDEN: Final = {
    "functions": "defines functions of its own", "training_info": "carries training information",
    "external_data": "keeps weights outside the file", "g": "holds a subgraph (If, Loop or Scan)",
    "graphs": "holds a subgraph (If, Loop or Scan)",
}  # fmt: skip
_DOMAINS: Final = ("", "ai.onnx")


def read_extractor(path: str | Path) -> Extractor:
    """Gives the features of a network: one input of shape (images, 1 or 3, height, width), float32; its first output.

    The network sees grey images from -1 to 1, as often as it wants channels, and enlarged or made smaller (bilinear) to
    the size that it wants. What it gives is used as it is; maps are averaged over their places. It must not have been
    trained on these patients.

    Args:
        path: An ONNX file of at most 1 GiB, with its weights inside and operators of ONNX itself only.

    Raises:
        UsageError: There is no such file, or it takes no images or gives no features.
        NetworkError: It is no ONNX file, or could do more than compute.
    """
    place = Path(path)
    data = _read(place)
    with _about(str(path)):
        _check(_parsed(data))
        network = _Network(engine(data))
        network(np.zeros((1, 1, _TRIED, _TRIED), dtype=np.float32))
    return Extractor(place.stem.strip()[:_LONGEST].strip() or "own", hashlib.sha256(data).hexdigest(), network)


class _Network:
    """Gives features of images, batch by batch."""

    def __init__(self, session: InferenceSession) -> None:
        inputs = session.get_inputs()
        shape = list(cast("list[object]", inputs[0].shape)) if inputs else []
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(shape) != 4:
            raise UsageError("it does not take one float32 input of shape (images, channels, height, width).")
        batch, channels, *size = (one if isinstance(one, int) and one > 0 else None for one in shape)
        if channels not in (None, 1, 3):
            raise UsageError(f"it takes {channels} channels; it can be given grey images once or three times.")
        if any(side is not None and side > _LARGEST for side in size):
            raise UsageError(f"it takes images of {size} pixels; a side has at most {_LARGEST}.")
        if batch is not None and batch > _BATCH:
            raise UsageError(f"it takes {batch:,} images at once; leave their number open, or take at most {_BATCH}.")
        self._session, self._name = session, inputs[0].name
        self._batch, self._channels, self._size = batch or _BATCH, channels or 1, size

    def __call__(self, pixels: Pixels) -> Values:
        found = [self._features(pixels[at : at + self._batch]) for at in range(0, len(pixels), self._batch)]
        return np.concatenate(found).astype(np.float64)

    def _features(self, pixels: Pixels) -> NDArray[np.float32]:
        count = len(pixels)
        grey = pixels.mean(axis=1, keepdims=True)
        height, width = (wanted or mine for wanted, mine in zip(self._size, grey.shape[2:], strict=True))
        given = np.repeat(resized(grey, height, width), self._channels, axis=1)
        given = np.concatenate([given, np.repeat(given[-1:], self._batch - count, axis=0)])  # a batch may be fixed
        with refused():
            found = np.asarray(self._session.run(None, {self._name: given})[0])
        if found.ndim < 2 or len(found) != self._batch or not found.size or found.dtype.kind != "f":
            raise UsageError(f"it gives an array of shape {found.shape} for {self._batch} images, not a row for each.")
        if found.shape[1] > _MOST_FEATURES:
            raise UsageError(f"it gives {found.shape[1]:,} features; at most {_MOST_FEATURES:,} can be used.")
        return found[:count].astype(np.float32).reshape(count, found.shape[1], -1).mean(axis=2)


def resized(pixels: Pixels, height: int, width: int) -> Pixels:
    """Gives images in another size, by linear interpolation between the middles of pixels along each axis.

    Args:
        pixels: Shape (images, channels, height, width).
        height: New height.
        width: New width.

    Example:
        >>> resized(np.array([[[[0.0, 1.0]]]], dtype=np.float32), 1, 4).round(2).ravel().tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    down, across = (_between(old, new) for old, new in zip(pixels.shape[2:], (height, width), strict=True))
    return np.ascontiguousarray(down @ pixels @ across.T, dtype=np.float32)


def _between(old: int, new: int) -> NDArray[np.float32]:
    """Gives the weights that interpolate along one axis, shape (new, old)."""
    at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    low = np.minimum(np.floor(at).astype(int), max(old - 2, 0))
    part = (at - low).astype(np.float32)
    weights = np.zeros((new, old), dtype=np.float32)
    weights[np.arange(new), low] = 1 - part
    weights[np.arange(new), np.minimum(low + 1, old - 1)] += part
    return weights


def _parsed(data: bytes) -> ModelProto:
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise NetworkError("is not an ONNX model: the protobuf is damaged or nested too deep.") from error
    model.DiscardUnknownFields()
    # What no field accounts for was not looked at.
    if model.ByteSize() != len(data) or not model.graph.node:
        raise NetworkError("is not an ONNX model, or holds bytes that no field of one accounts for.")
    return model


def _read(place: Path) -> bytes:
    try:
        if not place.is_file():
            raise UsageError(f"extractor={str(place)!r} cannot be read: it is no file.")
        with place.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"extractor={str(place)!r} cannot be read: {error.strerror}.") from error
    if len(data) > MOST_BYTES:
        raise NetworkError(f"extractor={str(place)!r}: more than {MOST_BYTES} bytes.")
    return data


def _check(model: ModelProto) -> None:
    _walk(model)
    foreign = {one.domain for one in (*model.opset_import, *model.graph.node)} - set(_DOMAINS)
    if foreign:
        raise NetworkError(f"uses operators of the foreign domain {sorted(foreign)[0][:60]!a}.")


def _walk(message: Message) -> None:
    for field, value in message.ListFields():
        if field.name in _FORBIDDEN:
            raise NetworkError(f"{_FORBIDDEN[field.name]}.")
        if field.message_type is not None:
            for inner in value if field.is_repeated else (value,):
                _walk(inner)


@contextmanager
def _about(path: str) -> Iterator[None]:
    """Says of which file a refusal is."""
    try:
        yield
    except (UsageError, NetworkError) as error:
        raise type(error)(f"extractor={path!r}: {error}") from error
