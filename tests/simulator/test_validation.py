"""Requests are refused as each vendor would refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from dipeo.testing.simulator import ProviderSimulator

from .conftest import OPENAI_LIKE, RawClient

KEYED = (*OPENAI_LIKE, "anthropic")
USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize("service", KEYED)
async def test_missing_and_wrong_keys_are_401(client: RawClient, service: str) -> None:
    """Without a key, or with one that says it is wrong, nothing is answered."""
    missing = await client.read(service, headers={"authorization": "", "x-api-key": ""})
    wrong = await client.read(service, key="sk-wrong-0123456789abcdef")
    assert (missing.status, wrong.status) == (401, 401)
    assert "0123456789" not in wrong.text


async def test_xai_errors_are_flat(client: RawClient) -> None:
    """There the message stands where others have an object."""
    reply = await client.read("xai", key="sk-wrong")
    assert set(reply.json) == {"code", "error"}
    assert reply.json["error"].startswith("Incorrect API key provided: sk***ng.")


async def test_gemini_keys_have_their_own_errors(client: RawClient) -> None:
    """Without a key 403, with a wrong one 400 and a reason; the key may also be a parameter."""
    missing = await client.read("google", headers={"x-goog-api-key": ""})
    assert (missing.status, missing.json["error"]["status"]) == (403, "PERMISSION_DENIED")
    wrong = await client.read("google", key="wrong")
    assert wrong.status == 400
    assert wrong.json["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    url, body, _ = client.request_parts("google", [("user", "Hi")], "gemini-2.5-flash", "", is_stream=False)
    async with client.session.post(f"{url}?key=parameter-key", json=body) as response:
        assert response.status == 200
    logged = client.simulator.requests[-1]
    assert logged.credential_fingerprint is not None
    assert "parameter-key" not in repr(logged)


async def test_ollama_needs_no_key(client: RawClient) -> None:
    """A local server answers anybody."""
    assert (await client.read("ollama")).status == 200


@pytest.mark.parametrize("service", [*KEYED, "google", "ollama"])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_missing_models_are_404(client: RawClient, service: str, *, is_stream: bool) -> None:
    """A model that says it is missing is, and is named in the error."""
    reply = await client.read(service, model="missing-model", is_stream=is_stream)
    assert reply.status == 404
    assert "missing-model" in reply.text
    assert client.simulator.requests[-1].model in ("missing-model", None)


@pytest.mark.parametrize("service", [*KEYED, "google"])
async def test_empty_conversations_are_400(client: RawClient, service: str) -> None:
    """At least one message is required."""
    assert (await client.read(service, messages=[])).status == 400


async def test_ollama_loads_the_model_when_nothing_is_said(client: RawClient) -> None:
    """No messages are no error there: the model is loaded, the text is empty."""
    reply = await client.read("ollama", messages=[])
    assert (reply.status, reply.json["done_reason"], reply.json["message"]["content"]) == (200, "load", "")


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"messages": [{"role": "model", "content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "name": "Ada Lovelace", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "name": "a<b", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "name": "Ada\n", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "name": "", "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "name": "x" * 65, "content": "Hi"}]}, "messages[0].name"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.[0].content"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": None}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "many"}, "max_completion_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": None}, None),
    ],
)
async def test_openai_refuses_bad_bodies(client: RawClient, changes: dict[str, Any], param: str | None) -> None:
    """The error names the parameter."""
    reply = await client.read("openai", changes=changes)
    assert reply.status == 400
    assert reply.json["error"]["param"] == param
    assert reply.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["Ada", "ada-lovelace_1", "Ädä", "x" * 64])
async def test_openai_accepts_good_names(client: RawClient, name: str) -> None:
    """Letters of any script, digits and marks are good names, and they are logged."""
    reply = await client.read("openai", changes={"messages": [{"role": "user", "name": name, "content": "Hi"}]})
    assert reply.status == 200
    assert client.simulator.requests[-1].messages[0].name == name


@pytest.mark.parametrize("changes", [{"stream_options": {}, "stream": True}, {"messages": [{**USER, "name": "Ada"}]}])
async def test_mistral_refuses_fields_it_does_not_know(client: RawClient, changes: dict[str, Any]) -> None:
    """422, with the place of the field."""
    reply = await client.read("mistral", changes=changes)
    assert reply.status == 422
    assert reply.json["message"]["detail"][0]["type"] == "extra_forbidden"


@pytest.mark.parametrize(
    ("changes", "headers", "word"),
    [
        ({"max_tokens": None}, {}, "max_tokens"),
        ({"max_tokens": 0}, {}, "max_tokens"),
        ({}, {"anthropic-version": ""}, "anthropic-version"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, {}, "first message"),
        ({"messages": [{"role": "user", "content": ""}]}, {}, "non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, {}, "non-whitespace"),
        ({"messages": [{**USER, "name": "Ada"}]}, {}, "name"),
        ({"messages": [USER, {"role": "assistant", "content": "Sure "}]}, {}, "trailing whitespace"),
        ({"messages": [{"role": "tool", "content": "Hi"}]}, {}, "role"),
        ({"temperature": 0.5}, {"anthropic-version": "2026-10-21"}, "temperature"),
        ({"top_p": 0.5}, {"anthropic-version": "2026-11-01"}, "top_p"),
        ({"top_k": 5}, {"anthropic-version": "2026-10-21"}, "top_k"),
    ],
)
async def test_anthropic_refuses_bad_bodies(
    client: RawClient, changes: dict[str, Any], headers: dict[str, str], word: str
) -> None:
    """The error names what is wrong."""
    reply = await client.read("anthropic", changes=changes, headers=headers)
    assert reply.status == 400
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert word in reply.json["error"]["message"]


async def test_anthropic_accepts_sampling_under_older_versions_and_bearer_tokens(client: RawClient) -> None:
    """What was allowed stays allowed under the version that allowed it."""
    bearer = {"x-api-key": "", "authorization": "Bearer sk-ant-oat"}
    reply = await client.read("anthropic", changes={"temperature": 0.5}, headers=bearer)
    assert reply.status == 200


@pytest.mark.parametrize(
    "contents",
    [
        [],
        [{"role": "assistant", "parts": [{"text": "Hi"}]}],
        [{"role": "user", "parts": []}],
        [{"role": "user", "parts": [{}]}],
    ],
)
async def test_gemini_refuses_bad_contents(client: RawClient, contents: list[Any]) -> None:
    """Roles are user and model, and every content has parts with something in them."""
    reply = await client.read("google", changes={"contents": contents})
    assert (reply.status, reply.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_gemini_reads_both_spellings_and_both_versions(client: RawClient) -> None:
    """camelCase and snake_case, v1beta and v1."""
    for name in ("systemInstruction", "system_instruction"):
        await client.read("google", changes={name: {"parts": [{"text": "Be kind."}]}})
        assert [message.role for message in client.simulator.requests[-1].messages] == ["system", "user"]
    url, body, headers = client.request_parts("google", [("user", "Hi")], "gemini-2.5-flash", "k", is_stream=False)
    async with client.session.post(url.replace("v1beta", "v1"), json=body, headers=headers) as response:
        assert response.status == 200


@pytest.mark.parametrize("service", [*KEYED, "google", "ollama"])
async def test_broken_json_is_400(client: RawClient, service: str) -> None:
    """A body that is no JSON object is refused."""
    url, _, headers = client.request_parts(service, [("user", "Hi")], "model-1", "k", is_stream=False)
    for body in (b'{"model": ', b"[]", b"\xff", b"[" * 100_000):
        async with client.session.post(url, data=body, headers=headers) as response:
            assert response.status == 400


@pytest.mark.parametrize(
    ("service", "path", "entries"),
    [
        ("openai", "/models", "data"),
        ("groq", "/models", "data"),
        ("anthropic", "/v1/models", "data"),
        ("google", "/v1beta/models", "models"),
        ("google", "/v1/models", "models"),
        ("ollama", "/api/tags", "models"),
        ("ollama", "/api/version", "version"),
    ],
)
async def test_listings(client: RawClient, service: str, path: str, entries: str) -> None:
    """Each service lists its models where its vendor does."""
    _, _, headers = client.request_parts(service, [], "m", "k", is_stream=False)
    async with client.session.get(client.simulator.base_urls[service] + path, headers=headers) as response:
        assert response.status == 200
        assert (await response.json())[entries]


@pytest.mark.parametrize("service", [*KEYED, "google", "ollama"])
async def test_unknown_paths_are_404(client: RawClient, simulator: ProviderSimulator, service: str) -> None:
    """Unknown paths get the vendor's JSON."""
    async with client.session.post(f"{simulator.base_urls[service]}/nowhere", json={}) as response:
        assert response.status == 404
        assert isinstance(await response.json(), dict)


async def test_unknown_services_are_404(client: RawClient, simulator: ProviderSimulator) -> None:
    """A prefix that is no service is told so, and logged."""
    async with client.session.get(f"http://127.0.0.1:{simulator.port}/nowhere/v1/models") as response:
        assert response.status == 404
    assert simulator.requests[-1].service == ""
