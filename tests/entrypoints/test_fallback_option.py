"""`--fallback`, and prompt files with fallbacks, on the command line."""

import pytest

from dipeo.testing import Fault, ProviderSimulator
from tests.entrypoints.command_line import CommandLine

NOT_THERE = Fault(status=404)


@pytest.fixture
def patient(cli: CommandLine) -> CommandLine:
    """There are attempts for two fallbacks."""
    return cli.given(DIPEO_LLM_MAX_RETRIES="3")


def test_the_next_model_answers_the_question(patient: CommandLine, simulator: ProviderSimulator) -> None:
    """In the order in which they are named, and the reader is told."""
    simulator.script("openai", NOT_THERE)
    simulator.script("anthropic", NOT_THERE)
    done = patient.run_here("ask", "Hi", "-m", "openai", "--fallback", "claude", "--fallback", "gemini", "--json")
    assert done.code == 0
    assert [request.service for request in simulator.requests] == ["openai", "anthropic", "google"]
    assert done.json["service"] == "google"
    assert any("went on to anthropic" in note for note in done.json["notes"])


def test_the_persona_speaks_through_the_next_model(patient: CommandLine, simulator: ProviderSimulator) -> None:
    """An option goes before the prompt file, which is asked where there is none."""
    (patient.cwd / "careful.md").write_text("---\nmodel: openai\nfallbacks: [gemini]\n---\nBe careful.")
    for arguments, answers in (((), "google"), (("--fallback", "claude"), "anthropic")):
        simulator.script("openai", NOT_THERE)
        done = patient.run_here("chat", "-p", "careful.md", *arguments, stdin="Hi\n")
        assert done.code == 0
        assert "went on to" in done.err
        assert simulator.requests[-1].service == answers


def test_a_dialogue_tells_who_answered(patient: CommandLine, simulator: ProviderSimulator) -> None:
    """Service and model of each turn, of the heading that follows and of the sums are those of who spoke."""
    arguments = ("converse", "ada.md", "odd.md", "--topic", "Rain", "--turns", "3", "--fallback", "claude")
    simulator.script("openai", NOT_THERE, NOT_THERE)
    first, *_, summary = patient.run_here(*arguments, "--json").json_lines
    ada = summary["persons"][0]
    assert (first["service"], ada["service"], ada["model"]) == ("anthropic", "anthropic", first["model"])
    simulator.script("openai", NOT_THERE, NOT_THERE)
    words = patient.run_here(*arguments).out.splitlines()
    headings = [line for line in words if line.startswith("Ada Lovelace  ")]
    assert headings[0] == "Ada Lovelace  openai, gpt-5.4-mini"
    assert headings[1].startswith("Ada Lovelace  anthropic, claude-")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask", "Hi", "-m", "openai"),
        ("chat", "-p", "ada.md"),
        ("converse", "ada.md", "odd.md", "--topic", "Rain", "--turns", "1"),
    ],
)
def test_who_may_answer_is_said_first(
    arguments: tuple[str, ...], offline: CommandLine, simulator: ProviderSimulator
) -> None:
    """With --on auto a fallback without a key would be simulated, and one that nobody knows is refused at once."""
    cli = offline.given(OPENAI_API_KEY="sk-real", DIPEO_OPENAI_BASE_URL=simulator.base_urls["openai"])
    done = cli.run_here(*arguments, "--fallback", "claude", "--on", "auto", stdin="Hi\n")
    assert done.code == 0
    assert "Live: openai. Simulated: " in done.out + done.err
    assert "anthropic" in done.out + done.err
    asked = len(simulator.requests)
    unknown = cli.run_here(*arguments, "--fallback", "no-such-model", "--on", "auto", stdin="Hi\n")
    assert (unknown.code, unknown.out, len(simulator.requests)) == (2, "", asked)
    assert "the fallback 'no-such-model'" in unknown.err


def test_explain_names_the_fallbacks(offline: CommandLine) -> None:
    """What would be asked next is part of what is explained, in words and as JSON."""
    arguments = ("ask", "Hi", "-m", "openai", "--fallback", "claude", "--explain")
    assert "Fallback: claude-sonnet-5-5 on anthropic\n" in offline.run_here(*arguments).out
    (request,) = offline.run_here(*arguments, "--json").json["requests"]
    assert request["fallbacks"] == [{"service": "anthropic", "model": "claude-sonnet-5-5"}]
