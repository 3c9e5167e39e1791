"""In-memory stand-ins for the ports that are not models."""

from collections.abc import Mapping, Sequence

from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import PromptRefusedError
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.keys import APIKeyPort
from dipeo.domain.ports.ledger import LedgerPort
from dipeo.domain.ports.prompts import PromptPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.prompt import PromptFile
from dipeo.domain.secret import Secret
from dipeo.domain.service import LLMService


class FakeKeys(APIKeyPort):
    """Has a key for every service, `sk-fake-<service>`, and for the ids it is given; for nothing else.

    With `services=()` it has none for services.
    """

    def __init__(
        self, by_id: Mapping[str, str] | None = None, *, services: Sequence[LLMService] = tuple(LLMService)
    ) -> None:
        self._by_id = {key_id: Secret(value, name=key_id) for key_id, value in (by_id or {}).items()}
        self._by_service = {service: Secret(f"sk-fake-{service.value}") for service in services}

    def find(self, service: LLMService, api_key_id: str | None = None) -> Secret | None:
        return self._by_service.get(service) if api_key_id is None else self._by_id.get(api_key_id)

    def where(self, service: LLMService, api_key_id: str | None = None) -> str:
        return f"the keys given to FakeKeys ({api_key_id or service.value})"


class FakeLedger(LedgerPort):
    """Keeps every attempt in `recorded`; raises `failure` instead, when it is given one."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        self.recorded: list[Attempt] = []
        self._failure = failure

    async def record(self, attempt: Attempt) -> None:
        if self._failure is not None:
            raise self._failure
        for place, known in enumerate(self.recorded):
            if (known.call_id, known.number) == (attempt.call_id, attempt.number):
                self.recorded[place] = attempt
                return
        self.recorded.append(attempt)

    async def attempts(self, *, call_id: str | None = None) -> Sequence[Attempt]:
        return tuple(attempt for attempt in self.recorded if call_id is None or attempt.call_id == call_id)


class FakePrompts(PromptPort):
    """Prompt files that exist in memory alone; `refused` names are refused as the real files would be."""

    def __init__(self, files: Mapping[str, PromptFile | str], *, refused: Sequence[str] = ()) -> None:
        self._files = {name: PromptFile(text=file) if isinstance(file, str) else file for name, file in files.items()}
        self._refused = frozenset(refused)

    def load(self, name: str) -> PromptFile | None:
        if name in self._refused or "\0" in name or name.startswith("/") or ".." in name.split("/"):
            raise PromptRefusedError(f"The prompt file {name!r} is refused.", field="prompt_file")
        return self._files.get(name)


class FakeAliases(AliasPort):
    """Knows the aliases it is given, and no rules; with `otherwise`, every other name is a model of that service."""

    def __init__(
        self, aliases: Mapping[str, ModelTarget] | None = None, *, otherwise: LLMService | None = None
    ) -> None:
        self._aliases: dict[str, ModelTarget] = {}
        self._otherwise = otherwise
        for alias, target in (aliases or {}).items():
            self.register(alias, target)

    def resolve(self, name: str) -> ModelTarget | None:
        known = self._aliases.get(name)
        if known is None and self._otherwise is not None:
            return ModelTarget(service=self._otherwise, model=name)
        return known

    def register(self, alias: str, target: ModelTarget) -> None:
        self._aliases[check_identifier("alias", alias)] = target

    def aliases(self) -> Mapping[str, ModelTarget]:
        return dict(self._aliases)


class FakeTokenCounter(TokenCounterPort):
    """Counts words; `counted` holds what it was asked, text and model."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, str | None]] = []

    def count_tokens(self, text: str, *, model: str | None = None) -> int:
        self.counted.append((text, model))
        # Space alone is a word too: only an empty text takes no tokens.
        return len(text.split()) or int(bool(text))
