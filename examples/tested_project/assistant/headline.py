"""Headlines for texts."""

from dipeo import LLMServicePort, errors

INSTRUCTION = "Answer with a headline for the text: one line, without a full stop."


async def headline(llm: LLMServicePort, text: str, *, model: str = "openai") -> str:
    """A headline for the text; its first words where no model is to be had."""
    messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": text}]
    try:
        completion = await llm.complete(messages, model, max_tokens=40)
    except (errors.ModelUnavailableError, errors.TimeoutError):
        return " ".join(text.split()[:5]) + " ..."
    return completion.text.strip().rstrip(".")
