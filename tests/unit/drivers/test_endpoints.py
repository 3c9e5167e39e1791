"""Keys go to addresses that are meant, over lines that nobody reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipeo.domain.completion import ChatMessage, CompletionRequest, Role
from dipeo.domain.errors import ConfigurationError, MissingAPIKeyError
from dipeo.domain.service import LLMService
from dipeo.infrastructure.llm.drivers.endpoint import check_base_url
from dipeo.infrastructure.llm.drivers.endpoints import KEYLESS_SERVICES, EndpointDirectory
from dipeo.testing import FakeKeys

BASE_URLS = {service: f"https://{service.value.replace('_', '-')}.example/v1" for service in LLMService}


def request(service: LLMService = LLMService.OPENAI, **values: str | None) -> CompletionRequest:
    """A request to this service."""
    messages = (ChatMessage.from_text(Role.USER, "hi"),)
    return CompletionRequest(service=service, model="m", messages=messages, **values)  # type: ignore[arg-type]


class TestBaseURL:
    """Which addresses are taken."""

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/v1/", "https://api.example.com/v1"),
            ("https://api.example.com:8443/a/b", "https://api.example.com:8443/a/b"),
            ("HTTPS://API.example.com", "HTTPS://API.example.com"),
            ("http://localhost:11434", "http://localhost:11434"),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
            ("http://127.8.9.10", "http://127.8.9.10"),
            ("http://[::1]:8080", "http://[::1]:8080"),
        ],
    )
    def test_an_address_is_kept_without_its_last_slash(self, given: str, kept: str) -> None:
        """https anywhere, and plain http on this machine, may carry a key."""
        assert check_base_url(given, field="base_url", has_key=True) == kept

    @pytest.mark.parametrize(
        "base_url",
        [
            "http://api.example.com",
            "http://192.168.1.5:11434",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "http://169.254.169.254",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://evil-localhost",
            "http://127.1",
            "http://0x7f000001",
            "http://2130706433",
            "http://[::2]",
            "http://localhost@evil.example",
        ],
    )
    def test_a_key_does_not_travel_in_the_clear(self, base_url: str) -> None:
        """Plain http to another machine, or to what only looks like this one, is refused with a key."""
        with pytest.raises(ConfigurationError) as caught:
            check_base_url(base_url, field="base_url", has_key=True)
        assert caught.value.field == "base_url"

    def test_without_a_key_plain_http_will_do(self) -> None:
        """A model server in the house that asks for no key may be reached."""
        address = "http://192.168.1.5:11434"
        assert check_base_url(address, field="base_url", has_key=False) == address

    @pytest.mark.parametrize(
        "base_url",
        [
            "https://user@host.example",
            "https://user:pass@host.example",
            "https://:pass@host.example",
            "https://@host.example",
            "https://host.example/v1?key=x",
            "https://host.example/v1?",
            "https://host.example/v1#x",
            "https://host.example/v1#",
            "https://host.example#",
            "https://localhost\\@evil.example",
        ],
    )
    def test_user_names_queries_and_fragments_are_refused(self, base_url: str) -> None:
        """They hide keys, or swallow the path that is put behind them; even empty ones."""
        for has_key in (True, False):
            with pytest.raises(ConfigurationError) as caught:
                check_base_url(base_url, field="DIPEO_X_BASE_URL", has_key=has_key)
            assert caught.value.field == "DIPEO_X_BASE_URL"
            assert "pass@" not in str(caught.value)

    @pytest.mark.parametrize(
        "base_url",
        [
            "",
            "host.example",
            "//host.example",
            "ftp://host.example",
            "file:///etc/passwd",
            "gopher://host.example",
            "data:text/plain,x",
            "https://",
            "https:///v1",
            "https:host.example",
            " https://host.example",
            "https://host.example\n",
            "https://ho\nst.example",
            "https://host.example/\r\nX-Evil: 1",
            "https://host.example/a b",
            "https://host.example/\0",
            "https://[::1",
            "https://[zz]/",
            "https://host.example:99999",
            "https://host.example:port",
        ],
    )
    def test_what_is_no_address_is_refused(self, base_url: str) -> None:
        """Other schemes, missing hosts, broken brackets and ports, and control characters are a refusal of ours."""
        with pytest.raises(ConfigurationError) as caught:
            check_base_url(base_url, field="base_url", has_key=True)
        assert caught.value.field == "base_url"

    @given(rest=st.text(st.sampled_from("[]:/@?#\\%.a1 \n\0é"), max_size=12))
    @settings(max_examples=300)
    def test_any_text_is_an_address_or_a_refusal(self, rest: str) -> None:
        """No text brings another error about, and what is taken has nothing but host and path."""
        try:
            kept = check_base_url(f"https://{rest}", field="base_url", has_key=True)
        except ConfigurationError:
            return
        assert not set(kept) & set("@?#\\ \n\0")


class TestDirectory:
    """The endpoint of a request."""

    def test_a_service_has_its_address_and_its_key(self) -> None:
        """Both are looked up by service."""
        endpoint = EndpointDirectory(BASE_URLS, FakeKeys()).find(request(LLMService.XAI))
        assert (endpoint.service, endpoint.base_url) == (LLMService.XAI, "https://xai.example/v1")
        assert endpoint.key is not None
        assert endpoint.key.reveal() == "sk-fake-xai"

    def test_the_request_may_name_another_key_and_address(self) -> None:
        """What the request says counts."""
        directory = EndpointDirectory(BASE_URLS, FakeKeys({"team": "sk-team"}))
        endpoint = directory.find(request(api_key_id="team", base_url="https://proxy.example/"))
        assert endpoint.base_url == "https://proxy.example"
        assert endpoint.key is not None
        assert endpoint.key.reveal() == "sk-team"

    def test_equal_requests_have_one_endpoint(self) -> None:
        """The same service, address and key give the same object; another key gives another."""
        directory = EndpointDirectory(BASE_URLS, FakeKeys({"a": "sk-a", "b": "sk-b"}))
        assert directory.find(request(api_key_id="a")) is directory.find(request(api_key_id="a"))
        assert directory.find(request(api_key_id="a")) is not directory.find(request(api_key_id="b"))
        assert directory.find(request()) is not directory.find(request(LLMService.GROQ))

    def test_a_bounded_number_is_remembered(self) -> None:
        """Many addresses do not pile up, and each is still found."""
        directory = EndpointDirectory(BASE_URLS, FakeKeys())
        for number in range(1100):
            address = f"https://host{number}.example"
            assert directory.find(request(base_url=address)).base_url == address

    @pytest.mark.parametrize("service", sorted(set(LLMService) - KEYLESS_SERVICES))
    def test_a_missing_key_is_told_with_where_it_was_looked_for(self, service: LLMService) -> None:
        """The error names service and field, and repeats the words of the source of keys."""
        keys = FakeKeys(services=())
        with pytest.raises(MissingAPIKeyError) as caught:
            EndpointDirectory(BASE_URLS, keys).find(request(service))
        error = caught.value
        assert (error.provider, error.field) == (service.value, "api_key_id")
        assert service.value in error.message
        assert keys.where(service) in (error.suggestion or "")

    @pytest.mark.parametrize("service", LLMService)
    def test_a_key_that_was_asked_for_is_never_replaced(self, service: LLMService) -> None:
        """An unknown id is an error, for services without keys too, and the usual key is not used instead."""
        with pytest.raises(MissingAPIKeyError) as caught:
            EndpointDirectory(BASE_URLS, FakeKeys()).find(request(service, api_key_id="gone"))
        assert "gone" in str(caught.value)

    @pytest.mark.parametrize("service", sorted(KEYLESS_SERVICES))
    def test_some_services_need_no_key(self, service: LLMService) -> None:
        """They are reached without one, also over plain http; a key that there is is kept off it."""
        local = {service: "http://192.168.1.5:11434"}
        assert EndpointDirectory(local, FakeKeys(services=())).find(request(service)).key is None
        with pytest.raises(ConfigurationError):
            EndpointDirectory(local, FakeKeys()).find(request(service))

    def test_a_service_without_an_address_says_how_to_give_one(self) -> None:
        """The error names the setting."""
        with pytest.raises(ConfigurationError) as caught:
            EndpointDirectory({}, FakeKeys()).find(request(LLMService.OPENAI_COMPATIBLE))
        assert "DIPEO_OPENAI_COMPATIBLE_BASE_URL" in str(caught.value)

    def test_a_bad_address_is_refused_every_time(self) -> None:
        """A refusal is not forgotten on the second try."""
        directory = EndpointDirectory(BASE_URLS, FakeKeys())
        for _ in range(2):
            with pytest.raises(ConfigurationError):
                directory.find(request(base_url="http://evil.example"))
