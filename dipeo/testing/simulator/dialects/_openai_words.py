"""The words OpenAI and the compatible services have for errors."""

from __future__ import annotations

from dipeo.testing.simulator.exchange import Problem
from dipeo.testing.simulator.json_value import JsonObject

MISSING_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY). You can obtain an API key from https://platform.openai.com/account/api-keys."
)

# status -> (type, code, message)
_USUAL: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The requested model does not exist."),
    413: ("invalid_request_error", None, "Request body is too large."),
    422: ("invalid_request_error", None, "Unprocessable request."),
    429: (
        "requests",
        "rate_limit_exceeded",
        (
            "Rate limit reached for requests. Please try again later. "
            "Visit https://platform.openai.com/account/rate-limits to learn more."
        ),
    ),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", "server_is_overloaded", "That model is currently overloaded with other requests."),
}
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)


def usual_words(status: int) -> tuple[str, str | None, str]:
    """Type, code and message that go with a status."""
    if status in _USUAL:
        return _USUAL[status]
    return _USUAL[500] if status >= 500 else _USUAL[400]


def openai_error(problem: Problem) -> JsonObject:
    """`{"error": {message, type, param, code}}`."""
    kind, usual_code, usual_message = usual_words(problem.status)
    if problem.code in _QUOTA_CODES:
        kind = "insufficient_quota"
    # A complaint in its own words has the code it names, or none.
    code = problem.code if problem.message is not None or problem.code is not None else usual_code
    if problem.code == "unknown_url":
        code = None
    message = problem.message if problem.message is not None else usual_message
    return {"error": {"message": message, "type": kind, "param": problem.param, "code": code}}


def wrong_key(credential: str) -> str:
    """The complaint about a key, which shows its ends and stars for the rest."""
    return (
        f"Incorrect API key provided: {mask_key(credential)}. "
        "You can find your API key at https://platform.openai.com/account/api-keys."
    )


def mask_key(credential: str) -> str:
    """The first eight and the last four characters of a long key; of a short one only the beginning."""
    if len(credential) < 20:
        return credential[:3] + "*" * max(len(credential) - 3, 0)
    return credential[:8] + "*" * (len(credential) - 12) + credential[-4:]


def mask_ends(credential: str) -> str:
    """The first and the last two characters of a key, however long it is."""
    return f"{credential[:2]}***{credential[-2:]}"


def missing_model(model: str) -> str:
    """The complaint about a model."""
    return f"The model `{model}` does not exist or you do not have access to it."
