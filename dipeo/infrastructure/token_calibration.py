"""Token counts that learn from what providers report."""

import threading
from typing import Final

from attrs import frozen

from dipeo.domain.completion import CompletionRequest
from dipeo.domain.parts import TextPart
from dipeo.domain.ports.aliases import AliasPort
from dipeo.domain.ports.tokens import TokenCounterPort
from dipeo.domain.tools import NO_TOOLS
from dipeo.domain.usage import Usage
from dipeo.infrastructure.token_estimate import EstimatingTokenCounter

LEAST_FACTOR: Final = 0.6
MOST_FACTOR: Final = 3.0
"""How far below and above the first estimate the learnt one may go, whatever is reported."""

ERROR_MARGIN: Final = 0.05
MAX_MODELS: Final = 512

_LEAST_TOKENS: Final = 64
_MOST_CHARS: Final = 200_000
_TRUSTED_AFTER: Final = 4
_ALWAYS_UP_TO: Final = 16
_THEN_EVERY: Final = 32
_WEIGHT: Final = 0.2


@frozen
class Calibration:
    """What was learnt of one model: the usual share of the first estimate that was true, and how far that varies."""

    ratio: float
    deviation: float
    samples: int

    @property
    def factor(self) -> float:
        """What the first estimate is to be multiplied by: leaning upwards, and below 1 after several reports alone."""
        upper = (self.ratio + 2 * self.deviation) * (1 + ERROR_MARGIN)
        if self.samples < _TRUSTED_AFTER:
            upper = max(1.0, upper)
        return min(MOST_FACTOR, max(LEAST_FACTOR, upper))

    def after(self, ratio: float) -> "Calibration":
        """What is known after another report. A higher ratio is believed faster than a lower one."""
        distance = ratio - self.ratio
        weight = max(_WEIGHT, 1 / (self.samples + 1))
        weight = max(weight, 0.5) if distance > 0 else weight
        return Calibration(
            ratio=self.ratio + weight * distance,
            deviation=self.deviation + weight * (abs(distance) - self.deviation),
            samples=self.samples + 1,
        )


class CalibratingTokenCounter(TokenCounterPort):
    """The estimate of `inner`, made truer for each model by the input tokens that its provider reported.

    A model that nothing was reported of is counted as `inner` counts. What is learnt stays within 0.6 and 3 times the
    first estimate, of at most 512 models: the one that was heard of longest ago is forgotten. Safe in threads.
    """

    def __init__(self, inner: TokenCounterPort | None = None, *, aliases: AliasPort | None = None) -> None:
        self._inner = inner or EstimatingTokenCounter()
        self._aliases = aliases
        self._learnt: dict[str, Calibration] = {}
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def count_tokens(self, text: str, *, model: str | None = None) -> int:
        first = self._inner.count_tokens(text, model=model)
        learnt = self.calibration(model) if model is not None and self._learnt else None
        if learnt is None or not first:
            return first
        return max(1, -int(-first * learnt.factor // 1))

    def calibration(self, model: str) -> Calibration | None:
        """What was learnt of this model, by its name or an alias."""
        learnt = self._learnt.get(model)
        if learnt is None and self._aliases is not None:
            target = self._aliases.resolve(model)
            learnt = self._learnt.get(target.model) if target is not None else None
        return learnt

    def observe(self, request: CompletionRequest, usage: Usage) -> None:
        """Learns from an answered request; cheap enough for every call, because most are passed over.

        Looked at are requests of plain text alone: what tools, schemas, pictures and remembered conversations add is
        counted by the provider and seen by nobody here. After 16 of a model's requests, every 32nd is enough.
        """
        if not usage.is_reported or usage.input_tokens < _LEAST_TOKENS or not self._is_wanted(request.model):
            return
        if request.tooling is not NO_TOOLS or request.response_schema is not None or request.previous_response_id:
            return
        chars = 0
        for message in request.messages:
            for part in message.parts:
                if not isinstance(part, TextPart):
                    return
                chars += len(part.text)
        if not 0 < chars <= _MOST_CHARS:
            return
        texts = (part.text for message in request.messages for part in message.parts if isinstance(part, TextPart))
        estimated_tokens = sum(self._inner.count_tokens(text) for text in texts)
        self.learn(request.model, estimated_tokens=estimated_tokens, reported_tokens=usage.input_tokens)

    def learn(self, model: str, *, estimated_tokens: int, reported_tokens: int) -> None:
        """Learns that what `inner` estimated so was in truth reported so."""
        if estimated_tokens <= 0 or reported_tokens <= 0:
            return
        # One report that is far out, such as of a request that the provider put a lot of its own into, counts little.
        ratio = min(2 * MOST_FACTOR, max(LEAST_FACTOR / 2, reported_tokens / estimated_tokens))
        with self._lock:
            known = self._learnt.pop(model, None)
            if known is None and len(self._learnt) >= MAX_MODELS:
                del self._learnt[next(iter(self._learnt))]
            self._learnt[model] = known.after(ratio) if known else Calibration(ratio, 0.0, 1)

    def _is_wanted(self, model: str) -> bool:
        """Whether another report of this model is worth looking at. A count lost between threads does no harm."""
        seen = self._seen.get(model, 0)
        if seen == 0 and len(self._seen) >= MAX_MODELS:
            self._seen.clear()
        self._seen[model] = seen + 1
        return seen < _ALWAYS_UP_TO or seen % _THEN_EVERY == 0

    def __repr__(self) -> str:
        return f"<CalibratingTokenCounter {len(self._learnt)} models>"
