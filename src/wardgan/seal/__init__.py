"""What leaves the hospital: one checked, signed file, and the gate in front of it."""

from wardgan.seal.artifact import Verified, inspect, load, release, verify
from wardgan.seal.gate import reasons_to_refuse, scan_for
from wardgan.seal.keys import KeyInfo, add_key, default_trust, new_key, read_trust
from wardgan.seal.onnx_check import check_network
from wardgan.seal.reading import Signature

__all__ = [
    "KeyInfo",
    "Signature",
    "Verified",
    "add_key",
    "check_network",
    "default_trust",
    "inspect",
    "load",
    "new_key",
    "read_trust",
    "reasons_to_refuse",
    "release",
    "scan_for",
    "verify",
]
