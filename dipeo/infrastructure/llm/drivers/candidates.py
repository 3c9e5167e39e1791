"""Chooses who is asked next when somebody could not answer."""

from collections import deque
from collections.abc import Callable

from attrs import evolve

from dipeo.domain.attempt import Attempt
from dipeo.domain.completion import Completion, CompletionRequest
from dipeo.domain.errors import DipeoError
from dipeo.domain.fallback import FallbackRule, rule_after
from dipeo.domain.model import ModelTarget
from dipeo.domain.service import LLMService

WindowOf = Callable[[LLMService, str], int | None]
"""How many tokens a model's window has; None where that is not known."""


def unknown_window(_service: LLMService, _model: str) -> int | None:
    """Knows no window."""
    return None


class Candidates:
    """The candidates of one call, what ruled some of them out, and what was told of each so far.

    All candidates share the call's allowance and deadline: each may use what is left, but for one attempt for each
    candidate after it.
    """

    def __init__(self, request: CompletionRequest, window_of: WindowOf) -> None:
        self._request = request
        self._left = deque(request.fallbacks)
        self._window_of = window_of
        self._refused_keys: set[tuple[LLMService, str | None]] = set()
        self._outgrown_tokens: int | None = None
        self._is_too_long = False
        self._attempts: tuple[Attempt, ...] = ()
        self._story: list[str] = []
        self._error: DipeoError | None = None
        self.current = evolve(request, max_attempts=self._allotted(request.attempt_number))

    def after(self, error: DipeoError, now_s: float) -> CompletionRequest:
        """The request for the next candidate. Raises the error of the call where there is none."""
        used = error.attempts[-1].number if error.attempts else self.current.attempt_number - 1
        objection = self._objection(error, used, now_s)
        target = None if objection else self._next()
        if target is None:
            raise self.final(error, f"given up: {objection or 'no candidate is left that could answer'}")
        self._remember(error, f"went on to {_name_of(target.service, target.model)}")
        self.current = self._request_for(target, used + 1)
        return self.current

    def final(self, error: DipeoError, decision: str = "") -> DipeoError:
        """The error of the whole call: the last one of a candidate that was asked, with every attempt of every one."""
        self._remember(error, decision)
        told = self._error or error
        told.context = {**told.context, "candidates": list(self._story)}
        return told.with_attempts(self._attempts)

    def told(self, completion: Completion, latency_ms: float) -> Completion:
        """The answer with every attempt of every candidate."""
        if not self._story:
            return completion
        return completion.with_attempts((*self._attempts, *completion.attempts), latency_ms=latency_ms)

    def _objection(self, error: DipeoError, used: int, now_s: float) -> str | None:
        rule, request = rule_after(error), self._request
        if rule is FallbackRule.NOBODY:
            return "another candidate would not help"
        if used >= request.max_attempts:
            return f"all {request.max_attempts} attempts are used"
        if request.deadline_at_s is not None and now_s >= request.deadline_at_s:
            return "the deadline has passed"
        if rule is FallbackRule.OTHER_KEY:
            self._refused_keys.add((self.current.service, self.current.api_key_id))
        if rule is FallbackRule.BIGGER_WINDOW:
            self._is_too_long = True
            self._outgrown_tokens = self._window_of(self.current.service, self.current.model)
        return None

    def _next(self) -> ModelTarget | None:
        while self._left:
            target = self._left.popleft()
            reason = self._unfit(target)
            if reason is None:
                return target
            self._story.append(f"{_name_of(target.service, target.model)} was passed over: {reason}")
        return None

    def _unfit(self, target: ModelTarget) -> str | None:
        """Why this one cannot take the call, or None."""
        if (target.service, target.api_key_id) in self._refused_keys:
            return "its key was refused"
        if self._is_too_long and not self._is_bigger(target):
            return "its window is not known to be bigger"
        if self._request.previous_response_id is not None and not _is_same_place(target, self._request):
            return "it does not keep the answer that the request goes on from"
        return None

    def _is_bigger(self, target: ModelTarget) -> bool:
        window_tokens, outgrown_tokens = self._window_of(target.service, target.model), self._outgrown_tokens
        return window_tokens is not None and outgrown_tokens is not None and window_tokens > outgrown_tokens

    def _request_for(self, target: ModelTarget, number: int) -> CompletionRequest:
        request = self._request
        options, notes = request.provider_options, (*request.notes, *self._story)
        if options and target.service is not request.service:
            options = {}
            notes += (f"provider_options were left out: they are meant for {request.service.value}",)
        return evolve(
            request,
            service=target.service,
            model=target.model,
            api_key_id=target.api_key_id,
            base_url=target.base_url,
            provider_options=options,
            notes=notes,
            attempt_number=number,
            max_attempts=self._allotted(number),
            fallbacks=tuple(self._left),
        )

    def _allotted(self, number: int) -> int:
        """The last attempt that the candidate may make, one for each candidate after it set aside."""
        return max(number, self._request.max_attempts - len(self._left))

    def _remember(self, error: DipeoError, decision: str) -> None:
        attempts = error.attempts
        if attempts and decision:
            last = attempts[-1]
            decision_in_all = "; ".join(each for each in (last.decision, decision) if each)
            attempts = (*attempts[:-1], evolve(last, decision=decision_in_all))
        self._attempts += attempts
        if attempts or self._error is None:
            self._error = error
        what = error.verdict.value if error.verdict else error.code
        name = _name_of(self.current.service, self.current.model)
        told = f"{name} did not answer ({what}" + (")" if attempts else f", nothing was sent: {error.message})")
        self._story.append(f"{told}: {decision}" if decision else told)


def _name_of(service: LLMService, model: str) -> str:
    return f"{service.value} {model}"


def _is_same_place(target: ModelTarget, request: CompletionRequest) -> bool:
    asked = (request.service, request.api_key_id, request.base_url)
    return (target.service, target.api_key_id, target.base_url) == asked
