"""Tools that a model may call, and the loop that carries them out.

from dipeo.tools import ToolLoop, tool
"""

from dipeo.application.costs import cost_from
from dipeo.application.tool import Tool, ToolError, tool
from dipeo.application.tool_call import CallEnding, ToolCall
from dipeo.application.tool_limits import Denied, PendingCall, RunEnding, ToolLimits
from dipeo.application.tool_loop import ToolLoop
from dipeo.application.tool_round import ToolEnded, ToolStarted
from dipeo.application.tool_run import RunEnd, ToolOutcome, ToolRun
from dipeo.domain.tools import ToolSpec
from dipeo.infrastructure.sync_tool_loop import SyncToolLoop, SyncToolRun

__all__ = [
    "CallEnding",
    "Denied",
    "PendingCall",
    "RunEnd",
    "RunEnding",
    "SyncToolLoop",
    "SyncToolRun",
    "Tool",
    "ToolCall",
    "ToolEnded",
    "ToolError",
    "ToolLimits",
    "ToolLoop",
    "ToolOutcome",
    "ToolRun",
    "ToolSpec",
    "ToolStarted",
    "cost_from",
    "tool",
]
