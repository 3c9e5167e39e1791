"""Every service answers through the whole stack, over real sockets."""

import asyncio
import contextlib
import json
import os
import pickle
import threading
import time
from pathlib import Path

import attrs
import pytest

import dipeo
from dipeo import LLMService, Settings, errors
from dipeo.domain.verdict import Verdict
from dipeo.infrastructure.sync_door import SyncLLMService
from dipeo.testing import FakeLedger, Fault, ManualClock, ProviderSimulator, Reply, ScriptedModel
from tests.end_to_end.conftest import KEY

MODELS = {
    LLMService.OPENAI: "gpt-5.4-mini",
    LLMService.ANTHROPIC: "claude-sonnet-5-5",
    LLMService.GOOGLE: "gemini-3.5-flash",
    LLMService.OLLAMA: "llama3.2:3b",
    LLMService.XAI: "grok-4.3",
    LLMService.GROQ: "llama-3.3-70b-versatile",
    LLMService.MISTRAL: "mistral-large-latest",
    LLMService.DEEPSEEK: "deepseek-chat",
    LLMService.OPENROUTER: "anthropic/claude-sonnet-5.5",
    LLMService.OPENAI_COMPATIBLE: "some-local-model",
}
HELLO = [{"role": "user", "content": "Hello"}]
each_service = pytest.mark.parametrize("service", list(LLMService), ids=str)
each_dialect = pytest.mark.parametrize(
    "service", [LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA], ids=str
)
# Newer Pythons warn of any fork beside a thread; that such a fork works is what the test shows.
forks = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")


@each_service
async def test_a_service_answers(service: LLMService, simulator: ProviderSimulator, settings: Settings) -> None:
    """Text, usage, finish reason and one attempt come back, unary and streamed alike."""
    simulator.script(service.value, *[Reply("Good day to you.", input_tokens=9, output_tokens=4)] * 2)
    async with dipeo.connect(settings) as llm:
        whole = await llm.complete(HELLO, MODELS[service], service=service)
        async with llm.stream(HELLO, MODELS[service], service=service) as stream:
            pieces = [piece async for piece in stream.text()]
    for completion in (whole, stream.completion):
        assert completion.text == "Good day to you."
        assert (completion.usage.input_tokens, completion.usage.output_tokens) == (9, 4)
        assert completion.finish_reason is dipeo.FinishReason.STOP
        assert [attempt.number for attempt in completion.attempts] == [1]
        assert completion.latency_ms > 0
    assert len(pieces) > 1
    assert "".join(pieces) == "Good day to you."
    assert simulator.open_connections == 0


@each_service
async def test_a_length_limit_truncates(service: LLMService, simulator: ProviderSimulator, settings: Settings) -> None:
    """An answer cut off by `max_tokens` says so."""
    simulator.script(service.value, Reply("one two three four five six seven eight"))
    async with dipeo.connect(settings) as llm:
        completion = await llm.complete(HELLO, MODELS[service], service=service, max_tokens=3)
    assert completion.is_truncated
    assert completion.text.startswith("one")


@each_service
async def test_a_wrong_key_is_not_tried_twice_and_not_shown(service: LLMService, simulator: ProviderSimulator) -> None:
    """A key that the provider refuses is an `APIKeyError`, after one request, and stands in no text of it."""
    wrong = "sk-wrong-canary-0815"
    settings = Settings(base_urls=simulator.base_urls, environ={"DIPEO_KEY_MINE": wrong})
    simulator_says_no = Fault(status=401, message=f"Incorrect API key provided: {wrong}")
    simulator.script(service.value, simulator_says_no)
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.APIKeyError) as caught:
            await llm.complete(HELLO, MODELS[service], service=service, api_key_id="mine")
    assert len([request for request in simulator.requests if request.service == service.value]) == 1
    assert wrong not in str(caught.value) + repr(caught.value) + str(caught.value.to_dict())
    assert caught.value.attempts[0].key_fingerprint


@each_dialect
async def test_a_rate_limit_is_waited_out(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """The provider's own delay is kept to, and the completion tells of both attempts."""
    clock = ManualClock()
    simulator.script(service.value, Fault(status=429, headers={"retry-after": "20"}), Reply("At last."))
    async with dipeo.connect(settings, clock=clock) as llm:
        completion = await llm.complete(HELLO, MODELS[service], service=service)
    assert completion.text == "At last."
    assert clock.sleeps == [20.0]
    assert [(attempt.verdict, attempt.waited_s) for attempt in completion.attempts] == [
        (Verdict.RATE_LIMITED, 0.0),
        (None, 20.0),
    ]


@each_dialect
async def test_an_overloaded_provider_is_asked_three_times(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Three attempts in all, then the error, which knows of each."""
    simulator.script(service.value, *[Fault(status=503)] * 3)
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        with pytest.raises(errors.OverloadedError) as caught:
            await llm.stream(HELLO, MODELS[service], service=service).collect()
    assert len(simulator.requests) == 3
    assert [attempt.decision[:11] for attempt in caught.value.attempts] == ["tried again", "tried again", "given up: a"]


@each_dialect
@pytest.mark.parametrize(
    "fault",
    [Fault.cut(after_chunks=2), Fault.cut(after_chunks=2, reset=True), Fault.clean_end(after_chunks=2)],
    ids=str,
)
async def test_a_stream_without_its_end_is_never_taken_for_whole(
    service: LLMService, fault: Fault, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Cut off or ended without the provider's own mark: an error that keeps what came, and no second request."""
    simulator.script(service.value, fault)
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        stream = llm.stream(HELLO, MODELS[service], service=service)
        pieces: list[str] = []
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await collect_into(pieces, stream)
    assert pieces
    assert caught.value.partial_text == "".join(pieces)
    assert len(simulator.requests) == 1


@each_dialect
async def test_an_error_in_the_stream_is_sorted_by_what_it_says(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Before the first word an error event counts like a refusal and is tried again; the answer then comes through."""
    simulator.script(service.value, Fault.error_event(after_chunks=0), Reply("Here."))
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        completion = await llm.stream(HELLO, MODELS[service], service=service).collect()
    assert completion.text == "Here."
    assert len(completion.attempts) == 2


@each_dialect
@pytest.mark.parametrize("is_stream", [False, True], ids=["unary", "stream"])
async def test_a_provider_that_never_answers_meets_the_deadline(
    service: LLMService, is_stream: bool, simulator: ProviderSimulator, settings: Settings
) -> None:
    """The call ends at its deadline, says that the outcome is unknown, and leaves no connection open."""
    simulator.script(service.value, Fault.hang())
    async with dipeo.connect(settings) as llm:
        began = time.monotonic()
        if is_stream:
            call = llm.stream(HELLO, MODELS[service], service=service, timeout_s=0.2).collect()
        else:
            call = llm.complete(HELLO, MODELS[service], service=service, timeout_s=0.2)
        with pytest.raises(errors.TimeoutError) as caught:
            await call
        assert 0.19 < time.monotonic() - began < 2
        assert caught.value.is_outcome_unknown
        await closed(simulator)


async def test_a_stream_that_stalls_meets_the_deadline(simulator: ProviderSimulator, settings: Settings) -> None:
    """A stream that falls silent ends at the deadline of the call, with what had come."""
    simulator.script("openai", Fault.hang(after_chunks=2))
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await llm.stream(HELLO, "gpt-5.4-mini", timeout_s=0.2).collect()
    assert caught.value.context["partial_text"]


async def test_leaving_a_stream_closes_its_connection(simulator: ProviderSimulator, settings: Settings) -> None:
    """A reader who has seen enough costs the provider nothing more, and the attempt counts as cancelled."""
    simulator.script("openai", Reply("one two three four five six", chunk_delay_s=0.05))
    ledger = FakeLedger()
    async with dipeo.connect(settings, ledger=ledger) as llm:
        async with llm.stream(HELLO, "gpt-5.4-mini") as stream:
            await anext(stream)
        await closed(simulator)
    assert [attempt.verdict for attempt in ledger.recorded] == [Verdict.CANCELLED]


async def test_cancelling_a_call_closes_its_connection(simulator: ProviderSimulator, settings: Settings) -> None:
    """Cancellation reaches the wire, and the caller sees nothing but the cancellation."""
    simulator.script("openai", Fault.hang())
    async with dipeo.connect(settings) as llm:
        call = asyncio.ensure_future(llm.complete(HELLO, "gpt-5.4-mini"))
        while not simulator.requests:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await closed(simulator)


async def test_the_synchronous_door_works_under_a_running_loop(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Blocking calls from threads, beside a running event loop, are answered, streamed ones too."""

    def program() -> list[str]:
        with dipeo.connect_sync(settings) as llm:
            whole = llm.complete(HELLO, "gpt-5.4-mini").text
            with llm.stream(HELLO, "claude-sonnet-5-5") as stream:
                pieces = "".join(stream.text())
                assert pieces == stream.completion.text
            return [whole, pieces]

    answers = await asyncio.gather(*(asyncio.to_thread(program) for _ in range(4)))
    assert all(all(answer) for answer in answers)
    assert [thread.name for thread in threading.enumerate() if thread.name == "dipeo-loop"] == []


async def test_the_synchronous_door_may_be_used_on_the_loop_itself(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """Even a blocking call made on a running loop comes back: its work is done on another."""
    with ProviderSimulator(seed=3) as other:  # on a thread of its own: this loop is about to block
        here = Settings(base_urls=other.base_urls, environ=settings.environ)
        with dipeo.connect_sync(here) as llm:
            assert llm.complete(HELLO, "gpt-5.4-mini").text


async def test_parts_can_be_put_in_place_and_unknown_ones_are_refused(settings: Settings) -> None:
    """`connect()` takes replacements for its parts by name, and names the parts where a name is wrong."""
    ledger = FakeLedger()
    async with dipeo.connect(settings, pool=ScriptedModel("From the script."), ledger=ledger) as llm:
        assert (await llm.complete(HELLO, "gpt-5.4-mini")).text == "From the script."
    assert [attempt.model for attempt in ledger.recorded] == ["gpt-5.4-mini"]
    with pytest.raises(TypeError, match=r"no part 'legder'.*ledger"):
        async with dipeo.connect(settings, legder=ledger):  # type: ignore[call-arg]
            pass


async def test_no_error_shows_the_key(simulator: ProviderSimulator, settings: Settings) -> None:
    """Whatever a provider does with the key it was sent, no text of the error holds it."""
    for status in (400, 401, 403, 404, 429, 500):
        simulator.script("openai", Fault(status=status, message=f"you sent Bearer {KEY}, and {KEY}"))
        async with dipeo.connect(settings) as llm:
            with pytest.raises(errors.DipeoError) as caught:
                await llm.complete(HELLO, "gpt-5.4-mini", max_attempts=1)
            assert KEY not in everything_in(caught.value)


@pytest.mark.parametrize("body", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", b""])
async def test_broken_http_shows_no_key_either(body: bytes) -> None:
    """The exceptions of the HTTP library quote headers; none of them stays in the chain of ours."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    settings = Settings(base_urls={"openai": base_url}, environ={"OPENAI_API_KEY": KEY})
    async with server, dipeo.connect(settings) as llm:
        for call in (llm.complete(HELLO, "gpt-5.4-mini"), llm.stream(HELLO, "gpt-5.4-mini").collect()):
            with pytest.raises(errors.DipeoError) as caught:
                await call
            assert KEY not in everything_in(caught.value)


def everything_in(error: BaseException | None) -> str:
    """All texts of an error and of the errors behind it."""
    if error is None:
        return ""
    facts = error.to_dict() if isinstance(error, errors.DipeoError) else vars(error)
    behind = everything_in(error.__cause__) + everything_in(error.__context__)
    return f"{error} {error!r} {error.args!r} {facts} {behind}"


async def test_settings_and_keys_are_not_written_anywhere(settings: Settings) -> None:
    """Settings show and pickle no key."""
    assert KEY not in repr(settings) + str(attrs.asdict(settings))
    with pytest.raises(TypeError):
        pickle.dumps(settings)


def test_closing_the_synchronous_door_leaves_nobody_waiting() -> None:
    """Threads whose calls run when the door closes get their answer or are told; none waits for ever."""
    with ProviderSimulator(seed=3) as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": KEY})
        outcomes: list[object] = []

        def work(llm: SyncLLMService) -> None:
            try:
                while True:
                    llm.complete(HELLO, "gpt-5.4-mini")
            except errors.DipeoUsageError as told:
                outcomes.append(told)

        for _ in range(5):
            with dipeo.connect_sync(settings) as llm:
                threads = [threading.Thread(target=work, args=(llm,), daemon=True) for _ in range(6)]
                for thread in threads:
                    thread.start()
                time.sleep(0.03)
            for thread in threads:
                thread.join(5)
            assert not any(thread.is_alive() for thread in threads)
        assert len(outcomes) == 30


@forks
def test_the_synchronous_door_opens_again_in_a_forked_process() -> None:
    """A worker that inherits the door from its parent can use it: it begins a loop of its own."""
    with ProviderSimulator(seed=3) as simulator:
        settings = Settings(base_urls=simulator.base_urls, environ={"OPENAI_API_KEY": KEY})
        with dipeo.connect_sync(settings) as llm:
            assert llm.complete(HELLO, "gpt-5.4-mini").text
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if llm.complete(HELLO, "gpt-5.4-mini").text else 1)
                finally:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert llm.complete(HELLO, "gpt-5.4-mini").text


async def test_instructions_are_sent_in_a_role_the_model_knows(
    simulator: ProviderSimulator, settings: Settings
) -> None:
    """`developer` becomes `system` where the model does not know it, and the adaptation is recorded."""
    messages = [{"role": "developer", "content": "Be brief."}, *HELLO]
    async with dipeo.connect(settings) as llm:
        for model in ("gpt-5.4-mini", "gpt-3.5-turbo", "mistral-large-latest", "deepseek-chat"):
            completion = await llm.complete(messages, model)
            role = simulator.requests[-1].messages[0].role
            assert (role, len(completion.adaptations)) == (("developer", 0) if "5.4" in model else ("system", 1))


async def test_a_key_that_vanishes_during_a_call_does_not_cost_the_answer(
    simulator: ProviderSimulator, settings: Settings, tmp_path: Path
) -> None:
    """The source of the key breaks after the request was sent: the answer comes back, with the key it was paid with."""
    file = tmp_path / "keys.toml"
    file.write_text(f'[keys]\nmine = "{KEY}"\n')
    file.chmod(0o600)
    simulator.script("openai", Reply("Here you are.", delay_s=0.1))
    here = Settings(base_urls=simulator.base_urls, key_file=file)
    async with dipeo.connect(here) as llm:
        call = asyncio.ensure_future(llm.complete(HELLO, "gpt-5.4-mini", api_key_id="mine"))
        while not simulator.requests:
            await asyncio.sleep(0.01)
        file.unlink()
        completion = await call
    assert completion.text == "Here you are."
    assert completion.attempts[0].key_fingerprint


async def test_a_choice_that_failed_is_no_answer(simulator: ProviderSimulator, settings: Settings) -> None:
    """OpenRouter reports a failure within a choice of a good reply; it is an error, and tried again."""
    failed = {
        "choices": [{"finish_reason": "error", "message": {"content": ""}, "error": {"message": "upstream died"}}]
    }
    simulator.script("openrouter", Fault.garbage(json.dumps(failed).encode()), Reply("Now."))
    async with dipeo.connect(settings, clock=ManualClock()) as llm:
        completion = await llm.complete(HELLO, "anthropic/claude-sonnet-5.5")
    assert completion.text == "Now."
    assert len(completion.attempts) == 2


@each_dialect
async def test_a_stream_answered_with_one_json_text_is_sorted_by_it(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """An error object with status 200 in place of a stream is the error that it says it is."""
    refusal = {
        "error": {"message": "slow down", "code": 429, "type": "rate_limit_error", "status": "RESOURCE_EXHAUSTED"}
    }
    simulator.script(service.value, Fault.garbage(json.dumps(refusal).encode()))
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.RateLimitError):
            await llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect()


async def test_what_was_brought_along_is_not_closed(settings: Settings) -> None:
    """A pool that the caller passes in is the caller's to close."""
    shared = ScriptedModel("One.", "Two.")
    for expected in ("One.", "Two."):
        async with dipeo.connect(settings, pool=shared) as llm:
            assert (await llm.complete(HELLO, "gpt-5.4-mini")).text == expected


async def collect_into(pieces: list[str], stream: dipeo.CompletionStream, *, pause_s: float = 0.0) -> None:
    """Reads a stream to its end, or as far as it comes, with a pause after each piece."""
    async for piece in stream.text():
        pieces.append(piece)
        await asyncio.sleep(pause_s)


async def closed(simulator: ProviderSimulator) -> None:
    """Waits until the server has seen every connection end; fails after two seconds."""
    async with asyncio.timeout(2):
        while simulator.open_connections:
            await asyncio.sleep(0.01)


@each_dialect
async def test_the_first_event_may_take_only_so_long(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """A stream from which nothing comes is given up at its own limit, long before the call's deadline."""
    simulator.script(service.value, Reply("Too late.", delay_s=5))
    async with dipeo.connect(settings) as llm:
        began = time.monotonic()
        stream = llm.stream(HELLO, MODELS[service], service=service, first_token_timeout_s=0.1)
        with pytest.raises(errors.DeadlineExceededError) as caught:
            await stream.collect()
        assert time.monotonic() - began < 2
        await closed(simulator)
    assert caught.value.context["phase"] == "first_token"


@each_dialect
async def test_a_stream_that_falls_silent_is_given_up(
    service: LLMService, simulator: ProviderSimulator, settings: Settings
) -> None:
    """Silence after some text ends the stream with what had come; a reader's own slowness does not."""
    simulator.script(service.value, Fault.hang(after_chunks=2))
    async with dipeo.connect(settings) as llm:
        stream = llm.stream(HELLO, MODELS[service], service=service, idle_timeout_s=0.1)
        pieces: list[str] = []
        with pytest.raises(errors.IncompleteStreamError) as caught:
            await collect_into(pieces, stream, pause_s=0.15)
        await closed(simulator)
    assert caught.value.context["phase"] == "idle"
    assert caught.value.partial_text == "".join(pieces)
    assert len(pieces) == 2


async def test_keeping_a_connection_alive_is_no_progress() -> None:
    """Comments that keep the connection open do not count as events: the stream is given up all the same."""

    has_left = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                writer.write(b": still here\n\n")
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()
        has_left.set()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, dipeo.connect(Settings(base_urls={"openai_compatible": base_url})) as llm:
        stream = llm.stream(HELLO, "any", service="openai_compatible", first_token_timeout_s=0.15)
        with pytest.raises(errors.DeadlineExceededError):
            await stream.collect()
        async with asyncio.timeout(2):
            await has_left.wait()


async def test_five_hundred_streams_answer_at_once(simulator: ProviderSimulator, settings: Settings) -> None:
    """Five hundred streams answer side by side and leave no connection behind."""
    simulator.script("openai", *[Reply("one two three", chunk_delay_s=0.1)] * 500)
    async with dipeo.connect(settings) as llm:
        streams = [llm.stream(HELLO, "gpt-5.4-mini") for _ in range(500)]
        completions = await asyncio.gather(*(stream.collect() for stream in streams))
    assert {completion.text for completion in completions} == {"one two three"}
    await closed(simulator)
