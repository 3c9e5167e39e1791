"""What answers cost, by a catalogue."""

from decimal import Decimal

from dipeo.domain.completion import Completion, FinishReason
from dipeo.domain.service import LLMService
from dipeo.domain.usage import Usage
from dipeo.facade import wired
from dipeo.tools import cost_from


def answered(model: str) -> Completion:
    usage = Usage(input_tokens=1_000_000, output_tokens=0)
    return Completion(service=LLMService.OPENAI, model=model, parts=(), finish_reason=FinishReason.STOP, usage=usage)


def test_what_is_not_known_is_not_free() -> None:
    """A model without a price has no cost, which a loop with a limit of money takes for a reason to stop."""
    assert cost_from(wired().catalog())(answered("nobody-knows-this-model")) is None


def test_a_priced_answer_costs_what_the_catalogue_says() -> None:
    """The same sum as the catalogue's own, as a number."""
    catalog = wired().catalog()
    completion = answered("gpt-4o")
    cost = catalog.cost(completion.usage, "gpt-4o", service=LLMService.OPENAI).usd
    assert isinstance(cost, Decimal)
    assert cost_from(catalog)(completion) == float(cost) > 0
