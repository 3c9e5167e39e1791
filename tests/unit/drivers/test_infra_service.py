"""A call becomes one request, and a bad call becomes none."""

import logging
from typing import Any

import pytest
from attrs import evolve

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import InvalidRequestError, PromptRefusedError, UnknownServiceError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.model import ModelTarget
from dipeo.domain.parts import ImagePart, TextPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.prompt import PromptFile
from dipeo.domain.sampling import Sampling
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.aliases import InMemoryAliases
from dipeo.infrastructure.llm.drivers.options import DEFAULT_MAX_ATTEMPTS, DEFAULT_TIMEOUT_S
from dipeo.infrastructure.llm.drivers.service import LLMInfraService
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler
from dipeo.testing import FakePrompts, ManualClock, ScriptedModel

FILES: dict[str, PromptFile | str] = {
    "plain.md": "Be kind.",
    "full.md": PromptFile(
        text="Be brief.",
        model="claude-sonnet-5-5",
        sampling=Sampling(temperature=0.1, top_p=0.2, max_tokens=10, seed=1),
    ),
    "elsewhere.md": PromptFile(text="Be local.", model="tiny", service=LLMService.OLLAMA),
}
SAID = (Message(from_person_id="bob", content="hi"),)
HI = [{"role": "user", "content": "hi"}]


class Bench:
    """A service over a model that answers everything, with a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.model = ScriptedModel(*["Hello."] * 9)
        self.clock = ManualClock()
        self.clock.advance(100)
        aliases = InMemoryAliases()
        aliases.register(
            "quick",
            ModelTarget(service=LLMService.XAI, model="grok-4", api_key_id="team", base_url="https://proxy.example/v1"),
        )
        prompts = FakePrompts(FILES, refused=("evil.md",))
        self.llm = LLMInfraService(
            self.model,
            aliases=aliases,
            system_prompts=SystemPromptHandler(prompts=prompts),
            clock=self.clock,
            **settings,
        )

    async def asked(self, messages: Any = HI, model: Any = "gpt-5.4-mini", **options: Any) -> CompletionRequest:
        """The request that a call becomes; the stream must become the same."""
        await self.llm.complete(messages, model, **options)
        await self.llm.stream(messages, model, **options).collect()
        unary, streamed = self.model.asked[-2:]
        assert unary.call_id != streamed.call_id
        # Made unchecked, and nothing that its class would refuse.
        assert evolve(unary) == unary
        return unary

    async def person_asked(self, messages: Any = SAID, **values: Any) -> CompletionRequest:
        """The request that a person's turn becomes; option names go to the call, the rest to the config."""
        options = values.pop("options", {})
        config = PersonLLMConfig(**values)
        await self.llm.complete_with_person(messages, "ada", config, **options)
        await self.llm.stream_with_person(messages, "ada", config, **options).collect()
        asked = self.model.asked[-2]
        assert evolve(asked) == asked
        return asked


@pytest.fixture
def bench() -> Bench:
    """A fresh service."""
    return Bench()


class TestTarget:
    """Which model is meant."""

    @pytest.mark.parametrize(
        ("model", "service", "expected"),
        [
            ("gpt-5.4-mini", None, (LLMService.OPENAI, "gpt-5.4-mini")),
            ("claude-sonnet-5-5", None, (LLMService.ANTHROPIC, "claude-sonnet-5-5")),
            ("llama3.2:3b", None, (LLMService.OLLAMA, "llama3.2:3b")),
            ("claude", None, (LLMService.ANTHROPIC, "claude-sonnet-5-5")),
            ("claude", "anthropic", (LLMService.ANTHROPIC, "claude-sonnet-5-5")),
            ("claude", "ollama", (LLMService.OLLAMA, "claude")),
            ("gpt-5", "openrouter", (LLMService.OPENROUTER, "gpt-5")),
            ("my-model", "gemini", (LLMService.GOOGLE, "my-model")),
            ("my-model", LLMService.GROQ, (LLMService.GROQ, "my-model")),
        ],
    )
    async def test_service_and_model_are_found(
        self, bench: Bench, model: str, service: LLMService | str | None, expected: tuple[LLMService, str]
    ) -> None:
        """An alias counts where its service is the one asked for; a service that is named goes before inference."""
        request = await bench.asked(model=model, service=service)
        assert (request.service, request.model) == expected

    async def test_an_alias_brings_its_key_and_address(self, bench: Bench) -> None:
        """What the alias says counts unless the call says otherwise."""
        request = await bench.asked(model="quick")
        assert (request.api_key_id, request.base_url) == ("team", "https://proxy.example/v1")
        request = await bench.asked(model="quick", api_key_id="mine", base_url="https://other.example")
        assert (request.api_key_id, request.base_url) == ("mine", "https://other.example")

    async def test_another_service_does_not_get_the_aliases_key(self, bench: Bench) -> None:
        """The key and the address of an alias belong to its own service."""
        request = await bench.asked(model="quick", service="groq")
        assert (request.model, request.api_key_id, request.base_url) == ("quick", None, None)


class TestRequest:
    """What else a request holds."""

    async def test_messages_are_sent_as_they_are(self, bench: Bench) -> None:
        """Mappings and values, texts and parts become the same kind of message, in order."""
        picture = ImagePart(media_type="image/png", data=b"x")
        value = ChatMessage.from_text(Role.USER, "five", name="bob")
        request = await bench.asked(
            [
                {"role": "system", "content": "one"},
                {"role": "developer", "content": "two"},
                {"role": "user", "content": [{"type": "text", "text": "three"}, picture], "name": "ada"},
                {"role": "assistant", "content": "four", "name": None},
                value,
            ]
        )
        assert request.messages == (
            ChatMessage.from_text(Role.SYSTEM, "one"),
            ChatMessage.from_text(Role.DEVELOPER, "two"),
            ChatMessage(Role.USER, (TextPart("three"), picture), name="ada"),
            ChatMessage.from_text(Role.ASSISTANT, "four"),
            value,
        )

    async def test_options_arrive(self, bench: Bench) -> None:
        """Every option of a call stands in its request."""
        request = await bench.asked(
            temperature=0.5, top_p=0.9, max_tokens=5, stop="END", seed=3, reasoning_effort="low", strict=True,
            provider_options={"user": "u1"},
        )  # fmt: skip
        assert request.sampling == Sampling(
            temperature=0.5, top_p=0.9, max_tokens=5, stop=("END",), seed=3, reasoning_effort="low"
        )
        assert request.is_strict is True
        assert request.provider_options == {"user": "u1"}

    async def test_deadline_and_attempts_are_stamped(self, bench: Bench) -> None:
        """The deadline is a point on the clock's scale; the call's own limits go before the service's."""
        request = await bench.asked()
        assert (request.deadline_at_s, request.max_attempts) == (100 + DEFAULT_TIMEOUT_S, DEFAULT_MAX_ATTEMPTS)
        request = await bench.asked(timeout_s=2.5, max_attempts=1)
        assert (request.deadline_at_s, request.max_attempts) == (102.5, 1)
        request = await Bench(timeout_s=7, max_attempts=5).asked(timeout_s=None, max_attempts=None)
        assert (request.deadline_at_s, request.max_attempts) == (107, 5)
        request = await Bench(timeout_s=7, max_attempts=5).person_asked(model="gpt-5", options={"timeout_s": 1})
        assert (request.deadline_at_s, request.max_attempts) == (101, 5)

    async def test_every_call_has_an_id_of_its_own(self, bench: Bench) -> None:
        """Ids tell the calls of one program apart."""
        ids = {(await bench.asked()).call_id for _ in range(4)}
        assert len(ids) == 4
        assert all(len(call_id) >= 32 for call_id in ids)

    async def test_the_answer_comes_back(self, bench: Bench) -> None:
        """What the model answers is what the caller gets."""
        assert (await bench.llm.complete(HI, "gpt-5")).text == "Hello."
        assert (
            await bench.llm.stream_with_person(SAID, "ada", PersonLLMConfig(model="gpt-5")).collect()
        ).text == "Hello."


class TestPerson:
    """A person's turn."""

    async def test_the_conversation_is_rendered_for_the_person(self, bench: Bench) -> None:
        """Instructions come first in the model's own role; then what the person has seen, from their side."""
        said = [
            *SAID,
            Message(from_person_id="ada", content="hello"),
            Message.private(from_person_id="bob", to_person_id="cyd", content="psst"),
            Message(from_person_id="cyd", content="what?"),
        ]
        request = await bench.person_asked(
            said, model="o3", system_prompt="Be {how}.", prompt_variables={"how": "kind"}
        )
        assert request.messages == (
            ChatMessage.from_text(Role.DEVELOPER, "Be kind."),
            ChatMessage.from_text(Role.USER, "hi", name="bob"),
            ChatMessage.from_text(Role.ASSISTANT, "hello"),
            ChatMessage.from_text(Role.USER, "what?", name="cyd"),
        )
        assert request.person_id == "ada"

    @pytest.mark.parametrize(("model", "role"), [("gpt-5", Role.DEVELOPER), ("claude", Role.SYSTEM)])
    async def test_the_role_fits_the_model_behind_the_alias(self, bench: Bench, model: str, role: Role) -> None:
        """The role of instructions follows the model that is asked in the end."""
        request = await bench.person_asked(model=model, system_prompt="x")
        assert request.messages[0].role is role

    async def test_the_call_goes_before_the_config_and_the_config_before_the_file(self, bench: Bench) -> None:
        """Sampling is merged field by field in that order."""
        request = await bench.person_asked(
            prompt_file="full.md", sampling=Sampling(temperature=0.5, top_p=0.6), options={"temperature": 0.9}
        )
        assert request.sampling == Sampling(temperature=0.9, top_p=0.6, max_tokens=10, seed=1)

    async def test_zero_in_a_call_is_not_overruled(self, bench: Bench) -> None:
        """A temperature of 0 is an order."""
        request = await bench.person_asked(prompt_file="full.md", options={"temperature": 0})
        assert request.sampling.temperature == 0

    async def test_a_prompt_file_may_name_the_model(self, bench: Bench) -> None:
        """Without a model in the config, the file's model and service count."""
        request = await bench.person_asked(prompt_file="full.md")
        assert (request.service, request.model) == (LLMService.ANTHROPIC, "claude-sonnet-5-5")
        request = await bench.person_asked(prompt_file="elsewhere.md")
        assert (request.service, request.model) == (LLMService.OLLAMA, "tiny")

    async def test_the_config_may_overrule_the_files_model(self, bench: Bench) -> None:
        """A model in the config is asked, and the file's service is then not meant."""
        request = await bench.person_asked(prompt_file="elsewhere.md", model="gpt-5")
        assert (request.service, request.model) == (LLMService.OPENAI, "gpt-5")

    async def test_the_config_brings_key_address_and_options(self, bench: Bench) -> None:
        """Key, address and provider options come from the config; the call's own go on top."""
        values = {"model": "quick", "api_key_id": "mine", "base_url": "https://mine.example"}
        request = await bench.person_asked(**values, provider_options={"a": 1, "b": 1})
        assert (request.api_key_id, request.base_url) == ("mine", "https://mine.example")
        request = await bench.person_asked(
            **values,
            provider_options={"a": 1, "b": 1},
            options={"base_url": "https://call.example", "provider_options": {"b": 2}},
        )
        assert request.base_url == "https://call.example"
        assert request.provider_options == {"a": 1, "b": 2}

    async def test_a_missing_file_is_noted(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        """The fallback travels with the request, so that the completion can tell of it."""
        with caplog.at_level(logging.WARNING, logger="dipeo.prompts"):
            request = await bench.person_asked(model="gpt-5", prompt_file="gone.md", system_prompt="Inline.")
        assert request.messages[0].text == "Inline."
        assert len(request.notes) == 1
        assert "gone.md" in request.notes[0]
        assert (await bench.person_asked(model="gpt-5", prompt_file="plain.md")).notes == ()


BAD_CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("unknown model", {"model": "my-model"}, "model"),
    ("empty model", {"model": ""}, "model"),
    ("no model", {"model": None}, "model"),
    ("a number as model", {"model": 5}, "model"),
    ("a number as model of a service", {"model": 5, "service": "openai"}, "model"),
    ("line break in the model", {"model": "gpt-5\r\nX-Evil: 1"}, "model"),
    ("line break in the model of a service", {"model": "m\n", "service": "openai"}, "model"),
    ("surrogate in the model", {"model": "gpt-\ud800"}, "model"),
    ("endless model", {"model": "gpt-" + "x" * 300}, "model"),
    ("unknown service", {"service": "opnai"}, "service"),
    ("a number as service", {"service": 5}, "service"),
    ("line break in the key id", {"api_key_id": "a\r\nb"}, "api_key_id"),
    ("empty key id", {"api_key_id": ""}, "api_key_id"),
    ("a number as key id", {"api_key_id": 5}, "api_key_id"),
    ("unknown option", {"temprature": 1}, "temprature"),
    ("another unknown option", {"top_k": 1}, "top_k"),
    ("no messages", {"messages": []}, "messages"),
    ("text for messages", {"messages": "hi"}, "messages"),
    ("bytes for messages", {"messages": b"hi"}, "messages"),
    ("one message for messages", {"messages": HI[0]}, "messages"),
    ("None for messages", {"messages": None}, "messages"),
    ("a generator for messages", {"messages": (message for message in HI)}, "messages"),
    ("a bare text in the list", {"messages": ["hi"]}, "messages[0]"),
    ("a second bad message", {"messages": [*HI, None]}, "messages[1]"),
    ("bad role", {"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
    ("no role", {"messages": [{"content": "x"}]}, "messages[0].role"),
    ("role in capitals", {"messages": [{"role": "USER", "content": "x"}]}, "messages[0].role"),
    ("tool role without a call", {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ("calls of a user", {"messages": [{"role": "user", "content": "x", "tool_calls": [{}]}]}, "messages[0].tool_calls"),
    (
        "arguments that are no JSON",
        {
            "messages": [
                {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{"}}]},
            ]
        },
        "messages[0].tool_calls[0].function.arguments",
    ),
    ("a list as role", {"messages": [{"role": ["user"], "content": "x"}]}, "messages[0].role"),
    ("a mapping as role", {"messages": [{"role": {}, "content": "x"}]}, "messages[0].role"),
    ("unknown keys", {"messages": [{"role": "user", "content": "x", "calls": []}]}, "messages[0]"),
    ("unknown key beside a name", {"messages": [{"role": "user", "content": "x", "name": "a", "b": 1}]}, "messages[0]"),
    ("a number as key", {"messages": [{"role": "user", "content": "x", 5: "y"}]}, "messages[0]"),
    ("no content", {"messages": [{"role": "user"}]}, "messages[0].content"),
    ("name for content", {"messages": [{"role": "user", "name": "a"}]}, "messages[0].content"),
    ("None as content", {"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ("empty list as content", {"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ("bad part", {"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
    ("bare text as part", {"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content[0]"),
    ("surrogate", {"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content"),
    (
        "surrogate in a part",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "\ud800"}]}]},
        "messages[0].content[0].text",
    ),
    ("line break in a name", {"messages": [{"role": "user", "content": "x", "name": "a\nb"}]}, "messages[0].name"),
    ("a number as name", {"messages": [{"role": "user", "content": "x", "name": 5}]}, "messages[0].name"),
    ("a value of a bad role", {"messages": [ChatMessage("wizard", (TextPart("x"),))]}, "messages[0].role"),  # type: ignore[arg-type]
    ("a value of a bad name", {"messages": [ChatMessage.from_text(Role.USER, "x", name="a\r\nb")]}, "messages[0].name"),
    ("a value without parts", {"messages": [ChatMessage(Role.USER, ())]}, "messages[0].content"),
    ("temperature NaN", {"temperature": float("nan")}, "temperature"),
    ("temperature inf", {"temperature": float("inf")}, "temperature"),
    ("temperature hot", {"temperature": "hot"}, "temperature"),
    ("temperature -1", {"temperature": -1}, "temperature"),
    ("temperature True", {"temperature": True}, "temperature"),
    ("temperature without end", {"temperature": 10**400}, "temperature"),
    ("max_tokens -1", {"max_tokens": -1}, "max_tokens"),
    ("max_tokens 0", {"max_tokens": 0}, "max_tokens"),
    ("max_tokens True", {"max_tokens": True}, "max_tokens"),
    ("max_tokens 10.5", {"max_tokens": 10.5}, "max_tokens"),
    ("max_tokens 10^30", {"max_tokens": 10**30}, "max_tokens"),
    ("max_tokens 10^400", {"max_tokens": 10**400}, "max_tokens"),
    ("seed True", {"seed": True}, "seed"),
    ("seed 2^64", {"seed": 2**64}, "seed"),
    ("top_p 1.1", {"top_p": 1.1}, "top_p"),
    ("stop of numbers", {"stop": [1]}, "stop"),
    ("stop as a number", {"stop": 5}, "stop"),
    ("empty stop", {"stop": ""}, "stop"),
    ("effort", {"reasoning_effort": "huge"}, "reasoning_effort"),
    ("timeout 0", {"timeout_s": 0}, "timeout_s"),
    ("timeout NaN", {"timeout_s": float("nan")}, "timeout_s"),
    ("timeout True", {"timeout_s": True}, "timeout_s"),
    ("timeout of days", {"timeout_s": 10**6}, "timeout_s"),
    ("no attempts", {"max_attempts": 0}, "max_attempts"),
    ("half an attempt", {"max_attempts": 1.5}, "max_attempts"),
    ("a thousand attempts", {"max_attempts": 1000}, "max_attempts"),
    ("strict as text", {"strict": "no"}, "strict"),
    ("strict as number", {"strict": 1}, "strict"),
    ("line break in the address", {"base_url": "https://a\r\nb"}, "base_url"),
    ("a number as address", {"base_url": 5}, "base_url"),
    ("empty address", {"base_url": ""}, "base_url"),
    ("provider options that are none", {"provider_options": [1]}, "provider_options"),
    ("an empty list as provider options", {"provider_options": []}, "provider_options"),
    ("zero as provider options", {"provider_options": 0}, "provider_options"),
    ("provider options that are no JSON", {"provider_options": {"a": object()}}, "provider_options.a"),
    ("provider options with NaN", {"provider_options": {"a": [float("nan")]}}, "provider_options.a[0]"),
    ("provider options that set messages", {"provider_options": {"messages": []}}, "provider_options.messages"),
    ("provider options that set the model", {"provider_options": {"model": "x"}}, "provider_options.model"),
    ("provider options that set contents", {"provider_options": {"contents": []}}, "provider_options.contents"),
    ("provider options that set the streaming", {"provider_options": {"stream": True}}, "provider_options.stream"),
]  # fmt: skip


class TestBadCalls:
    """Bad input is refused before the model is asked."""

    @pytest.mark.parametrize(("values", "field"), [call[1:] for call in BAD_CALLS], ids=[call[0] for call in BAD_CALLS])
    async def test_a_bad_call_asks_nobody(self, bench: Bench, values: dict[str, Any], field: str) -> None:
        """The refusal is one of ours, names what is wrong, and can be written as text; the model hears nothing."""
        call: dict[str, Any] = {"messages": HI, "model": "gpt-5.4-mini", **values}
        with pytest.raises(InvalidRequestError) as caught:
            await bench.llm.complete(**call)
        assert caught.value.field == field
        str(caught.value).encode()
        with pytest.raises(InvalidRequestError):
            await bench.llm.stream(**call).collect()
        assert bench.model.asked == []

    @pytest.mark.parametrize(
        ("option", "hint"),
        [
            ("temprature", "'temperature'"),
            ("max_token", "'max_tokens'"),
            ("timeout", "'timeout_s'"),
            ("wizardry", "Known options"),
        ],
    )
    async def test_an_unknown_option_is_answered_with_a_hint(self, bench: Bench, option: str, hint: str) -> None:
        """A near miss is asked about; else the known options are listed; what one provider knows has its place."""
        with pytest.raises(ValidationError) as caught:
            await bench.llm.complete(HI, "gpt-5", **{option: 1})  # type: ignore[arg-type]
        assert hint in str(caught.value)
        assert "provider_options" in str(caught.value)

    async def test_an_unknown_model_is_answered_with_what_to_do(self, bench: Bench) -> None:
        """The error names the model and says how to make it known."""
        with pytest.raises(UnknownServiceError, match="my-model") as caught:
            await bench.llm.complete(HI, "my-model")
        assert "service=" in str(caught.value)

    @pytest.mark.parametrize(
        ("messages", "person_id", "config", "options", "field"),
        [
            (SAID, "ada", {"model": "gpt-5"}, {}, "llm_config"),
            (SAID, "ada", None, {}, "llm_config"),
            (SAID, "", PersonLLMConfig(model="gpt-5"), {}, "person_id"),
            (SAID, "a\nb", PersonLLMConfig(model="gpt-5"), {}, "person_id"),
            (SAID, None, PersonLLMConfig(model="gpt-5"), {}, "person_id"),
            ((), "ada", PersonLLMConfig(model="gpt-5"), {}, "person_messages"),
            (
                [Message(from_person_id="bob", content=" \n")],
                "ada",
                PersonLLMConfig(model="gpt-5"),
                {},
                "person_messages",
            ),
            ((), "ada", PersonLLMConfig(model="gpt-5", system_prompt="x"), {}, "person_messages"),
            (None, "ada", PersonLLMConfig(model="gpt-5"), {}, "person_messages"),
            ("hi", "ada", PersonLLMConfig(model="gpt-5"), {}, "person_messages"),
            (HI, "ada", PersonLLMConfig(model="gpt-5"), {}, "person_messages"),
            ([*SAID, None], "ada", PersonLLMConfig(model="gpt-5"), {}, "person_messages"),
            (
                [Message.private(from_person_id="bob", to_person_id="cyd", content="x")],
                "ada",
                PersonLLMConfig(model="gpt-5", system_prompt="x"),
                {},
                "person_messages",
            ),
            (SAID, "ada", PersonLLMConfig(model="my-model"), {}, "model"),
            (SAID, "ada", PersonLLMConfig(prompt_file="plain.md"), {}, "model"),
            (SAID, "ada", PersonLLMConfig(model="gpt-5"), {"temprature": 1}, "temprature"),
            (SAID, "ada", PersonLLMConfig(model="gpt-5"), {"seed": True}, "seed"),
            (
                SAID,
                "ada",
                PersonLLMConfig(model="gpt-5", provider_options={"messages": []}),
                {},
                "provider_options.messages",
            ),
        ],
    )
    async def test_a_bad_turn_asks_nobody(
        self, bench: Bench, messages: Any, person_id: Any, config: Any, options: dict[str, Any], field: str
    ) -> None:
        """A person's turn is checked like any other call, before the model hears of it."""
        with pytest.raises(InvalidRequestError) as caught:
            await bench.llm.complete_with_person(messages, person_id, config, **options)
        assert caught.value.field is not None
        assert caught.value.field.startswith(field)
        with pytest.raises(InvalidRequestError):
            await bench.llm.stream_with_person(messages, person_id, config, **options).collect()
        assert bench.model.asked == []

    async def test_a_refused_prompt_file_asks_nobody(self, bench: Bench) -> None:
        """A file that may not be read ends the call."""
        with pytest.raises(PromptRefusedError):
            await bench.person_asked(model="gpt-5", prompt_file="evil.md")
        assert bench.model.asked == []

    async def test_a_missing_file_that_was_to_name_the_model_ends_the_call(self, bench: Bench) -> None:
        """Without file and model there is nobody to ask."""
        with pytest.raises(ValidationError) as caught:
            await bench.person_asked(prompt_file="gone.md")
        assert caught.value.field == "model"
        assert bench.model.asked == []
