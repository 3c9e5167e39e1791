"""What each Claude takes, held to the provider's own list where it tells."""

import json
from typing import Any

import pytest

from dipeo.domain.model import ModelCapabilities
from dipeo.domain.sampling import ReasoningEffort
from dipeo.domain.tools import ProviderTool, SchemaMode
from dipeo.infrastructure.llm.adapters._claude_models import (
    NEWEST,
    UNKNOWN,
    capabilities_of,
    generation_of,
    thinks_as_it_sees_fit,
)
from tests.recordings import insist_or_skip, recordings

LEVELS = ("low", "medium", "high", "xhigh", "max")


@pytest.mark.parametrize(
    ("model", "generation"),
    [
        ("claude-instant-1.2", (1, 2)),
        ("claude-2.1", (2, 1)),
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-3-5-sonnet-latest", (3, 5)),
        ("claude-3-7-sonnet-20250219", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-haiku-4-5", (4, 5)),
        ("claude-sonnet-5", (5, 0)),
        ("claude-mythos-5-2", (5, 2)),
        ("claude-opus-10-12", (10, 12)),
        ("claude-mythos-preview", NEWEST),
        ("some-model", UNKNOWN),
    ],
)
def test_a_name_tells_its_generation(model: str, generation: tuple[int, int]) -> None:
    """In the old order and the new one, and never a date for a number."""
    assert generation_of(model) == generation


@pytest.mark.recordings
def test_what_a_model_takes_is_what_the_provider_lists() -> None:
    """Each model of the recorded list takes what it says there, and none is asked for more."""
    insist_or_skip()
    (listed,) = (each for each in recordings("models") if each.provider == "anthropic")
    models: list[dict[str, Any]] = json.loads(listed.body)["data"]
    assert len(models) == 11
    for model in models:
        capabilities, said = capabilities_of(model["id"]), model["capabilities"]
        assert _as_listed(capabilities) == {
            "effort": {level for level in LEVELS if said["effort"][level]["supported"]},
            "structured_outputs": said["structured_outputs"]["supported"],
            "image_input": said["image_input"]["supported"],
            "pdf_input": said["pdf_input"]["supported"],
            "code_execution": said["code_execution"]["supported"],
            "enabled": said["thinking"]["types"]["enabled"]["supported"],
        }, model["id"]
        assert thinks_as_it_sees_fit(model["id"]) is said["thinking"]["types"]["adaptive"]["supported"]
        assert capabilities.takes_tools


def _as_listed(capabilities: ModelCapabilities) -> dict[str, Any]:
    return {
        "effort": {effort.value for effort in capabilities.efforts - {ReasoningEffort.NONE}},
        "structured_outputs": capabilities.schema_mode is SchemaMode.NATIVE,
        "image_input": capabilities.takes_images,
        "pdf_input": capabilities.takes_documents,
        "code_execution": ProviderTool.CODE_EXECUTION in capabilities.provider_tools,
        "enabled": capabilities.takes_reasoning_budget,
    }
