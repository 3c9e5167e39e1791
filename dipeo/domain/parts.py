"""What a message can be made of."""

from copy import deepcopy
from enum import StrEnum
from typing import Final, TypeAlias

from attrs import field, frozen

from dipeo.domain.checks import check_identifier, check_json_object, check_text
from dipeo.domain.errors import ValidationError
from dipeo.domain.json_value import JsonObject
from dipeo.domain.unchecked import unchecked


@frozen
class TextPart:
    """Plain text."""

    text: str

    def __attrs_post_init__(self) -> None:
        if type(self.text) is not str or not self.text.isascii():
            check_text("text", self.text)


new_text = unchecked(TextPart)
"""For text that is ASCII, which can always be sent."""

_MAX_URL_CHARS: Final = 16 * 1024
"""Signed URLs are long."""


def _check_url(url: str) -> None:
    text = check_text("url", url)
    if not 0 < len(text) <= _MAX_URL_CHARS or not text.isprintable() or text != text.strip():
        raise ValidationError(
            f"'url' must be 1 to {_MAX_URL_CHARS} printable characters without surrounding space.", field="url"
        )


@frozen(kw_only=True)
class _MediaPart:
    """Bytes, or the address of bytes, of a media type; exactly one of `data` and `url` is given, and not empty.

    A URL is handed to the provider as it is; dipeo fetches nothing.
    """

    media_type: str
    data: bytes | None = field(default=None, repr=lambda data: "None" if data is None else f"<{len(data)} bytes>")
    url: str | None = None

    def __attrs_post_init__(self) -> None:
        check_identifier("media_type", self.media_type)
        if (self.data is None) == (self.url is None):
            raise ValidationError("Give either 'data' or 'url', and only one of them.", field="data")
        if self.url is not None:
            _check_url(self.url)
        elif not isinstance(self.data, bytes):
            raise ValidationError(f"'data' must be bytes, not {type(self.data).__name__}.", field="data")
        elif not self.data:
            raise ValidationError("'data' is empty: there is nothing to look at.", field="data")


class ImageDetail(StrEnum):
    """How closely a picture is looked at, where the provider can be told: a closer look costs more tokens."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"
    ORIGINAL = "original"


def _as_detail(detail: ImageDetail | str | None) -> ImageDetail | None:
    if detail is None:
        return None
    try:
        return ImageDetail(detail)
    except ValueError:
        known = ", ".join(repr(each.value) for each in ImageDetail)
        raise ValidationError(f"'detail' must be one of {known}, not {detail!r}.", field="detail") from None


@frozen(kw_only=True)
class ImagePart(_MediaPart):
    """A picture. `detail` says how closely to look at it; None leaves that to the provider."""

    detail: ImageDetail | None = field(default=None, converter=_as_detail)


@frozen(kw_only=True)
class DocumentPart(_MediaPart):
    """A document, such as a PDF."""

    name: str | None = None

    def __attrs_post_init__(self) -> None:
        _MediaPart.__attrs_post_init__(self)
        if self.name is not None:
            check_identifier("name", self.name)


@frozen(kw_only=True)
class AudioPart(_MediaPart):
    """A sound."""


def _as_arguments(arguments: JsonObject) -> JsonObject:
    return deepcopy(check_json_object("arguments", arguments))


def _as_data(data: JsonObject) -> JsonObject:
    return deepcopy(check_json_object("data", data))


@frozen(kw_only=True)
class ToolCallPart:
    """The model asks for a tool: `arguments` is the parsed JSON object.

    `broken_arguments` is the text of arguments that are no JSON object, such as those of an answer that was cut off; a
    call with any must not be carried out. `signature` proves to `vendor` that the call is its own.
    """

    call_id: str
    name: str
    arguments: JsonObject = field(converter=_as_arguments)
    broken_arguments: str | None = None
    vendor: str | None = None
    signature: str | None = field(default=None, repr=False)

    def __attrs_post_init__(self) -> None:
        check_identifier("call_id", self.call_id)
        check_identifier("name", self.name)
        for name in ("broken_arguments", "vendor", "signature"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))


@frozen(kw_only=True)
class ToolResultPart:
    """What a tool gave back for the call `call_id`."""

    call_id: str
    content: str
    is_error: bool = False

    def __attrs_post_init__(self) -> None:
        check_identifier("call_id", self.call_id)
        check_text("content", self.content)
        if not isinstance(self.is_error, bool):
            raise ValidationError("'is_error' must be True or False.", field="is_error")


@frozen(kw_only=True)
class ReasoningPart:
    """What the model thought; `signature` proves to `vendor` that it is its own, and is of no use to another.

    A thought that the vendor does not show has no text (`is_redacted`). `id` is the vendor's name for it.
    """

    text: str
    vendor: str
    signature: str | None = field(default=None, repr=False)
    id: str | None = None
    is_redacted: bool = False

    def __attrs_post_init__(self) -> None:
        check_text("text", self.text)
        check_identifier("vendor", self.vendor)
        for name in ("signature", "id"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))


@frozen(kw_only=True)
class ProviderToolPart:
    """What a provider's own tool was asked, or gave back: `data` is the vendor's JSON for it.

    It goes back unchanged to the vendor that made it, and is left out for another.
    """

    vendor: str
    name: str
    data: JsonObject = field(converter=_as_data)

    def __attrs_post_init__(self) -> None:
        check_identifier("vendor", self.vendor)
        check_identifier("name", self.name)


@frozen(kw_only=True)
class CitationPart:
    """Where something in the text before it comes from: `text` is what is quoted, as far as the provider says."""

    url: str | None = None
    title: str = ""
    text: str = ""

    def __attrs_post_init__(self) -> None:
        check_text("title", self.title)
        check_text("text", self.text)
        if self.url is not None:
            check_text("url", self.url)


Part: TypeAlias = (
    TextPart
    | ImagePart
    | DocumentPart
    | AudioPart
    | ToolCallPart
    | ToolResultPart
    | ReasoningPart
    | ProviderToolPart
    | CitationPart
)

PART_TYPES: tuple[type[Part], ...] = (
    TextPart,
    ImagePart,
    DocumentPart,
    AudioPart,
    ToolCallPart,
    ToolResultPart,
    ReasoningPart,
    ProviderToolPart,
    CitationPart,
)


def text_of(parts: tuple[Part, ...]) -> str:
    """The text of all text parts, joined."""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return "".join(part.text for part in parts if isinstance(part, TextPart))
