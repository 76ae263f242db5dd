"""Everything that can go wrong, without a word of HTTP.

DomainError
├── Unauthenticated      who are you?
├── Forbidden            you may not
├── NotFound             no such thing, or not yours to see
├── Invalid              the input is wrong; names the field and the mend
│   ├── TooLarge
│   └── UnsupportedImage
├── Conflict             the input is right, the state is not
│   ├── IllegalTransition
│   ├── LeaseNeverHeld
│   ├── NothingToTrain
│   └── IdempotencyMismatch
├── Stale                somebody else edited it first
├── PreconditionRequired
└── Unavailable          a service behind us does not answer
"""


class DomainError(Exception):
    """Base of the tree; `detail` is one plain sentence with the mend in it."""

    title = "Something went wrong"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class Unauthenticated(DomainError):
    """No valid token or session came with the request."""

    title = "Sign in first"


class Forbidden(DomainError):
    """The role does not allow it."""

    title = "Your role does not allow this"


class NotFound(DomainError):
    """No such object, or one the caller may not see."""

    title = "Not found"


class Invalid(DomainError):
    """The input breaks a rule; `field` names where."""

    title = "The input is not valid"


class TooLarge(Invalid):
    """The input exceeds a stated limit."""

    title = "Too large"


class UnsupportedImage(Invalid):
    """The bytes are not an image this service reads."""

    title = "This image cannot be read"


class Conflict(DomainError):
    """The request is well formed but the state forbids it."""

    title = "Not possible in the present state"


class IllegalTransition(Conflict):
    """A state machine was asked for a step it does not have."""


class LeaseNeverHeld(Conflict):
    """A submit by somebody who never held the task's lease."""

    title = "You never held this task"


class NothingToTrain(Conflict):
    """The annotations at hand cannot train a model."""

    title = "Nothing to train on"


class IdempotencyMismatch(Conflict):
    """An Idempotency-Key came back with another request."""

    title = "This Idempotency-Key belongs to another request"


class Stale(DomainError):
    """If-Match named a revision that is no longer the current one."""

    title = "Somebody changed this in the meantime"


class PreconditionRequired(DomainError):
    """An edit came without If-Match."""

    title = "If-Match is required"


class Unavailable(DomainError):
    """A service this one needs does not answer now."""

    title = "Temporarily unavailable"
