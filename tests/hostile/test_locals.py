"""Tools that show the variables of every frame of a traceback find no key in those of dipeo."""

import traceback
from collections.abc import AsyncIterator

import pytest

import dipeo
from dipeo import LLMService, Settings, errors
from dipeo.testing import Fault, ProviderSimulator
from tests.hostile.canary import KEYS, traces_of
from tests.hostile.test_secrets import HELLO, MODELS, environ_with

KEY = KEYS["usual"]
FAULTS = {
    "refused": Fault(status=401, message="No."),
    "failing": Fault(status=500),
    "cut": Fault.cut(),
    "garbage": Fault.garbage(b"{"),
    "redirected": Fault(status=307, headers={"location": "https://elsewhere.invalid/"}),
    "an error within a stream": Fault.error_event(after_chunks=1),
}


@pytest.fixture
async def simulator() -> AsyncIterator[ProviderSimulator]:
    async with ProviderSimulator(seed=11) as running:
        yield running


def frames_that_show(key: str, problem: BaseException) -> list[str]:
    """The frames of dipeo, of the error and of all that hangs on it, in which a key is seen, and the name it has."""
    found: list[str] = []
    waiting, seen = [problem], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        for frame, _ in traceback.walk_tb(each.__traceback__):
            where = frame.f_code
            if "/dipeo/" in where.co_filename:
                shown = traceback.StackSummary.extract([(frame, frame.f_lineno)], capture_locals=True)[0].locals or {}
                found += [f"{where.co_qualname}: {name}" for name, text in shown.items() if traces_of(key, text)]
        waiting += [other for other in (each.__cause__, each.__context__) if other is not None]
    return found


@pytest.mark.parametrize("wire", ["http", "sdk"])
@pytest.mark.parametrize("service", MODELS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_frame_of_dipeo_holds_a_key_while_an_error_passes(
    fault: str, service: LLMService, wire: str, simulator: ProviderSimulator
) -> None:
    """The traceback of a unary call and of a stream that failed, as such tools print it."""
    settings = Settings(base_urls=simulator.base_urls, environ=environ_with(KEY), wires=wire)
    found: list[str] = []
    async with dipeo.connect(settings) as llm:
        for is_stream in (False, True):
            simulator.script(service.value, FAULTS[fault])
            call = (
                llm.stream(HELLO, MODELS[service], service=service, max_attempts=1).collect()
                if is_stream
                else (llm.complete(HELLO, MODELS[service], service=service, max_attempts=1))
            )
            with pytest.raises(errors.DipeoError) as caught:
                await call
            found += frames_that_show(KEY, caught.value)
    assert found == []


@pytest.mark.parametrize("bad", ["{}\n", " {}", "{}\u00e9"])
@pytest.mark.parametrize("given", ["by variable", "by id"])
async def test_no_frame_of_dipeo_holds_a_key_that_is_none(bad: str, given: str) -> None:
    """One that was pasted with too much is still one."""
    name = "OPENAI_API_KEY" if given == "by variable" else "DIPEO_KEY_MINE"
    settings = Settings(environ={name: bad.format(KEY)})
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.MalformedAPIKeyError) as caught:
            await llm.complete(HELLO, MODELS[LLMService.OPENAI], api_key_id=None if given == "by variable" else "mine")
    assert frames_that_show(KEY, caught.value) == []


async def test_no_frame_of_dipeo_shows_a_key_where_nobody_can_be_reached() -> None:
    """The connection fails where the key is nearest to the wire."""
    settings = Settings(base_urls={"openai": "http://127.0.0.1:9/v1"}, environ=environ_with(KEY))
    async with dipeo.connect(settings) as llm:
        with pytest.raises(errors.ConnectFailedError) as caught:
            await llm.complete(HELLO, MODELS[LLMService.OPENAI], max_attempts=1)
    assert frames_that_show(KEY, caught.value) == []


def test_a_key_in_a_frame_is_found() -> None:
    """The search itself can find one."""
    namespace: dict[str, object] = {}
    source = "def asks(key):\n    raise ValueError('no')\n"
    exec(compile(source, "/somewhere/dipeo/asking.py", "exec"), namespace)  # a frame of that name
    with pytest.raises(ValueError, match="no") as caught:
        namespace["asks"](KEY)  # type: ignore[operator]
    assert frames_that_show(KEY, caught.value) == ["asks: key"]
