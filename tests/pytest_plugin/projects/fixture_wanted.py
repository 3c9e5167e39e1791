"""A project's test that wants a fixture of the plugin; run by pytest in a process of its own."""

from dipeo.testing import ProviderSimulator


def test_wants_the_simulator(provider_simulator: ProviderSimulator) -> None:
    """There is one, if the plugin is there."""
    assert provider_simulator.port
