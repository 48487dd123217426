"""What runs at whoever coordinates when a job is begun: some rounds of a training, whose state is kept between jobs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from nvflare.apis.controller_spec import ClientTask, Task
from nvflare.apis.fl_constant import ReturnCode
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from wardgan import check, files
from wardgan.errors import BudgetError, WardganError
from wardgan.federating.agreement import Agreement
from wardgan.federating.coordinator import Coordinator, TooFewError
from wardgan.federating.flare import RESULT, TASK
from wardgan.federating.flare.payload import packed, unpacked
from wardgan.federating.flare.processes import folder_of
from wardgan.federating.wire import Message

_CHECK: Final = 0.1


class Centre(Controller):
    """A training over the network. What it knows lies in the server's folder, so that the next job goes on."""

    def __init__(self, agreement: dict[str, object], patience: int = 600, most: int = 10) -> None:
        """Takes what was agreed on.

        Args:
            agreement: What was agreed on.
            patience: Seconds after which a step goes on without those who have not answered.
            most: Rounds in one job. A hospital that was restarted takes part again from the next job on.
        """
        super().__init__(task_check_period=_CHECK)
        check.whole(1, patience=patience, most=most)
        self._agreement = Agreement.from_dict(agreement)
        self._patience, self._most = patience, most

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Nothing has to be prepared."""

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Nothing has to be tidied up."""

    def process_result_of_unknown_task(
        self, client: object, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """Drops an answer that came too late."""
        del client, task_name, client_task_id, result
        self.log_info(fl_ctx, "an answer came too late and is dropped")

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Trains, and leaves beside the state whether it is over, or why it could not go on.

        Args:
            abort_signal: Whether the job was ended.
            fl_ctx: NVFlare's context.
        """
        workspace = self._engine.get_workspace()  # pyright: ignore[reportOptionalMemberAccess]
        folder = folder_of(Path(workspace.get_root_dir()), self._agreement)
        channel = FlareChannel(self, fl_ctx, abort_signal, self._patience)
        found: dict[str, object] = {"done": False, "error": None, "again": False, "spent": False}
        try:
            coordinator = Coordinator(
                self._agreement, channel, folder=folder, stop=lambda: bool(abort_signal.triggered)
            )
            if coordinator.train(self._most):
                coordinator.farewell()
                found["done"] = True
        except (WardganError, KeyboardInterrupt) as error:
            notes = [*getattr(error, "__notes__", ())]
            found["error"] = "\n".join([str(error) or type(error).__name__, *map(str, notes)])
            found["again"], found["spent"] = isinstance(error, TooFewError), isinstance(error, BudgetError)
        folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(folder / RESULT, json.dumps(found).encode(), force=True)


class FlareChannel:
    """Asks hospitals over the network; who did not answer in time is not asked again within a job."""

    def __init__(self, centre: Centre, fl_ctx: FLContext, abort: Signal, patience: int) -> None:
        """Takes the way.

        Args:
            centre: The controller.
            fl_ctx: NVFlare's context.
            abort: Whether the job was ended.
            patience: Seconds to wait for answers.
        """
        self._centre, self._context, self._abort, self._patience = centre, fl_ctx, abort, patience
        engine = centre._engine
        self._names = [client.name for client in engine.get_clients()]  # pyright: ignore[reportOptionalMemberAccess]

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the hospitals that are asked."""
        return tuple(self._names)

    def ask(self, message: Message) -> dict[str, Message]:
        """Gives the answers of those who answered in time.

        Args:
            message: For all of them.
        """
        found: dict[str, Message] = {}

        def received(client_task: ClientTask, fl_ctx: FLContext) -> None:
            del fl_ctx
            name, result = client_task.client.name, client_task.result
            # An exception would end the task for all hospitals.
            try:
                if isinstance(result, Shareable) and result.get_return_code() == ReturnCode.OK:
                    found[name] = unpacked(result)
            except Exception as error:
                self._centre.log_info(self._context, f"{name}: {type(error).__name__}: {error}")
            client_task.result = None  # pyright: ignore[reportAttributeAccessIssue] - a large answer is kept once

        task = Task(name=TASK, data=packed(message), timeout=self._patience, result_received_cb=received)
        self._centre.broadcast_and_wait(
            task=task, fl_ctx=self._context, targets=list(self._names), min_responses=0, abort_signal=self._abort
        )
        self._names = [name for name in self._names if name in found]
        return found
