"""`dipeo models`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.model_list import models_in
from dipeo.entrypoints.cli.probe import MAX_LIST_BYTES
from dipeo.testing import ProviderSimulator
from tests.entrypoints.command_line import CANARY, CommandLine


def test_models_of_what_is_set_up(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Each service with a key, or that needs none, lists its models in order; the aliases come with them."""
    done = cli.run_here("models", "--json")
    assert done.code == 0
    assert done.json["aliases"][0] == {"alias": "claude", "service": "anthropic", "model": "claude-sonnet-5-5"}
    lists = {entry["service"]: entry["models"] for entry in done.json["services"]}
    assert list(lists) == ["openai", "anthropic", "google", "ollama", "openai_compatible"]
    assert "gemini-3.5-flash" in lists["google"]
    assert "llama3.2:latest" in lists["ollama"]
    assert all(names == sorted(names) for names in lists.values() if names)
    assert lists["openai_compatible"] is None
    assert {request.method for request in simulator.requests} == {"GET"}
    words = cli.run_here("models", "--service", "claude")
    assert words.code == 0
    assert "claude-opus-5" in words.out
    assert "gpt" not in words.out


def test_aliases_alone(offline: CommandLine) -> None:
    """--aliases asks nobody, and --service picks from them too."""
    done = offline.run_here("models", "--aliases")
    assert done.code == 0
    assert [line.split() for line in done.out.splitlines() if "gpt" in line] == [["openai", "openai", "gpt-5.4-mini"]]
    picked = offline.run_here("models", "--aliases", "--service", "google", "--json")
    assert [entry["alias"] for entry in picked.json["aliases"]] == ["gemini"]
    assert picked.json["services"] == []


def test_simulator_lists_too(offline: CommandLine) -> None:
    """With --on simulator every service lists its models, and the first line says who does."""
    done = offline.run_here("models", "--on", "simulator")
    assert done.code == 0
    assert done.out.startswith("Simulated: ")
    assert all(f" {service.value} " in done.out for service in LLMService)


def test_service_that_does_not_answer_is_a_row(cli: CommandLine, odd_server: str) -> None:
    """What keeps one from listing is said in its row, and the others list all the same."""
    keys = dict.fromkeys(("GROQ_API_KEY", "XAI_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY"), CANARY)
    urls = {
        "DIPEO_GROQ_BASE_URL": "http://127.0.0.1:9",
        "DIPEO_XAI_BASE_URL": f"{odd_server}/large",
        "DIPEO_MISTRAL_BASE_URL": f"{odd_server}/page",
        "DIPEO_DEEPSEEK_BASE_URL": f"{odd_server}/missing",
    }
    odd = cli.given(OPENROUTER_API_KEY=f"{CANARY}\n", **keys, **urls)
    done, words = odd.run_here("models", "--json"), odd.run_here("models")
    assert (done.code, words.code) == (0, 0)
    reasons = {entry["service"]: entry["reason"] for entry in done.json["services"]}
    assert reasons["openai"] is None
    for service, reason in (
        ("groq", "cannot be reached"),
        ("xai", f"sends more than {MAX_LIST_BYTES:,} bytes"),
        ("mistral", "answers with no list of models"),
        ("deepseek", "status 404"),
        ("openai_compatible", "wants a key (401)"),
    ):
        assert reasons[service] == reason
        assert reason in words.out
    assert "holds characters that no key has" in reasons["openrouter"]


def test_nothing_can_be_listed(offline: CommandLine) -> None:
    """Where all is a matter of setting up the code is 3; where a service that was meant failed it is 4."""
    away = offline.given(DIPEO_OLLAMA_BASE_URL="http://127.0.0.1:9")
    keyed = offline.given(OPENAI_API_KEY=CANARY, DIPEO_OPENAI_BASE_URL="http://127.0.0.1:9")
    cases = [
        (away, ("--service", "groq"), 3, "GROQ_API_KEY"),
        (away, ("--service", "openai_compatible"), 3, "DIPEO_OPENAI_COMPATIBLE_BASE_URL"),
        (away, (), 4, "cannot be reached"),
        (keyed, ("--service", "openai"), 4, "cannot be reached"),
    ]
    for cli, arguments, code, words in cases:
        done = cli.run_here("models", *arguments)
        assert (done.code, words in done.out) == (code, True), arguments
        assert "--on simulator" in done.err
    assert away.run_here("models", "--service", "moon").code == 2


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"data": [{"id": "b"}, {"id": "a"}, {"id": "b"}]}, ("a", "b")),
        ({"models": [{"name": "models/a"}]}, ("models/a",)),
        (["b", {"id": "a"}], ("a", "b")),
        ({"data": [{"id": 1, "name": "a"}, {}, None, 3, {"id": "b\x1b[2J"}, {"id": "x" * 1000}]}, ("a",)),
        ({"data": None, "models": []}, ()),
        ({"error": "no"}, None),
        ({"data": "a"}, None),
        ("a", None),
        (None, None),
    ],
)
def test_lists_are_read_in_whatever_shape(document: object, names: tuple[str, ...] | None) -> None:
    """What is not understood in a list is left out; what is no list is none."""
    assert models_in(json.dumps(document).encode(), service=LLMService.GROQ) == names


def test_what_is_no_json_is_no_list() -> None:
    """Pages, broken text and depths without end are no lists; Google's names lose what stands before each."""
    for body in (b"<html>", b"\xff\xfe", b"", b"[" * 100_000):
        assert models_in(body, service=LLMService.OPENAI) is None
    assert models_in(b'{"models": [{"name": "models/a"}]}', service=LLMService.GOOGLE) == ("a",)


@pytest.fixture
def odd_server() -> Iterator[str]:
    """A server whose lists are too large, or none."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OddAnswers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _OddAnswers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing/models" else 200)
        self.end_headers()
        try:
            if self.path == "/large/models":
                for _ in range(MAX_LIST_BYTES // 2**20 + 1):
                    self.wfile.write(b" " * 2**20)
            self.wfile.write(b"<html>Sign in</html>")
        except OSError:
            pass  # the reader has had enough

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is that of the base class
        pass
