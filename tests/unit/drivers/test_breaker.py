"""Leaves alone who cannot answer, probes once, and blames nobody for what others did."""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain import errors
from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEvent, CompletionStream
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.llm.drivers.circuits import LATCH_S, LONGEST_COOL_DOWN_S, MAX_CIRCUITS, Circuits
from dipeo.infrastructure.llm.wrappers.breaker import BreakerModel
from dipeo.testing import FakeKeys, ManualClock, ScriptedModel
from tests.virtual_world.breaker_model import FAULTS

Ask = Callable[[ChatModelPort, CompletionRequest], Any]
FAILURES = 3
COOL_DOWN_S = 10.0


def request(**values: Any) -> CompletionRequest:
    """A request of OpenAI's `m`."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    return evolve(CompletionRequest(service=LLMService.OPENAI, model="m", messages=messages), **values)


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


class ReplaceableKeys(FakeKeys):
    """One key for all, that can be replaced or fail."""

    def __init__(self) -> None:
        super().__init__()
        self.key: Secret | None = Secret("sk-1")
        self.failure: DipeoError | None = None

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        if self.failure:
            raise self.failure
        return self.key


class Bench:
    """A breaker around a script; three failures open it for ten seconds."""

    def __init__(self, *answers: str | Completion | Exception) -> None:
        self.inner = ScriptedModel(*answers)
        self.clock = ManualClock()
        self.keys = ReplaceableKeys()
        self.circuits = Circuits(self.keys, self.clock, failures=FAILURES, cool_down_s=COOL_DOWN_S)
        self.model = BreakerModel(self.inner, self.circuits)

    async def meets(self, ask: Ask, count: int, **values: Any) -> list[DipeoError | None]:
        """How so many calls, one after the other, fail."""
        found: list[DipeoError | None] = []
        for _ in range(count):
            try:
                await ask(self.model, request(**values))
                found.append(None)
            except DipeoError as error:
                found.append(error)
        return found


def failing(verdict: Verdict = Verdict.OVERLOADED, status: int | None = 500, **facts: Any) -> DipeoError:
    """A failure of this verdict."""
    return errors.ProviderError(verdict=verdict, status=status, **facts)


def is_refusal(error: DipeoError | None) -> bool:
    """Whether a call was refused without being sent."""
    return error is not None and error.context.get("sent") is False


class TestOpening:
    """When somebody is left alone."""

    @pytest.mark.parametrize("verdict", Verdict)
    async def test_only_what_is_the_providers_fault_counts(self, ask: Ask, verdict: Verdict) -> None:
        """After three such failures the fourth call is not sent; bad requests and the like never count."""
        bench = Bench(*[failing(verdict) for _ in range(5)])
        *_, fourth = await bench.meets(ask, FAILURES + 1)
        is_latched = verdict in {Verdict.QUOTA_EXHAUSTED, Verdict.ACCESS_DENIED}
        assert is_refusal(fourth) is (verdict in FAULTS or is_latched)

    @pytest.mark.parametrize("status", [400, 409, 499])
    async def test_what_we_did_wrong_is_not_the_providers_fault(self, ask: Ask, status: int) -> None:
        """A status of the four hundreds is about the request, whatever its verdict."""
        bench = Bench(*[failing(Verdict.PROVIDER_ERROR, status) for _ in range(5)])
        assert not any(map(is_refusal, await bench.meets(ask, 5)))

    @pytest.mark.parametrize(("latency_ms", "is_open"), [(9_999.0, False), (10_000.0, True)])
    async def test_a_caller_in_a_hurry_blames_nobody(self, ask: Ask, latency_ms: float, *, is_open: bool) -> None:
        """A deadline counts where the attempt had its time."""
        attempt = Attempt(
            call_id="c",
            number=1,
            service=LLMService.OPENAI,
            model="m",
            started_at=ManualClock().now(),
            latency_ms=latency_ms,
            key_fingerprint=Secret("sk-1").fingerprint,
        )
        late = [errors.DeadlineExceededError().with_attempts((attempt,)) for _ in range(4)]
        assert is_refusal((await Bench(*late).meets(ask, 4))[-1]) is is_open

    async def test_the_refusal_says_what_it_is(self, ask: Ask) -> None:
        """It is a model that is unavailable: for how long, and that nothing was sent."""
        bench = Bench(*[failing() for _ in range(3)])
        bench.clock.advance(1.0)
        error = (await bench.meets(ask, 4))[-1]
        assert isinstance(error, errors.ModelUnavailableError)
        assert error.message == "openai is not asked for another 10.0 s (overloaded before); nothing was sent."
        assert (error.provider, error.model, error.retry_after_s) == ("openai", "m", 10.0)
        assert not error.is_retryable
        assert not error.attempts
        assert "fallbacks" in (error.suggestion or "")

    async def test_answers_in_between_count_against_it(self, ask: Ask) -> None:
        """Three of the last six attempts open it; fewer do not."""
        bench = Bench(failing(), "a", "b", "c", failing(), "d", failing(), failing(), "never")
        found = await bench.meets(ask, 9)
        assert [each is not None for each in found] == [True, False, False, False, True, False, True, True, True]
        assert is_refusal(found[-1])

    async def test_no_more_than_twice_as_many_attempts_as_failures_are_looked_at(self, ask: Ask) -> None:
        """Two of the last six, and one before them, leave it closed."""
        bench = Bench(failing(), failing(), "a", "b", "c", "d", failing(), "Hello.")
        assert (await bench.meets(ask, 8))[-1] is None

    async def test_unless_told_otherwise_ten_failures_open_it_for_ten_seconds(self, ask: Ask) -> None:
        """Nine do not."""
        bench = Bench(*[failing() for _ in range(10)], "Hello.")
        bench.circuits = Circuits(bench.keys, bench.clock)
        bench.model = BreakerModel(bench.inner, bench.circuits)
        *before, refused = await bench.meets(ask, 11)
        assert not any(map(is_refusal, before))
        assert refused is not None
        assert refused.retry_after_s == 10.0
        bench.clock.advance(10.0)
        assert await bench.meets(ask, 1) == [None]

    async def test_old_failures_are_forgotten(self, ask: Ask) -> None:
        """After a minute a failure does not count, and an answer then clears all."""
        bench = Bench(failing(), failing(), failing(), "Hello.")
        await bench.meets(ask, 2)
        bench.clock.advance(60.0)
        assert not is_refusal((await bench.meets(ask, 2))[-1])
        assert len(bench.circuits.by_place) == 1
        bench = Bench(failing(), "Hello.")
        await bench.meets(ask, 1)
        bench.clock.advance(60.0)
        await bench.meets(ask, 1)
        assert bench.circuits.by_place == {}

    async def test_others_are_not_concerned(self, ask: Ask) -> None:
        """Another key, address or service is asked all the same; another model of the same is not."""
        bench = Bench(*[failing() for _ in range(3)], "a", "b", "c")
        await bench.meets(ask, 3)
        assert await bench.meets(ask, 1, api_key_id="other") == [None]
        assert await bench.meets(ask, 1, base_url="https://elsewhere.invalid") == [None]
        assert await bench.meets(ask, 1, service=LLMService.GROQ) == [None]
        assert is_refusal((await bench.meets(ask, 1, model="other"))[0])


class TestProbes:
    """How somebody is asked again."""

    async def test_one_probe_decides_for_all(self, ask: Ask) -> None:
        """After the cool-down one request passes; its answer closes the circuit."""
        bench = Bench(*[failing() for _ in range(3)], "Hello.", "again")
        await bench.meets(ask, 3)
        bench.clock.advance(COOL_DOWN_S - 0.001)
        assert is_refusal((await bench.meets(ask, 1))[0])
        bench.clock.advance(0.001)
        assert await bench.meets(ask, 2) == [None, None]
        assert bench.circuits.by_place == {}

    async def test_a_probe_that_fails_doubles_the_cool_down(self, ask: Ask) -> None:
        """Ten seconds, twenty, forty, up to an hour."""
        bench = Bench(*[failing() for _ in range(20)])
        await bench.meets(ask, 3)
        for wait_s in (10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0, 1280.0, 2560.0, 3600.0, 3600.0):
            refused = (await bench.meets(ask, 1))[0]
            assert refused is not None
            assert refused.retry_after_s == pytest.approx(wait_s)
            bench.clock.advance(wait_s)
            assert not is_refusal((await bench.meets(ask, 1))[0])

    @pytest.mark.parametrize("error", [failing(Verdict.BAD_REQUEST, 400), errors.RateLimitError(status=429)])
    async def test_a_refusal_shows_that_somebody_is_there(self, ask: Ask, error: DipeoError) -> None:
        """A probe that is answered with 400 or 429 was answered."""
        bench = Bench(*[failing() for _ in range(3)], error, "Hello.")
        await bench.meets(ask, 3)
        bench.clock.advance(COOL_DOWN_S)
        await bench.meets(ask, 1)
        assert await bench.meets(ask, 1) == [None]

    async def test_a_probe_that_was_not_sent_says_nothing(self, ask: Ask) -> None:
        """A local failure leaves the place to the next one."""
        bench = Bench(*[failing() for _ in range(3)], errors.LocalOverloadError(), KeyError("bug"), "Hello.")
        await bench.meets(ask, 3)
        bench.clock.advance(COOL_DOWN_S)
        await bench.meets(ask, 1)
        with pytest.raises(KeyError):
            await ask(bench.model, request())
        assert len(bench.circuits.by_place) == 1
        assert await bench.meets(ask, 1) == [None]

    async def test_a_thousand_callers_send_one_probe(self, ask: Ask) -> None:
        """All others are refused while it is under way, and all pass when it was answered."""
        gate = Gate()
        circuits = Circuits(FakeKeys(), gate.clock, failures=FAILURES, cool_down_s=COOL_DOWN_S)
        model = BreakerModel(gate, circuits)
        for _ in range(FAILURES):
            circuits.failed(request(), failing())
        gate.clock.advance(COOL_DOWN_S)
        callers = [asyncio.ensure_future(ask(model, request())) for _ in range(1000)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert gate.asked == 1
        refused = [each.exception() for each in callers if each.done()]
        assert len(refused) == 999
        assert {getattr(each, "retry_after_s", None) for each in refused} == {1.0}
        gate.open.set()
        await asyncio.gather(*callers, return_exceptions=True)
        assert circuits.by_place == {}

    async def test_a_probe_that_is_cancelled_frees_its_place(self, ask: Ask) -> None:
        """The next caller probes instead."""
        gate = Gate()
        circuits = Circuits(FakeKeys(), gate.clock, failures=FAILURES, cool_down_s=COOL_DOWN_S)
        model = BreakerModel(gate, circuits)
        for _ in range(FAILURES):
            circuits.failed(request(), failing())
        gate.clock.advance(COOL_DOWN_S)
        caller = asyncio.ensure_future(ask(model, request()))
        for _ in range(5):
            await asyncio.sleep(0)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        gate.open.set()
        assert (await ask(model, request())).text == "Hello."

    async def test_who_was_under_way_when_it_opened_changes_nothing(self) -> None:
        """Late failures do not prolong the cool-down, and late answers do not end it."""
        bench = Bench()
        for _ in range(FAILURES):
            bench.circuits.failed(request(), failing())
        bench.clock.advance(COOL_DOWN_S - 1)
        bench.circuits.failed(request(), failing())
        bench.circuits.answered(request())
        assert is_refusal((await bench.meets(complete, 1))[0])
        bench.clock.advance(1)
        (probed,) = bench.circuits.enter(request())
        assert probed.is_probing

    async def test_who_was_under_way_does_not_end_the_probe_of_another(self) -> None:
        """A late refusal of the key keeps all shut for its minute, and no second probe begins beside the first."""
        bench = Bench()
        for _ in range(FAILURES):
            bench.circuits.failed(request(), failing())
        bench.clock.advance(COOL_DOWN_S)
        probed = bench.circuits.enter(request())
        assert probed
        bench.circuits.failed(request(), errors.APIKeyRefusedError(status=401))
        bench.clock.advance(LATCH_S)
        assert is_refusal((await bench.meets(complete, 1))[0])
        bench.circuits.leave(probed)
        assert bench.circuits.enter(request())


class TestPauses:
    """What the provider asks for, and what lasts until somebody acts."""

    async def test_a_rate_limit_pauses_the_model_for_all(self, ask: Ask) -> None:
        """Others wait too, as the error that can be waited for; another model is asked."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=5.0), "other", "Hello.", "Hello.")
        _, refused = await bench.meets(ask, 2)
        assert isinstance(refused, errors.RateLimitError)
        assert is_refusal(refused)
        assert refused.is_retryable
        assert 5.0 <= (refused.retry_after_s or 0.0) <= 6.0
        assert await bench.meets(ask, 1, model="other") == [None]
        bench.clock.advance(5.0)
        assert await bench.meets(ask, 2) == [None, None]
        assert bench.circuits.by_place == {}

    async def test_the_end_of_a_pause_is_the_end_for_all(self, ask: Ask) -> None:
        """Nobody is sent ahead to look: in the very moment all may pass."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=5.0))
        await bench.meets(ask, 1)
        bench.clock.advance(5.0)
        assert [bench.circuits.enter(request()) for _ in range(3)] == [(), (), ()]

    @pytest.mark.parametrize("retry_after_s", [None, 0.0])
    async def test_a_rate_limit_without_a_time_pauses_nobody(self, ask: Ask, retry_after_s: float | None) -> None:
        """How long to wait is then the retries' business."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=retry_after_s), "Hello.")
        assert (await bench.meets(ask, 2))[1] is None

    async def test_no_pause_is_longer_than_an_hour(self, ask: Ask) -> None:
        """Whatever the provider says, somebody looks again."""
        bench = Bench(errors.RateLimitError(status=429, retry_after_s=600_000.0), "Hello.")
        await bench.meets(ask, 1)
        bench.clock.advance(LONGEST_COOL_DOWN_S)
        assert await bench.meets(ask, 1) == [None]

    @pytest.mark.parametrize("error", [errors.QuotaExhaustedError, errors.AccessDeniedError])
    async def test_a_spent_quota_latches_the_model(self, ask: Ask, error: type[DipeoError]) -> None:
        """The same error, at once and without a request, until a probe after a minute finds it mended."""
        bench = Bench(error(status=403), "other", error(status=403), "Hello.")
        assert is_refusal((await bench.meets(ask, 2))[1])
        assert await bench.meets(ask, 1, model="other") == [None]
        bench.clock.advance(LATCH_S)
        again, refused = await bench.meets(ask, 2)
        assert isinstance(again, error)
        assert isinstance(refused, error)
        assert refused.retry_after_s == 2 * LATCH_S
        bench.clock.advance(2 * LATCH_S)
        assert await bench.meets(ask, 1) == [None]
        assert bench.circuits.by_place == {}

    async def test_a_late_rate_limit_does_not_end_a_latch(self, ask: Ask) -> None:
        """The answer to an earlier request knows nothing of the quota that is spent since."""
        bench = Bench(errors.QuotaExhaustedError(status=429), "Hello.")
        await bench.meets(ask, 1)
        bench.circuits.failed(request(), errors.RateLimitError(status=429, retry_after_s=5.0))
        bench.clock.advance(6.0)
        (refused,) = await bench.meets(ask, 1)
        assert isinstance(refused, errors.QuotaExhaustedError)
        assert refused.retry_after_s == LATCH_S - 6.0

    async def test_a_probe_that_is_asked_to_wait_ends_the_latch(self, ask: Ask) -> None:
        """There is a quota again: what is left is to wait as long as the provider says, and no twice the latch."""
        bench = Bench(
            errors.QuotaExhaustedError(status=429), errors.RateLimitError(status=429, retry_after_s=5.0), "Hello."
        )
        await bench.meets(ask, 1)
        bench.clock.advance(LATCH_S)
        await bench.meets(ask, 1)
        (refused,) = await bench.meets(ask, 1)
        assert isinstance(refused, errors.RateLimitError)
        bench.clock.advance(5.0)
        assert await bench.meets(ask, 1) == [None]

    async def test_a_refused_key_latches_all_models_until_it_is_replaced(self, ask: Ask) -> None:
        """With a new key nothing is held against anybody."""
        bench = Bench(errors.APIKeyRefusedError(status=401), "Hello.")
        await bench.meets(ask, 1)
        refused = (await bench.meets(ask, 1, model="other"))[0]
        assert isinstance(refused, errors.APIKeyRefusedError)
        assert is_refusal(refused)
        bench.keys.key = Secret("sk-2")
        assert await bench.meets(ask, 1) == [None]

    async def test_a_key_that_was_replaced_meanwhile_is_not_the_one_that_was_refused(self, ask: Ask) -> None:
        """A request with the old key is answered with 401 when there is a new one already: that one is asked with."""
        bench = Bench(*["Hello."] * 2)
        attempt = Attempt(
            call_id="c",
            number=1,
            service=LLMService.OPENAI,
            model="m",
            started_at=bench.clock.now(),
            latency_ms=1.0,
            key_fingerprint=Secret("sk-1").fingerprint,
        )
        bench.keys.key = Secret("sk-2")
        bench.circuits.failed(request(), errors.APIKeyRefusedError(status=401).with_attempts((attempt,)))
        assert await bench.meets(ask, 1) == [None]
        bench.keys.key = Secret("sk-1")
        assert is_refusal((await bench.meets(ask, 1))[0])

    async def test_a_missing_key_latches_nothing(self, ask: Ask) -> None:
        """Nobody has refused it."""
        bench = Bench(errors.MissingAPIKeyError(), "Hello.")
        assert (await bench.meets(ask, 2))[1] is None


async def test_a_source_of_keys_that_fails_is_left_to_who_needs_the_key() -> None:
    """The breaker goes on without the key's fingerprint."""
    bench = Bench(failing(), "Hello.")
    bench.keys.failure = errors.ConfigurationError()
    assert (await bench.meets(complete, 2))[1] is None


def test_what_is_remembered_has_a_bound() -> None:
    """The oldest gives way; a service without a key has a place too."""
    bench = Bench()
    bench.keys.key = None
    for number in range(MAX_CIRCUITS + 5):
        bench.circuits.failed(request(base_url=f"https://{number}.invalid"), failing())
    assert len(bench.circuits.by_place) == MAX_CIRCUITS == 1_000
    assert repr(bench.circuits) == f"<Circuits {MAX_CIRCUITS} with failures, 0 of them open>"


def test_a_forked_process_begins_with_nothing() -> None:
    """A probe of the parent's is none of the child's business, and neither is a lock that was held."""
    bench = Bench()
    bench.circuits.failed(request(), failing())
    pid = os.fork()
    if not pid:
        os._exit(len(bench.circuits.by_place))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert len(bench.circuits.by_place) == 1


class Gate(ChatModelPort):
    """Answers when it is opened."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.open = asyncio.Event()
        self.asked = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        """Waits for the gate."""
        self.asked += 1
        await self.open.wait()
        return await ScriptedModel("Hello.").complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        """The same, as a stream."""
        return CompletionStream(self._slowly(request))

    async def _slowly(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        self.asked += 1
        await self.open.wait()
        async for event in ScriptedModel("Hello.").stream(request):
            yield event
