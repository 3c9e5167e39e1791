"""The pytest plugin, seen from the projects that have it."""

import re

from tests.pytest_plugin.conftest import Runs


def test_the_example_project_passes(runs: Runs) -> None:
    """The example passes without a key, and leaves its live test out."""
    run = runs["example"].result()
    assert run.code == 0, run.text
    assert set(run.outcomes.values()) == {"PASSED"}
    assert "1 deselected" in run.text


def test_a_real_host_is_refused(runs: Runs) -> None:
    """A test that calls out fails with the host's name and the ways to allow it, on whatever thread it calls."""
    run = runs["guarded"].result()
    assert run.outcomes["test_calls_out"] == "FAILED", run.text
    assert "LiveCallForbiddenError: A wire to 'api.openai.com' was refused" in run.text
    assert "@pytest.mark.live" in run.text
    assert "--dipeo-live" in run.text
    assert run.outcomes["test_calls_out_from_another_thread"] == "PASSED"


def test_the_marker_allows_its_own_test_alone(runs: Runs) -> None:
    """Before and after a test marked `live` the guard stands."""
    outcomes = runs["guarded"].result().outcomes
    for name in ("test_is_refused_at_first", "test_is_allowed_when_marked", "test_is_refused_again"):
        assert outcomes[name] == "PASSED"


def test_the_option_allows_all_tests(runs: Runs) -> None:
    """With `--dipeo-live` unmarked tests open wires too."""
    outcomes = runs["live"].result().outcomes
    assert outcomes["test_is_refused_at_first"] == "FAILED"
    assert outcomes["test_is_allowed_when_marked"] == "PASSED"


def test_the_fixtures_serve_every_service_afresh(runs: Runs) -> None:
    """Settings lead every service to the simulator, and each test has its own."""
    outcomes = runs["guarded"].result().outcomes
    assert outcomes["test_every_service_is_simulated"] == "PASSED"
    assert outcomes["test_the_simulator_is_fresh"] == "PASSED"


def test_unused_answers_fail_a_test(runs: Runs) -> None:
    """A test that leaves scripted answers fails and says which; one that fails or skips by itself does just that."""
    run = runs["scripted"].result()
    assert run.outcomes == {
        "test_uses_all": "PASSED",
        "test_uses_one_of_two": "FAILED",
        "test_uses_none_of_the_second_model": "FAILED",
        "test_fails_anyway": "FAILED",
    }, run.text
    assert "1 scripted answers were not used: ['Never asked for.']" in run.text
    assert "1 scripted answers were not used: ['Left over.']" in run.text
    assert "not used: ['Left by" not in run.text
    assert "1 skipped" in run.text


def test_the_plugin_can_be_left_out(runs: Runs) -> None:
    """With `-p no:dipeo` there is no guard and no fixture."""
    run = runs["without"].result()
    assert run.outcomes["test_is_refused_at_first"] == "FAILED", run.text
    assert run.outcomes["test_wants_the_simulator"] == "ERROR"
    assert "fixture 'provider_simulator' not found" in run.text


def test_other_projects_do_not_notice_it(runs: Runs) -> None:
    """A project without dipeo prints the same with the plugin and without, and has nothing of dipeo loaded."""
    run, without = runs["plain"].result(), runs["plain_without"].result()
    assert run.code == without.code == 0, run.text
    assert without_times(run.text) == without_times(without.text)


def test_the_marker_is_registered(runs: Runs) -> None:
    """`pytest --markers` explains `live`."""
    assert "@pytest.mark.live: may call real providers through dipeo" in runs["markers"].result().text


def without_times(text: str) -> str:
    """The text without the seconds that a run took."""
    return re.sub(r"\d+\.\d+s", "", text)
