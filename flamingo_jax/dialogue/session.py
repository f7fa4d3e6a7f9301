"""One message of a conversation, from what was typed and dropped to the answer.

Terminal and page both go through `take_in`, `put` and `Responder.answer`.
"""

from __future__ import annotations

from collections.abc import Sequence

from flamingo_jax.core.errors import UserError
from flamingo_jax.dialogue.conversation import Conversation, Part
from flamingo_jax.dialogue.media import MAX_FILE_BYTES, read_medium
from flamingo_jax.dialogue.message import File, Item
from flamingo_jax.dialogue.responder import Fitted, Responder

MAX_FILES = 8
"""Pictures and clips of one message."""


def take_in(
    responder: Responder, items: Sequence[Item], max_bytes: int = MAX_FILE_BYTES
) -> list[Part]:
    """Reads the files of a message.

    Args:
        responder: looks at them.
        items: text and files in order.
        max_bytes: of a file.

    Returns:
        The parts of the message.

    Raises:
        UserError: a file cannot be used, or there are too many.
    """
    num_files = sum(isinstance(item, File) for item in items)
    if num_files > MAX_FILES:
        raise UserError(f"{num_files} files in one message; {MAX_FILES} at most")
    # All are read before any is encoded: most mistakes are names.
    read = [read_medium(*item, max_bytes) if isinstance(item, File) else item for item in items]
    return [item if isinstance(item, str) else responder.viewer.look(item) for item in read]


def put(responder: Responder, conversation: Conversation, parts: Sequence[Part]) -> Fitted:
    """The conversation with a further message, shortened to what the model can take.

    Raises:
        UserError: there is nothing in the message, or it is too long.
    """
    asked = conversation.say(parts)
    if not asked.turns[-1].said:
        raise UserError("there is nothing in the message")
    return responder.fit(asked)


def dropped(num_turns: int, max_length: int) -> str:
    """What to tell a person about turns that were left out."""
    verb = "is" if num_turns == 1 else "are"
    turns = "the oldest turn" if num_turns == 1 else f"the oldest {num_turns} turns"
    return f"the model takes {max_length} tokens at a time: {turns} {verb} left out from now on"
