"""Anthropic's models, and what each of them takes."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject

# (id, display name, created at, input limit in tokens, output limit in tokens, takes a budget, thinks adaptively)
_MODELS = (
    ("claude-opus-5", "Claude Opus 5", "2026-07-24T00:00:00Z", 1_000_000, 128_000, False, True),
    ("claude-sonnet-5", "Claude Sonnet 5", "2026-06-29T00:00:00Z", 1_000_000, 128_000, False, True),
    ("claude-sonnet-4-6", "Claude Sonnet 4.6", "2026-02-17T00:00:00Z", 1_000_000, 128_000, True, True),
    ("claude-haiku-4-5-20251001", "Claude Haiku 4.5", "2025-10-15T00:00:00Z", 200_000, 64_000, True, False),
    ("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", "2025-09-29T00:00:00Z", 1_000_000, 64_000, True, False),
)


def list_models(after_id: str | None, limit: str) -> JsonObject:
    """A page of the list."""
    first = next((index for index, row in enumerate(_MODELS) if row[0] == after_id), -1) + 1
    rows = _MODELS[first:][: int(limit) if limit.isdigit() else len(_MODELS)]
    return {
        "data": [describe_model(row[0]) for row in rows],
        "has_more": first + len(rows) < len(_MODELS),
        "first_id": rows[0][0] if rows else None,
        "last_id": rows[-1][0] if rows else None,
    }


def describe_model(name: str) -> JsonObject:
    """One model; raises RefusalError for an unknown one."""
    found = next((row for row in _MODELS if row[0] == name or _short(row[0]) == name), None)
    if found is None:
        raise refuse(404, f"model: {name}")
    id_, title, created, input_limit, output_limit, takes_budget, is_adaptive = found
    yes: JsonObject = {"supported": True}
    capabilities: JsonObject = dict.fromkeys(
        ("batch", "citations", "code_execution", "image_input", "pdf_input", "structured_outputs"), yes
    )
    types: JsonObject = {"enabled": {"supported": takes_budget}, "adaptive": {"supported": is_adaptive}}
    capabilities["thinking"] = {"supported": True, "types": types}
    return {
        "type": "model",
        "id": id_,
        "display_name": title,
        "created_at": created,
        "max_input_tokens": input_limit,
        "max_tokens": output_limit,
        "capabilities": capabilities,
    }


def check_thinking_kind(model: str, kind: str) -> None:
    """Raise RefusalError where a known model does not think in the way it is asked to."""
    known = next((row for row in _MODELS if model in (row[0], _short(row[0]))), None)
    if known is None:
        return
    if kind == "enabled" and not known[5]:
        text = (
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and '
            '"output_config.effort" to control thinking behavior.'
        )
        raise refuse(400, text)
    if kind == "adaptive" and not known[6]:
        raise refuse(400, "adaptive thinking is not supported on this model")


def _short(name: str) -> str:
    # Models may be asked for without their date.
    head, _, date = name.rpartition("-")
    return head if len(date) == 8 and date.isdigit() else name
