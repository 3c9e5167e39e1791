"""An alarm rings when its time is up, for whoever waits then, and one timer serves them all."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest

from dipeo.infrastructure.llm.drivers.alarm import Alarm, AlarmWatch
from dipeo.infrastructure.llm.drivers.per_loop import PerLoop
from tests.virtual_world.virtual_loop import VirtualLoop, run_virtual


def timers(loop: VirtualLoop) -> list[float]:
    """When the timers of the loop go off that are set and not cancelled."""
    return sorted(handle.when() for handle in loop._scheduled if not handle.cancelled())


def alarm_at(at: float, watch: AlarmWatch) -> Alarm:
    """An alarm that rings at this moment of the loop's time."""
    return Alarm(PerLoop(lambda: watch), at - asyncio.get_running_loop().time())


async def wait_under(alarm: Alarm, delay_s: float) -> str:
    """Waits that long under the alarm, and says how it went."""
    try:
        with alarm:
            await asyncio.sleep(delay_s)
    except TimeoutError:
        return "late"
    return "in time"


def outcome_of(main: Callable[[VirtualLoop], Awaitable[None]]) -> float:
    """Runs this in virtual time, and says when it ended."""

    async def run(loop: VirtualLoop) -> None:
        await main(loop)

    return run_virtual(1, run).ended_at_s


def test_who_waits_too_long_is_interrupted_at_the_moment() -> None:
    """Not before, and not after; who is done before hears nothing."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        assert await wait_under(alarm_at(2.0, watch), 1.5) == "in time"
        assert await wait_under(alarm_at(3.0, watch), 9.0) == "late"
        assert loop.time() == 3.0
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    assert outcome_of(main) == 3.0


def test_all_ring_at_their_own_times_on_one_timer() -> None:
    """However they were set, each rings at its own time, and never is there more than one timer."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        ended: list[float] = []

        async def wait(at: float) -> None:
            with pytest.raises(TimeoutError), alarm_at(at, watch):
                await asyncio.Event().wait()
            ended.append(loop.time())
            assert len(timers(loop)) == (1 if watch.alarms else 0)

        order = [5.0, 7.0, 3.0, 3.0, 9.0, 1.0]
        tasks = []
        for at in order:
            tasks.append(loop.create_task(wait(at)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        assert timers(loop) == [1.0]
        await asyncio.gather(*tasks)
        assert ended == sorted(order)
        assert timers(loop) == []

    assert outcome_of(main) == 9.0


def test_an_alarm_is_set_only_while_somebody_waits() -> None:
    """Before and afterwards nothing is watched, and the timer that is left finds nothing to do."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        alarm = alarm_at(3.0, watch)
        assert (list(watch.alarms), timers(loop)) == ([], [])
        with alarm:
            assert (list(watch.alarms), timers(loop)) == ([alarm], [3.0])
            await asyncio.sleep(1.0)
        assert (list(watch.alarms), timers(loop)) == ([], [3.0])
        await asyncio.sleep(4.0)
        assert timers(loop) == []

    assert outcome_of(main) == 5.0


def test_an_alarm_that_has_rung_lets_nobody_wait() -> None:
    """One that rang while nobody waited is over; and none is set whose time is up from the beginning."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        for at in (0.0, -1.0):
            with pytest.raises(TimeoutError):
                alarm_at(at, watch)
        assert not watch.alarms
        alarm = alarm_at(2.0, watch)
        await asyncio.sleep(2.0)
        with pytest.raises(TimeoutError), alarm.within(None):
            raise AssertionError("nobody gets this far")
        with pytest.raises(TimeoutError):
            alarm.within(3.0)
        assert await wait_under(alarm, 5.0) == "late"
        assert loop.time() == 2.0
        assert timers(loop) == []

    assert outcome_of(main) == 2.0


@pytest.mark.parametrize(("limit_s", "until_s", "is_final"), [(2.0, 3.0, False), (9.0, 10.0, True), (20.0, 10.0, True)])
def test_a_single_wait_may_be_bounded_further(limit_s: float, until_s: float, *, is_final: bool) -> None:
    """Within the deadline, never beyond it; it says which of the two it was."""

    async def main(loop: VirtualLoop) -> None:
        alarm = alarm_at(10.0, AlarmWatch())
        assert alarm.is_final
        await asyncio.sleep(1.0)
        assert await wait_under(alarm.within(limit_s), 100.0) == "late"
        assert loop.time() == until_s
        assert alarm.is_final is is_final

    assert outcome_of(main) == until_s


def test_between_two_waits_only_the_deadline_counts() -> None:
    """The bound of a wait ends with it, however long the waiter then works; the deadline does not."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        alarm = alarm_at(10.0, watch)
        assert await wait_under(alarm.within(2.0), 1.0) == "in time"
        await asyncio.sleep(5.0)
        assert timers(loop) == []
        assert await wait_under(alarm.within(None), 1.0) == "in time"
        assert await wait_under(alarm.within(1.5), 1.0) == "in time"
        assert not alarm.is_final
        await asyncio.sleep(5.0)
        assert loop.time() == 13.0
        with pytest.raises(TimeoutError):
            alarm.within(2.0)
        assert alarm.is_final

    assert outcome_of(main) == 13.0


def test_a_wait_without_a_bound_of_its_own_has_the_deadline() -> None:
    """A bound that was given before does not interrupt it."""

    async def main(loop: VirtualLoop) -> None:
        alarm = alarm_at(10.0, AlarmWatch())
        assert await wait_under(alarm.within(2.0), 1.0) == "in time"
        await asyncio.sleep(2.0)
        assert await wait_under(alarm.within(None), 50.0) == "late"
        assert loop.time() == 10.0

    assert outcome_of(main) == 10.0


def test_what_the_waiter_makes_of_its_end_is_kept() -> None:
    """An answer or an error in the last moment passes, and leaves no cancellation behind."""

    async def main(loop: VirtualLoop) -> None:
        watch = AlarmWatch()
        task = asyncio.current_task()
        assert task is not None
        answer = ""
        with alarm_at(1.0, watch):
            try:
                await asyncio.sleep(5.0)
            except asyncio.CancelledError:
                answer = "all the same"
        assert (answer, task.cancelling()) == ("all the same", 0)

        async def fail() -> None:
            with alarm_at(2.0, watch):
                try:
                    await asyncio.sleep(5.0)
                except asyncio.CancelledError:
                    raise KeyError("broken") from None

        with pytest.raises(KeyError):
            await fail()
        assert task.cancelling() == 0
        await asyncio.sleep(1.0)
        assert loop.time() == 3.0

    assert outcome_of(main) == 3.0


def test_an_alarm_may_serve_again_after_it_was_survived() -> None:
    """A bound is over for the next who enters, whoever answered all the same, and whoever was told to leave."""

    async def main(_: VirtualLoop) -> None:
        alarm = alarm_at(10.0, AlarmWatch())
        with alarm.within(0.5), suppress(asyncio.CancelledError):
            await asyncio.sleep(5.0)
        assert await wait_under(alarm.within(2.0), 0.5) == "in time"
        assert not alarm.is_final
        assert await wait_under(alarm.within(None), 1.0) == "in time"
        task = asyncio.ensure_future(wait_under(alarm, 1.0))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await wait_under(alarm, 1.0) == "in time"

    assert outcome_of(main) == 3.5
