"""Google's former client as a wire: what it can express is answered, what it cannot is refused by name."""

import asyncio
import time

import pytest

import dipeo
from dipeo import Settings, errors
from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.end_to_end.conftest import ENVIRON
from tests.end_to_end.test_services import HELLO

pytest.importorskip("google.generativeai", reason="google-generativeai is in none of our extras but google-legacy")
# It says on import, and so does protobuf for it, that its time is over.
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MODEL = "gemini-3.5-flash"


@pytest.fixture
def legacy(simulator: ProviderSimulator) -> Settings:
    return Settings(base_urls=simulator.base_urls, environ=ENVIRON, wires={"google": "legacy_sdk"})


async def test_it_answers_unary_and_streamed(simulator: ProviderSimulator, legacy: Settings) -> None:
    """Text, usage and finish reason come as over the other wires."""
    simulator.script("google", *[Reply("Good day to you.", input_tokens=9, output_tokens=4)] * 2)
    async with dipeo.connect(legacy) as llm:
        whole = await llm.complete(HELLO, MODEL)
        streamed = await llm.stream(HELLO, MODEL).collect()
    for completion in (whole, streamed):
        assert completion.text == "Good day to you."
        assert (completion.usage.input_tokens, completion.usage.output_tokens) == (9, 4)
        assert completion.finish_reason is dipeo.FinishReason.STOP


async def test_the_loop_goes_on_while_it_waits(simulator: ProviderSimulator, legacy: Settings) -> None:
    """Its calls are made in threads: three of a fifth of a second take hardly longer than one."""
    simulator.script("google", *[Reply("At last.", delay_s=0.2)] * 3)
    async with dipeo.connect(legacy) as llm:
        await llm.complete(HELLO, MODEL)
        simulator.script("google", *[Reply("At last.", delay_s=0.2)])
        began_s = time.monotonic()
        await asyncio.gather(*(llm.complete(HELLO, MODEL) for _ in range(3)))
    assert time.monotonic() - began_s < 0.5


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=429), errors.RateLimitError),
        (Fault(status=500), errors.ProviderError),
        (Fault.cut(), errors.ConnectionLostError),
        (Fault.garbage(b"<html>"), (errors.MalformedResponseError, errors.EmptyResponseError)),
        (Fault.clean_end(after_chunks=2), (errors.IncompleteStreamError, errors.MalformedResponseError)),
    ],
)
async def test_its_failures_are_ours(
    fault: Fault,
    error: type[errors.DipeoError] | tuple[type[errors.DipeoError], ...],
    is_stream: bool,
    simulator: ProviderSimulator,
    legacy: Settings,
) -> None:
    """One request is sent, and none of the client's own exceptions comes out."""
    simulator.script("google", fault)
    async with dipeo.connect(legacy) as llm:
        call = llm.stream(HELLO, MODEL, max_attempts=1).collect() if is_stream else None
        with pytest.raises(error):
            await (call or llm.complete(HELLO, MODEL, max_attempts=1))
    assert len(simulator.requests) == 1


async def test_it_sends_what_its_messages_have_no_field_for(simulator: ProviderSimulator, legacy: Settings) -> None:
    """A seed and thinking came after its time, and arrive all the same."""
    async with dipeo.connect(legacy) as llm:
        await llm.complete(HELLO, MODEL, seed=4, reasoning_effort="low")
    body = simulator.requests[0].body
    assert isinstance(body, dict)
    config = body["generationConfig"]
    assert isinstance(config, dict)
    assert config["seed"] == 4
    assert "thinkingConfig" in config


@pytest.mark.parametrize("status", [401, 307])
async def test_its_session_does_nothing_by_itself(status: int, simulator: ProviderSimulator, legacy: Settings) -> None:
    """What it would send twice more, or follow, is sent once."""
    simulator.script(
        "google", *[Fault(status=status, headers={"location": f"{simulator.base_urls['google']}/elsewhere"})] * 3
    )
    async with dipeo.connect(legacy) as llm:
        with pytest.raises(errors.DipeoError):
            await llm.complete(HELLO, MODEL, max_attempts=1)
    assert len(simulator.requests) == 1


async def test_advice_and_request_ids_are_heard(simulator: ProviderSimulator, legacy: Settings) -> None:
    """The headers of an answer come through, as over the other wires."""
    simulator.script("google", Fault(status=429, headers={"retry-after": "7"}))
    async with dipeo.connect(legacy) as llm:
        with pytest.raises(errors.RateLimitError) as caught:
            await llm.complete(HELLO, MODEL, max_attempts=1)
    assert caught.value.retry_after_s == 7


async def test_who_leaves_is_not_waited_for(legacy: Settings) -> None:
    """A deadline ends a call in time, though its thread still waits for the provider."""
    async with ProviderSimulator(faults="F52") as hanging:
        settings = Settings(base_urls=hanging.base_urls, environ=ENVIRON, wires=legacy.wires, timeout_s=0.2)
        began_s = time.monotonic()
        async with dipeo.connect(settings) as llm:
            with pytest.raises(errors.DeadlineExceededError):
                await llm.complete(HELLO, MODEL)
        assert time.monotonic() - began_s < 2
