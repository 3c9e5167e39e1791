"""`dipeo converse`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from dipeo.domain.conversation import Conversation
from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.entrypoints.command_line import PROMPTS, CommandLine


def test_personas_that_ship_talk_without_keys(offline: CommandLine) -> None:
    """The three personas speak in turn over the embedded simulator, which is said first, and a table sums it up."""
    files = ("ada.md", "boole.md", "curie.md")
    done = offline.run(
        "converse", *files, "--topic", "Can a machine [originate] anything?", "--turns", "6", "--on", "simulator",
        "--base-dir", str(PROMPTS),
    )  # fmt: skip
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("Simulated: ")
    assert lines[1] == "Topic: Can a machine [originate] anything?"
    assert done.out.count("Ada Lovelace  openai, gpt-5.4-mini") == 2
    for name, model in (("Ada Lovelace", "gpt-5.4-mini"), ("George Boole", "claude-sonnet-5-5")):
        row = next(line.split() for line in lines if line.strip().startswith(name) and line.rstrip().endswith("ms"))
        assert row[3:5] == [model, "2"]
    assert lines[-2].split()[:2] == ["All", "6"]
    assert "\x1b" not in done.out


def test_json_lines(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """With --json every turn is an object, and so is the summary at the end; markup in a name is only text."""
    simulator.script("openai", Reply("First.", input_tokens=10, output_tokens=2))
    done = cli.run_here("converse", "ada.md", "odd.md", "--topic", "Rain", "--turns", "2", "--json")
    assert done.code == 0
    first, second, summary = done.json_lines
    assert (first["event"], first["number"], first["person_id"], first["text"]) == ("turn", 1, "ada", "First.")
    assert (first["model"], first["usage"]["output_tokens"], first["mode"]) == ("gpt-5.4-mini", 2, "live")
    assert second["name"] == "[red]Odd[/red]"
    assert summary["event"] == "summary"
    assert [person["turns"] for person in summary["persons"]] == [1, 1]
    words = cli.run_here("converse", "odd.md", "--topic", "Rain", "--turns", "1")
    assert words.out.count("[red]Odd[/red]") == 2


def test_auto_says_who_is_live(offline: CommandLine, simulator: ProviderSimulator) -> None:
    """A service whose key is found answers for real; the others are simulated, and said to be."""
    cli = offline.given(OPENAI_API_KEY="sk-canary-real", DIPEO_OPENAI_BASE_URL=simulator.base_urls["openai"])
    done = cli.run_here("converse", "ada.md", "boole.md", "--topic", "Rain", "--turns", "2", "--on", "auto")
    assert done.code == 0
    assert done.out.startswith("Live: openai. Simulated: anthropic")
    rows = [line.split() for line in done.out.splitlines() if line.rstrip().endswith(" ms")]
    modes = [row[4] for row in rows if row[0] != "All"]
    assert modes == ["live", "simulated"]
    assert [request.service for request in simulator.requests] == ["openai"]


def test_keys_are_looked_for_before_anybody_speaks(offline: CommandLine, simulator: ProviderSimulator) -> None:
    """A missing key names the person, the variable and the way out, and nothing was asked."""
    cli = offline.given(OPENAI_API_KEY="sk-real", DIPEO_OPENAI_BASE_URL=simulator.base_urls["openai"])
    done = cli.run("converse", "ada.md", "boole.md", "--topic", "Rain", "--save", "talk.json")
    assert (done.code, done.out, simulator.requests) == (3, "", ())
    for word in ("George Boole", "ANTHROPIC_API_KEY", "--on simulator"):
        assert word in done.err
    assert not (cli.cwd / "talk.json").exists()


def test_what_was_said_is_saved_when_a_turn_fails(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """A failure half-way loses nothing, and the conversation goes on from the file with whoever is next."""
    simulator.script("openai", Reply("Said."))
    simulator.script("anthropic", Fault(status=429))
    failed = cli.run_here("converse", "ada.md", "boole.md", "--topic", "Rain", "--save", "talk.json")
    assert failed.code == 5
    assert "Said." in failed.out
    talk = cli.cwd / "talk.json"
    assert _spoken(talk) == [("moderator", "Rain"), ("ada", "Said.")]
    assert cli.run_here("converse", "ada.md", "--topic", "Sun", "--save", "talk.json").code == 2
    arguments = ("--load", "talk.json", "--save", "talk.json", "--turns", "1")
    assert cli.run_here("converse", "ada.md", "boole.md", *arguments).code == 0
    assert [speaker for speaker, _ in _spoken(talk)] == ["moderator", "ada", "boole"]
    assert (
        cli.run_here("converse", "ada.md", "--topic", "Sun", "--turns", "1", "--save", "talk.json", "--force").code == 0
    )
    assert [speaker for speaker, _ in _spoken(talk)] == ["moderator", "ada"]


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [(signal.SIGINT, 130, True), (signal.SIGTERM, 143, False), (signal.SIGHUP, 129, False)],
)
def test_whoever_ends_it_saves_what_was_said(
    cli: CommandLine, simulator: ProviderSimulator, number: signal.Signals, code: int, *, told: bool
) -> None:
    """Ctrl-C, a closed terminal and a polite `kill` leave the summary of the turns that were, and the file."""
    simulator.script("openai", Reply("Said."))
    simulator.script("anthropic", Fault.hang(after_chunks=1, reply=Reply("Never finished.")))
    process = cli.start("converse", "ada.md", "boole.md", "--topic", "Rain", "--save", "talk.json")
    assert process.stdout is not None
    seen = b""
    while b"Never" not in seen:
        seen += process.stdout.read1(1000)  # type: ignore[attr-defined]  # a pipe to a process is buffered
    process.send_signal(number)
    done = cli.finish(process)
    assert done.code == code
    assert ("Interrupted." in done.err) is told
    assert "Mean" in done.out
    assert _spoken(cli.cwd / "talk.json") == [("moderator", "Rain"), ("ada", "Said.")]


def test_reader_that_goes_away_ends_it_quietly(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """A broken pipe ends the dialogue at once, whether it is noticed by a table, a name or a word."""
    simulator.script("openai", Reply("word " * 2000, chunk_delay_s=0.001))
    process = cli.start("converse", "ada.md", "--topic", "Rain", "--save", "talk.json")
    assert process.stdout is not None
    assert process.stdout.read(6) == b"Topic:"
    process.stdout.close()
    process.stdout = None
    done = cli.finish(process)
    assert (done.code, done.err) == (141, "Saved 1 message to talk.json.\n")


def test_a_conversation_is_saved_where_it_can_be_and_in_nothing_elses_place(
    cli: CommandLine, simulator: ProviderSimulator
) -> None:
    """What cannot be written is found before anybody is asked; a link stays, and what it points at is replaced."""
    os.mkfifo(cli.cwd / "pipe")
    said = ("converse", "ada.md", "--topic", "Rain", "--turns", "1", "--force", "--save")
    for place, words in (("pipe", "is no file"), (".", "is a directory"), ("nowhere/talk.json", "'nowhere'")):
        done = cli.run_here(*said, place)
        assert (done.code, words in done.err) == (2, True), done.err
    assert not simulator.requests
    (cli.cwd / "link.json").symlink_to("talk.json")
    for _ in range(2):
        assert cli.run_here(*said, "link.json").code == 0
        assert (cli.cwd / "link.json").readlink() == Path("talk.json")
        assert _spoken(cli.cwd / "talk.json")[0] == ("moderator", "Rain")
    (cli.cwd / "loop.json").symlink_to("loop.json")
    assert cli.run_here(*said, "loop.json").code == 0
    assert _spoken(cli.cwd / "loop.json")[0] == ("moderator", "Rain")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_found_first(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Nobody pays for turns that are then lost."""
    (cli.cwd / "closed").mkdir(mode=0o500)
    done = cli.run_here("converse", "ada.md", "--topic", "Rain", "--save", "closed/talk.json")
    assert (done.code, "nothing may be written" in done.err, len(simulator.requests)) == (2, True, 0)


def test_bad_input(cli: CommandLine) -> None:
    """What cannot be a conversation is refused with code 2 before anything is asked."""
    (cli.cwd / "moderator.md").write_text("---\nmodel: gpt-5.4-mini\n---\nYou moderate.")
    (cli.cwd / "broken.json").write_text("{}")
    cases: list[tuple[str, ...]] = [
        ("ada.md",),
        ("ada.md", "--topic", "Rain", "--turns", "0"),
        ("ada.md", "ada.md", "--topic", "Rain"),
        ("moderator.md", "--topic", "Rain"),
        ("../ada.md", "--topic", "Rain"),
        ("nobody.md", "--topic", "Rain"),
        ("ada.md", "--load", "broken.json"),
        ("ada.md", "--load", "missing.json"),
        ("ada.md", "--topic", "Rain", "--save", "nowhere/talk.json"),
    ]
    for arguments in cases:
        done = cli.run_here("converse", *arguments, "--json")
        assert done.code == 2, arguments
        assert done.json_lines[-1]["error"]["http_status"] == 400


def _spoken(path: Path) -> list[tuple[str, str]]:
    conversation = Conversation.from_json(path.read_text())
    assert json.loads(path.read_text())["format"] == "dipeo.conversation"
    return [(message.from_person_id, message.text) for message in conversation]
