"""What there is to say about an answer beside its text."""

from dipeo.domain.completion import Completion, FinishReason


def remarks_on(completion: Completion) -> list[str]:
    """What a reader of the answer should know: notes, adaptations, and an end before its time."""
    remarks = list(completion.notes)
    remarks += [f"{a.parameter} was {a.action.value}: {a.reason}" for a in completion.adaptations]
    if completion.is_truncated:
        remarks.append("The answer was cut off by the token limit.")
    elif completion.finish_reason is FinishReason.CONTENT_FILTER:
        remarks.append("The provider's content filter ended the answer.")
    elif completion.finish_reason is not FinishReason.STOP:
        remarks.append(f"The answer ended with {completion.raw_finish_reason or completion.finish_reason.value!r}.")
    return remarks


def adaptations_of(completion: Completion) -> list[dict[str, str]]:
    """What was sent otherwise than asked, as JSON values."""
    return [
        {"parameter": adaptation.parameter, "action": adaptation.action.value, "reason": adaptation.reason}
        for adaptation in completion.adaptations
    ]


def completion_as_dict(completion: Completion) -> dict[str, object]:
    """The answer as JSON values."""
    return {
        "text": completion.text,
        "model": completion.model,
        "service": completion.service.value,
        "finish_reason": completion.finish_reason.value,
        "raw_finish_reason": completion.raw_finish_reason,
        "usage": completion.usage.to_dict(),
        "response_id": completion.response_id,
        "request_id": completion.request_id,
        "adaptations": adaptations_of(completion),
        "notes": list(completion.notes),
        "attempts": [attempt.to_dict() for attempt in completion.attempts],
        "latency_ms": round(completion.latency_ms, 3),
    }
