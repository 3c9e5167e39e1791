"""How providers are asked to count: from the request that a completion would send to the one that counts it.

Sources of the shapes: Anthropic's reference to "Count tokens in a message", Google's to "Counting tokens", OpenAI's to
"Get input token counts".
"""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve, frozen

from dipeo.domain.errors import MalformedResponseError, UnsupportedParameterError
from dipeo.domain.json_value import JsonValue
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.wire import WireRequest

# What counts as input; all else of a request (how long the answer may be, how it is drawn) is refused there.
_ANTHROPIC_FIELDS: Final = frozenset(
    {"model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control"}
)
_OPENAI_FIELDS: Final = frozenset(
    {
        "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text",
        "previous_response_id", "conversation", "truncation", "personality",
    }
)  # fmt: skip
_GENERATE: Final = ":generateContent"


@frozen
class CountingDialect:
    """How a provider is asked to count.

    `count_field`: where its answer says how many. `is_over_responses`: the request that is counted is one of OpenAI's
    responses.
    """

    encode: Callable[[WireRequest], WireRequest]
    count_field: str
    is_over_responses: bool = False

    def decode(self, body: JsonValue) -> int:
        """The count in the answer. Raises `MalformedResponseError`."""
        count = body.get(self.count_field) if isinstance(body, dict) else None
        if type(count) is not int or count < 0:
            raise MalformedResponseError(f"The provider's answer holds no {self.count_field!r}.")
        return count


def _anthropic(completion: WireRequest) -> WireRequest:
    body = {name: value for name, value in completion.body.items() if name in _ANTHROPIC_FIELDS}
    return evolve(completion, path="/v1/messages/count_tokens", body=body)


def _openai(completion: WireRequest) -> WireRequest:
    body = {name: value for name, value in completion.body.items() if name in _OPENAI_FIELDS}
    return evolve(completion, path=f"{completion.path}/input_tokens", body=body)


def _google(completion: WireRequest) -> WireRequest:
    # The path ends in `models/<name>:generateContent`; the request within the request names the model once more.
    path = completion.path.removesuffix(_GENERATE)
    model = "/".join(path.rsplit("/", 2)[-2:])
    counted: dict[str, JsonValue] = {"model": model, **completion.body}
    return evolve(completion, path=f"{path}:countTokens", body={"generateContentRequest": counted})


_DIALECTS: Final[Mapping[LLMService, CountingDialect]] = {
    LLMService.OPENAI: CountingDialect(_openai, "input_tokens", is_over_responses=True),
    LLMService.ANTHROPIC: CountingDialect(_anthropic, "input_tokens"),
    LLMService.GOOGLE: CountingDialect(_google, "totalTokens"),
}


def counting_dialect_of(service: LLMService) -> CountingDialect:
    """How this service is asked. Raises `UnsupportedParameterError` for one that counts nothing."""
    dialect = _DIALECTS.get(service)
    if dialect is None:
        known = ", ".join(sorted(_DIALECTS))
        raise UnsupportedParameterError(
            f"{service.value!r} offers no counting of tokens.",
            field="service",
            provider=service.value,
            suggestion=f"{known} count; for the others there is the estimate of TokenCounterPort.",
        )
    return dialect
