"""`dipeo ask`: one question, one answer."""

import asyncio
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, cast

import typer

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, Role
from dipeo.domain.errors import PromptRefusedError, ValidationError
from dipeo.domain.parts import TextPart
from dipeo.entrypoints.cli import ask_options as given
from dipeo.entrypoints.cli.answer_writing import AnswerWriter, write_sources
from dipeo.entrypoints.cli.ask_answer import Question, answer, response_schema_for, specs_of
from dipeo.entrypoints.cli.completion_facts import completion_as_dict, remarks_on
from dipeo.entrypoints.cli.explanation import explain, request_of, show_explanations
from dipeo.entrypoints.cli.failures import failures_reported
from dipeo.entrypoints.cli.given_files import read_schema
from dipeo.entrypoints.cli.options import BaseDirOption, ExplainOption, FallbackOption, JsonOption, OnOption
from dipeo.entrypoints.cli.output import warn, write, write_json
from dipeo.entrypoints.cli.service_choice import Backend, On, backend_on
from dipeo.infrastructure.documents.media_file import part_from_file


def ask(
    prompt: Annotated[str, typer.Argument(help="The question; - reads it from stdin.")],
    *,
    model: given.Model,
    service: given.Service = None,
    fallback: FallbackOption = None,
    system: given.System = None,
    system_file: given.SystemFile = None,
    base_dir: BaseDirOption = None,
    temperature: given.Temperature = None,
    top_p: given.TopP = None,
    max_tokens: given.MaxTokens = None,
    stop: given.Stop = None,
    seed: given.Seed = None,
    reasoning_effort: given.Effort = None,
    timeout_s: given.Timeout = None,
    api_key_id: given.KeyId = None,
    base_url: given.BaseUrl = None,
    strict: given.Strict = False,
    schema: given.Schema = None,
    file: given.Files = None,
    tool: given.Tools = None,
    provider_tool: given.ProviderTools = None,
    show_reasoning: given.ShowReasoning = False,
    no_stream: given.NoStream = False,
    is_explained: ExplainOption = False,
    on: OnOption = On.LIVE,
    as_json: JsonOption = False,
) -> None:
    """Ask a model one question. The answer goes to stdout, all else to stderr."""
    sampling = {"temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "stop": stop, "seed": seed}
    options = {**sampling, "reasoning_effort": reasoning_effort, "timeout_s": timeout_s, "base_url": base_url}
    options |= {"provider_tools": provider_tool, "fallbacks": fallback}
    with failures_reported(as_json=as_json):
        shape = None if schema is None else read_schema(schema, option="--schema")
    question = Question(
        prompt=prompt,
        system=system,
        system_file=system_file,
        model=model,
        service=service,
        api_key_id=api_key_id,
        files=file or (),
        schema=shape,
        tools=tool or (),
        options=_without_blanks({**options, "strict": strict or None}),
    )
    with failures_reported(as_json=as_json), backend_on(on, base_dir=base_dir, api_key_id=api_key_id) as backend:
        if base_url is not None and on is not On.LIVE:
            raise ValidationError("--base-url names who answers: it goes with --on live alone.", field="--base-url")
        # An answer of a given shape is asked for in one piece, and again where it does not fit.
        is_streamed = not (no_stream or as_json or (schema is not None and not tool))
        if is_explained:
            _explain(backend, question, as_json=as_json, is_streamed=is_streamed)
        else:
            # As JSON the thoughts are a part of what stdout gets.
            is_shown = show_reasoning and not as_json
            _run(backend, question, as_json=as_json, is_streamed=is_streamed, shows_reasoning=is_shown)


def _run(backend: Backend, question: Question, *, as_json: bool, is_streamed: bool, shows_reasoning: bool) -> None:
    messages = _messages(backend, question)
    fallbacks = question.options.get("fallbacks") or ()
    opening = backend.opening(backend.services_of(question.model, question.service, fallbacks))
    if opening:
        warn(opening)
    # An answer of a given shape is not written as it comes: what does not fit is asked for again.
    writes_text = is_streamed and question.schema is None
    with AnswerWriter(writes_text=writes_text, writes_thoughts=shows_reasoning) as writer:
        completion = asyncio.run(_answer(backend, question, messages, writer, is_streamed=is_streamed))
    if as_json:
        write_json(completion_as_dict(completion))
        return
    if not writes_text:
        write(f"{completion.text}\n")
    write_sources(completion.citations, is_stdout_json=question.schema is not None)
    if shows_reasoning and not writer.has_shown_thoughts:
        warn("The model showed nothing of its thinking.", label="Note")
    for remark in remarks_on(completion):
        warn(remark, label="Note")


def _explain(backend: Backend, question: Question, *, as_json: bool, is_streamed: bool) -> None:
    messages = _messages(backend, question)
    key_id, service, options = question.api_key_id, question.service, question.options.copy()
    if question.schema is not None:
        options["response_schema"] = response_schema_for(question.schema)
    if question.tools:
        options["tools"] = specs_of(question.tools)
    request = request_of(
        backend, lambda llm: llm.complete(messages, question.model, api_key_id=key_id, service=service, **options)
    )
    show_explanations(backend, [explain(backend, request, is_stream=is_streamed)], as_json=as_json)


async def _answer(
    backend: Backend, question: Question, messages: Sequence[ChatMessage], writer: AnswerWriter, *, is_streamed: bool
) -> Completion:
    from dipeo.facade import connect

    async with connect(backend.settings, keys=backend.keys) as llm:
        return await answer(llm, question, messages, writer, is_streamed=is_streamed)


def _read(prompt: str) -> str:
    if prompt != "-":
        return prompt
    try:
        text = sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise ValidationError(f"stdin is not UTF-8 (byte {problem.start:,}).", field="prompt") from None
    if not text.strip():
        raise ValidationError("stdin is empty: there is nothing to ask.", field="prompt")
    return text


def _messages(backend: Backend, question: Question) -> list[ChatMessage]:
    instructions = _instructions(backend, question.system, question.system_file)
    seen = tuple(part_from_file(path, field="--image") for path in question.files)
    text = _read(question.prompt)
    if not text.strip() and not seen:
        raise ValidationError(
            "PROMPT is empty: there is nothing to ask.",
            field="prompt",
            suggestion="Write the question in quotation marks.",
        )
    user = ChatMessage(Role.USER, (*seen, TextPart(text)) if text.strip() else seen)
    return [ChatMessage.from_text(Role.SYSTEM, instructions), user] if instructions else [user]


def _instructions(backend: Backend, system: str | None, system_file: str | None) -> str | None:
    if system_file is None:
        return system
    if system is not None:
        raise ValidationError("Give --system or --system-file, not both.", field="--system-file")
    file = backend.container().prompts().load(system_file)
    if file is None:
        raise PromptRefusedError(f"There is no prompt file {system_file!r}.", field="--system-file")
    return file.render({})


def _without_blanks(options: Mapping[str, object]) -> CompletionOptions:
    return cast("CompletionOptions", {name: value for name, value in options.items() if value not in (None, [])})
