"""How hard Claude is asked to think, and what may stand beside that."""

from typing import Final

from attrs import field, frozen

from dipeo.domain.completion import AdaptationAction, CompletionRequest, Role
from dipeo.domain.json_value import JsonObject
from dipeo.domain.model import ModelCapabilities
from dipeo.domain.parts import ReasoningPart, ToolCallPart, ToolResultPart
from dipeo.domain.sampling import ReasoningEffort, Sampling
from dipeo.domain.tools import ToolUse
from dipeo.infrastructure.llm.adapters._claude_models import thinks_as_it_sees_fit
from dipeo.infrastructure.llm.drivers.adaptation import Adaptations
from dipeo.infrastructure.llm.drivers.turns import PartTurn

MIN_BUDGET_TOKENS: Final = 1024
MIN_TOP_P_WHILE_THINKING: Final = 0.95

ADAPTIVE: Final[JsonObject] = {"type": "adaptive"}
DISABLED: Final[JsonObject] = {"type": "disabled"}


@frozen(kw_only=True)
class Thinking:
    """What is asked: `config` is the interface's `thinking`, `effort` a level of `output_config`.

    `is_on` says whether the model is asked to think at all.
    """

    config: JsonObject | None = None
    effort: str | None = None
    is_on: bool = field(init=False)

    @is_on.default
    def _is_on(self) -> bool:
        return self.config is not None and self.config is not DISABLED

    @property
    def budget_tokens(self) -> int:
        """The tokens that are set aside for thinking; 0 where the model decides."""
        budget = self.config.get("budget_tokens") if self.config else None
        return budget if isinstance(budget, int) else 0


NOTHING_ASKED: Final = Thinking()


def thinking_for(request: CompletionRequest, capabilities: ModelCapabilities, adaptations: Adaptations) -> Thinking:
    """The thinking that a request asks for, as far as the model and a forced tool call allow."""
    sampling = request.sampling
    effort = _effort_for(request.model, sampling, capabilities, adaptations)
    if sampling.reasoning_effort is ReasoningEffort.NONE and effort in (None, ReasoningEffort.NONE):
        if sampling.reasoning_budget_tokens is not None:
            adaptations.dropped("reasoning_budget_tokens", "'reasoning_effort' says not to think.")
        # The models that take no effort do not think unless they are told to.
        return NOTHING_ASKED if effort is None else Thinking(config=DISABLED)
    config = _budget_for(request.model, sampling, capabilities, adaptations)
    if config is None and effort is not None and thinks_as_it_sees_fit(request.model):
        config = ADAPTIVE
    if config is not None and request.tooling.use in (ToolUse.REQUIRED, ToolUse.NAMED):
        config = None
        _note_not_thinking(sampling, adaptations, "Anthropic's models do not think before a call that is forced.")
    return Thinking(config=config, effort=effort.value if effort else None)


def thinking_after(
    turns: tuple[PartTurn, ...], thinking: Thinking, sampling: Sampling, adaptations: Adaptations
) -> Thinking:
    """The thinking that can go on behind these turns.

    A budget is refused where the last calls were made without a thought in front, as another vendor's are.
    """
    if not thinking.budget_tokens or len(turns) < 2 or not isinstance(turns[-1].parts[0].part, ToolResultPart):
        return thinking
    calling = turns[-2]
    if calling.role is not Role.ASSISTANT or isinstance(calling.parts[0].part, ReasoningPart):
        return thinking
    if not any(isinstance(placed.part, ToolCallPart) for placed in calling.parts):
        return thinking
    _note_not_thinking(sampling, adaptations, "the calls that are answered here were made without thinking.")
    return Thinking(effort=thinking.effort)


def _note_not_thinking(sampling: Sampling, adaptations: Adaptations, reason: str) -> None:
    if sampling.reasoning_budget_tokens is not None:
        adaptations.dropped("reasoning_budget_tokens", reason)
    else:
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, f"{reason} It is sent for the rest.")


def _effort_for(
    model: str, sampling: Sampling, capabilities: ModelCapabilities, adaptations: Adaptations
) -> ReasoningEffort | None:
    asked = sampling.reasoning_effort
    if asked is None or (asked is ReasoningEffort.NONE and not capabilities.efforts):
        return None
    level = capabilities.nearest_effort(asked)
    if level is None:
        instead = "; it takes 'reasoning_budget_tokens'" if capabilities.takes_reasoning_budget else ""
        adaptations.dropped("reasoning_effort", f"{model} does not take it{instead}.")
    elif level is not asked:
        reason = f"the nearest that {model} takes is {level.value}."
        adaptations.note("reasoning_effort", AdaptationAction.SUBSTITUTED, reason)
    return level


def _budget_for(
    model: str, sampling: Sampling, capabilities: ModelCapabilities, adaptations: Adaptations
) -> JsonObject | None:
    budget = sampling.reasoning_budget_tokens
    if budget is None:
        return None
    if not capabilities.takes_reasoning_budget:
        if not thinks_as_it_sees_fit(model):
            adaptations.dropped("reasoning_budget_tokens", f"{model} does not take it.")
            return None
        reason = f"{model} decides itself how long it thinks."
        adaptations.note("reasoning_budget_tokens", AdaptationAction.SUBSTITUTED, reason)
        return ADAPTIVE
    most = (sampling.max_tokens or budget + MIN_BUDGET_TOKENS + 1) - 1
    if most < MIN_BUDGET_TOKENS:
        reason = f"it is {MIN_BUDGET_TOKENS} at least and within 'max_tokens', which leaves too few."
        adaptations.dropped("reasoning_budget_tokens", reason)
        return None
    taken = min(max(budget, MIN_BUDGET_TOKENS), most)
    if taken != budget:
        reason = f"Anthropic takes at least {MIN_BUDGET_TOKENS}, and less than 'max_tokens'."
        adaptations.note("reasoning_budget_tokens", AdaptationAction.CLAMPED, reason)
    return {"type": "enabled", "budget_tokens": taken}
