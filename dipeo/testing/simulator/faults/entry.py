"""What an entry of the catalogue of faults holds: what happens on the wire, and what dipeo has to make of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs

from dipeo.domain.attempt import Billed
from dipeo.domain.completion import FinishReason
from dipeo.domain.errors import DipeoError, EmptyResponseError, IncompleteStreamError
from dipeo.domain.verdict import Verdict
from dipeo.testing.simulator.steps import Chunk, Step, Steps

MAX_ATTEMPTS = 3
"""The allowance of the calls whose requests the entries count."""

CREDENTIAL = b"{credential}"
"""Stands in a body for the key that the request came with."""


class Dialect(StrEnum):
    """The ways of speaking that a fault is worded in; services compatible with OpenAI speak its chat."""

    CHAT = "chat"
    RESPONSES = "responses"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"
    OLLAMA = "ollama"


EVERYBODY = tuple(Dialect)


class Mode(StrEnum):
    """How an answer is asked for."""

    UNARY = "unary"
    STREAM = "stream"


class WireName(StrEnum):
    """What dipeo reaches a service through."""

    HTTP = "http"
    SDK = "sdk"
    LEGACY_SDK = "legacy_sdk"

    @property
    def dialects(self) -> tuple[Dialect, ...]:
        """What can be spoken over it."""
        return (Dialect.GOOGLE,) if self is WireName.LEGACY_SDK else EVERYBODY


class Place(StrEnum):
    """Where the fault lies: in an answer, or in there being nobody to answer."""

    ANSWER = "answer"
    CLOSED_PORT = "closed port"
    NO_TLS = "no TLS"


@attrs.frozen(kw_only=True)
class Outcome:
    """What a call with three attempts comes to where every attempt meets the fault.

    `error` None means a completion. `requests` are those on the wire, `attempts` those that are recorded, the same
    unless nothing could be sent. Before each further attempt dipeo waits `advised_s`, or by its own backoff where that
    is None. `billed` is said of each attempt. `text` is what the completion or the error's partial text begins with;
    `calls` are the tool calls of a completion, `broken_calls` those of them whose arguments cannot be read.
    """

    error: type[DipeoError] | None = None
    requests: int = 1
    attempts: int = attrs.field(default=attrs.Factory(lambda self: self.requests, takes_self=True))
    advised_s: float | None = None
    billed: Billed = Billed.NO
    finish: FinishReason | None = None
    text: str = ""
    calls: int = 0
    broken_calls: int = 0
    special_verdict: Verdict | None = None

    @property
    def verdict(self) -> Verdict | None:
        """What each attempt comes to; None for an answer."""
        return self.special_verdict or (self.error.default_verdict if self.error else None)


def refused(error: type[DipeoError]) -> Outcome:
    """One request, which the provider does not ask money for."""
    return Outcome(error=error)


def retried(error: type[DipeoError], *, advised_s: float | None = None) -> Outcome:
    """All attempts are made, and none of them is billed."""
    return Outcome(error=error, requests=MAX_ATTEMPTS, advised_s=advised_s)


def tried_again_once(error: type[DipeoError] = EmptyResponseError) -> Outcome:
    """A second attempt is made and no third; both were answered, and are billed."""
    return Outcome(error=error, requests=2, billed=Billed.YES)


def unknown(error: type[DipeoError]) -> Outcome:
    """One request, which the provider may have answered and billed."""
    return Outcome(error=error, billed=Billed.PERHAPS)


def broken_off(text: str) -> Outcome:
    """A stream that ended early, after this text."""
    return Outcome(error=IncompleteStreamError, billed=Billed.PERHAPS, text=text)


def answered(
    text: str = "", finish: FinishReason = FinishReason.STOP, *, calls: int = 0, broken_calls: int = 0
) -> Outcome:
    """A completion."""
    return Outcome(finish=finish, text=text, billed=Billed.YES, calls=calls, broken_calls=broken_calls)


@attrs.frozen(kw_only=True)
class Exceptional:
    """Calls that come to something else, and why; `outcome` None means that they cannot show the fault.

    An empty tuple stands for all dialects, modes or wires.
    """

    why: str
    outcome: Outcome | None = None
    dialects: tuple[Dialect, ...] = ()
    modes: tuple[Mode, ...] = ()
    wires: tuple[WireName, ...] = ()

    def concerns(self, dialect: Dialect, mode: Mode, wire: WireName) -> bool:
        """Whether a call is one of these."""
        chosen = ((self.dialects, dialect), (self.modes, mode), (self.wires, wire))
        return all(not names or name in names for names, name in chosen)


Wording = Mapping[Dialect, Steps]
"""The steps of an answer, for each dialect that the fault has."""


@attrs.frozen(kw_only=True)
class FaultCase:
    """One way in which a fault shows: `unary` and `stream` are what happens on the wire.

    `name` is the row's id, followed by a word where the row has several cases. `is_slow` says that only a time limit
    ends it; `is_heavy` that it moves tens of megabytes, which is why no seed deals it out.
    """

    name: str
    unary: Wording = attrs.field(factory=dict)
    stream: Wording = attrs.field(factory=dict)
    outcome: Outcome
    exceptions: tuple[Exceptional, ...] = ()
    place: Place = Place.ANSWER
    is_slow: bool = False
    is_heavy: bool = False

    @property
    def row(self) -> str:
        """The id of the row it belongs to."""
        return self.name.partition(".")[0]

    def wording(self, mode: Mode) -> Wording:
        """The steps for one way of asking."""
        return self.stream if mode is Mode.STREAM else self.unary

    def steps(self, dialect: Dialect, mode: Mode, *, credential: str | None = None) -> Steps | None:
        """What happens on the wire, with the request's own key where the body repeats it; None where nothing does."""
        steps = self.wording(mode).get(dialect)
        if steps is None or credential is None:
            return steps
        return tuple(_repeating(step, credential.encode("utf-8", "replace")) for step in steps)

    def expected(self, dialect: Dialect, mode: Mode, wire: WireName) -> Outcome | Exceptional:
        """What the call comes to, or why it cannot show the fault."""
        for exception in self.exceptions:
            if exception.concerns(dialect, mode, wire):
                return exception.outcome or exception
        return self.outcome

    def reason(self, dialect: Dialect, mode: Mode, wire: WireName) -> str:
        """Why the call comes to something else than others; empty where it does not."""
        found = (each.why for each in self.exceptions if each.concerns(dialect, mode, wire))
        return next(found, "")


@attrs.frozen(kw_only=True)
class FaultRow:
    """A row of the catalogue: its id, what happens in a few words, and its cases.

    `absent` says, for each mode or dialect that has no case, why.
    """

    id: str
    title: str
    cases: tuple[FaultCase, ...]
    absent: Mapping[Mode | Dialect, str] = attrs.field(factory=dict)
    note: str = ""


def only(*dialects: Dialect, why: str) -> Mapping[Mode | Dialect, str]:
    """The same reason for all dialects but these."""
    return {dialect: why for dialect in EVERYBODY if dialect not in dialects}


def _repeating(step: Step, credential: bytes) -> Step:
    if isinstance(step, Chunk) and CREDENTIAL in step.data:
        return Chunk(step.data.replace(CREDENTIAL, credential))
    return step
