"""Embeds one batch at the end of the stations that completions go through, so that both are treated alike."""

from attrs import field, frozen

from dipeo.domain.completion import Completion, CompletionRequest, FinishReason
from dipeo.domain.errors import MalformedResponseError, UnsupportedParameterError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.ports.llm import ChatModelPort
from dipeo.domain.stream import CompletionStream
from dipeo.infrastructure.llm.drivers.lending import borrowed, no_stream
from dipeo.infrastructure.llm.embeddings.batch import EmbeddingAnswer, EmbeddingBatch
from dipeo.infrastructure.llm.embeddings.dialects import dialect_of


@frozen(kw_only=True)
class EmbeddingRequest(CompletionRequest):
    """A batch on its way through the stations for retries, records and deadlines."""

    batch: EmbeddingBatch


@frozen(kw_only=True)
class EmbeddedBatch(Completion):
    """A batch on its way back; its parts are empty, for it says nothing."""

    vectors: tuple[tuple[float, ...], ...] = field(repr=False)


class EmbeddingModel(ChatModelPort):
    """Embeds the batch of a request, over the wire and with the key of the service's adapter."""

    def __init__(self, pool: ChatModelPort) -> None:
        self._pool = pool

    async def complete(self, request: CompletionRequest) -> Completion:
        if not isinstance(request, EmbeddingRequest):
            raise UnsupportedParameterError("This model embeds and does not complete.", field="messages")
        batch = request.batch
        dialect = dialect_of(request.service)
        exchange = dialect.encode(batch)

        def decode(body: JsonValue) -> EmbeddingAnswer:
            if not isinstance(body, dict):
                raise MalformedResponseError("The provider's answer is no JSON object.")
            return dialect.decode(body, batch)

        async with borrowed(self._pool, request) as adapter:
            answer, request_id = await adapter.exchange(request, exchange, decode)
        return EmbeddedBatch(
            service=request.service,
            model=answer.model or request.model,
            parts=(),
            finish_reason=FinishReason.STOP,
            usage=answer.usage,
            request_id=request_id,
            vectors=answer.vectors,
        )

    def stream(self, request: CompletionRequest) -> CompletionStream:
        return no_stream("Embeddings do")
