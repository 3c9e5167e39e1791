"""`dipeo chat`: a person at the terminal talks with one persona."""

import asyncio
import sys
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import DipeoError, ValidationError
from dipeo.domain.message import Message
from dipeo.entrypoints.cli.completion_facts import remarks_on
from dipeo.entrypoints.cli.conversation_files import check_target, load_or_begin, save, saved_at_the_end
from dipeo.entrypoints.cli.explanation import explain, request_of_person, show_explanations
from dipeo.entrypoints.cli.failures import failures_reported, report
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
from dipeo.entrypoints.cli.output import printable, warn, write
from dipeo.entrypoints.cli.person_files import person_in
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on, check_reachable
from dipeo.entrypoints.cli.shell_completion import complete_person_file

if TYPE_CHECKING:
    from dipeo.application.dialogue import Dialogue
    from dipeo.domain.person import Person

_HELP: Final = "/save FILE writes the conversation, /quit or Ctrl-D ends it, Ctrl-C stops an answer."


def chat(
    *,
    person_file: Annotated[
        str,
        typer.Option(
            "--person", "-p", metavar="FILE", help="The persona's prompt file.", autocompletion=complete_person_file
        ),
    ],
    fallback: FallbackOption = None,
    base_dir: BaseDirOption = None,
    save_file: SaveOption = None,
    load: LoadOption = None,
    force: ForceOption = False,
    human_id: Annotated[str, typer.Option("--as", metavar="NAME", help="Your id in the conversation.")] = "you",
    is_explained: ExplainOption = False,
    on: OnOption = On.LIVE,
    as_json: JsonOption = False,
) -> None:
    """Talk with one persona. Lines can also be piped in: each is a turn.

    --explain takes the first line alone, and --json goes with it.
    """
    with failures_reported(as_json=as_json), backend_on(on, base_dir=base_dir) as backend:
        if as_json and not is_explained:
            raise ValidationError("A chat is no JSON: --json goes with --explain alone.", field="--json")
        person = person_in(backend, person_file, fallbacks=fallback).joining(load_or_begin(load))
        if person.id == check_identifier("--as", human_id):
            raise ValidationError(f"{human_id!r} is the persona's id too.", field="--as")
        if is_explained:
            _Chat(person, human_id, own_files=[]).explain(backend, as_json=as_json)
            return
        check_reachable(backend, [person])
        opening = backend.opening(backend.services_of_person(person))
        if opening:
            warn(opening)
        with saved_at_the_end(person.conversation, save_file, loaded=load, force=force):
            _Chat(person, human_id, own_files=[save_file, load]).run(backend)


class _Chat:
    """The loop: read a line, answer it."""

    def __init__(self, person: "Person", human_id: str, *, own_files: list[Path | None]) -> None:
        self._person = person
        self._human_id = human_id
        self._own_files = own_files
        self._is_interactive = sys.stdin.isatty()

    def run(self, backend: Backend) -> None:
        """Until the lines end. Raises what goes wrong when nobody sits there to try again."""
        from dipeo.application.dialogue import Dialogue
        from dipeo.facade import connect

        if self._is_interactive:
            warn(f"You are talking with {self._person.name}. {_HELP}")
        # One loop for all turns, so that connections live on; it rests while the human types.
        with asyncio.Runner() as runner:
            connections = AsyncExitStack()
            llm = runner.run(connections.enter_async_context(connect(backend.settings, keys=backend.keys)))
            try:
                context = backend.container().context()
                dialogue = Dialogue(llm, [self._person], self._person.conversation, context=context)
                while (line := self._next_line()) is not None and line.strip() != "/quit":
                    if not self._is_command(line) and line.strip():
                        self._turn(runner, dialogue, line)
            finally:
                runner.run(connections.aclose())

    def explain(self, backend: Backend, *, as_json: bool) -> None:
        """Writes what the first line would send. Commands are passed over."""
        if self._is_interactive:
            warn(f"Type what you would say to {self._person.name}; nothing is sent.")
        line = self._next_line()
        while line is not None and line.strip() != "/quit":
            if line.strip() and not line.startswith("/"):
                self._person.conversation.append(Message(from_person_id=self._human_id, content=line))
                break
            line = self._next_line()
        explanation = explain(backend, request_of_person(backend, self._person))
        show_explanations(backend, [explanation], as_json=as_json)

    def _turn(self, runner: asyncio.Runner, dialogue: "Dialogue", line: str) -> None:
        said: list[str] = []
        try:
            self._person.conversation.append(Message(from_person_id=self._human_id, content=line))
            runner.run(self._answer(dialogue, said))
        except KeyboardInterrupt:
            if not self._is_interactive:
                raise
            warn("(stopped)")
            # What was seen was said: the persona should know how far it came.
            if "".join(said).strip():
                self._person.says("".join(said))
        except DipeoError as error:
            if not self._is_interactive:
                raise
            report(error)

    async def _answer(self, dialogue: "Dialogue", said: list[str]) -> None:
        from dipeo.application.dialogue import TurnEnds, TurnText

        # Lets the loop notice connections that were closed while it rested.
        await asyncio.sleep(0)
        remarks: list[str] = []
        write(f"{printable(self._person.name)}: ")
        # Closed at once when the answer is stopped, so that the provider stops too.
        async with aclosing(dialogue.turn(self._person.id)) as events:
            try:
                async for event in events:
                    if isinstance(event, TurnText):
                        said.append(event.text)
                        write(event.text)
                    elif isinstance(event, TurnEnds):
                        remarks = remarks_on(event.completion)
            finally:
                write("\n")
        for remark in remarks:
            warn(remark, label="Note")

    def _next_line(self) -> str | None:
        """The next line without its end; None when there are no more."""
        if not self._is_interactive:
            line = sys.stdin.readline()
            return line.rstrip("\r\n") if line else None
        with suppress(ImportError):
            import readline  # noqa: F401  # gives input() a history and arrow keys
        while True:
            try:
                return input(f"{self._human_id}> ")
            except EOFError:
                write("\n")
                return None
            except KeyboardInterrupt:
                write("\n")
                warn(_HELP)

    def _is_command(self, line: str) -> bool:
        """Carries the line out when it is a command, other than the one that ends the chat."""
        if not line.startswith("/"):
            return False
        word, _, rest = line.partition(" ")
        if word == "/save" and rest.strip():
            self._save(Path(rest.strip()))
        else:
            # Not sent to the model: a mistyped command is nothing to pay for.
            warn(_HELP if word == "/help" else f"There is no command {word!r}. {_HELP}")
        return True

    def _save(self, path: Path) -> None:
        try:
            check_target(path, own=self._own_files)
            save(self._person.conversation, path)
            self._own_files.append(path)
        except DipeoError as error:
            if not self._is_interactive:
                raise
            report(error)
