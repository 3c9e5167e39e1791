"""What must hold where others are asked instead, or twice, or not at all."""

from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Final

from attrs import define, field, frozen

from dipeo.domain.attempt import Attempt
from dipeo.domain.errors import DipeoError
from dipeo.domain.fallback import FALLBACK_RULES, FallbackRule
from dipeo.domain.model import ModelTarget
from dipeo.domain.verdict import Verdict
from tests.virtual_world.breaker_model import FAULTS, PATIENCE_S
from tests.virtual_world.invariants import TOLERANCE_S, violations
from tests.virtual_world.world import Call, World

KEY_LATCH_S: Final = 60.0
REMEMBERED_S: Final = 60.0
WINDOW_S: Final = 10.0
FADED: Final = 0.5 ** (WINDOW_S / 60.0)
"""What is left of the budget's memory after a window: it forgets half in a minute."""

RETRY_FLOOR: Final = 3


@frozen
class Made:
    """One attempt as the ledger has it, and when it began and ended."""

    attempt: Attempt
    mark: str
    began_at_s: float
    ended_at_s: float

    @property
    def place(self) -> tuple[str, str | None]:
        """Who was asked with which key."""
        return self.attempt.service.value, self.attempt.key_fingerprint

    @property
    def is_fault(self) -> bool:
        """Whether it is held against the provider."""
        if self.attempt.verdict is Verdict.DEADLINE_EXCEEDED:
            return self.attempt.latency_ms >= PATIENCE_S * 1000
        return self.attempt.verdict in FAULTS and not 400 <= (self.attempt.status or 0) < 500

    @property
    def is_answer(self) -> bool:
        """Whether it shows that somebody is there."""
        return not self.is_fault and self.attempt.status is not None


def station_violations(world: World, *, failed_at: str = "") -> list[str]:
    """Everything that does not hold, in words, the usual promises among it."""
    by_mark = made_in(world)
    found = violations(world, failed_at=failed_at)
    for call in world.calls:
        found += [
            f"{call.caller.name}: {what}" for what in _of_candidates(world, call, by_mark.get(call.caller.mark, []))
        ]
    return [*found, *_of_breaker(world, _history(world)), *_of_budget(world, by_mark), *_of_hedges(world, by_mark)]


def made_in(world: World) -> dict[str, list[Made]]:
    """The attempts of every caller, by their mark and in the order of their numbers."""
    by_mark: defaultdict[str, list[Made]] = defaultdict(list)
    for each in sorted(_history(world), key=lambda one: one.attempt.number):
        by_mark[each.mark].append(each)
    return by_mark


def _history(world: World) -> list[Made]:
    written = {(mark, attempt.number): (at_s, attempt) for at_s, mark, attempt in world.stack.ledger.history}
    return [
        Made(attempt, mark, at_s - attempt.latency_ms / 1000, at_s) for (mark, _), (at_s, attempt) in written.items()
    ]


def hedges_in(attempts: list[Made]) -> list[Made]:
    """The attempts of one call that were begun beside another."""
    return [
        second
        for first, second in pairwise(attempts)
        if _target(first) == _target(second) and second.began_at_s < first.ended_at_s - TOLERANCE_S
    ]


def _target(made: Made) -> tuple[str, str, str | None]:
    attempt = made.attempt
    return attempt.service.value, attempt.model, attempt.key_fingerprint


def _candidates(world: World, call: Call) -> list[tuple[str, str, str | None]]:
    """Service, model and the key's fingerprint of everybody who may be asked, in order."""
    caller, keys = call.caller, world.stack.container.keys()
    first = ModelTarget(
        service=caller.service, model=caller.model, api_key_id="other" if caller.has_other_key else None
    )
    found = []
    for each in (first, *caller.fallbacks):
        key = keys.find(each.service, each.api_key_id)
        found.append((each.service.value, each.model, key.fingerprint if key else None))
    return found


def _of_candidates(world: World, call: Call, attempts: list[Made]) -> Iterator[str]:
    """They are asked in their order, for a reason, and one of them answers."""
    candidates = _candidates(world, call)
    strangers = [_target(each) for each in attempts if _target(each) not in candidates]
    if strangers:
        yield f"asked {strangers}, who are none of its candidates"
        return
    places = [candidates.index(_target(each)) for each in attempts]
    if places != sorted(places):
        yield f"asked its candidates in the order {places}"
    for (before, first), (after, second) in pairwise(zip(places, attempts, strict=True)):
        verdict = first.attempt.verdict
        rule = FALLBACK_RULES[verdict] if verdict else FallbackRule.NOBODY
        is_beside = first in hedges_in(attempts)
        if before != after and not is_beside and rule in {FallbackRule.NOBODY, FallbackRule.BIGGER_WINDOW}:
            yield f"went on to somebody else after {verdict}"
        if before != after and not is_beside and rule is FallbackRule.OTHER_KEY and first.place == second.place:
            yield "went on to somebody else with the key that had been refused"
    for exchange in world.stack.providers.exchanges_of(call.caller.mark):
        if call.completion is not None and call.completion.text.startswith(
            f"{call.caller.mark}.{exchange.asked.number}:"
        ):
            told = (call.completion.service.value, call.completion.model)
            if told != (exchange.asked.service, exchange.asked.model):
                yield f"was told that {told} had answered, and it was {exchange.asked}"
    if call.completion is not None and not any(each.verdict is None for each in call.completion.attempts):
        yield "has an answer, and no attempt that made it"


@define
class _Circuit:
    """What the breaker must think of one place."""

    failures: int
    cool_down_s: float
    shut_s: float = 0.0
    outcomes: deque[tuple[float, bool]] = field(factory=deque)
    opened_at_s: float | None = None
    until_s: float = 0.0
    probes: list[Made] = field(factory=list)

    def recent(self, now_s: float) -> int:
        return sum(is_fault and at_s > now_s - REMEMBERED_S for at_s, is_fault in self.outcomes)

    def note(self, made: Made) -> None:
        """While it is closed: what opens it."""
        if made.is_fault or made.is_answer:
            self.outcomes.append((made.ended_at_s, made.is_fault))
        if made.attempt.verdict is Verdict.AUTH_FAILED:
            self.open(made, KEY_LATCH_S)
        elif made.is_fault and self.recent(made.ended_at_s) >= self.failures:
            self.open(made, self.cool_down_s)
        elif made.is_answer and not self.recent(made.ended_at_s):
            self.outcomes.clear()

    def open(self, made: Made, shut_s: float) -> None:
        self.shut_s = max(shut_s, made.attempt.retry_after_s or 0.0)
        self.opened_at_s, self.until_s = made.ended_at_s, max(made.ended_at_s + self.shut_s, self.until_s)

    def close(self) -> None:
        self.outcomes.clear()
        self.probes.clear()
        self.opened_at_s, self.until_s = None, 0.0


def _of_breaker(world: World, made: list[Made]) -> Iterator[str]:
    """Nobody is asked who is to be left alone, and one alone probes."""
    failures = world.plan.stations.get("breaker_failures", 10)
    is_told_at_once = world.plan.ledger_delay_s is None and not any(each.is_stream for each in world.plan.callers)
    if not failures or not is_told_at_once:
        return
    cool_down_s = world.plan.stations.get("breaker_cool_down_s", 10.0)
    circuits: dict[tuple[str, str | None], _Circuit] = {}
    for each in made:
        circuit = circuits.setdefault(each.place, _Circuit(failures, cool_down_s, outcomes=deque(maxlen=2 * failures)))
        yield from _told_to(circuit, each)


def _told_to(circuit: _Circuit, made: Made) -> Iterator[str]:
    if circuit.opened_at_s is None:
        circuit.note(made)
        return
    if made.began_at_s <= circuit.opened_at_s + TOLERANCE_S:
        if made.attempt.verdict is Verdict.AUTH_FAILED:
            circuit.until_s = max(circuit.until_s, made.ended_at_s + KEY_LATCH_S)
        return
    if made.began_at_s < circuit.until_s - TOLERANCE_S:
        yield f"{made.mark} asked {made.place} at {made.began_at_s} s, which is shut until {circuit.until_s} s"
        return
    circuit.probes.append(made)
    for one, other in combinations(circuit.probes, 2):
        if min(one.ended_at_s, other.ended_at_s) > max(one.began_at_s, other.began_at_s) + TOLERANCE_S:
            yield f"{one.mark} and {other.mark} probed {made.place} at the same time"
    if made.is_fault or made.attempt.verdict is Verdict.AUTH_FAILED:
        circuit.open(made, circuit.shut_s * 2)
    elif made.is_answer:
        circuit.close()


def _of_budget(world: World, by_mark: dict[str, list[Made]]) -> Iterator[str]:
    """Of the calls to somebody a share is tried again in vain, or three; within any ten seconds."""
    share = world.plan.stations.get("retry_share", 0.2)
    if share is None:
        return
    calls: defaultdict[tuple[str, str | None], int] = defaultdict(int)
    in_vain: defaultdict[tuple[str, str | None], list[float]] = defaultdict(list)
    for call in world.calls:
        for service, _model, fingerprint in _candidates(world, call):
            calls[service, fingerprint] += 1
        attempts = by_mark.get(call.caller.mark, [])
        for first, second in pairwise(attempts):
            is_retry = _target(first) == _target(second) and second not in hedges_in(attempts)
            has_helped = call.completion is not None and _target(attempts[-1]) == _target(second)
            if is_retry and not has_helped and not first.attempt.retry_after_s:
                in_vain[second.place].append(second.began_at_s)
    for place, times_s in in_vain.items():
        allowed = max(RETRY_FLOOR, share * calls[place]) / FADED
        for until_s in times_s:
            count = sum(until_s - WINDOW_S < at_s <= until_s for at_s in times_s)
            if count > allowed:
                yield f"{count} retries of {calls[place]} calls to {place} came to nothing before {until_s} s"
                break


def _of_hedges(world: World, by_mark: dict[str, list[Made]]) -> Iterator[str]:
    """No more than their share of the calls is asked twice."""
    stations = world.plan.stations
    share = stations.get("hedge_share", 0.0)
    hedged: defaultdict[tuple[object, ...], int] = defaultdict(int)
    asked: defaultdict[tuple[object, ...], int] = defaultdict(int)
    for call in world.calls:
        attempts = by_mark.get(call.caller.mark, [])
        beside = hedges_in(attempts)
        for each in attempts:
            target = (*_target(each), call.caller.is_stream)
            hedged[target] += each in beside
            asked[target] += each not in beside
        # Who was refused, or left in the very moment in which they asked, counts as a call and has no attempt.
        is_counted_whole = not stations.get("breaker_failures", 10) and isinstance(call.problem, DipeoError | None)
        if not is_counted_whole or world.plan.closes_at_s is not None:
            for candidate in _candidates(world, call):
                asked[(*candidate, call.caller.is_stream)] += call.caller.max_attempts
    for pair, count in hedged.items():
        if count > share * asked[pair]:
            yield f"{count} of {asked[pair]} calls to {pair} were hedged, where {share:.0%} may be"
