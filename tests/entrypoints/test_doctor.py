"""`dipeo doctor`."""

from __future__ import annotations

from dipeo.testing import ProviderSimulator
from tests.entrypoints.command_line import CANARY, CommandLine


def test_services_that_answer(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Every service with a key is asked for its models; keys are shown as fingerprints, foreign variables named."""
    done = cli.given(OPENAI_BASE_URL="https://else.where/secret").run("doctor", "--json")
    assert done.code == 0
    services = {service["service"]: service for service in done.json["services"]}
    assert {name for name, service in services.items() if service["is_usable"]} == {
        "openai", "anthropic", "google", "ollama",
    }  # fmt: skip
    assert len(services["openai"]["key_fingerprint"]) == 12
    assert services["openai"]["latency_ms"] > 0
    assert "GROQ_API_KEY" in services["groq"]["hint"]
    assert services["openai_compatible"]["status"] == 401
    assert "DIPEO_OPENAI_COMPATIBLE_API_KEY" in services["openai_compatible"]["hint"]
    assert done.json["versions"].keys() == {"dipeo", "Python", "aiohttp"}
    assert any("OPENAI_BASE_URL" in warning for warning in done.json["warnings"])
    assert "else.where" not in done.out
    assert {request.method for request in simulator.requests} == {"GET"}


def test_it_says_what_calls_go_over(cli: CommandLine) -> None:
    """The wire of each service, and the interface of those that have two; for people in one column."""
    chosen = cli.given(DIPEO_OPENAI_API="responses", DIPEO_ANTHROPIC_WIRE="sdk")
    services = {service["service"]: service for service in chosen.run("doctor", "--json").json["services"]}
    over = {name: (service["wire"], service["api"]) for name, service in services.items()}
    assert over["openai"] == ("http", "responses")
    assert over["openai_compatible"] == ("http", "chat")
    assert over["anthropic"] == ("sdk", None)
    assert "http, responses" in " ".join(chosen.given(COLUMNS="200").run("doctor").out.split())


def test_nothing_can_be_used(offline: CommandLine, simulator: ProviderSimulator) -> None:
    """A malformed key, an unsafe address and a wrong one are each said; without a usable service the code is 3."""
    cli = offline.given(
        OPENAI_API_KEY=f"{CANARY}\n",
        ANTHROPIC_API_KEY=CANARY,
        DIPEO_ANTHROPIC_BASE_URL="http://anthropic.example",
        GROQ_API_KEY=CANARY,
        DIPEO_GROQ_BASE_URL=f"{simulator.base_urls['groq']}/wrong",
        DIPEO_OLLAMA_BASE_URL="http://127.0.0.1:9",
    )
    done = cli.run("doctor")
    assert done.code == 3
    for words in ("not usable", "plain http", "status 404", "Start Ollama", "Settings: base directory"):
        assert words in done.out, words


def test_simulator_is_examined_too(offline: CommandLine) -> None:
    """With --on simulator every service answers, and the first line says who does."""
    done = offline.run("doctor", "--on", "simulator")
    assert done.code == 0
    assert done.out.startswith("Simulated: ")
    assert done.out.count("answers in") == 10
