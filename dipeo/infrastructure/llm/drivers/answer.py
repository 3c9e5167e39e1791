"""What every dialect decodes a reply into."""

from collections.abc import Sequence
from itertools import count
from typing import Final, Protocol

from attrs import define, evolve

from dipeo.domain.completion import Adaptation, FinishReason
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.parts import Part, ToolCallPart
from dipeo.domain.stream import CompletionEvent
from dipeo.domain.unchecked import unchecked
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.infrastructure.llm.drivers.wire import WireRequest

MOST_TOKENS: Final = 1_000_000_000
"""More than any answer uses: a larger count is a mistake."""


EncodedRequest = tuple[WireRequest, tuple[Adaptation, ...]]
"""A request in a provider's words, and what had to be adapted to get there."""


@define
class Answer:
    """A provider's answer, before it is known which call it belongs to."""

    parts: tuple[Part, ...]
    finish_reason: FinishReason
    raw_finish_reason: str
    model: str
    usage: Usage = UNREPORTED_USAGE
    response_id: str | None = None


new_answer = unchecked(Answer)


class StreamDecoder(Protocol):
    """Turns a provider's events into ours, and remembers the whole."""

    is_done: bool
    """The provider's own end was seen: nothing after it is read."""

    def feed(self, event: JsonObject) -> Sequence[CompletionEvent]:
        """What this event adds. Raises `MalformedResponseError` for one that has the wrong shape."""
        ...

    def end(self) -> None:
        """Takes the provider's end marker that is no JSON object."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the stream may end here: all that the provider promises to send has come."""
        ...

    def answer(self) -> Answer:
        """The whole answer."""
        ...


def with_own_ids(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """The parts with an id of its own for each tool call: a result could not be told from another's otherwise."""
    given = [part.call_id for part in parts if isinstance(part, ToolCallPart)]
    taken = set(given)
    if len(taken) == len(given):
        return parts
    seen: set[str] = set()
    own: list[Part] = []
    for part in parts:
        if isinstance(part, ToolCallPart):
            if part.call_id in seen:
                number = next(number for number in count() if f"call_{number}" not in taken)
                part = evolve(part, call_id=f"call_{number}")  # noqa: PLW2901  # read as what it is called now
                taken.add(part.call_id)
            seen.add(part.call_id)
        own.append(part)
    return tuple(own)


def objects_in(value: JsonValue) -> list[JsonObject]:
    """The objects of a JSON list; anything else counts as none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_in(value: JsonValue) -> JsonObject:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text_in(value: JsonValue) -> str:
    """The value if it is text, else no text."""
    return value if isinstance(value, str) else ""


def counts_in(value: JsonValue) -> dict[str, int]:
    """The plausible token counts in a JSON object, by name; whatever else is in it is left out."""
    if not isinstance(value, dict):
        return {}
    return {name: count for name, count in value.items() if type(count) is int and count >= 0}


def count_in(value: JsonValue) -> int:
    """The value if it is a plausible token count, else 0."""
    return value if type(value) is int and value >= 0 else 0
