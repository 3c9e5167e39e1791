"""The setting that chooses between OpenAI's two interfaces."""

import pytest
from dependency_injector import providers

from dipeo.config import Settings
from dipeo.container.root import Container
from dipeo.domain.errors import ConfigurationError, DipeoError, ValidationError
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from tests.adapters.replay import KEY, ReplayWire, request_for


def test_the_variables_choose_the_interface() -> None:
    """Each service with two interfaces has a variable; nothing chosen means chat completions."""
    variables = {"DIPEO_OPENAI_API": "Responses ", "DIPEO_XAI_API": "chat", "DIPEO_OPENAI_COMPATIBLE_API": ""}
    settings = Settings.from_env(variables, dotenv_file=None)
    assert settings.apis == {LLMService.OPENAI: "responses", LLMService.XAI: "chat"}
    assert Settings().apis == {}


def test_a_misspelt_interface_is_refused() -> None:
    """The error names the variable, and both words that it takes."""
    with pytest.raises(ConfigurationError, match="'chat' or 'responses'") as caught:
        Settings.from_env({"DIPEO_OPENAI_API": "completions"}, dotenv_file=None)
    assert caught.value.field == "DIPEO_OPENAI_API"


@pytest.mark.parametrize("apis", [{"openai": "assistants"}, {"groq": "responses"}], ids=["word", "service"])
def test_an_interface_that_is_not_there_cannot_be_set(apis: dict[str, str]) -> None:
    """Neither an interface that nobody has, nor the second one of a service that has one."""
    with pytest.raises(ValidationError) as caught:
        Settings(apis=apis)
    assert caught.value.field == "apis"


@pytest.mark.parametrize(("api", "path"), [("chat", "/chat/completions"), ("responses", "/responses")])
async def test_the_setting_reaches_the_adapter(api: str, path: str) -> None:
    """What is set is what is spoken."""
    wire = ReplayWire(status=500, headers={}, body=b"{}")
    container = Container(Settings(apis={"openai": api}))
    container.open_wire.override(providers.Object(lambda _endpoint, _credentials: wire))
    endpoint = Endpoint(service=LLMService.OPENAI, base_url="https://replayed.invalid", key=Secret(KEY))
    with pytest.raises(DipeoError):
        await container.builders()[LLMService.OPENAI](endpoint).complete(request_for(LLMService.OPENAI))
    assert [exchange.path for exchange in wire.asked] == [path]
