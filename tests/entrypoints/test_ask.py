"""`dipeo ask`."""

from __future__ import annotations

import os
import pty
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.entrypoints.command_line import CANARY, CommandLine


def test_answer_is_all_that_stdout_gets(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Plain text goes to stdout, and what else there is to say to stderr."""
    simulator.script("anthropic", Reply("Plain [bold]words[/bold], \u00e9t\u00e9."))
    done = cli.run("ask", "Hello", "--model", "claude-sonnet-5-5", "--temperature", "1", "--system", "Be kind.")
    assert (done.code, done.out) == (0, "Plain [bold]words[/bold], \u00e9t\u00e9.\n")
    assert "Note: temperature was dropped" in done.err
    assert simulator.requests[0].is_stream


def test_json_says_all_there_is_to_say(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """With --json there is one object: the answer, its costs and its attempts."""
    simulator.script("openai", Reply("Good.\x1b[31m", input_tokens=12, output_tokens=3))
    arguments = ("--seed", "7", "--stop", "END", "--stop", "FIN", "--max-tokens", "50", "--json")
    done = cli.given(DIPEO_MODEL="openai").run_here("ask", "-", *arguments, stdin="Gr\u00fc\u00df Gott")
    assert done.code == 0
    answer = done.json
    assert (answer["text"], answer["model"], answer["service"]) == ("Good.\x1b[31m", "gpt-5.4-mini", "openai")
    assert (answer["finish_reason"], answer["usage"]["input_tokens"]) == ("stop", 12)
    assert {"request_id", "adaptations", "notes", "attempts", "latency_ms"} <= answer.keys()
    assert simulator.requests[0].messages[-1].text == "Gr\u00fc\u00df Gott"
    assert "\x1b" not in done.out


def test_embedded_simulator_says_that_it_simulates(offline: CommandLine) -> None:
    """Without any key --on simulator answers, and says who does; a prompt file gives the instructions."""
    done = offline.run_here("ask", "Hi", "-m", "gemini", "--on", "simulator", "--system-file", "ada.md", "--no-stream")
    assert done.code == 0
    assert "Ada Lovelace" in done.out
    assert "Simulated: answers come from the embedded provider simulator" in done.err


def test_bad_input_has_a_message_and_a_code(cli: CommandLine) -> None:
    """What cannot be asked ends in one line that says why, and in the code for its kind."""
    cases = [
        (("-m", "no-such-model"), 2, "--service"),
        (("-m", "openai", "--temperature", "nan"), 2, "temperature"),
        (("-m", "openai", "--max-tokens", "0"), 2, "max_tokens"),
        (("-m", "openai", "--max-tokens", "-5"), 2, "max_tokens"),
        (("-m", "openai", "--timeout", "0"), 2, "timeout"),
        (("-m", "openai", "--system-file", "../secret.md"), 2, "prompt file"),
        (("-m", "openai", "--system-file", "missing.md"), 2, "no prompt file"),
        (("-m", "openai", "--system-file", "ada.md", "--system", "Hi"), 2, "not both"),
        (("-m", "openai", "--base-url", "http://127.0.0.1:9", "--on", "simulator"), 2, "--on live"),
        (("-m", "openai", "--base-url", "http://example.com"), 3, "https"),
        (("-m", "openai", "--api-key-id", "nobody"), 3, "DIPEO_KEY_NOBODY"),
        (("-m", "claude", "--temperature", "1", "--strict"), 2, "temperature"),
    ]
    for arguments, code, words in cases:
        done = cli.run_here("ask", "Hi", *arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert words in done.err
        assert done.err.startswith("Error: ")
    assert cli.run("ask", "-", "-m", "openai", stdin=b"\xff").code == 2


def test_keys_that_are_missing_or_malformed(offline: CommandLine) -> None:
    """A key that is not there, or that ends in a line break, is a matter of configuration and is named."""
    missing = offline.run_here("ask", "Hi", "-m", "claude")
    assert missing.code == 3
    assert "ANTHROPIC_API_KEY" in missing.err
    assert "--on simulator" in missing.err
    malformed = offline.given(OPENAI_API_KEY=f"{CANARY}\n").run_here("ask", "Hi", "-m", "openai", "--json")
    assert (malformed.code, malformed.json["error"]["type"]) == (3, "MalformedAPIKeyError")


def test_failures_of_the_provider(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Each kind of failure has its exit code."""
    cases = (
        ("openai", Fault(status=500), 4),
        ("anthropic", Fault(status=401), 3),
        ("google", Fault.cut(after_chunks=2), 4),
        ("xai", Fault.hang(), 6),
        ("groq", Fault(status=404, code="model_not_found"), 4),
    )
    for service, fault, _ in cases:
        simulator.script(service, fault)
    keyed = cli.given(XAI_API_KEY=CANARY, GROQ_API_KEY=CANARY)
    options = ("-m", "some-model", "--timeout", "2")
    runs = [keyed.run_here("ask", "Hi", *options, "--service", service) for service, _, _ in cases]
    assert {service: done.code for (service, _, _), done in zip(cases, runs, strict=True)} == {
        service: code for service, _, code in cases
    }
    assert all("Error: " in done.err for done in runs)


def test_rate_limit_in_words_and_as_json(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """A rate limit says how long to wait; with --json the error is an object on stdout."""
    limit = Fault(status=429, headers={"retry-after": "7"})
    simulator.script("openai", limit)
    simulator.script("anthropic", limit)
    words = cli.run_here("ask", "Hi", "-m", "openai")
    as_json = cli.run_here("ask", "Hi", "-m", "claude", "--json")
    assert (words.code, as_json.code) == (5, 5)
    assert "The provider asks to wait 7 s." in words.err
    error = as_json.json["error"]
    assert (error["provider"], error["retry_after_s"], len(error["attempts"])) == ("anthropic", 7, 1)


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_an_empty_question_is_not_asked(cli: CommandLine, simulator: ProviderSimulator, prompt: str) -> None:
    """Whoever would be asked: there is nothing to answer."""
    for model in ("gpt-5.4-mini", "claude-sonnet-5-5"):
        done = cli.run_here("ask", prompt, "-m", model)
        assert (done.code, "PROMPT is empty" in done.err) == (2, True)
    assert not simulator.requests


def test_an_address_that_is_none_is_named_by_its_variable(cli: CommandLine) -> None:
    """It is the variable that somebody has to mend."""
    done = cli.given(DIPEO_OPENAI_BASE_URL="nope").run_here("ask", "Hi", "-m", "gpt-5.4-mini", "--json")
    assert (done.code, done.json["error"]["field"]) == (3, "DIPEO_OPENAI_BASE_URL")
    assert "DIPEO_OPENAI_BASE_URL" in done.json["error"]["message"]


def test_interrupt_ends_an_answer_that_hangs(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Ctrl-C closes the connection and ends with 130, without a traceback."""
    simulator.script("openai", Fault.hang(after_chunks=2))
    process = cli.start("ask", "Hi", "-m", "gpt-5.4-mini")
    assert process.stdout is not None
    assert process.stdout.read(3)
    process.send_signal(signal.SIGINT)
    done = cli.finish(process)
    assert (done.code, done.err) == (130, "Interrupted.\n")
    _wait_until(lambda: simulator.open_connections == 0)


def test_reader_that_goes_away_ends_it_quietly(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """A broken pipe, as with head -1, is nothing to complain about."""
    simulator.script("openai", Reply("one\n" * 2000, chunk_delay_s=0.001))
    process = cli.start("ask", "Hi", "-m", "gpt-5.4-mini")
    assert process.stdout is not None
    assert process.stdout.read(4) == b"one\n"
    process.stdout.close()
    process.stdout = None
    done = cli.finish(process)
    assert (done.code, done.err) == (141, "")
    _wait_until(lambda: simulator.open_connections == 0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_is_a_failure(offline: CommandLine) -> None:
    """Output that cannot be written ends with 1 and says why, also where the simulator is cut short by it."""
    with Path("/dev/full").open("wb") as full:
        done = offline.finish(offline.start("ask", "Hi", "-m", "openai", "--on", "simulator", stdout=full.fileno()))
    assert done.code == 1
    assert done.err.splitlines()[1:] == ["Error: No space left on device"]


def test_terminal_is_not_steered_by_an_answer(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """On a terminal the control characters of an answer are left out; text and line breaks stay."""
    simulator.script("openai", Reply("a\x1b]0;title\x07b\x9b2Jc\td\n\u65e5"))
    ours, theirs = pty.openpty()
    process = cli.start("ask", "Hi", "-m", "gpt-5.4-mini", stdout=theirs)
    os.close(theirs)
    assert cli.finish(process).code == 0
    assert os.read(ours, 1000).decode().replace("\r\n", "\n") == "a]0;titleb2Jc\td\n\u65e5\n"
    os.close(ours)


def _wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.01)
