"""Answers of models, and functions that models call."""

from typing import Any

from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.parts import Part, TextPart, ToolCallPart
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage

QUESTION = [{"role": "user", "content": "What is it like in Rome?"}]


def call(name: str, call_id: str = "c1", *, broken: str | None = None, **arguments: Any) -> ToolCallPart:
    """A call of a tool."""
    return ToolCallPart(call_id=call_id, name=name, arguments=arguments, broken_arguments=broken)


def calling(*parts: Part, finish: FinishReason = FinishReason.TOOL_CALLS, usage: Usage | None = None) -> Completion:
    """An answer that calls tools."""
    return Completion(
        service=LLMService.OPENAI,
        model="m",
        parts=parts,
        finish_reason=finish,
        usage=Usage(input_tokens=10, output_tokens=5) if usage is None else usage,
    )


def saying(text: str) -> Completion:
    """An answer in words."""
    return calling(TextPart(text), finish=FinishReason.STOP)


def weather(city: str) -> str:
    """The weather."""
    return f"Sunny in {city}."


async def clock(city: str) -> dict[str, str]:
    """The time."""
    return {"city": city, "time": "12:00"}
