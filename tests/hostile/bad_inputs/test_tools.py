"""Bad tools are refused when they are made, bad calls before anything is carried out."""

from typing import cast

import pytest

from dipeo import errors
from dipeo.application.tool import AnyTool
from dipeo.application.tool_call import ReadyCall, read_call
from dipeo.domain.parts import ToolCallPart
from dipeo.tools import ToolSpec, tool
from tests.hostile.bad_inputs.entry import BadInput
from tests.hostile.bad_inputs.tools import GOOD, PLAIN_TEXTS, REFUSED_CALLS, SPECS


def send(to: str, count: int) -> str:
    """Sends a number of messages."""
    return f"{count} to {to}"


OFFERED: dict[str, AnyTool] = {"send": cast("AnyTool", tool(send))}
MAX_CHARS = 100_000


@pytest.mark.parametrize("bad", SPECS, ids=str)
def test_a_bad_tool_is_refused(bad: BadInput) -> None:
    """When it is made, naming the field."""
    assert isinstance(bad.value, dict)
    with pytest.raises(errors.DipeoError) as caught:
        ToolSpec(**bad.value)
    bad.check(caught.value)


@pytest.mark.parametrize(("id_", "what", "part"), REFUSED_CALLS, ids=[f"{each[0]} {each[1]}" for each in REFUSED_CALLS])
def test_a_bad_call_is_not_carried_out(id_: str, what: str, part: ToolCallPart) -> None:
    """The model is told why, in few words."""
    told = read_call(part, OFFERED, is_cut_off=False, max_argument_chars=MAX_CHARS)
    assert isinstance(told, str), f"{id_} {what}"
    assert told.startswith("Not carried out: ")
    assert len(told) < 2_100


def test_a_call_of_an_answer_that_broke_off_is_not_carried_out() -> None:
    """However whole it looks."""
    part = ToolCallPart(call_id="c", name="send", arguments={"to": "ada", "count": 1})
    assert isinstance(read_call(part, OFFERED, is_cut_off=True, max_argument_chars=MAX_CHARS), str)


@pytest.mark.parametrize("text", PLAIN_TEXTS, ids=ascii)
def test_a_tool_is_handed_plain_text(text: str) -> None:
    """Nothing in the arguments is looked at again."""
    part = ToolCallPart(call_id="c", name="send", arguments={**GOOD, "to": text})  # type: ignore[dict-item]
    ready = read_call(part, OFFERED, is_cut_off=False, max_argument_chars=MAX_CHARS)
    assert isinstance(ready, ReadyCall)
    assert ready.kwargs == {"to": text, "count": 1}
