"""`dipeo conversation`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dipeo.domain.conversation import Conversation
from dipeo.domain.message import Message
from dipeo.domain.parts import ImagePart, TextPart, ToolCallPart
from tests.entrypoints.command_line import CommandLine

_WHEN = datetime(2026, 10, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def talk(offline: CommandLine) -> Path:
    """A saved conversation with a private message and a picture in it."""
    picture = (TextPart("Look: "), ImagePart(media_type="image/png", data=b"x"))
    conversation = Conversation(
        [
            Message(from_person_id="ada", content="Hello *all*.", created_at=_WHEN),
            Message(
                from_person_id="ada", to_person_id="boole", visibility=frozenset(), content="Psst.", created_at=_WHEN
            ),
            Message(from_person_id="the_boole", content=picture, created_at=_WHEN),
        ],
        id="talk-1",
    )
    path = offline.cwd / "talk.json"
    path.write_text(conversation.to_json())
    return path


def test_log_is_shown(offline: CommandLine, talk: Path) -> None:
    """Who said what to whom and when, private messages marked; --as shows what one person may see."""
    done = offline.run_here("conversation", "show", "talk.json")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "Conversation talk-1: 3 messages by ada, the_boole\n\n"
        "1. ada, 2026-10-01 12:30\nHello *all*.\n\n"
        "2. ada to boole, private (seen by ada, boole), 2026-10-01 12:30\nPsst.\n\n"
        "3. the_boole, 2026-10-01 12:30\nLook: [image/png]\n"
    )
    curie = offline.run_here("conversation", "show", "talk.json", "--as", "curie")
    assert "Psst." not in curie.out
    assert "2 of 3 messages" in curie.out
    assert "Nobody in this conversation is called 'curie'" in curie.err
    shown = offline.run_here("conversation", "show", "talk.json", "--as", "boole", "--json")
    assert shown.err == ""
    assert [(message["number"], message["is_private"]) for message in shown.json["messages"]] == [
        (1, False), (2, True), (3, False),
    ]  # fmt: skip


def test_fork_is_a_new_conversation(offline: CommandLine, talk: Path) -> None:
    """It begins with what was said, or its first messages, and knows where it comes from; the old one stays."""
    before = talk.read_text()
    done = offline.run_here("conversation", "fork", "talk.json", "new.json", "--at", "2")
    assert (done.code, done.out, done.err) == (0, "", "Saved 2 messages to new.json.\n")
    forked = _read(offline.cwd / "new.json")
    assert (forked.forked_from, forked.id == "talk-1") == ("talk-1", False)
    assert forked.messages == _read(talk).messages[:2]
    assert talk.read_text() == before
    refused = offline.run_here("conversation", "fork", "talk.json", "new.json")
    assert (refused.code, "--force" in refused.err) == (2, True)
    assert offline.run_here("conversation", "fork", "talk.json", "new.json", "--force").code == 0
    assert len(_read(offline.cwd / "new.json")) == 3


def test_conversation_is_exported(offline: CommandLine, talk: Path) -> None:
    """As Markdown, text, JSON and JSON lines; to stdout, or to a file for its owner alone."""
    markdown = offline.run_here("conversation", "export", "talk.json")
    assert markdown.out.startswith("# Conversation talk-1\n\n**ada**\n\nHello *all*.\n\n**ada to boole, private")
    assert "**the\\_boole**" in markdown.out
    text = offline.run_here("conversation", "export", "talk.json", "--format", "text", "--as", "curie")
    assert text.out == "ada: Hello *all*.\n\nthe_boole: Look: [image/png]\n"
    assert offline.run_here("conversation", "export", "talk.json", "--format", "json").out == talk.read_text()
    lines = offline.run_here("conversation", "export", "talk.json", "--format", "jsonl").json_lines
    assert lines == json.loads(talk.read_text())["messages"]
    written = offline.run_here("conversation", "export", "talk.json", "-o", "talk.md")
    assert (written.code, written.out, written.err) == (0, "", "Wrote talk.md.\n")
    file = offline.cwd / "talk.md"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (markdown.out, 0o600)
    assert offline.run_here("conversation", "export", "talk.json", "-o", "talk.md").code == 2
    assert offline.run_here("conversation", "export", "talk.json", "-o", "talk.md", "--force").code == 0


def test_one_persons_part_is_no_whole(offline: CommandLine, talk: Path) -> None:
    """What one person may see is exported as a conversation of its own, which cannot pass for the whole."""
    done = offline.run_here("conversation", "export", "talk.json", "--format", "json", "--as", "the_boole")
    part = Conversation.from_json(done.out)
    assert (len(part), part.forked_from, part.id == "talk-1") == (2, "talk-1", False)


def test_bad_input(offline: CommandLine, talk: Path) -> None:
    """Files that are no conversations, places that are none, and numbers that are not there end with 2."""
    (offline.cwd / "broken.json").write_text("{}")
    (offline.cwd / "binary.json").write_bytes(b"\xff")
    cases = [
        ("show", "missing.json"),
        ("show", "broken.json"),
        ("show", "binary.json"),
        ("show", "."),
        ("show", "talk.json", "--as", ""),
        ("fork", "talk.json", "new.json", "--at", "0"),
        ("fork", "talk.json", "new.json", "--at", "4"),
        ("fork", "talk.json", "nowhere/new.json"),
        ("export", "talk.json", "--format", "pdf"),
        ("export", "talk.json", "-o", "."),
    ]
    for arguments in cases:
        done = offline.run_here("conversation", *arguments)
        assert (done.code, done.out) == (2, ""), arguments
    error = offline.run_here("conversation", "show", "missing.json", "--json").json["error"]
    assert error["field"] == "file"


def test_tools_and_nobody_are_shown(offline: CommandLine) -> None:
    """A call of a tool is named, and a conversation of nobody is one."""
    call = (ToolCallPart(call_id="1", name="look_up", arguments={}),)
    empty, calls = Conversation(id="empty"), Conversation([Message(from_person_id="ada", content=call)])
    for name, conversation in (("empty.json", empty), ("calls.json", calls)):
        (offline.cwd / name).write_text(conversation.to_json())
    assert offline.run_here("conversation", "show", "empty.json").out == "Conversation empty: 0 messages by nobody\n"
    assert "[calls the tool look_up]" in offline.run_here("conversation", "export", "calls.json").out


def _read(path: Path) -> Conversation:
    return Conversation.from_json(path.read_text())
