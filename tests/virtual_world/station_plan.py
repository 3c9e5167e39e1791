"""Worlds in which fallbacks, breaker, hedging and retry budget are all at work."""

import random
from enum import StrEnum
from typing import Any, Final

from attrs import evolve

from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService
from tests.virtual_world.plan import FAULTS, SERVICES, Behaviour, Caller, WorldPlan, caller_from

MODELS: Final = ("model-small", "model-large")
NO_SUCH_KEY: Final = "nobody-has-this"
_KEY_IDS: Final = (None, None, None, "other", NO_SUCH_KEY)
_TROUBLES: Final = ("failing", "failing", "rate limited", "not reached", "hang", "cut", "empty", "refusing")


class Weather(StrEnum):
    """What kind of world it is."""

    MIXED = "mixed"
    STORM = "many ask somebody who hardly ever answers"
    TURNING = "many ask somebody who answers soon at first, and often late afterwards"


def plan_with_stations(seed: int) -> WorldPlan:
    """The world of this seed: callers who share models and name others to ask instead, and who fails how often."""
    chance = random.Random(f"stations/{seed}")
    weather = chance.choice(list(Weather))
    services = chance.sample(SERVICES, chance.randint(2, 4))
    # The breaker is looked at in detail where an attempt's record is also the moment at which it counts.
    is_unary, ledger_delay_s = chance.random() < 0.5, chance.choice((None, None, 0.0))
    firsts = services if weather is Weather.MIXED else services[:1]
    is_burst = weather is Weather.MIXED and chance.random() < 0.3
    count = chance.randint(10, 25) if weather is Weather.MIXED else chance.randint(30, 50)
    callers = [_caller(number, firsts, services, chance, is_burst=is_burst) for number in range(count)]
    if weather is not Weather.MIXED:
        callers = [_of_a_crowd(each, chance, is_stream=not is_unary, weather=weather) for each in callers]
    elif is_unary:
        callers = [evolve(each, is_stream=False) for each in callers]
    return WorldPlan(
        seed=seed,
        callers=tuple(callers),
        rates={kind: chance.choice((0.02, 0.1)) for kind in chance.sample(sorted(FAULTS), chance.randint(0, 3))},
        sick=_sick(services, chance, weather),
        stations=_stations(chance, weather),
        slow_from=25 if weather is Weather.TURNING else None,
        retries_unknown_outcome=chance.random() < 0.3,
        max_creation_s=chance.choice((0.0, 0.0, 0.5)),
        max_latency_s=0.5 if weather is Weather.STORM else 0.05,
        max_linger_s=chance.choice((0.0, 0.0, 0.1)),
        ledger_delay_s=ledger_delay_s,
        closes_at_s=chance.random() * 20 if chance.random() < 0.05 else None,
    )


def _stations(chance: random.Random, weather: Weather) -> dict[str, Any]:
    is_turning = weather is Weather.TURNING
    return {
        "breaker_failures": chance.choice((0, 0, 3, 10) if is_turning else (0, 1, 2, 3, 10)),
        "breaker_cool_down_s": chance.choice((0.2, 1.0, 5.0)),
        "retry_share": chance.choice((None, 0.0, 0.2, 0.2, 1.0)),
        "hedge_share": chance.choice((0.05, 0.2, 0.5)) if is_turning else 0.0,
    }


def _sick(services: list[LLMService], chance: random.Random, weather: Weather) -> dict[str, dict[str, float]]:
    """Some of the services hardly ever answer, each in its own way."""
    sick = chance.sample(services[1:], chance.randint(0, len(services) - 1))
    if weather is Weather.STORM:
        sick.append(services[0])
    return {each.value: {chance.choice(_TROUBLES): chance.choice((0.6, 0.9, 1.0))} for each in sick}


def _of_a_crowd(caller: Caller, chance: random.Random, *, is_stream: bool, weather: Weather) -> Caller:
    """The same caller, as one of many who ask for the same, one after the other, most of them with patience."""
    return evolve(
        caller,
        shared_model=MODELS[0],
        has_other_key=False,
        starts_at_s=round(chance.random() * 8 if weather is Weather.STORM else caller.number + chance.random(), 3),
        timeout_s=chance.choice((caller.timeout_s, 5.0, 30.0)),
        is_stream=is_stream,
        behaviour=chance.choice((caller.behaviour, Behaviour.PATIENT)),
        fallbacks=tuple(each for each in caller.fallbacks if each.model != MODELS[0] or each.api_key_id),
    )


def _caller(
    number: int, firsts: list[LLMService], services: list[LLMService], chance: random.Random, *, is_burst: bool
) -> Caller:
    caller = caller_from(number, firsts, chance, is_burst)
    first_model = chance.choice(MODELS)
    taken = {(caller.service, first_model, "other" if caller.has_other_key else None)}
    fallbacks: list[ModelTarget] = []
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        service, model, key_id = chance.choice(services), chance.choice(MODELS), chance.choice(_KEY_IDS)
        if (service, model, key_id) not in taken:
            taken.add((service, model, key_id))
            fallbacks.append(ModelTarget(service=service, model=model, api_key_id=key_id))
    return evolve(caller, shared_model=first_model, fallbacks=tuple(fallbacks))
