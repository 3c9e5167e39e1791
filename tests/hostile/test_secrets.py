"""A key that is looked for wherever it could come out, while everything goes wrong."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

import dipeo
from dipeo import LLMService, Settings, errors
from dipeo.domain.secret import Secret
from dipeo.entrypoints.cli.main import app
from dipeo.facade import wired
from dipeo.infrastructure.ledger.in_memory import InMemoryLedger
from dipeo.testing import Fault, ProviderSimulator, Reply
from tests.hostile.canary import KEYS, every_log, shapes_of, sinks_of, traces_of

HELLO = [{"role": "user", "content": "Hello"}]
MODELS: Mapping[LLMService, str] = {
    LLMService.OPENAI: "gpt-5.4-mini",
    LLMService.ANTHROPIC: "claude-sonnet-4-5",
    LLMService.GOOGLE: "gemini-2.5-flash",
    LLMService.OLLAMA: "qwen3:8b",
    LLMService.OPENROUTER: "openai/gpt-5.4-mini",
}
VARIABLES = ("OPENAI", "ANTHROPIC", "GEMINI", "OLLAMA", "OPENROUTER")

each_key = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
each_wire = pytest.mark.parametrize("wire", ["http", "sdk"])
RUNS = {
    f"{service}, {wire}, {shape}": (service, wire, key)
    for turn, (shape, key) in enumerate(KEYS.items())
    for place, service in enumerate(MODELS)
    for wire in ("http", "sdk")
    # The usual key everywhere; those of odd shapes over one wire of each service, in turn.
    if shape == "usual" or (turn + place) % 2 == (wire == "sdk")
}


@pytest.fixture
async def simulator() -> AsyncIterator[ProviderSimulator]:
    async with ProviderSimulator(seed=11) as running:
        yield running


@pytest.fixture
def thread_simulator() -> Iterator[ProviderSimulator]:
    with ProviderSimulator(seed=11) as running:
        yield running


def environ_with(key: str) -> dict[str, str]:
    return {f"{name}_API_KEY": key for name in VARIABLES}


def faults_with(key: str) -> Iterator[tuple[str, Fault]]:
    """Everything that a provider does wrong, repeating the key in one of its shapes each time."""
    shapes = itertools.cycle(shapes_of(key).values())
    for status in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 529):
        yield f"message of {status}", Fault(status=status, message=next(shapes))
        yield f"code of {status}", Fault(status=status, code=next(shapes))
    for said in shapes_of(key).values():
        yield "message", Fault(status=401, message=said)
        yield "web page", Fault(status=502, body=f"<html>{said}</html>")
        yield "text", Fault(status=500, body=said.encode(), content_type="text/plain")
        yield "no JSON", Fault.garbage(f'{{"choices": [{said}'.encode(), content_type="application/json")
        yield "an accepted web page", Fault.garbage(f"<html>{said}</html>".encode(), content_type="text/html")
        yield "a stream of no events", Fault.garbage(f"data: {said}\n\n".encode(), content_type="text/event-stream")
        yield (
            "a failed choice",
            _as_body({"choices": [{"error": {"message": said, "code": said}, "finish_reason": "error"}]}),
        )
        yield "an accepted error", _as_body({"error": {"message": said, "code": said, "type": said, "status": said}})
        yield "a name of a field", Fault(status=400, body={"error": {"message": "no", "param": said, said: said}})
    yield "a cut connection", Fault.cut()
    yield "a stream that ends early", Fault.clean_end(after_chunks=2)
    yield "an error within a stream", Fault.error_event(after_chunks=1)


def _as_body(body: dict[str, object]) -> Fault:
    return Fault.garbage(json.dumps(body).encode(), content_type="application/json")


def assert_nowhere(key: str, sinks: Mapping[str, str], *, where: str) -> None:
    for name, text in sinks.items():
        found = traces_of(key, text)
        assert not found, f"{where}: {name} shows {found[0]!r} in {text[:2000]!r}"


@pytest.mark.parametrize(("service", "wire", "key"), [*RUNS.values()], ids=[*RUNS])
async def test_no_fault_brings_the_key_out(
    key: str, wire: str, service: LLMService, simulator: ProviderSimulator
) -> None:
    """Errors, their tracebacks and attempts, the ledger, all logs at DEBUG, and the representations of all parts."""
    settings = Settings(base_urls=simulator.base_urls, environ=environ_with(key), wires=wire)
    ledger = InMemoryLedger()
    is_streamed = itertools.cycle([False, True])
    failed = 0
    with every_log() as logs:
        async with dipeo.connect(settings, ledger=ledger) as llm:
            for name, fault in faults_with(key):
                simulator.script(service.value, fault)
                try:
                    if next(is_streamed):
                        await llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect()
                    else:
                        await llm.complete(HELLO, MODELS[service], service=service, max_attempts=1)
                except errors.DipeoError as error:
                    failed += 1
                    assert_nowhere(key, sinks_of(error), where=name)
            assert_nowhere(key, {"service": repr(llm), "settings": repr(settings)}, where="a part")
    assert failed > 100
    attempts = await ledger.attempts()
    assert_nowhere(key, {"ledger": repr(ledger) + " ".join(json.dumps(each.to_dict()) for each in attempts)}, where="")
    assert_nowhere(key, dict(zip(map(str, itertools.count()), logs.lines, strict=False)), where="a log")


@each_key
async def test_a_key_in_a_header_of_the_answer_stays_there(key: str, simulator: ProviderSimulator) -> None:
    """A provider that repeats the key in request id, redirect or wait: neither error nor answer nor record shows it."""
    settings = Settings(base_urls=simulator.base_urls, environ=environ_with(key))
    ledger = InMemoryLedger()
    headers = {"x-request-id": key, "retry-after": key, "location": f"https://a.invalid/{key}", "x-debug": key}
    simulator.script("openai", Reply("Hello.", headers=headers), Reply("Hello.", headers=headers))
    simulator.script("openai", *[Fault(status=status, headers=headers) for status in (307, 429, 500)])
    async with dipeo.connect(settings, ledger=ledger) as llm:
        answers = [await llm.complete(HELLO, MODELS[LLMService.OPENAI])]
        async with llm.stream(HELLO, MODELS[LLMService.OPENAI]) as stream:
            async for _ in stream:
                pass
        answers.append(stream.completion)
        for _ in range(3):
            with pytest.raises(errors.DipeoError) as caught:
                await llm.complete(HELLO, MODELS[LLMService.OPENAI], max_attempts=1)
            assert_nowhere(key, sinks_of(caught.value), where="an error")
    assert_nowhere(key, {"ledger": " ".join(json.dumps(each.to_dict()) for each in await ledger.attempts())}, where="")
    assert_nowhere(key, {"answers": repr(answers)}, where="")


@each_key
@pytest.mark.parametrize(
    "address",
    [
        "https://user:{}@api.invalid/v1",
        "https://{}@api.invalid/v1",
        "https://api.invalid/v1?key={}",
        "https://api.invalid/v1#{}",
        "https://api.invalid/ {}",
        "ftp://api.invalid/{}",
        "{}",
    ],
)
async def test_a_key_in_a_base_url_is_refused_and_not_shown(address: str, key: str) -> None:
    """Given with the call, the settings or a variable: the error names the field and not its value."""
    base_url = address.format(key)[:250]
    settings = Settings(base_urls={"openai": base_url}, environ=environ_with(KEYS["usual"]))
    for field, options in (("DIPEO_OPENAI_BASE_URL", {}), ("base_url", {"base_url": base_url})):
        async with dipeo.connect(settings) as llm:
            with pytest.raises((errors.ConfigurationError, errors.ValidationError)) as caught:
                await llm.complete(HELLO, MODELS[LLMService.OPENAI], **options)  # type: ignore[arg-type]
        assert caught.value.field == field
        assert_nowhere(key, sinks_of(caught.value), where=base_url)


@each_wire
@each_key
async def test_a_redirect_takes_neither_key_nor_question_along(
    key: str, wire: str, simulator: ProviderSimulator
) -> None:
    """The place that a redirect names is not asked, and is not shown either."""
    settings = Settings(base_urls=simulator.base_urls, environ=environ_with(key), wires=wire)
    for service in (LLMService.OPENAI, LLMService.ANTHROPIC, LLMService.GOOGLE, LLMService.OLLAMA):
        target = f"{simulator.base_urls['groq']}/chat/completions?{key}"
        simulator.script(service.value, Fault(status=307, headers={"location": target}))
        async with dipeo.connect(settings) as llm:
            with pytest.raises(errors.DipeoError) as caught:
                await llm.complete(HELLO, MODELS[service], service=service, max_attempts=1)
        assert_nowhere(key, sinks_of(caught.value), where=service.value)
    assert {request.service for request in simulator.requests} <= {"openai", "anthropic", "google", "ollama"}


@each_key
def test_the_parts_that_hold_a_key_show_none(key: str, tmp_path: Path) -> None:
    """Whatever is printed while somebody looks for a fault."""
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY='{key}'\n" if "'" not in key else "", encoding="utf-8")
    settings = Settings(environ=environ_with(key), dotenv_file=tmp_path / ".env")
    container = wired(settings)
    found = container.keys().find(LLMService.OPENAI)
    assert isinstance(found, Secret)
    parts = [settings, container, container.keys(), container.endpoints(), container.pool(), found, settings.environ]
    assert_nowhere(key, {str(type(part)): f"{part!r} {part!s} {vars(type(part)).keys()}" for part in parts}, where="")
    for part in (found, settings.environ):
        with pytest.raises(TypeError) as caught:
            part.__reduce__()
        assert not traces_of(key, str(caught.value))


@pytest.mark.parametrize(
    "bad", ["{}\n", " {}", "{}\t", "\u200b{}", "{}\x00", "{}é", "{} {}", "\ufeff{}", "{}\r\n", "“{}”"]
)
@each_key
def test_a_key_that_is_none_is_refused_without_being_shown(key: str, bad: str) -> None:
    """The error names where it was found, in every sink."""
    environ = {"OPENAI_API_KEY": bad.format(key, key) if "{" not in key else bad.replace("{}", key)}

    async def ask() -> None:
        async with dipeo.connect(Settings(environ=environ)) as llm:
            await llm.complete(HELLO, MODELS[LLMService.OPENAI])

    with every_log() as logs, pytest.raises(errors.MalformedAPIKeyError) as caught:
        asyncio.run(ask())
    assert "OPENAI_API_KEY" in caught.value.message
    assert_nowhere(key, {**sinks_of(caught.value), "logs": " ".join(logs.lines)}, where=repr(bad))


@pytest.mark.parametrize("key", [KEYS["usual"], KEYS["url"], KEYS["quoted"]])
@pytest.mark.parametrize("form", ["plain", "as JSON", "in base64", "cut by a short sample"])
def test_the_command_line_shows_no_key(form: str, key: str, thread_simulator: ProviderSimulator) -> None:
    """In words and as JSON, explained or asked, with a provider that repeats the key."""
    said = shapes_of(key)[form]
    variables = {
        **environ_with(key),
        "DIPEO_LLM_MAX_RETRIES": "1",
        "DIPEO_OPENAI_BASE_URL": thread_simulator.base_urls["openai"],
    }
    runner = CliRunner()
    for fault in (Fault(status=401, message=said), Fault(status=400, code=said), Fault(status=502, body=f"<p>{said}")):
        for more in (["--json"], [], ["--explain"], ["--explain", "--json"]):
            if "--explain" not in more:
                thread_simulator.script("openai", fault)
            command = ["ask", "Hello", "--model", MODELS[LLMService.OPENAI], *more]
            finished = runner.invoke(app, command, env=variables)
            assert (finished.exit_code == 0) == ("--explain" in more), finished.output
            assert_nowhere(key, {"output": finished.output, "failure": repr(finished.exception)}, where=repr(command))
    for command in (
        ["doctor"],
        ["doctor", "--json"],
        ["ask", "Hello", "-m", "gpt-5.4-mini", "--base-url", f"https://x/?{key}"],
    ):
        finished = runner.invoke(app, command, env={**variables, "DIPEO_ANTHROPIC_BASE_URL": f"https://{key[:9]}@x"})
        assert_nowhere(key, {"output": finished.output, "failure": repr(finished.exception)}, where=repr(command))
