"""The models of a local Ollama, and what each of them can do."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import refuse
from dipeo.testing.simulator.json_value import JsonObject, JsonValue

# Each with its family, the number of its parameters and what it can do.
_MODELS = (
    ("llama3.2:latest", "llama", "3.2B", ("completion", "tools")),
    ("gemma3:1b", "gemma3", "999.89M", ("completion",)),
    ("qwen3:8b", "qwen3", "8.2B", ("completion", "tools", "thinking")),
    ("nomic-embed-text:latest", "nomic-bert", "137M", ("embedding",)),
)
_CONTEXT_TOKENS = 131_072


def list_models() -> JsonObject:
    """What `/api/tags` says."""
    return {"models": [_model(name, family, size) for name, family, size, _abilities in _MODELS]}


def describe_model(name: str) -> JsonObject:
    """What `/api/show` says; raises RefusalError for an unknown model."""
    found = _find(name)
    if found is None:
        raise refuse(404, f"model '{name}' not found")
    full_name, family, size, abilities = found
    info: JsonObject = {"general.architecture": family, f"{family}.context_length": _CONTEXT_TOKENS}
    details = _model(full_name, family, size)["details"]
    named: list[JsonValue] = [*abilities]
    return {
        "modelfile": f"FROM {full_name}",
        "parameters": "",
        "template": "{{ .Prompt }}",
        "details": details,
        "model_info": info,
        "capabilities": named,
        "modified_at": "2026-11-01T09:00:00.000000Z",
    }


def check_abilities(name: str, *, tools: bool, thinking: bool) -> None:
    """Raise RefusalError where a known model cannot do what it is asked for."""
    found = _find(name)
    if found is None:
        return
    if tools and "tools" not in found[3]:
        raise refuse(400, f"registry.ollama.ai/library/{name} does not support tools")
    if thinking and "thinking" not in found[3]:
        raise refuse(400, f'"{name}" does not support thinking')


def _find(name: str) -> tuple[str, str, str, tuple[str, ...]] | None:
    full_name = name if ":" in name else f"{name}:latest"
    return next((model for model in _MODELS if model[0] == full_name), None)


def _model(name: str, family: str, size: str) -> JsonObject:
    return {
        "name": name,
        "model": name,
        "modified_at": "2026-11-01T09:00:00.000000Z",
        "size": 2_019_393_189,
        "digest": "a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72",
        "details": {
            "parent_model": "",
            "format": "gguf",
            "family": family,
            "families": [family],
            "parameter_size": size,
            "quantization_level": "Q4_K_M",
        },
    }
