"""What a model can be asked, and how an alias points at one."""

from collections.abc import Iterable, Mapping
from typing import Final

from attrs import field, frozen

from dipeo.domain.checks import check_identifier
from dipeo.domain.errors import ValidationError
from dipeo.domain.sampling import ReasoningEffort
from dipeo.domain.service import LLMService
from dipeo.domain.tools import ProviderTool, SchemaMode

MAX_FALLBACKS: Final = 10


def _as_service(name: LLMService | str) -> LLMService:
    return LLMService.from_name(name)


def as_fallbacks(fallbacks: object) -> "tuple[ModelTarget | str, ...]":
    """Whom to ask instead, in this order: aliases, names of models, or targets. Raises `ValidationError`."""
    if isinstance(fallbacks, str | bytes | Mapping) or not isinstance(fallbacks, Iterable):
        raise ValidationError(
            "'fallbacks' must be a list of models.",
            field="fallbacks",
            suggestion="Write fallbacks=['claude'], with names, aliases or ModelTargets.",
        )
    given = tuple(fallbacks)
    if len(given) > MAX_FALLBACKS:
        raise ValidationError(f"'fallbacks' has {len(given)} models, {MAX_FALLBACKS} at most.", field="fallbacks")
    return tuple(each if isinstance(each, ModelTarget) else check_identifier("fallbacks", each) for each in given)


@frozen(kw_only=True)
class ModelTarget:
    """Where an alias points: a service, the model's name there, and where needed a key and an endpoint.

    `fallbacks` are asked, in this order, when this one cannot answer, unless a call or a person names others.
    """

    service: LLMService = field(converter=_as_service)
    model: str
    api_key_id: str | None = None
    base_url: str | None = None
    fallbacks: "tuple[ModelTarget | str, ...]" = field(default=(), converter=as_fallbacks)

    def __attrs_post_init__(self) -> None:
        check_identifier("model", self.model)
        if self.api_key_id is not None:
            check_identifier("api_key_id", self.api_key_id)
        if self.base_url is not None:
            check_identifier("base_url", self.base_url)


@frozen(kw_only=True)
class ModelCapabilities:
    """What a model takes; careful by default: what is not known to be taken is not sent.

    `accepts_open_end`: whether the conversation may end with the model's own words, to be continued. `schema_mode` is
    the best way to ask for an answer of a given shape.
    """

    takes_temperature: bool = True
    takes_top_p: bool = True
    takes_stop: bool = True
    takes_seed: bool = False
    efforts: frozenset[ReasoningEffort] = frozenset()
    takes_names: bool = False
    knows_developer: bool = False
    accepts_open_end: bool = False
    max_temperature: float = 2.0
    takes_reasoning_budget: bool = False
    takes_tools: bool = False
    provider_tools: frozenset[ProviderTool] = frozenset()
    schema_mode: SchemaMode = SchemaMode.PROMPT
    takes_images: bool = False
    takes_documents: bool = False
    takes_audio: bool = False

    @property
    def takes_reasoning_effort(self) -> bool:
        """Whether the model can be told how hard to think."""
        return bool(self.efforts)

    def nearest_effort(self, effort: ReasoningEffort) -> ReasoningEffort | None:
        """The level that the model takes and that is nearest, the higher of two; None where it takes none."""
        rank = {level: place for place, level in enumerate(ReasoningEffort)}
        wanted = rank[effort]
        return min(self.efforts, key=lambda level: (abs(rank[level] - wanted), -rank[level]), default=None)
