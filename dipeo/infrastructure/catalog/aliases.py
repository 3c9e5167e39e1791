"""Aliases, and the rules by which a model's name gives away its service."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import evolve

from dipeo.domain.checks import MAX_IDENTIFIER_CHARS, check_identifier
from dipeo.domain.errors import ValidationError
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.service import LLMService

DEFAULT_ALIASES: Final[Mapping[str, ModelTarget]] = MappingProxyType(
    {
        "openai": ModelTarget(service=LLMService.OPENAI, model="gpt-5.4-mini"),
        "claude": ModelTarget(service=LLMService.ANTHROPIC, model="claude-sonnet-5-5"),
        "gemini": ModelTarget(service=LLMService.GOOGLE, model="gemini-3.5-flash"),
    }
)

# Looked at in this order. Google's own names may have a slash, a fine-tuned model's name has colons, and so have
# OpenRouter's variants: they all stand before the rules for a slash and for Ollama's `name:tag`.
_OPENROUTER_VARIANTS: Final = "free|beta|nitro|floor|thinking|online|extended|exacto"
INFERENCE_RULES: Final[tuple[tuple[re.Pattern[str], LLMService], ...]] = (
    (re.compile(r"(?:models/)?gemini-"), LLMService.GOOGLE),
    (re.compile(r"ft:(?:gpt|o\d|davinci|babbage)"), LLMService.OPENAI),
    (re.compile(rf"[^/:]+/[^/:]+(?::(?:{_OPENROUTER_VARIANTS}))?$"), LLMService.OPENROUTER),
    (re.compile(r".*:"), LLMService.OLLAMA),
    (re.compile(r"gpt-oss"), LLMService.OLLAMA),
    (re.compile(r"gpt-|chatgpt-|o\d(?:-|$)|text-embedding-"), LLMService.OPENAI),
    (re.compile(r"claude-"), LLMService.ANTHROPIC),
    (re.compile(r"grok-"), LLMService.XAI),
    (re.compile(r"(?:open-)?mi[sx]tral-|(?:mini|magi|code|dev)stral-|pixtral-"), LLMService.MISTRAL),
    (re.compile(r"deepseek-(?:chat|reasoner|v\d)"), LLMService.DEEPSEEK),
)

_MAX_REMEMBERED: Final = 1_000


class InMemoryAliases(AliasPort):
    """Registered aliases first, then the rules of inference.

    An alias that ends in `*` is a rule of its own: every model whose name so begins belongs to the target's service
    (with its key and base URL), under its own name.
    """

    def __init__(self, aliases: Mapping[str, ModelTarget] = DEFAULT_ALIASES) -> None:
        self._aliases: dict[str, ModelTarget] = {}
        self._inferred: dict[str, tuple[ModelTarget | None]] = {}
        self._beginnings: dict[str, ModelTarget] = {}
        for alias, target in aliases.items():
            self.register(alias, target)

    def resolve(self, name: str) -> ModelTarget | None:
        if name in self._aliases:
            return self._aliases[name]
        if self._beginnings and (rule := self._rule_for(name)) is not None:
            return rule
        inferred = self._inferred.get(name)
        if inferred is None:
            inferred = (infer(name),)
            if len(self._inferred) >= _MAX_REMEMBERED:
                self._inferred.clear()
            if len(name) <= MAX_IDENTIFIER_CHARS:
                # That no rule fits is remembered too: such a model is asked with its service named, again and again.
                self._inferred[name] = inferred
        return inferred[0]

    def _rule_for(self, name: str) -> ModelTarget | None:
        """The longest registered beginning that fits."""
        fitting = [beginning for beginning in self._beginnings if name.startswith(beginning)]
        return evolve(self._beginnings[max(fitting, key=len)], model=name) if fitting else None

    def register(self, alias: str, target: ModelTarget) -> None:
        if not isinstance(target, ModelTarget):
            raise ValidationError("An alias points at a ModelTarget.", field="target")
        self._aliases[check_identifier("alias", alias)] = target
        if alias.endswith("*"):
            self._beginnings[alias[:-1]] = target

    def aliases(self) -> Mapping[str, ModelTarget]:
        return MappingProxyType(dict(self._aliases))

    def __repr__(self) -> str:
        return f"<InMemoryAliases {', '.join(sorted(self._aliases))}>"


def infer(model: str) -> ModelTarget | None:
    """The service that a model of this name belongs to, or None where no rule fits."""
    for pattern, service in INFERENCE_RULES:
        if pattern.match(model):
            return ModelTarget(service=service, model=model)
    return None
