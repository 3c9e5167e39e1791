"""Options of one provider, which go into the request body as they are."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.checks import check_json_object
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

RESERVED: Final = frozenset({"model", "messages", "contents", "input", "stream"})
"""What the adapter alone decides: replacing it would make the answer belong to another question."""


def with_provider_options(body: dict[str, JsonValue], options: JsonObject) -> dict[str, JsonValue]:
    """The body with the options on top; objects that both have are merged one level deep.

    Raises `ValidationError` for an option that would replace the model or the messages.
    """
    if not options:
        return body
    check_provider_options(options)
    for name, value in options.items():
        ours = body.get(name)
        body[name] = {**ours, **value} if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return body


def check_provider_options(options: object) -> JsonObject:
    """The options, if they are a JSON object that replaces nothing. Raises `ValidationError`."""
    checked = check_json_object("provider_options", options)
    for name in sorted(RESERVED.intersection(checked)):
        raise ValidationError(
            f"'provider_options' must not set {name!r}.",
            field=f"provider_options.{name}",
            suggestion="Use the argument of the call instead.",
        )
    return checked
