"""Conversations as people read them."""

import re
from collections.abc import Sequence
from typing import Final

from dipeo.domain.message import Message
from dipeo.domain.parts import (
    CitationPart,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

# What could start or end a mark of Markdown within a line.
_MARKS: Final = re.compile(r"([\\`*_\[\]<>#|~])")

_TIME: Final = "%Y-%m-%d %H:%M"


def content_in_words(parts: Sequence[Part]) -> str:
    """The text of the parts; what is no text is named in brackets, thoughts and tools once for all in a row."""
    said, last = "", ""
    was_named = False
    for part in parts:
        is_named = not isinstance(part, TextPart)
        words = part.text if isinstance(part, TextPart) else f"[{_kind_of(part)}]"
        if is_named and was_named and words == last:
            continue
        is_apart = not said or said[-1].isspace() or words[:1].isspace()
        said += words if is_apart or not (is_named or was_named) else f" {words}"
        last, was_named = words, is_named
    return said


def heading_of(message: Message) -> str:
    """Who speaks, to whom, and who else may see it: `ada to boole, private (seen by ada, boole)`."""
    heading = message.from_person_id
    if message.to_person_id is not None:
        heading += f" to {message.to_person_id}"
    return heading if message.visibility is None else f"{heading}, private (seen by {', '.join(_who_sees(message))})"


def numbered(message: Message, number: int) -> str:
    """One entry of the log."""
    return f"{number}. {heading_of(message)}, {message.created_at.strftime(_TIME)}\n{content_in_words(message.parts)}"


def as_plain_text(messages: Sequence[Message]) -> str:
    """Speakers before what they say."""
    return "\n\n".join(f"{heading_of(message)}: {content_in_words(message.parts)}" for message in messages) + "\n"


def as_markdown(messages: Sequence[Message], *, title: str) -> str:
    """A heading, and the speakers in bold above what they say, which stands as it was said."""
    said = [f"**{_escaped(heading_of(message))}**\n\n{content_in_words(message.parts)}" for message in messages]
    return "\n\n".join([f"# {_escaped(title)}", *said]) + "\n"


def _who_sees(message: Message) -> list[str]:
    addressee = [message.to_person_id] if message.to_person_id is not None else []
    return sorted({message.from_person_id, *addressee, *(message.visibility or ())})


def _kind_of(part: Part) -> str:
    if isinstance(part, ToolCallPart):
        return f"calls the tool {part.name}"
    if isinstance(part, ToolResultPart):
        return "a tool's result"
    if isinstance(part, ReasoningPart):
        return "thoughts"
    if isinstance(part, ProviderToolPart):
        return f"uses {part.name}"
    if isinstance(part, CitationPart):
        return f"source: {' '.join((part.url or part.title or part.text).split())}"
    return getattr(part, "media_type", "something else")


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)
