"""The pool lends one adapter per endpoint and event loop, and closes it after its last use."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
import time
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
from tests.virtual_world.virtual_loop import VirtualLoop, run_virtual

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


async def test_a_replaced_key_drains_open_streams_too() -> None:
    """Streams that were begun with the old key go on to their ends; the adapter is closed once, after the last."""
    keys = RotatingKeys("sk-old")
    workshop = Workshop()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
    await pool.complete(request())
    workshop.made[0].gate.clear()
    streams = [pool.stream(request()) for _ in range(2)]
    for stream in streams:
        assert await anext(stream) == TextDelta("Hello.")
    keys.secret = Secret("sk-new")
    await pool.complete(request())
    await streams[0].aclose()
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [0, 0]
    workshop.made[0].gate.set()
    assert isinstance(await anext(streams[1]), CompletionEnd)
    await streams[1].aclose()
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    await pool.aclose()
    assert [adapter.closed for adapter in workshop.made] == [1, 1]


async def test_expiry_takes_the_same_for_each_however_many_there_are() -> None:
    """Five thousand adapters whose hour is over are gone after one call, in at most 200 microseconds each."""
    many = 5_000
    workshop, clock = Workshop(), ManualClock()
    directory = EndpointDirectory(BASE_URLS, FakeKeys())
    pool = PooledModel(workshop.create, directory, clock, max_adapters=many + 1)
    for number in range(many):
        await pool.complete(request(base_url=f"https://host-{number}.invalid"))
    clock.advance(3600)
    began_s = time.process_time()
    await pool.complete(request())
    await asyncio.sleep(0)
    assert time.process_time() - began_s < many * 200e-6
    assert [adapter.closed for adapter in workshop.made] == [1] * many + [0]
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


async def test_an_adapter_whose_key_was_replaced_in_the_making_drains() -> None:
    """Rotation: made with the old key after the new one was used, it is closed after its last call."""
    keys, workshop = RotatingKeys("sk-old"), Workshop()
    workshop.gate.clear()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
    before = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    keys.secret = Secret("sk-new")
    after = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    workshop.gate.set()
    await asyncio.gather(before, after)
    await pool.complete(request())
    await asyncio.sleep(0)
    assert sorted(adapter.closed for adapter in workshop.made) == [0, 1]
    await pool.aclose()


async def test_the_pool_is_bounded_although_callers_leave() -> None:
    """Bounded size: whoever leaves at the moment at which their adapter is there does not make the shelf longer."""
    workshop = Workshop()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock(), max_adapters=3)
    for number in range(10):
        workshop.gate.clear()
        caller = asyncio.ensure_future(pool.complete(request(base_url=f"https://host-{number}.invalid")))
        await asyncio.sleep(0)
        workshop.gate.set()
        while len(workshop.made) == number:
            await asyncio.sleep(0)
        caller.cancel()
        await asyncio.wait([caller])
    await asyncio.sleep(0)
    assert repr(pool) == "<PooledModel 3 adapters on 1 event loops>"
    await pool.aclose()


class SlowKeys(APIKeyPort):
    """Takes its time to say where it looked."""

    def __init__(self) -> None:
        self.is_asked, self.may_answer = threading.Event(), threading.Event()

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return None if api_key_id else Secret("sk-x")

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        self.is_asked.set()
        self.may_answer.wait(10)
        return "nowhere"


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_fork_beside_a_thread_that_looks_up_an_endpoint_locks_nothing() -> None:
    """A lock that another thread holds at the fork is taken anew in the child, which would otherwise wait for ever."""
    keys = SlowKeys()

    async def create(_: object) -> GatedAdapter:
        return GatedAdapter()

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, keys), ManualClock())

    def fail() -> None:
        with pytest.raises(MissingAPIKeyError):
            asyncio.run(pool.complete(request(api_key_id="none")))

    thread = threading.Thread(target=fail)
    thread.start()
    keys.is_asked.wait()
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(2)
            asyncio.run(pool.complete(request()))
            os._exit(0)
        finally:
            os._exit(2)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    keys.may_answer.set()
    thread.join()
    assert status == 0


async def test_unless_told_otherwise_there_is_room_for_256() -> None:
    """The 257th endpoint takes the place of the longest unused."""
    workshop = Workshop()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    for number in range(257):
        await pool.complete(request(base_url=f"https://host-{number}.invalid"))
        await asyncio.sleep(0)
        assert sum(adapter.closed for adapter in workshop.made) == (1 if number == 256 else 0)
    assert workshop.made[0].closed == 1
    await pool.aclose()


async def test_what_was_used_gives_way_after_what_was_not() -> None:
    """The order in which adapters were made does not matter, only when each was last given back."""
    workshop, clock = Workshop(), ManualClock()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), clock, max_adapters=2)
    for host in ("a", "b", "a", "c"):
        await pool.complete(request(base_url=f"https://{host}.invalid"))
        clock.advance(1)
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [0, 1, 0]
    await pool.aclose()


@pytest.mark.parametrize("held", [0, 1])
async def test_what_is_in_use_gives_way_last(held: int) -> None:
    """An adapter that is lent stays on the shelf, though it was used before all others."""
    workshop, clock = Workshop(), ManualClock()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), clock, max_adapters=2)
    for host in ("a", "b"):
        await pool.complete(request(base_url=f"https://{host}.invalid"))
        clock.advance(1)
    workshop.made[held].gate.clear()
    long = asyncio.ensure_future(pool.complete(request(base_url=f"https://{'ab'[held]}.invalid")))
    await asyncio.sleep(0)
    await pool.complete(request(base_url="https://c.invalid"))
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [held, 1 - held, 0]
    workshop.made[held].gate.set()
    await long
    await pool.aclose()


def test_closing_waits_for_one_second_unless_told_otherwise() -> None:
    """A loan that does not end is cut off then; one that ends is not waited for any longer."""

    async def close_with_a_loan(loop: VirtualLoop, lasts_s: float) -> float:
        workshop = Workshop()
        pool = pool_over(workshop)
        await pool.complete(request())
        await pool.complete(request(LLMService.ANTHROPIC))
        streams = [pool.stream(request()), pool.stream(request(LLMService.ANTHROPIC))]
        for stream in streams:
            await anext(stream)
        leaving = [asyncio.ensure_future(close_after(streams[0], lasts_s / 2))]
        leaving.append(asyncio.ensure_future(close_after(streams[1], lasts_s)))
        began_s = loop.time()
        await pool.aclose()
        took_s = loop.time() - began_s
        assert [adapter.closed for adapter in workshop.made] == [1, 1]
        await asyncio.gather(*leaving)
        assert [adapter.closed for adapter in workshop.made] == [1, 1]
        return took_s

    assert run_virtual(1, lambda loop: close_with_a_loan(loop, 0.5)).result == 0.5
    assert run_virtual(1, lambda loop: close_with_a_loan(loop, 1000.0)).result == 1.0


async def close_after(stream: CompletionStream, delay_s: float) -> None:
    """Closes the stream, some time later."""
    await asyncio.sleep(delay_s)
    await stream.aclose()


async def test_an_adapter_is_idle_to_the_second_when_it_is_asked_for() -> None:
    """An hour is an hour, whoever else was asked in between; less is not."""
    for age_s, is_new in ((3599.0, False), (3600.0, True)):
        workshop, clock = Workshop(), ManualClock()
        pool = pool_over(workshop, clock)
        await pool.complete(request())
        clock.advance(3570)
        await pool.complete(request(LLMService.ANTHROPIC))
        clock.advance(age_s - 3570)
        await pool.complete(request())
        await asyncio.sleep(0)
        assert [adapter.closed for adapter in workshop.made] == ([1, 0, 0] if is_new else [0, 0])
        await pool.aclose()


async def test_an_adapter_in_use_is_lent_on_after_its_hour() -> None:
    """One that is lent is lent again, though its last use ended more than an hour ago."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    await pool.complete(request())
    workshop.made[0].gate.clear()
    long = asyncio.ensure_future(pool.complete(request()))
    await asyncio.sleep(0)
    clock.advance(3570)
    await pool.complete(request(LLMService.ANTHROPIC))
    clock.advance(30)
    workshop.made[0].gate.set()
    await pool.complete(request())
    await long
    assert [adapter.closed for adapter in workshop.made] == [0, 0]
    await pool.aclose()


async def test_idle_adapters_go_with_the_first_call_after_their_hour() -> None:
    """Whoever calls: each that nobody asked for goes when its hour is over, and not a second before."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    await pool.complete(request())
    clock.advance(60)
    await pool.complete(request(base_url="https://c.invalid"))
    clock.advance(60)
    await pool.complete(request())
    for wait_s, closed in ((3539, [0, 0, 0]), (1, [0, 1, 0]), (59, [0, 1, 0]), (1, [1, 1, 0])):
        clock.advance(wait_s)
        await pool.complete(request(LLMService.ANTHROPIC))
        await asyncio.sleep(0)
        assert [adapter.closed for adapter in workshop.made] == closed
    await pool.aclose()


async def test_adapters_that_live_for_no_time_serve_all_who_ask_at_once() -> None:
    """One in use is never idle, whatever the lifetime; the next who asks after its return has a new one."""
    workshop, clock = Workshop(), ManualClock()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), clock, idle_lifetime_s=0)
    await pool.complete(request())
    assert len(workshop.made) == 1
    long = asyncio.ensure_future(pool.complete(request()))
    while len(workshop.made) == 1:
        await asyncio.sleep(0)
    workshop.made[1].gate.clear()
    others = [asyncio.ensure_future(pool.complete(request())) for _ in range(3)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    workshop.made[1].gate.set()
    await asyncio.gather(long, *others)
    await pool.complete(request())
    assert [adapter.closed for adapter in workshop.made] == [1, 1, 0]
    await pool.aclose()


async def test_a_call_takes_the_same_however_many_adapters_there_are() -> None:
    """They are all looked through only when one can be idle too long: neither after a look, nor beside a long call."""
    took_s: dict[int, list[float]] = {1: [], 3_000: []}
    for many, measured in took_s.items():
        workshop, clock = Workshop(), ManualClock()
        directory = EndpointDirectory(BASE_URLS, FakeKeys())
        pool = PooledModel(workshop.create, directory, clock, max_adapters=many + 1)
        endpoints = [f"https://host-{number}.invalid" for number in range(many)]
        for endpoint in endpoints:
            await pool.complete(request(base_url=endpoint))
        workshop.made[0].gate.clear()
        long = asyncio.ensure_future(pool.complete(request(base_url=endpoints[0])))
        await asyncio.sleep(0)
        asked = request(LLMService.ANTHROPIC)
        for later_s in (0, 1800, 1800):
            clock.advance(later_s)
            await pool.complete(asked)
            if later_s:
                for endpoint in endpoints[1:]:
                    await pool.complete(request(base_url=endpoint))
            began_s = time.process_time()
            for _ in range(200):
                await pool.complete(asked)
            measured.append(time.process_time() - began_s)
        workshop.made[0].gate.set()
        await long
        await pool.aclose()
    assert all(large < 10 * small for small, large in zip(*took_s.values(), strict=True)), took_s


async def test_a_caller_who_is_told_to_leave_as_the_adapter_comes_gives_it_back() -> None:
    """It was lent to them already; with nobody left who uses it, it is idle an hour later like any other."""
    clock = ManualClock()
    made: list[GatedAdapter] = []

    async def create(endpoint: Endpoint) -> GatedAdapter:
        made.append(GatedAdapter())
        if len(made) == 1:
            asyncio.get_running_loop().call_soon(caller.cancel)
        return made[-1]

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), clock)
    caller = asyncio.ensure_future(pool.complete(request()))
    with pytest.raises(asyncio.CancelledError):
        await caller
    clock.advance(3600)
    await pool.complete(request())
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in made] == [1, 0]
    await pool.aclose()


async def test_a_failure_nobody_waits_for_any_more_is_no_noise() -> None:
    """The only caller leaves at the moment at which the creation fails: nothing is reported to the event loop."""
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context)))

    async def create(endpoint: Endpoint) -> GatedAdapter:
        asyncio.get_running_loop().call_soon(caller.cancel)
        raise LLMServiceError("no luck")

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    caller = asyncio.ensure_future(pool.complete(request()))
    with pytest.raises(asyncio.CancelledError):
        await caller
    await asyncio.sleep(0)
    gc.collect()
    assert reported == []
    await pool.aclose()


async def test_one_adapter_that_cannot_be_closed_keeps_no_other_open() -> None:
    """The pool closes all the same, and tells nobody of it."""

    class Jammed(GatedAdapter):
        """Fails to close."""

        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("jammed")

    made: list[GatedAdapter] = []

    async def create(endpoint: Endpoint) -> GatedAdapter:
        made.append(Jammed() if not made else GatedAdapter())
        return made[-1]

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    await pool.complete(request())
    await pool.complete(request(LLMService.ANTHROPIC))
    await pool.aclose()
    assert [adapter.closed for adapter in made] == [1, 1]


async def test_a_key_that_is_replaced_while_its_adapter_is_made_serves_those_who_waited() -> None:
    """They are answered with the old key, nobody else is, and its adapter is closed after the last of them."""
    keys = RotatingKeys("sk-old")
    workshop = Workshop()
    workshop.gate.clear()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
    waiting = [asyncio.ensure_future(pool.complete(request())) for _ in range(2)]
    await asyncio.sleep(0)
    keys.secret = Secret("sk-new")
    newcomer = asyncio.ensure_future(pool.complete(request()))
    while workshop.begun < 2:
        await asyncio.sleep(0)
    workshop.gate.set()
    assert [answer.text for answer in await asyncio.gather(*waiting, newcomer)] == ["Hello."] * 3
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    await pool.complete(request())
    assert len(workshop.made) == 2
    await pool.aclose()
    assert [adapter.closed for adapter in workshop.made] == [1, 1]


class KeyPerService(RotatingKeys):
    """A key for each service, of which that of OpenAI can be replaced."""

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return self.secret if service is LLMService.OPENAI else Secret(f"sk-{service.value}")


async def test_a_replaced_key_touches_no_other() -> None:
    """Adapters whose key is what it was stay on the shelf."""
    keys = KeyPerService("sk-old")
    workshop = Workshop()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
    await pool.complete(request())
    await pool.complete(request(LLMService.ANTHROPIC))
    keys.secret = Secret("sk-new")
    await pool.complete(request())
    await pool.complete(request(LLMService.ANTHROPIC))
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0, 0]
    await pool.aclose()


async def test_closing_waits_until_creations_are_given_up() -> None:
    """When the pool is closed, nothing is in the making any more."""
    workshop = Workshop()
    workshop.gate.clear()
    pool = pool_over(workshop)
    callers = [
        asyncio.ensure_future(pool.complete(request(service))) for service in (LLMService.OPENAI, LLMService.ANTHROPIC)
    ]
    while workshop.begun < 2:
        await asyncio.sleep(0)
    await pool.aclose()
    assert workshop.cancelled == 2
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ServiceClosedError] * 2


def test_closing_waits_for_loans_whatever_was_given_back_before() -> None:
    """That all was returned once, when a key was replaced, does not count for what is lent now."""

    async def close_after_draining(loop: VirtualLoop) -> float:
        keys = RotatingKeys("sk-old")
        workshop = Workshop()
        pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, keys), ManualClock())
        draining = pool.stream(request())
        await anext(draining)
        keys.secret = Secret("sk-new")
        await pool.complete(request())
        await draining.aclose()
        lent = pool.stream(request())
        await anext(lent)
        leaving = asyncio.ensure_future(close_after(lent, 0.5))
        await pool.aclose()
        took_s = loop.time()
        await leaving
        return took_s

    assert run_virtual(1, close_after_draining).result == 0.5


def test_a_closed_pool_leaves_nothing_on_its_loop() -> None:
    """No task and no generator of it is left, though somebody still holds the pool."""
    pools: list[PooledModel] = []

    async def use_and_close(_: VirtualLoop) -> None:
        pools.append(pool_over(Workshop()))
        await pools[0].complete(request())
        await pools[0].aclose()

    run_virtual(1, use_and_close)


def test_a_loop_that_ends_closes_its_adapters_without_noise() -> None:
    """Nobody closed the pool: the end of the loop does, once, and reports nothing."""
    workshop: list[Workshop] = []
    reported: list[str] = []
    pools: list[PooledModel] = []

    async def use() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context)))
        workshop.append(Workshop())
        pools.append(pool_over(workshop[0]))
        await pools[0].complete(request())

    asyncio.run(use())
    assert [adapter.closed for adapter in workshop[0].made] == [1]
    assert reported == []


async def test_a_creation_that_fails_after_all_have_left_is_no_noise() -> None:
    """It was given up and answered with a failure that nobody hears of: nothing is reported to the event loop."""
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(str(context)))
    begun = asyncio.Event()

    async def create(endpoint: Endpoint) -> GatedAdapter:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LLMServiceError("no luck") from None
        raise AssertionError

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    caller = asyncio.ensure_future(pool.complete(request()))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert reported == []
    await pool.aclose()


async def test_a_caller_who_is_cancelled_as_the_pool_closes_is_cancelled() -> None:
    """Whoever cancels a task must see it end so, even where the pool was closed in the same moment."""
    begun = asyncio.Event()

    async def create(endpoint: Endpoint) -> GatedAdapter:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asyncio.get_running_loop().call_soon(caller.cancel)
            raise
        raise AssertionError

    pool = PooledModel(create, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
    caller = asyncio.ensure_future(pool.complete(request()))
    await begun.wait()
    await pool.aclose()
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_where_all_are_in_use_the_one_lent_longest_gives_way() -> None:
    """It leaves the shelf for its next caller, and is closed after its last loan and not before."""
    workshop, clock = Workshop(), ManualClock()
    pool = PooledModel(workshop.create, EndpointDirectory(BASE_URLS, FakeKeys()), clock, max_adapters=1)
    await pool.complete(request(base_url="https://a.invalid"))
    streams = []
    for host in ("a", "b"):
        streams.append(pool.stream(request(base_url=f"https://{host}.invalid")))
        await anext(streams[-1])
        clock.advance(1)
    assert [adapter.closed for adapter in workshop.made] == [0, 0]
    await streams[0].aclose()
    await streams[1].aclose()
    await asyncio.sleep(0)
    assert [adapter.closed for adapter in workshop.made] == [1, 0]
    await pool.aclose()


async def test_a_creation_that_takes_its_time_to_be_given_up_lends_nothing() -> None:
    """Whether the pool was closed meanwhile or a newcomer began anew, its adapter is closed and nobody gets it."""
    made: list[GatedAdapter] = []
    begun = asyncio.Event()

    async def slow_to_leave(endpoint: Endpoint) -> GatedAdapter:
        mine = GatedAdapter()
        made.append(mine)
        if len(made) == 1:
            begun.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
            for _ in range(5):
                await asyncio.sleep(0)
        return mine

    for is_closed in (True, False):
        made.clear()
        begun.clear()
        pool = PooledModel(slow_to_leave, EndpointDirectory(BASE_URLS, FakeKeys()), ManualClock())
        caller = asyncio.ensure_future(pool.complete(request()))
        await begun.wait()
        if is_closed:
            await pool.aclose()
            with pytest.raises(ServiceClosedError):
                await caller
            assert [adapter.closed for adapter in made] == [1]
            continue
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await pool.complete(request())
        for _ in range(10):
            await asyncio.sleep(0)
        assert [adapter.closed for adapter in made] == [1, 0]
        await pool.aclose()


async def test_an_adapter_lent_for_something_else_is_the_calls_own_and_closes_after_its_return() -> None:
    """Who counts or lists models has the adapter of the endpoint they name, and closing waits for them too."""
    workshop = Workshop()
    pool = pool_over(workshop)
    await pool.complete(request(LLMService.ANTHROPIC))
    await pool.complete(request())
    async with pool.lent(request()) as adapter:
        assert adapter is workshop.made[1]
        closing = asyncio.ensure_future(pool.aclose())
        for _ in range(5):
            await asyncio.sleep(0)
        assert [each.closed for each in workshop.made] == [1, 0]
    await closing
    assert [each.closed for each in workshop.made] == [1, 1]


async def test_an_adapter_lent_for_something_else_may_be_idle_afterwards() -> None:
    """What was given back counts from then: an hour later it gives way to a new one."""
    workshop, clock = Workshop(), ManualClock()
    pool = pool_over(workshop, clock)
    with contextlib.suppress(ZeroDivisionError):
        async with pool.lent(request()):
            raise ZeroDivisionError
    clock.advance(3601)
    await pool.complete(request())
    assert len(workshop.made) == 2
    await pool.aclose()
