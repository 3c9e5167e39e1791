"""`dipeo ask` with pictures, answers of a given shape, and tools."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from dipeo.media import MAX_FILE_BYTES
from dipeo.testing import ProviderSimulator, Reply, SimulatedToolCall
from tests.entrypoints.command_line import CommandLine

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOLS = '''
def weather(town: str) -> str:
    """What the weather is like in a town."""
    return f"It rains in {town}."

number = 5
'''

each_model = pytest.mark.parametrize("model", ["openai", "claude", "gemini", "llama3.2:3b"])


@pytest.fixture
def desk(offline: CommandLine) -> CommandLine:
    """A working directory with a picture, a schema and a module."""
    (offline.cwd / "x.png").write_bytes(PIXEL)
    (offline.cwd / "person.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (offline.cwd / "my_desk_tools.py").write_text(TOOLS, encoding="utf-8")
    return offline


@each_model
def test_an_answer_has_the_shape_that_was_asked_for(desk: CommandLine, model: str) -> None:
    """What stdout gets is JSON that fits the schema, whichever way the provider was asked for it."""
    done = desk.run("ask", "Who?", "-m", model, "--on", "simulator", "--schema", "person.json")
    assert done.code == 0, done.err
    person = json.loads(done.out)
    assert person.keys() == {"name", "age"}
    assert type(person["age"]) is int


@each_model
def test_a_tool_is_called_and_its_result_comes_back(desk: CommandLine, model: str) -> None:
    """The function runs here, what it was called with is said on stderr, and the answer uses what it gave back."""
    question = "Use the weather tool for Bern."
    done = desk.run("ask", question, "-m", model, "--on", "simulator", "--tool", "my_desk_tools:weather")
    assert done.code == 0, done.err
    assert "weather(town=" in done.err
    assert "It rains in" in done.out


@pytest.mark.parametrize("model", ["openai", "claude", "gemini", "llava:7b"])
def test_a_picture_is_looked_at(desk: CommandLine, model: str) -> None:
    """The file goes along with the question."""
    done = desk.run("ask", "What is this?", "-m", model, "--on", "simulator", "--image", "x.png")
    assert done.code == 0, done.err
    assert "1 image" in done.out


def test_all_of_it_together(desk: CommandLine) -> None:
    """A picture, a tool and a schema in one question; --json gives the answer and what it cost."""
    arguments = ("--image", "x.png", "--tool", "my_desk_tools:weather", "--schema", "person.json", "--json")
    done = desk.run_here("ask", "Use the weather tool.", "-m", "openai", "--on", "simulator", *arguments)
    assert done.code == 0, done.err
    assert json.loads(done.json["text"]).keys() == {"name", "age"}


def test_an_answer_that_never_fits_is_an_error(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """It is asked for again with what was wrong, a few times, and then told as it is."""
    (cli.cwd / "person.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    simulator.script("openai", *[Reply('{"name": "Ada"}')] * 3)
    done = cli.run_here("ask", "Who?", "-m", "openai", "--schema", "person.json")
    assert done.code != 0
    assert done.out == ""
    assert "age" in done.err
    assert len(simulator.requests) == 3


@pytest.mark.parametrize("form", [(), ("--no-stream",), ("--json",)])
def test_an_answer_after_tools_has_the_shape_as_well(
    cli: CommandLine, simulator: ProviderSimulator, form: tuple[str, ...]
) -> None:
    """What does not fit is asked for again and is not on stdout; --json says what all of it took."""
    (cli.cwd / "person.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (cli.cwd / "my_shaped_tools.py").write_text(TOOLS, encoding="utf-8")
    called = Reply("", tool_calls=(SimulatedToolCall("weather", {"town": "Bern"}),))
    fitting = Reply('{"name": "Ada", "age": 36}')
    simulator.script("openai", called, Reply("It rains, and Ada is old."), fitting)
    done = cli.run_here(
        "ask", "Who?", "-m", "openai", "--schema", "person.json", "--tool", "my_shaped_tools:weather", *form
    )
    assert done.code == 0, done.err
    assert len(simulator.requests) == 3
    assert "did not fit" in done.err
    assert "It rains in Bern." in json.dumps(simulator.requests[-1].body)
    assert json.loads(done.json["text"] if form == ("--json",) else done.out) == {"name": "Ada", "age": 36}
    if form == ("--json",):
        assert len(done.json["attempts"]) == 3
        assert done.json["usage"]["input_tokens"] == sum(
            attempt["usage"]["input_tokens"] for attempt in done.json["attempts"]
        )


def test_an_answer_after_tools_that_never_fits_is_an_error(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Nothing of it is on stdout."""
    (cli.cwd / "person.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (cli.cwd / "my_shaped_tools.py").write_text(TOOLS, encoding="utf-8")
    simulator.script("openai", *[Reply("It rains.")] * 4)
    done = cli.run_here("ask", "Who?", "-m", "openai", "--schema", "person.json", "--tool", "my_shaped_tools:weather")
    assert (done.code, done.out) == (4, "")
    assert "not JSON" in done.err


def test_all_tries_are_counted(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """--json says what an answer took that was asked for twice."""
    (cli.cwd / "person.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    simulator.script("openai", Reply("Ada."), Reply('{"name": "Ada", "age": 36}'))
    done = cli.run_here("ask", "Who?", "-m", "openai", "--schema", "person.json", "--json")
    assert done.code == 0, done.err
    assert len(done.json["attempts"]) == 2
    first, second = (attempt["usage"]["output_tokens"] for attempt in done.json["attempts"])
    assert done.json["usage"]["output_tokens"] == first + second


@pytest.mark.parametrize("tools", [(), ("--tool", "my_shaped_tools:weather")])
def test_the_schema_that_is_explained_is_the_one_that_is_sent(
    cli: CommandLine, simulator: ProviderSimulator, tools: tuple[str, ...]
) -> None:
    """Also where the schema leaves a member out of those that are required."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    (cli.cwd / "person.json").write_text(json.dumps({**schema, "required": ["name"]}), encoding="utf-8")
    (cli.cwd / "my_shaped_tools.py").write_text(TOOLS, encoding="utf-8")
    asked = ("ask", "Who?", "-m", "openai", "--schema", "person.json", *tools)
    explained = cli.run_here(*asked, "--explain", "--json")
    assert explained.code == 0, explained.err
    assert not simulator.requests
    simulator.script("openai", Reply('{"name": "Ada", "age": 36}'))
    done = cli.run_here(*asked, "--no-stream")
    assert done.code == 0, done.err
    assert explained.json["requests"][0]["body"] == simulator.requests[0].body


def test_explain_says_what_would_be_sent(desk: CommandLine) -> None:
    """Tools, schema and picture are in the body that is shown, and nothing is sent or run."""
    arguments = ("--image", "x.png", "--tool", "my_desk_tools:weather", "--schema", "person.json", "--json")
    done = desk.run_here("ask", "Well?", "-m", "openai", "--on", "simulator", "--explain", *arguments)
    assert done.code == 0, done.err
    shown = json.dumps(done.json)
    assert "What the weather is like in a town." in shown
    assert "json_schema" in shown
    assert base64.b64encode(PIXEL).decode() in shown


def test_what_cannot_be_used_is_said_before_anything_is_sent(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Each message names the option and what is wrong with what was given."""
    folder: Path = cli.cwd
    (folder / "empty.png").write_bytes(b"")
    (folder / "large.png").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (folder / "list.json").write_text("[1]", encoding="utf-8")
    (folder / "my_other_tools.py").write_text(TOOLS, encoding="utf-8")
    (folder / "my_broken_tools.py").write_text("import nothing_of_the_kind", encoding="utf-8")
    cases = [
        (("--image", "missing.png"), "'missing.png' cannot be read"),
        (("--image", "empty.png"), "is empty"),
        (("--image", "large.png"), "larger than 20 MiB"),
        (("--schema", "missing.json"), "'missing.json' cannot be read"),
        (("--schema", "list.json"), "holds no JSON schema"),
        (("--tool", "nonsense"), "module:function"),
        (("--tool", "no_such_module:f"), "cannot be imported"),
        (("--tool", "my_broken_tools:f"), "nothing_of_the_kind"),
        (("--tool", "my_other_tools:number"), "has no function 'number'"),
        (("--provider-tool", "crystal_ball"), "web_search"),
    ]
    for arguments, words in cases:
        done = cli.run_here("ask", "Hi", "-m", "openai", *arguments)
        assert done.code == 2, (arguments, done.err)
        assert words in done.err, (arguments, done.err)
    assert not simulator.requests
