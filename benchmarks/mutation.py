"""Do the tests notice when the state machines are broken? Branch coverage first, then one small fault after the other.

The tests are run once, on a copy of the tree, to see which of them reaches which line. Then each mutant (see
`mutants.py`) is tried in a process of its own, against the tests that reach its lines, the quickest first, until one
fails. A mutant under which a test takes far longer than it should counts as killed, and is counted apart. The exit code
is 1 when a branch is never taken, or when fewer mutants are killed than the goal asks for.

Mutants that change nothing anybody could see are listed, one by one and with the reason, in `equivalent_mutants.toml`.

With arguments, only what they name is tried, and nothing is held to a goal: a module (`shelf`) or a line (`shelf:181`).

Kept tools were looked at first. mutmut 3 forwards every call to one of its copies of a function: that leaves out
properties and values of classes and modules, it leaves out no statement, and with our asynchronous generators it ended
the interpreter before the first mutant. cosmic-ray begins anew, with all imports, for each mutant, changes the files
in place, and leaves out no statement either.
"""

import argparse
import ast
import importlib
import json
import os
import pickle
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Final

import coverage
import pytest
from attrs import define, field, frozen

from benchmarks.mutants import Mutant, mutants_of

SCORE_GOAL: Final = 0.90

ROOT: Final = Path(__file__).parents[1]
LLM: Final = "dipeo/infrastructure/llm"
MODULES: Final = (
    f"{LLM}/drivers/pool.py",
    f"{LLM}/drivers/shelf.py",
    f"{LLM}/drivers/per_loop.py",
    f"{LLM}/drivers/alarm.py",
    f"{LLM}/drivers/base.py",
    f"{LLM}/wrappers/retrying.py",
    f"{LLM}/wrappers/fallback.py",
    f"{LLM}/wrappers/breaker.py",
    f"{LLM}/wrappers/hedging.py",
    f"{LLM}/drivers/candidates.py",
    f"{LLM}/drivers/circuits.py",
    f"{LLM}/drivers/latencies.py",
    f"{LLM}/drivers/ramps.py",
    f"{LLM}/drivers/race.py",
    f"{LLM}/drivers/retry_budget.py",
    f"{LLM}/drivers/retry_history.py",
    f"{LLM}/wrappers/time_limited.py",
    f"{LLM}/wrappers/metered.py",
    f"{LLM}/drivers/attempt_recorder.py",
    f"{LLM}/wires/framing.py",
    "dipeo/domain/stream.py",
)
PARTS: Final = {
    "base": (
        "BaseLLMAdapter._events",
        "BaseLLMAdapter._decode_event",
        "BaseLLMAdapter._check_accepted",
        "_broken_off",
        "_drain_s",
        "_close",
    )
}
"""Of these modules, only these functions are state machines."""

TESTS: Final = (
    "tests/unit/test_pool.py",
    "tests/unit/drivers",
    "tests/unit/domain/test_completion_stream.py",
    "tests/contracts/test_ports.py",
    "tests/wires",
    "tests/adapters",
    "tests/virtual_world",
)
_WORLDS: Final = "tests/virtual_world/test_worlds.py"
LEFT_OUT: Final = (
    *(f"{_WORLDS}::test_what_must_hold_holds_in_every_world[{first}]" for first in range(100, 300, 50)),
    f"{_WORLDS}::test_the_same_seed_gives_the_same_course_of_events",
    f"{_WORLDS}::test_another_seed_gives_another_course_of_events",
    f"{_WORLDS}::test_what_a_failure_prints_is_a_command_that_plays_the_seed_again",
    f"{_WORLDS}::test_the_course_of_events_does_not_depend_on_how_texts_are_hashed",
    "tests/virtual_world/test_retry_load.py",
    "tests/unit/test_pool.py::test_expiry_takes_the_same_for_each_however_many_there_are",
    "tests/wires/test_http.py",
)
"""More of the same, or slow and about something else: a hundred worlds are enough here."""

EQUIVALENT: Final = Path(__file__).with_name("equivalent_mutants.toml")

_OPTIONS: Final = ("-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning")
_COPIED: Final = ("dipeo", "tests", "docs", "prompts", "pyproject.toml")
_LIMIT_S: Final = 3.0
_LIMIT_TIMES: Final = 10.0
_IMPORT_LIMIT_S: Final = 60.0
_MEMORY_BYTES: Final = 4 * 1024**3
_PRELOADED: Final = ("aiohttp", "attrs", "backoff", "hypothesis.stateful", "orjson", "pytest_asyncio.plugin", "yaml")


@define
class Baseline:
    """What the tests do on the unharmed tree: how long each takes, which lines it reaches, what is never reached."""

    seconds: dict[str, float]
    reached: dict[str, dict[int, list[str]]]
    gaps: dict[str, list[str]]
    exit_code: int


@define
class Outcome:
    """A mutant and what became of it: killed, timeout, survived or equivalent."""

    mutant: Mutant
    status: str
    seconds: float = 0.0


@frozen
class Tree:
    """A copy of the tree, so that nobody who edits meanwhile kills a mutant."""

    root: Path

    @classmethod
    def copied_to(cls, folder: Path) -> "Tree":
        """The copy, made now."""
        for name in _COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, folder / name)
        return cls(folder)

    def enter(self) -> None:
        """Makes this process work in the copy."""
        os.environ.setdefault("DIPEO_SHARED_DATA", str(ROOT.parent / "shared"))
        os.environ["PYTHONPATH"] = str(self.root)
        os.chdir(self.root)
        sys.path.insert(0, str(self.root))


# --- the unharmed tree -----------------------------------------------------------------------------------------------


class Watcher:
    """Tells the measurement which test is running, and how long each took."""

    def __init__(self, measured: coverage.Coverage) -> None:
        self.measured = measured
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterable[None]:
        """Around each test."""
        self.measured.switch_context(item.nodeid)
        start = time.perf_counter()
        yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        self.measured.switch_context("")


def look(tree: Tree, report: Path) -> None:
    """Runs all tests on the unharmed copy and writes down what they reach. For a process of its own."""
    tree.enter()
    paths = [str(tree.root / module) for module in MODULES]
    # The tests fork, and a forked process leaves without ceremony: what it reached counts too.
    measured = coverage.Coverage(
        data_file=str(report.with_suffix(".data")), data_suffix=True, branch=True, include=paths, config_file=False
    )
    measured.set_option("run:patch", ["fork", "_exit"])
    measured.start()
    watcher = Watcher(measured)
    left_out = [f"--deselect={name}" for name in LEFT_OUT]
    exit_code = pytest.main(["-q", *_OPTIONS, *left_out, *TESTS], plugins=[watcher])
    measured.stop()
    measured.save()
    measured.combine(keep=False)
    facts = report.with_suffix(".json")
    measured.json_report(outfile=str(facts))
    measured.load()
    data = measured.get_data()
    reached = {
        module: {line: [test for test in tests if test] for line, tests in data.contexts_by_lineno(path).items()}
        for module, path in zip(MODULES, paths, strict=True)
    }
    gaps = {Path(name).stem: _gaps(Path(name), facts) for name in MODULES}
    report.write_bytes(pickle.dumps(Baseline(watcher.seconds, reached, gaps, int(exit_code))))


def _gaps(module: Path, facts: Path) -> list[str]:
    files = json.loads(facts.read_text(encoding="utf-8"))["files"]
    file = next(found for name, found in files.items() if name.endswith(str(module)))
    functions = [found for name, found in file["functions"].items() if is_wanted(module)(name)]
    lines = [f"{module}:{line} never run" for function in functions for line in function["missing_lines"]]
    branches = [pair for function in functions for pair in function["missing_branches"]]
    return lines + [f"{module}:{start} never goes on to {end if end > 0 else 'the end'}" for start, end in branches]


def is_wanted(module: Path) -> Callable[[str], bool]:
    """Whether a function of the module, by its qualified name, is among what is measured."""
    parts = PARTS.get(module.stem)
    return lambda function: parts is None or function in parts


# --- one mutant ------------------------------------------------------------------------------------------------------


class MutantLoader(MetaPathFinder, Loader):
    """Gives the mutant to whoever imports its module."""

    def __init__(self, name: str, mutant: Mutant, path: Path) -> None:
        self.name = name
        self.mutant = mutant
        self.path = path

    def find_spec(self, name: str, path: object, target: object = None) -> ModuleSpec | None:
        """Only the mutant's own module is found here."""
        if name != self.name:
            return None
        return spec_from_loader(name, self, origin=str(self.path))

    def exec_module(self, module: ModuleType) -> None:
        """Runs the mutant as the module."""
        module.__file__ = str(self.path)
        exec(self.mutant.code, module.__dict__)


class Chosen:
    """Runs the chosen tests alone, the quickest first, each under a limit of its own."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leaves out the others."""
        items[:] = sorted((i for i in items if i.nodeid in self.seconds), key=lambda i: self.seconds[i.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Sets the clock by which the process dies: no Python code has to run for that, so none can be in the way."""
        signal.setitimer(signal.ITIMER_REAL, _LIMIT_S + _LIMIT_TIMES * self.seconds[nodeid])


def try_out(tree: Tree, mutant: Mutant, seconds: dict[str, float], *, is_quick: bool) -> int:
    """Runs the tests on the mutant; 0 when none of them fails. For a process of its own."""
    from hypothesis import Phase, settings

    tree.enter()
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Whether a test fails is enough; the simplest way in which it fails is not looked for.
    settings.register_profile("mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    name = str(mutant.path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    sys.meta_path.insert(0, MutantLoader(name, mutant, tree.root / mutant.path.relative_to(ROOT)))
    signal.setitimer(signal.ITIMER_REAL, _IMPORT_LIMIT_S)
    importlib.import_module(name)  # before pytest begins, whose own way of importing would pass the mutant by
    for folders in _in_stages()[: 1 if is_quick else None]:
        part = {test: took for test, took in seconds.items() if test.startswith(folders)}
        files = sorted({test.partition("::")[0] for test in part})
        options = ["-x", "-q", "--tb=no", "--timeout=0", *_OPTIONS]
        signal.setitimer(signal.ITIMER_REAL, _IMPORT_LIMIT_S)
        exit_code = int(pytest.main([*options, *files], plugins=[Chosen(part)])) if files else 0
        if exit_code:
            return exit_code
    return 0


def _in_stages() -> list[tuple[str, ...]]:
    """The folders of the tests, those that are quick to load first: most mutants need no more."""
    is_first = [folder.startswith(("tests/unit", "tests/wires")) for folder in TESTS]
    return [tuple(f for f, first in zip(TESTS, is_first, strict=True) if first is stage) for stage in (True, False)]


def tests_for(mutant: Mutant, baseline: Baseline) -> dict[str, float]:
    """The tests that reach the mutant's lines; what is reached by none of them alone is reached by the import."""
    lines = baseline.reached[str(mutant.path.relative_to(ROOT))]
    own = range(mutant.line, mutant.last_line + 1)
    names = {test for line in own for test in lines.get(line, [])} or {
        test for tests in lines.values() for test in tests
    }
    return {name: baseline.seconds[name] for name in names}


# --- many mutants ----------------------------------------------------------------------------------------------------


@define
class Run:
    """Tries out many mutants, as many at a time as there are jobs."""

    tree: Tree
    baseline: Baseline
    jobs: int
    is_quick: bool
    outcomes: list[Outcome] = field(factory=list)
    _running: dict[int, tuple[Mutant, float]] = field(factory=dict)

    def of(self, mutants: Sequence[Mutant]) -> list[Outcome]:
        """What becomes of each."""
        for number, mutant in enumerate(mutants, 1):
            while len(self._running) >= self.jobs:
                self._wait()
            print(f"\r  {number} of {len(mutants)} mutants", end="", flush=True)
            seconds = tests_for(mutant, self.baseline)
            trial = partial(try_out, self.tree, mutant, seconds, is_quick=self.is_quick)
            pid = in_process(trial)
            self._running[pid] = (mutant, time.perf_counter())
        while self._running:
            self._wait()
        print()
        return sorted(self.outcomes, key=lambda outcome: (str(outcome.mutant.path), outcome.mutant.line))

    def _wait(self) -> None:
        pid, status = os.wait()
        mutant, start = self._running.pop(pid)
        outcome = Outcome(mutant, _verdict(mutant, status), time.perf_counter() - start)
        self.outcomes.append(outcome)
        if outcome.status == "survived":
            print(f"\r{mutant.path.relative_to(ROOT)}:{mutant.line} {mutant.function}")
            print(f"- {mutant.before}\n+ {mutant.after}\n", flush=True)


def _verdict(mutant: Mutant, status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code == pytest.ExitCode.USAGE_ERROR:
        raise SystemExit(f"The tests for {mutant} could not be run at all.")
    if code in {0, pytest.ExitCode.NO_TESTS_COLLECTED}:
        return "survived"
    return "timeout" if code == -signal.SIGALRM else "killed"


def in_process(work: Callable[[], int | None], *, is_loud: bool = False) -> int:
    """Begins the work in a forked process, and gives its number."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if not is_loud:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
        code = work() or 0
    except Exception:  # noqa: BLE001  # a forked process must not go on as if it were the one that forked
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


# --- what is printed -------------------------------------------------------------------------------------------------


def known_equivalents() -> dict[tuple[str, str, str, str], str]:
    """The mutants that nobody could notice, each with the reason."""
    entries = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"]
    return {(e["module"], e["function"], e["before"], e["after"]): e["reason"] for e in entries}


def print_table(outcomes: Sequence[Outcome], gaps: dict[str, list[str]]) -> float:
    """A line for each module and one for all; the score of all is returned."""
    print(f"\n{'module':14}{'mutants':>9}{'killed':>8}{'timeout':>9}{'survived':>10}{'score':>9}{'branches':>10}")
    total: Counter[str] = Counter()
    for module in MODULES:
        name = Path(module).stem
        counts = Counter(outcome.status for outcome in outcomes if outcome.mutant.path.stem == name)
        if counts:
            _print_row(name, counts, "all" if not gaps[name] else f"{len(gaps[name])} open")
            total.update(counts)
    return _print_row("all", total, "all" if not any(gaps.values()) else "open")


def _print_row(name: str, counts: Counter[str], branches: str) -> float:
    dead = counts["killed"] + counts["timeout"]
    tried = dead + counts["survived"]
    score = dead / tried if tried else 1.0
    numbers = f"{tried:9}{counts['killed']:8}{counts['timeout']:9}{counts['survived']:10}"
    print(f"{name:14}{numbers}{score:9.1%}{branches:>10}")
    return score


# --- all of it -------------------------------------------------------------------------------------------------------


def chosen_mutants(only: Sequence[str]) -> list[Mutant]:
    """All mutants, or those of the modules and lines that were named."""
    mutants = [mutant for name in MODULES for mutant in mutants_of(ROOT / name, is_wanted(Path(name)))]
    return [m for m in mutants if not only or m.path.stem in only or f"{m.path.stem}:{m.line}" in only]


def measure(tree: Tree, folder: Path, *, is_loud: bool) -> Baseline:
    """What the tests reach on the unharmed copy."""
    report = folder / "baseline"
    pid = in_process(lambda: look(tree, report), is_loud=is_loud)
    os.waitpid(pid, 0)
    if not report.exists():
        raise SystemExit("The tests could not be run on the unharmed tree.")
    baseline: Baseline = pickle.loads(report.read_bytes())
    if baseline.exit_code:
        raise SystemExit("The tests fail on the unharmed tree: mend that first (make test).")
    return baseline


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the goals are met."""
    options = argparse.ArgumentParser(
        description=ast.get_docstring(ast.parse(Path(__file__).read_text(encoding="utf-8")))
    )
    options.add_argument("only", nargs="*", help="modules (shelf) or lines (shelf:181) to try alone")
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many mutants to try at a time")
    options.add_argument("--quick", action="store_true", help="try the unit tests alone")
    options.add_argument("--verbose", action="store_true", help="show the first run of the tests")
    chosen = options.parse_args(arguments)
    for name in _PRELOADED:
        importlib.import_module(name)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree.copied_to(Path(folder, "tree"))
        mutants = chosen_mutants(chosen.only)
        print("Which test reaches what ...")
        baseline = measure(tree, Path(folder), is_loud=chosen.verbose)
        equivalents = known_equivalents()
        outcomes = Run(tree, baseline, chosen.jobs, chosen.quick).of([m for m in mutants if m.key not in equivalents])
    for gap in (gap for gaps in baseline.gaps.values() for gap in gaps):
        print(gap)
    score = print_table(outcomes, baseline.gaps)
    excluded = Counter(mutant.key for mutant in mutants if mutant.key in equivalents)
    print(f"\n{excluded.total()} equivalent mutants left out; {time.perf_counter() - start:.0f} s")
    if chosen.only or chosen.quick:
        return 0
    for key in equivalents.keys() - excluded.keys():
        print(f"No longer there, take it out of {EQUIVALENT.name}: {key}")
    is_met = score >= SCORE_GOAL and not any(baseline.gaps.values())
    print(f"Goals ({SCORE_GOAL:.0%} of the mutants, every branch): {'met' if is_met else 'NOT met'}")
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
