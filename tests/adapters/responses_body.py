"""Reads a recorded request to OpenAI's responses into a request of ours, and makes bodies comparable.

Written from OpenAI's reference alone, so that a mistake in the adapter is not repeated here.
"""

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from dipeo.config import RESPONSES
from dipeo.container.adapters import adapter_builders
from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.parts import DocumentPart, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import Sampling
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ProviderTool, ResponseSchema, Tooling, ToolSpec, ToolUse
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.factory import Adapter
from tests.adapters.replay import KEY, ReplayWire

PROVIDER_TOOLS: Final = {
    "web_search": ProviderTool.WEB_SEARCH,
    "web_search_preview": ProviderTool.WEB_SEARCH,
    "code_interpreter": ProviderTool.CODE_EXECUTION,
}


def adapter_over(wire: ReplayWire, service: LLMService = LLMService.OPENAI, *, api: str = RESPONSES) -> Adapter:
    """The real adapter of a service, asked by this interface, over this wire."""
    endpoint = Endpoint(service=service, base_url="https://replayed.invalid", key=Secret(KEY))
    return adapter_builders(lambda _endpoint, _credentials: wire, apis={service: api})[service](endpoint)


def request_in(body: dict[str, Any], service: LLMService) -> CompletionRequest:
    """The request that this body makes, in our values."""
    sampling = Sampling(
        temperature=body.get("temperature"),
        max_tokens=body.get("max_output_tokens"),
        reasoning_effort=(body.get("reasoning") or {}).get("effort"),
    )
    form = (body.get("text") or {}).get("format")
    return CompletionRequest(
        service=service,
        model=body["model"],
        messages=messages_in(body, service.value),
        sampling=sampling,
        tooling=tooling_in(body),
        response_schema=form
        and ResponseSchema(schema=form["schema"], name=form["name"], is_strict=form.get("strict", False)),
        previous_response_id=body.get("previous_response_id"),
    )


def tooling_in(body: dict[str, Any]) -> Tooling:
    """The tools and their use."""
    functions = [tool for tool in body.get("tools", ()) if tool["type"] == "function"]
    choice = choice_in(body)
    return Tooling(
        tools=tuple(
            ToolSpec(
                name=tool["name"],
                description=tool.get("description", ""),
                parameters=tool["parameters"],
                is_strict=tool.get("strict", False),
            )
            for tool in functions
        ),
        provider_tools=tuple(
            PROVIDER_TOOLS[tool["type"]] for tool in body.get("tools", ()) if tool["type"] in PROVIDER_TOOLS
        ),
        use=ToolUse(choice) if isinstance(choice, str) else ToolUse.NAMED,
        named_tool=choice["name"] if isinstance(choice, dict) else None,
        is_parallel=body.get("parallel_tool_calls"),
    )


def choice_in(body: dict[str, Any]) -> Any:
    """The choice of tools; all of the tools allowed is no restriction."""
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        assert {tool["name"] for tool in choice["tools"]} == {tool["name"] for tool in body["tools"]}
        return choice["mode"]
    return choice


@define
class _Reader:
    vendor: str
    messages: list[ChatMessage] = field(factory=list)

    def read(self, item: dict[str, Any]) -> None:
        kind = item.get("type", "message")
        if kind == "function_call":
            call = ToolCallPart(
                call_id=item["call_id"], name=item["name"], arguments=json.loads(item["arguments"] or "{}")
            )
            self.add(Role.ASSISTANT, (call,))
        elif kind == "function_call_output":
            self.add(Role.TOOL, (ToolResultPart(call_id=item["call_id"], content=item["output"]),))
        elif kind == "reasoning":
            self.add(Role.ASSISTANT, self.thoughts(item))
        else:
            assert kind == "message"
            role = Role(item["role"])
            content = item["content"]
            parts = (TextPart(content),) if isinstance(content, str) else tuple(map(part_in, content))
            if role is Role.ASSISTANT:
                self.add(role, parts)
            else:
                self.messages.append(ChatMessage(role, parts))

    def thoughts(self, item: dict[str, Any]) -> tuple[Part, ...]:
        said = [piece["text"] for piece in item["summary"]] or [""]
        signatures = [item["encrypted_content"], *([None] * (len(said) - 1))]
        return tuple(
            ReasoningPart(text=text, vendor=self.vendor, id=item.get("id"), signature=signature, is_redacted=not text)
            for text, signature in zip(said, signatures, strict=True)
        )

    def add(self, role: Role, parts: tuple[Part, ...]) -> None:
        """What one side says in one go is one message of ours."""
        if self.messages and self.messages[-1].role is role:
            self.messages[-1] = ChatMessage(role, (*self.messages[-1].parts, *parts))
        else:
            self.messages.append(ChatMessage(role, parts))


def messages_in(body: dict[str, Any], vendor: str) -> tuple[ChatMessage, ...]:
    """The messages of the input, instructions first."""
    reader = _Reader(vendor)
    if body.get("instructions"):
        reader.read({"role": "system", "content": body["instructions"]})
    given = body["input"]
    for item in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        reader.read(item)
    return tuple(reader.messages)


def part_in(piece: dict[str, Any]) -> Part:
    """A piece of a message."""
    kind = piece["type"]
    if kind in ("input_text", "output_text"):
        return TextPart(piece["text"])
    if kind == "input_image":
        url = piece["image_url"]
        if not url.startswith("data:"):
            return ImagePart(media_type="image/png", url=url)
        media_type, data = _data_in(url)
        return ImagePart(media_type=media_type, data=data)
    assert kind == "input_file"
    media_type, data = _data_in(piece["file_data"])
    return DocumentPart(media_type=media_type, data=data, name=piece["filename"])


def _data_in(url: str) -> tuple[str, bytes]:
    head, _, data = url.partition(";base64,")
    return head.removeprefix("data:"), base64.b64decode(data)


# --- what is equivalent ----------------------------------------------------------------------------------------------


def _instructions_as_message(body: dict[str, Any]) -> None:
    """Instructions are a system message in front, says the reference."""
    if words := body.pop("instructions", None):
        body["input"] = [{"role": "system", "content": words}, *body["input"]]


def _text_as_list(body: dict[str, Any]) -> None:
    """An input of text is one message of the user's; content of text is a list of one piece."""
    if isinstance(body["input"], str):
        body["input"] = [{"role": "user", "content": body["input"]}]
    for item in body["input"]:
        if isinstance(item.get("content"), str):
            kind = "output_text" if item["role"] == "assistant" else "input_text"
            item["content"] = [{"type": kind, "text": item["content"]}]


def _without_bookkeeping(body: dict[str, Any]) -> None:
    """`message` is the usual type of an item; id and status of a call are the server's notes and may be left out."""
    for item in body["input"]:
        if item.get("type") == "message":
            del item["type"]
        if item.get("type") == "function_call":
            item.pop("id", None)
            item.pop("status", None)
            item["arguments"] = json.loads(item["arguments"])


def _without_usual_values(body: dict[str, Any]) -> None:
    """What says what holds anyway: no stream, any tool, the usual tier."""
    for name, usual in (("stream", False), ("tool_choice", "auto"), ("service_tier", "auto")):
        if body.get(name, usual) == usual:
            body.pop(name, None)


def _all_tools_allowed(body: dict[str, Any]) -> None:
    """To allow all tools that are offered is to restrict nothing."""
    if "tool_choice" in body:
        body["tool_choice"] = choice_in(body)


def _tools_alike(body: dict[str, Any]) -> None:
    """A schema that does not fit strict mode is taken as not strict where nothing is said; the search's old name."""
    for tool in body.get("tools", ()):
        if tool["type"] == "function":
            tool.setdefault("strict", False)
        elif tool["type"] == "web_search_preview":
            assert tool.pop("user_location") is None
            assert tool.pop("search_context_size") == "medium"
            tool["type"] = "web_search"


def _without_keeping(body: dict[str, Any]) -> None:
    """What the server keeps and includes is a policy of the caller's library; ours has tests of its own."""
    body.pop("store", None)
    body.pop("include", None)


NORMALISATIONS: Final[tuple[Callable[[dict[str, Any]], None], ...]] = (
    _instructions_as_message,
    _text_as_list,
    _without_bookkeeping,
    _all_tools_allowed,
    _without_usual_values,
    _tools_alike,
    _without_keeping,
)


def comparable(body: object) -> dict[str, Any]:
    """The body with everything that is truly equivalent said in one way."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    for normalise in NORMALISATIONS:
        normalise(copied)
    return copied
