"""`dipeo models`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.model_filter import Ability
from dipeo.testing import ProviderSimulator
from tests.entrypoints.command_line import CANARY, CommandLine


def test_models_of_what_is_set_up(cli: CommandLine, simulator: ProviderSimulator) -> None:
    """Each service with a key, or that needs none, lists its models in order; the aliases come with them."""
    done = cli.run_here("models", "--live", "--json")
    assert done.code == 0
    assert done.json["aliases"][0] == {"alias": "claude", "service": "anthropic", "model": "claude-sonnet-5-5"}
    lists = {entry["service"]: entry["models"] for entry in done.json["services"]}
    assert list(lists) == ["openai", "anthropic", "google", "ollama", "openai_compatible"]
    assert "gemini-3.5-flash" in lists["google"]
    assert "llama3.2:latest" in lists["ollama"]
    assert all(names == sorted(names) for names in lists.values() if names)
    assert lists["openai_compatible"] is None
    assert {request.method for request in simulator.requests} == {"GET"}
    words = cli.run_here("models", "--live", "--service", "claude")
    assert words.code == 0
    assert "claude-opus-5" in words.out
    assert "gpt" not in words.out


def test_aliases_alone(offline: CommandLine) -> None:
    """--aliases asks nobody, and --service picks from them too."""
    done = offline.run_here("models", "--aliases")
    assert done.code == 0
    assert [line.split() for line in done.out.splitlines() if "gpt" in line] == [["openai", "openai", "gpt-5.4-mini"]]
    picked = offline.run_here("models", "--aliases", "--service", "google", "--json")
    assert [entry["alias"] for entry in picked.json["aliases"]] == ["gemini"]
    assert picked.json["services"] == []


def test_the_catalogue_is_listed_offline(offline: CommandLine) -> None:
    """Without --live nobody is asked: sizes, abilities and prices come from what dipeo carries."""
    done = offline.run_here("models", "--json", "--service", "anthropic")
    assert done.code == 0
    assert done.json["services"] == []
    facts = {entry["model"]: entry for entry in done.json["models"]}
    assert facts["claude-opus-5"]["context_window_tokens"] == 1_000_000
    assert facts["claude-opus-5"]["inputs"] == ["document", "image", "text"]
    assert facts["claude-opus-5"]["usd_per_million_tokens"]["cached"] == "0.5"
    assert facts["claude-sonnet-5-5"]["takes_tools"] == "unknown"
    words = offline.run_here("models", "--service", "anthropic")
    assert "1,000,000" in words.out
    assert "unknown" in words.out


def test_models_are_picked_by_what_is_known(offline: CommandLine) -> None:
    """A filter keeps what is known to fit; what is not known is left out and counted, or listed when asked for."""
    picked = offline.run_here("models", "--takes", "audio", "--takes", "tools", "--json").json
    assert {entry["service"] for entry in picked["models"]} == {"google"}
    large = offline.run_here("models", "--min-window", "1000001", "--max-input-price", "2.5", "--json").json
    assert "gpt-5.4" in {entry["model"] for entry in large["models"]}
    assert all(entry["context_window_tokens"] > 1_000_000 for entry in large["models"])
    sure = offline.run_here("models", "--takes", "tools", "--service", "anthropic", "--json").json
    unsure = offline.run_here("models", "--takes", "tools", "--service", "anthropic", "--with-unknown", "--json").json
    assert sure["left_out_as_unknown"] > 0
    assert len(unsure["models"]) == len(sure["models"]) + sure["left_out_as_unknown"]
    words = offline.run_here("models", "--takes", "tools", "--service", "anthropic")
    assert "--with-unknown" in words.err
    cheap = offline.run_here("models", "--all", "--max-output-price", "0.5", "--service", "openai", "--json").json
    assert "gpt-5-nano" in {entry["model"] for entry in cheap["models"]}


def known_of(entry: Any, question: str) -> Any:
    """What the listing says about a model: yes, no, a number, or `unknown`."""
    if question in ("tools", "schema", "sampling"):
        return entry[f"takes_{question}"]
    if question == "reasoning":
        return entry["reasons"]
    if question == "window":
        return entry["context_window_tokens"]
    if question in ("input", "output"):
        price = entry["usd_per_million_tokens"][question]
        price = price["0"] if isinstance(price, dict) else price
        return price if price == "unknown" else Decimal(price)
    return entry["inputs"] if entry["inputs"] == "unknown" else question in entry["inputs"]


Wish = tuple[str, Callable[[Any], bool]]
WISHES: dict[tuple[str, ...], tuple[Wish, ...]] = {
    **{("--takes", ability.value): ((ability.value, lambda it: it is True),) for ability in Ability},
    ("--takes", "image", "--takes", "reasoning"): (("image", bool), ("reasoning", bool)),
    ("--min-window", "1000000"): (("window", lambda count: count >= 1_000_000),),
    ("--max-input-price", "0.15"): (("input", lambda usd: usd <= Decimal("0.15")),),
    ("--max-output-price", "0.5"): (("output", lambda usd: usd <= Decimal("0.5")),),
    ("--max-input-price", "0"): (("input", lambda usd: usd == 0),),
    ("--takes", "tools", "--min-window", "400000", "--max-output-price", "20"): (
        ("tools", bool),
        ("window", lambda count: count >= 400_000),
        ("output", lambda usd: usd <= 20),
    ),
}


@pytest.mark.parametrize("scope", [(), ("--all",), ("--service", "claude")], ids=["table", "all", "service"])
@pytest.mark.parametrize("arguments", WISHES, ids=" ".join)
def test_each_filter_is_what_it_says(offline: CommandLine, arguments: tuple[str, ...], scope: tuple[str, ...]) -> None:
    """Of all models those that are known to fit are listed, in order, and those that may fit are counted or listed."""
    every = offline.run_here("models", *scope, "--json").json["models"]
    fitting: list[Any] = []
    unknown: list[Any] = []
    for entry in every:
        answers = [(known_of(entry, question), test) for question, test in WISHES[arguments]]
        if any(known != "unknown" and not test(known) for known, test in answers):
            continue
        (unknown if any(known == "unknown" for known, _ in answers) else fitting).append(entry)
    picked = offline.run_here("models", *arguments, *scope, "--json").json
    assert picked["models"] == fitting
    assert picked["left_out_as_unknown"] == len(unknown)
    unsure = offline.run_here("models", *arguments, *scope, "--with-unknown", "--json").json
    assert [entry for entry in every if entry in fitting or entry in unknown] == unsure["models"]
    assert unsure["left_out_as_unknown"] == 0


def test_little_known_models_are_counted(offline: CommandLine) -> None:
    """What --all would list besides is told, for the filter that was given."""
    for arguments in ((), ("--max-output-price", "0.5"), ("--takes", "tools"), ("--takes", "tools", "--with-unknown")):
        some = offline.run_here("models", *arguments, "--json").json
        every = offline.run_here("models", *arguments, "--all", "--json").json
        assert some["left_out_as_little_known"] == len(every["models"]) - len(some["models"])
        assert every["left_out_as_little_known"] == 0
    words = offline.run_here("models", "--max-output-price", "0.5")
    assert "--all lists them" in words.err


def test_aliases_are_picked_by_their_models(offline: CommandLine) -> None:
    """An alias goes with the model that it stands for, and may be unknown with it."""
    for arguments in (("--takes", "document"), ("--takes", "document", "--aliases")):
        picked = offline.run_here("models", *arguments, "--json").json["aliases"]
        assert [entry["alias"] for entry in picked] == ["gemini"]
    alone = offline.run_here("models", "--takes", "document", "--aliases", "--json").json
    assert (alone["left_out_as_unknown"], alone["models"]) == (1, [])
    unsure = offline.run_here("models", "--takes", "document", "--aliases", "--with-unknown", "--json").json
    assert [entry["alias"] for entry in unsure["aliases"]] == ["claude", "gemini"]
    none = offline.run_here("models", "--aliases", "--max-output-price", "0")
    assert (none.code, none.out.strip()) == (0, "")
    assert "Nothing that is known fits." in none.err


def test_nothing_fits(offline: CommandLine) -> None:
    """That is no failure, but it is said; so is an option that says nothing."""
    none = offline.run_here("models", "--min-window", "99999999999999999999", "--on", "simulator")
    assert none.code == 0
    assert none.out.strip() == ""
    assert "Nothing that is known fits." in none.err
    assert "--on says nothing" in none.err
    live = offline.run_here("models", "--live", "--on", "simulator", "--min-window", "9999999999")
    assert live.code == 0
    assert "Nothing that is known fits." in live.err
    assert "--on" not in live.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--takes", "smell"), "--takes"),
        (("--min-window", "0"), "--min-window"),
        (("--min-window", "many"), "--min-window"),
        (("--max-input-price", "-1"), "--max-input-price"),
        (("--max-output-price", "nan"), "--max-output-price"),
        (("--service", "moon"), "no service 'moon'"),
        (("--service", ""), "no service ''"),
    ],
)
def test_wishes_that_make_no_sense_are_refused(offline: CommandLine, arguments: tuple[str, ...], words: str) -> None:
    """The message names the option, or what was given."""
    done = offline.run_here("models", *arguments)
    assert done.code == 2
    assert words in done.err


def test_live_models_are_picked_too(offline: CommandLine) -> None:
    """What the service says comes first, what the catalogue knows beneath it."""
    arguments = ("--live", "--on", "simulator", "--service", "openai", "--json")
    every = offline.run_here("models", *arguments).json["models"]
    picked = offline.run_here("models", *arguments, "--takes", "image").json
    assert picked["models"] == [entry for entry in every if known_of(entry, "image") is True]
    assert picked["models"]
    assert picked["left_out_as_unknown"] == sum(known_of(entry, "image") == "unknown" for entry in every)
    (service,) = picked["services"]
    assert service["models"] == [entry["model"] for entry in picked["models"]]


def test_ones_own_models_are_in_the_catalogue(offline: CommandLine) -> None:
    """The file that DIPEO_CATALOG_FILE names adds to what is listed; a key that is not understood is named."""
    file = offline.cwd / "mine.yaml"
    file.write_text("ollama:\n  llama3.2:\n    context_window_tokens: 8192\n    usd_per_million_tokens: {input: 0}\n")
    mine = offline.given(DIPEO_CATALOG_FILE=str(file))
    (entry,) = mine.run_here("models", "--service", "ollama", "--json").json["models"]
    assert entry["context_window_tokens"] == 8192
    assert entry["usd_per_million_tokens"]["input"] == "0"
    assert entry["usd_per_million_tokens"]["output"] == "unknown"
    file.write_text("ollama:\n  llama3.2:\n    context_windw: 8192\n")
    broken = mine.run_here("models")
    assert broken.code == 3
    assert "ollama.llama3.2.context_windw" in broken.err


def test_simulator_lists_too(offline: CommandLine) -> None:
    """With --on simulator every service lists its models, and the first line says who does."""
    done = offline.run_here("models", "--live", "--on", "simulator")
    assert done.code == 0
    assert done.out.startswith("Simulated: ")
    assert all(f" {service.value} " in done.out for service in LLMService)


def test_service_that_does_not_answer_is_a_row(cli: CommandLine, odd_server: str) -> None:
    """What keeps one from listing is said in its row, and the others list all the same."""
    keys = dict.fromkeys(("GROQ_API_KEY", "XAI_API_KEY", "MISTRAL_API_KEY", "DEEPSEEK_API_KEY"), CANARY)
    urls = {
        "DIPEO_GROQ_BASE_URL": "http://127.0.0.1:9",
        "DIPEO_XAI_BASE_URL": f"{odd_server}/text",
        "DIPEO_MISTRAL_BASE_URL": f"{odd_server}/page",
        "DIPEO_DEEPSEEK_BASE_URL": f"{odd_server}/missing",
    }
    odd = cli.given(OPENROUTER_API_KEY=f"{CANARY}\n", **keys, **urls)
    done, words = odd.run_here("models", "--live", "--json"), odd.run_here("models", "--live")
    assert (done.code, words.code) == (0, 0)
    reasons = {entry["service"]: entry["reason"] for entry in done.json["services"]}
    assert reasons["openai"] is None
    for service, reason in (
        ("groq", "cannot be reached"),
        ("xai", "answers with no list of models"),
        ("mistral", "answers with no list of models"),
        ("deepseek", "status 404"),
        ("openai_compatible", "wants a key (401)"),
    ):
        assert reasons[service] == reason
        assert reason in words.out
    assert "holds what no key has" in reasons["openrouter"]


def test_nothing_can_be_listed(offline: CommandLine) -> None:
    """Where all is a matter of setting up the code is 3; where a service that was meant failed it is 4."""
    away = offline.given(DIPEO_OLLAMA_BASE_URL="http://127.0.0.1:9")
    keyed = offline.given(OPENAI_API_KEY=CANARY, DIPEO_OPENAI_BASE_URL="http://127.0.0.1:9")
    cases = [
        (away, ("--service", "groq"), 3, "GROQ_API_KEY"),
        (away, ("--service", "openai_compatible"), 3, "DIPEO_OPENAI_COMPATIBLE_BASE_URL"),
        (away, (), 4, "cannot be reached"),
        (keyed, ("--service", "openai"), 4, "cannot be reached"),
    ]
    for cli, arguments, code, words in cases:
        done = cli.run_here("models", "--live", *arguments)
        assert (done.code, words in done.out) == (code, True), arguments
        assert "--on simulator" in done.err
    assert away.run_here("models", "--live", "--service", "moon").code == 2


@pytest.fixture
def odd_server() -> Iterator[str]:
    """A server whose lists are none."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _OddAnswers)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _OddAnswers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(404 if self.path == "/missing/models" else 200)
        self.end_headers()
        self.wfile.write(b'{"models": "none"}' if self.path == "/text/models" else b"<html>Sign in</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is that of the base class
        pass
