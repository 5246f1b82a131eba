"""What to do about trouble with a model: one table from errors to outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelAuthenticationError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    OutputTokenLimitExceeded,
    UnexpectedModelBehavior,
)

from agents.models.tasks import Choice, Rule
from agents.runtime.contract import NeedsHuman, TryAgain
from agents.runtime.redaction import capped, clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agents.runtime.contract import Outcome

_LONGEST_WAIT = 600.0  # a server may ask for more; a person should hear of it sooner
_RETRY = (Choice.RETRY_WITH_NOTE, Choice.STOP)
_KEY_SETTINGS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}
_URL_SETTINGS = {
    "openai": "OPENAI_BASE_URL",
    "anthropic": "ANTHROPIC_BASE_URL",
    "ollama": "OLLAMA_BASE_URL",
}


def outcome_of(error: Exception, *, model: str) -> Outcome:
    """Return how the attempt ends after this error of the model `model` (e.g. `openai:gpt-5`)."""
    if isinstance(error, FallbackExceptionGroup):
        error = _hardest(error)
    handlers = (handle for kind, handle in _HANDLERS if isinstance(error, kind))
    return next(handlers, _unreadable)(error, model)


def invalid_output(error: Exception, *, model: str, evidence: dict[str, Any]) -> NeedsHuman:
    """Return the escalation for answers that fit no schema after every repair."""
    reason = _reason(error)
    return NeedsHuman(
        rule=Rule.INVALID_OUTPUT,
        detail=f"{model} gave no answer that fits the schema, also after being told what was wrong. "
        "Nothing was taken from it; the work so far is kept.",
        evidence={"error": reason, **evidence},
        options=_RETRY,
    )


def _refused(error: ModelAPIError, model: str) -> NeedsHuman:
    setting = _KEY_SETTINGS.get(_provider(model), "the server's access rules")
    return _needs(
        Rule.MODEL_REFUSED,
        f"{model} refuses the key ({_status(error)}). Correct {setting}, restart, and try again; "
        "the work so far is kept.",
        None,  # what the provider says here may quote a part of the key
    )


def _unknown(error: ModelAPIError, model: str) -> NeedsHuman:
    setting = _URL_SETTINGS.get(_provider(model), "the server address")
    return _needs(
        Rule.MODEL_REFUSED,
        f"The server does not know {model} ({_status(error)}). Correct COUNTERSIGN_MODEL or the "
        f"agent's model profile, or {setting} if the address is wrong, and try again.",
        error,
    )


def _too_long(error: ModelAPIError, model: str) -> NeedsHuman:
    return _needs(
        Rule.BUDGET,
        f"The conversation has become too long for {model}. Its edits so far are kept. Choose a "
        "model with a larger context, or split the request.",
        error,
    )


def _spent(error: ModelAPIError, model: str) -> NeedsHuman:
    return _needs(
        Rule.MODEL_REFUSED,
        f"{model} says the account's quota or credit is used up. Raise it there or choose another "
        "model; the work so far is kept.",
        error,
    )


def _overloaded(error: ModelAPIError, model: str) -> TryAgain:
    return _again(error, Rule.MODEL_OVERLOADED, f"{model} is overloaded")


def _unreachable(error: ModelAPIError, model: str) -> TryAgain:
    return _again(error, Rule.MODEL_UNREACHABLE, f"{model} did not answer")


def _rejected(error: ModelAPIError, model: str) -> NeedsHuman:
    return _needs(
        Rule.MODEL_REFUSED,
        f"{model} rejects the request ({_status(error)}). Trying the same again would not help.",
        error,
    )


def cut_answer(error: object, model: str) -> NeedsHuman:
    """Return the escalation for an answer that ran into its own length limit."""
    return NeedsHuman(
        rule=Rule.BUDGET,
        detail=f"The answer of {model} was longer than its model profile's max_output_tokens allows. "
        "Raise that limit in the profile and try again; the work so far is kept.",
        evidence={"error": capped(clean(str(error)), 1_000)},
        options=_RETRY,
    )


def _unreadable(error: Exception, model: str) -> Outcome:
    if isinstance(error, UnexpectedModelBehavior):
        return invalid_output(error, model=model, evidence={})
    return TryAgain(reason=f"{model}: {_reason(error)}", rule=Rule.MODEL_UNREACHABLE)


def _again(error: ModelAPIError, rule: Rule, what: str) -> TryAgain:
    wait = min(error.retry_after or 0.0, _LONGEST_WAIT)
    return TryAgain(reason=f"{what}: {_reason(error)}", after_seconds=wait, rule=rule)


def _needs(rule: Rule, detail: str, error: ModelAPIError | None) -> NeedsHuman:
    evidence = {"error": _reason(error)} if error else {}
    return NeedsHuman(rule=rule, detail=detail, evidence=evidence, options=_RETRY)


def _hardest(group: FallbackExceptionGroup) -> Exception:
    """Return the error waiting helps least against."""
    errors = list(_leaves(group))
    lasting = [error for error in errors if isinstance(error, ModelRequestRejectedError)]
    return (lasting or errors or [group])[0]


def _leaves(group: BaseException) -> Iterator[Exception]:
    for error in getattr(group, "exceptions", ()):
        if isinstance(error, ExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _provider(model: str) -> str:
    return model.partition(":")[0]


def _status(error: Exception) -> str:
    return f"HTTP {error.status_code}" if isinstance(error, ModelHTTPError) else "no HTTP status"


def _reason(error: BaseException) -> str:
    cause = error.__cause__
    told = f"{error} ({cause})" if cause and str(cause) not in str(error) else str(error)
    return capped(clean(told), 1_000)


# The first that fits: the narrow ones stand before those they derive from.
_HANDLERS: tuple[tuple[type[Exception], Callable[[Any, str], Outcome]], ...] = (
    (ModelAuthenticationError, _refused),
    (ModelNotFoundError, _unknown),
    (ModelQuotaExceededError, _spent),
    (ModelContextWindowExceededError, _too_long),
    (ModelRateLimitError, _overloaded),
    (ModelOverloadedError, _overloaded),
    (ModelRequestRejectedError, _rejected),
    (ModelAPIError, _unreachable),
    (OutputTokenLimitExceeded, cut_answer),
)
