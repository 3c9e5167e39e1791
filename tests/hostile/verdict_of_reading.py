"""What must hold of anything that was read, whatever it was."""

import copy
import json
import pickle
import traceback
from typing import Final

from attrs import evolve

from dipeo.domain.completion import Completion
from dipeo.domain.errors import DipeoError, ValidationError
from dipeo.domain.parts import TextPart, ToolCallPart
from dipeo.infrastructure.llm.drivers.retry_after import MAX_RETRY_AFTER_S
from tests.hostile.reading import KEY, Outcome

MAX_MESSAGE_CHARS: Final = 2_000


def faults_of(read: Outcome) -> list[str]:
    """What is wrong with how the reading of an answer ended; nothing, if all is well."""
    if read.completion is not None:
        return faults_of_completion(read.completion, read.text)
    if read.error is None:
        return ["neither an answer nor an error"]
    return faults_of_error(read.error)


def faults_of_error(error: DipeoError) -> list[str]:
    """An error of ours that says who failed, can be sent elsewhere, and is of sane size."""
    found: list[str] = []
    if isinstance(error, ValidationError):
        found.append("the provider's fault is put down to the caller")
    if error.verdict is None:
        found.append("there is no verdict")
    if len(error.message) > MAX_MESSAGE_CHARS:
        found.append(f"the message has {len(error.message)} characters")
    if not error.message.isprintable():
        found.append("the message holds control characters")
    if error.retry_after_s is not None and not 0 <= error.retry_after_s <= MAX_RETRY_AFTER_S:
        found.append(f"the wait is {error.retry_after_s}")
    told = error.to_dict()
    if json.dumps(told, allow_nan=False) != json.dumps(pickle.loads(pickle.dumps(error)).to_dict()):
        found.append("it changes when it is pickled")
    if copy.deepcopy(error).to_dict() != told:
        found.append("it changes when it is copied")
    if error.__cause__ is not None or (not error.__suppress_context__ and error.__context__ is not None):
        found.append(f"it drags {error.__cause__ or error.__context__!r} along")
    if KEY in "".join(traceback.format_exception(error)):
        found.append("it shows the key")
    return found


def faults_of_completion(completion: Completion, text: str = "") -> list[str]:
    """An answer whose parts are what they claim to be."""
    found: list[str] = []
    if not completion.parts and completion.finish_reason.value in ("stop", "tool_calls"):
        found.append("the answer is empty and says that all is well")
    for part in completion.parts:
        if isinstance(part, TextPart) and type(part.text) is not str:
            found.append("a text is none")
        if isinstance(part, ToolCallPart):
            if type(part.arguments) is not dict:
                found.append("a call's arguments are no object")
            json.dumps(part.arguments, allow_nan=False)
            json.dumps(part.arguments, ensure_ascii=False).encode()
    completion.text.encode()
    completion.reasoning.encode()
    repr(completion)
    pickle.loads(pickle.dumps(completion))
    try:
        # Adapters make some values unchecked, of what they have looked at: their own classes must agree.
        for value in (completion.usage, *completion.parts, *completion.attempts):
            evolve(value)
    except ValidationError as refusal:
        found.append(f"its class would refuse a part of it: {refusal}")
    usage = completion.usage
    if min(usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens) < 0:
        found.append("a count is below zero")
    return found
