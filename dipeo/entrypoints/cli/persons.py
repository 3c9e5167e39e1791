"""`dipeo persons`: the prompt files, and what a person would be sent."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from dipeo.domain.completion import ChatMessage
from dipeo.domain.errors import PromptRefusedError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.model import ModelTarget
from dipeo.domain.sampling import NO_SAMPLING
from dipeo.entrypoints.cli.completion_facts import adaptation_in_words
from dipeo.entrypoints.cli.conversation_files import load
from dipeo.entrypoints.cli.conversation_text import content_in_words
from dipeo.entrypoints.cli.explanation import Explanation, explain, request_of_person
from dipeo.entrypoints.cli.failures import failures_reported
from dipeo.entrypoints.cli.options import BaseDirOption, JsonOption, PersonFile
from dipeo.entrypoints.cli.output import printable, stdout_console, warn, write, write_json
from dipeo.entrypoints.cli.person_files import ListedPrompt, list_prompts, prompt_as_dict, settings_in_words, target_of
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on

if TYPE_CHECKING:
    from dipeo.domain.completion import CompletionRequest
    from dipeo.domain.person import Person
    from dipeo.domain.prompt import PromptFile

persons = typer.Typer(
    name="persons", help="Show the persons in prompt files, and what they would be sent.", no_args_is_help=True
)

_SAYS: Final = "you"
"""Who says the message of --message; the id that a chat gives to the human."""


@persons.command("list")
def list_persons(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="A directory below the base directory.")] = "prompts",
    *,
    base_dir: BaseDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the prompt files of a directory: who they describe, and which model speaks for them."""
    with failures_reported(as_json=as_json), backend_on(On.LIVE, base_dir=base_dir) as backend:
        listed = list_prompts(backend, folder)
        if as_json:
            write_json({"persons": [prompt.to_dict() for prompt in listed]})
        elif listed:
            _show_list(listed)
        else:
            warn(f"There is no prompt file in {folder!r}.")


@persons.command("show")
def show_person(file: PersonFile, *, base_dir: BaseDirOption = None, as_json: JsonOption = False) -> None:
    """Show a prompt file: the text, its variables, the model and its settings."""
    with failures_reported(as_json=as_json), backend_on(On.LIVE, base_dir=base_dir) as backend:
        prompt = backend.container().prompts().load(file)
        if prompt is None:
            raise PromptRefusedError(f"There is no prompt file {file!r}.", field="prompt_file")
        target = target_of(backend, prompt)
        if as_json:
            write_json({"file": file, "id": Path(file).stem, **prompt_as_dict(prompt, target)})
        else:
            _show_prompt(file, prompt, target)


@persons.command("render")
def render_person(
    file: PersonFile,
    *,
    conversation: Annotated[
        Path | None, typer.Option("--conversation", "-c", help="What was said so far: a saved conversation.")
    ] = None,
    message: Annotated[
        str | None, typer.Option("--message", "-m", help=f"What {_SAYS!r} would say to the person.")
    ] = None,
    is_wire: Annotated[
        bool, typer.Option("--wire", help="Write the provider's JSON instead; no key is needed.")
    ] = False,
    base_dir: BaseDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the person would be sent, message by message. Nothing is sent."""
    with failures_reported(as_json=as_json), backend_on(On.LIVE, base_dir=base_dir) as backend:
        person = _listening(backend, file, conversation, message)
        request = request_of_person(backend, person)
        explanation = explain(backend, request) if is_wire else None
        if as_json:
            write_json(_rendered_as_dict(person, request, explanation))
        elif explanation is not None:
            write(json.dumps(explanation.body, ensure_ascii=False, indent=2) + "\n")
        else:
            write("\n\n".join(_in_words(said) for said in request.messages) + "\n")
        if not as_json:
            for remark in _remarks(request, explanation):
                warn(remark, label="Note")


def _listening(backend: Backend, file: str, conversation: Path | None, message: str | None) -> "Person":
    """The person, having heard the conversation and the message."""
    from dipeo.domain.conversation import Conversation
    from dipeo.facade import load_person

    if conversation is None and message is None:
        raise ValidationError(
            "There is nothing to answer.", field="--message", suggestion="Add --message TEXT or --conversation FILE."
        )
    heard = Conversation() if conversation is None else load(conversation, field="--conversation")
    person = load_person(file, base_dir=backend.settings.base_dir, conversation=heard)
    if message is not None:
        if person.id == _SAYS:
            raise ValidationError(f"{_SAYS!r} is the person's id too.", field="--message")
        heard.append(Message(from_person_id=_SAYS, content=message))
    return person


def _show_list(listed: list[ListedPrompt]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console = stdout_console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("File", "Name", "Model", "Service", "Description"):
        table.add_column(heading, overflow="fold")
    for entry in listed:
        prompt, target = entry.prompt, entry.target
        if prompt is None:
            table.add_row(Text(printable(entry.file)), "-", "-", "-", Text(printable(entry.refusal), style="red"))
            continue
        cells = (prompt.name, prompt.model, target.service.value if target else None, prompt.description)
        table.add_row(*(Text(printable(cell or "-")) for cell in (entry.file, *cells)))
    console.print(table)


def _show_prompt(file: str, prompt: "PromptFile", target: ModelTarget | None) -> None:
    lines = [f"File: {file}", f"Id: {Path(file).stem}"]
    lines += [
        f"{label}: {value}" for label, value in (("Name", prompt.name), ("Description", prompt.description)) if value
    ]
    lines.append(f"Model: {_model_in_words(prompt, target)}")
    if prompt.fallbacks is not None:
        lines.append(f"Fallbacks: {', '.join(map(str, prompt.fallbacks)) or 'none'}")
    if prompt.sampling != NO_SAMPLING:
        lines.append(f"Sampling: {settings_in_words(prompt.sampling)}")
    if prompt.memory is not None:
        lines.append(f"Memory: {prompt.memory}")
    for name, default in prompt.variables.items():
        lines.append(f"Variable: {name}, " + ("needs a value" if default is None else f"{default!r} unless given"))
    write("\n".join([*lines, "", prompt.text]) + "\n")


def _model_in_words(prompt: "PromptFile", target: ModelTarget | None) -> str:
    if prompt.model is None:
        return "none; the file gives instructions alone"
    if target is None:
        return f"{prompt.model} (of no service that is known)"
    alias = f"{target.model} " if target.model != prompt.model else ""
    return f"{prompt.model} ({alias}on {target.service.value})"


def _in_words(said: ChatMessage) -> str:
    who = f"{said.role.value}, {said.name}" if said.name else said.role.value
    return f"[{who}]\n{content_in_words(said.parts)}"


def _remarks(request: "CompletionRequest", explanation: Explanation | None) -> list[str]:
    adaptations = explanation.adaptations if explanation is not None else ()
    return [*request.notes, *(adaptation_in_words(adaptation) for adaptation in adaptations)]


def _rendered_as_dict(
    person: "Person", request: "CompletionRequest", explanation: Explanation | None
) -> dict[str, object]:
    rendered: dict[str, object] = {
        "person_id": person.id,
        "name": person.name,
        "service": request.service.value,
        "model": request.model,
        "messages": [
            {"role": said.role.value, "name": said.name, "content": content_in_words(said.parts)}
            for said in request.messages
        ],
        "notes": list(request.notes),
    }
    return rendered if explanation is None else {**rendered, "wire": explanation.to_dict()}
