"""The breaker alone, held against a model of it, through whatever Hypothesis thinks of."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

import pytest
from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dipeo.domain import errors
from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, Role
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.llm.drivers.circuits import Circuits
from dipeo.infrastructure.llm.wrappers.breaker import BreakerModel
from dipeo.infrastructure.llm.wrappers.metered import MeteredModel
from dipeo.testing import FakeKeys, FakeLedger, ManualClock, ScriptedModel
from tests.virtual_world.breaker_model import BreakerModelled, ModelledCall
from tests.virtual_world.virtual_loop import VirtualLoop

COOL_DOWN_S: Final = 10.0
MESSAGES: Final = (ChatMessage.from_text(Role.USER, "hi"),)
ENDINGS: Final[Mapping[str, Callable[[float | None], BaseException | None]]] = {
    "answer": lambda _: None,
    "overloaded": lambda wait_s: errors.OverloadedError(status=503, retry_after_s=wait_s),
    "failing": lambda _: errors.ProviderError(status=500),
    "unreachable": lambda _: errors.ConnectFailedError(),
    "lost": lambda _: errors.ConnectionLostError(),
    "empty": lambda _: errors.EmptyResponseError(status=200),
    "garbled": lambda _: errors.MalformedResponseError(status=200),
    "in conflict": lambda _: errors.ProviderError(status=409),
    "bad request": lambda _: errors.InvalidRequestError(status=400),
    "no such model": lambda _: errors.ModelNotFoundError(status=404),
    "rate limited": lambda wait_s: errors.RateLimitError(status=429, retry_after_s=wait_s),
    "quota spent": lambda wait_s: errors.QuotaExhaustedError(status=429, retry_after_s=wait_s),
    "denied": lambda _: errors.AccessDeniedError(status=403),
    "key refused": lambda _: errors.APIKeyRefusedError(status=401),
    "key missing": lambda _: errors.MissingAPIKeyError(),
    "no room here": lambda _: errors.LocalOverloadError(),
    "not configured": lambda _: errors.ConfigurationError(),
    "late": lambda _: errors.DeadlineExceededError(),
    "a bug": lambda _: KeyError("bug"),
}

# Mostly the same place: there the most can go wrong.
a_service = st.sampled_from([*[LLMService.OPENAI] * 9, LLMService.GOOGLE])
a_base_url = st.sampled_from([*[None] * 9, "https://elsewhere.invalid"])
a_key_id = st.sampled_from([*[None] * 9, "other"])
a_model = st.sampled_from(["m", "m", "m", "n"])
an_index = st.integers(0, 1_000)
an_ending = st.sampled_from([*["overloaded", "failing", "key refused", "quota spent"] * 5, "answer", *ENDINGS])
a_delay_s = st.sampled_from([0.0, 0.5, 5.0, 10.0, 20.0, 59.0, 60.0, 60.0, 120.0, 120.0, 3600.0])
a_wait_s = st.sampled_from([None, None, 0.0, 5.0, 90.0, 1e6])


class RotatedKeys(FakeKeys):
    """A key for every service, and another one whenever it is replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.generation = 0

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return Secret(f"sk-{service.value}-{api_key_id}-{self.generation}")


class HeldModel(ChatModelPort):
    """Holds every request until it is told how it ends; a stream is held twice, before its first event and after."""

    def __init__(self) -> None:
        self.held: dict[str, asyncio.Future[None]] = {}

    async def complete(self, request: CompletionRequest) -> Completion:
        await self._hold(request)
        return await ScriptedModel("Hello.").complete(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        await self._hold(request)
        yield TextDelta("Hello.")
        await self._hold(request)
        yield CompletionEnd(await ScriptedModel("Hello.").complete(request))

    async def _hold(self, request: CompletionRequest) -> None:
        gate = self.held[request.call_id] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            del self.held[request.call_id]


@define(eq=False)
class Use:
    """One call or stream that passed, as it is and as the model has it."""

    task: "asyncio.Task[object]"
    modelled: ModelledCall
    is_stream: bool
    has_begun: bool = False


class BreakerMachine(RuleBasedStateMachine):
    """Callers come, are held, and end in every way there is; keys are replaced, and time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.keys, self.inner = ManualClock(), RotatedKeys(), HeldModel()
        self.uses: dict[str, Use] = {}
        self.begun = 0

    @initialize(failures=st.integers(1, 3))
    def open(self, failures: int) -> None:
        """A breaker around records around what is held."""
        self.loop = VirtualLoop(1)
        metered = MeteredModel(self.inner, ledger=FakeLedger(), keys=self.keys, clock=self.clock)
        circuits = Circuits(self.keys, self.clock, failures=failures, cool_down_s=COOL_DOWN_S)
        self.breaker = BreakerModel(metered, circuits)
        self.modelled = BreakerModelled(failures, COOL_DOWN_S)

    # --- what callers do ---------------------------------------------------------------------------------------------

    @rule(service=a_service, base_url=a_base_url, key_id=a_key_id, model=a_model, is_stream=st.booleans())
    def begin(
        self, service: LLMService, base_url: str | None, key_id: str | None, model: str, *, is_stream: bool
    ) -> None:
        """Somebody asks: they pass, or are refused at once and in the right words."""
        self.begun += 1
        request = CompletionRequest(
            service=service,
            model=model,
            messages=MESSAGES,
            base_url=base_url,
            api_key_id=key_id,
            call_id=f"use-{self.begun}",
        )
        key = self.keys.find(service, key_id)
        call = ModelledCall(request, key.fingerprint if key else None, self.clock.monotonic_s())
        refusal = self.modelled.enter(call, self.clock.monotonic_s())
        task = self.loop.create_task(self.ask(request, is_stream=is_stream))
        self.settle()
        if refusal is None:
            assert request.call_id in self.inner.held, f"refused: {task.exception()!r}"
            self.uses[request.call_id] = Use(task, call, is_stream)
            return
        assert request.call_id not in self.inner.held, f"passed, and was to be told of {refusal}"
        error = task.exception()
        assert type(error) is refusal.kind
        assert isinstance(error, DipeoError)
        assert error.context["sent"] is False
        assert not error.attempts
        assert error.is_retryable is refusal.is_retryable
        assert refusal.at_least_s - 1e-6 <= (error.retry_after_s or 0.0) <= refusal.at_most_s + 1e-6

    @precondition(lambda self: any(use.is_stream and not use.has_begun for use in self.uses.values()))
    @rule(index=an_index)
    def hear_first_event(self, index: int) -> None:
        """A stream begins: its provider is there."""
        waiting = [call_id for call_id, use in self.uses.items() if use.is_stream and not use.has_begun]
        self.begin_to_hear(waiting[index % len(waiting)])

    @precondition(lambda self: self.uses)
    @rule(index=an_index, ending=an_ending, wait_s=a_wait_s)
    def end(self, index: int, ending: str, wait_s: float | None) -> None:
        """A request ends, well or badly."""
        self.end_use(list(self.uses)[index % len(self.uses)], ending, wait_s)

    @rule(delay_s=a_delay_s, model=a_model, ending=an_ending, wait_s=a_wait_s)
    def ask_later(self, delay_s: float, model: str, ending: str, wait_s: float | None) -> None:
        """Somebody asks after a while; where they pass, perhaps as a probe, it ends at once."""
        self.wait(delay_s)
        self.begin(LLMService.OPENAI, None, None, model, is_stream=False)
        if (call_id := f"use-{self.begun}") in self.uses:
            self.end_use(call_id, ending, wait_s)

    def end_use(self, call_id: str, ending: str, wait_s: float | None) -> None:
        """The end of one request, and what the model makes of it."""
        use = self.uses[call_id]
        problem = ENDINGS[ending](wait_s)
        if problem is None and use.is_stream and not use.has_begun:
            self.begin_to_hear(call_id)
        del self.uses[call_id]
        if problem is None:
            self.inner.held[call_id].set_result(None)
        else:
            self.inner.held[call_id].set_exception(problem)
        self.settle()
        now_s = self.clock.monotonic_s()
        if isinstance(problem, DipeoError):
            assert use.task.exception() is problem
            self.modelled.failed(use.modelled, problem, now_s)
        elif problem is not None:
            assert use.task.exception() is problem
            self.modelled.left(use.modelled)
        else:
            assert use.task.exception() is None
            if not use.is_stream:
                self.modelled.answered(use.modelled, now_s)
            self.modelled.left(use.modelled)

    @precondition(lambda self: self.uses)
    @rule(index=an_index)
    def cancel(self, index: int) -> None:
        """Somebody leaves: nothing is learned of the provider, and another may probe."""
        call_id = list(self.uses)[index % len(self.uses)]
        use = self.uses.pop(call_id)
        use.task.cancel()
        self.settle()
        assert use.task.cancelled()
        self.modelled.left(use.modelled)

    # --- what happens to them ----------------------------------------------------------------------------------------

    @rule(delay_s=a_delay_s)
    def wait(self, delay_s: float) -> None:
        """Time passes."""
        self.clock.advance(delay_s)

    # With which key a stream was asked is known at its end; its first event counts for the key of the moment.
    @precondition(lambda self: not any(use.is_stream and not use.has_begun for use in self.uses.values()))
    @rule()
    def replace_keys(self) -> None:
        """Every key is replaced: nothing is held against the new ones, whatever becomes of requests with the old."""
        self.keys.generation += 1

    # --- what must hold ----------------------------------------------------------------------------------------------

    @invariant()
    def one_call_probes_a_place(self) -> None:
        """Of all who are under way at most one is the probe of a place."""
        if hasattr(self, "modelled"):
            probing = [place for use in self.uses.values() for place in use.modelled.probes]
            assert len(probing) == len({id(place) for place in probing})

    def teardown(self) -> None:
        """Everybody who is still held leaves."""
        if hasattr(self, "loop"):
            for use in self.uses.values():
                use.task.cancel()
            self.settle()
            self.loop.abandon()

    # --- how ---------------------------------------------------------------------------------------------------------

    def begin_to_hear(self, call_id: str) -> None:
        """The first event of a stream."""
        use = self.uses[call_id]
        use.has_begun = True
        self.inner.held[call_id].set_result(None)
        self.settle()
        self.modelled.answered(use.modelled, self.clock.monotonic_s())
        self.modelled.left(use.modelled)

    async def ask(self, request: CompletionRequest, *, is_stream: bool) -> object:
        """A call, or a stream read to its end."""
        return await (self.breaker.stream(request).collect() if is_stream else self.breaker.complete(request))

    def settle(self) -> None:
        """Turns the loop until nothing is ready."""
        self.loop.run_turns(1_000)


@pytest.mark.timeout(300)  # a failure is made small before it is shown
def test_the_breaker_does_what_it_promises_whatever_happens_in_whatever_order() -> None:
    """Who may pass, who probes and who is refused how is what the model says, after every step."""
    run_state_machine_as_test(
        BreakerMachine,
        settings=settings(
            max_examples=300,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
