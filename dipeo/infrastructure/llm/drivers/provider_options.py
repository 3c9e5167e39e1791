"""Options of one provider, which go into the request body as they are."""

from collections.abc import Mapping
from typing import Final

from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject, JsonValue

RESERVED: Final = frozenset({"model", "messages", "contents", "stream"})
"""What the adapter alone decides: replacing it would make the answer belong to another question."""


def with_provider_options(body: dict[str, JsonValue], options: JsonObject) -> dict[str, JsonValue]:
    """The body with the options on top; objects that both have are merged one level deep.

    Raises `ValidationError` for an option that would replace the model or the messages.
    """
    if not options:
        return body
    for name, value in options.items():
        if name in RESERVED:
            raise ValidationError(
                f"'provider_options' must not set {name!r}.",
                field=f"provider_options.{name}",
                suggestion="Use the argument of the call instead.",
            )
        ours = body.get(name)
        body[name] = {**ours, **value} if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return body
