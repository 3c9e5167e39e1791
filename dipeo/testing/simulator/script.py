"""What a test or a demo tells the simulator to answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Literal, Self, TypeAlias

import attrs
from attrs import validators

from dipeo.testing.simulator.faults.entry import FaultCase
from dipeo.testing.simulator.json_value import JsonObject
from dipeo.testing.simulator.reply_parts import SimulatedCitation, SimulatedProviderTool, SimulatedToolCall

Finish: TypeAlias = Literal["stop", "length", "content_filter"]
FaultKind: TypeAlias = Literal["status", "cut", "clean_end", "hang", "garbage", "error_event"]


_count = validators.ge(0)


def _delay(_instance: object, attribute: attrs.Attribute[float], value: float) -> None:
    # The second half refuses NaN and the infinities as well.
    if not 0 <= value < float("inf"):
        raise ValueError(f"{attribute.name} must be finite and not negative, got {value!r}")


def _freeze_calls(calls: Iterable[SimulatedToolCall]) -> tuple[SimulatedToolCall, ...]:
    return tuple(calls)


def _freeze_pages(pages: Iterable[SimulatedCitation]) -> tuple[SimulatedCitation, ...]:
    return tuple(pages)


def _freeze_runs(runs: Iterable[SimulatedProviderTool]) -> tuple[SimulatedProviderTool, ...]:
    return tuple(runs)


def _lower_keys(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


@attrs.frozen(slots=True)
class Reply:
    """One good answer.

    `delay_s` passes before the status line, `chunk_delay_s` between two pieces of a stream. `chunks` is the number of
    pieces the text is streamed in (default: one per word). `input_tokens` counts the whole prompt, cached tokens
    included; `output_tokens` everything generated, reasoning tokens included; both default to an estimate. A call's own
    token limit and stop sequences shorten the text, as they would at the vendor's.

    `tool_calls` follow the text; `reasoning` and what the vendor's own tools did come before it. Each dialect words
    them in its way, shows reasoning where the vendor would and signs it. `cache_write_tokens` are a part of
    `input_tokens`. A `refusal` stands in the field the vendor has for it. Raises ValueError for bad values.
    """

    text: str = attrs.field(default="", validator=validators.instance_of(str))
    finish: Finish = attrs.field(
        default="stop", kw_only=True, validator=validators.in_(("stop", "length", "content_filter"))
    )
    delay_s: float = attrs.field(default=0.0, kw_only=True, validator=_delay)
    chunk_delay_s: float = attrs.field(default=0.0, kw_only=True, validator=_delay)
    chunks: int | None = attrs.field(default=None, kw_only=True, validator=validators.optional(validators.ge(1)))
    input_tokens: int | None = attrs.field(default=None, kw_only=True, validator=validators.optional(_count))
    output_tokens: int | None = attrs.field(default=None, kw_only=True, validator=validators.optional(_count))
    cached_tokens: int = attrs.field(default=0, kw_only=True, validator=_count)
    reasoning_tokens: int = attrs.field(default=0, kw_only=True, validator=_count)
    headers: Mapping[str, str] = attrs.field(factory=dict, kw_only=True, converter=_lower_keys)
    model: str | None = attrs.field(default=None, kw_only=True)
    tool_calls: tuple[SimulatedToolCall, ...] = attrs.field(default=(), kw_only=True, converter=_freeze_calls)
    reasoning: str = attrs.field(default="", kw_only=True, validator=validators.instance_of(str))
    citations: tuple[SimulatedCitation, ...] = attrs.field(default=(), kw_only=True, converter=_freeze_pages)
    provider_tools: tuple[SimulatedProviderTool, ...] = attrs.field(default=(), kw_only=True, converter=_freeze_runs)
    refusal: str = attrs.field(default="", kw_only=True, validator=validators.instance_of(str))
    cache_write_tokens: int = attrs.field(default=0, kw_only=True, validator=_count)

    def __attrs_post_init__(self) -> None:
        if self.input_tokens is not None and self.cached_tokens + self.cache_write_tokens > self.input_tokens:
            raise ValueError("cached_tokens and cache_write_tokens are parts of input_tokens and cannot be more")
        if self.output_tokens is not None and self.reasoning_tokens > self.output_tokens:
            raise ValueError("reasoning_tokens is a part of output_tokens and cannot be more")


@attrs.frozen(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong.

    `Fault(status=429)` answers with the vendor's own error envelope; `code` and `message` replace its words, `body` the
    whole of it, `headers` are added. The other constructors describe calls that begin well. `after_chunks` counts
    pieces of text; the text is a seeded answer, or that of `reply`. Raises ValueError for bad values.
    """

    status: int = attrs.field(default=500, validator=[validators.ge(200), validators.le(599)])
    body: str | bytes | JsonObject | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict, converter=_lower_keys)
    code: str | None = None
    message: str | None = None
    delay_s: float = attrs.field(default=0.0, validator=_delay)
    content_type: str | None = None
    kind: FaultKind = "status"
    after_chunks: int | None = attrs.field(default=None, validator=validators.optional(_count))
    is_reset: bool = False
    reply: Reply | None = None

    @classmethod
    def cut(cls, *, after_chunks: int = 0, reset: bool = False, reply: Reply | None = None) -> Self:
        """The connection is closed (or reset) in the middle of the answer; a unary body stays incomplete."""
        return cls(status=200, kind="cut", after_chunks=after_chunks, is_reset=reset, reply=reply)

    @classmethod
    def clean_end(cls, *, after_chunks: int = 0, reply: Reply | None = None) -> Self:
        """The stream ends in good order but without its terminal marker; a unary body is half a document."""
        return cls(status=200, kind="clean_end", after_chunks=after_chunks, reply=reply)

    @classmethod
    def hang(cls, *, after_chunks: int | None = None, reply: Reply | None = None) -> Self:
        """Nothing comes, or nothing more, until the client goes or the simulator closes."""
        return cls(status=200, kind="hang", after_chunks=after_chunks, reply=reply)

    @classmethod
    def garbage(cls, body: bytes, *, status: int = 200, content_type: str = "application/json") -> Self:
        """These bytes, whatever they are."""
        return cls(status=status, body=body, kind="garbage", content_type=content_type)

    @classmethod
    def error_event(
        cls,
        *,
        after_chunks: int = 0,
        status: int = 503,
        code: str | None = None,
        message: str | None = None,
        reply: Reply | None = None,
    ) -> Self:
        """The vendor's error event inside a stream; a unary call gets the error envelope under status 200."""
        return cls(
            status=status, kind="error_event", after_chunks=after_chunks, code=code, message=message, reply=reply
        )


ScriptedAnswer: TypeAlias = Reply | Fault | FaultCase


class AnswerScript:
    """Queues of scripted answers, first in first out for each service; safe to use from any thread."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, deque[ScriptedAnswer]] = {service: deque() for service in services}

    def add(self, service: str, *answers: ScriptedAnswer) -> None:
        """Append answers; raises ValueError for an unknown service and TypeError for anything but answers."""
        if service not in self._queues:
            raise ValueError(f"unknown service {service!r}; the simulator speaks {', '.join(self._queues)}")
        for answer in answers:
            if not isinstance(answer, (Reply, Fault, FaultCase)):
                raise TypeError(f"expected a Reply or a Fault, got {type(answer).__name__}")
        with self._lock:
            self._queues[service].extend(answers)

    def take(self, service: str) -> ScriptedAnswer | None:
        """The next answer of this service, if there is one."""
        with self._lock:
            queue = self._queues[service]
            return queue.popleft() if queue else None

    @property
    def unused(self) -> tuple[ScriptedAnswer, ...]:
        """What nobody asked for yet."""
        with self._lock:
            return tuple(answer for queue in self._queues.values() for answer in queue)
