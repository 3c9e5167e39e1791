"""What there is to say about an answer beside its text."""

from dipeo.domain.completion import Adaptation, Completion, FinishReason


def remarks_on(completion: Completion) -> list[str]:
    """What a reader of the answer should know: notes, adaptations, and an end before its time."""
    remarks = list(completion.notes)
    remarks += [adaptation_in_words(adaptation) for adaptation in completion.adaptations]
    if completion.is_truncated:
        remarks.append("The answer was cut off by the token limit.")
    elif completion.finish_reason is FinishReason.CONTENT_FILTER:
        remarks.append("The provider's content filter ended the answer.")
    elif completion.finish_reason is not FinishReason.STOP:
        remarks.append(f"The answer ended with {completion.raw_finish_reason or completion.finish_reason.value!r}.")
    return remarks


def adaptation_in_words(adaptation: Adaptation) -> str:
    """What was sent otherwise than asked, and why."""
    return f"{adaptation.parameter} was {adaptation.action.value}: {adaptation.reason}"


def adaptation_as_dict(adaptation: Adaptation) -> dict[str, str]:
    """What was sent otherwise than asked, as JSON values."""
    return {"parameter": adaptation.parameter, "action": adaptation.action.value, "reason": adaptation.reason}


def adaptations_of(completion: Completion) -> list[dict[str, str]]:
    """All that was sent otherwise than asked, as JSON values."""
    return [adaptation_as_dict(adaptation) for adaptation in completion.adaptations]


def completion_as_dict(completion: Completion) -> dict[str, object]:
    """The answer as JSON values."""
    return {
        "text": completion.text,
        "reasoning": completion.reasoning,
        "citations": [
            {"url": citation.url, "title": citation.title, "text": citation.text} for citation in completion.citations
        ],
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
