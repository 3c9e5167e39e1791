"""Bad calls: each is refused by name, and nothing is sent."""

from collections.abc import Mapping
from typing import Any

import pytest

from dipeo import LLMService, Settings, errors
from dipeo.domain.parts import ImagePart
from dipeo.facade import wired
from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire, WireReply, WireRequest, WireStream
from dipeo.testing import FakeKeys
from tests.hostile.bad_inputs.calls import ADDRESSES, BAD_ADDRESS_NAMES, MESSAGES, MODELS, OPTIONS, PARTS, SAFE_TEXTS
from tests.hostile.bad_inputs.entry import BadInput

HELLO = [{"role": "user", "content": "Hello"}]
MODEL = "gpt-5.4-mini"


class KeepingWire(Wire):
    """Keeps what it is given to send, and answers with a greeting."""

    def __init__(self) -> None:
        self.sent: list[WireRequest] = []

    async def send(self, exchange: WireRequest) -> WireReply:
        self.sent.append(exchange)
        message = {"role": "assistant", "content": "Hello."}
        return WireReply(status=200, headers={}, json={"choices": [{"message": message, "finish_reason": "stop"}]})

    async def stream(self, exchange: WireRequest) -> WireStream:
        self.sent.append(exchange)
        raise errors.ConnectFailedError()

    async def aclose(self) -> None:
        """Nothing is open."""

    def open(self, _endpoint: Endpoint, _credentials: Mapping[str, str]) -> Wire:
        """What an adapter is given to open."""
        return self


async def refusal_of(messages: Any, model: Any, wire: KeepingWire, **options: Any) -> errors.DipeoError:
    """The error of a call, which is the same whether it streams."""
    keys = FakeKeys(dict.fromkeys(LLMService, "sk-canary-4f1d2c9b7e6a5038"))
    service = wired(Settings(), open_wire=wire.open, keys=keys).service()
    with pytest.raises(errors.DipeoError) as caught:
        await service.complete(messages, model, **options)
    with pytest.raises(type(caught.value)) as streamed:
        await service.stream(messages, model, **options).collect()
    assert streamed.value.field == caught.value.field
    return caught.value


async def check_call(bad: BadInput, messages: Any, model: Any, **options: Any) -> None:
    wire = KeepingWire()
    bad.check(await refusal_of(messages, model, wire, **options))
    assert not wire.sent


@pytest.mark.parametrize("bad", OPTIONS, ids=str)
async def test_a_bad_option_is_refused(bad: BadInput) -> None:
    """The error names the option, or the place within it."""
    assert isinstance(bad.value, dict)
    await check_call(bad, HELLO, MODEL, **bad.value)


@pytest.mark.parametrize("bad", MESSAGES, ids=str)
async def test_a_bad_message_is_refused(bad: BadInput) -> None:
    """The error names the message by its place, and the part of it."""
    await check_call(bad, bad.value, MODEL)


@pytest.mark.parametrize("bad", MODELS, ids=str)
async def test_a_bad_model_is_refused(bad: BadInput) -> None:
    """A name that would change the path, or a header, names no model."""
    await check_call(bad, HELLO, bad.value, service="google")


@pytest.mark.parametrize("bad", [*ADDRESSES, *BAD_ADDRESS_NAMES], ids=str)
async def test_a_bad_address_is_refused(bad: BadInput) -> None:
    """Plain http with a key, other schemes, user names, queries: only an address is one."""
    await check_call(bad, HELLO, MODEL, base_url=bad.value)


@pytest.mark.parametrize("bad", PARTS, ids=str)
def test_a_bad_part_is_refused(bad: BadInput) -> None:
    """A picture is bytes or one printable address."""
    assert isinstance(bad.value, dict)
    with pytest.raises(errors.DipeoError) as caught:
        ImagePart(**bad.value)
    bad.check(caught.value)


@pytest.mark.parametrize("text", SAFE_TEXTS, ids=lambda text: ascii(text)[:40])
async def test_odd_text_is_sent_as_it_is(text: str) -> None:
    """What is valid text is the provider's to judge, and is not changed on the way."""
    wire = KeepingWire()
    service = wired(Settings(), open_wire=wire.open, keys=FakeKeys({LLMService.OPENAI: "sk-canary"})).service()
    await service.complete([{"role": "user", "content": text}], MODEL)
    assert wire.sent[0].body["messages"] == [{"role": "user", "content": text}]
