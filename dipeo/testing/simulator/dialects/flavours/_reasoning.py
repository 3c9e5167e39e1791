"""Ways to show reasoning in chat completions."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import Answer, refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue, as_list, as_object, as_text
from dipeo.testing.simulator.signatures import is_signature_of, sign_text

_SIGNED_FORMAT = "anthropic-claude-v1"


def reasoning_content(message: JsonObject, answer: Answer) -> JsonObject:
    """A field of its own, as DeepSeek began it."""
    return {**message, "reasoning_content": answer.reasoning} if answer.reasoning else message


def reasoning_content_delta(piece: str) -> JsonObject:
    """A piece of it."""
    return {"content": None, "reasoning_content": piece}


def plain_reasoning(message: JsonObject, answer: Answer) -> JsonObject:
    """A field under a shorter name, as Groq has it."""
    return {**message, "reasoning": answer.reasoning} if answer.reasoning else message


def plain_reasoning_delta(piece: str) -> JsonObject:
    """A piece of it."""
    return {"reasoning": piece}


def thinking_chunks(message: JsonObject, answer: Answer) -> JsonObject:
    """A chunk of the content, as Mistral has it."""
    if not answer.reasoning:
        return message
    content: list[JsonValue] = [_thinking(answer.reasoning)]
    if message.get("content"):
        content.append({"type": "text", "text": message["content"]})
    return {**message, "content": content}


def thinking_chunk_delta(piece: str) -> JsonObject:
    """A piece of it."""
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}


def reasoning_details(message: JsonObject, answer: Answer) -> JsonObject:
    """The text and a signed copy of it, as OpenRouter has it."""
    if not answer.reasoning:
        return message
    signed = {**_detail(answer.reasoning), "signature": sign_text("openrouter", answer.reasoning)}
    return {**message, "reasoning": answer.reasoning, "reasoning_details": [signed]}


def reasoning_details_delta(piece: str) -> JsonObject:
    """A piece of it; the signature comes with the end."""
    return {"content": "", "role": "assistant", "reasoning": piece, "reasoning_details": [_detail(piece)]}


def reasoning_details_end(answer: Answer) -> JsonObject:
    """The signature of all pieces together."""
    signature: JsonObject = {
        "type": "reasoning.text",
        "signature": sign_text("openrouter", answer.reasoning),
        "format": _SIGNED_FORMAT,
        "index": 0,
    }
    return {"content": "", "role": "assistant", "reasoning": None, "reasoning_details": [signature]}


def check_reasoning_details(body: JsonObject) -> None:
    """Raise RefusalError where signed reasoning comes back changed."""
    for index, message in enumerate(map(as_object, as_list(body.get("messages")))):
        details = [as_object(detail) for detail in as_list(message.get("reasoning_details"))]
        signed = [detail for detail in details if detail.get("type") == "reasoning.text" and detail.get("signature")]
        for number, detail in enumerate(signed):
            if not is_signature_of("openrouter", as_text(detail.get("text")), as_text(detail.get("signature"))):
                raise refuse(
                    400,
                    f"messages.{index}.content.{number}: Invalid `signature` in `thinking` block",
                    code="provider_error",
                )


def check_reasoning_content(body: JsonObject) -> None:
    """Raise RefusalError where a call of a thinking model comes back without the reasoning before it."""
    if as_object(body.get("thinking")).get("type") != "enabled" and "reasoner" not in as_text(body.get("model")):
        return
    messages = [as_object(message) for message in as_list(body.get("messages"))]
    users = [index for index, message in enumerate(messages) if message.get("role") == "user"]
    for index in range(users[-1] if users else 0, len(messages)):
        if messages[index].get("tool_calls") and not isinstance(messages[index].get("reasoning_content"), str):
            text = f"Missing `reasoning_content` field in the assistant message at message index {index}."
            raise refuse(400, text, code="invalid_request_error")


def _thinking(text: str) -> JsonObject:
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], "closed": True}


def _detail(text: str) -> JsonObject:
    return {"type": "reasoning.text", "text": text, "format": _SIGNED_FORMAT, "index": 0}
