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

    The text goes to a new file that then takes the place of the old one, if there is one, so that a crash leaves one of
    the two; a symbolic link stays, and what it points at is replaced. Raises `ValidationError` for what is there and is
    no file, such as a device, and `OSError` where nothing can be written.
    """
    target = Path(os.path.realpath(path))  # which, unlike resolve(), takes a link to itself for a name
    check_replaceable(target)
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


def check_replaceable(path: Path) -> None:
    """Refuses, with `ValidationError`, to put a file in the place of something else."""
    if path.exists() and not path.is_file():
        raise ValidationError(f"{str(path)!r} is there, and is no file.", field="path", suggestion="Name another file.")


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
    try:
        return Conversation.from_json(text)
    except ValidationError as problem:
        message = f"{os.fspath(path)!r} is no conversation: {problem.message}"
        raise ValidationError(message, field=problem.field, suggestion=problem.suggestion) from None
