"""The service that workflow engines see: it turns a call into one request and hands it to the stack."""

from collections.abc import Mapping, Sequence
from typing import Final, Unpack

from dipeo.domain.checks import check_identifier
from dipeo.domain.completion import ChatMessage, Completion, CompletionOptions, CompletionRequest
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.message import Message
from dipeo.domain.model import ModelTarget
from dipeo.domain.parts import TextPart
from dipeo.domain.person import PersonLLMConfig
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.llm import ChatModelPort, LLMServicePort
from dipeo.domain.sampling import NO_SAMPLING
from dipeo.domain.service import LLMService
from dipeo.domain.stream import CompletionStream
from dipeo.domain.unchecked import unchecked_from
from dipeo.infrastructure.llm.drivers.call_ids import CallIds
from dipeo.infrastructure.llm.drivers.chat_messages import as_chat_messages
from dipeo.infrastructure.llm.drivers.fallback_targets import resolve_fallbacks
from dipeo.infrastructure.llm.drivers.message_formatter import MessageFormatter
from dipeo.infrastructure.llm.drivers.options import (
    DEFAULT_MAX_ATTEMPTS,
    DEFAULT_TIMEOUT_S,
    CallOptions,
    read_options,
)
from dipeo.infrastructure.llm.drivers.provider_options import check_provider_options
from dipeo.infrastructure.llm.drivers.system_prompt_handler import SystemPromptHandler

# Named are the fields that a call's options do not hold, or not as they are; calls give them by place, in this order:
# the interpreter takes longer to sort out a dozen names than to set the fields.
_new_request: Final = unchecked_from(
    CompletionRequest,
    CallOptions,
    "service",
    "model",
    "messages",
    "api_key_id",
    "base_url",
    "sampling",
    "provider_options",
    "person_id",
    "call_id",
    "deadline_at_s",
    "notes",
    "fallbacks",
)


class LLMInfraService(LLMServicePort):
    """Resolves alias and service, prompt and roles, and asks the model that it wraps.

    `timeout_s` bounds a whole call, `first_token_timeout_s` and `idle_timeout_s` bound a stream's first wait and its
    silences, and `max_attempts` counts all attempts of a call, unless the call says otherwise.
    """

    def __init__(
        self,
        model: ChatModelPort,
        *,
        aliases: AliasPort,
        system_prompts: SystemPromptHandler,
        clock: ClockPort,
        formatter: MessageFormatter | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        first_token_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
        max_attempts: int = DEFAULT_MAX_ATTEMPTS,
    ) -> None:
        self._model = model
        self._aliases = aliases
        self._system_prompts = system_prompts
        self._clock = clock
        self._formatter = formatter or MessageFormatter()
        self._usual = CallOptions(
            timeout_s=timeout_s,
            first_token_timeout_s=first_token_timeout_s,
            idle_timeout_s=idle_timeout_s,
            max_attempts=max_attempts,
        )
        self._call_ids = CallIds()

    async def complete(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        return await self._model.complete(self._request(messages, model, api_key_id, service, options))

    def stream(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        *,
        api_key_id: str | None = None,
        service: LLMService | str | None = None,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        return self._model.stream(self._request(messages, model, api_key_id, service, options))

    async def complete_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> Completion:
        return await self._model.complete(self._person_request(person_messages, person_id, llm_config, options))

    def stream_with_person(
        self,
        person_messages: Sequence[Message],
        person_id: str,
        llm_config: PersonLLMConfig,
        **options: Unpack[CompletionOptions],
    ) -> CompletionStream:
        return self._model.stream(self._person_request(person_messages, person_id, llm_config, options))

    # --- from a call to a request ------------------------------------------------------------------------------------

    def _request(
        self,
        messages: Sequence[Mapping[str, object] | ChatMessage],
        model: str,
        api_key_id: str | None,
        service: LLMService | str | None,
        options: CompletionOptions,
    ) -> CompletionRequest:
        call = read_options(options, self._usual) if options else self._usual
        target = self._target(model, service)
        if api_key_id is not None:
            check_identifier("api_key_id", api_key_id)
        fallbacks = target.fallbacks if call.fallbacks is None else call.fallbacks
        return _new_request(
            call,
            target.service,
            target.model,
            as_chat_messages(messages),
            api_key_id or target.api_key_id,
            call.base_url or target.base_url,
            call.sampling,
            call.provider_options,
            None,  # no person
            self._call_ids.new(),
            self._clock.monotonic_s() + call.timeout_s,
            (),  # no notes
            resolve_fallbacks(fallbacks, self._aliases) if fallbacks else (),
        )

    def _person_request(
        self,
        messages: Sequence[Message],
        person_id: str,
        config: PersonLLMConfig,
        options: CompletionOptions,
    ) -> CompletionRequest:
        call = read_options(options, self._usual) if options else self._usual
        check_identifier("person_id", person_id)
        if not isinstance(config, PersonLLMConfig):
            raise ValidationError("'llm_config' must be a PersonLLMConfig.", field="llm_config")
        if not isinstance(messages, Sequence) or not all(isinstance(message, Message) for message in messages):
            raise ValidationError("'person_messages' must be a sequence of Messages.", field="person_messages")
        prompt = self._system_prompts.resolve(config)
        file = prompt.file
        model, service = config.model, config.service
        if model is None and file is not None:
            model, service = file.model, service or file.service
        if model is None:
            suggestion = " ".join((*prompt.notes, "Name one in the config or in the prompt file."))
            raise ValidationError(f"Person {person_id!r} has no model.", field="model", suggestion=suggestion)
        target = self._target(model, service)
        chosen = (call.fallbacks, config.fallbacks, file.fallbacks if file else None)
        fallbacks = next((each for each in chosen if each is not None), target.fallbacks)
        said = self._formatter.format_messages_for_llm(
            messages=messages,
            person_id=person_id,
            system_prompt=prompt.text,
            service=target.service,
            system_role=self._system_prompts.get_system_role(target.service, target.model),
        )
        if all(_says_nothing(message) for message in said):
            raise ValidationError(
                f"Person {person_id!r} has seen no message that says anything: there is nothing to answer.",
                field="person_messages",
                suggestion="Add a message to the conversation that this person may see.",
            )
        return _new_request(
            call,
            target.service,
            target.model,
            said,
            config.api_key_id or target.api_key_id,
            call.base_url or config.base_url or target.base_url,
            call.sampling.over(config.sampling).over(file.sampling if file else NO_SAMPLING),
            check_provider_options({**config.provider_options, **call.provider_options}),
            person_id,
            self._call_ids.new(),
            self._clock.monotonic_s() + call.timeout_s,
            prompt.notes,
            resolve_fallbacks(fallbacks, self._aliases) if fallbacks else (),
        )

    def _target(self, model: str, service: LLMService | str | None) -> ModelTarget:
        known = self._aliases.resolve(model) if isinstance(model, str) else None
        if service is None:
            if known is not None:
                return known
            raise UnknownServiceError(f"No service is known for the model {model!r}.", field="model")
        wanted = LLMService.from_name(service)
        return known if known is not None and known.service is wanted else ModelTarget(service=wanted, model=model)


def _says_nothing(message: ChatMessage) -> bool:
    return message.role.is_instruction or all(
        isinstance(part, TextPart) and not part.text.strip() for part in message.parts
    )
