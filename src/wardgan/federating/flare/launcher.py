"""How a hospital starts the process of a job: again if it died, so that one crash does not end everybody's job."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_launcher_spec import JobHandleSpec, JobReturnCode
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher
from nvflare.utils.job_launcher_utils import get_credential_env
from nvflare.utils.process_utils import spawn_process

# A process that was not allowed to begin ends with this code; to start it again would not help.
_REFUSED: Final = 1


class _Handle(JobHandleSpec):
    """A process that is started again when it dies by itself."""

    def __init__(self, spawn: Callable[[], Any], restarts: int) -> None:
        super().__init__()
        self._spawn, self._left = spawn, restarts
        self._lock, self._stopped, self._process = threading.Lock(), False, spawn()

    def terminate(self) -> None:
        with self._lock:
            self._stopped = True
            self._process.terminate()

    def poll(self) -> int:
        # A crash is not reported as one: the server would end the job for all hospitals.
        return JobReturnCode.SUCCESS if self._process.poll() == 0 else JobReturnCode.UNKNOWN

    def wait(self) -> None:
        while True:
            self._process.wait()
            code = self._process.poll()
            with self._lock:
                if self._stopped or self._left <= 0 or code in (0, _REFUSED):
                    return
                self._left -= 1
                self._process = self._spawn()


class RestartingLauncher(ClientProcessJobLauncher):
    """Starts the process of a job, and again if it dies; no folder with code of a job is on its path."""

    def __init__(self, restarts: int = 2) -> None:
        """Takes how often.

        Args:
            restarts: How often one job's process is started again.
        """
        super().__init__()
        self._restarts = restarts

    def launch_job(self, job_meta: Mapping[str, Any], fl_ctx: FLContext) -> JobHandleSpec:
        """Starts the process of a job.

        Args:
            job_meta: NVFlare's description of it.
            fl_ctx: NVFlare's context.
        """
        environment = {**os.environ, **get_credential_env(fl_ctx.get_prop(FLContextKey.JOB_PROCESS_ARGS) or {})}
        words = shlex.split(self.get_command(job_meta, fl_ctx), posix=True)
        return _Handle(lambda: spawn_process(words, environment), self._restarts)
