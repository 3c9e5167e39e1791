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


async def test_what_it_cannot_express_is_refused(simulator: ProviderSimulator, legacy: Settings) -> None:
    """A parameter that its messages have no field for is named, and nothing is sent."""
    async with dipeo.connect(legacy) as llm:
        with pytest.raises(errors.UnsupportedParameterError, match="seed"):
            await llm.complete(HELLO, MODEL, seed=4)
    assert not simulator.requests
