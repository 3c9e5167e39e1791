"""Conversations in files."""

import os
import tempfile
from pathlib import Path
from typing import Final

from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ValidationError

MAX_FILE_BYTES: Final = 64 * 1024 * 1024


def save_conversation(conversation: Conversation, path: str | os.PathLike[str]) -> None:
    """Writes the conversation as JSON, readable by its owner alone, whole or not at all.

    The text goes to a new file that then takes the place of the old one, so that a crash leaves one of the two.
    """
    target = Path(path)
    with tempfile.NamedTemporaryFile(  # its mode is 0600: conversations may be private
        "w", encoding="utf-8", dir=target.parent, prefix=f".{target.name}.", delete=False
    ) as file:
        try:
            file.write(conversation.to_json())
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:  # whatever stopped it: no half-written file stays behind
            Path(file.name).unlink(missing_ok=True)
            raise


def load_conversation(path: str | os.PathLike[str]) -> Conversation:
    """The conversation in the file. Raises `ValidationError` for one that is too large, or no conversation."""
    with Path(path).open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ValidationError(f"{os.fspath(path)!r} is larger than {MAX_FILE_BYTES} bytes.", field="path")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError(f"{os.fspath(path)!r} is not UTF-8 text.", field="path") from None
    return Conversation.from_json(text)
