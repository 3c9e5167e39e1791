"""Anthropic's official client as a wire."""

from collections.abc import Mapping
from typing import cast

import anthropic

from dipeo.infrastructure.llm.drivers.endpoint import Endpoint
from dipeo.infrastructure.llm.drivers.wire import Wire
from dipeo.infrastructure.llm.wires._guarded_httpx2 import guarded_transport
from dipeo.infrastructure.llm.wires._stainless import TIMEOUT, StainlessClient, StainlessWire
from dipeo.infrastructure.llm.wires.live_calls import check_live_call


def open_wire(endpoint: Endpoint, credentials: Mapping[str, str]) -> Wire:
    """A wire to the endpoint; the client is given the key itself, and sends it its own way."""
    check_live_call(endpoint.base_url)
    client = anthropic.AsyncAnthropic(
        api_key=endpoint.key.reveal() if endpoint.key else "",
        base_url=endpoint.base_url,
        max_retries=0,
        timeout=TIMEOUT,
        http_client=anthropic.DefaultAsyncHttpxClient(
            follow_redirects=False, timeout=TIMEOUT, transport=guarded_transport(endpoint.base_url)
        ),
    )
    # Without what ANTHROPIC_CUSTOM_HEADERS adds to every request: the client has no other way to refuse it.
    client._custom_headers = {}
    return StainlessWire(
        cast(StainlessClient, client),
        status_error=anthropic.APIStatusError,
        sdk_error=anthropic.AnthropicError,
        name=f"anthropic {endpoint.base_url}",
    )
