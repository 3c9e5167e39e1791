"""From a request and a scripted answer to the steps that are played."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from dipeo.testing.simulator.answers import complete_answer
from dipeo.testing.simulator.deciding import seeded_reply
from dipeo.testing.simulator.exchange import Answer, Dialect, Document, Incoming, ParsedCall, Problem, StreamFrames
from dipeo.testing.simulator.faults.dealing import dialect_of
from dipeo.testing.simulator.faults.entry import FaultCase, Mode
from dipeo.testing.simulator.json_value import encode_json
from dipeo.testing.simulator.script import Fault, Reply, ScriptedAnswer
from dipeo.testing.simulator.steps import Chunk, Close, Hang, Headers, Reset, Sleep, Status, Step, Steps


@attrs.frozen(slots=True)
class Plan:
    """The steps of one answer; `status` is None where none is ever sent."""

    status: int | None
    steps: tuple[Step, ...]


def plan_document(document: Document) -> Plan:
    """Send a whole document."""
    return Plan(document.status, (*_head(document), Chunk(document.body)))


def plan_call(dialect: Dialect, call: ParsedCall, scripted: ScriptedAnswer | None, seed: int) -> Plan:
    """The scripted answer to a call, or a seeded one where nothing is scripted."""
    if isinstance(scripted, FaultCase):
        steps = _steps_of(dialect, call, scripted)
        if steps is not None:
            return Plan(next((step.code for step in steps if isinstance(step, Status)), None), steps)
        scripted = None
    if isinstance(scripted, Fault):
        return _plan_fault(dialect, call, scripted, seed)
    return _plan_reply(dialect, call, scripted or seeded_reply(seed, dialect.service, call))


def _steps_of(dialect: Dialect, call: ParsedCall, case: FaultCase) -> Steps | None:
    mode = Mode.STREAM if call.is_stream else Mode.UNARY
    spoken = dialect_of(dialect.service, call.incoming.path)
    return case.steps(spoken, mode, credential=dialect.credential(call.incoming))


def _plan_reply(dialect: Dialect, call: ParsedCall, reply: Reply) -> Plan:
    answer = complete_answer(reply, call)
    if not call.is_stream:
        document = _with_headers(dialect.render(call, answer), reply.headers)
        return _delayed(plan_document(document), reply.delay_s)
    frames = dialect.render_stream(call, answer)
    pieces = frames.pieces[:-1] if frames.is_last_piece_in_closing else frames.pieces
    # The last frames follow each other at once, but a piece of text among them is waited for like the others.
    last_pause = _pause(reply) if frames.is_last_piece_in_closing and pieces else []
    steps = (*_stream_start(frames, pieces, reply), *last_pause, *(Chunk(frame) for frame in frames.closing))
    return _delayed(Plan(200, steps), reply.delay_s)


def _plan_fault(dialect: Dialect, call: ParsedCall, fault: Fault, seed: int) -> Plan:
    if fault.kind == "status" or fault.kind == "garbage":
        plan = plan_document(_fault_document(dialect, call.incoming, fault))
    elif fault.kind == "hang" and fault.after_chunks is None:
        plan = Plan(None, (Hang(),))
    else:
        reply = fault.reply or seeded_reply(seed, dialect.service, call)
        answer = complete_answer(reply, call)
        broken = _break_stream if call.is_stream else _break_document
        plan = _delayed(Plan(200, broken(dialect, call, answer, fault, reply)), reply.delay_s)
    return _delayed(plan, fault.delay_s)


def _fault_document(dialect: Dialect, incoming: Incoming, fault: Fault) -> Document:
    document = dialect.render_problem(incoming, _problem(fault))
    if fault.body is not None:
        document = attrs.evolve(document, body=_fault_body(fault))
    headers = dict(fault.headers)
    if fault.content_type is not None:
        headers["content-type"] = fault.content_type
    elif isinstance(fault.body, str) and fault.body.lstrip().startswith("<"):
        headers.setdefault("content-type", "text/html")
    return attrs.evolve(_with_headers(document, headers), status=fault.status)


def _fault_body(fault: Fault) -> bytes:
    if isinstance(fault.body, bytes):
        return fault.body
    return fault.body.encode() if isinstance(fault.body, str) else encode_json(fault.body)


def _problem(fault: Fault) -> Problem:
    return Problem(
        status=fault.status, message=fault.message, code=fault.code, retry_after=fault.headers.get("retry-after")
    )


def _break_stream(dialect: Dialect, call: ParsedCall, answer: Answer, fault: Fault, reply: Reply) -> tuple[Step, ...]:
    frames = dialect.render_stream(call, answer)
    started = _stream_start(frames, frames.pieces[: fault.after_chunks], reply)
    if fault.kind == "error_event":
        return (*started, Chunk(dialect.render_error_event(call, _problem(fault))))
    return (*started, *_breaking_steps(fault))


def _break_document(
    dialect: Dialect, call: ParsedCall, answer: Answer, fault: Fault, _reply: Reply
) -> tuple[Step, ...]:
    if fault.kind == "error_event":
        document = attrs.evolve(dialect.render_problem(call.incoming, _problem(fault)), status=200)
        return plan_document(document).steps
    document = dialect.render(call, answer)
    half = Chunk(document.body[: len(document.body) // 2])
    if fault.kind == "clean_end":
        return (*_head(attrs.evolve(document, body=half.data)), half)
    return (*_head(document), half, *_breaking_steps(fault))


def _breaking_steps(fault: Fault) -> tuple[Step, ...]:
    if fault.kind == "hang":
        return (Hang(),)
    if fault.kind == "cut":
        return (Reset() if fault.is_reset else Close(),)
    return ()


def _stream_start(frames: StreamFrames, pieces: tuple[bytes, ...], reply: Reply) -> list[Step]:
    headers = {**frames.headers, **reply.headers}
    steps: list[Step] = [Status(200), Headers(headers), *(Chunk(frame) for frame in frames.opening)]
    for index, piece in enumerate(pieces):
        steps += _pause(reply) if index else []
        steps.append(Chunk(piece))
    return steps


def _pause(reply: Reply) -> list[Step]:
    return [Sleep(reply.chunk_delay_s)] if reply.chunk_delay_s > 0 else []


def _head(document: Document) -> tuple[Step, Step]:
    headers = {**document.headers, "content-length": str(len(document.body))}
    return Status(document.status), Headers(headers)


def _with_headers(document: Document, headers: Mapping[str, str]) -> Document:
    return attrs.evolve(document, headers={**document.headers, **headers})


def _delayed(plan: Plan, delay_s: float) -> Plan:
    return plan if delay_s <= 0 else Plan(plan.status, (Sleep(delay_s), *plan.steps))
