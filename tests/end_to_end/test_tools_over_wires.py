"""Function tools over dipeo's own wire and over the official clients: offered whole, called, carried out, answered."""

from collections.abc import Mapping

import pytest

import dipeo
from dipeo import LLMService, Settings
from dipeo.domain.json_value import JsonObject
from dipeo.domain.parts import ToolCallPart, ToolResultPart
from dipeo.domain.tools import ToolSpec
from dipeo.testing import ProviderSimulator, Reply, SimulatedToolCall
from dipeo.tools import ToolLoop, tool
from tests.end_to_end.conftest import ENVIRON
from tests.end_to_end.test_services import HELLO

MODELS = {
    LLMService.OPENAI: "gpt-4.1-mini",
    LLMService.ANTHROPIC: "claude-sonnet-5-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
    LLMService.OLLAMA: "qwen3:8b",
}
WIRES = ("http", "sdk")
SCHEMA: JsonObject = {
    "type": "object",
    "$defs": {
        "place": {
            "type": "object",
            "properties": {"name": {"type": "string"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "properties": {
        "town": {"type": "string", "minLength": 1, "maxLength": 80},
        "days": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 7}, {"type": "null"}], "default": None},
        "unit": {"const": "celsius"},
        "near": {"$ref": "#/$defs/place"},
        "tags": {"type": "array", "items": {"enum": ["rain", "wind"]}, "maxItems": 2},
    },
    "required": ["town"],
    "additionalProperties": False,
}
"""Much of it is what Ollama's client has no field for."""

each_service = pytest.mark.parametrize("service", MODELS, ids=str)
each_mode = pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])


def settings_for(simulator: ProviderSimulator, wire: str) -> Settings:
    return Settings(base_urls=simulator.base_urls, environ=ENVIRON, wires=wire)


@each_service
@each_mode
async def test_a_tool_loop_runs_alike_over_every_wire(
    is_stream: bool, service: LLMService, simulator: ProviderSimulator
) -> None:
    """The call comes with its id and is carried out; its result goes back; no request depends on the wire."""
    looked_up: list[Mapping[str, object]] = []

    def forecast(**arguments: object) -> str:
        looked_up.append(arguments)
        return "It rains."

    tools = [tool(forecast, description="What the weather will be.", parameters=SCHEMA)]
    said = []
    for wire in WIRES:
        simulator.script(
            service.value,
            Reply(tool_calls=[SimulatedToolCall("forecast", {"town": "Rome", "days": 2}, id="call_rome1")]),
            Reply("Take an umbrella."),
        )
        async with dipeo.connect(settings_for(simulator, wire)) as llm:
            loop = ToolLoop(llm, tools)
            begin = loop.stream if is_stream else loop.run
            outcome = await begin(HELLO, MODELS[service], service=service)
        assert outcome.text == "Take an umbrella."
        parts = [part for message in outcome.said for part in message.parts]
        called = [part.call_id for part in parts if isinstance(part, ToolCallPart)]
        assert [part.call_id for part in parts if isinstance(part, ToolResultPart)] == called
        said.append((called, outcome.said))
    assert said[0] == said[1]
    assert looked_up == [{"town": "Rome", "days": 2}] * 2
    first, second, third, fourth = (request.body for request in simulator.requests)
    assert (third, fourth) == (first, second)
    assert {request.status for request in simulator.requests} == {200}


async def test_ollama_is_offered_a_schema_to_its_last_word_over_every_wire(simulator: ProviderSimulator) -> None:
    """Nothing is left out or refused: strictness finds nothing to complain of, and no adaptation is recorded."""
    offered = ToolSpec(name="forecast", description="What the weather will be.", parameters=SCHEMA, is_strict=False)
    for wire in WIRES:
        async with dipeo.connect(settings_for(simulator, wire)) as llm:
            completion = await llm.complete(HELLO, "qwen3:8b", tools=[offered], strict=True)
        assert completion.adaptations == ()
        body = simulator.requests[-1].body
        assert isinstance(body, dict)
        function = {"name": "forecast", "description": "What the weather will be.", "parameters": SCHEMA}
        assert body["tools"] == [{"type": "function", "function": function}]
