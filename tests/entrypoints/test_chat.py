"""`dipeo chat`."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time

from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.entrypoints.command_line import CommandLine


def test_lines_that_are_piped_in_are_turns(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Each line is a turn of one conversation; commands are not sent, and /quit ends it."""
    simulator.script("openai", Reply("One."), Reply("Two."))
    lines = "First\n\n/nonsense\n/save half.json\nSecond\n/quit\nThird\n"
    done = cli.run("chat", "--person", "ada.md", "--as", "eve", "--save", "talk.json", stdin=lines)
    assert (done.code, done.out) == (0, "Ada Lovelace: One.\nAda Lovelace: Two.\n")
    assert "no command '/nonsense'" in done.err
    assert [message.text for message in simulator.requests[1].messages][-3:] == ["First", "One.", "Second"]
    assert len(_saved(cli, "half.json")) == 2
    assert [message["from_person_id"] for message in _saved(cli, "talk.json")] == ["eve", "ada", "eve", "ada"]


def test_failure_ends_a_piped_chat_and_saves_it(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Nobody is there to try again: the code says what happened, and the file has what was said."""
    simulator.script("openai", Fault(status=500))
    done = cli.run("chat", "-p", "ada.md", "--save", "talk.json", stdin="First\nSecond\n")
    assert done.code == 4
    assert len(simulator.requests) == 1
    assert len(_saved(cli, "talk.json")) == 1
    assert cli.run("chat", "-p", "ada.md", "--as", "ada", stdin="Hi").code == 2


def test_lines_that_are_no_text_are_refused(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Nothing is sent that nobody wrote; what was said before is saved."""
    simulator.script("openai", Reply("One."))
    done = cli.run("chat", "-p", "ada.md", "--save", "talk.json", stdin=b"First\nSec\xffond\n")
    assert (done.code, "half characters" in done.err or "surrogate" in done.err) == (2, True), done.err
    assert "Saved 2 messages" in done.err
    assert len(simulator.requests) == 1


def test_interrupt_stops_the_answer_and_keeps_the_chat(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """At a terminal Ctrl-C ends an answer alone; the persona remembers how far it came."""
    simulator.script("openai", Fault.hang(after_chunks=2, reply=Reply("Never finished at all.")), Reply("Well."))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dipeo", "chat", "-p", "ada.md"],
        cwd=cli.cwd,
        env={"PATH": os.environ["PATH"], "TERM": "dumb", "LC_ALL": "C.UTF-8", **cli.variables},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    terminal = _Terminal(ours)
    try:
        terminal.wait_for("you> ")
        terminal.type("Go on\n")
        terminal.wait_for("Never finished")
        process.send_signal(signal.SIGINT)
        terminal.wait_for("(stopped)")
        terminal.wait_for("you> ")
        terminal.type("And now?\n")
        terminal.wait_for("Well.")
        terminal.wait_for("you> ")
        terminal.type("\x04")
        assert process.wait(10) == 0
    finally:
        process.kill()
        os.close(ours)
    assert "Traceback" not in terminal.seen
    assert [message.text for message in simulator.requests[1].messages][-3:] == [
        "Go on", "Never finished", "And now?",
    ]  # fmt: skip


def _saved(cli: CommandLine, name: str) -> list[dict[str, str]]:
    messages: list[dict[str, str]] = json.loads((cli.cwd / name).read_text())["messages"]
    return messages


class _Terminal:
    """Our end of a pseudo terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._unread = ""
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def wait_for(self, words: str) -> None:
        end_s = time.monotonic() + 10
        while words not in self._unread:
            assert time.monotonic() < end_s, self.seen
            text = os.read(self._descriptor, 1000).decode(errors="replace")
            self._unread += text
            self.seen += text
        self._unread = self._unread.partition(words)[2]
