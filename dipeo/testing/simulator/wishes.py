"""What a request asks for beyond a text, in words that every dialect shares."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

from dipeo.testing.simulator.json_value import JsonObject

AttachmentKind: TypeAlias = Literal["image", "document", "audio", "video"]


@attrs.frozen(slots=True, kw_only=True)
class OfferedTool:
    """A tool the caller would run."""

    name: str
    description: str = ""
    parameters: JsonObject


@attrs.frozen(slots=True, kw_only=True)
class ToolAnswer:
    """What a tool said to a call."""

    name: str
    text: str
    is_error: bool = False


@attrs.frozen(slots=True, kw_only=True)
class Attachment:
    """A picture, a file or a sound; `size_bytes` is None where only its address was sent."""

    kind: AttachmentKind
    media_type: str
    size_bytes: int | None = None


@attrs.frozen(slots=True, kw_only=True)
class Wishes:
    """Tools, answer shape, reasoning and attachments of one request.

    `allowed` names the tools that may be called, None stands for all of them. `results` are those after the last
    question, `attachments` those of the last question. `provider_tools` are kinds such as web_search.
    """

    tools: tuple[OfferedTool, ...] = ()
    may_call: bool = True
    must_call: bool = False
    allowed: tuple[str, ...] | None = None
    is_parallel: bool = True
    results: tuple[ToolAnswer, ...] = ()
    schema: JsonObject | None = None
    wants_json: bool = False
    wants_reasoning: bool = False
    attachments: tuple[Attachment, ...] = ()
    provider_tools: tuple[str, ...] = ()

    @property
    def callable_tools(self) -> tuple[OfferedTool, ...]:
        """The tools that an answer may call."""
        if not self.may_call:
            return ()
        return tuple(tool for tool in self.tools if self.allowed is None or tool.name in self.allowed)


NO_WISHES = Wishes()
