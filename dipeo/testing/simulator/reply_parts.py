"""What a reply may hold besides its text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

import attrs
from attrs import validators

from dipeo.testing.simulator.json_value import JsonObject, JsonValue

ProviderToolKind: TypeAlias = Literal["web_search", "web_fetch", "code_execution"]


def _freeze_pages(pages: Iterable[SimulatedCitation]) -> tuple[SimulatedCitation, ...]:
    return tuple(pages)


def _arguments_text(arguments: Mapping[str, JsonValue] | str) -> str:
    if isinstance(arguments, str):
        return arguments
    return json.dumps(dict(arguments), ensure_ascii=False, separators=(",", ":"))


@attrs.frozen(slots=True)
class SimulatedToolCall:
    """A call of one of the caller's tools.

    `arguments` may be text as well: then it goes over the wire as it is, broken or not. Without an `id` the dialect
    makes one up.
    """

    name: str = attrs.field(validator=validators.instance_of(str))
    arguments: str = attrs.field(default="{}", converter=_arguments_text)
    id: str | None = attrs.field(default=None, kw_only=True)

    @property
    def parsed_arguments(self) -> JsonObject | None:
        """The arguments as an object, or None where the text is none."""
        try:
            value: JsonValue = json.loads(self.arguments)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


@attrs.frozen(slots=True, kw_only=True)
class SimulatedCitation:
    """A source of a stretch of the text, `start` and `end` being positions in it."""

    url: str
    title: str
    cited_text: str = ""
    start: int = attrs.field(default=0, validator=validators.ge(0))
    end: int = attrs.field(default=0, validator=validators.ge(0))


@attrs.frozen(slots=True, kw_only=True)
class SimulatedProviderTool:
    """A tool that the provider itself ran: what it was asked and, for a search, the pages it found."""

    kind: ProviderToolKind = "web_search"
    query: str
    output: str = ""
    pages: tuple[SimulatedCitation, ...] = attrs.field(default=(), converter=_freeze_pages)
