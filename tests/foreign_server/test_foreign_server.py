"""dipeo and llama.cpp's server, which knows nothing of dipeo: what one writes, the other has to read."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest

import dipeo
from dipeo import Completion, FinishReason, LLMServicePort, Message, PersonLLMConfig, errors
from dipeo.domain.completion import CompletionOptions
from tests.foreign_server.conftest import SPEAKERS, Speaker
from tests.foreign_server.running import SLOTS, ForeignServer
from tests.foreign_server.tiny_model import CONTEXT_TOKENS

Messages = Sequence[Mapping[str, str]]
Ask = Callable[[LLMServicePort, Speaker, Messages], Awaitable[Completion]]

MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "Hello there."}]
TOO_LONG = [{"role": "user", "content": "x" * (CONTEXT_TOKENS * 2)}]
SURE = CompletionOptions(temperature=0.0, max_tokens=12)
ENDLESS = CompletionOptions(temperature=0.0, max_tokens=CONTEXT_TOKENS)
DEADLINE_S = 3.0


async def complete(
    llm: LLMServicePort, speaker: Speaker, messages: Messages, options: CompletionOptions = SURE
) -> Completion:
    return await llm.complete(messages, speaker.model, service=speaker.service, **options)


async def stream(llm: LLMServicePort, speaker: Speaker, messages: Messages) -> Completion:
    return await llm.stream(messages, speaker.model, service=speaker.service, **SURE).collect()


async def is_idle(server: ForeignServer) -> None:
    """Waits until the server works on nothing."""
    async with asyncio.timeout(DEADLINE_S):
        while await asyncio.to_thread(server.busy_slots):
            await asyncio.sleep(0.01)


async def test_it_answers(llm: LLMServicePort, speaker: Speaker) -> None:
    """Text, usage, finish reason and id come back; the model is the one that the server says it has."""
    completion = await complete(llm, speaker, MESSAGES)
    assert completion.text
    assert completion.usage.is_reported
    assert completion.usage.input_tokens > len("You are brief.Hello there.")  # a token is a letter or less
    assert completion.usage.output_tokens == 12
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.raw_finish_reason == speaker.length_word
    assert completion.is_truncated
    assert completion.response_id
    assert completion.model.endswith("tiny.gguf")
    assert completion.adaptations == ()


async def test_a_stream_is_the_same_in_pieces(llm: LLMServicePort, speaker: Speaker) -> None:
    """At temperature 0 a stream has the text, usage and finish reason of the whole answer."""
    whole = await complete(llm, speaker, MESSAGES)
    async with llm.stream(MESSAGES, speaker.model, service=speaker.service, **SURE) as opened:
        pieces = [piece async for piece in opened.text()]
    completion = opened.completion
    assert len(pieces) > 3
    assert "".join(pieces) == completion.text == whole.text
    assert completion.usage.input_tokens == whole.usage.input_tokens
    assert completion.usage.output_tokens == whole.usage.output_tokens
    assert completion.finish_reason is FinishReason.LENGTH
    assert completion.model == whole.model


async def test_temperature_0_is_deterministic(llm: LLMServicePort, speaker: Speaker) -> None:
    """The same question has the same answer at temperature 0, and others at a higher one."""
    sure = {(await complete(llm, speaker, MESSAGES)).text for _ in range(4)}
    unsure = {(await complete(llm, speaker, MESSAGES, {"temperature": 1.0, "max_tokens": 12})).text for _ in range(4)}
    assert len(sure) == 1
    assert len(unsure) > 1


async def test_both_dialects_say_the_same(llm: LLMServicePort) -> None:
    """One conversation has one answer and one number of tokens, whichever dialect carries it."""
    one, other = [await complete(llm, speaker, MESSAGES) for speaker in SPEAKERS]
    assert one.text == other.text
    assert one.usage.input_tokens == other.usage.input_tokens


async def test_the_system_prompt_arrives(llm: LLMServicePort, speaker: Speaker) -> None:
    """A longer instruction is counted, and changes the answer."""
    brief = await complete(llm, speaker, MESSAGES)
    instructed = [{"role": "system", "content": "You are a most talkative person."}, *MESSAGES[1:]]
    talkative = await complete(llm, speaker, instructed)
    assert talkative.usage.input_tokens > brief.usage.input_tokens
    assert talkative.text != brief.text


async def test_persons_are_told_apart_by_name(llm: LLMServicePort, speaker: Speaker) -> None:
    """Others' names reach the model: with other names the same words have another answer."""
    config = PersonLLMConfig(model=speaker.model, service=speaker.service, system_prompt="You are Ada.")

    def said_by(first: str, second: str) -> list[Message]:
        return [
            Message(from_person_id=first, content="Good morning."),
            Message(from_person_id="ada", content="Good morning, George."),
            Message(from_person_id=second, content="And who asks me?"),
            Message(from_person_id=first, content="Not me."),
        ]

    answers = [
        await llm.complete_with_person(said_by(*others), "ada", config, **SURE)
        for others in (("boole", "curie"), ("curie", "boole"), ("boole", "curie"))
    ]
    assert answers[0].text == answers[2].text
    assert answers[0].text != answers[1].text
    assert answers[0].usage.input_tokens == answers[1].usage.input_tokens


async def test_twenty_calls_at_once(llm: LLMServicePort, speaker: Speaker) -> None:
    """More calls than the server has slots are all answered, each its own question."""
    questions = [[{"role": "user", "content": f"This is question {letter}."}] for letter in "abcdefghijklmnopqrst"]
    together = await asyncio.gather(*(complete(llm, speaker, question) for question in questions))
    assert len(together) == 20 > SLOTS
    assert all(completion.usage.output_tokens == 12 for completion in together)
    alone = await complete(llm, speaker, questions[7])
    assert together[7].text == alone.text


async def test_a_stream_left_early_frees_its_slot(llm: LLMServicePort, speaker: Speaker, server: ForeignServer) -> None:
    """Streams that would go on for long are left after their first words, and soon nothing is being worked on."""
    for _ in range(SLOTS):
        async with llm.stream(MESSAGES, speaker.model, service=speaker.service, **ENDLESS) as opened:
            async for _piece in opened.text():
                break
    await is_idle(server)
    assert (await complete(llm, speaker, MESSAGES)).text


@pytest.mark.parametrize("ask", [complete, stream], ids=["whole", "streamed"])
async def test_too_long_a_conversation_is_refused_in_its_words(llm: LLMServicePort, speaker: Speaker, ask: Ask) -> None:
    """What does not fit the window is no outage, is not tried again, and shows what the server says."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        await ask(llm, speaker, TOO_LONG)
    assert f"exceeds the available context size ({CONTEXT_TOKENS} tokens)" in caught.value.message
    assert caught.value.status == 400
    assert caught.value.provider_code == "exceed_context_size_error"
    assert not caught.value.is_retryable


async def test_an_unknown_path_is_refused(server: ForeignServer) -> None:
    """A base URL that leads nowhere is refused for good, and not tried again."""
    settings = dipeo.Settings(base_urls={"openai_compatible": f"{server.address}/nowhere"}, max_attempts=1)
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.DipeoError) as caught:
            await llm.complete(MESSAGES, "any", service="openai_compatible")
    assert caught.value.status == 404
    assert not caught.value.is_retryable


async def test_a_call_may_follow_a_stream_at_once(llm: LLMServicePort, speaker: Speaker) -> None:
    """The server closes its connection after a stream, although it promises to keep it; the next call has another."""
    for _ in range(10):
        await stream(llm, speaker, MESSAGES)
        await complete(llm, speaker, MESSAGES)
