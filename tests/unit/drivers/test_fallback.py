"""Asks the next candidate where that helps, and tells of everybody who was asked."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.fallback import FALLBACK_RULES, FallbackRule, rule_after
from dipeo.domain.model import MAX_FALLBACKS, ModelTarget, as_fallbacks
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, CompletionStream, TextDelta
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.catalog.aliases import InMemoryAliases
from dipeo.infrastructure.llm.drivers.fallback_targets import resolve_fallbacks
from dipeo.infrastructure.llm.wrappers.fallback import FallbackModel
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.infrastructure.llm.wrappers.retrying import RetryingModel
from dipeo.testing import FakeKeys, FakeLedger, ManualClock, ScriptedModel

Ask = Callable[[ChatModelPort, CompletionRequest], Any]

CLAUDE = ModelTarget(service=LLMService.ANTHROPIC, model="claude-x")
GEMINI = ModelTarget(service=LLMService.GOOGLE, model="gemini-x")
OTHER_KEY = ModelTarget(service=LLMService.OPENAI, model="m", api_key_id="second")
SAME_KEY = ModelTarget(service=LLMService.OPENAI, model="n")


def request(*fallbacks: ModelTarget, **values: Any) -> CompletionRequest:
    """A request of OpenAI's `m`, with these candidates after it."""
    facts: dict[str, Any] = {"max_attempts": 5, "call_id": "call-1", **values}
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    return CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages, fallbacks=fallbacks, **facts)


async def complete(model: ChatModelPort, asked: CompletionRequest) -> Completion:
    """A unary call."""
    return await model.complete(asked)


async def stream(model: ChatModelPort, asked: CompletionRequest) -> Completion:
    """A stream, read to its end."""
    return await model.stream(asked).collect()


@pytest.fixture(params=[complete, stream], ids=["complete", "stream"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both ways to ask."""
    chosen: Ask = request.param
    return chosen


class Bench:
    """Fallbacks around retries around records around a script."""

    def __init__(self, *answers: str | Completion | Exception, **settings: Any) -> None:
        self.inner = ScriptedModel(*answers)
        self.clock = ManualClock()
        self.ledger = FakeLedger()
        metered = MeteredModel(self.inner, ledger=self.ledger, keys=FakeKeys({"second": "sk-2"}), clock=self.clock)
        self.model = FallbackModel(RetryingModel(metered, self.clock), self.clock, **settings)

    @property
    def asked(self) -> list[str]:
        """The models that were asked, in order."""
        return [each.model for each in self.inner.asked]


def failing(verdict: Verdict) -> DipeoError:
    """A failure of this verdict that no retry is made for."""
    return errors.ProviderError(verdict=verdict, status=500, is_retryable=False)


class TestWhat:
    """After which failures somebody else is asked."""

    def test_the_table_has_a_rule_for_every_verdict(self) -> None:
        """No verdict is left to chance."""
        assert FALLBACK_RULES.keys() == set(Verdict)

    @pytest.mark.parametrize("verdict", Verdict)
    async def test_the_table_decides(self, ask: Ask, verdict: Verdict) -> None:
        """A candidate of another service, with a bigger window, is asked after all failures but those of nobody."""
        windows = {(LLMService.OPENAI, "m"): 10, (LLMService.ANTHROPIC, "claude-x"): 20}
        bench = Bench(failing(verdict), "Hello.", window_of=lambda *place: windows.get(place))
        if FALLBACK_RULES[verdict] is FallbackRule.NOBODY:
            with pytest.raises(errors.ProviderError) as caught:
                await ask(bench.model, request(CLAUDE))
            assert caught.value.attempts[-1].decision.endswith("given up: another candidate would not help")
        else:
            assert (await ask(bench.model, request(CLAUDE))).text == "Hello."
            assert bench.asked == ["m", "claude-x"]

    def test_an_error_without_a_verdict_is_worth_nobody(self) -> None:
        """What is not sorted is not guessed at."""
        assert rule_after(errors.AgentFailureError()) is FallbackRule.NOBODY

    async def test_what_one_model_does_not_take_another_may(self, ask: Ask) -> None:
        """A refused parameter is passed on to the next, and told although nothing was sent."""
        bench = Bench(errors.UnsupportedParameterError("No seed.", field="seed"), "Hello.")
        completion = await ask(bench.model, request(CLAUDE))
        assert [each.model for each in completion.attempts] == ["claude-x"]
        assert "nothing was sent: No seed." in bench.inner.asked[-1].notes[0]
        assert bench.inner.asked[-1].attempt_number == 1

    async def test_a_refused_key_leads_to_another_key_alone(self, ask: Ask) -> None:
        """Candidates with the key that was refused are passed over."""
        bench = Bench(errors.APIKeyRefusedError(status=401), "Hello.")
        assert (await ask(bench.model, request(SAME_KEY, OTHER_KEY))).text == "Hello."
        assert [each.api_key_id for each in bench.inner.asked] == [None, "second"]
        assert any("its key was refused" in note for note in bench.inner.asked[-1].notes)

    @pytest.mark.parametrize(
        ("windows", "expected"),
        [
            ({"m": 10, "claude-x": 10, "gemini-x": 11}, ["m", "gemini-x"]),
            ({"m": 10, "gemini-x": 11}, ["m", "gemini-x"]),
            ({"claude-x": 99, "gemini-x": 99}, ["m"]),
            ({"m": 10}, ["m"]),
            ({"m": 10, "claude-x": 9}, ["m"]),
        ],
    )
    async def test_a_long_conversation_goes_to_a_bigger_window_alone(
        self, ask: Ask, windows: dict[str, int], expected: list[str]
    ) -> None:
        """A window that is not known, there or here, is not bigger."""
        bench = Bench(errors.ContextTooLongError(status=400), "Hello.", window_of=lambda _, model: windows.get(model))
        if len(expected) == 1:
            with pytest.raises(errors.ContextTooLongError) as caught:
                await ask(bench.model, request(CLAUDE, GEMINI))
            assert "no candidate is left" in caught.value.attempts[-1].decision
        else:
            assert (await ask(bench.model, request(CLAUDE, GEMINI))).text == "Hello."
        assert bench.asked == expected

    async def test_without_a_catalog_no_window_is_bigger(self) -> None:
        """By default no window is known."""
        with pytest.raises(errors.ContextTooLongError):
            await Bench(errors.ContextTooLongError(status=400), "Hello.").model.complete(request(CLAUDE))

    async def test_an_answer_to_go_on_from_stays_where_it_is_kept(self, ask: Ask) -> None:
        """Only the same service, key and address has the answer that the request goes on from."""
        bench = Bench(failing(Verdict.OVERLOADED), "Hello.")
        assert (await ask(bench.model, request(CLAUDE, SAME_KEY, previous_response_id="r1"))).text == "Hello."
        assert bench.asked == ["m", "n"]


class TestHow:
    """What the next candidate gets."""

    async def test_all_share_one_allowance(self, ask: Ask) -> None:
        """Of three attempts one is set aside for each candidate that is left."""
        bench = Bench(*[errors.ProviderError(status=500) for _ in range(4)])
        with pytest.raises(errors.ProviderError) as caught:
            await ask(bench.model, request(CLAUDE, max_attempts=3))
        assert bench.asked == ["m", "m", "claude-x"]
        assert [each.number for each in caught.value.attempts] == [1, 2, 3]
        assert caught.value.attempts[1].decision == "given up: all 2 attempts are used; went on to anthropic claude-x"
        assert "all 3 attempts are used" in caught.value.attempts[2].decision

    async def test_more_candidates_than_attempts_are_not_all_asked(self, ask: Ask) -> None:
        """The allowance is kept to the number."""
        bench = Bench(*[errors.ProviderError(status=500) for _ in range(4)])
        with pytest.raises(errors.ProviderError):
            await ask(bench.model, request(CLAUDE, GEMINI, OTHER_KEY, max_attempts=2))
        assert bench.asked == ["m", "claude-x"]

    @pytest.mark.parametrize(("deadline_at_s", "asked"), [(1.0, 1), (1.0001, 2), (None, 2)])
    async def test_the_deadline_is_the_whole_calls(self, deadline_at_s: float | None, asked: int) -> None:
        """Once it has passed nobody else is asked."""
        bench = Bench(failing(Verdict.OVERLOADED), failing(Verdict.OVERLOADED))
        bench.clock.advance(1.0)
        with pytest.raises(errors.ProviderError) as caught:
            await bench.model.complete(request(CLAUDE, deadline_at_s=deadline_at_s))
        assert len(bench.inner.asked) == asked
        assert ("the deadline has passed" in caught.value.attempts[-1].decision) is (asked == 1)

    async def test_a_long_wait_is_left_to_those_who_have_nobody_else(self, ask: Ask) -> None:
        """With a candidate left a rate limit of more than two seconds leads to them; without, it is waited for."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=2.1), "Hello.")
        assert (await ask(bench.model, request(CLAUDE))).service is LLMService.ANTHROPIC
        assert bench.clock.sleeps == []
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=2.0), "Hello.")
        assert (await ask(bench.model, request(CLAUDE))).service is LLMService.OPENAI
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=5.0), "Hello.")
        assert (await ask(bench.model, request())).service is LLMService.OPENAI
        assert bench.clock.sleeps == [5.0]

    async def test_an_overload_is_tried_again_once_where_somebody_else_is_left(self, ask: Ask) -> None:
        """The last candidate may use all that is left."""
        bench = Bench(*[errors.OverloadedError(status=503) for _ in range(9)])
        with pytest.raises(errors.OverloadedError):
            await ask(bench.model, request(CLAUDE, max_attempts=7))
        assert bench.asked == ["m"] * 2 + ["claude-x"] * 5

    async def test_the_request_is_the_same_but_for_whom_it_asks(self, ask: Ask) -> None:
        """Another service does not get options that were meant for the first, and says so."""
        target = ModelTarget(service="anthropic", model="c", api_key_id="k", base_url="https://c.invalid")
        asked = request(target, GEMINI, provider_options={"a": 1}, notes=("before",), max_attempts=4)
        bench = Bench(failing(Verdict.OVERLOADED), failing(Verdict.OVERLOADED), "Hello.")
        await ask(bench.model, asked)
        first, second, third = bench.inner.asked
        assert first == evolve(asked, max_attempts=2)
        told = "openai m did not answer (overloaded): went on to anthropic c"
        left_out = "provider_options were left out: they are meant for openai"
        assert second == evolve(
            asked,
            service=LLMService.ANTHROPIC,
            model="c",
            api_key_id="k",
            base_url="https://c.invalid",
            provider_options={},
            notes=("before", told, left_out),
            attempt_number=2,
            max_attempts=3,
            fallbacks=(GEMINI,),
        )
        assert (third.model, third.base_url, third.max_attempts, third.fallbacks) == ("gemini-x", None, 4, ())

    async def test_the_same_service_keeps_its_options(self) -> None:
        """Another model of the same service is asked with them."""
        bench = Bench(failing(Verdict.OVERLOADED), "Hello.")
        await bench.model.complete(request(SAME_KEY, provider_options={"a": 1}))
        assert bench.inner.asked[1].provider_options == {"a": 1}


class TestStory:
    """What is told afterwards."""

    async def test_a_completion_tells_of_everybody(self, ask: Ask) -> None:
        """Every attempt of every candidate, in order, and how long all of it took."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=1.5), failing(Verdict.MODEL_NOT_FOUND), "Hello.")
        bench.clock.advance(100)
        completion = await ask(bench.model, request(CLAUDE))
        assert [(each.number, each.model) for each in completion.attempts] == [(1, "m"), (2, "m"), (3, "claude-x")]
        assert completion.attempts[1].decision.endswith("went on to anthropic claude-x")
        assert completion.latency_ms == pytest.approx(1500)
        assert [each.model for each in bench.ledger.recorded] == ["m", "m", "claude-x"]

    async def test_options_that_nobody_gave_are_not_told_of(self, ask: Ask) -> None:
        """Another service is asked without provider_options, which is news where there were any, and only there."""
        bench = Bench(failing(Verdict.OVERLOADED), "Hello.")
        await ask(bench.model, request(CLAUDE))
        assert bench.inner.asked[-1].notes == ("openai m did not answer (overloaded): went on to anthropic claude-x",)

    async def test_a_decision_stands_alone_where_there_was_none_before(self, ask: Ask) -> None:
        """Without retries, going on is all that was decided."""
        inner = ScriptedModel(failing(Verdict.OVERLOADED), "Hello.")
        clock = ManualClock()
        metered = MeteredModel(inner, ledger=FakeLedger(), keys=FakeKeys(), clock=clock)
        completion = await ask(FallbackModel(metered, clock), request(CLAUDE))
        assert [each.decision for each in completion.attempts] == ["went on to anthropic claude-x", ""]

    async def test_an_error_tells_of_everybody(self, ask: Ask) -> None:
        """The last failure of one who was asked is raised; a candidate without a key does not hide it."""
        bench = Bench(failing(Verdict.OVERLOADED), errors.MissingAPIKeyError("None."))
        with pytest.raises(errors.ProviderError) as caught:
            await ask(bench.model, request(CLAUDE))
        assert caught.value.verdict is Verdict.OVERLOADED
        assert caught.value.context["candidates"] == [
            "openai m did not answer (overloaded): went on to anthropic claude-x",
            (
                "anthropic claude-x did not answer (auth_failed, nothing was sent: None.): "
                "given up: no candidate is left that could answer"
            ),
        ]

    async def test_where_nobody_was_asked_the_first_failure_is_raised(self) -> None:
        """It is the one of the model that was wanted."""
        first = errors.MissingAPIKeyError("First.")
        with pytest.raises(errors.MissingAPIKeyError) as caught:
            await Bench(first, errors.MissingAPIKeyError("Second.")).model.complete(request(CLAUDE))
        assert caught.value is first

    async def test_an_error_without_a_verdict_is_told_by_its_code(self) -> None:
        """There is always a word for what went wrong."""
        with pytest.raises(errors.AgentFailureError) as caught:
            await FallbackModel(ScriptedModel(errors.AgentFailureError()), ManualClock()).complete(request(CLAUDE))
        assert "agent_failed" in str(caught.value.context["candidates"])

    async def test_a_first_answer_has_no_story(self, ask: Ask) -> None:
        """Nothing is added where nothing went wrong."""
        bench = Bench("Hello.")
        completion = await ask(bench.model, request(CLAUDE))
        assert len(completion.attempts) == 1
        assert completion.notes == ()

    async def test_without_fallbacks_nothing_changes(self, ask: Ask) -> None:
        """The error passes as it is."""
        with pytest.raises(errors.ProviderError) as caught:
            await ask(Bench(failing(Verdict.OVERLOADED)).model, request())
        assert "candidates" not in caught.value.context


class BreaksOff(ChatModelPort):
    """Delivers a word, then fails."""

    def __init__(self) -> None:
        self.begun = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Not used here."""
        raise NotImplementedError

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """One word, then a failure."""
        return CompletionStream(self._events())

    async def _events(self) -> AsyncGenerator[CompletionEvent, None]:
        self.begun += 1
        yield TextDelta("Hel")
        raise errors.OverloadedError


async def test_after_the_first_piece_nobody_else_is_asked() -> None:
    """The reader never gets a second text."""
    inner, heard = BreaksOff(), list[CompletionEvent]()

    async def read() -> None:
        async for event in FallbackModel(inner, ManualClock()).stream(request(CLAUDE)):
            heard.append(event)

    with pytest.raises(errors.OverloadedError):
        await read()
    assert (heard, inner.begun) == ([TextDelta("Hel")], 1)


class TestNames:
    """From names to targets."""

    def test_names_are_resolved_and_fallbacks_of_fallbacks_left_out(self) -> None:
        """Aliases, names and targets may be mixed."""
        nested = ModelTarget(service="openai", model="x", fallbacks=["claude"])
        assert [each.model for each in resolve_fallbacks(["claude", nested, GEMINI], InMemoryAliases())] == [
            "claude-sonnet-5-5",
            "x",
            "gemini-x",
        ]
        assert resolve_fallbacks([nested], InMemoryAliases())[0].fallbacks == ()

    def test_an_unknown_name_is_refused(self) -> None:
        """A name that says nothing about its service cannot be asked."""
        with pytest.raises(errors.UnknownServiceError, match="nothing-known"):
            resolve_fallbacks(["nothing-known"], InMemoryAliases())

    @pytest.mark.parametrize("bad", ["claude", b"x", {"a": 1}, 5, [""], [5], ["claude"] * (MAX_FALLBACKS + 1)])
    def test_bad_lists_are_refused(self, bad: object) -> None:
        """A single name is no list, and a list has an end."""
        with pytest.raises(errors.ValidationError) as caught:
            as_fallbacks(bad)
        assert caught.value.field == "fallbacks"

    def test_a_full_list_is_taken(self) -> None:
        """Ten are enough for anybody."""
        assert len(as_fallbacks(iter(["claude"] * MAX_FALLBACKS))) == MAX_FALLBACKS
