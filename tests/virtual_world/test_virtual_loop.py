"""The virtual loop itself: its time, its order, and what it does not let pass."""

import asyncio
import random

import pytest

from tests.virtual_world.virtual_loop import LeftoverError, VirtualClock, VirtualDeadlockError, VirtualLoop, run_virtual


def test_a_year_passes_in_no_time() -> None:
    """Time jumps to the next timer, exactly."""

    async def main(loop: VirtualLoop) -> float:
        clock = VirtualClock(loop)
        await clock.sleep(365 * 24 * 3600)
        assert clock.now().year == 2027
        return clock.monotonic_s()

    assert run_virtual(1, main).result == 365 * 24 * 3600


def test_the_seed_decides_who_goes_first() -> None:
    """Tasks that are ready together run in an order that differs between seeds and not within one."""

    async def main(_: VirtualLoop) -> str:
        order: list[str] = []

        async def add(name: str) -> None:
            await asyncio.sleep(0)
            order.append(name)

        await asyncio.gather(*(add(name) for name in "abcdef"))
        return "".join(order)

    orders = [run_virtual(seed, main).result for seed in range(30)]
    assert len(set(orders)) > 20
    assert orders == [run_virtual(seed, main).result for seed in range(30)]


def test_jitter_is_drawn_from_the_seed_and_the_shared_generator_goes_on_as_before() -> None:
    """What a run draws from `random` is the same each time, and draws nothing from the tests around it."""

    async def main(_: VirtualLoop) -> float:
        return random.random()

    random.seed(5)
    expected = random.random()
    random.seed(5)
    assert run_virtual(1, main).result == run_virtual(1, main).result
    assert random.random() == expected


def test_a_deadlock_is_said_with_names_and_places() -> None:
    """Where nobody can go on, the error names the tasks and the lines where they wait."""

    async def main(_: VirtualLoop) -> None:
        async def never() -> None:
            await asyncio.Event().wait()

        await asyncio.create_task(never(), name="a-waiting-task")

    with pytest.raises(VirtualDeadlockError, match=r"a-waiting-task in Event\.wait line"):
        run_virtual(1, main)


def test_a_task_that_outlives_the_run_is_an_error() -> None:
    """Nothing may be left running."""

    async def main(_: VirtualLoop) -> None:
        asyncio.create_task(asyncio.sleep(1), name="a-task-left-behind").add_done_callback(print)

    with pytest.raises(LeftoverError, match="a-task-left-behind"):
        run_virtual(1, main)


def test_an_exception_that_nobody_retrieves_is_an_error() -> None:
    """What asyncio would only log makes the run fail."""

    async def main(_: VirtualLoop) -> None:
        async def fail() -> None:
            raise ValueError("nobody looks")

        background = {asyncio.create_task(fail())}
        await asyncio.wait(background)

    with pytest.raises(LeftoverError, match="nobody looks"):
        run_virtual(1, main)


def test_threads_are_refused() -> None:
    """Work in a thread would run in real time."""

    async def main(_: VirtualLoop) -> None:
        await asyncio.to_thread(print)

    with pytest.raises(AssertionError, match="thread"):
        run_virtual(1, main)
