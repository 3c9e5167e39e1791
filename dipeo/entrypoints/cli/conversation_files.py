"""Conversations that a command begins with, and leaves behind."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import DipeoError, ValidationError
from dipeo.entrypoints.cli.output import warn


def load_or_begin(path: Path | None) -> Conversation:
    """The conversation in the file, or a new one. Raises `ValidationError` for a file that cannot be read."""
    return Conversation() if path is None else load(path, field="--load")


def load(path: Path, *, field: str) -> Conversation:
    """The conversation in the file. Raises `ValidationError`, naming the field, for one that cannot be read."""
    from dipeo.infrastructure.documents.conversation_file import load_conversation

    try:
        return load_conversation(path)
    except OSError as problem:
        raise ValidationError(f"{str(path)!r} cannot be read: {problem.strerror}.", field=field) from None


def check_target(path: Path, *, own: Sequence[Path | None] = (), force: bool = False, field: str = "--save") -> None:
    """Refuses, with `ValidationError`, a file that cannot be written, or one that exists and is none of our `own`."""
    if path.is_dir():
        raise ValidationError(f"{str(path)!r} is a directory.", field=field, suggestion="Name a file in it.")
    if not path.parent.is_dir():
        raise ValidationError(f"There is no directory {str(path.parent)!r}.", field=field, suggestion="Make it first.")
    if not os.access(Path(os.path.realpath(path)).parent, os.W_OK | os.X_OK):
        raise ValidationError(f"{str(path)!r} cannot be written: nothing may be written in its directory.", field=field)
    is_own = any(file is not None and file.exists() and path.samefile(file) for file in own if path.exists())
    if path.exists() and not is_own and not force:
        raise ValidationError(
            f"{str(path)!r} exists already.", field=field, suggestion="Name another file, or add --force."
        )


@contextmanager
def saved_at_the_end(
    conversation: Conversation, path: Path | None, *, loaded: Path | None = None, force: bool = False
) -> Iterator[None]:
    """Saves the conversation when the block ends, however it ends; checks first that this will be possible."""
    if path is not None:
        from dipeo.infrastructure.documents.conversation_file import check_replaceable

        check_target(path, own=[loaded], force=force)
        check_replaceable(Path(os.path.realpath(path)))
    try:
        yield
    finally:
        if path is not None:
            save(conversation, path)


def save(conversation: Conversation, path: Path) -> None:
    """Writes the conversation to the file and says so. Raises `DipeoError` when that fails."""
    from dipeo.infrastructure.documents.conversation_file import save_conversation

    try:
        save_conversation(conversation, path)
    except OSError as problem:
        raise DipeoError(f"{str(path)!r} cannot be written: {problem.strerror}.") from None
    warn(f"Saved {len(conversation)} {'message' if len(conversation) == 1 else 'messages'} to {path}.")
