"""What holds for every port: small, checkable, implemented for real and as a fake, and named by its implementations."""

import inspect
import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

import pytest

import dipeo
from dipeo.domain import ports
from dipeo.domain.ports import ChatModelPort, LLMServicePort

PORTS: list[type[Any]] = [getattr(ports, name) for name in ports.__all__]
MAX_METHODS = 5


def is_protocol(kind: type[Any]) -> bool:
    """Whether the class is a Protocol itself, rather than an implementation of one."""
    return bool(getattr(kind, "_is_protocol", False))


def methods_of(port: type[Any]) -> dict[str, Any]:
    """What a port asks of its implementations."""
    return {name: member for name, member in vars(port).items() if inspect.isfunction(member) and name[0] != "_"}


@cache
def modules() -> tuple[str, ...]:
    """The names of all modules of the package."""
    return tuple(
        module.name
        for module in pkgutil.walk_packages(dipeo.__path__, prefix="dipeo.")
        # Google's former client goes together with none of the others, and so is not installed beside them.
        if not module.name.endswith(("__main__", ".google_legacy_sdk"))
    )


@cache
def classes() -> tuple[type[Any], ...]:
    """All classes that the package defines."""
    found = {
        member
        for name in modules()
        for _, member in inspect.getmembers(import_module(name), inspect.isclass)
        if member.__module__ == name
    }
    return tuple(sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}"))


def implementations(port: type[Any]) -> list[type[Any]]:
    """The concrete classes that name the port as a base class."""
    return [
        kind for kind in classes() if port in kind.__mro__ and not is_protocol(kind) and not inspect.isabstract(kind)
    ]


def looks_like(kind: type[Any], port: type[Any]) -> bool:
    """Whether the class has every method of the port, async where the port's is, with the same parameters."""
    for name, method in methods_of(port).items():
        member = getattr(kind, name, None)
        if not callable(member) or inspect.iscoroutinefunction(member) is not inspect.iscoroutinefunction(method):
            return False
        wanted = list(inspect.signature(method).parameters)
        if inspect.isfunction(member) and list(inspect.signature(member).parameters)[: len(wanted)] != wanted:
            return False
    return True


every_port = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__)


def test_every_protocol_among_the_ports_is_listed() -> None:
    """A port that is written down in a file of its own is exported by the package of ports."""
    written = {kind for kind in classes() if kind.__module__.startswith("dipeo.domain.ports.") and is_protocol(kind)}
    assert written == set(PORTS)


@every_port
def test_a_port_is_a_protocol_that_can_be_checked(port: type[Any]) -> None:
    """`isinstance` works at run time, and tells a stranger from an implementation."""
    assert is_protocol(port)
    assert getattr(port, "_is_runtime_protocol", False)
    assert not isinstance(object(), port)


@every_port
def test_a_port_is_small(port: type[Any]) -> None:
    """A port has from one to five methods and nothing else."""
    assert 1 <= len(methods_of(port)) <= MAX_METHODS
    assert not getattr(port, "__annotations__", {})


@every_port
def test_a_port_says_what_it_wants(port: type[Any]) -> None:
    """The port and each of its methods have a docstring."""
    assert inspect.getdoc(port)
    assert all(inspect.getdoc(method) for method in methods_of(port).values())


@every_port
def test_a_port_has_a_real_implementation_and_a_shipped_fake(port: type[Any]) -> None:
    """At least two classes implement it, one of them in `dipeo.testing` and one not."""
    homes = [kind.__module__.startswith("dipeo.testing") for kind in implementations(port)]
    assert True in homes
    assert False in homes


@every_port
def test_an_implementation_names_its_port(port: type[Any]) -> None:
    """Whatever has the methods of a port says so by its base class, so that a reader can jump to the contract."""
    strangers = [kind for kind in classes() if looks_like(kind, port) and port not in kind.__mro__]
    assert strangers == []


@every_port
def test_an_implementation_has_the_signature_of_its_port(port: type[Any]) -> None:
    """Names, kinds and defaults of parameters are those of the port, but for additions that have a default."""
    for kind in implementations(port):
        for name, method in methods_of(port).items():
            if inspect.isbuiltin(getattr(kind, name)):
                continue  # A function of the interpreter's own has no signature to look at.
            wanted = list(inspect.signature(method).parameters.values())[1:]
            bound = inspect.signature(getattr(kind, name)).parameters.values()
            given = [parameter for parameter in bound if parameter.name != "self"]
            assert [(each.name, each.kind, each.default) for each in given[: len(wanted)]] == [
                (each.name, each.kind, each.default) for each in wanted
            ], f"{kind.__qualname__}.{name}"
            assert all(each.default is not inspect.Parameter.empty for each in given[len(wanted) :])


def test_everything_that_answers_is_a_chat_model() -> None:
    """Adapters, pool, wrappers and the fake are all implementations of the inner port."""
    homes = {kind.__module__.removeprefix("dipeo.").rpartition(".")[0] for kind in implementations(ChatModelPort)}
    assert {
        "infrastructure.llm.adapters",
        "infrastructure.llm.wrappers",
        "infrastructure.llm.drivers",
        "testing",
    } <= homes
    named = {kind.__name__ for kind in implementations(ChatModelPort)}
    assert {"RetryingModel", "MeteredModel", "TimeLimitedModel", "PooledModel", "ScriptedModel"} <= named


def test_what_applications_see_has_two_implementations() -> None:
    """The service and its fake implement the outer port, and neither is an inner one."""
    found = implementations(LLMServicePort)
    assert {"LLMInfraService", "ScriptedService"} <= {kind.__name__ for kind in found}
    assert not any(ChatModelPort in kind.__mro__ for kind in found)


def test_no_test_double_is_called_a_mock() -> None:
    """Stand-ins are fakes or scripted, and live in `dipeo.testing`."""
    assert not [kind for kind in classes() if "mock" in kind.__name__.lower()]
    doubles = [kind for kind in classes() if kind.__name__.startswith(("Fake", "Scripted"))]
    assert all(kind.__module__.startswith("dipeo.testing") for kind in doubles)
