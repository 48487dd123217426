"""Uses a .hgan file with the core package alone: no torch, no accountant, no scikit-learn."""

import subprocess
import sys
from importlib.util import find_spec

import wardgan as wg

for extra in ("torch", "dp_accounting", "sklearn", "matplotlib"):
    if find_spec(extra) is not None:
        sys.exit(f"{extra} is installed: this environment is not without extras")
generator = wg.load(sys.argv[1])
patients = generator.sample(1000, where={"arm": "b"}, seed=1)
if len(patients) != 1000 or set(patients["arm"]) != {"b"}:
    sys.exit("the sample is wrong")
command = [sys.executable, "-m", "wardgan", "inspect", sys.argv[1], "--json"]
subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
print("the core package samples and inspects without extras")
