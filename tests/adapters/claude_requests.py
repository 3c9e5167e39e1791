"""Requests for Claude, and what they are sent as."""

from typing import Any

from dipeo.domain.completion import AdaptationAction, ChatMessage, CompletionRequest, Role
from dipeo.domain.parts import Part, ReasoningPart, ToolCallPart, ToolResultPart
from dipeo.domain.service import LLMService
from dipeo.domain.tools import Tooling, ToolSpec
from dipeo.infrastructure.llm.drivers.answer import EncodedRequest
from tests.adapters.replay import ReplayWire, adapter_over

CLAUDE = LLMService.ANTHROPIC
NEW, BUDGETED, OLD = "claude-sonnet-5", "claude-sonnet-4-5", "claude-3-opus-20240229"

HELLO = ChatMessage.from_text(Role.USER, "Hello")
WEATHER = ToolSpec(name="weather", description="Tells the weather.")
CALL = ToolCallPart(call_id="c1", name="weather", arguments={"city": "Bonn"})
RESULT = ToolResultPart(call_id="c1", content="Rain.")
THOUGHT = ReasoningPart(text="Hm.", vendor="anthropic", signature="c2ln")


def assistant(*parts: Part) -> ChatMessage:
    return ChatMessage(Role.ASSISTANT, parts)


def user(*parts: Part) -> ChatMessage:
    return ChatMessage(Role.USER, parts)


def results(*parts: Part) -> ChatMessage:
    return ChatMessage(Role.TOOL, parts)


def asking(*messages: ChatMessage, model: str = NEW, **asked: Any) -> CompletionRequest:
    return CompletionRequest(service=CLAUDE, model=model, messages=messages or (HELLO,), **asked)


def encoded(request: CompletionRequest) -> EncodedRequest:
    adapter = adapter_over(ReplayWire(status=200, headers={}, body=b""), CLAUDE)
    asked, _ = adapter.as_taken(request)
    return adapter.encode(asked, is_stream=False)


def body_of(request: CompletionRequest) -> dict[str, Any]:
    """The body of a request that is sent as asked."""
    exchange, adaptations = encoded(request)
    assert adaptations == ()
    return dict(exchange.body)


def adapted(request: CompletionRequest) -> tuple[dict[str, Any], list[tuple[str, AdaptationAction]]]:
    """The body, and what was adapted to get there."""
    exchange, adaptations = encoded(request)
    return dict(exchange.body), [(each.parameter, each.action) for each in adaptations]


def offering(*tools: ToolSpec, **how: Any) -> Tooling:
    return Tooling(tools=tools, **how)
