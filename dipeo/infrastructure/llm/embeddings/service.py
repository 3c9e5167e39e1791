"""The service that applications see: it checks the texts, cuts them into batches, and puts the vectors together."""

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Unpack

from attrs import frozen

from dipeo.domain.attempt import Attempt
from dipeo.domain.checks import check_identifier, check_number, check_text
from dipeo.domain.completion import ChatMessage, Completion, Role
from dipeo.domain.embedding import EmbeddingOptions, EmbeddingResult
from dipeo.domain.errors import DipeoError, MalformedResponseError, UnknownServiceError, ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelTarget
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.clock import ClockPort
from dipeo.domain.ports.embeddings import EmbeddingPort
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage
from dipeo.infrastructure.llm.drivers.options import MAX_ATTEMPTS, MAX_TIMEOUT_S
from dipeo.infrastructure.llm.drivers.provider_options import check_provider_options
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingBatch, EmbeddingDialect
from dipeo.infrastructure.llm.embeddings.dialects import dialect_of
from dipeo.infrastructure.llm.embeddings.model import EmbeddedBatch, EmbeddingRequest

MAX_DIMENSIONS: Final = 65_536
MAX_BATCHES_AT_ONCE: Final = 4

_KNOWN_OPTIONS: Final = frozenset(EmbeddingOptions.__annotations__)
_REPLACING: Final = frozenset({"model", "input", "content", "requests"})
# OpenAI's names for its embedding models begin like no chat model's.
_OPENAI_NAME: Final = re.compile(r"text-embedding-")
# A batch on its way is shaped like a completion's request, which holds at least one message.
_NO_QUESTION: Final = (ChatMessage(Role.USER, ()),)


@frozen(kw_only=True)
class _Options:
    dimensions: int | None
    api_key_id: str | None
    base_url: str | None
    timeout_s: float
    max_attempts: int
    provider_options: JsonObject


class BatchingEmbeddings(EmbeddingPort):
    """Embeds any number of texts: in batches, up to four at once, each retried and recorded for itself.

    A text that is longer than the model takes is the provider's to refuse: none is cut. When one batch fails, the
    others are given up, and the error tells of the attempts of all.
    """

    def __init__(
        self,
        model: ChatModelPort,
        *,
        aliases: AliasPort,
        clock: ClockPort,
        counter: TokenCounterPort,
        timeout_s: float,
        max_attempts: int,
    ) -> None:
        self._model = model
        self._aliases = aliases
        self._clock = clock
        self._counter = counter
        self._timeout_s = timeout_s
        self._max_attempts = max_attempts

    async def embed(
        self,
        texts: Sequence[str],
        model: str,
        *,
        service: LLMService | str | None = None,
        **options: Unpack[EmbeddingOptions],
    ) -> EmbeddingResult:
        asked = self._read(options)
        checked = _checked(texts)
        target = self._target(model, service)
        began_s = self._clock.monotonic_s()
        batches = _batches(checked, dialect_of(target.service), self._counter)
        requests = [
            EmbeddingRequest(
                service=target.service,
                model=target.model,
                messages=_NO_QUESTION,
                api_key_id=asked.api_key_id or target.api_key_id,
                base_url=asked.base_url or target.base_url,
                call_id=os.urandom(16).hex(),
                deadline_at_s=began_s + asked.timeout_s,
                max_attempts=asked.max_attempts,
                batch=EmbeddingBatch(
                    model=target.model,
                    texts=batch,
                    dimensions=asked.dimensions,
                    provider_options=asked.provider_options,
                ),
            )
            for batch in batches
        ]
        done = await self._all(requests)
        return self._together(done, target, latency_ms=(self._clock.monotonic_s() - began_s) * 1000)

    async def _all(self, requests: Sequence[EmbeddingRequest]) -> list[Completion]:
        if len(requests) == 1:
            return [await self._model.complete(requests[0])]
        gate = asyncio.Semaphore(MAX_BATCHES_AT_ONCE)

        async def one(request: EmbeddingRequest) -> Completion:
            async with gate:
                return await self._model.complete(request)

        tasks: list[asyncio.Task[Completion]] = []
        failure: DipeoError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(request)) for request in requests]
        except* DipeoError as failures:
            failure = next(error for error in _leaves(failures) if isinstance(error, DipeoError))
        if failure is not None:
            finished = [task.result() for task in tasks if not task.cancelled() and task.exception() is None]
            raise failure.with_attempts((*_attempts(finished), *failure.attempts))
        return [task.result() for task in tasks]

    def _together(self, done: Sequence[Completion], target: ModelTarget, *, latency_ms: float) -> EmbeddingResult:
        vectors: list[tuple[float, ...]] = []
        for batch in done:
            if not isinstance(batch, EmbeddedBatch):
                raise TypeError(f"An embedding model answered with {type(batch).__name__}.")
            vectors.extend(batch.vectors)
        if len({len(vector) for vector in vectors}) > 1:
            raise MalformedResponseError(
                "The provider's vectors are not all of one length.", provider=target.service.value, model=target.model
            ).with_attempts(_attempts(done))
        return EmbeddingResult(
            service=target.service,
            model=done[0].model,
            vectors=tuple(vectors),
            usage=sum((batch.usage for batch in done), Usage()),
            attempts=_attempts(done),
            latency_ms=latency_ms,
        )

    def _target(self, model: str, service: LLMService | str | None) -> ModelTarget:
        check_identifier("model", model)
        known = self._aliases.resolve(model)
        if known is None and _OPENAI_NAME.match(model):
            known = ModelTarget(service=LLMService.OPENAI, model=model)
        if service is None:
            if known is None:
                raise UnknownServiceError(
                    f"No service is known for the model {model!r}.", field="model", suggestion="Pass service=..."
                )
            return known
        wanted = LLMService.from_name(service)
        return known if known is not None and known.service is wanted else ModelTarget(service=wanted, model=model)

    def _read(self, options: Mapping[str, object]) -> _Options:
        for name in options:
            if name not in _KNOWN_OPTIONS:
                known = ", ".join(sorted(_KNOWN_OPTIONS))
                raise ValidationError(
                    f"There is no option {name!r}.", field=name, suggestion=f"Known options: {known}."
                )
        given = {name: value for name, value in options.items() if value is not None}
        dimensions = given.get("dimensions")
        attempts = given.get("max_attempts", self._max_attempts)
        if dimensions is not None:
            check_number("dimensions", dimensions, minimum=1, maximum=MAX_DIMENSIONS, is_whole=True)
        check_number("max_attempts", attempts, minimum=1, maximum=MAX_ATTEMPTS, is_whole=True)
        names = {name: check_identifier(name, given[name]) for name in ("api_key_id", "base_url") if name in given}
        extra = check_provider_options(given.get("provider_options", {}))
        for name in sorted(_REPLACING.intersection(extra)):
            raise ValidationError(f"'provider_options' must not set {name!r}.", field=f"provider_options.{name}")
        return _Options(
            dimensions=dimensions,  # type: ignore[arg-type]  # checked above
            api_key_id=names.get("api_key_id"),
            base_url=names.get("base_url"),
            timeout_s=check_number(
                "timeout_s", given.get("timeout_s", self._timeout_s), minimum=0.001, maximum=MAX_TIMEOUT_S
            ),
            max_attempts=attempts,  # type: ignore[arg-type]  # checked above
            provider_options=extra,
        )


def _checked(texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise ValidationError(
            f"'texts' must be a list of texts, not {type(texts).__name__}.",
            field="texts",
            suggestion="For one text, pass a list of one.",
        )
    if not texts:
        raise ValidationError("'texts' is empty: there is nothing to embed.", field="texts")
    for place, text in enumerate(texts):
        if not check_text(f"texts[{place}]", text):
            raise ValidationError(f"'texts[{place}]' is empty: no provider embeds that.", field=f"texts[{place}]")
    return tuple(texts)


def _batches(texts: tuple[str, ...], dialect: EmbeddingDialect, counter: TokenCounterPort) -> Iterator[tuple[str, ...]]:
    """The texts in order, as many together as one request may hold; one that is too large alone goes alone."""
    batch: list[str] = []
    tokens = 0
    for text in texts:
        # Counting takes time, and only some providers have a limit for it.
        more = counter.count_tokens(text) if dialect.max_tokens else 0
        is_full = len(batch) == dialect.max_texts or (dialect.max_tokens and tokens + more > dialect.max_tokens)
        if batch and is_full:
            yield tuple(batch)
            batch, tokens = [], 0
        batch.append(text)
        tokens += more
    yield tuple(batch)


def _attempts(done: Sequence[Completion]) -> tuple[Attempt, ...]:
    return tuple(attempt for batch in done for attempt in batch.attempts)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
