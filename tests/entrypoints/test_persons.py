"""`dipeo persons`."""

from __future__ import annotations

import json
from pathlib import Path

from dipeo.domain.conversation import Conversation
from dipeo.domain.message import Message
from tests.entrypoints.command_line import PROMPTS, CommandLine


def test_prompt_files_are_listed(offline: CommandLine) -> None:
    """Name, model, service and description of each; one that is refused is listed with the reason."""
    done = offline.run_here("persons", "list", "--base-dir", str(PROMPTS.parent), "--json")
    assert done.code == 0
    ada = done.json["persons"][0]
    assert (ada["file"], ada["id"], ada["name"]) == ("prompts/ada.md", "ada", "Ada Lovelace")
    assert (ada["model"], ada["service"], ada["refusal"]) == ("gpt-5.4-mini", "openai", None)
    assert ada["description"]
    folder = offline.cwd
    (folder / "typo.md").write_text("---\nnmae: X\n---\nHi.")
    (folder / "text.txt").write_text("Only instructions.")
    (folder / "own.md").write_text("---\nmodel: some-model\nservice: groq\n---\nHi.")
    (folder / "away.md").symlink_to("/etc/hostname")
    (folder / "gone.md").symlink_to(folder / "nowhere")
    (folder / ".hidden.md").write_text("Hi.")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "folder.md").mkdir()
    mixed = {entry["file"]: entry for entry in offline.run_here("persons", "list", ".", "--json").json["persons"]}
    assert list(mixed) == ["ada.md", "away.md", "boole.md", "gone.md", "odd.md", "own.md", "text.txt", "typo.md"]
    assert "did you mean 'name'" in mixed["typo.md"]["refusal"]
    assert "outside" in mixed["away.md"]["refusal"]
    assert mixed["gone.md"]["refusal"]
    assert (mixed["own.md"]["service"], mixed["text.txt"]["model"]) == ("groq", None)
    words = offline.run_here("persons", "list", ".")
    assert words.code == 0
    assert "[red]Odd[/red]" in words.out
    assert "outside the base directory" in " ".join(words.out.split())


def test_folders_that_are_refused(offline: CommandLine) -> None:
    """A folder outside, or none, is bad input; an empty one is not."""
    for folder in ("..", "/", "missing", "ada.md"):
        assert offline.run_here("persons", "list", folder).code == 2, folder
    (offline.cwd / "empty").mkdir()
    done = offline.run_here("persons", "list", "empty")
    assert (done.code, done.out, done.err) == (0, "", "There is no prompt file in 'empty'.\n")


def test_person_is_shown(offline: CommandLine) -> None:
    """All that the file says: text, variables, sampling, memory, and where the model leads."""
    (offline.cwd / "host.md").write_text(
        "---\nname: Host\nmodel: claude\nfallbacks: [gemini, gpt-4.1]\ntemperature: 0.5\nstop: [END]\n"
        "memory: last 3 messages\nvariables:\n  topic:\n  tone: kind\n---\nTalk about {topic}, be {tone}."
    )
    words = offline.run_here("persons", "show", "host.md")
    assert (words.code, words.out.splitlines()) == (
        0,
        [
            "File: host.md",
            "Id: host",
            "Name: Host",
            "Model: claude (claude-sonnet-5-5 on anthropic)",
            "Fallbacks: gemini, gpt-4.1",
            "Sampling: temperature 0.5, stop ['END']",
            "Memory: last 3 messages",
            "Variable: topic, needs a value",
            "Variable: tone, 'kind' unless given",
            "",
            "Talk about {topic}, be {tone}.",
        ],
    )
    shown = offline.run_here("persons", "show", "host.md", "--json").json
    assert shown["fallbacks"] == ["gemini", "gpt-4.1"]
    assert shown["variables"] == {"topic": None, "tone": "kind"}
    assert (shown["sampling"]["temperature"], shown["memory"]) == (0.5, "last 3 messages")
    assert shown["target"] == {"service": "anthropic", "model": "claude-sonnet-5-5"}
    (offline.cwd / "alone.md").write_text("---\nfallbacks: []\n---\nBe brief.")
    assert "Fallbacks: none\n" in offline.run_here("persons", "show", "alone.md").out
    (offline.cwd / "bare.md").write_text("Be brief.")
    assert "Model: none" in offline.run_here("persons", "show", "bare.md").out
    for file in ("missing.md", "../host.md"):
        assert offline.run_here("persons", "show", file).code == 2


def test_person_is_rendered(offline: CommandLine) -> None:
    """What the person would be sent, in roles and names: their own words, the others', and nothing private."""
    talk = _talk(offline.cwd / "talk.json")
    done = offline.run_here(
        "persons", "render", "boole.md", "--conversation", str(talk), "--message", "And you?", "--json"
    )
    assert done.code == 0
    assert (done.json["service"], done.json["model"]) == ("anthropic", "claude-sonnet-5-5")
    assert [(said["role"], said["name"], said["content"]) for said in done.json["messages"][1:]] == [
        ("user", "ada", "Hello."),
        ("assistant", None, "Good day."),
        ("user", "ada", "For you alone."),
        ("user", "you", "And you?"),
    ]
    words = offline.run_here("persons", "render", "ada.md", "-m", "Hi")
    assert words.out == "[developer]\nYou are Ada Lovelace. Be brief.\n\n[user, you]\nHi\n"
    assert "For you alone." not in offline.run_here("persons", "render", "odd.md", "-c", str(talk)).out


def test_person_is_rendered_for_the_wire(offline: CommandLine) -> None:
    """With --wire it is the provider's JSON, without a key; adaptations are said beside it."""
    (offline.cwd / "warm.md").write_text("---\nmodel: claude\ntemperature: 1\n---\nBe warm.")
    done = offline.run_here("persons", "render", "warm.md", "-m", "Hi", "--wire")
    assert done.code == 0
    body = json.loads(done.out)
    assert (body["system"], body["messages"]) == ("Be warm.", [{"role": "user", "content": "you: Hi"}])
    assert done.err.startswith("Note: temperature was dropped")
    wire = offline.run_here("persons", "render", "warm.md", "-m", "Hi", "--wire", "--json").json["wire"]
    assert (wire["url"], wire["body"]) == ("https://api.anthropic.com/v1/messages", body)


def test_nothing_to_render(offline: CommandLine) -> None:
    """Nothing to answer, a person without a model, a variable without a value and broken files are bad input."""
    (offline.cwd / "bare.md").write_text("Be brief.")
    (offline.cwd / "you.md").write_text("---\nmodel: openai\n---\nBe me.")
    (offline.cwd / "open.md").write_text("---\nmodel: openai\nvariables: {topic: }\n---\nOn {topic}.")
    (offline.cwd / "broken.json").write_text("{}")
    cases = [
        ("ada.md",),
        ("bare.md", "-m", "Hi"),
        ("you.md", "-m", "Hi"),
        ("open.md", "-m", "Hi"),
        ("ada.md", "-c", "broken.json"),
        ("ada.md", "-c", "missing.json"),
    ]
    for arguments in cases:
        done = offline.run_here("persons", "render", *arguments, "--json")
        assert (done.code, done.json.keys()) == (2, {"error"}), arguments


def _talk(path: Path) -> Path:
    talk = Conversation()
    talk.append(Message(from_person_id="ada", content="Hello."))
    talk.append(Message(from_person_id="boole", content="Good day."))
    talk.append(Message.private(from_person_id="ada", to_person_id="boole", content="For you alone."))
    talk.append(Message.private(from_person_id="ada", to_person_id="curie", content="Not for Boole."))
    path.write_text(talk.to_json())
    return path
