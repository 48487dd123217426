"""Randomness: one `Seed`, split into named and independent streams.

A `Seed(7)` can be replayed. `Seed.secret()` comes from the operating system, is never stored and is what
privacy noise is drawn from: whoever knows a seed can subtract the noise (Rule P10). The secret stream is an
AES-256 counter-mode keystream with a fresh key from `os.urandom` for each stream, turned into normals with the
resolution of double precision, four draws combined into one against attacks on floating-point noise (Holohan &
Braghin 2021, "Secure random sampling in differential privacy").
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import CipherContext

_Float = TypeVar("_Float", np.float32, np.float64)

# Numbers made at once: small enough that all arrays stay in a processor's cache.
_BLOCK: Final = 16384


@dataclass(frozen=True)
class Seed:
    """A source of randomness that splits into named streams.

    Attributes:
        value: A whole number that replays the streams, or `None` for the operating system's entropy.

    Example:
        >>> float(Seed(7).stream("latent", 0).random()) == float(Seed(7).stream("latent", 0).random())
        True
        >>> Seed.secret().replayable
        False
    """

    value: int | None

    @classmethod
    def secret(cls) -> Seed:
        """Gives a seed whose streams come from the operating system and cannot be replayed."""
        return cls(None)

    @classmethod
    def fresh(cls) -> Seed:
        """Gives a seed that nobody chose and that replays its streams; not for privacy noise."""
        return cls(int.from_bytes(os.urandom(8), "big"))

    @property
    def replayable(self) -> bool:
        """Whether the streams can be drawn again."""
        return self.value is not None

    def stream(self, name: str, step: int = 0) -> np.random.Generator:
        """Gives an independent generator for one purpose; not for privacy noise.

        Args:
            name: What the numbers are for; another name gives another stream.
            step: Number of the block or step; another step gives another stream.
        """
        if self.value is None:
            return np.random.Generator(np.random.Philox(key=int.from_bytes(os.urandom(16), "big")))
        text = f"{self.value}/{name}/{step}".encode()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(text).digest()[:16], "big")))

    def normals(self, size: int, name: str, step: int = 0) -> NDArray[np.float64]:
        """Gives `size` standard normals for privacy noise.

        From a secret seed they come from the operating system's entropy, four draws combined into each number.
        From a replayable seed they can be drawn again, so a fit with them is a rehearsal.

        Args:
            size: How many numbers.
            name: What they are for (used by replayable seeds).
            step: Number of the step (used by replayable seeds).

        Returns:
            Array of shape (size,).
        """
        return self.noisy(np.zeros(size), 1.0, name, step)

    def noisy(self, values: NDArray[_Float], sd: float, name: str, step: int = 0) -> NDArray[_Float]:
        """Gives values with privacy noise: `values + sd * normals(size, name, step)`.

        The sum is made in double precision, block by block, and only then rounded to the type of the values.

        Args:
            values: Array of shape (size,), float32 or float64.
            sd: Standard deviation of the noise.
            name: What the noise is for (used by replayable seeds).
            step: Number of the step (used by replayable seeds).

        Returns:
            Array of shape (size,), of the type of the values.
        """
        out = np.empty_like(values)
        start = 0
        for block in self._normals(len(values), name, step):
            end = start + len(block)
            out[start:end] = values[start:end] + sd * block
            start = end
        return out

    def gumbels(self, size: int, name: str, step: int = 0) -> NDArray[np.float64]:
        """Gives `size` standard Gumbel numbers for private selection.

        Args:
            size: How many numbers.
            name: What they are for (used by replayable seeds).
            step: Number of the step (used by replayable seeds).

        Returns:
            Array of shape (size,).
        """
        return -np.log(-np.log(self._units(size, name, step)))

    def choices(self, size: int, probability: float, name: str, step: int = 0) -> NDArray[np.bool_]:
        """Gives independent coin flips: who is in a Poisson batch.

        Args:
            size: How many coins.
            probability: Of heads, in [0, 1].
            name: What they are for (used by replayable seeds).
            step: Number of the step (used by replayable seeds).

        Returns:
            Boolean array of shape (size,).
        """
        return self._units(size, name, step) < probability

    def _normals(self, size: int, name: str, step: int) -> Iterator[NDArray[np.float64]]:
        sizes = [min(_BLOCK, size - start) for start in range(0, size, _BLOCK)]
        if self.value is None:
            return _secret_normals(sizes)
        stream = self.stream(name, step)
        return (stream.standard_normal(each) for each in sizes)

    def _units(self, size: int, name: str, step: int) -> NDArray[np.float64]:
        if self.value is not None:
            return self.stream(name, step).random(size) * (1 - 2.0**-52) + 2.0**-53
        bits = np.frombuffer(_keystream(size * 8), dtype=np.uint64)
        return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def _secret_normals(sizes: list[int]) -> Iterator[NDArray[np.float64]]:
    """Yields blocks of normals; each number combines the four draws of two Box-Muller pairs.

    The sum and the difference of the draws of a pair, over sqrt(2), are independent, and are the sine and the
    cosine of a pair whose angle is turned by 45 degrees. So each pair serves two numbers, its sum one and its
    difference the other, and no two numbers have both of their pairs in common. A number's first pair is in double
    precision and gives the resolution; the second is in single precision, whose rounding the first one blurs.
    """
    encryptor = _encryptor()
    zeros = memoryview(bytes(24 * _pairs(max(sizes, default=0))))
    keystream = bytearray(len(zeros) + 15)
    for size in sizes:
        pairs = _pairs(size)
        encryptor.update_into(zeros[: 24 * pairs], keystream)
        bits = np.frombuffer(keystream, np.uint32, 6 * pairs).reshape(6, pairs)
        normals = _double_pairs(bits[:2].reshape(-1).view(np.uint64), bits[2].view(np.int32))  # (2, pairs)
        sines, cosines = _single_pairs(bits[3], bits[4], bits[5].view(np.int32))
        normals[0] += sines
        normals[1, 1:] += cosines[:-1]
        normals[1, 0] += cosines[-1]
        yield normals.reshape(-1)[:size]


def _pairs(size: int) -> int:
    return max(2, (size + 1) // 2)


def _double_pairs(bits: NDArray[np.uint64], turn: NDArray[np.int32]) -> NDArray[np.float64]:
    """Gives `sqrt(-log u)` times sine and cosine of a whole turn's angle, shape (2, pairs)."""
    bits >>= np.uint64(11)
    bits |= np.uint64(1)
    radius = bits.view(np.int64).astype(np.float64)  # odd numbers below 2^53: exact, never 0
    radius *= 2.0**-53
    np.log(radius, out=radius)
    np.negative(radius, out=radius)
    np.sqrt(radius, out=radius)
    # sin a = 2 t / (1 + t^2) and cos a = (1 - t^2) / (1 + t^2) with t = tan(a / 2): numpy's tangent is much faster
    # than its sine in double precision.
    tangent = turn.astype(np.float64)
    tangent *= np.pi * 2.0**-32
    np.tan(tangent, out=tangent)
    square = tangent * tangent
    both = np.empty((2, len(radius)))
    np.add(square, 1, out=both[1])
    radius /= both[1]
    tangent *= 2
    np.multiply(radius, tangent, out=both[0])
    np.subtract(1, square, out=both[1])
    both[1] *= radius
    return both


def _single_pairs(
    high: NDArray[np.uint32], low: NDArray[np.uint32], turn: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gives `sqrt(-log v)` times sine and cosine of a whole turn's angle, shape (pairs,) each."""
    # v = (high + low / 2^32) / 2^32: all 64 bits count where v is small, so that the tails are not cut off.
    low |= np.uint32(1)
    radius = low.astype(np.float32)
    radius *= np.float32(2.0**-32)
    radius += high.astype(np.float32)
    radius *= np.float32(2.0**-32)
    np.log(radius, out=radius)
    np.negative(radius, out=radius)
    np.sqrt(radius, out=radius)
    angle = turn.astype(np.float32)
    angle *= np.float32(np.pi * 2.0**-31)
    sine, cosine = np.sin(angle), np.cos(angle)
    sine *= radius
    cosine *= radius
    return sine, cosine


def _keystream(size: int) -> bytes:
    return _encryptor().update(bytes(size))


def _encryptor() -> CipherContext:
    # The import is here because a reader who only samples never needs it.
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    return Cipher(algorithms.AES(os.urandom(32)), modes.CTR(os.urandom(16))).encryptor()
