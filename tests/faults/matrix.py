"""Every case of the catalogue, through the whole stack and over real sockets: what was expected, what came of it."""

import asyncio
import io
import json
import logging
import pickle
import socket
import traceback
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec

from attrs import frozen

import dipeo
from dipeo import Completion, LLMService, LLMServicePort, Settings
from dipeo.container.wires import ChosenWires
from dipeo.domain.attempt import Attempt
from dipeo.domain.errors import DipeoError
from dipeo.domain.ports.clock import ClockPort
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.testing import FakeLedger, ProviderSimulator
from dipeo.testing.simulator.faults.catalogue import every_case
from dipeo.testing.simulator.faults.entry import MAX_ATTEMPTS, Dialect, FaultCase, Mode, Outcome, Place, WireName

KEY = "sk-canary-4711-do-not-show"
ENVIRON = {f"{name}_API_KEY": KEY for name in ("OPENAI", "ANTHROPIC", "GEMINI", "OLLAMA")}
TIMEOUT_S = 300.0
SLOW_TIMEOUT_S = 0.12
FIRST_WAITS_S = (0.5, 1.0)
"""The bounds of dipeo's own waits."""

SERVICES: Mapping[Dialect, tuple[LLMService, str]] = {
    Dialect.CHAT: (LLMService.OPENAI, "gpt-4.1-mini"),
    Dialect.RESPONSES: (LLMService.OPENAI, "gpt-4.1-mini"),
    Dialect.ANTHROPIC: (LLMService.ANTHROPIC, "claude-sonnet-5-5"),
    Dialect.GOOGLE: (LLMService.GOOGLE, "gemini-3.5-flash"),
    Dialect.OLLAMA: (LLMService.OLLAMA, "llama3.2:3b"),
}
HELLO = [{"role": "user", "content": "Hello"}]

EVERY_WIRE = tuple((dialect, wire) for wire in WireName for dialect in wire.dialects)
"""The dialects, each over every wire that speaks it."""


def is_installed(wire: WireName) -> bool:
    """Whether the wire's client is here: Google's former one goes together with few others."""
    return wire is not WireName.LEGACY_SDK or _has_former_client()


def _has_former_client() -> bool:
    try:
        return find_spec("google.generativeai") is not None
    except ModuleNotFoundError:
        return False


@frozen(kw_only=True)
class Played:
    """A case that was played to one service, in one mode and over one wire; `differences` are those from its data."""

    case: FaultCase
    dialect: Dialect
    mode: Mode
    wire: WireName
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.case.name} {self.dialect} {self.mode} {self.wire}: {'; '.join(self.differences)}"


@frozen(kw_only=True)
class Call:
    """What a caller saw, the wire, the clock and the ledger."""

    completion: Completion | None
    problem: BaseException | None
    requests: int
    sleeps_s: Sequence[float]
    recorded: Sequence[Attempt]
    logged: str


async def play(dialect: Dialect, wire: WireName, cases: Sequence[FaultCase] | None = None) -> list[Played]:
    """Plays all cases of one dialect over one wire, each with adapters, circuits and a budget of its own."""
    played: list[Played] = []
    async with ProviderSimulator() as simulator, shared_wires(wire) as open_wire:
        for case in every_case() if cases is None else cases:
            for mode in Mode:
                expected = case.expected(dialect, mode, wire)
                if dialect not in case.wording(mode) or not isinstance(expected, Outcome):
                    continue
                call = await play_one(simulator, open_wire, case, dialect, mode)
                differences = tuple(differences_of(call, expected))
                played.append(Played(case=case, dialect=dialect, mode=mode, wire=wire, differences=differences))
    return played


async def play_one(
    simulator: ProviderSimulator,
    open_wire: "SharedWires",
    case: FaultCase,
    dialect: Dialect,
    mode: Mode,
    *,
    retries_unknown_outcome: bool = False,
) -> Call:
    """One call, every attempt of which meets the case."""
    service, model = SERVICES[dialect]
    simulator.deal_faults(case.name if case.place is Place.ANSWER else None)
    clock, ledger = SkippingClock(), FakeLedger()
    settings = Settings(
        base_urls={service: address_of(case.place, simulator, service)},
        environ=ENVIRON,
        apis={"openai": "responses" if dialect is Dialect.RESPONSES else "chat"},
        max_attempts=MAX_ATTEMPTS,
        retries_unknown_outcome=retries_unknown_outcome,
        timeout_s=SLOW_TIMEOUT_S * 4 if case.is_slow else TIMEOUT_S,
        first_token_timeout_s=SLOW_TIMEOUT_S if case.is_slow else None,
        idle_timeout_s=SLOW_TIMEOUT_S if case.is_slow else 60.0,
    )
    before = simulator.counters.requests
    completion: Completion | None = None
    problem: BaseException | None = None
    with everything_logged() as logged:
        async with dipeo.connect(settings, clock=clock, ledger=ledger, open_wire=open_wire) as llm:
            try:
                async with asyncio.timeout(20):
                    completion = await ask(llm, service, model, mode)
            except Exception as raised:  # noqa: BLE001  # whatever it is, it is compared
                problem = raised
    return Call(
        completion=completion,
        problem=problem,
        requests=simulator.counters.requests - before,
        sleeps_s=clock.sleeps_s,
        recorded=ledger.recorded,
        logged=logged.getvalue(),
    )


@contextmanager
def everything_logged() -> Iterator[io.StringIO]:
    """All that anybody logs, at any level."""
    written = io.StringIO()
    root, handler = logging.getLogger(), logging.StreamHandler(written)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


async def ask(llm: LLMServicePort, service: LLMService, model: str, mode: Mode) -> Completion:
    """The answer, whole or streamed."""
    if mode is Mode.STREAM:
        return await llm.stream(HELLO, model, service=service).collect()
    return await llm.complete(HELLO, model, service=service)


def address_of(place: Place, simulator: ProviderSimulator, service: LLMService) -> str:
    """Where the service is asked."""
    base_url = simulator.base_urls[service.value]
    if place is Place.CLOSED_PORT:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            return f"http://127.0.0.1:{taken.getsockname()[1]}"
    return base_url.replace("http://", "https://") if place is Place.NO_TLS else base_url


def differences_of(call: Call, expected: Outcome) -> Iterator[str]:
    """What is not as the data say."""
    problem = call.problem
    if problem is not None and not isinstance(problem, DipeoError):
        yield f"foreign exception {problem!r}"
        return
    if type(problem) is not (expected.error or type(None)):
        yield f"{problem!r} instead of {expected.error.__name__ if expected.error else 'an answer'}"
    if call.completion is not None and expected.finish not in (None, call.completion.finish_reason):
        yield f"finished with {call.completion.finish_reason} instead of {expected.finish}"
    if call.completion is not None:
        yield from _of_calls(call.completion, expected)
    told = call.completion.text if call.completion else getattr(problem, "partial_text", "")
    if not told.startswith(expected.text):
        yield f"text {told[:40]!r} instead of {expected.text!r}"
    if problem is not None:
        yield from _of_words(problem)
    if any(KEY in text for text in (repr(call.completion), repr(call.recorded), call.logged)):
        yield "the key is shown in the answer, the ledger or a log"
    if call.requests != expected.requests:
        yield f"{call.requests} requests instead of {expected.requests}"
    yield from _of_waits(call, expected)
    yield from _of_records(call, expected)


def _of_words(problem: DipeoError) -> Iterator[str]:
    """However an error is written down, the key is not in it, and it stays what it is."""
    copy = pickle.loads(pickle.dumps(problem))
    written = (
        str(problem),
        repr(problem),
        "".join(traceback.format_exception(problem)),
        json.dumps(problem.to_dict()),
        repr(vars(copy)),
    )
    if any(KEY in text for text in written):
        yield "the key is shown"
    if copy.to_dict() != problem.to_dict():
        yield "does not survive pickling"
    if any("<html" in text.lower() for text in written[:2]):
        yield "a web page is shown"


def _of_calls(completion: Completion, expected: Outcome) -> Iterator[str]:
    calls = completion.tool_calls
    broken = sum(each.broken_arguments is not None for each in calls)
    if (len(calls), broken) != (expected.calls, expected.broken_calls):
        yield f"{len(calls)} calls, {broken} broken, instead of {expected.calls}, {expected.broken_calls}"
    if len({each.call_id for each in calls}) < len(calls):
        yield "calls share an id"


def _of_waits(call: Call, expected: Outcome) -> Iterator[str]:
    waits = max(expected.attempts - 1, 0)
    if len(call.sleeps_s) != waits:
        yield f"{len(call.sleeps_s)} waits instead of {waits}"
    for waited_s, bound_s in zip(call.sleeps_s, FIRST_WAITS_S, strict=False):
        if expected.advised_s is not None and waited_s != expected.advised_s:
            yield f"waited {waited_s} s instead of {expected.advised_s} s"
        if expected.advised_s is None and not 0 <= waited_s <= bound_s:
            yield f"waited {waited_s} s, more than {bound_s} s"


def _of_records(call: Call, expected: Outcome) -> Iterator[str]:
    if len(call.recorded) != expected.attempts:
        yield f"{len(call.recorded)} attempts recorded instead of {expected.attempts}"
    for attempt in call.recorded:
        recorded, wanted = (attempt.verdict, attempt.billed), (expected.verdict, expected.billed)
        if recorded != wanted:
            yield f"recorded as {recorded} instead of {wanted}"
    told = call.completion.attempts if call.completion else getattr(call.problem, "attempts", ())
    if [each.number for each in told] != [each.number for each in call.recorded]:
        yield "was told of other attempts than are recorded"


class SkippingClock(ClockPort):
    """The loop's own time, in which deadlines are, and on top of it every wait, which takes no time."""

    def __init__(self) -> None:
        self._skipped_s = 0.0
        self.sleeps_s: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped_s)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time() + self._skipped_s

    async def sleep(self, delay_s: float) -> None:
        self._skipped_s += delay_s
        self.sleeps_s.append(delay_s)
        await asyncio.sleep(0)


class SharedWires:
    """Opens one wire for each endpoint and keeps it: an official client takes longer to make than a call."""

    def __init__(self, wire: WireName) -> None:
        self._open = ChosenWires(dict.fromkeys(LLMService, wire.value))
        self.opened: dict[str, LentWire] = {}

    def __call__(self, endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
        known = self.opened.get(endpoint.base_url)
        if known is None:
            known = self.opened[endpoint.base_url] = LentWire(self._open(endpoint, credentials))
        return known


class LentWire(Wire):
    """A wire that its borrowers cannot close."""

    def __init__(self, inner: Wire) -> None:
        self.inner = inner

    async def send(self, exchange: WireRequest) -> WireReply:
        return await self.inner.send(exchange)

    async def stream(self, exchange: WireRequest) -> WireStream:
        return await self.inner.stream(exchange)

    async def aclose(self) -> None:
        """Nothing: it is not theirs."""


@asynccontextmanager
async def shared_wires(wire: WireName) -> AsyncIterator[SharedWires]:
    """Wires that are closed at the end."""
    wires = SharedWires(wire)
    try:
        yield wires
    finally:
        for each in wires.opened.values():
            await each.inner.aclose()
