"""What is configured for a service, before it is asked."""

from attrs import evolve, frozen

from dipeo.domain.errors import DipeoError
from dipeo.domain.service import LLMService
from dipeo.entrypoints.cli.probe import Target
from dipeo.entrypoints.cli.service_choice import Backend


@frozen(kw_only=True)
class ServiceCheck:
    """What is configured for a service; `target` is None where it cannot be asked, and `problem` says why.

    `wire` is what it is reached through, `api` the interface that is chosen, None where there is but one.
    """

    service: LLMService
    mode: str
    base_url: str
    wire: str
    api: str | None
    looked_for: str
    key_state: str = "no"
    fingerprint: str | None = None
    target: Target | None = None
    problem: DipeoError | None = None


def look_up(backend: Backend, service: LLMService) -> ServiceCheck:
    """What is configured for the service, and what keeps it from being asked; asks nothing."""
    from dipeo.config import API_VARIABLES, CHAT
    from dipeo.domain.completion import ChatMessage, CompletionRequest, Role

    settings = backend.settings
    check = ServiceCheck(
        service=service,
        mode=backend.mode_of(service),
        base_url=settings.base_urls.get(service, ""),
        wire=settings.wires[service],
        api=settings.apis.get(service, CHAT) if service in API_VARIABLES else None,
        looked_for=backend.keys.where(service),
    )
    try:
        key = backend.keys.find(service)
    except DipeoError as problem:
        return evolve(check, key_state="not usable", problem=problem)
    if key is not None:
        state = "made up" if service in backend.simulated else "yes"
        check = evolve(check, key_state=state, fingerprint=key.fingerprint)
    try:
        # The endpoint that a call would use, with the same checks of its address.
        question = ChatMessage.from_text(Role.USER, "?")
        request = CompletionRequest(service=service, model="any", messages=(question,))
        endpoint = backend.container().endpoints().find(request)
    except DipeoError as problem:
        return evolve(check, problem=problem)
    return evolve(check, target=Target(service=service, base_url=endpoint.base_url, key=endpoint.key))
