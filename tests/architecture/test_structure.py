"""Conventions that reviewers would otherwise repeat: sizes, names, docstrings, exports, lazy imports."""

import ast
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dipeo

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dipeo"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
REFUSED_NAMES = {"utils", "helpers", "common", "misc", "manager", "core", "handler"}

# How much longer than the budget a place may be; it may only shrink.
ALLOWED: dict[str, int] = {}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{path.relative_to(ROOT)}:{node.name}", node


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def test_files_stay_small() -> None:
    """No file has over 500 lines, the long ones stay few, wrappers are under 150, adapters under 400."""
    sizes = {path: lines(path) for path in SOURCES}
    assert max(sizes.values()) <= 500, max(sizes, key=lambda path: sizes[path])
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 350
    for path in (PACKAGE / "infrastructure/llm/wrappers").glob("*.py"):
        assert sizes[path] <= 150, path
    for path in (PACKAGE / "infrastructure/llm/adapters").glob("*.py"):
        assert sizes[path] <= 400, path
    for path in (PACKAGE / "container").glob("*.py"):
        assert sizes[path] <= 150, path


def test_functions_stay_small() -> None:
    """No function body has over 60 lines, and nine in ten have at most 25."""
    sizes = {name: body_lines(node) for path in SOURCES for name, node in functions(path)}
    assert {name: size for name, size in sizes.items() if size > ALLOWED.get(name, 60)} == {}
    assert statistics.quantiles(sizes.values(), n=10)[-1] <= 25


def test_no_module_or_class_has_a_name_that_says_nothing() -> None:
    """Names such as `utils` are refused; `system_prompt_handler` is inherited."""
    for path in SOURCES:
        words = set(path.stem.split("_")) if path.stem != "system_prompt_handler" else set()
        assert not words & REFUSED_NAMES, path
        assert path.stem != "base" or path.parent.name == "drivers", path


def test_every_public_function_and_class_says_what_it_does() -> None:
    """Public modules, classes and functions of the package have docstrings; overriding methods inherit theirs."""
    missing = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if not ast.get_docstring(tree):
            missing.append(str(path))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not node.name.startswith("_") and not ast.get_docstring(node):
                missing.append(f"{path.relative_to(ROOT)}:{node.name}")
    assert missing == []


def test_every_test_says_what_it_shows() -> None:
    """Each test has a docstring of its own."""
    missing = [
        name
        for path in TESTS
        for name, node in functions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert missing == []


def test_nothing_is_caught_broadly_without_a_reason() -> None:
    """A broad `except` stands nowhere in domain and application, and nowhere else without a comment beside it."""
    for path in SOURCES:
        is_inner = path.is_relative_to(PACKAGE / "domain") or path.is_relative_to(PACKAGE / "application")
        text = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(text):
            if re.search(r"except (Base)?Exception\b|except:", line):
                assert not is_inner, f"{path}:{number + 1}"
                around = " ".join(text[number : number + 3])
                assert "#" in around, f"{path}:{number + 1} catches broadly and does not say why"


def test_tests_patch_nothing() -> None:
    """Seams are objects: no monkeypatching of code and no mocks."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"unittest\.mock|monkeypatch\.setattr|mocker\.", text), path


def test_numbers_carry_their_unit() -> None:
    """A field or argument that is a time, a delay or a cost ends in its unit."""
    unitless = re.compile(r"^(timeout|delay|latency|cost|wait|duration)$")
    found = []
    for path in SOURCES:
        for name, node in functions(path):
            arguments = [*node.args.args, *node.args.kwonlyargs]
            found += [f"{name}({argument.arg})" for argument in arguments if unitless.match(argument.arg)]
    assert [place for place in found if "entrypoints/cli" not in place] == []


def test_the_public_names_are_those_that_exist() -> None:
    """`dipeo` exports about twenty names, each of which resolves, and offers them to the editor."""
    assert len(dipeo.__all__) <= 25
    assert len(set(dipeo.__all__)) == len(dipeo.__all__)
    for name in dipeo.__all__:
        assert getattr(dipeo, name) is not None
        assert name in dir(dipeo)
    text = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    typed = set(re.findall(r" as (\w+)$", text, re.MULTILINE))
    assert typed == set(dipeo.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dipeo.nothing


def modules_after(program: str) -> set[str]:
    code = f"{program}\nimport sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(result.stdout))


HEAVY = {
    "openai",
    "anthropic",
    "google.genai",
    "ollama",
    "httpx",
    "httpx2",
    "aiohttp",
    "pydantic",
    "dependency_injector",
}


def test_importing_dipeo_loads_nothing_heavy() -> None:
    """`import dipeo` loads no SDK, no HTTP package, no pydantic, no container, no command line."""
    loaded = modules_after("import dipeo")
    assert not loaded & (
        HEAVY | {"yaml", "frontmatter", "dotenv", "typer", "rich", "orjson", "backoff", "attrs", "attr"}
    )


def test_the_domain_loads_attrs_and_nothing_else() -> None:
    """Persons, messages and completions can be made without any HTTP package."""
    loaded = modules_after(
        "import dipeo\n"
        "dipeo.Person, dipeo.Message, dipeo.Conversation, dipeo.Completion, dipeo.errors, dipeo.ChatModelPort"
    )
    assert not loaded & (HEAVY | {"yaml", "typer", "rich", "orjson", "backoff"})


def test_a_wired_service_loads_no_sdk() -> None:
    """Even a service that has answered has loaded no SDK: the default wire is aiohttp."""
    loaded = modules_after(
        "import asyncio, dipeo\n"
        "from dipeo.testing import ProviderSimulator\n"
        "async def main():\n"
        "    async with ProviderSimulator() as simulator:\n"
        "        s = dipeo.Settings(base_urls=simulator.base_urls, environ={'OPENAI_API_KEY': 'sk-x'})\n"
        "        async with dipeo.connect(s) as llm:\n"
        "            await llm.complete([{'role': 'user', 'content': 'Hi'}], 'gpt-5.4-mini')\n"
        "asyncio.run(main())"
    )
    # dependency-injector itself looks for pydantic and loads it where it is installed.
    assert not loaded & (HEAVY - {"aiohttp", "dependency_injector", "pydantic"})
    # Chat completions were spoken, and the dialect that most never need was not loaded.
    assert "dipeo.infrastructure.llm.adapters._two_dialects" in loaded
    assert "dipeo.infrastructure.llm.adapters._responses" not in loaded


def test_a_wired_service_loads_only_what_it_was_asked_for() -> None:
    """What is not configured is not loaded either: hedging, files of keys, prices, documents.

    Nor are the web frameworks that the container library's wiring would look for.
    """
    loaded = modules_after(
        "import asyncio, dipeo\n"
        "async def main():\n"
        "    async with dipeo.connect(dipeo.Settings(environ={})):\n"
        "        pass\n"
        "asyncio.run(main())"
    )
    llm = "dipeo.infrastructure.llm"
    unused = {
        f"{llm}.wrappers.hedging",
        "dipeo.domain.catalog",
        "dipeo.infrastructure.catalog.model_catalog",
        "dipeo.infrastructure.documents.conversation_file",
        "dipeo.infrastructure.keys.dotenv_file",
        "dipeo.infrastructure.keys.key_file",
        "dipeo.infrastructure.prompts.front_matter",
        "dependency_injector.wiring",
    }
    assert f"{llm}.wrappers.retrying" in loaded
    assert not loaded & unused


def test_an_sdk_is_named_in_one_module() -> None:
    """Each official SDK is imported by its own wire and by nothing else in the package."""
    named: dict[str, list[str]] = {}
    for path in SOURCES:
        for sdk in re.findall(
            r"^\s*(?:import|from) (openai|anthropic|google|ollama)\b", path.read_text(encoding="utf-8"), re.MULTILINE
        ):
            named.setdefault(path.stem, []).append(sdk)
    assert {module: set(sdks) for module, sdks in named.items()} == {
        "openai_sdk": {"openai"},
        "anthropic_sdk": {"anthropic"},
        "google_sdk": {"google"},
        "google_legacy_sdk": {"google"},
        "ollama_sdk": {"ollama"},
    }
