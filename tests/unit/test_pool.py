"""The pool lends one adapter per endpoint and event loop, and closes it after its last use."""

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import AsyncGenerator

import pytest

from dipeo.domain.completion import ChatMessage, Completion, CompletionRequest, FinishReason, Role
from dipeo.domain.errors import LLMServiceError, MissingAPIKeyError, ServiceClosedError
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionEnd, CompletionEvent, CompletionStream, TextDelta
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.endpoints import EndpointDirectory
from dipeo.infrastructure.llm.drivers.pool import PooledModel
from dipeo.testing import FakeKeys, ManualClock

BASE_URLS = {LLMService.OPENAI: "https://a.invalid", LLMService.ANTHROPIC: "https://b.invalid"}


class GatedAdapter(ChatModelPort):
    """Answers when its gate is open; knows how often it was closed and whether it was used afterwards."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.closed = 0

    async def complete(self, request: CompletionRequest) -> Completion:
        assert not self.closed, "a closed adapter was lent"
        await self.gate.wait()
        assert not self.closed, "the adapter was closed while it was in use"
        return completion(request)

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return CompletionStream(self._events(request))

    async def _events(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        yield TextDelta("Hello.")
        await self.gate.wait()
        assert not self.closed, "the adapter was closed while it was in use"
        yield CompletionEnd(completion(request))

    async def aclose(self) -> None:
        self.closed += 1


class RotatingKeys(APIKeyPort):
    """One key for all, which can be replaced."""

    def __init__(self, value: str) -> None:
        self.secret = Secret(value)

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return self.secret

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        return "the one key"


class Workshop:
    """Makes adapters, one `await` after it was asked to; can be told to wait, or to fail."""

    def __init__(self) -> None:
        self.made: list[GatedAdapter] = []
        self.begun = 0
        self.cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def create(self, endpoint: Endpoint) -> GatedAdapter:
        self.begun += 1
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure
        adapter = GatedAdapter()
        self.made.append(adapter)
        return adapter


def completion(request: CompletionRequest) -> Completion:
    return Completion(
        service=request.service, model=request.model, parts=(TextPart("Hello."),), finish_reason=FinishReason.STOP
    )


def request(service: LLMService = LLMService.OPENAI, **more: str) -> CompletionRequest:
    return CompletionRequest(
        service=service,
        model="a-model",
        messages=(ChatMessage.from_text(Role.USER, "Hi"),),
        **more,  # type: ignore[arg-type]
    )


def pool_over(workshop: Workshop, clock: ManualClock | None = None, keys: FakeKeys | None = None) -> PooledModel:
    directory = EndpointDirectory(BASE_URLS, keys or FakeKeys({"other": "sk-other"}))
    return PooledModel(workshop.create, directory, clock or ManualClock())


async def test_however_many_callers_wait_one_adapter_is_made() -> None:
    """Ten thousand callers on a cold pool share one creation, and all are answered."""
    workshop = Workshop()
    pool = pool_over(workshop)
    answers = await asyncio.gather(*(pool.complete(request()) for _ in range(10_000)))
    assert len(answers) == 10_000
    assert workshop.begun == 1
    await pool.aclose()
    assert workshop.made[0].closed == 1


async def test_each_endpoint_and_key_has_an_adapter_of_its_own() -> None:
    """Another service, another key or another address is another adapter; the same is the same."""
    workshop = Workshop()
    pool = pool_over(workshop)
    await pool.complete(request())
    await pool.complete(request())
    assert len(workshop.made) == 1
    await pool.complete(request(LLMService.ANTHROPIC))
    await pool.complete(request(api_key_id="other"))
    await pool.complete(request(base_url="https://c.invalid"))
    assert len(workshop.made) == 4
    await pool.aclose()
    assert [adapter.closed for adapter in workshop.made] == [1, 1, 1, 1]


async def test_a_failed_creation_is_seen_by_every_waiter_and_not_kept() -> None:
    """All who waited get the failure, each an exception of their own; the next call tries again."""
    workshop = Workshop()
    workshop.failure = LLMServiceError("no luck")
    pool = pool_over(workshop)
    outcomes = await asyncio.gather(*(pool.complete(request()) for _ in range(50)), return_exceptions=True)
    assert all(isinstance(outcome, LLMServiceError) for outcome in outcomes)
    assert len({id(outcome) for outcome in outcomes}) == 50
    assert workshop.begun == 1
    workshop.failure = None
    assert (await pool.complete(request())).text == "Hello."
    assert workshop.begun == 2
    await pool.aclose()


async def test_cancelling_the_caller_who_began_a_creation_harms_no_other() -> None:
    """The first caller gives up; the others get the adapter that was in the making for all."""
    workshop = Workshop()
    workshop.gate.clear()
    pool = pool_over(workshop)
    callers = [asyncio.ensure_future(pool.complete(request())) for _ in range(10)]
    await asyncio.sleep(0)
    callers[0].cancel()
    await asyncio.sleep(0)
    workshop.gate.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert all(isinstance(outcome, Completion) for outcome in outcomes[1:])
    assert (workshop.begun, workshop.cancelled) == (1, 0)
    await pool.aclose()


async def test_a_creation_that_nobody_waits_for_any_more_is_cancelled() -> None:
    """When the last caller gives up, so does the workshop; a later call begins anew."""
    workshop = Workshop()
    workshop.gate.clear()
    pool = pool_over(workshop)
    callers = [asyncio.ensure_future(pool.complete(request())) for _ in range(3)]
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.sleep(0)
    assert workshop.cancelled == 1
    workshop.gate.set()
    assert (await pool.complete(request())).text == "Hello."
    await pool.aclose()


async def test_an_idle_adapter_is_replaced_after_an_hour_and_closed_once() -> None:
    """Within the hour the adapter is kept; after it, the next call gets a new one and the old one is closed."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    await pool.complete(request())
    clock.advance(3599)
    await pool.complete(request())
    assert len(workshop.made) == 1
    clock.advance(3600)
    await pool.complete(request())
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    await pool.aclose()
    assert [adapter.closed for adapter in workshop.made] == [1, 1]


async def test_an_adapter_in_use_is_not_idle_however_long_the_call_takes() -> None:
    """A call that lasts for hours keeps its adapter, for itself and for others."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    await pool.complete(request())
    workshop.made[0].gate.clear()
    long = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    clock.advance(10 * 3600)
    workshop.made[0].gate.set()
    await pool.complete(request())
    assert (await long).text == "Hello."
    assert len(workshop.made) == 1
    assert workshop.made[0].closed == 0
    await pool.aclose()


async def test_closing_the_pool_waits_for_the_last_lease() -> None:
    """An adapter whose stream is open when the pool closes is closed after the stream, exactly once."""
    workshop = Workshop()
    pool = pool_over(workshop)
    await pool.complete(request())
    workshop.made[0].gate.clear()
    stream = pool.stream(request())
    assert await anext(stream) == TextDelta("Hello.")
    closing = asyncio.ensure_future(pool.aclose())
    await asyncio.sleep(0.01)
    assert workshop.made[0].closed == 0
    workshop.made[0].gate.set()
    assert isinstance(await anext(stream), CompletionEnd)
    await stream.aclose()
    await closing
    assert workshop.made[0].closed == 1


async def test_closing_the_pool_does_not_wait_for_ever() -> None:
    """A loan that does not end is cut off after the grace, so that nothing stays open."""
    workshop = Workshop()
    directory = EndpointDirectory(BASE_URLS, FakeKeys())
    pool = PooledModel(workshop.create, directory, ManualClock(), close_grace_s=0.01)
    await pool.complete(request())
    workshop.made[0].gate.clear()
    stream = pool.stream(request())
    assert await anext(stream) == TextDelta("Hello.")
    await pool.aclose()
    assert workshop.made[0].closed == 1
    await stream.aclose()
    assert workshop.made[0].closed == 1


async def test_closing_during_a_creation_tells_those_who_wait() -> None:
    """Who waits for an adapter when the pool closes is told that it is closed, and nothing is left of the creation."""
    workshop = Workshop()
    workshop.gate.clear()
    pool = pool_over(workshop)
    caller = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    await pool.aclose()
    with pytest.raises(ServiceClosedError):
        await caller
    assert workshop.made == []


async def test_an_adapter_that_is_made_although_its_creation_was_given_up_is_closed() -> None:
    """A creation that cannot be cancelled ends with an adapter that is closed at once."""
    made: list[GatedAdapter] = []
    begun = asyncio.Event()

    async def stubborn(endpoint: Endpoint) -> GatedAdapter:
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(10)
        made.append(GatedAdapter())
        return made[-1]

    pool = PooledModel(stubborn, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    caller = asyncio.ensure_future(pool.complete(request()))
    await begun.wait()
    await pool.aclose()
    with pytest.raises(ServiceClosedError):
        await caller
    assert [adapter.closed for adapter in made] == [1]


async def test_a_caller_who_comes_when_a_creation_is_given_up_begins_anew() -> None:
    """The last waiter leaves and another comes in the same moment: the newcomer is answered."""
    workshop = Workshop()
    workshop.gate.clear()
    pool = pool_over(workshop)
    first = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    first.cancel()
    second = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    workshop.gate.set()
    assert (await second).text == "Hello."
    await pool.aclose()


async def test_a_replaced_key_drains() -> None:
    """With a new key new calls use a new adapter at once; the old one is closed after its last call."""
    keys = RotatingKeys("sk-old")
    workshop = Workshop()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
    await pool.complete(request())
    workshop.made[0].gate.clear()
    running = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    keys.secret = Secret("sk-new")
    await pool.complete(request())
    assert [adapter.closed for adapter in workshop.made] == [0, 0]
    workshop.made[0].gate.set()
    await running
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    await pool.aclose()


async def test_the_pool_is_bounded() -> None:
    """With more endpoints than places the longest unused adapter gives way, and is closed once."""
    workshop = Workshop()
    directory = EndpointDirectory(BASE_URLS, FakeKeys())
    pool = PooledModel(workshop.create, directory, ManualClock(), max_adapters=3)
    for number in range(10):
        await pool.complete(request(base_url=f"https://host-{number}.invalid"))
        await asyncio.sleep(0)
        assert repr(pool) == f"<PooledModel {min(number + 1, 3)} adapters on 1 event loops>"
    assert [adapter.closed for adapter in workshop.made] == [1] * 7 + [0] * 3
    await pool.aclose()


async def test_a_long_call_does_not_keep_idle_adapters() -> None:
    """An adapter in use does not stand before others whose hour is over."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    await pool.complete(request())
    await pool.complete(request(LLMService.ANTHROPIC))
    workshop.made[0].gate.clear()
    long = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    clock.advance(3 * 3600)
    await pool.complete(request(base_url="https://c.invalid"))
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [0, 1, 0]
    workshop.made[0].gate.set()
    await long
    await pool.aclose()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_eager_tasks_are_no_trouble() -> None:
    """Under a loop that begins tasks at once, a creation that never waits is found and forgotten all the same."""

    async def at_once(endpoint: Endpoint) -> GatedAdapter:
        return GatedAdapter()

    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
    pool = PooledModel(at_once, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    answers = await asyncio.gather(*(pool.complete(request()) for _ in range(3)))
    assert [answer.text for answer in answers] == ["Hello."] * 3
    await pool.aclose()


# Newer Pythons warn of any fork beside a thread; that such a fork works is what the test shows.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process_begins_with_nothing() -> None:
    """A child makes an adapter of its own and touches none of its parent's."""
    made: list[int] = []

    async def create(endpoint: Endpoint) -> GatedAdapter:
        made.append(os.getpid())
        return GatedAdapter()

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())

    async def call() -> None:
        await pool.complete(request())

    asyncio.run(call())
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(call())
            os._exit(0 if made[-1] == os.getpid() and len(made) == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(made) == 1


async def test_a_closed_pool_refuses_calls() -> None:
    """After closing, a call is a mistake in the program; closing again does nothing."""
    pool = pool_over(Workshop())
    await pool.aclose()
    await pool.aclose()
    with pytest.raises(ServiceClosedError, match="with"):
        await pool.complete(request())


async def test_a_missing_key_is_said_before_anything_is_made() -> None:
    """Without a key no adapter is made, and the error says where a key was looked for."""
    workshop = Workshop()
    pool = pool_over(workshop, keys=FakeKeys(services=()))
    with pytest.raises(MissingAPIKeyError, match="FakeKeys"):
        await pool.complete(request())
    assert workshop.begun == 0
    await pool.aclose()


def test_one_pool_serves_many_event_loops_one_after_the_other() -> None:
    """Each `asyncio.run` gets an adapter of its own, which is closed when that loop ends."""
    made: list[GatedAdapter] = []

    async def create(endpoint: Endpoint) -> GatedAdapter:
        made.append(GatedAdapter())
        return made[-1]

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())

    async def call() -> None:
        for _ in range(3):
            await pool.complete(request())

    for _ in range(20):
        asyncio.run(call())
    gc.collect()
    assert len(made) == 20
    assert all(adapter.closed == 1 for adapter in made)


def test_one_pool_serves_many_threads_with_loops_of_their_own() -> None:
    """Eight threads share the pool and none sees another's adapter or failure."""
    made: list[GatedAdapter] = []
    failures: list[BaseException] = []

    async def create(endpoint: Endpoint) -> GatedAdapter:
        made.append(GatedAdapter())
        return made[-1]

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())

    async def call() -> None:
        await asyncio.gather(*(pool.complete(request()) for _ in range(50)))

    def run() -> None:
        try:
            asyncio.run(call())
        except BaseException as problem:  # noqa: BLE001  # whatever it is, the test must see it
            failures.append(problem)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert failures == []
    assert len(made) == 8
    assert all(adapter.closed == 1 for adapter in made)


async def test_the_pool_shows_its_state() -> None:
    """The repr counts adapters and event loops."""
    pool = pool_over(Workshop())
    assert repr(pool) == "<PooledModel 0 adapters on 0 event loops>"
    await pool.complete(request())
    assert repr(pool) == "<PooledModel 1 adapters on 1 event loops>"
    await pool.aclose()
