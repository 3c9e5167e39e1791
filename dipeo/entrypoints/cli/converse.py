"""`dipeo converse`: several persons speak in turn on a topic."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dipeo.domain.checks import check_number
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import Message
from dipeo.entrypoints.cli.conversation_files import load_or_begin, saved_at_the_end
from dipeo.entrypoints.cli.explanation import explain, request_of_person, show_explanations
from dipeo.entrypoints.cli.failures import failures_reported
from dipeo.entrypoints.cli.options import (
    BaseDirOption,
    ExplainOption,
    FallbackOption,
    ForceOption,
    JsonOption,
    LoadOption,
    OnOption,
    SaveOption,
)
from dipeo.entrypoints.cli.output import warn
from dipeo.entrypoints.cli.person_files import person_in
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on, check_reachable
from dipeo.entrypoints.cli.shell_completion import complete_person_file

if TYPE_CHECKING:
    from dipeo.domain.person import Person
    from dipeo.entrypoints.cli.dialogue_report import DialogueReport

MODERATOR: Final = "moderator"
_TURNS_EACH: Final = 2


def converse(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="A prompt file for each person.", autocompletion=complete_person_file),
    ],
    *,
    topic: Annotated[str | None, typer.Option("--topic", help="What they talk about.")] = None,
    turns: Annotated[int | None, typer.Option("--turns", help="Turns in all (default: 2 for each person).")] = None,
    fallback: FallbackOption = None,
    save: SaveOption = None,
    load: LoadOption = None,
    force: ForceOption = False,
    base_dir: BaseDirOption = None,
    is_explained: ExplainOption = False,
    on: OnOption = On.LIVE,
    as_json: JsonOption = False,
) -> None:
    """Let several persons talk about a topic, each over their own model."""
    from dipeo.entrypoints.cli.dialogue_report import JsonReport, TextReport

    with failures_reported(as_json=as_json), backend_on(on, base_dir=base_dir) as backend:
        conversation = load_or_begin(load)
        persons = _in_order(_persons(files, backend, fallback), conversation, is_continued=topic is None)
        if is_explained:
            _open(conversation, topic)
            _explain(backend, persons, conversation, _turns(turns, persons), as_json=as_json)
            return
        services = check_reachable(backend, persons)
        report = (JsonReport if as_json else TextReport)(backend, services)
        with saved_at_the_end(conversation, save, loaded=load, force=force):
            _open(conversation, topic)
            report.begin(persons, topic)
            asyncio.run(_talk(backend, persons, conversation, _turns(turns, persons), report))


async def _talk(
    backend: Backend, persons: Sequence["Person"], conversation: Conversation, turns: int, report: "DialogueReport"
) -> None:
    from dipeo.application.dialogue import Dialogue
    from dipeo.facade import connect

    async with connect(backend.settings, keys=backend.keys) as llm:
        dialogue = Dialogue(llm, persons, conversation, context=backend.container().context())
        try:
            # Closed at once when the output breaks: nobody should pay for an answer that nobody reads.
            async with aclosing(dialogue.run(turns=turns)) as events:
                async for event in events:
                    report.show(event)
        finally:
            report.end(tuple(dialogue.summary()))


def _explain(
    backend: Backend, persons: Sequence["Person"], conversation: Conversation, turns: int, *, as_json: bool
) -> None:
    """Writes what the first turn of each person would send, as far as it is known before anybody has spoken."""
    from dipeo.application.dialogue import Dialogue

    check_number("turns", turns, minimum=1, is_whole=True)
    parts = backend.container()
    speakers = Dialogue(parts.service(), persons, conversation, context=parts.context()).persons[:turns]
    show_explanations(
        backend, [explain(backend, request_of_person(backend, person)) for person in speakers], as_json=as_json
    )
    if len(speakers) > 1:
        warn("What the others will have said by then is not known yet, and not part of it.")


def _persons(files: Sequence[str], backend: Backend, fallbacks: Sequence[str] | None) -> list["Person"]:
    persons = [person_in(backend, file, fallbacks=fallbacks) for file in files]
    if any(person.id == MODERATOR for person in persons):
        raise ValidationError(f"The id {MODERATOR!r} is the one who names the topic.", field="files")
    return persons


def _in_order(persons: list["Person"], conversation: Conversation, *, is_continued: bool) -> list["Person"]:
    """The persons, beginning with the one after whoever spoke last, so that nobody answers themselves."""
    if is_continued and conversation.messages:
        last = conversation.messages[-1].from_person_id
        for index, person in enumerate(persons):
            if person.id == last:
                return persons[index + 1 :] + persons[: index + 1]
    return persons


def _open(conversation: Conversation, topic: str | None) -> None:
    if topic is not None and topic.strip():
        conversation.append(Message(from_person_id=MODERATOR, content=topic))
    elif not conversation.messages:
        raise ValidationError("There is nothing to talk about.", field="--topic", suggestion="Add --topic TEXT.")


def _turns(turns: int | None, persons: Sequence["Person"]) -> int:
    # A zero that was asked for is no default: the dialogue refuses it.
    return _TURNS_EACH * len(persons) if turns is None else turns
