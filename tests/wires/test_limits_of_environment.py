"""What the environment can, and cannot, do to a call."""

import logging
import os
from collections.abc import Iterator, Mapping

import pytest

from dipeo.domain.errors import ConfigurationError, ConnectFailedError, ConnectionLostError, DipeoError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.environment_warnings import foreign_variables, forget_warnings, warn_of_environment
from tests.wires.raw_server import BODY, KEY, WIRES, answer_with, exchange_for, open_wire, raw_server

each_wire = pytest.mark.parametrize("wire", WIRES)
beyond_this_machine = pytest.mark.live
"""`provider.invalid` exists nowhere: the names below `.invalid` are reserved for that."""

OTHER_KEY = "sk-other-0815-must-not-be-sent"
CLIENTS = tuple(name for name in WIRES if name != "http")


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Puts the environment back as it was; the official clients look nowhere else."""
    before = dict(os.environ)
    forget_warnings()
    yield
    os.environ.clear()
    os.environ.update(before)
    forget_warnings()


def redirecting(url: str) -> Mapping[str, str]:
    """Everything in the environment that may lead a client, or its key, astray."""
    addresses = (
        "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL",
        "OLLAMA_HOST", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
    )  # fmt: skip
    keys = ("OPENAI_ADMIN_KEY", "ANTHROPIC_AUTH_TOKEN", "GOOGLE_API_KEY", "GEMINI_API_KEY", "OLLAMA_API_KEY")
    headers = f"Authorization: Bearer {OTHER_KEY}\nX-Api-Key: {OTHER_KEY}\nX-Astray: yes"
    return {
        **dict.fromkeys(addresses, url),
        **dict.fromkeys(keys, OTHER_KEY),
        "OPENAI_CUSTOM_HEADERS": headers,
        "ANTHROPIC_CUSTOM_HEADERS": headers,
        "OPENAI_ORG_ID": "org-astray",
        "OPENAI_PROJECT_ID": "proj-astray",
        "ANTHROPIC_PROFILE": "astray",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_GENAI_CLIENT_MODE": "replay",
        "GOOGLE_GENAI_REPLAYS_DIRECTORY": "/nowhere",
        "GOOGLE_GENAI_API_VERSION": "v0astray",
        "GOOGLE_API_USE_MTLS_ENDPOINT": "always",
        "GOOGLE_CLOUD_PROJECT": "astray",
        "GOOGLE_CLOUD_LOCATION": "astray",
    }


@each_wire
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "streamed"])
async def test_a_call_goes_where_the_program_says(is_stream: bool, wire: str) -> None:
    """With every variable pointing elsewhere, nothing arrives there, and no other key or header is sent."""
    async with raw_server(answer_with(BODY)) as elsewhere, raw_server(answer_with(BODY)) as server:
        os.environ.update(redirecting(elsewhere.url))
        opened = open_wire(wire, server.url)
        exchange = exchange_for(wire, is_stream=is_stream)
        try:
            if is_stream:
                await (await opened.stream(exchange)).aclose()
            else:
                await opened.send(exchange)
        finally:
            await opened.aclose()
        assert elsewhere.seen == []
        (request,) = server.seen
        assert KEY.encode() in request
        assert OTHER_KEY.encode() not in request
        assert b"astray" not in request.lower()


async def test_an_endpoint_without_a_key_is_sent_none() -> None:
    """The clients that would take one from the environment are kept from it."""
    for wire in ("openai", "ollama"):
        async with raw_server(answer_with(BODY)) as server:
            os.environ.update(redirecting(server.url))
            opened = open_wire(wire, server.url, key=None)
            await opened.send(exchange_for(wire))
            await opened.aclose()
            assert b"authorization" not in server.seen[0].lower()


@beyond_this_machine
@each_wire
async def test_proxies_are_used_by_the_official_clients_alone(wire: str) -> None:
    """Theirs ask the proxy for a tunnel, which carries nothing readable; our own wire does not know of it."""
    async with raw_server(b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        os.environ.update({"HTTPS_PROXY": proxy.url, "NO_PROXY": ""})
        opened = open_wire(wire, "https://provider.invalid/v1")
        with pytest.raises((ConnectFailedError, ConnectionLostError)):
            await opened.send(exchange_for(wire))
        await opened.aclose()
        if wire == "http":
            assert proxy.seen == []
        else:
            assert [request.split()[:2] for request in proxy.seen] == [[b"CONNECT", b"provider.invalid:443"]]
            assert KEY.encode() not in proxy.seen[0]


@beyond_this_machine
@pytest.mark.parametrize("wire", CLIENTS)
async def test_no_proxy_is_obeyed(wire: str) -> None:
    """What the environment excepts is reached without the proxy."""
    async with raw_server(answer_with(b"{}", status="502 No")) as proxy:
        os.environ.update({"HTTPS_PROXY": proxy.url, "NO_PROXY": "provider.invalid"})
        opened = open_wire(wire, "https://provider.invalid/v1")
        with pytest.raises(DipeoError):
            await opened.send(exchange_for(wire))
        await opened.aclose()
        assert proxy.seen == []


@beyond_this_machine
@pytest.mark.parametrize("wire", CLIENTS)
def test_a_proxy_that_cannot_be_used_is_a_setting_to_mend(wire: str) -> None:
    """The error names the variables and shows neither address nor password."""
    os.environ.update({"HTTPS_PROXY": "gopher://user:pass-canary@proxy.invalid:1"})
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        open_wire(wire, "https://provider.invalid/v1")
    assert "canary" not in repr(caught.value.to_dict())
    assert caught.value.__context__ is None


def test_each_variable_is_warned_of_once_and_its_value_never(caplog: pytest.LogCaptureFixture) -> None:
    """One warning for a process, however many wires are opened; over `sdk` those of the client's logs come too."""
    environ = {
        "OPENAI_BASE_URL": "https://canary.example",
        "ANTHROPIC_BASE_URL": "https://canary.example",
        "https_proxy": "http://canary.example",
        "OPENAI_LOG": "canary",
    }
    with caplog.at_level(logging.WARNING, "dipeo.environment"):
        for _ in range(3):
            warn_of_environment(LLMService.OPENAI, is_sdk=False, environ=environ)
        assert [record.getMessage().split()[0] for record in caplog.records] == ["OPENAI_BASE_URL", "HTTPS_PROXY"]
        warn_of_environment(LLMService.GROQ, is_sdk=True, environ=environ)
        assert [record.getMessage().split()[0] for record in caplog.records[2:]] == ["OPENAI_LOG"]
    assert "canary" not in caplog.text


async def test_opening_a_wire_warns(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody has to ask for it."""
    os.environ["OLLAMA_HOST"] = "http://canary.example"
    with caplog.at_level(logging.WARNING, "dipeo.environment"):
        await open_wire("ollama", "http://127.0.0.1:9").aclose()
    assert "OLLAMA_HOST is set" in caplog.text
    assert "canary" not in caplog.text


def test_the_report_names_every_variable_that_is_set() -> None:
    """For whatever service; an empty value is none."""
    named = {
        variable.name for variable in foreign_variables({**redirecting("x"), "SSL_CERT_FILE": "x", "OPENAI_LOG": ""})
    }
    assert {"OPENAI_CUSTOM_HEADERS", "ANTHROPIC_AUTH_TOKEN", "OLLAMA_HOST", "ALL_PROXY", "SSL_CERT_FILE"} <= named
    assert "OPENAI_LOG" not in named
    assert foreign_variables({}) == ()
