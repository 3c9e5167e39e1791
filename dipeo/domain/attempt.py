"""One call to a provider, as it is remembered."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.service import LLMService
from dipeo.domain.usage import UNREPORTED_USAGE, Usage
from dipeo.domain.verdict import OUTCOME_UNKNOWN_VERDICTS, Verdict

_ANSWERED_VERDICTS: Final = frozenset({Verdict.EMPTY_RESPONSE, Verdict.TOOL_CALL_INVALID})
"""The model did its work, and what it made is of no use."""


class Billed(StrEnum):
    """Whether the provider will ask money for an attempt."""

    YES = "yes"
    NO = "no"
    PERHAPS = "perhaps"


@frozen(kw_only=True)
class Attempt:
    """What one attempt asked of whom, how it ended, and what was decided then.

    `verdict` is None for an attempt that succeeded. `number` counts from 1 within one call; `call_id` ties the
    attempts of a call together. `key_fingerprint` tells keys apart and does not reveal them. `waited_s` is the pause
    before this attempt. `decision` says what followed and why, in words.
    """

    call_id: str
    number: int
    service: LLMService
    model: str
    started_at: datetime
    latency_ms: float
    key_fingerprint: str | None = None
    person_id: str | None = None
    verdict: Verdict | None = None
    status: int | None = None
    provider_code: str | None = None
    request_id: str | None = None
    usage: Usage = UNREPORTED_USAGE
    waited_s: float = 0.0
    retry_after_s: float | None = None
    decision: str = field(default="")

    def __attrs_post_init__(self) -> None:
        if type(self.number) is not int or self.number < 1:
            raise ValidationError(f"'number' counts from 1, it cannot be {self.number!r}.", field="number")
        if self.started_at.tzinfo is None:
            raise ValidationError("'started_at' must be a time with a zone.", field="started_at")
        if not 0 <= self.latency_ms < math.inf:
            raise ValidationError(f"'latency_ms' cannot be {self.latency_ms!r}.", field="latency_ms")
        if not 0 <= self.waited_s < math.inf:
            raise ValidationError(f"'waited_s' cannot be {self.waited_s!r}.", field="waited_s")

    @property
    def billed(self) -> Billed:
        """Whether it costs: an answer does, a refusal does not, and where nobody saw the end, perhaps."""
        if self.verdict is None or self.verdict in _ANSWERED_VERDICTS:
            return Billed.YES
        return Billed.PERHAPS if self.verdict in OUTCOME_UNKNOWN_VERDICTS else Billed.NO

    def to_dict(self) -> dict[str, JsonValue]:
        """The attempt as JSON values."""
        return {
            "call_id": self.call_id,
            "number": self.number,
            "service": self.service.value,
            "model": self.model,
            "started_at": self.started_at.isoformat(),
            "latency_ms": self.latency_ms,
            "key_fingerprint": self.key_fingerprint,
            "person_id": self.person_id,
            "verdict": self.verdict.value if self.verdict else None,
            "status": self.status,
            "provider_code": self.provider_code,
            "request_id": self.request_id,
            "usage": self.usage.to_dict(),
            "billed": self.billed.value,
            "waited_s": self.waited_s,
            "retry_after_s": self.retry_after_s,
            "decision": self.decision,
        }
