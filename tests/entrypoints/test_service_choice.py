"""Who answers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.service_choice import On, SimulatedKeys, backend_on
from dipeo.testing import FakeKeys


def test_simulator_never_sees_a_real_key() -> None:
    """A simulated service gets a made-up key whatever the id; the others get their own."""
    real = FakeKeys({"team": "sk-real"}, services=[LLMService.OPENAI])
    keys = SimulatedKeys(real, frozenset({LLMService.ANTHROPIC}))
    team, usual = keys.find(LLMService.ANTHROPIC, "team"), keys.find(LLMService.OPENAI)
    assert team is not None
    assert team.reveal() == "sk-fake-anthropic"
    assert usual == real.find(LLMService.OPENAI)


def test_auto_counts_what_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A key, even a malformed one, or an address for Ollama makes a service live."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a")
    monkeypatch.setenv("GROQ_API_KEY", "sk-b\n")
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:11434")
    with backend_on(On.AUTO) as backend:
        live = {service for service in LLMService if backend.mode_of(service) == "live"}
        assert live == {LLMService.OPENAI, LLMService.GROQ, LLMService.OLLAMA}
        assert backend.settings.base_urls[LLMService.OPENAI] == "https://api.openai.com/v1"
        assert backend.settings.base_urls[LLMService.XAI].startswith("http://127.0.0.1:")
