"""What one person said, and to whom."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Self
from uuid import uuid4

from attrs import field, frozen

from dipeo.domain.checks import check_identifier, check_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.parts import (
    PART_TYPES,
    Part,
    ProviderToolPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_of,
)

EVERYONE: None = None
"""The visibility of a message that all may see."""

_THEIR_OWN: Final = (ReasoningPart, ToolCallPart, ProviderToolPart)
"""What nobody hears of another."""


def _as_visibility(people: Iterable[str] | None) -> frozenset[str] | None:
    if people is None:
        return None
    if isinstance(people, str) or not isinstance(people, Iterable):
        raise ValidationError("'visibility' must be a set of person ids.", field="visibility")
    return frozenset(check_identifier("visibility", person) for person in people)


@frozen(kw_only=True)
class Message:
    """One entry of a conversation.

    `to_person_id` says who is spoken to (None: all). `visibility` says who may see it: None is everyone, a set of ids
    is those people; the sender and the one spoken to always see it. `created_at` carries a time zone.
    """

    from_person_id: str
    content: str | tuple[Part, ...]
    to_person_id: str | None = None
    visibility: frozenset[str] | None = field(default=EVERYONE, converter=_as_visibility)
    id: str = field(factory=lambda: uuid4().hex)
    created_at: datetime = field(factory=lambda: datetime.now(UTC))

    @classmethod
    def private(cls, *, from_person_id: str, to_person_id: str, content: str | tuple[Part, ...]) -> Self:
        """A message that only its sender and its addressee see."""
        return cls(
            from_person_id=from_person_id, to_person_id=to_person_id, content=content, visibility=frozenset[str]()
        )

    def __attrs_post_init__(self) -> None:
        check_identifier("from_person_id", self.from_person_id)
        check_identifier("id", self.id)
        if self.to_person_id is not None:
            check_identifier("to_person_id", self.to_person_id)
        if not isinstance(self.created_at, datetime) or self.created_at.tzinfo is None:
            raise ValidationError("'created_at' must be a time with a zone.", field="created_at")
        check_content(self.content)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The content as parts, whichever way it was given."""
        return (TextPart(self.content),) if isinstance(self.content, str) else self.content

    @property
    def text(self) -> str:
        """The text of the content; other parts are left out."""
        return self.content if isinstance(self.content, str) else text_of(self.content)

    def is_visible_to(self, person_id: str) -> bool:
        """Whether this person may see the message."""
        return (
            self.visibility is None
            or person_id in self.visibility
            or person_id in (self.from_person_id, self.to_person_id)
        )

    def parts_for(self, person_id: str) -> tuple[Part, ...]:
        """What of the message is for this person, if they may see it: all of their own, of others' what these say.

        What others think, and the tools that they call, is their own affair; what tools gave back is for the one who
        asked them.
        """
        if isinstance(self.content, str) or self.from_person_id == person_id:
            return self.parts
        if any(isinstance(part, ToolResultPart) for part in self.content):
            return self.content if self.to_person_id == person_id else ()
        return tuple(part for part in self.content if not isinstance(part, _THEIR_OWN))


def check_content(content: object) -> None:
    """Refuses content that is neither text nor a non-empty tuple of parts."""
    if isinstance(content, str):
        check_text("content", content)
    elif not isinstance(content, tuple) or not content or not all(isinstance(part, PART_TYPES) for part in content):
        raise ValidationError("'content' must be text or a non-empty tuple of parts.", field="content")
