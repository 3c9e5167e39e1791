"""Answers become values of the shape that was asked for, or an error that says why not."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any, TypedDict

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from dipeo.application.shapes.describing import shape_of, shape_of_schema
from dipeo.application.shapes.shape import Shape
from dipeo.application.structured_output import AskedAgain, PartialAnswer, StructuredEnd, StructuredOutput
from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, FinishReason, Role
from dipeo.domain.errors import MalformedResponseError, RateLimitError, StreamNotFinishedError, ValidationError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.message import Message
from dipeo.domain.parts import TextPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, TextDelta
from dipeo.domain.tools import ResponseSchema
from dipeo.domain.usage import Usage
from dipeo.testing import ScriptedService

QUESTION = [{"role": "user", "content": "Who lives in Rome?"}]
GOOD = '{"name": "Ada", "age": 36}'


class Model(BaseModel):
    """Somebody."""

    name: str
    age: int = Field(ge=0)


@attrs.frozen
class Attrs:
    """Somebody."""

    name: str
    age: int = attrs.field(default=0, validator=attrs.validators.ge(0))


class Typed(TypedDict):
    """Somebody."""

    name: str
    age: int


SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}}}


def answer(text: str, *, finish: FinishReason = FinishReason.STOP, number: int = 1) -> Completion:
    """An answer with an attempt of its own."""
    attempt = Attempt(
        call_id=f"call-{number}",
        number=1,
        service=LLMService.OPENAI,
        model="m",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        latency_ms=1,
    )
    return Completion(
        service=LLMService.OPENAI,
        model="m",
        parts=(TextPart(text),) if text else (),
        finish_reason=finish,
        usage=Usage(input_tokens=10, output_tokens=1),
        attempts=(attempt,),
    )


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        (Model, Model(name="Ada", age=36)),
        (Attrs, Attrs("Ada", 36)),
        (Typed, {"name": "Ada", "age": 36}),
        (SCHEMA, {"name": "Ada", "age": 36}),
        (shape_of(Attrs), Attrs("Ada", 36)),
    ],
)
async def test_answers_become_values(shape: Any, value: Any) -> None:
    """Of each kind of shape, the schema is asked for and the answer read."""
    with ScriptedService(answer(GOOD)) as llm:
        got = await StructuredOutput(llm).complete(QUESTION, "m", shape, temperature=0)
    assert got.value == value
    assert (got.problems, got.usage, got.completion.text) == ((), Usage(input_tokens=10, output_tokens=1), GOOD)
    options = llm.asked[0].options
    schema = options["response_schema"]
    assert isinstance(schema, ResponseSchema)
    assert options["temperature"] == 0
    assert schema.name == getattr(shape, "__name__", "answer")
    assert schema.is_strict
    assert schema.schema is not None
    assert schema.schema["required"] == ["name", "age"]


async def test_other_types_are_the_member_of_an_object() -> None:
    """A list is asked for and read inside an object, because that is what providers can be asked for."""
    with ScriptedService('{"value": [1, 2]}') as llm:
        got = await StructuredOutput(llm).complete(QUESTION, "m", list[int])
    assert got.value == [1, 2]


async def test_open_schemas_are_not_asked_for_to_the_letter() -> None:
    """What cannot be closed goes as it is."""
    with ScriptedService('{"a": 1}') as llm:
        await StructuredOutput(llm).complete(QUESTION, "m", dict[str, int])
    schema = llm.asked[0].options["response_schema"]
    assert isinstance(schema, ResponseSchema)
    assert not schema.is_strict
    assert schema.name == "answer"


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("Ada is 36.", "is not JSON"),
        ("", "is empty"),
        ('{"name": "Ada"', "is not JSON"),
        ('{"name": "Ada", "age": "36"}', "age is refused: Input should be a valid integer"),
        ('{"name": "Ada", "age": -1}', "age is refused: Input should be greater than or equal to 0"),
        ('{"name": "Ada", "age": NaN}', "NaN is no JSON"),
        ('{"name": "\\ud800", "age": 1}', "lone surrogate"),
        ("[" * 70 + "]" * 70, "must be an object, not an array"),
        ('{"name": ' + "[" * 70 + "]" * 70 + "}", "nested more than 64 levels deep"),
    ],
)
async def test_what_does_not_fit_is_asked_for_again(bad: str, problem: str) -> None:
    """The model sees its answer and what is wrong with it; usage and problems of all tries are kept."""

    class Strict(Model, strict=True):
        """As it is written."""

    with ScriptedService(answer(bad), answer(GOOD)) as llm:
        got = await StructuredOutput(llm).complete(QUESTION, "m", Strict)
    assert got.value.name == "Ada"
    assert got.usage == Usage(input_tokens=20, output_tokens=2)
    assert problem in got.problems[0]
    said: Any = llm.asked[1].messages[1:]
    assert [message.role for message in said] == ([Role.ASSISTANT, Role.USER] if bad else [Role.USER])
    assert problem in said[-1].text
    if bad:
        assert said[0].text == bad


async def test_a_person_is_asked_again_in_private() -> None:
    """What is wrong is told to the person alone; their conversation is not touched."""
    opening = [Message(from_person_id="host", content="Who?")]
    with ScriptedService("Ada.", GOOD) as llm:
        got = await StructuredOutput(llm).complete_with_person(opening, "eve", PersonLLMConfig(model="m"), Model)
    assert got.value == Model(name="Ada", age=36)
    _, second, third = llm.asked[1].messages
    assert isinstance(second, Message)
    assert isinstance(third, Message)
    assert (second.from_person_id, third.from_person_id, third.to_person_id) == ("eve", "checker", "eve")
    assert not third.is_visible_to("host")


async def test_the_model_is_asked_again_so_often_and_no_more() -> None:
    """The error keeps the last text, what is wrong with it, and attempts and usage of all tries."""
    with ScriptedService(*(answer(f"no {number}", number=number) for number in (1, 2, 3))) as llm:
        structured = StructuredOutput(llm)
        with pytest.raises(MalformedResponseError) as caught:
            await structured.complete(QUESTION, "m", Model)
    error = caught.value
    assert (error.operation, error.provider, error.model) == ("structured_output", "openai", "m")
    assert (error.context["text"], error.context["tries"]) == ("no 3", 3)
    assert error.context["usage"] == Usage(input_tokens=30, output_tokens=3).to_dict()
    assert [attempt.call_id for attempt in error.attempts] == ["call-1", "call-2", "call-3"]
    assert not error.is_retryable
    assert json.dumps(error.to_dict())


@pytest.mark.parametrize("finish", [FinishReason.LENGTH, FinishReason.CONTENT_FILTER])
async def test_an_answer_that_was_cut_off_is_not_asked_for_again(finish: FinishReason) -> None:
    """The same limit would cut the next one too. Is it whole all the same, it is taken."""
    with ScriptedService(answer('{"name": "Ad', finish=finish)) as llm:
        structured = StructuredOutput(llm)
        with pytest.raises(MalformedResponseError, match=r"cut off|filtered"):
            await structured.complete(QUESTION, "m", Model)
    with ScriptedService(answer(GOOD, finish=finish)) as llm:
        assert (await StructuredOutput(llm).complete(QUESTION, "m", Model)).value.age == 36


async def test_an_error_of_a_later_try_knows_the_earlier_ones() -> None:
    """What was billed before the provider failed is in the attempts."""
    with ScriptedService(answer("no"), RateLimitError()) as llm, pytest.raises(RateLimitError) as caught:
        await StructuredOutput(llm).complete(QUESTION, "m", Model)
    assert [attempt.call_id for attempt in caught.value.attempts] == ["call-1"]


async def test_all_tries_share_their_time() -> None:
    """What is left of `timeout_s` bounds the next try."""
    with ScriptedService("no", GOOD) as llm:
        await StructuredOutput(llm).complete(QUESTION, "m", Model, timeout_s=5)
    times: Any = [asked.options["timeout_s"] for asked in llm.asked]
    assert times[1] < times[0] == 5


@pytest.mark.parametrize("option", ["tools", "tool_choice", "response_schema"])
async def test_options_that_clash_are_refused(option: str) -> None:
    """Tools and another schema cannot be given."""
    options: Any = {option: None}
    with pytest.raises(ValidationError, match=option):
        await StructuredOutput(ScriptedService()).complete(QUESTION, "m", Model, **options)


async def test_shapes_that_cannot_be_described_are_refused_before_anything_is_sent() -> None:
    """The error names the member."""

    @attrs.frozen
    class Odd:
        """Holds what JSON has not."""

        inner: complex

    with pytest.raises(ValidationError, match=r"'answer.inner' is of type complex"):
        await StructuredOutput(ScriptedService()).complete(QUESTION, "m", Odd)
    with pytest.raises(ValidationError, match="max_reasks"):
        StructuredOutput(ScriptedService(), max_reasks=-1)


async def test_streams_show_what_is_known_so_far() -> None:
    """Partial values grow, text comes through, and the answer is last."""
    text = '{"name": "Ada Lovelace", "tags": ["a b", "c"]}'
    shape: Shape[JsonValue] = shape_of_schema({"type": "object", "properties": {"name": {"type": "string"}}})
    with ScriptedService(text) as llm:
        async with StructuredOutput(llm).stream(QUESTION, "m", shape) as stream:
            with pytest.raises(StreamNotFinishedError):
                _ = stream.answer
            events = [event async for event in stream]
    assert [event.value for event in events if isinstance(event, PartialAnswer)] == [
        {},
        {"name": "Ada"},
        {"name": "Ada Lovelace"},
        {"name": "Ada Lovelace", "tags": ["a"]},
        {"name": "Ada Lovelace", "tags": ["a b"]},
        {"name": "Ada Lovelace", "tags": ["a b", "c"]},
    ]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == text
    assert isinstance(events[-2], CompletionEnd)
    assert isinstance(events[-1], StructuredEnd)
    assert stream.answer.value == json.loads(text)


async def test_a_stream_begins_again_when_the_answer_does_not_fit() -> None:
    """`AskedAgain` says that what was known is void."""
    with ScriptedService('{"value": ["a", 2]}', '{"value": ["a", "b"]}') as llm:
        stream = StructuredOutput(llm).stream(QUESTION, "m", list[str])
        kinds = [type(event) async for event in stream if not isinstance(event, TextDelta | CompletionEnd)]
    assert kinds == [PartialAnswer, PartialAnswer, AskedAgain, PartialAnswer, PartialAnswer, StructuredEnd]
    assert stream.answer.value == ["a", "b"]
    assert all(asked.is_stream for asked in llm.asked)


async def test_a_person_is_streamed_alike() -> None:
    """The twin for persons streams."""
    said = [Message(from_person_id="host", content="Who?")]
    with ScriptedService(GOOD) as llm:
        stream = StructuredOutput(llm).stream_with_person(said, "eve", PersonLLMConfig(model="m"), Typed)
        partials = [value async for value in stream.partials()]
    assert partials[-1] == stream.answer.value == {"name": "Ada", "age": 36}


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=5))
async def test_whatever_is_said_in_json_is_read(words: list[str]) -> None:
    """Any text survives the way through schema, answer and value, streamed or not."""
    text = json.dumps({"value": words})
    assert (await StructuredOutput(ScriptedService(text)).complete(QUESTION, "m", list[str])).value == words
    stream = StructuredOutput(ScriptedService(text)).stream(QUESTION, "m", list[str])
    assert (await stream.collect()).value == words


async def test_leaving_early_is_quiet() -> None:
    """A stream that is left gives nothing away and warns of nothing."""
    async with StructuredOutput(ScriptedService(GOOD)).stream(QUESTION, "m", Model) as stream:
        async for _ in stream:
            break
    await asyncio.sleep(0)
    assert repr(stream) == "<StructuredStream open, 0 answers>"
