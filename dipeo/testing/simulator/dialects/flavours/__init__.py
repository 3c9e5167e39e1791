"""The services that speak chat completions with an accent, one file each."""

from __future__ import annotations

from dipeo.testing.simulator.dialects.flavour import Flavour
from dipeo.testing.simulator.dialects.flavours._reasoning import reasoning_content, reasoning_content_delta
from dipeo.testing.simulator.dialects.flavours.deepseek import DEEPSEEK
from dipeo.testing.simulator.dialects.flavours.groq import GROQ
from dipeo.testing.simulator.dialects.flavours.mistral import MISTRAL
from dipeo.testing.simulator.dialects.flavours.openrouter import OPENROUTER
from dipeo.testing.simulator.dialects.flavours.xai import XAI

_SELF_HOSTED = Flavour(
    service="openai_compatible",
    owner="local",
    models=("local-model", "local-model-small"),
    reasoning=reasoning_content,
    reasoning_delta=reasoning_content_delta,
    embedding_models={"local-embedding": 768},
    has_responses=True,
)

FLAVOURS: tuple[Flavour, ...] = (XAI, GROQ, MISTRAL, DEEPSEEK, OPENROUTER, _SELF_HOSTED)
