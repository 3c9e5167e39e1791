"""Each service answers alike over every wire: dipeo's own and the official client's."""

import asyncio
import time
import traceback
from collections.abc import Mapping

import pytest
from attrs import evolve

import dipeo
from dipeo import LLMService, Settings, errors
from dipeo.container.wires import ChosenWires
from dipeo.domain.secret import Secret
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import WireRequest
from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.end_to_end.conftest import ENVIRON, KEY
from tests.end_to_end.test_services import HELLO, MODELS

DIALECTS = (LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA)

each_service = pytest.mark.parametrize("service", [*DIALECTS, LLMService.GROQ], ids=str)
each_wire = pytest.mark.parametrize("wire", ["http", "sdk"])

ANYTHING_BROKEN = (errors.MalformedResponseError, errors.IncompleteStreamError, errors.ConnectionLostError)
FAULTS: Mapping[str, tuple[Fault, tuple[type[errors.DipeoError], ...]]] = {
    "a refused key": (Fault(status=401), (errors.APIKeyRefusedError,)),
    "a rate limit": (Fault(status=429, headers={"retry-after": "7"}), (errors.RateLimitError,)),
    "an unknown model": (Fault(status=404), (errors.ModelNotFoundError,)),
    "a broken server": (Fault(status=500), (errors.ProviderError,)),
    "a web page": (Fault.garbage(b"<html>no</html>", content_type="text/html"), ANYTHING_BROKEN),
    "no JSON": (Fault.garbage(b'{"choices": [', content_type="application/json"), ANYTHING_BROKEN),
    "a lost connection": (Fault.cut(), (errors.ConnectionLostError, *ANYTHING_BROKEN)),
}
"""What goes wrong before anything was delivered, and what the caller is told, whichever wire it came over."""


def settings_for(simulator: ProviderSimulator, wire: str) -> Settings:
    return Settings(base_urls=simulator.base_urls, environ=ENVIRON, wires=wire)


@each_service
@each_wire
async def test_a_service_answers_over_every_wire(service: LLMService, wire: str, simulator: ProviderSimulator) -> None:
    """Text, usage, finish reason and request id are the same, unary and streamed, and one request is sent for each."""
    simulator.script(service.value, *[Reply("Good day to you.", input_tokens=9, output_tokens=4)] * 2)
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        whole = await llm.complete(HELLO, MODELS[service], service=service)
        async with llm.stream(HELLO, MODELS[service], service=service) as stream:
            pieces = [piece async for piece in stream.text()]
    for completion in (whole, stream.completion):
        assert completion.text == "Good day to you."
        assert (completion.usage.input_tokens, completion.usage.output_tokens) == (9, 4)
        assert completion.finish_reason is dipeo.FinishReason.STOP
    assert len(pieces) > 1
    assert len(simulator.requests) == 2
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.005)


@each_service
async def test_every_wire_sends_the_same_body(service: LLMService, simulator: ProviderSimulator) -> None:
    """What the provider is asked does not depend on the wire."""
    options = {"temperature": 0.4, "max_tokens": 50, "stop": ["END"]}
    for wire in ("http", "sdk"):
        async with dipeo.connect(settings_for(simulator, wire)) as llm:
            await llm.complete(HELLO, MODELS[service], service=service, **options)  # type: ignore[arg-type]
    ours, theirs = (request.body for request in simulator.requests)
    assert theirs == ours


@each_service
@each_wire
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "streamed"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_told_alike_over_every_wire(
    fault: str, is_stream: bool, wire: str, service: LLMService, simulator: ProviderSimulator
) -> None:
    """The error is ours, holds no key, and the wire has sent one request: its client retries nothing."""
    answer, expected = FAULTS[fault]
    simulator.script(service.value, answer)
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        ask = llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect if is_stream else None
        with pytest.raises(errors.DipeoError) as caught:
            await (ask() if ask else llm.complete(HELLO, MODELS[service], service=service, max_attempts=1))
    assert isinstance(caught.value, expected), repr(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert len(simulator.requests) == 1
    if fault == "a rate limit":
        assert caught.value.retry_after_s == 7


@each_service
@each_wire
@pytest.mark.parametrize(
    "fault", [Fault.cut(after_chunks=2), Fault.clean_end(after_chunks=2)], ids=["cut", "clean end"]
)
async def test_a_stream_that_breaks_off_is_incomplete(
    fault: Fault, wire: str, service: LLMService, simulator: ProviderSimulator
) -> None:
    """However it ends before its terminal marker, and whatever a client makes of that, the text so far is kept."""
    simulator.script(service.value, evolve(fault, reply=Reply("one two three four five six")))
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect()
    assert (caught.value.partial_text or "").startswith("one")
    assert len(simulator.requests) == 1


@each_service
@each_wire
async def test_an_error_in_the_middle_of_a_stream_is_told(
    wire: str, service: LLMService, simulator: ProviderSimulator
) -> None:
    """The provider's own error event ends the stream with our error, and the text so far is kept."""
    simulator.script(service.value, Fault.error_event(after_chunks=2, reply=Reply("one two three four five six")))
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect()
    assert (caught.value.partial_text or "").startswith("one")


@each_service
@each_wire
async def test_leaving_a_stream_closes_its_connection(
    wire: str, service: LLMService, simulator: ProviderSimulator
) -> None:
    """A reader who leaves gives up the answer; the provider sees the connection close at once."""
    simulator.script(service.value, Reply("one two three four", chunk_delay_s=0.5))
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        async with llm.stream(HELLO, MODELS[service], service=service) as stream:
            await anext(stream)
        began_s = time.monotonic()
        while simulator.open_connections:
            await asyncio.sleep(0.005)
            assert time.monotonic() - began_s < 1


@each_service
@each_wire
async def test_a_deadline_holds_over_every_wire(wire: str, service: LLMService, simulator: ProviderSimulator) -> None:
    """A provider that does not answer ends in time, and nothing stays open."""
    simulator.script(service.value, Fault.hang())
    async with dipeo.connect(settings_for(simulator, wire)) as llm:
        with pytest.raises(errors.DeadlineExceededError):
            await llm.complete(HELLO, MODELS[service], service=service, timeout_s=1.0)


@each_service
@each_wire
async def test_nobody_listens(wire: str, service: LLMService) -> None:
    """A refused connection says that nothing was sent: a retry is safe."""
    settings = Settings(base_urls={service: "http://127.0.0.1:9"}, environ=ENVIRON, wires=wire)
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.ConnectFailedError) as caught:
            await llm.complete(HELLO, MODELS[service], service=service, max_attempts=1)
    assert not caught.value.is_outcome_unknown


@each_service
@each_wire
async def test_a_closed_wire_says_so(wire: str, service: LLMService, simulator: ProviderSimulator) -> None:
    """Closing twice does nothing, and what is sent afterwards is refused."""
    endpoint = Endpoint(service=service, base_url=simulator.base_urls[service.value], key=Secret(KEY))
    opened = ChosenWires({service: wire})(endpoint, {"Authorization": f"Bearer {KEY}"})
    assert KEY not in repr(opened)
    await opened.aclose()
    await opened.aclose()
    with pytest.raises(errors.ServiceClosedError):
        await opened.send(WireRequest(path="/v1/anything", body={}))
    assert "closed" in repr(opened)
    assert not simulator.requests


def test_a_wire_that_is_not_known_is_refused() -> None:
    """The setting names the service and the wires there are."""
    with pytest.raises(errors.ValidationError, match="'groq' must be 'http' or 'sdk'"):
        Settings(wires={"groq": "legacy_sdk"})
    with pytest.raises(errors.ConfigurationError, match="DIPEO_LLM_WIRE"):
        Settings.from_env({"DIPEO_LLM_WIRE": "telegraph"}, dotenv_file=None)
    settings = Settings.from_env({"DIPEO_LLM_WIRE": "sdk", "DIPEO_GROQ_WIRE": "http"}, dotenv_file=None)
    assert (settings.wires[LLMService.GROQ], settings.wires[LLMService.OPENAI]) == ("http", "sdk")


def test_an_address_that_is_no_text_is_refused() -> None:
    """When the settings are made, not when the first call meets it."""
    with pytest.raises(errors.ValidationError, match="'openai' must be text, not 5") as caught:
        Settings(base_urls={"openai": 5})  # type: ignore[arg-type]
    assert caught.value.field == "base_urls"


@each_wire
async def test_a_service_without_a_key_needs_none(wire: str, simulator: ProviderSimulator) -> None:
    """A local server that asks for no key is sent none, over the official client too."""
    settings = Settings(base_urls=simulator.base_urls, wires=wire)
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.APIKeyRefusedError):  # the simulator does ask for one
            await llm.complete(HELLO, "some-local-model", service="openai_compatible")
    assert simulator.requests[0].credential_fingerprint is None
    assert "authorization" not in simulator.requests[0].headers
