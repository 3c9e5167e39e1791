"""The parts of an answer in Gemini's words, and what goes with them."""

from __future__ import annotations

from dipeo.testing.simulator.dialects._gemini_turns import SERVICE
from dipeo.testing.simulator.dialects._gemini_wishes import shows_thoughts
from dipeo.testing.simulator.exchange import Answer, ParsedCall
from dipeo.testing.simulator.json_value import JsonObject, JsonValue
from dipeo.testing.simulator.signatures import seal

_FINISH_REASONS = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "tool_calls": "STOP",
}


def is_malformed(answer: Answer) -> bool:
    """Whether a call could not be read, which Gemini does not show but tell."""
    return answer.finish != "length" and any(one.arguments is None for one in answer.tool_calls)


def whole_parts(call: ParsedCall, answer: Answer) -> list[JsonObject]:
    """All parts of an answer that comes at once."""
    parts: list[JsonObject] = []
    if answer.reasoning and shows_thoughts(call.body):
        parts.append({"text": answer.reasoning, "thought": True})
    parts += _tool_parts(answer)
    if answer.text:
        signed: JsonObject = {"thoughtSignature": signature_of(answer)} if answer.reasoning else {}
        parts.append({"text": answer.text, **signed})
    return parts + _call_parts(call, answer)


def streamed_parts(call: ParsedCall, answer: Answer) -> list[JsonObject]:
    """The parts of a stream, one for each of its responses; the last of them comes with the end."""
    parts: list[JsonObject] = []
    if shows_thoughts(call.body):
        parts += [{"text": piece, "thought": True} for piece in answer.reasoning_pieces]
    parts += _tool_parts(answer)
    parts += [{"text": piece} for piece in answer.pieces]
    parts += _call_parts(call, answer)
    if answer.reasoning and answer.text and not answer.tool_calls:
        # The signature of a text comes last, with an empty piece of its own.
        parts.append({"text": "", "thoughtSignature": signature_of(answer)})
    return parts


def ending(answer: Answer) -> JsonObject:
    """Finish reason, sources and what else comes with the last response."""
    fields: JsonObject = {
        "finishReason": "MALFORMED_FUNCTION_CALL" if is_malformed(answer) else _FINISH_REASONS[answer.finish]
    }
    fields["index"] = 0
    if is_malformed(answer):
        broken = next(one for one in answer.tool_calls if one.arguments is None)
        fields["finishMessage"] = f"Malformed function call: print(default_api.{broken.name}({broken.text}"
    elif answer.finish == "tool_calls":
        fields["finishMessage"] = "Model generated function call(s)."
    return {**fields, **_grounding(answer)}


def signature_of(answer: Answer) -> str:
    """A signature that is bound to what was thought."""
    return seal(SERVICE, answer.reasoning or "".join(one.name for one in answer.tool_calls))


def _tool_parts(answer: Answer) -> list[JsonObject]:
    parts: list[JsonObject] = []
    for run in answer.provider_tools:
        if run.kind == "code_execution":
            parts.append({"executableCode": {"language": "PYTHON", "code": run.query}})
            parts.append({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": run.output}})
    return parts


def _call_parts(call: ParsedCall, answer: Answer) -> list[JsonObject]:
    # A call whose arguments were cut off, or make no sense, is not shown at all.
    if is_malformed(answer):
        return []
    parts: list[JsonObject] = []
    for index, one in enumerate(answer.tool_calls):
        if one.arguments is None:
            continue
        fields: JsonObject = {"name": one.name, "args": one.arguments}
        if one.id or call.model.startswith("gemini-3"):
            fields["id"] = one.id or call.incoming.token(f"call {index}", 8)
        # Only the first call of a step is signed.
        signed: JsonObject = {} if parts else {"thoughtSignature": signature_of(answer)}
        parts.append({"functionCall": fields, **signed})
    return parts


def _grounding(answer: Answer) -> JsonObject:
    fields: JsonObject = {}
    searches = [run for run in answer.provider_tools if run.kind == "web_search"]
    if searches or answer.citations:
        fields["groundingMetadata"] = _grounding_metadata(answer, [run.query for run in searches])
    fetched: list[JsonValue] = [
        {"retrievedUrl": page.url, "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"}
        for run in answer.provider_tools
        if run.kind == "web_fetch"
        for page in run.pages
    ]
    if fetched:
        fields["urlContextMetadata"] = {"urlMetadata": fetched}
    return fields


def _grounding_metadata(answer: Answer, queries: list[str]) -> JsonObject:
    addresses = list(dict.fromkeys((one.url, one.title) for one in answer.citations))
    supports: list[JsonValue] = []
    for citation in answer.citations:
        # Gemini counts bytes, and leaves out a zero.
        start = len(answer.text[: citation.start].encode())
        end = len(answer.text[: citation.end].encode())
        segment: JsonObject = {"endIndex": end, "text": answer.text[citation.start : citation.end]}
        if start:
            segment = {"startIndex": start, **segment}
        supports.append(
            {"segment": segment, "groundingChunkIndices": [addresses.index((citation.url, citation.title))]}
        )
    chunks: list[JsonValue] = [{"web": {"uri": url, "title": title}} for url, title in addresses]
    return {
        "searchEntryPoint": {"renderedContent": '<div class="container"></div>'},
        "groundingChunks": chunks,
        "groundingSupports": supports,
        "webSearchQueries": [*queries],
    }
