"""What runs in a hospital when a job asks for it: it answers messages, within the hospital's own policy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_constant import FLContextKey, ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable, make_reply
from nvflare.apis.signal import Signal

from wardgan.errors import WardganError
from wardgan.federating.flare import POLICY, POLICY_VARIABLE, TASK
from wardgan.federating.flare.payload import packed, unpacked
from wardgan.federating.policy import Policy
from wardgan.federating.site import Site
from wardgan.federating.wire import Message


class Hospital(Executor):
    """One hospital. A job can neither name its files nor pass it anything but messages."""

    def __init__(self) -> None:
        """Takes nothing: whoever wrote the job has no say here."""
        super().__init__()
        self._site: Site | None = None

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Stops the fit when the job ends; its ledger and its state stay, and the next job goes on."""
        if event_type in (EventType.END_RUN, EventType.ABORT_TASK) and self._site is not None:
            site, self._site = self._site, None
            site.close()

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Answers one message.

        Args:
            task_name: Must be the one that is known.
            shareable: The message.
            fl_ctx: NVFlare's context, which knows the hospital's folder.
            abort_signal: Whether nobody wants the answer any more.
        """
        if task_name != TASK:
            return make_reply(ReturnCode.TASK_UNKNOWN)
        try:
            message = unpacked(shareable)
            if self._site is None:
                self._site = Site(Policy.load(_policy_of(fl_ctx)))
            found = self._site.reply(message, stopped=lambda: bool(abort_signal.triggered))
        except WardganError as error:
            # The text may name files; it stays in the hospital's own log.
            self.log_error(fl_ctx, f"wardgan: {error}")
            found = Message({"kind": "failed", "error": type(error).__name__})
        return packed(found)


def _policy_of(fl_ctx: FLContext) -> Path:
    """Gives the hospital's policy: named where its process was started, or in the folder of its kit."""
    given = os.environ.get(POLICY_VARIABLE)
    if given:
        return Path(given)
    workspace: Any = fl_ctx.get_workspace() or fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
    return Path(workspace.get_file_path_in_site_config(POLICY))
