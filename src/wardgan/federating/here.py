"""All hospitals of a training on one machine: for trying an agreement out, and for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from wardgan.errors import FormatError, UsageError, counted
from wardgan.federating.agreement import Agreement
from wardgan.federating.coordinator import Coordinator
from wardgan.federating.policy import Policy
from wardgan.federating.release import Federated, federated
from wardgan.federating.site import Site
from wardgan.federating.wire import Message
from wardgan.models.base import Watcher


class LocalChannel:
    """Asks hospitals one after the other; messages are packed and unpacked as if they travelled."""

    def __init__(self, sites: Mapping[str, Site]) -> None:
        """Takes the hospitals by name."""
        self._sites = dict(sites)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the hospitals."""
        return tuple(self._sites)

    def ask(self, message: Message) -> dict[str, Message]:
        """Gives the answers of all hospitals.

        Args:
            message: For all of them.
        """
        text, data = message.pack()
        found: dict[str, Message] = {}
        for name, site in self._sites.items():
            said = site.reply(Message.unpack(text, data)).pack()
            with suppress(FormatError):  # what is no message is not heard
                found[name] = Message.unpack(*said)
        return found

    def close(self) -> None:
        """Stops all fits."""
        for site in self._sites.values():
            site.close()


def federate(  # noqa: PLR0913 - what a training may be told, in one place
    agreement: Agreement, policies: Sequence[Policy], path: str | Path, *, folder: str | Path | None = None,
    key: str | Path | None = None, passphrase: bytes | None = None, override: str | None = None,
    created: str | None = None, force: bool = False, watch: Watcher | None = None,
) -> Federated:  # fmt: skip
    """Trains with all hospitals on this machine, exactly as it would be done over a network.

    Args:
        agreement: What was agreed on.
        policies: Of the hospitals.
        path: The `.hgan` file.
        folder: Where the state of the training is kept; with it, a training that stopped goes on.
        key: Private key that signs the file.
        passphrase: Of the private key.
        override: `person: reason`, needed without privacy.
        created: Date, `YYYY-MM-DD`.
        force: Whether an existing file may be replaced.
        watch: Is told of progress.

    Raises:
        UsageError: Two hospitals have the same name, or fewer are named than the agreement needs.
        TooFewError: Fewer hospitals than agreed on take part.
        BudgetError: The hospitals have spent all steps in an earlier training of the same agreement.
    """
    names = [policy.name for policy in policies]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"policies: two hospitals are called {twice!r}; give them names of their own.")
    channel = LocalChannel({policy.name: Site(policy) for policy in policies})
    try:
        coordinator = Coordinator(agreement, channel, folder=folder, watch=watch)
        if len(names) < agreement.least and not coordinator.finished:
            raise UsageError(
                f"policies: {counted(len(names), 'hospital')} named, and the agreement needs at least "
                f"{agreement.least} (least); name the policies of more."
            )
        return federated(
            coordinator, path, key=key, passphrase=passphrase, override=override, created=created, force=force
        )
    finally:
        channel.close()
