"""The synchronous door under threads, beside and under running loops, and in forked workers."""

import asyncio
import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import dipeo
from dipeo import Settings, errors
from dipeo.domain.completion import Completion, CompletionRequest, FinishReason
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionStream
from dipeo.infrastructure.sync_door import SyncLLMService
from dipeo.testing import ProviderSimulator
from tests.end_to_end.conftest import KEY
from tests.end_to_end.test_services import HELLO, forks

WATCHDOG = pytest.mark.timeout(10)
"""Whatever stands still is ended after ten seconds."""


class LoopNotingModel(ChatModelPort):
    """Remembers the loops and the threads that it was asked on."""

    def __init__(self) -> None:
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self.threads: set[str] = set()

    async def complete(self, request: CompletionRequest) -> Completion:
        self.loops.add(asyncio.get_running_loop())
        self.threads.add(threading.current_thread().name)
        return Completion(
            service=request.service, model=request.model, parts=(TextPart("Hi."),), finish_reason=FinishReason.STOP
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        raise AssertionError("nobody streams here")


@WATCHDOG
def test_one_loop_serves_all_calls_of_all_threads() -> None:
    """Four hundred calls from eight threads run on one loop and one thread: none is made for a call or a caller."""
    model = LoopNotingModel()
    before = threading.active_count()
    with dipeo.connect_sync(Settings(), model=model) as llm, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: llm.complete(HELLO, "openai").text, range(400)))
        assert threading.active_count() <= before + 9
    assert answers == ["Hi."] * 400
    assert len(model.loops) == 1
    assert model.threads == {"dipeo-loop"}


@WATCHDOG
def test_calls_and_streams_of_many_threads_are_all_answered(settings_of_a_thread: Settings) -> None:
    """Eight threads call and stream through one door, over real connections, and none sees another's failure."""

    def work(llm: SyncLLMService, number: int) -> bool:
        if number % 3 == 0:
            with pytest.raises(errors.InvalidRequestError):
                llm.complete(HELLO, "openai", temperature=9.0)
        if number % 2:
            with llm.stream(HELLO, "claude") as stream:
                return "".join(stream.text()) == stream.completion.text
        return bool(llm.complete(HELLO, "openai").text)

    with dipeo.connect_sync(settings_of_a_thread) as llm, ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda number: work(llm, number), range(80)))


@WATCHDOG
async def test_the_door_serves_its_own_kind_under_one_loop(settings_of_a_thread: Settings) -> None:
    """On a running loop, blocking calls are answered on that very thread and in threads beside it, at once."""

    def program(llm: SyncLLMService) -> str:
        return llm.complete(HELLO, "openai").text

    with dipeo.connect_sync(settings_of_a_thread) as llm:
        beside = [asyncio.ensure_future(asyncio.to_thread(program, llm)) for _ in range(4)]
        await asyncio.sleep(0)
        assert program(llm)
        assert all(await asyncio.gather(*beside))


@WATCHDOG
def test_loops_in_threads_may_use_the_door(settings_of_a_thread: Settings) -> None:
    """Coroutines of loops in several threads block on one door, as async views that call sync code do."""

    async def view(llm: SyncLLMService) -> str:
        return llm.complete(HELLO, "openai").text

    with dipeo.connect_sync(settings_of_a_thread) as llm, ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: asyncio.run(view(llm)), range(12)))


@forks
@WATCHDOG
def test_workers_forked_from_one_parent_all_use_the_door(settings_of_a_thread: Settings) -> None:
    """Several workers that `multiprocessing` forks after the first call are answered, and so is the parent after."""
    context = multiprocessing.get_context("fork")
    with dipeo.connect_sync(settings_of_a_thread) as llm:

        def work() -> None:
            assert llm.complete(HELLO, "openai").text
            assert llm.stream(HELLO, "claude").collect().text

        work()
        workers = [context.Process(target=work) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(5)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        work()


@pytest.fixture
def settings_of_a_thread(thread_simulator: ProviderSimulator) -> Settings:
    """Settings that lead to a simulator on a thread of its own: the loops of these tests block."""
    keys = {"OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY}
    return Settings(base_urls=thread_simulator.base_urls, environ=keys)


@forks
def test_many_threads_of_a_forked_worker_begin_at_once() -> None:
    """The first calls of a forked worker may come from many threads: they share the loop that the first one begins."""
    with ProviderSimulator(seed=3) as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": KEY})
        with dipeo.connect_sync(settings) as llm:
            llm.complete(HELLO, "openai")
            outcomes = []
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    try:
                        os._exit(0 if _answers_in_threads(llm, count=8) == 8 else 1)
                    finally:
                        os._exit(2)
                outcomes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    assert outcomes == [0] * 5


def _answers_in_threads(llm: SyncLLMService, *, count: int) -> int:
    """How many of so many threads that begin at once are answered."""
    answers: list[str] = []
    go = threading.Barrier(count)

    def call() -> None:
        go.wait()
        answers.append(llm.complete(HELLO, "openai", timeout_s=4).text)

    sys.setswitchinterval(1e-6)
    callers = [threading.Thread(target=call, daemon=True) for _ in range(count)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(2)
    return len(answers)
