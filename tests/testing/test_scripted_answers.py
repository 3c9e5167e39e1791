"""Scripted answers come in order, and what is left over or missing is an error."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import RateLimitError, ScriptExhaustedError
from dipeo.domain.message import Message
from dipeo.domain.parts import ReasoningPart, TextPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, TextDelta
from dipeo.testing import ScriptedModel, ScriptedService

REQUEST = CompletionRequest(service=LLMService.XAI, model="grok-4", messages=(ChatMessage.from_text(Role.USER, "hi"),))
HI = [{"role": "user", "content": "hi"}]
CONFIG = PersonLLMConfig(model="gpt-5", service=LLMService.OPENAI)
WHOLE = Completion(
    service=LLMService.GOOGLE,
    model="m",
    parts=(ReasoningPart(text="hm", vendor="v"), TextPart("Hi "), TextPart("you.")),
    finish_reason=FinishReason.LENGTH,
)
WAYS = ("complete", "stream", "complete_with_person", "stream_with_person")


async def ask(service: ScriptedService, way: str) -> Completion:
    """One use of the service, in one of its four ways."""
    said = [Message(from_person_id="bob", content="hi")]
    if way == "complete":
        return await service.complete(HI, "gpt-5", service="openai", temperature=1)
    if way == "stream":
        return await service.stream(HI, "gpt-5", service="openai", temperature=1).collect()
    if way == "complete_with_person":
        return await service.complete_with_person(said, "ada", CONFIG, temperature=1)
    return await service.stream_with_person(said, "ada", CONFIG, temperature=1).collect()


class TestModel:
    """The fake of the inner port."""

    async def test_answers_come_in_order_by_either_way(self) -> None:
        """Texts become completions of what was asked; requests are kept in order."""
        model = ScriptedModel("one", "two")
        first, second = await model.complete(REQUEST), await model.stream(REQUEST).collect()
        assert (first.text, second.text) == ("one", "two")
        assert (first.service, first.model, first.finish_reason) == (LLMService.XAI, "grok-4", FinishReason.STOP)
        assert model.asked == [REQUEST, REQUEST]

    async def test_a_whole_completion_is_given_as_it_is(self) -> None:
        """What a test has made itself is not touched, and streamed as its text."""
        model = ScriptedModel(WHOLE, WHOLE)
        assert await model.complete(REQUEST) is WHOLE
        async with model.stream(REQUEST) as stream:
            events = [event async for event in stream]
        assert events == [TextDelta("Hi"), TextDelta(" you."), CompletionEnd(WHOLE)]

    @pytest.mark.parametrize("problem", [RateLimitError(), KeyError("x")])
    async def test_exceptions_are_raised(self, problem: Exception) -> None:
        """An exception in the script is raised in its turn, and the next answer follows."""
        model = ScriptedModel(problem, problem, "after")
        with pytest.raises(type(problem)) as caught:
            await model.complete(REQUEST)
        assert caught.value is problem
        with pytest.raises(type(problem)):
            await model.stream(REQUEST).collect()
        assert (await model.complete(REQUEST)).text == "after"
        assert len(model.asked) == 3

    async def test_asking_too_often_is_a_mistake(self) -> None:
        """An exhausted script says which call had no answer."""
        model = ScriptedModel("one")
        await model.complete(REQUEST)
        with pytest.raises(ScriptExhaustedError, match="call 2"):
            await model.complete(REQUEST)
        with pytest.raises(ScriptExhaustedError, match="call 3"):
            await model.stream(REQUEST).collect()

    async def test_a_stream_that_is_not_read_asks_nothing(self) -> None:
        """The answer is taken when the first event is asked for."""
        model = ScriptedModel("one")
        await model.stream(REQUEST).aclose()
        assert (model.asked, model.unused) == ([], ("one",))

    @given(text=st.text(st.sampled_from("ab \n\té"), max_size=20) | st.text(max_size=20))
    @settings(max_examples=100)
    def test_what_is_streamed_joins_to_the_text(self, text: str) -> None:
        """No space, line break or word is lost, no piece is empty, and the end comes last."""
        events = _run(ScriptedModel(text))
        *deltas, end = events
        assert "".join(delta.text for delta in deltas) == text
        assert all(isinstance(delta, TextDelta) and delta.text for delta in deltas)
        assert isinstance(end, CompletionEnd)
        assert end.completion.text == text


def _run(model: ScriptedModel) -> list[Any]:
    """The events of one stream, read by hand: nothing in it waits."""
    events: list[Any] = []

    async def read() -> None:
        async with model.stream(REQUEST) as stream:
            events.extend([event async for event in stream])

    coroutine = read()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    return events


class TestLeftovers:
    """A script is to be used up."""

    @pytest.mark.parametrize("kind", [ScriptedModel, ScriptedService])
    def test_answers_that_are_left_over_fail_the_test(self, kind: Any) -> None:
        """At the end of the block, and when asked, what was not used is told."""
        script = kind("one", "two")
        with pytest.raises(AssertionError, match="2 scripted answers were not used"):
            script.assert_all_used()
        with pytest.raises(AssertionError, match="'one', 'two'"), script:
            pass

    @pytest.mark.parametrize("kind", [ScriptedModel, ScriptedService])
    def test_a_script_that_was_used_up_is_silent(self, kind: Any) -> None:
        """Nothing is left, nothing is said."""
        with kind() as script:
            script.assert_all_used()
        assert script.unused == ()

    @pytest.mark.parametrize("kind", [ScriptedModel, ScriptedService])
    def test_the_first_problem_is_the_one_that_is_seen(self, kind: Any) -> None:
        """An error inside the block is not hidden behind leftovers."""
        with pytest.raises(KeyError), kind("one"):
            raise KeyError

    async def test_it_prints_its_state(self) -> None:
        """The repr says how far the script is."""
        model = ScriptedModel("one", "two")
        await model.complete(REQUEST)
        assert repr(model) == "<ScriptedModel 1 answered, 1 left>"
        assert repr(ScriptedService()) == "<ScriptedService 0 answered, 0 left>"


class TestService:
    """The fake of the outer port."""

    @pytest.mark.parametrize("way", WAYS)
    async def test_answers_come_by_every_way(self, way: str) -> None:
        """All four ways answer from the same script and keep what they were called with."""
        with ScriptedService("Hello there.") as service:
            answer = await ask(service, way)
        assert (answer.text, answer.service, answer.model) == ("Hello there.", LLMService.OPENAI, "gpt-5")
        (call,) = service.asked
        assert call.model == "gpt-5"
        assert call.is_stream is way.startswith("stream")
        assert call.options == {"temperature": 1}
        is_person = way.endswith("person")
        assert (call.person_id, call.llm_config) == (("ada", CONFIG) if is_person else (None, None))
        assert len(call.messages) == 1

    @pytest.mark.parametrize("way", WAYS)
    async def test_exceptions_and_exhaustion_come_by_every_way(self, way: str) -> None:
        """Errors in the script are raised, and a call beyond its end is a mistake."""
        service = ScriptedService(RateLimitError())
        with pytest.raises(RateLimitError):
            await ask(service, way)
        with pytest.raises(ScriptExhaustedError):
            await ask(service, way)

    async def test_later_changes_to_the_messages_are_not_seen(self) -> None:
        """What was asked is kept as it was."""
        service = ScriptedService("one")
        messages = list(HI)
        await service.complete(messages, "gpt-5")
        messages.clear()
        assert len(service.asked[0].messages) == 1
