"""Verbs that the steward's pages run, as processes that need not begin with reading all modules.

One process has read them and waits; for each verb it makes a copy of itself, with the words, folder, environment and
files that the verb would have had. What the pages start is a small process that asks for the copy, hands Ctrl-C on to
it, and ends as it ends.
"""

from __future__ import annotations

import array
import atexit
import json
import os
import pkgutil
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

# What the verbs of these tests read sooner or later.
PARTS = ("cli", "combining", "evaluate", "federating", "models.copula", "privacy", "sample", "schema", "seal")
HEAVY = ("images", "flare")
# What they read only when it is needed, and these need again and again.
LATE = ("dp_accounting", "markdown_it", "rich.markdown", "rich.progress")


@cache
def quick():
    """Gives the words that stand before those of a verb."""
    folder = tempfile.mkdtemp()
    address = f"{folder}/verbs"
    process = subprocess.Popen([sys.executable, __file__, "wait", address], stdout=subprocess.PIPE)
    atexit.register(lambda: (process.terminate(), process.communicate(), shutil.rmtree(folder)))
    assert process.stdout.readline() == b"ready\n"
    return [sys.executable, "-I", "-S", __file__, "ask", address]


def ask(address, words):
    """Has a verb run, and ends as it ends."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(address)
        asked = json.dumps({"words": words, "folder": str(Path.cwd()), "surroundings": dict(os.environ)}).encode()
        files = array.array("i", [0, 1, 2])
        line.sendmsg([len(asked).to_bytes(8, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        line.sendall(asked)
        answers = line.makefile("r")
        copy = int(answers.readline())
        signal.signal(signal.SIGINT, lambda *_: os.kill(copy, signal.SIGINT))
        code = int(answers.readline())
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


def wait(address):
    """Reads all modules, and makes a copy of itself for each verb."""
    import wardgan

    for part in PARTS:
        for one in pkgutil.walk_packages([f"{wardgan.__path__[0]}/{part.replace('.', '/')}"], f"wardgan.{part}."):
            if not any(heavy in one.name for heavy in HEAVY):
                import_module(one.name)
    for name in LATE:
        import_module(name)
    with socket.socket(socket.AF_UNIX) as place:
        place.bind(address)
        place.listen()
        print("ready", flush=True)
        while True:
            line, _ = place.accept()
            if not os.fork():
                place.close()
                _serve(line)
            line.close()
            with suppress(ChildProcessError):  # those who waited for a verb that has ended
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _serve(line):
    size, found, _, _ = line.recvmsg(8, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    files = array.array("i", found[0][2])
    asked = json.loads(line.makefile("rb").read(int.from_bytes(size, "big")))
    copy = os.fork()
    if copy:
        line.sendall(f"{copy}\n".encode())
        _, status = os.waitpid(copy, 0)
        line.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    line.close()
    for at, file in enumerate(files):
        os.dup2(file, at)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["surroundings"])
    # Tests that run in the background may have been told to ignore it; a verb that somebody starts is not.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["wardgan", *asked["words"]]
    from wardgan.cli.main import main

    main()


if __name__ == "__main__":
    {"ask": lambda: ask(sys.argv[2], sys.argv[3:]), "wait": lambda: wait(sys.argv[2])}[sys.argv[1]]()
