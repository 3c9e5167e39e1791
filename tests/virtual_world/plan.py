"""From a seed to what will happen: who asks whom and when, and what each request meets."""

import random
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, field, frozen

from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService
from dipeo.testing import Fault, Reply
from tests.virtual_world.in_process_wire import Asked, Choose, Refused

SERVICES: Final = (
    LLMService.OPENAI,
    LLMService.ANTHROPIC,
    LLMService.GOOGLE,
    LLMService.OLLAMA,
    LLMService.GROQ,
    LLMService.OPENROUTER,
)


class Behaviour(StrEnum):
    """What a caller does besides asking."""

    PATIENT = "patient"
    CANCELLED = "cancelled"
    LEAVES_EARLY = "leaves early"
    SLOW_READER = "slow reader"


@frozen(kw_only=True)
class Caller:
    """One use of the service.

    `model` is its own, so that everything about it can be found by that name, unless it shares one; `mark` is always
    its own. The `fallbacks` are given as the call's, or as the person's.
    """

    number: int
    service: LLMService
    starts_at_s: float = 0.0
    timeout_s: float = 60.0
    max_attempts: int = 3
    is_stream: bool = False
    is_person: bool = False
    has_other_key: bool = False
    behaviour: Behaviour = Behaviour.PATIENT
    cancel_after_s: float = 0.0
    leaves_after: int = 0
    pause_s: float = 0.0
    shared_model: str | None = None
    fallbacks: tuple[ModelTarget, ...] = ()

    @property
    def mark(self) -> str:
        """What all requests of this caller, and nobody else's, are marked with."""
        return f"model-{self.number}"

    @property
    def model(self) -> str:
        """The model that this caller asks first."""
        return self.shared_model or self.mark

    @property
    def name(self) -> str:
        """The name of the caller's task."""
        return f"caller-{self.number}"


@frozen(kw_only=True)
class WorldPlan:
    """A whole world. `rates` says how often each fault strikes, those left out never; a `script` decides instead.

    `stations` are settings of retry budget, breaker and hedging. `sick` says how often the faults strike at some
    services, instead of `rates`. Where `slow_from` is a caller's number, those before are answered soon, and of those
    from there on every other very late.
    """

    seed: int
    callers: tuple[Caller, ...]
    rates: Mapping[str, float] = field(factory=dict)
    script: Choose | None = None
    retries_unknown_outcome: bool = False
    max_creation_s: float = 0.0
    max_latency_s: float = 0.05
    max_linger_s: float = 0.0
    ledger_delay_s: float | None = None
    closes_at_s: float | None = None
    stations: Mapping[str, Any] = field(factory=dict)
    sick: Mapping[str, Mapping[str, float]] = field(factory=dict)
    slow_from: int | None = None

    @classmethod
    def from_seed(cls, seed: int) -> "WorldPlan":
        """The world of this seed: a random choice of services, callers and faults."""
        chance = random.Random(f"world/{seed}")
        services = chance.sample(SERVICES, chance.randint(1, 4))
        kinds = chance.sample(sorted(FAULTS), chance.randint(0, len(FAULTS)))
        is_burst = chance.random() < 0.5
        return cls(
            seed=seed,
            callers=tuple(caller_from(number, services, chance, is_burst) for number in range(chance.randint(5, 30))),
            rates={kind: chance.choice((0.05, 0.1, 0.3)) for kind in kinds},
            retries_unknown_outcome=chance.random() < 0.5,
            max_creation_s=chance.choice((0.0, 0.0, 0.5)),
            max_linger_s=chance.choice((0.0, 0.0, 0.1)),
            ledger_delay_s=chance.choice((None, 0.0)),
            closes_at_s=chance.choice((0.0, chance.random() * 2)) if chance.random() < 0.2 else None,
        )

    def answer(self, asked: Asked) -> Reply | Fault | Refused | None:
        """What this request meets: the same for the same seed, caller and number, whatever else goes on."""
        if self.script is not None:
            return self.script(asked)
        chance = random.Random(f"answer/{self.seed}/{asked.mark}/{asked.number}")
        reply = reply_to(asked, chance)
        if self.slow_from is not None:
            is_late = int(asked.mark.rpartition("-")[2]) >= self.slow_from and chance.random() < 0.5
            reply = evolve(reply, delay_s=chance.uniform(0.5, 20.0) if is_late else chance.uniform(0.0, 0.2))
        for kind, rate in self.sick.get(asked.service, self.rates).items():
            if chance.random() < rate:
                return FAULTS[kind](chance, reply)
        return reply


def text_of(asked: Asked) -> str:
    """The text that answers this request and no other."""
    words = random.Random(f"{asked.mark}/{asked.number}").randint(0, 12)
    return " ".join((f"{asked.mark}.{asked.number}:", *(f"w{index}\u00e9" for index in range(words))))


def reply_to(asked: Asked, chance: random.Random) -> Reply:
    """The good answer to this request, sooner or later, in few or many pieces."""
    return Reply(
        text_of(asked),
        delay_s=chance.choice((0.0, 0.1, chance.random() * 3)),
        chunk_delay_s=chance.choice((0.0, 0.0, 0.05, 0.4)),
    )


def caller_from(number: int, services: list[LLMService], chance: random.Random, is_burst: bool) -> Caller:
    """Anybody, with anything in mind."""
    return Caller(
        number=number,
        service=chance.choice(services),
        starts_at_s=0.0 if is_burst else round(chance.random() * 4, 3),
        timeout_s=chance.choice((0.05, 0.5, 2.0, 10.0, 60.0)) * (1 + chance.random()),
        max_attempts=chance.randint(1, 4),
        is_stream=chance.random() < 0.5,
        is_person=chance.random() < 0.3,
        has_other_key=chance.random() < 0.1,
        behaviour=chance.choice((Behaviour.PATIENT, *Behaviour)),
        cancel_after_s=chance.choice((0.0, chance.random() * 0.1, chance.random() * 3)),
        leaves_after=chance.randint(0, 4),
        pause_s=chance.choice((0.0, 0.1, 1.0)),
    )


def _status(status: int, **headers: str) -> Fault:
    return Fault(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})


def _some(chance: random.Random) -> int:
    return chance.randint(0, 3)


FAULTS: Final[Mapping[str, Callable[[random.Random, Reply], Reply | Fault | Refused]]] = {
    "rate limited": lambda chance, _: _status(429, **chance.choice(_ADVICE)),
    "failing": lambda chance, _: _status(chance.choice((500, 502, 503, 529))),
    "refusing": lambda chance, _: _status(chance.choice((400, 401, 403, 404))),
    "cut": lambda chance, reply: Fault.cut(after_chunks=_some(chance), reset=chance.random() < 0.5, reply=reply),
    "clean end": lambda chance, reply: Fault.clean_end(after_chunks=_some(chance), reply=reply),
    "hang": lambda chance, reply: Fault.hang(after_chunks=chance.choice((None, 0, 1, 3)), reply=reply),
    "error event": lambda chance, reply: Fault.error_event(after_chunks=_some(chance), reply=reply),
    "garbage": lambda chance, _: Fault.garbage(chance.choice((b"", b"<html>", b"null", b"\xff\xfe", b'{"a": 1'))),
    "empty": lambda _chance, _reply: Reply(""),
    "not reached": lambda chance, _: Refused(delay_s=chance.choice((0.0, 0.3))),
}

_ADVICE: Final[tuple[dict[str, str], ...]] = (
    {},
    {"retry_after": "0"},
    {"retry_after": "1.5"},
    {"retry_after_ms": "250"},
    {"retry_after": "30"},
    {"retry_after": "4294967296"},
)
