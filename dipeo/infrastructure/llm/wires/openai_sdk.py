"""OpenAI's official client as a wire, for OpenAI and everything that is compatible with it."""

from collections.abc import Mapping
from typing import cast

import openai

from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire
from dipeo.infrastructure.llm.wires._guarded_httpx2 import guarded_transport
from dipeo.infrastructure.llm.wires._stainless import TIMEOUT, StainlessClient, StainlessWire
from dipeo.infrastructure.llm.wires.live_calls import check_live_call

# What the client would otherwise take from the environment, unseen by the settings.
_OMITTED = {"OpenAI-Organization": openai.omit, "OpenAI-Project": openai.omit}


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    # The client demands a key; where there is none, it is not told of one.
    key = endpoint.key.reveal() if endpoint.key else "-"
    client = openai.AsyncOpenAI(
        api_key=key,
        # Given, so that the client does not ask the environment where the key should go.
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=TIMEOUT,
        default_headers=cast(dict[str, str], _OMITTED),
        http_client=openai.DefaultAsyncHttpxClient(
            follow_redirects=False, timeout=TIMEOUT, transport=guarded_transport(endpoint.base_url)
        ),
    )
    # Without what OPENAI_CUSTOM_HEADERS adds to every request: the client has no other way to refuse it.
    client._custom_headers = cast(dict[str, str], _OMITTED)
    return StainlessWire(
        cast(StainlessClient, client),
        status_error=openai.APIStatusError,
        sdk_error=openai.OpenAIError,
        name=f"openai {endpoint.base_url}",
        # With every request, because that is where the client looks whether the key may be missing.
        headers={} if endpoint.key else {"Authorization": openai.omit},
    )
