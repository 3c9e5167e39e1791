"""Others are asked instead, over real connections."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from attrs import evolve

import dipeo
from dipeo import LLMService, Settings, errors
from dipeo.domain.completion import Completion
from dipeo.domain.message import Message
from dipeo.domain.model import ModelTarget
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.llm import LLMServicePort
from dipeo.domain.stream import TextDelta
from dipeo.domain.verdict import Verdict
from dipeo.testing import FakeKeys, Fault, ManualClock, ProviderSimulator, Reply

HELLO = [{"role": "user", "content": "Hello"}]
MODEL = "gpt-5.4-mini"
OTHERS_KEY = "others"
LLAMA = ModelTarget(service="ollama", model="llama3.2:3b")
Ask = Callable[..., Awaitable[Completion]]


async def whole(llm: LLMServicePort, model: str = MODEL, **options: object) -> Completion:
    """A unary call."""
    return await llm.complete(HELLO, model, **options)  # type: ignore[arg-type]


async def streamed(llm: LLMServicePort, model: str = MODEL, **options: object) -> Completion:
    """A stream, read to its end."""
    return await llm.stream(HELLO, model, **options).collect()  # type: ignore[arg-type]


each_way = pytest.mark.parametrize("ask", [whole, streamed], ids=["unary", "stream"])

WORTH_ASKING_OTHERS: dict[Verdict, Fault | Reply] = {
    Verdict.RATE_LIMITED: Fault(status=429, headers={"retry-after": "30"}),
    Verdict.QUOTA_EXHAUSTED: Fault(status=429, code="insufficient_quota"),
    Verdict.OVERLOADED: Fault(status=503),
    Verdict.PROVIDER_ERROR: Fault(status=500),
    Verdict.ACCESS_DENIED: Fault(status=403),
    Verdict.MODEL_NOT_FOUND: Fault(status=404),
    Verdict.AUTH_FAILED: Fault(status=401),
    Verdict.CONNECTION_LOST: Fault.cut(),
    Verdict.EMPTY_RESPONSE: Reply(""),
}
WORTH_NOBODY = {
    Verdict.BAD_REQUEST: Fault(status=400),
    Verdict.REQUEST_TOO_LARGE: Fault(status=413),
    Verdict.CONFIG_ERROR: Fault(status=307, headers={"location": "https://elsewhere.invalid/"}),
}


def asked(simulator: ProviderSimulator) -> list[str]:
    """The services that were asked, in order."""
    return [request.service for request in simulator.requests]


@each_way
@pytest.mark.parametrize("verdict", WORTH_ASKING_OTHERS)
async def test_somebody_else_answers(
    ask: Ask, verdict: Verdict, simulator: ProviderSimulator, settings: Settings
) -> None:
    """What one cannot do another does: one text, and both attempts are told."""
    simulator.script("openai", WORTH_ASKING_OTHERS[verdict])
    simulator.script("anthropic", Reply("Good day."))
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        completion = await ask(llm, fallbacks=["claude"], max_attempts=2)
    assert completion.text == "Good day."
    assert asked(simulator) == ["openai", "anthropic"]
    told = [(each.number, each.service, each.verdict) for each in completion.attempts]
    assert told == [(1, LLMService.OPENAI, verdict), (2, LLMService.ANTHROPIC, None)]
    assert any(verdict.value in note for note in completion.notes)
    assert simulator.open_connections == 0


@each_way
@pytest.mark.parametrize("verdict", WORTH_NOBODY)
async def test_nobody_else_is_asked_what_is_as_wrong_there(
    ask: Ask, verdict: Verdict, simulator: ProviderSimulator, settings: Settings
) -> None:
    """A bad request, one that is too large, and a setting that cannot work are the caller's to mend."""
    simulator.script("openai", WORTH_NOBODY[verdict])
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        with pytest.raises(errors.DipeoError) as caught:
            await ask(llm, fallbacks=["claude"])
    assert caught.value.verdict is verdict
    assert asked(simulator) == ["openai"]


@each_way
async def test_who_cannot_be_reached_is_not_waited_for(
    ask: Ask, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Nothing listens at the first address."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        completion = await ask(llm, base_url=nowhere, fallbacks=["claude"], max_attempts=2)
    assert [each.verdict for each in completion.attempts] == [Verdict.CONNECT_FAILED, None]


@each_way
async def test_a_refused_key_leads_to_another_key(ask: Ask, simulator: ProviderSimulator, settings: Settings) -> None:
    """The same key is not tried with another model; another key is."""
    simulator.script("openai", Fault(status=401), Reply("Good day."))
    fallbacks = [
        ModelTarget(service="openai", model="gpt-5.4"),
        ModelTarget(service="openai", model=MODEL, api_key_id=OTHERS_KEY),
    ]
    keys = FakeKeys({OTHERS_KEY: "sk-fake-others"})
    async with dipeo.connect(settings, clock=ManualClock(), keys=keys) as llm:
        completion = await ask(llm, fallbacks=fallbacks)
    assert completion.text == "Good day."
    first, second = completion.attempts
    assert first.key_fingerprint != second.key_fingerprint
    assert (first.model, second.model) == (MODEL, MODEL)


@each_way
async def test_a_long_conversation_goes_to_a_window_that_the_catalog_knows_to_be_bigger(
    ask: Ask, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Of three candidates the first has a smaller window, the second one that nobody knows: the third is asked."""
    simulator.script("openai", Fault(status=400, code="context_length_exceeded"), Reply("That is long."))
    fallbacks = ["gpt-4o-mini", ModelTarget(service="groq", model="nobody-knows-it"), "gpt-5.4"]
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        completion = await ask(llm, fallbacks=fallbacks)
    assert [each.model for each in completion.attempts] == [MODEL, "gpt-5.4"]
    assert sum("window is not known to be bigger" in note for note in completion.notes) == 2


@pytest.mark.parametrize("pieces", range(6))
async def test_a_stream_goes_on_with_somebody_else_only_before_its_first_piece(
    pieces: int, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Cut after any piece: either nothing was heard, and another's text is, or the error has what was heard."""
    simulator.script("openai", Fault.cut(after_chunks=pieces, reply=Reply("one two three four five six")))
    simulator.script("anthropic", Reply("ONE TWO"))
    heard: list[str] = []

    async def read(llm: LLMServicePort) -> None:
        async with llm.stream(HELLO, MODEL, fallbacks=["claude"]) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    heard.append(event.text)

    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        if pieces == 0:
            await read(llm)
            assert "".join(heard) == "ONE TWO"
            return
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await read(llm)
    assert "".join(heard) == caught.value.partial_text != ""
    assert asked(simulator) == ["openai"]


async def test_a_stream_that_does_not_begin_is_left_for_another(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Silence before the first piece is no reason to wait until the call's own deadline."""
    simulator.script("openai", Fault.hang())
    async with dipeo.connect(settings) as llm:
        completion = await streamed(llm, fallbacks=["claude"], first_token_timeout_s=0.2)
    assert [each.verdict for each in completion.attempts] == [Verdict.DEADLINE_EXCEEDED, None]
    assert simulator.open_connections == 0


ALIASES = {"mine": ModelTarget(service="openai", model=MODEL, fallbacks=["gemini"])}
ADA = PersonLLMConfig(model="mine", system_prompt="You are brief.")


class TestWhoNamesThem:
    """The call, the person, the person's prompt file or the alias, in this order."""

    @pytest.mark.parametrize(
        ("of_file", "of_person", "of_call", "answers"),
        [
            ("", None, None, LLMService.GOOGLE),
            ("", ["claude"], None, LLMService.ANTHROPIC),
            ("", ["claude"], [LLAMA], LLMService.OLLAMA),
            ("", None, [LLAMA], LLMService.OLLAMA),
            ("", [], None, None),
            ("", ["claude"], [], None),
            ("fallbacks: claude", None, None, LLMService.ANTHROPIC),
            ("fallbacks: [claude, gemini]", None, [LLAMA], LLMService.OLLAMA),
            ("fallbacks: [claude]", [LLAMA], None, LLMService.OLLAMA),
            ("fallbacks: [claude]", [], None, None),
            ("fallbacks: []", None, None, None),
            ("fallbacks:", None, None, LLMService.GOOGLE),
        ],
    )
    async def test_the_nearest_counts(
        self,
        of_file: str,
        of_person: list[str] | None,
        of_call: list[str | ModelTarget] | None,
        answers: LLMService | None,
        simulator: ProviderSimulator,
        settings: Settings,
        tmp_path: Path,
    ) -> None:
        """An empty list means nobody."""
        simulator.script("openai", Fault(status=404))
        said = (Message(from_person_id="somebody", content="Hello?"),)
        person = evolve(ADA, fallbacks=of_person)
        if of_file:
            (tmp_path / "ada.md").write_text(f"---\n{of_file}\n---\nYou are brief.")
            person, settings = evolve(person, prompt_file="ada.md"), evolve(settings, base_dir=tmp_path)
        async with dipeo.connect(settings, aliases=ALIASES, clock=ManualClock()) as llm:
            call = llm.complete_with_person(said, "ada", person, fallbacks=of_call)
            if answers is None:
                with pytest.raises(errors.ModelNotFoundError):
                    await call
            else:
                assert (await call).service is answers


def test_the_synchronous_door_asks_others_too(thread_simulator: ProviderSimulator) -> None:
    """A call and a stream, each with one text and both attempts."""
    thread_simulator.script("openai", Fault(status=404), Fault(status=404))
    thread_simulator.script("anthropic", Reply("Good day."), Reply("Good day."))
    settings = Settings(base_urls=thread_simulator.base_urls)
    with dipeo.connect_sync(settings, keys=FakeKeys()) as llm:
        completion = llm.complete(HELLO, MODEL, fallbacks=["claude"])
        with llm.stream(HELLO, MODEL, fallbacks=["claude"]) as stream:
            text = "".join(stream.text())
    assert completion.text == text == "Good day."
    assert [each.service for each in stream.completion.attempts] == [LLMService.OPENAI, LLMService.ANTHROPIC]


@each_way
async def test_who_fails_too_often_is_not_asked_while_others_answer(
    ask: Ask, simulator: ProviderSimulator, settings: Settings
) -> None:
    """After one failure nothing is sent there, until one probe shows after the cool-down that it is mended."""
    clock = ManualClock()
    simulator.script("openai", Fault(status=500), Reply("Here again."))
    settings = evolve(settings, breaker_failures=1, breaker_cool_down_s=5.0)
    async with dipeo.connect(settings, clock=clock) as llm:
        for _ in range(3):
            assert (await ask(llm, fallbacks=["claude"], max_attempts=2)).service is LLMService.ANTHROPIC
        assert asked(simulator) == ["openai", "anthropic", "anthropic", "anthropic"]
        clock.advance(5.0)
        assert (await ask(llm, fallbacks=["claude"], max_attempts=2)).text == "Here again."
    assert asked(simulator)[-1] == "openai"


@each_way
async def test_a_slow_answer_is_asked_for_twice(ask: Ask, simulator: ProviderSimulator, settings: Settings) -> None:
    """The second is heard; the connection of the first is closed, and it is told as perhaps billed."""
    simulator.script("openai", *[Reply("Soon.")] * 20, Reply("Late.", delay_s=20.0), Reply("Soon."))
    async with dipeo.connect(evolve(settings, hedge_share=0.5)) as llm:
        for _ in range(20):
            assert len((await ask(llm)).attempts) == 1
        completion = await ask(llm)
        # The simulator notices a moment later; the connection of the winner is kept for the next call.
        for _ in range(50):
            if simulator.open_connections > 1:
                await asyncio.sleep(0.01)
        assert simulator.open_connections <= 1
        assert simulator.peak_connections == 2
    assert completion.text == "Soon."
    assert [each.verdict for each in completion.attempts] == [Verdict.CANCELLED, None]
    assert len(simulator.requests) == 22
