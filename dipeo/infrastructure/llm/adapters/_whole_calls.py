"""Tool calls whose arguments come as JSON, not as text in JSON: Gemini's and Ollama's."""

import json
import re
from collections.abc import Mapping
from typing import Final

from attrs import evolve

from dipeo.domain.checks import check_identifier
from dipeo.domain.completion import AdaptationAction, CompletionRequest
from dipeo.domain.errors import ToolCallInvalidError, UnsupportedParameterError, ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import ToolCallPart
from dipeo.domain.stream import ToolCallDelta
from dipeo.domain.tools import ResponseSchema, SchemaMode
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.schema_request import check_tooling, with_schema_asked

_MADE_UP_ID = re.compile(r"call_\d{1,4}(?:_[\w-]{1,24})?")
_NOT_IN_IDS = re.compile(r"[^\w-]", re.ASCII)
_MAX_ANSWER_NAME_CHARS: Final = 24


def made_up_id(index: int, answer_name: str) -> str:
    """An id for a call that came without one, the same whenever this answer is read.

    The answer's name is in it: some providers refuse a conversation in which two calls have one id.
    """
    name = _NOT_IN_IDS.sub("", answer_name)[:_MAX_ANSWER_NAME_CHARS]
    return f"call_{index}_{name}" if name else f"call_{index}"


def known_id(call_id: str) -> str | None:
    """The id, if it is one that a provider gave."""
    return None if _MADE_UP_ID.fullmatch(call_id) else call_id


def decode_call(
    said: JsonObject,
    arguments: JsonValue,
    *,
    call_id: JsonValue,
    spare_id: str,
    vendor: str | None = None,
    signature: str | None = None,
) -> ToolCallPart:
    """The call; `spare_id` is taken where no usable id was given, and no arguments are the same as none needed.

    Raises `ToolCallInvalidError` for a name that no tool can have.
    """
    name = _usable(said.get("name"))
    if name is None:
        raise ToolCallInvalidError("The model called a tool without a usable name.")

    def call(arguments: JsonObject, broken: str | None = None) -> ToolCallPart:
        return ToolCallPart(
            call_id=_usable(call_id) or spare_id,
            name=name,
            arguments=arguments,
            broken_arguments=broken,
            vendor=vendor,
            signature=signature,
        )

    if arguments is None:
        return call({})
    if isinstance(arguments, Mapping):
        try:
            return call(arguments)
        except ValidationError:
            pass  # Nested too deep, or a number too large: no tool should be called with it.
    return call({}, arguments if isinstance(arguments, str) else json.dumps(arguments))


def delta_of(call: ToolCallPart, *, index: int) -> ToolCallDelta:
    """The event for a call that comes in one piece."""
    arguments = call.broken_arguments
    if arguments is None:
        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    return ToolCallDelta(index=index, call_id=call.call_id, name=call.name, arguments=arguments)


def sendable_arguments(call: ToolCallPart, *, where: str, adaptations: Adaptations) -> JsonObject:
    """The arguments as an object, which is all that these providers take; broken ones go as none, and that is noted."""
    if call.broken_arguments is not None:
        reason = "arguments that are no JSON object are sent as none."
        adaptations.note(f"{where}.broken_arguments", AdaptationAction.SUBSTITUTED, reason)
    return call.arguments


def refuse_previous_response(request: CompletionRequest) -> None:
    """Raises `UnsupportedParameterError` where the request goes on from an answer that the provider does not keep."""
    if request.previous_response_id is not None:
        raise UnsupportedParameterError(
            f"{request.service.value} keeps no answers to go on from.",
            field="previous_response_id",
            suggestion="Send the whole conversation.",
        )


def with_schema_beside_tools(
    request: CompletionRequest, schema: ResponseSchema, capabilities: ModelCapabilities
) -> tuple[CompletionRequest, SchemaMode | None]:
    """The request with the answer's shape asked for in words where there are tools: these exclude the native way."""
    check_tooling(request, capabilities)
    has_tools = request.tooling.tools or request.tooling.provider_tools
    taken = evolve(capabilities, schema_mode=SchemaMode.PROMPT) if has_tools else capabilities
    return with_schema_asked(request, schema, taken)


def refused_part(part: object, *, where: str, takes: str) -> UnsupportedParameterError:
    """The error for a part that cannot be sent where it stands."""
    return UnsupportedParameterError(
        f"{where} holds {type(part).__name__}, which cannot be sent there.",
        field=where,
        suggestion=f"What can be sent there: {takes}.",
    )


def _usable(identifier: JsonValue) -> str | None:
    if not isinstance(identifier, str):
        return None
    try:
        check_identifier("identifier", identifier)
    except ValidationError:
        return None
    return identifier
