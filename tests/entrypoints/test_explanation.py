"""`--explain`: what would be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.explanation import CapturingModel
from dipeo.entrypoints.cli.main import app
from dipeo.testing import ProviderSimulator
from tests.entrypoints.command_line import CANARY, CommandLine

_ASKED = (
    ("-m", "openai", "--seed", "7", "--stop", "END"),
    ("-m", "claude", "--max-tokens", "50", "--system", "Be kind."),
    ("-m", "gemini", "--temperature", "0.5", "--no-stream"),
    ("-m", "some-model", "--service", "ollama", "--temperature", "0"),
    ("-m", "some-model", "--service", "openai_compatible", "--no-stream"),
)


def test_what_is_explained_is_what_is_sent(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Address, headers and body of the explanation are those of the request, and the explanation sends none."""
    keyed = cli.given(DIPEO_OPENAI_COMPATIBLE_API_KEY=CANARY)
    explained: list[tuple[str, Any]] = []
    for arguments in _ASKED:
        done = keyed.run_here("ask", "Gr\u00fc\u00df Gott", *arguments, "--explain")
        assert done.code == 0
        assert done.err == "Nothing was sent.\n"
        as_json = keyed.run_here("ask", "Gr\u00fc\u00df Gott", *arguments, "--explain", "--json").json
        assert (as_json["is_sent"], len(as_json["requests"])) == (False, 1)
        explained.append((done.out, as_json["requests"][0]))
    assert not list(simulator.requests)
    for arguments in _ASKED:
        assert keyed.run_here("ask", "Gr\u00fc\u00df Gott", *arguments, "--json").code == 0
    sent = {request.service: request for request in simulator.requests}
    assert len(sent) == len(_ASKED)
    for words, request in explained:
        real = sent[request["service"]]
        assert request["body"] == real.body
        assert urlsplit(request["url"]).path == f"/{real.service}{real.path}"
        assert {name.lower(): value for name, value in request["headers"].items()}.items() <= real.headers.items()
        assert (request["method"], request["is_stream"]) == (real.method, real.is_stream)
        assert f"Model: {request['model']}" in words


def test_what_persons_are_said_to_be_sent_is_what_they_are_sent(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """`chat --explain`, `converse --explain` and `persons render --wire` tell the body that chat and converse send."""
    cases = (
        (("chat", "-p", "ada.md"), "Hi\n"),
        (("chat", "-p", "boole.md"), "Hi\n"),
        (("converse", "odd.md", "ada.md", "--topic", "Rain", "--turns", "1"), ""),
    )
    for arguments, stdin in cases:
        (explained,) = cli.run_here(*arguments, "--explain", "--json", stdin=stdin).json["requests"]
        before = len(simulator.requests)
        assert cli.run_here(*arguments, stdin=stdin).code == 0
        (sent,) = simulator.requests[before:]
        assert explained["body"] == sent.body
        assert urlsplit(explained["url"]).path == f"/{sent.service}{sent.path}"
        assert explained["estimated_input_tokens"] > 0
        if arguments[0] == "chat":
            rendered = cli.run_here("persons", "render", arguments[2], "-m", "Hi", "--wire", "--json").json["wire"]
            assert (rendered["body"], rendered["url"]) == (sent.body, explained["url"])


def test_every_command_that_asks_a_model_can_be_explained() -> None:
    """Of the commands that somebody answers, only those that list models, for nothing, have no `--explain`."""
    commands: Any = typer.main.get_command(app)
    options = {name: {option for each in command.params for option in each.opts} for name, command in _leaves(commands)}
    answered = {name for name, known in options.items() if "--on" in known}
    assert {name for name in answered if "--explain" not in options[name]} == {"doctor", "models"}
    assert {name for name, known in options.items() if "--explain" in known} == {"ask", "chat", "converse"}


def _leaves(group: Any) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        below = getattr(command, "commands", None)
        yield from _leaves(command) if below else ((name, command),)


def test_no_key_is_needed_and_none_is_shown(offline: CommandLine) -> None:
    """Without a key it says where one would be looked for; what is adapted is said, or refused with --strict."""
    done = offline.run_here("ask", "12 bytes...", "-m", "claude", "--temperature", "1", "--explain")
    assert done.code == 0
    for words in (
        "Request: POST https://api.anthropic.com/v1/messages",
        "Key: missing, looked for: environment variable ANTHROPIC_API_KEY",
        "Input: about 4 tokens (estimated)",
        "Adaptation: temperature was dropped",
        '"stream": true',
    ):
        assert words in done.out
    keyed = offline.given(OPENAI_API_KEY=CANARY).run_here("ask", "Hi", "-m", "openai", "--explain", "--json")
    assert keyed.json["requests"][0]["key"] == "found"
    assert len(keyed.json["requests"][0]["key_fingerprint"]) == 12
    local = offline.run_here("ask", "Hi", "-m", "some:model", "--explain", "--json")
    assert (local.json["requests"][0]["service"], local.json["requests"][0]["key"]) == ("ollama", "none needed")


def test_what_could_not_be_sent_cannot_be_explained(offline: CommandLine) -> None:
    """Bad options, addresses and keys are refused as they would be, with the same codes."""
    cases = [
        (("-m", "no-such-model"), 2),
        (("-m", "openai", "--temperature", "nan"), 2),
        (("-m", "claude", "--temperature", "1", "--strict"), 2),
        (("-m", "openai", "--base-url", "http://example.com"), 3),
        (("-m", "some-model", "--service", "openai_compatible"), 3),
    ]
    for arguments, code in cases:
        done = offline.run_here("ask", "Hi", *arguments, "--explain", "--json")
        assert (done.code, done.json.keys()) == (code, {"error"}), arguments
    malformed = offline.given(OPENAI_API_KEY=f"{CANARY}\n").run_here("ask", "Hi", "-m", "openai", "--explain")
    assert malformed.code == 3


def test_first_line_of_a_chat_is_explained(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Of what is piped in the first line that is no command counts; a file is neither asked for nor written."""
    done = cli.run_here(
        "chat", "-p", "ada.md", "--explain", "--json", "--save", "t.json", stdin="\n/save x.json\nHi\nBye\n"
    )
    assert done.code == 0
    (request,) = done.json["requests"]
    assert (request["person_id"], request["body"]["messages"][-1]) == (
        "ada",
        {"role": "user", "content": "Hi", "name": "you"},
    )
    assert simulator.requests == ()
    assert not list(cli.cwd.glob("*.json"))
    for arguments in (("--explain",), ("--json",)):
        assert cli.run_here("chat", "-p", "ada.md", *arguments).code == 2


def test_first_turn_of_each_person_is_explained(offline: CommandLine, simulator: ProviderSimulator) -> None:
    """In words and as JSON, before any key is looked for; as many persons as there are turns."""
    (offline.cwd / "fish.md").write_text("---\nmodel: openai\nmemory: goldfish\n---\nForget.")
    arguments = ("converse", "ada.md", "boole.md", "--topic", "Rain", "--explain")
    words = offline.run_here(*arguments, "--save", "talk.json")
    assert words.code == 0
    assert words.out.index("Person: ada") < words.out.index("Person: boole")
    assert "moderator: Rain" in words.out
    assert "not known yet" in words.err
    assert not (offline.cwd / "talk.json").exists()
    one = offline.run_here(*arguments, "--turns", "1", "--on", "simulator", "--json")
    assert [request["mode"] for request in one.json["requests"]] == ["simulated"]
    assert one.err.startswith("Simulated: ")
    assert offline.run_here(*arguments, "--turns", "0").code == 2
    assert offline.run_here("converse", "ada.md", "ada.md", "--topic", "Rain", "--explain").code == 2


def test_what_is_forgotten_is_not_in_it(offline: CommandLine) -> None:
    """A person who forgets is explained with what they remember."""
    (offline.cwd / "fish.md").write_text("---\nmodel: openai\nmemory: goldfish\n---\nForget.")
    assert (
        offline.run_here("converse", "ada.md", "boole.md", "--topic", "R", "--on", "simulator", "--save", "t.json").code
        == 0
    )
    done = offline.run_here("converse", "fish.md", "--load", "t.json", "--topic", "Sun", "--explain", "--json")
    (request,) = done.json["requests"]
    assert [message["content"] for message in request["body"]["messages"]] == ["Forget.", "Sun"]


async def test_capturing_model_keeps_what_it_is_asked() -> None:
    """Whole or streamed, the request is kept and the answer is empty."""
    model = CapturingModel()
    question = ChatMessage.from_text(Role.USER, "Hi")
    request = CompletionRequest(service=LLMService.OPENAI, model="gpt-5.4-mini", messages=(question,))
    assert (await model.complete(request)).text == ""
    assert (await model.stream(request).collect()).text == ""
    assert model.requests == [request, request]


@pytest.mark.parametrize("memory", ["last 4000 tokens", "last 2 messages"])
def test_persons_with_a_memory_converse(offline: CommandLine, memory: str) -> None:
    """A prompt file's memory is heeded, also where it is counted in tokens."""
    (offline.cwd / "fish.md").write_text(f"---\nmodel: openai\nmemory: {memory}\n---\nForget.")
    done = offline.run_here("converse", "fish.md", "ada.md", "--topic", "Rain", "--turns", "3", "--on", "simulator")
    assert (done.code, done.err) == (0, "")
    assert offline.run_here("chat", "-p", "fish.md", "--on", "simulator", stdin="Hi\n").code == 0
