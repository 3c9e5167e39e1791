"""`dipeo conversation`: saved conversations, to read, to branch off, and to hand on."""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from attrs import evolve

from dipeo.domain.checks import check_identifier, check_number
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import DipeoError
from dipeo.domain.message import Message
from dipeo.domain.message_format import message_to_dict
from dipeo.entrypoints.cli.conversation_files import check_target, load, save
from dipeo.entrypoints.cli.conversation_text import as_markdown, as_plain_text, numbered
from dipeo.entrypoints.cli.failures import failures_reported
from dipeo.entrypoints.cli.options import JsonOption
from dipeo.entrypoints.cli.output import warn, write, write_json

conversation = typer.Typer(name="conversation", help="Read, fork and export saved conversations.", no_args_is_help=True)

File: TypeAlias = Annotated[Path, typer.Argument(metavar="FILE", help="A saved conversation.")]
AsOption: TypeAlias = Annotated[
    str | None, typer.Option("--as", metavar="PERSON_ID", help="What this person may see, and no more.")
]
Force: TypeAlias = Annotated[bool, typer.Option("--force", help="Replace a file that exists.")]


class Format(StrEnum):
    """What a conversation is exported as."""

    MARKDOWN = "markdown"
    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"


@conversation.command()
def show(file: File, *, person_id: AsOption = None, as_json: JsonOption = False) -> None:
    """Print who said what to whom; private messages are marked."""
    with failures_reported(as_json=as_json):
        talk = load(file, field="file")
        seen = _seen(talk, person_id)
        if as_json:
            write_json(_as_dict(talk, seen, person_id))
            return
        write("\n\n".join([_about(talk, seen), *(numbered(message, number) for number, message in seen)]) + "\n")


@conversation.command()
def fork(
    file: File,
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The file for the fork.")],
    *,
    kept: Annotated[
        int | None, typer.Option("--at", metavar="N", help="Keep the first N messages (default: all).")
    ] = None,
    force: Force = False,
) -> None:
    """Write a new conversation that begins with what was said, for both to go their own ways."""
    with failures_reported():
        talk = load(file, field="file")
        if kept is not None:
            check_number("--at", kept, minimum=1, maximum=len(talk), is_whole=True)
        check_target(new, force=force, field="new")
        save(Conversation(talk.messages[:kept], forked_from=talk.id), new)


@conversation.command()
def export(
    file: File,
    *,
    kind: Annotated[Format, typer.Option("--format", help="What to make of it.")] = Format.MARKDOWN,
    person_id: AsOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write (default: stdout).")] = None,
    force: Force = False,
) -> None:
    """Write a conversation for others to read: as a text, or as JSON."""
    with failures_reported():
        talk = load(file, field="file")
        text = _exported(talk, [message for _, message in _seen(talk, person_id)], kind, is_whole=person_id is None)
        if output is None:
            write(text)
            return
        check_target(output, force=force, field="--output")
        _write_file(output, text, force=force)
        warn(f"Wrote {output}.")


def _seen(talk: Conversation, person_id: str | None) -> list[tuple[int, Message]]:
    """The messages with their numbers in the whole log; those alone, and of those what, the person may see."""
    numbers = list(enumerate(talk.messages, start=1))
    if person_id is None:
        return numbers
    check_identifier("--as", person_id)
    if person_id not in _known(talk):
        warn(f"Nobody in this conversation is called {person_id!r}: what all may see is shown.", label="Note")
    return [
        (number, message if parts == message.parts else evolve(message, content=parts))
        for number, message in numbers
        if message.is_visible_to(person_id) and (parts := message.parts_for(person_id))
    ]


def _known(talk: Conversation) -> dict[str | None, None]:
    """All who speak, are spoken to or may see something private, in the order in which they turn up."""
    known: dict[str | None, None] = {}
    for message in talk.messages:
        known |= dict.fromkeys([message.from_person_id, message.to_person_id, *sorted(message.visibility or ())])
    return known


def _about(talk: Conversation, seen: list[tuple[int, Message]]) -> str:
    speakers = ", ".join(dict.fromkeys(message.from_person_id for _, message in seen)) or "nobody"
    count = f"{len(seen)} of {len(talk)}" if len(seen) != len(talk) else str(len(talk))
    origin = f", forked from {talk.forked_from}" if talk.forked_from else ""
    return f"Conversation {talk.id}{origin}: {count} {'message' if len(talk) == 1 else 'messages'} by {speakers}"


def _as_dict(talk: Conversation, seen: list[tuple[int, Message]], person_id: str | None) -> dict[str, object]:
    return {
        "id": talk.id,
        "forked_from": talk.forked_from,
        "as": person_id,
        "messages": [
            {"number": number, "is_private": message.visibility is not None, **message_to_dict(message)}
            for number, message in seen
        ],
    }


def _exported(talk: Conversation, messages: list[Message], kind: Format, *, is_whole: bool) -> str:
    if kind is Format.TEXT:
        return as_plain_text(messages)
    if kind is Format.MARKDOWN:
        return as_markdown(messages, title=f"Conversation {talk.id}")
    if kind is Format.JSONL:
        return "".join(json.dumps(message_to_dict(message), ensure_ascii=False) + "\n" for message in messages)
    # A part of it is another conversation: under the same id it would pass for the whole.
    return (talk if is_whole else Conversation(messages, forked_from=talk.id)).to_json()


def _write_file(path: Path, text: str, *, force: bool) -> None:
    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)  # conversations may be private

    try:
        with open(path, "w" if force else "x", encoding="utf-8", opener=opened) as file:
            file.write(text)
    except OSError as problem:
        raise DipeoError(f"{str(path)!r} cannot be written: {problem.strerror}.") from None
