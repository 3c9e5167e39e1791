"""Who speaks: identity, which model speaks for them, and the conversation they take part in."""

import warnings
from collections.abc import Mapping
from copy import deepcopy

from attrs import evolve, field, frozen
from attrs.converters import optional

from dipeo.domain.checks import check_identifier, check_json_object, check_text
from dipeo.domain.conversation import Conversation
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.memory import MemoryPolicy, RememberEverything, as_memory
from dipeo.domain.message import Message
from dipeo.domain.model import ModelTarget, as_fallbacks
from dipeo.domain.parts import Part
from dipeo.domain.sampling import NO_SAMPLING, Sampling
from dipeo.domain.service import LLMService


def _as_service(service: LLMService | str | None) -> LLMService | None:
    return None if service is None else LLMService.from_name(service)


def _as_variables(variables: Mapping[str, str]) -> Mapping[str, str]:
    if not isinstance(variables, Mapping):
        raise ValidationError("'prompt_variables' must be a mapping of names to texts.", field="prompt_variables")
    return {name: check_text(f"prompt_variables.{name}", text) for name, text in variables.items()}


def _as_options(options: JsonObject) -> JsonObject:
    return deepcopy(check_json_object("provider_options", options))


@frozen(kw_only=True)
class PersonLLMConfig:
    """Which model speaks for a person, and with which instructions.

    `model` is a model's name or an alias; `service` is inferred from it when None. `prompt_file` is a path below the
    base directory and wins over `system_prompt` when it can be loaded; `prompt_variables` fill `{name}` in either.
    `base_url` points at another endpoint of the same service. `provider_options` go into the request body as they are.
    `fallbacks` are the models, aliases or targets that are asked when this one cannot answer; None leaves it to the
    prompt file, and then to the alias.
    """

    model: str | None = None
    service: LLMService | None = field(default=None, converter=_as_service)
    api_key_id: str | None = None
    system_prompt: str | None = None
    prompt_file: str | None = None
    prompt_variables: Mapping[str, str] = field(factory=dict, converter=_as_variables)
    sampling: Sampling = NO_SAMPLING
    base_url: str | None = None
    provider_options: JsonObject = field(factory=dict, converter=_as_options)
    fallbacks: tuple[ModelTarget | str, ...] | None = field(default=None, converter=optional(as_fallbacks))

    def __attrs_post_init__(self) -> None:
        for name in ("model", "api_key_id", "base_url"):
            value: str | None = getattr(self, name)
            if value is not None:
                check_identifier(name, value)
        if self.system_prompt is not None:
            check_text("system_prompt", self.system_prompt)
        if self.prompt_file is not None:
            check_text("prompt_file", self.prompt_file)
        if self.model is None and self.prompt_file is None:
            raise ValidationError("Name a 'model', or a 'prompt_file' that names one.", field="model")
        if not isinstance(self.sampling, Sampling):
            raise ValidationError("'sampling' must be a Sampling.", field="sampling")


@frozen(kw_only=True)
class Person:
    """One who takes part in a conversation. Holds no logic of any provider.

    `id` is what messages carry; `name` is for people to read and defaults to the id. `memory` says how much of what
    they have seen is sent when they speak: a policy, or words such as `last 20 messages`.
    """

    id: str
    llm_config: PersonLLMConfig
    name: str = ""
    memory: MemoryPolicy = field(default=RememberEverything(), converter=as_memory)
    conversation: Conversation = field(factory=Conversation, eq=False)

    def __attrs_post_init__(self) -> None:
        check_identifier("id", self.id)
        if not isinstance(self.llm_config, PersonLLMConfig):
            raise ValidationError("'llm_config' must be a PersonLLMConfig.", field="llm_config")
        if not self.name:
            object.__setattr__(self, "name", self.id)
        check_identifier("name", self.name)

    def get_messages(self) -> tuple[Message, ...]:
        """What this person has seen of the conversation, oldest first, also what they have forgotten."""
        return self.conversation.visible_to(self.id)

    def says(self, content: str | tuple[Part, ...], *, to_person_id: str | None = None) -> Message:
        """Adds what this person says to the conversation, for all to see, and returns the message."""
        message = Message(from_person_id=self.id, to_person_id=to_person_id, content=content)
        self.conversation.append(message)
        return message

    def joining(self, conversation: Conversation) -> "Person":
        """The same person in another conversation."""
        return evolve(self, conversation=conversation)

    def _prepare_messages_for_llm(self) -> list[dict[str, str]]:
        """Deprecated: hand `get_messages()` to `LLMServicePort.complete_with_person()` instead."""
        warnings.warn(
            "Person._prepare_messages_for_llm() is deprecated: pass person_messages=person.get_messages() to "
            "complete_with_person(), which renders them for the provider.",
            DeprecationWarning,
            stacklevel=2,
        )
        prompt = self.llm_config.system_prompt
        return ([{"role": "system", "content": prompt}] if prompt else []) + [
            {"role": "assistant" if message.from_person_id == self.id else "user", "content": message.text}
            for message in self.get_messages()
        ]
