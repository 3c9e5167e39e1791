"""Conversations as people read them."""

import re
from collections.abc import Sequence
from typing import Final

from dipeo.domain.message import Message
from dipeo.domain.parts import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart

# What could start or end a mark of Markdown within a line.
_MARKS: Final = re.compile(r"([\\`*_\[\]<>#|~])")

_TIME: Final = "%Y-%m-%d %H:%M"


def content_in_words(parts: Sequence[Part]) -> str:
    """The text of the parts; what is no text is named in brackets."""
    return "".join(part.text if isinstance(part, TextPart) else f"[{_kind_of(part)}]" for part in parts)


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
    return getattr(part, "media_type", "something else")


def _escaped(text: str) -> str:
    return _MARKS.sub(r"\\\1", text)
