"""What `dipeo ask` shows beside the text: where an answer comes from, and what the model thought."""

from __future__ import annotations

import json
import os
import pty

import pytest

from dipeo.testing import ProviderSimulator, Reply, SimulatedToolCall
from dipeo.testing.simulator import SimulatedCitation, SimulatedProviderTool
from tests.entrypoints.command_line import CommandLine

ANSWER = "The comet returns in 2061."
ALMANAC = SimulatedCitation(
    url="https://a.example/halley", title="The\x1b[31m [bold]Almanac", cited_text="2061.", end=10
)
UNNAMED = SimulatedCitation(url="https://b.example/next", title="", start=10, end=26)
SEARCH = SimulatedProviderTool(query="Halley", pages=(ALMANAC, UNNAMED))
FOUND = Reply(ANSWER, citations=(ALMANAC, UNNAMED, ALMANAC), provider_tools=(SEARCH,))
THINKING = Reply("No.", reasoning="Seven goes\x1b into it.")
ASK = ("ask", "Well?", "-m", "claude")

streamed_or_not = pytest.mark.parametrize("more", [(), ("--no-stream",)])


@streamed_or_not
def test_sources_stand_under_the_answer(cli: CommandLine, simulator: ProviderSimulator, more: tuple[str, ...]) -> None:
    """Each source has a number, its title and its address, once; nothing in them steers a terminal or a layout."""
    simulator.script("anthropic", FOUND)
    done = cli.run_here(*ASK, *more, "--provider-tool", "web_search")
    assert (done.code, done.out) == (
        0,
        f"{ANSWER}\n\nSources:\n1. The[31m [bold]Almanac https://a.example/halley\n2. https://b.example/next\n",
    )


def test_an_answer_without_sources_is_the_answer_alone(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """There is no empty list under it."""
    simulator.script("anthropic", Reply(ANSWER))
    assert cli.run_here(*ASK).out == f"{ANSWER}\n"


def test_sources_do_not_spoil_json(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Where stdout is an answer of a given shape, the list goes to stderr; with --json it is a field."""
    (cli.cwd / "any.json").write_text('{"type": "object"}', encoding="utf-8")
    shaped = Reply('{"year": 2061}', citations=(ALMANAC,), provider_tools=(SEARCH,))
    simulator.script("openai", shaped)
    simulator.script("anthropic", FOUND)
    in_shape = cli.run_here("ask", "When?", "-m", "openai", "--schema", "any.json", "--provider-tool", "web_search")
    assert json.loads(in_shape.out) == {"year": 2061}
    assert "Sources:\n1. The" in in_shape.err
    as_json = cli.run_here(*ASK, "--json").json
    assert {(each["url"], each["text"]) for each in as_json["citations"]} == {
        ("https://a.example/halley", "2061."),
        ("https://b.example/next", ""),
    }


@streamed_or_not
def test_thoughts_are_shown_where_they_are_wanted(
    cli: CommandLine, simulator: ProviderSimulator, more: tuple[str, ...]
) -> None:
    """Stdout gets the answer alone; the thoughts go to stderr, and only if they were asked for."""
    simulator.script("anthropic", THINKING, THINKING)
    silent = cli.run_here(*ASK, *more, "--reasoning-effort", "high")
    told = cli.run_here(*ASK, *more, "--reasoning-effort", "high", "--show-reasoning")
    assert silent.out == told.out == "No.\n"
    assert "Seven" not in silent.err
    assert told.err == "Thoughts: Seven goes into it.\n"


def test_thoughts_are_a_field_of_the_json(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """With --json they are there without another option, and not on stderr."""
    simulator.script("anthropic", THINKING)
    done = cli.run_here(*ASK, "--reasoning-effort", "high", "--show-reasoning", "--json")
    assert done.json["reasoning"] == "Seven goes\x1b into it."
    assert done.err == ""


def test_a_model_that_shows_no_thoughts_is_not_mistaken_for_a_slow_one(
    cli: CommandLine, simulator: ProviderSimulator
) -> None:
    """Who asked to see them is told that there are none."""
    simulator.script("anthropic", Reply("No."))
    done = cli.run_here(*ASK, "--show-reasoning")
    assert (done.out, done.err) == ("No.\n", "Note: The model showed nothing of its thinking.\n")


@streamed_or_not
def test_the_thoughts_of_every_answer_are_shown(
    cli: CommandLine, simulator: ProviderSimulator, more: tuple[str, ...]
) -> None:
    """With tools there are several: those before a call come before it."""
    (cli.cwd / "my_source_tools.py").write_text('def town() -> str:\n    """A town."""\n    return "Rome"\n')
    calls = Reply(reasoning="Which town?", tool_calls=[SimulatedToolCall("town", {})])
    simulator.script("anthropic", calls, Reply("Rome.", reasoning="That one."))
    arguments = ("--tool", "my_source_tools:town", "--reasoning-effort", "high", "--show-reasoning", *more)
    done = cli.run_here(*ASK, *arguments)
    assert done.out == "Rome.\n"
    assert done.err == "Thoughts: Which town?\nTool: town() done: Rome\nThoughts: That one.\n"


def test_a_terminal_gets_the_list_in_style(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """The heading stands out, and a title has no say in it."""
    simulator.script("anthropic", FOUND)
    ours, theirs = pty.openpty()
    process = cli.given(TERM="xterm").start(*ASK, "--provider-tool", "web_search", stdout=theirs)
    os.close(theirs)
    assert cli.finish(process).code == 0
    shown = os.read(ours, 4000).decode()
    os.close(ours)
    assert "\x1b[1mSources:" in shown
    assert "\x1b[31m" not in shown


def test_a_saved_conversation_names_what_is_no_text(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Thoughts, tools and sources are named in brackets, apart from the words."""
    simulator.script("anthropic", Reply(ANSWER, reasoning="Hm.", citations=(ALMANAC,), provider_tools=(SEARCH,)))
    prompt = "---\nname: Cyd\nmodel: claude\nreasoning_effort: high\n---\nYou are Cyd.\n"
    (cli.cwd / "cyd.md").write_text(prompt, encoding="utf-8")
    done = cli.run("chat", "--person", "cyd.md", "--save", "talk.json", stdin="When?\n")
    assert done.code == 0, done.err
    text = cli.run_here("conversation", "export", "talk.json", "--format", "text").out
    said = "[thoughts] [uses web_search] The comet [source: https://a.example/halley] returns in 2061."
    assert text == f"you: When?\n\ncyd: {said}\n"
    for kind in ("json", "jsonl"):
        as_heard = cli.run_here("conversation", "export", "talk.json", "--format", kind, "--as", "you").out
        assert "The comet" in as_heard
        assert "Hm." not in as_heard
        assert "Halley" not in as_heard
