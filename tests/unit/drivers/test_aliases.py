"""A model's name gives away its service, and an alias stands for a model."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.errors import ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService
from dipeo.infrastructure.catalog.aliases import DEFAULT_ALIASES, InMemoryAliases, infer

MODELS = {
    LLMService.OPENAI: (
        *("gpt-5.4-mini", "gpt-5", "gpt-4.1-nano", "gpt-4o-2024-08-06", "gpt-4-turbo", "gpt-3.5-turbo"),
        *("chatgpt-4o-latest", "o1", "o1-preview", "o3-mini", "o4-mini-2025-04-16", "gpt-image-1"),
        *("ft:gpt-4o-mini-2024-07-18:acme::9xYz", "ft:gpt-3.5-turbo-0125:acme:tone:8ab", "ft:o3-mini:acme::1"),
    ),
    LLMService.ANTHROPIC: (
        *("claude-sonnet-5-5", "claude-opus-4-1-20250805", "claude-3-5-haiku-latest", "claude-2.1"),
    ),
    LLMService.GOOGLE: (
        *("gemini-3.5-flash", "gemini-2.5-pro", "gemini-1.5-flash-8b", "gemini-2.0-flash-exp"),
        *("models/gemini-2.5-flash", "models/gemini-1.5-pro"),
    ),
    LLMService.OLLAMA: (
        *("llama3.2:3b", "llama3:latest", "qwen3:0.6b", "deepseek-r1:7b", "gpt-oss:20b", "gpt-oss", "mistral:7b"),
        *("library/llama3:8b", "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M", "gemma3:27b-it-qat"),
    ),
    LLMService.XAI: ("grok-4", "grok-3-mini", "grok-code-fast-1"),
    LLMService.MISTRAL: (
        *("mistral-large-latest", "mistral-small-2503", "open-mistral-nemo", "open-mixtral-8x22b"),
        *("ministral-8b-latest", "magistral-medium-2506", "codestral-latest", "devstral-small-2507", "pixtral-12b"),
    ),
    LLMService.DEEPSEEK: ("deepseek-chat", "deepseek-reasoner", "deepseek-v3.2"),
    LLMService.OPENROUTER: (
        *("anthropic/claude-sonnet-4.5", "openai/gpt-5-mini", "google/gemini-2.5-pro", "openrouter/auto"),
        *("meta-llama/llama-3.1-8b-instruct:free", "deepseek/deepseek-r1:nitro", "qwen/qwen3-32b:floor"),
        *("x-ai/grok-4", "mistralai/mistral-small:thinking", "openai/gpt-4o:online", "openai/gpt-oss-120b:exacto"),
    ),
}
UNKNOWN = ("my-model", "llama-3.3-70b-versatile", "", "o", "o200k", "xgpt-4", "claude", "text", "gemini", "a/b/c")


@pytest.mark.parametrize(("service", "model"), [(service, model) for service in MODELS for model in MODELS[service]])
def test_a_models_name_gives_away_its_service(service: LLMService, model: str) -> None:
    """Names as providers use them lead to the provider, and stay as they are."""
    assert infer(model) == ModelTarget(service=service, model=model)
    assert InMemoryAliases().resolve(model) == infer(model)


@pytest.mark.parametrize("model", UNKNOWN)
def test_a_name_that_says_nothing_gives_away_nothing(model: str) -> None:
    """Where no rule fits, no service is guessed."""
    assert infer(model) is None


def test_the_default_aliases_point_at_models_of_their_own_service() -> None:
    """The target of a default alias is a name whose service the rules agree with."""
    for alias, target in DEFAULT_ALIASES.items():
        assert InMemoryAliases().resolve(alias) is target
        assert infer(target.model) == target


def test_an_alias_goes_before_the_rules() -> None:
    """A registered name means what was registered, however it looks and whoever asked before."""
    aliases = InMemoryAliases({})
    assert aliases.resolve("gpt-5") == ModelTarget(service=LLMService.OPENAI, model="gpt-5")
    local = ModelTarget(service=LLMService.OLLAMA, model="llama3.2:3b")
    aliases.register("gpt-5", local)
    assert aliases.resolve("gpt-5") is local
    other = ModelTarget(service=LLMService.XAI, model="grok-4")
    aliases.register("gpt-5", other)
    assert aliases.resolve("gpt-5") is other


def test_only_targets_can_be_registered() -> None:
    """A bare name is no target."""
    with pytest.raises(ValidationError) as caught:
        InMemoryAliases().register("x", "gpt-5")  # type: ignore[arg-type]
    assert caught.value.field == "target"


def test_rules_are_no_aliases() -> None:
    """Names that were inferred do not turn up among the aliases."""
    aliases = InMemoryAliases({})
    aliases.resolve("gpt-5")
    assert dict(aliases.aliases()) == {}


def test_the_defaults_are_shared_by_nobody() -> None:
    """What one registers, another does not see."""
    InMemoryAliases().register("mine", ModelTarget(service=LLMService.XAI, model="grok-4"))
    assert InMemoryAliases().resolve("mine") is None
    assert "mine" not in DEFAULT_ALIASES


def test_many_unknown_names_are_answered_alike() -> None:
    """Looking up more names than are remembered changes no answer."""
    aliases = InMemoryAliases()
    for number in range(2500):
        assert aliases.resolve(f"unknown-{number}") is None
    assert aliases.resolve("gpt-5") == infer("gpt-5")
    assert aliases.resolve("claude") is DEFAULT_ALIASES["claude"]


def test_what_no_model_is_called_is_not_kept() -> None:
    """A name that is too long for one is answered, and forgotten."""
    aliases = InMemoryAliases()
    assert aliases.resolve("x" * 257) is None
    assert aliases.resolve("x" * 256) is None
    assert [len(name) for name in aliases._inferred] == [256]


@given(name=st.text(max_size=40))
@settings(max_examples=150)
def test_a_look_up_finds_or_refuses(name: str) -> None:
    """Any text is a model of some service, or of none, or no name at all."""
    try:
        target = InMemoryAliases({}).resolve(name)
    except ValidationError as error:
        assert error.field == "model"  # noqa: PT017
    else:
        assert target is None or target.model == name
