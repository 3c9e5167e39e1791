"""Answers that nothing is scripted for fit the shape that was asked for, however a model is asked for it."""

import json

import pytest

import dipeo
from dipeo import LLMService, Settings
from dipeo.domain.tools import ResponseSchema, SchemaMode, ToolSpec
from dipeo.infrastructure.llm.drivers.schema_request import ANY_JSON_PROMPT, SCHEMA_PROMPT
from dipeo.testing import FakeKeys, ProviderSimulator

PERSON = ResponseSchema(
    name="person",
    schema={
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0, "maximum": 120}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
)
WHO = [{"role": "user", "content": "Who?"}]
UNASKED = ToolSpec(name="unasked", description="", parameters={"type": "object", "properties": {}})
"""With a tool on offer, a schema cannot be a tool itself."""

MODELS = {
    LLMService.OPENAI: ("gpt-4.1-mini", "gpt-4-turbo", "o1-mini"),
    LLMService.ANTHROPIC: ("claude-sonnet-5-5", "claude-3-5-haiku-latest"),
    LLMService.GOOGLE: ("gemini-3.5-flash",),
    LLMService.OLLAMA: ("llama3.2:3b",),
    LLMService.XAI: ("grok-4",),
    LLMService.GROQ: ("llama-3.3-70b-versatile", "compound-beta"),
    LLMService.MISTRAL: ("mistral-large-latest",),
    LLMService.DEEPSEEK: ("deepseek-chat", "deepseek-reasoner"),
    LLMService.OPENROUTER: ("openai/gpt-4.1-mini", "some/model"),
    LLMService.OPENAI_COMPATIBLE: ("some-model",),
}
CASES = [
    (service, model, api)
    for service, models in MODELS.items()
    for model in models
    for api in (("chat", "responses") if service.value in ("openai", "xai", "openai_compatible") else (None,))
]


async def modes_of(service: LLMService, model: str, api: str | None) -> set[SchemaMode | None]:
    """The ways in which a model was asked for a person, whole, streamed, and with a tool on offer; each gave one."""
    modes: set[SchemaMode | None] = set()
    async with ProviderSimulator() as simulator:
        settings = Settings(base_urls=simulator.base_urls, apis={service: api} if api else {})
        async with dipeo.connect(settings, keys=FakeKeys()) as llm:
            whole = await llm.complete(WHO, model, service=service, response_schema=PERSON)
            streamed = await llm.stream(WHO, model, service=service, response_schema=PERSON).collect()
            answers = [whole, streamed]
            if model != "o1-mini" and "compound" not in model:
                with_tool = await llm.complete(WHO, model, service=service, response_schema=PERSON, tools=[UNASKED])
                answers.append(with_tool)
    for answer in answers:
        person = json.loads(answer.text)
        assert person.keys() == {"name", "age"}, answer.schema_mode
        assert isinstance(person["name"], str)
        assert isinstance(person["age"], int)
        modes.add(answer.schema_mode)
    return modes


@pytest.mark.parametrize(("service", "model", "api"), CASES)
async def test_every_service_gives_a_person_where_one_is_asked_for(
    service: LLMService, model: str, api: str | None
) -> None:
    """By a field of the request, as the only tool, or in words alone."""
    assert await modes_of(service, model, api) <= set(SchemaMode)


async def test_no_service_and_no_way_of_asking_is_left_out() -> None:
    """Whoever adds a service is asked for a person, too; a field, a tool and words are all among the ways."""
    assert set(MODELS) == set(LLMService)
    assert {mode for case in CASES for mode in await modes_of(*case)} == set(SchemaMode)


@pytest.mark.parametrize("words", [SCHEMA_PROMPT, "Please answer.\n\n" + SCHEMA_PROMPT])
async def test_the_words_are_those_that_dipeo_sends(words: str) -> None:
    """In whichever message they stand, and with whatever before them."""
    asked = words.format(schema=json.dumps({"type": "array", "items": {"type": "boolean"}, "minItems": 2}))
    async with (
        ProviderSimulator() as simulator,
        dipeo.connect(Settings(base_urls=simulator.base_urls), keys=FakeKeys()) as llm,
    ):
        flags = json.loads((await llm.complete([{"role": "user", "content": asked}], "gpt-4.1-mini")).text)
        any_object = await llm.complete([{"role": "user", "content": ANY_JSON_PROMPT}], "gpt-4.1-mini")
        prose = await llm.complete([{"role": "user", "content": "What is a JSON schema: {}?"}], "gpt-4.1-mini")
    assert len(flags) >= 2
    assert all(isinstance(flag, bool) for flag in flags)
    assert isinstance(json.loads(any_object.text), dict)
    assert not prose.text.startswith("{")
