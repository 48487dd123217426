"""The way over a network: NVFlare carries messages between processes with certificates, and nothing else."""

from __future__ import annotations

from typing import Final

# Exactly one class on each side: whoever allows a prefix allows every function that a module of it has imported.
CENTRE: Final = "wardgan.federating.flare.centre.Centre"
HOSPITAL: Final = "wardgan.federating.flare.hospital.Hospital"
TASK: Final = "wardgan"
POLICY: Final = "policy.yaml"
CONSOLE: Final = "console.txt"
POLICY_VARIABLE: Final = "WARDGAN_POLICY"
RESULT: Final = "wardgan.json"
ADMIN: Final = "coordinator@wardgan.org"
ORGANISATION: Final = "wardgan"
