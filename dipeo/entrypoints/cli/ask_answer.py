"""How `dipeo ask` comes to its answer: asked once, in a shape, or with tools."""

from collections.abc import Sequence

from attrs import evolve, frozen

from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, Role
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.stream import CompletionEnd
from dipeo.domain.tools import ResponseSchema, ToolSpec
from dipeo.domain.usage import Usage
from dipeo.entrypoints.cli.answer_writing import AnswerWriter
from dipeo.entrypoints.cli.given_files import load_functions
from dipeo.entrypoints.cli.output import warn

_MAX_SHOWN_CHARS = 120


@frozen(kw_only=True)
class Question:
    """What was asked, as it was given."""

    prompt: str
    system: str | None
    system_file: str | None
    model: str
    service: str | None
    api_key_id: str | None
    files: Sequence[str]
    schema: JsonObject | None
    tools: Sequence[str]
    options: CompletionOptions


async def answer(
    llm: LLMServicePort,
    question: Question,
    messages: Sequence[ChatMessage],
    writer: AnswerWriter,
    *,
    is_streamed: bool,
) -> Completion:
    """The answer; its text is written as it comes where it is streamed.

    Where the model was asked more than once, it says what all of that took.
    """
    if question.tools:
        return await _with_tools(llm, question, messages, writer, is_streamed=is_streamed)
    if question.schema is not None:
        completion = await _in_shape(llm, question, messages, question.schema)
        writer(CompletionEnd(completion))
        return completion
    asked = {"api_key_id": question.api_key_id, "service": question.service, **question.options}
    if not is_streamed:
        completion = await llm.complete(messages, question.model, **asked)  # type: ignore[arg-type]  # checked by the service
        writer(CompletionEnd(completion))
        return completion
    async with llm.stream(messages, question.model, **asked) as stream:  # type: ignore[arg-type]  # as above
        async for event in stream:
            writer(event)
    return stream.completion


def specs_of(tools: Sequence[str]) -> list[ToolSpec]:
    """What the model is told of these functions."""
    from dipeo.application.tool import tool

    return [tool(function).spec for function in load_functions(tools, option="--tool")]  # type: ignore[call-overload]


def response_schema_for(schema: JsonObject) -> ResponseSchema:
    """What the model is asked for. Raises `ValidationError` for a schema that could not be checked."""
    from dipeo.application.answer_shape import as_shape, response_schema_of

    return response_schema_of(as_shape(schema), schema)


async def _in_shape(
    llm: LLMServicePort, question: Question, messages: Sequence[ChatMessage], schema: JsonObject
) -> Completion:
    from dipeo.application.structured_output import StructuredAnswer, StructuredOutput

    shaped: StructuredAnswer[JsonValue] = await StructuredOutput(llm).complete(
        messages,
        question.model,
        schema,
        api_key_id=question.api_key_id,
        service=question.service,
        **question.options,
    )
    for problem in shaped.problems:
        _warn_of(problem)
    return _all_told(shaped.completions)


async def _with_tools(
    llm: LLMServicePort,
    question: Question,
    messages: Sequence[ChatMessage],
    writer: AnswerWriter,
    *,
    is_streamed: bool,
) -> Completion:
    from dipeo.application.answer_shape import reproach
    from dipeo.application.tool_loop import ToolLoop
    from dipeo.application.tool_round import ToolEnded

    options = question.options.copy()
    if question.schema is not None:
        options["response_schema"] = response_schema_for(question.schema)
    loop = ToolLoop(llm, load_functions(question.tools, option="--tool"))  # type: ignore[arg-type]  # checked by the loop
    begin = loop.stream if is_streamed else loop.run
    run = begin(messages, question.model, api_key_id=question.api_key_id, service=question.service, **options)
    async with run:
        async for event in run:
            if isinstance(event, ToolEnded):
                call = event.call
                given = ", ".join(f"{name}={value!r}" for name, value in call.part.arguments.items())
                warn(f"{call.name}({given}) {call.ending.value}: {_short(call.result.content)}", label="Tool")
            else:
                writer(event)
    outcome = run.outcome
    if not outcome.is_answered:
        raise ValidationError(f"The model came to no answer: {outcome.detail or outcome.ending.value}.", field="--tool")
    problem = None if question.schema is None else _misfit(question.schema, outcome.text)
    if question.schema is None or problem is None:
        return _all_told(outcome.completions)
    _warn_of(problem)
    again = ChatMessage.from_text(Role.USER, reproach(problem))
    last = await _in_shape(llm, question, [*messages, *outcome.said, again], question.schema)
    return _all_told((*outcome.completions, last))


def _misfit(schema: JsonObject, text: str) -> str | None:
    """What is wrong with the answer; None where it fits."""
    from dipeo.application.answer_shape import as_shape, read_answer
    from dipeo.application.shapes.shape import MismatchError

    try:
        read_answer(as_shape(schema), text)
    except MismatchError as mismatch:
        return str(mismatch)
    return None


def _warn_of(problem: str) -> None:
    warn(f"An answer did not fit: {problem}", label="Note")


def _all_told(completions: Sequence[Completion]) -> Completion:
    """The last answer, with what all of them took."""
    if len(completions) == 1:
        return completions[0]
    return evolve(
        completions[-1],
        usage=sum((completion.usage for completion in completions), Usage()),
        attempts=tuple(attempt for completion in completions for attempt in completion.attempts),
        adaptations=tuple(dict.fromkeys(each for completion in completions for each in completion.adaptations)),
        latency_ms=sum(completion.latency_ms for completion in completions),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_SHOWN_CHARS else f"{line[:_MAX_SHOWN_CHARS]}..."
