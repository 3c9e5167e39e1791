"""One append-only log that many persons share."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self
from uuid import uuid4

from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.message import Message
from dipeo.domain.message_format import message_from_dict, message_to_dict

FORMAT_VERSION: Final = 1


class Conversation:
    """What was said, in order, by whom, and who may see it. Messages are added, never changed or removed.

    It is shared: every person who takes part holds the same object and sees their own view of it.
    """

    __slots__ = ("__weakref__", "_ids", "_messages", "forked_from", "id")

    def __init__(
        self,
        messages: Iterable[Message] = (),
        *,
        id: str | None = None,  # noqa: A002  # the same word as the attribute
        forked_from: str | None = None,
    ) -> None:
        self.id: Final = check_identifier("id", id) if id is not None else uuid4().hex
        self.forked_from: Final = check_identifier("forked_from", forked_from) if forked_from is not None else None
        self._messages: list[Message] = []
        self._ids: set[str] = set()
        self.extend(messages)

    def append(self, message: Message) -> None:
        """Adds a message at the end. Raises `ValidationError` for an id that the conversation has already."""
        if not isinstance(message, Message):
            raise ValidationError(f"'message' must be a Message, not {type(message).__name__}.", field="message")
        if message.id in self._ids:
            raise ValidationError(f"The conversation already has a message {message.id!r}.", field="id")
        self._ids.add(message.id)
        self._messages.append(message)

    def extend(self, messages: Iterable[Message]) -> None:
        """Adds messages at the end, in order."""
        for message in messages:
            self.append(message)

    @property
    def messages(self) -> tuple[Message, ...]:
        """All messages, oldest first, private ones included."""
        return tuple(self._messages)

    def visible_to(self, person_id: str) -> tuple[Message, ...]:
        """The messages that this person may see, oldest first."""
        return tuple(message for message in self._messages if message.is_visible_to(person_id))

    def fork(self) -> Self:
        """A new conversation that begins with all that was said so far; each then goes its own way."""
        return type(self)(self._messages, forked_from=self.id)

    def to_json(self) -> str:
        """The conversation as versioned JSON, for `from_json()`."""
        document: dict[str, JsonValue] = {
            "format": "dipeo.conversation",
            "version": FORMAT_VERSION,
            "id": self.id,
            "forked_from": self.forked_from,
            "messages": [message_to_dict(message) for message in self._messages],
        }
        return json.dumps(document, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The conversation that `to_json()` wrote. Raises `ValidationError` saying what is wrong with the text."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as problem:
            raise ValidationError(f"The conversation is not readable JSON: {problem}.", field="conversation") from None
        if not isinstance(document, Mapping) or document.get("format") != "dipeo.conversation":
            raise ValidationError("The document is not a dipeo conversation.", field="format")
        version = document.get("version")
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise ValidationError(
                f"The conversation has version {version!r}; this dipeo reads version {FORMAT_VERSION}.",
                field="version",
                suggestion="Use the version of dipeo that wrote it, or a newer one.",
            )
        messages = document.get("messages")
        if not isinstance(messages, list):
            raise ValidationError("'messages' must be a list.", field="messages")
        return cls(
            (message_from_dict(entry, where=f"messages[{index}]") for index, entry in enumerate(messages)),
            id=check_identifier("id", document.get("id")),
            forked_from=document.get("forked_from"),
        )

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(tuple(self._messages))

    def __repr__(self) -> str:
        speakers = len({message.from_person_id for message in self._messages})
        return f"<Conversation {self.id}: {len(self)} messages by {speakers} persons>"
