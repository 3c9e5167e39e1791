"""One foreign server for all tests, and the services that lead to it."""

import os
from collections.abc import AsyncIterator, Iterator

import attrs
import pytest

import dipeo
from dipeo import LLMService, LLMServicePort, Settings
from tests.foreign_server.running import ForeignServer, running_server

REQUIRED = "DIPEO_REQUIRE_FOREIGN_SERVER"


@attrs.frozen(kw_only=True)
class Speaker:
    """A service that speaks one of the server's dialects, and a model name under which all of it is spoken."""

    service: LLMService
    model: str
    length_word: str


SPEAKERS = (
    Speaker(service=LLMService.OPENAI_COMPATIBLE, model="whatever-it-is-called", length_word="length"),
    # Under this name Claude's adapter sends temperatures; the server does not look at it.
    Speaker(service=LLMService.ANTHROPIC, model="claude-sonnet-4-5", length_word="max_tokens"),
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForeignServer]:
    """The server; where it cannot be had the tests are skipped, unless the environment insists on them."""
    try:
        import gguf  # noqa: F401
        import xllamacpp  # noqa: F401
    except ImportError as problem:
        if os.environ.get(REQUIRED) == "1":
            raise
        pytest.skip(f"there is no llama.cpp server for this platform ({problem}); {REQUIRED}=1 insists on it")
    from tests.foreign_server.tiny_model import write_tiny_model

    directory = tmp_path_factory.mktemp("foreign_server")
    model = directory / "tiny.gguf"
    write_tiny_model(model)
    with running_server(model, directory) as running:
        yield running


@pytest.fixture(params=SPEAKERS, ids=lambda speaker: speaker.service.value)
def speaker(request: pytest.FixtureRequest) -> Speaker:
    """Each dialect in turn."""
    chosen: Speaker = request.param
    return chosen


@pytest.fixture
async def llm(server: ForeignServer) -> AsyncIterator[LLMServicePort]:
    """The wired service; both of its services lead to the server. Nothing is tried twice."""
    addresses = {LLMService.OPENAI_COMPATIBLE: f"{server.address}/v1", LLMService.ANTHROPIC: server.address}
    settings = Settings(base_urls=addresses, environ={"ANTHROPIC_API_KEY": "sk-any"}, max_attempts=1, timeout_s=20.0)
    async with dipeo.connect(settings) as connected:
        yield connected
