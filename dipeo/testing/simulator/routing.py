"""The way of a request through the simulator: whose it is, what it asks, what it gets."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from dipeo.testing.simulator.counters import Tally
from dipeo.testing.simulator.dialects import all_dialects
from dipeo.testing.simulator.exchange import Dialect, Incoming, ParsedCall, RefusalError
from dipeo.testing.simulator.faults.dealing import FaultDealer
from dipeo.testing.simulator.faults.entry import FaultCase
from dipeo.testing.simulator.json_value import JsonValue, as_object, as_text
from dipeo.testing.simulator.limit_words import limit_headers, limit_problem
from dipeo.testing.simulator.planning import Plan, plan_call, plan_document
from dipeo.testing.simulator.rate_limits import RateLimits
from dipeo.testing.simulator.request_log import (
    RequestLog,
    SimulatedRequest,
    fingerprint_credential,
    redact_headers,
    redact_query,
)
from dipeo.testing.simulator.script import AnswerScript
from dipeo.testing.simulator.steps import Headers

# A request under no known prefix is told so in the words most clients understand.
_FALLBACK_SERVICE = "openai"


@attrs.frozen(slots=True)
class _Verdict:
    """What becomes of a request."""

    plan: Plan
    call: ParsedCall | None = None
    fault: str | None = None


class Router:
    """Reads requests, decides their answers and keeps the log; knows no sockets."""

    def __init__(self, *, seed: int, log_capacity: int) -> None:
        self._seed = seed
        self._dialects: Mapping[str, Dialect] = all_dialects()
        self._numbers = 0
        self.script = AnswerScript(tuple(self._dialects))
        self.log = RequestLog(log_capacity)
        self.tally = Tally()
        self.dealer = FaultDealer()
        self.limits = RateLimits()

    def base_urls(self, origin: str) -> dict[str, str]:
        """Where each service's SDK is to be pointed."""
        return {name: f"{origin}/{name}{dialect.sdk_suffix}" for name, dialect in self._dialects.items()}

    def answer(
        self, method: str, path: str, *, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> Plan:
        """Decide the answer to one request and log it."""
        prefix, _, rest = path.removeprefix("/").partition("/")
        service = prefix if prefix in self._dialects else ""
        self._numbers += 1
        incoming = Incoming(
            number=self._numbers,
            seed=self._seed,
            method=method,
            path=f"/{rest}" if service else path,
            query=query,
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
        )
        dialect = self._dialects[service or _FALLBACK_SERVICE]
        verdict = self._judge(dialect, incoming, is_known=bool(service))
        entry = _log_entry(service, dialect, incoming, verdict)
        self.log.add(entry)
        self.tally.add_request(size_bytes=len(body), fingerprint=entry.credential_fingerprint, fault=verdict.fault)
        return verdict.plan

    def _judge(self, dialect: Dialect, incoming: Incoming, *, is_known: bool) -> _Verdict:
        call: ParsedCall | None = None
        try:
            if is_known and dialect.is_completion(incoming):
                dialect.check_credential(incoming, dialect.credential(incoming))
                call = dialect.parse(incoming)
                return self._answer_call(dialect, call)
            return _Verdict(_plan_other(dialect, incoming, is_known=is_known))
        except RefusalError as refusal:
            return _Verdict(plan_document(dialect.render_problem(incoming, refusal.problem)))

    def _answer_call(self, dialect: Dialect, call: ParsedCall) -> _Verdict:
        service, incoming = dialect.service, call.incoming
        admission = self.limits.admit(service, dialect.credential(incoming), call)
        headers = limit_headers(service, admission)
        problem = limit_problem(service, call, admission)
        if problem is not None:
            document = dialect.render_problem(incoming, problem)
            return _Verdict(plan_document(attrs.evolve(document, headers={**document.headers, **headers})), call)
        # Only a call that the vendor would answer uses up what is scripted for it, and meets a fault.
        answer = self.script.take(dialect.service) or self.dealer.deal(dialect.service, call)
        fault = answer.name if isinstance(answer, FaultCase) else None
        return _Verdict(_with_headers(plan_call(dialect, call, answer, self._seed), headers), call, fault)


def _with_headers(plan: Plan, headers: Mapping[str, str]) -> Plan:
    if not headers:
        return plan
    steps = (Headers({**step.fields, **headers}) if isinstance(step, Headers) else step for step in plan.steps)
    return attrs.evolve(plan, steps=tuple(steps))


def _plan_other(dialect: Dialect, incoming: Incoming, *, is_known: bool) -> Plan:
    errand = dialect.errand(incoming) if is_known else None
    if errand is None:
        return plan_document(dialect.render_problem(incoming, dialect.unknown_path(incoming)))
    dialect.check_credential(incoming, dialect.credential(incoming))
    return plan_document(errand())


def _log_entry(service: str, dialect: Dialect, incoming: Incoming, verdict: _Verdict) -> SimulatedRequest:
    call = verdict.call
    body = call.body if call is not None else _decode(incoming.body)
    return SimulatedRequest(
        number=incoming.number,
        service=service,
        method=incoming.method,
        path=incoming.path,
        query=redact_query(incoming.query),
        headers=redact_headers(incoming.headers),
        credential_fingerprint=fingerprint_credential(dialect.credential(incoming)),
        body=body,
        model=call.model if call is not None else as_text(as_object(body).get("model")) or None,
        is_stream=call.is_stream if call is not None else as_object(body).get("stream") is True,
        messages=call.messages if call is not None else (),
        status=verdict.plan.status,
    )


def _decode(body: bytes) -> JsonValue:
    try:
        value: JsonValue = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value
