"""Messages inside NVFlare's shareables: one text and one block of bytes, which nobody but us decodes."""

from __future__ import annotations

from nvflare.apis.shareable import Shareable

from wardgan.federating.wire import Message

_FACTS, _ARRAYS = "wardgan_facts", "wardgan_arrays"


def packed(message: Message) -> Shareable:
    """Gives the shareable of a message."""
    found = Shareable()
    found[_FACTS], found[_ARRAYS] = message.pack()
    return found


def unpacked(shareable: Shareable) -> Message:
    """Gives the message of a shareable.

    Raises:
        FormatError: It holds none.
    """
    return Message.unpack(shareable.get(_FACTS), shareable.get(_ARRAYS))
