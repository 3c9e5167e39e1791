"""What a prompt file says about itself before its text."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

from dipeo.domain.checks import check_identifier, check_text
from dipeo.domain.errors import UnknownServiceError, ValidationError
from dipeo.domain.memory import MemoryPolicy, parse_memory
from dipeo.domain.prompt import PromptFile, is_variable_name
from dipeo.domain.sampling import SAMPLING_NAMES, ReasoningEffort, Sampling
from dipeo.domain.service import LLMService
from dipeo.infrastructure.prompts.refusal import refusal, shown

_KNOWN_KEYS: Final = (
    *("name", "description", "model", "service", "fallbacks", "memory", "sampling"),
    *SAMPLING_NAMES,
    "variables",
)
_OPENING: Final = re.compile(r"---[ \t]*(?:\n|\Z)")
_MAX_MESSAGE_CHARS: Final = 300
_MAX_GUESSED_CHARS: Final = 64
_YAML_WORDS: Final = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a fraction",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing",
}

Facts = Mapping[object, object]


def parse_prompt(text: str, *, name: str) -> PromptFile:
    """The prompt in the text of a file, whose `name` is for error messages.

    Front matter is YAML between two `---` lines at the very start. It may give `name`, `description`, `model`,
    `service`, `fallbacks`, `memory`, the sampling settings (also under `sampling`) and `variables`, which maps names to
    their defaults: a text, a number, true or false, or nothing where a value must be given. A number becomes text by
    way of its value, so put it in quotation marks where 1.10 must not become 1.1. Blank lines around the text are
    dropped.

    Raises `PromptRefusedError` for front matter that cannot be read, that has an unknown key, or a value that the key
    cannot have; and for a file without any text.
    """
    facts, rest = _split(text.replace("\r\n", "\n"), name=name)
    try:
        prompt = _build(facts, _without_blank_edges(rest))
    except (ValidationError, UnknownServiceError) as problem:
        reason = f"is not valid: {problem.message.rstrip('.')[:_MAX_MESSAGE_CHARS]}"
        suggestion = problem.suggestion or "Correct the front matter of the file."
        raise refusal(name, reason, suggestion=suggestion, key=problem.field) from None
    if not prompt.text:
        raise refusal(name, "is empty", suggestion="Write the prompt's text below the front matter, if there is any.")
    return prompt


def _build(facts: Facts, body: str) -> PromptFile:
    _check_keys(facts, _KNOWN_KEYS)
    return PromptFile(
        text=check_text("text", body),
        name=_identifier(facts, "name"),
        description=_text(facts, "description"),
        model=_identifier(facts, "model"),
        service=_service(facts),
        fallbacks=_texts(facts, "fallbacks"),
        memory=_memory(facts),
        sampling=_sampling(facts),
        variables=_variables(facts),
    )


def _split(text: str, *, name: str) -> tuple[Facts, str]:
    if not _OPENING.match(text):
        return {}, text
    from dipeo.infrastructure.prompts.strict_yaml import FrontMatterError, split_front_matter

    try:
        return split_front_matter(text)
    except FrontMatterError as problem:
        raise refusal(
            name,
            problem.reason,
            suggestion=problem.suggestion,
        ) from None


def _without_blank_edges(text: str) -> str:
    lines = text.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    start = next((index for index, line in enumerate(lines) if line.strip()), 0)
    return "\n".join(lines[start:])


def _check_keys(facts: Facts, known: Sequence[str], *, inside: str = "") -> None:
    unknown = next((key for key in facts if key not in known), None)
    if unknown is None:
        return
    close = difflib.get_close_matches(str(unknown)[:_MAX_GUESSED_CHARS], known, n=1)
    hint = f" (did you mean '{inside}{close[0]}'?)" if close else ""
    raise ValidationError(
        f"the key {shown(f'{inside}{unknown}')} is not known{hint}",
        field=f"{inside}{unknown}"[:_MAX_GUESSED_CHARS],
        suggestion=f"Known keys: {', '.join(known)}.",
    )


def _text(facts: Facts, key: str) -> str | None:
    value = facts.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(key, value, wanted="text")
    return None if value is None else check_text(key, value)


def _identifier(facts: Facts, key: str) -> str | None:
    value = _text(facts, key)
    return None if value is None else check_identifier(key, value)


def _service(facts: Facts) -> LLMService | None:
    value = _identifier(facts, "service")
    return None if value is None else LLMService.from_name(value)


def _memory(facts: Facts) -> MemoryPolicy | None:
    value = _text(facts, "memory")
    return None if value is None else parse_memory(value)


def _sampling(facts: Facts) -> Sampling:
    nested = _mapping(facts, "sampling")
    _check_keys(nested, SAMPLING_NAMES, inside="sampling.")
    twice = next((key for key in SAMPLING_NAMES if key in nested and key in facts), None)
    if twice is not None:
        raise ValidationError(f"{twice!r} stands both at the top and under 'sampling'", field=twice)
    settings: Facts = {key: value for key, value in {**facts, **nested}.items() if key in SAMPLING_NAMES}
    return Sampling(
        temperature=_number(settings, "temperature"),
        top_p=_number(settings, "top_p"),
        max_tokens=_whole_number(settings, "max_tokens"),
        stop=_texts(settings, "stop") or None,
        seed=_whole_number(settings, "seed"),
        # Sampling makes the text a member, and refuses it where there is none.
        reasoning_effort=cast("ReasoningEffort | None", _text(settings, "reasoning_effort")),
    )


def _number(facts: Facts, key: str) -> float | None:
    value = facts.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong_type(key, value, wanted="a number")
    return value


def _whole_number(facts: Facts, key: str) -> int | None:
    value = _number(facts, key)
    if isinstance(value, float):
        raise _wrong_type(key, value, wanted="a whole number")
    return value


def _texts(facts: Facts, key: str) -> tuple[str, ...] | None:
    value = facts.get(key)
    if value is None:
        return None
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise _wrong_type(key, value, wanted="text or a list of texts")
    return tuple(texts)


def _variables(facts: Facts) -> dict[str, str | None]:
    return {_variable_name(key): _default(key, value) for key, value in _mapping(facts, "variables").items()}


def _variable_name(key: object) -> str:
    if isinstance(key, str) and is_variable_name(key):
        return key
    raise ValidationError(
        f"{shown(str(key))} cannot be the name of a variable",
        field="variables",
        suggestion="Use letters, digits and underscores, with no digit at the front.",
    )


def _default(key: object, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise _wrong_type(f"variables.{key}", value, wanted="text, a number, true, false or nothing")
    return check_text(f"variables.{key}", str(value))


def _mapping(facts: Facts, key: str) -> Facts:
    value = facts.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _wrong_type(key, value, wanted="a mapping")
    return value


def _wrong_type(key: str, value: object, *, wanted: str) -> ValidationError:
    return ValidationError(f"{key!r} must be {wanted}, not {_YAML_WORDS.get(type(value), 'this')}", field=key)
