"""How a person forgets: what of a conversation is sent when they speak."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias
from uuid import NAMESPACE_OID, uuid5

from attrs import evolve, frozen

from dipeo.domain.checks import check_number, check_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.message import Message
from dipeo.domain.parts import (
    AudioPart,
    CitationPart,
    DocumentPart,
    ImagePart,
    Part,
    ProviderToolPart,
    ToolCallPart,
    ToolResultPart,
)

TOOLS: Final = "tools"
"""Who answers a call that was never answered, in a history that was repaired."""

UNANSWERED: Final = "This call was never answered."

MEDIA_TOKENS: Final = 1_600
"""What a picture, a document or a sound counts for: as much as a large picture; only its provider knows better."""

_FRAME_TOKENS: Final = 4
_MAX_COUNT: Final = 2**31 - 1
_MAX_SHOWN_CHARS: Final = 60
_LAST: Final = re.compile(r"(summary and )?last ([0-9]{1,10}) (message|token)s?")

CountTokens: TypeAlias = Callable[[str], int]


@frozen
class RememberEverything:
    """All that the person may see."""

    def __str__(self) -> str:
        return "everything"


@frozen
class LastMessages:
    """The newest `count` messages."""

    count: int

    def __attrs_post_init__(self) -> None:
        check_number("count", self.count, minimum=1, maximum=_MAX_COUNT, is_whole=True)

    def __str__(self) -> str:
        return f"last {self.count} messages"


@frozen
class LastTokens:
    """As many of the newest messages as `max_tokens` have room for; instructions are not counted."""

    max_tokens: int

    def __attrs_post_init__(self) -> None:
        check_number("max_tokens", self.max_tokens, minimum=1, maximum=_MAX_COUNT, is_whole=True)

    def __str__(self) -> str:
        return f"last {self.max_tokens} tokens"


@frozen
class Summary:
    """The newest messages, up to `max_tokens`, and in front of them a summary of all that came before.

    When they grow beyond that, the older half of what there is room for is summed up too, so that not every turn is
    paid for twice.
    """

    max_tokens: int

    def __attrs_post_init__(self) -> None:
        check_number("max_tokens", self.max_tokens, minimum=1, maximum=_MAX_COUNT, is_whole=True)

    def __str__(self) -> str:
        return f"summary and last {self.max_tokens} tokens"


@frozen
class Goldfish:
    """Nothing but the newest message."""

    def __str__(self) -> str:
        return "goldfish"


MemoryPolicy: TypeAlias = RememberEverything | LastMessages | LastTokens | Summary | Goldfish

_POLICY_TYPES: Final = (RememberEverything, LastMessages, LastTokens, Summary, Goldfish)
_BY_WORD: Final[Mapping[str, MemoryPolicy]] = {str(policy): policy for policy in (RememberEverything(), Goldfish())}


def parse_memory(text: str) -> MemoryPolicy:
    """The policy that `str()` of it says: `everything`, `goldfish`, `last 20 messages`, `last 4000 tokens`,
    `summary and last 4000 tokens`.

    Raises `ValidationError` for anything else.
    """
    words = " ".join(check_text("memory", text).lower().split())
    match = _LAST.fullmatch(words)
    if match is not None and not (match[1] and match[3] == "message"):
        count = int(match[2])
        check_number("memory", count, minimum=1, maximum=_MAX_COUNT, is_whole=True)
        if match[1]:
            return Summary(count)
        return LastMessages(count) if match[3] == "message" else LastTokens(count)
    if words in _BY_WORD:
        return _BY_WORD[words]
    raise ValidationError(
        f"'memory' cannot be {text[:_MAX_SHOWN_CHARS]!r}.",
        field="memory",
        suggestion="Write 'everything', 'goldfish', 'last 20 messages', 'last 4000 tokens' or "
        "'summary and last 4000 tokens'.",
    )


def as_memory(memory: MemoryPolicy | str) -> MemoryPolicy:
    """The policy itself, or the one that these words name. Raises `ValidationError`."""
    if isinstance(memory, str):
        return parse_memory(memory)
    if not isinstance(memory, _POLICY_TYPES):
        raise ValidationError(
            f"'memory' must be a memory policy, or words such as 'last 20 messages', not {type(memory).__name__}.",
            field="memory",
        )
    return memory


def recalled(
    messages: Sequence[Message], policy: MemoryPolicy, *, person_id: str, count_tokens: CountTokens | None = None
) -> tuple[Message, ...]:
    """Those of the messages that this person may see and still remembers, oldest first.

    The newest is always there, even if it alone is beyond the limit. A message with a call of a tool and those with its
    results are remembered or forgotten together, and count together, as of the newest of them. Forgetting begins with
    the first that does not fit: nothing older comes back because it is smaller.

    Raises `ValidationError` for a policy that counts tokens where `count_tokens` is not given.
    """
    seen = tuple(message for message in messages if message.is_visible_to(person_id))
    if isinstance(policy, RememberEverything):
        return seen
    if isinstance(policy, Summary):
        # What a summary tells is not among the messages.
        policy = LastTokens(policy.max_tokens)
    limit, size_of = _measure(policy, person_id, count_tokens)
    kept: set[int] = set()
    size = 0
    for unit in _units(seen):
        size += sum(size_of(seen[index]) for index in unit)
        if kept and size > limit:
            break
        kept.update(unit)
    return tuple(message for index, message in enumerate(seen) if index in kept)


def tokens_in(message: Message, *, person_id: str, count_tokens: CountTokens) -> int:
    """What a message counts for when it is sent to this person's model, who is told the names of all others.

    What is not for this person, such as the thoughts of others, counts for nothing.
    """
    parts = message.parts_for(person_id)
    if not parts:
        return 0
    name = [] if message.from_person_id == person_id else [message.from_person_id]
    text = "\n".join([*name, *(_text_in(part) for part in parts)])
    media = sum(isinstance(part, ImagePart | DocumentPart | AudioPart) for part in parts)
    return count_tokens(text) + media * MEDIA_TOKENS + _FRAME_TOKENS


def repaired(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages with every call of a tool answered exactly once, after it was made; providers refuse all else.

    - A result without an open call is left out: no call, not yet, or answered already.
    - A call is left out while one of the same id is open.
    - A call that is still open when the conversation has gone on is answered with an error, directly after the message
      that made it, visible to whoever sees that one. Calls of the last message may still be answered, and are left.

    A message of which nothing remains is left out. The conversation itself is not changed: a result that comes late
    takes the place of the error.
    """
    kept: list[Message] = []
    open_calls: dict[str, int] = {}
    for message in messages:
        if isinstance(message.content, str):
            kept.append(message)
            continue
        parts = tuple(part for part in message.content if _is_in_place(part, open_calls, index=len(kept)))
        if parts:
            kept.append(message if len(parts) == len(message.content) else evolve(message, content=parts))
    dangling: dict[int, list[str]] = {}
    for call_id, index in open_calls.items():
        if index < len(kept) - 1:
            dangling.setdefault(index, []).append(call_id)
    return tuple(_answered(kept, dangling))


def _measure(
    policy: LastMessages | LastTokens | Goldfish, person_id: str, count_tokens: CountTokens | None
) -> tuple[int, Callable[[Message], int]]:
    if not isinstance(policy, LastTokens):
        return policy.count if isinstance(policy, LastMessages) else 1, lambda _: 1
    if count_tokens is None:
        raise ValidationError(f"A memory of the {policy} needs 'count_tokens'.", field="count_tokens")
    return policy.max_tokens, lambda message: tokens_in(message, person_id=person_id, count_tokens=count_tokens)


def _units(messages: Sequence[Message]) -> Iterator[list[int]]:
    """The indices of messages that belong together, by the newest of each unit, newest first."""
    newer = list(range(len(messages)))
    call_at: dict[str, int] = {}
    for index, message in enumerate(messages):
        for part in () if isinstance(message.content, str) else message.content:
            if isinstance(part, ToolCallPart):
                # Some providers count their calls anew in every answer: a result belongs to the latest of its id.
                call_at[part.call_id] = index
            elif isinstance(part, ToolResultPart) and part.call_id in call_at:
                newer[_newest(newer, call_at[part.call_id])] = index
    units: dict[int, list[int]] = {}
    for index in reversed(range(len(messages))):
        units.setdefault(_newest(newer, index), []).append(index)
    yield from units.values()


def _newest(newer: list[int], index: int) -> int:
    while newer[index] != index:
        newer[index] = newer[newer[index]]
        index = newer[index]
    return index


def _text_in(part: Part) -> str:
    if isinstance(part, ToolCallPart):
        return f"{part.name} {part.arguments}"
    if isinstance(part, ToolResultPart):
        return part.content
    if isinstance(part, ProviderToolPart):
        return str(part.data)
    # Citations are never sent.
    return "" if isinstance(part, ImagePart | DocumentPart | AudioPart | CitationPart) else part.text


def _is_in_place(part: Part, open_calls: dict[str, int], *, index: int) -> bool:
    """Whether the part may stand here; keeps `open_calls`, which says in which message each open call was made."""
    if isinstance(part, ToolCallPart):
        is_new = part.call_id not in open_calls
        open_calls.setdefault(part.call_id, index)
        return is_new
    if isinstance(part, ToolResultPart):
        return open_calls.pop(part.call_id, None) is not None
    return True


def _answered(messages: Sequence[Message], dangling: Mapping[int, Sequence[str]]) -> Iterator[Message]:
    for index, message in enumerate(messages):
        yield message
        if index in dangling:
            yield _error_after(message, dangling[index])


def _error_after(message: Message, call_ids: Sequence[str]) -> Message:
    visibility = message.visibility
    if visibility is not None and message.to_person_id is not None:
        visibility |= {message.to_person_id}
    return Message(
        from_person_id=TOOLS,
        to_person_id=message.from_person_id,
        content=tuple(ToolResultPart(call_id=call_id, content=UNANSWERED, is_error=True) for call_id in call_ids),
        visibility=visibility,
        # Made of the message's own, so that equal histories are repaired alike.
        id=uuid5(NAMESPACE_OID, f"unanswered {message.id}").hex,
        created_at=message.created_at,
    )
