"""What a model can be asked, and how an alias points at one."""

from attrs import field, frozen

from dipeo.domain.checks import check_identifier
from dipeo.domain.service import LLMService


def _as_service(name: LLMService | str) -> LLMService:
    return LLMService.from_name(name)


@frozen(kw_only=True)
class ModelTarget:
    """Where an alias points: a service, the model's name there, and where needed a key and an endpoint."""

    service: LLMService = field(converter=_as_service)
    model: str
    api_key_id: str | None = None
    base_url: str | None = None

    def __attrs_post_init__(self) -> None:
        check_identifier("model", self.model)
        if self.api_key_id is not None:
            check_identifier("api_key_id", self.api_key_id)
        if self.base_url is not None:
            check_identifier("base_url", self.base_url)


@frozen(kw_only=True)
class ModelCapabilities:
    """What a model takes; careful by default: what is not known to be taken is not sent.

    `accepts_open_end`: whether the conversation may end with the model's own words, to be continued.
    """

    takes_temperature: bool = True
    takes_top_p: bool = True
    takes_stop: bool = True
    takes_seed: bool = False
    takes_reasoning_effort: bool = False
    takes_names: bool = False
    accepts_open_end: bool = False
    max_temperature: float = 2.0
