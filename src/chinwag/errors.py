"""Everything that may go wrong, as one tree.

ChinwagError                         .hint: what the person might do
├─ UsageError                        the caller's mistake, not the world's
├─ ConfigError                       where the value came from
├─ BudgetSpent                       what the person allowed is used up
├─ ProviderError                     endpoint, model, request id
│  ├─ KeyMissing  KeyRefused
│  ├─ ModelUnknown                   near names
│  ├─ RateLimited                    wait
│  ├─ ContextOverflow                limit, asked
│  ├─ Refused                        by the provider's policy
│  ├─ BadRequest                     the server did not like what was sent
│  ├─ Unreachable  Overloaded        may be tried again
│  └─ StreamBroken                   what had been heard
├─ StoreError
│  ├─ SessionNotFound                near names
│  ├─ SessionConflict                expected, found
│  ├─ SessionLocked                  who, since when
│  ├─ SessionUnreadable              which line, and why
│  └─ StoreUnavailable
├─ ToolError   ToolUnknown  ArgumentsUnfit  ToolTimedOut  ToolDenied  ToolFailed
└─ CommandError   CommandUnknown (near names)  UsageWrong (usage line)

Invariants: every message is one sentence saying what happened, every hint one sentence saying what
to do; neither ever holds a key. Text that came from outside stays raw here and is made safe where
it is drawn. A mistake of ours (a bug) is never one of these: it goes up and is seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

GOES_ON: Final = ", /continue goes on from here"
"""The end of a hint about an answer that was cut; it holds only where a word of it came."""


class ChinwagError(Exception):
    """The root. ``message`` says what happened, ``hint`` what the person might do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def kind(self) -> str:
        """The class name: what an event or a JSON line calls this error."""
        return type(self).__name__


class UsageError(ChinwagError):
    """The caller used the library wrongly."""


class ConfigError(ChinwagError):
    """A setting cannot be used. ``where`` names the file and line, variable or flag."""

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message, hint=hint)
        self.where = where


class BudgetSpent(ChinwagError):
    """What the person allowed to be spent is used up, or would be by the next request."""


class StepsSpent(BudgetSpent):
    """A turn has called tools as often as it may; all that was done is kept."""


class ProviderError(ChinwagError):
    """A model server failed or refused.

    ``endpoint`` is the address without credentials, ``status`` the HTTP status (0 where there was
    none), ``request_id`` the server's own name for the exchange.
    """

    may_retry = False

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        endpoint: str = "",
        model: str = "",
        status: int = 0,
        request_id: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.endpoint = endpoint
        self.model = model
        self.status = status
        self.request_id = request_id


class KeyMissing(ProviderError):
    """No API key was found."""


class KeyRefused(ProviderError):
    """The server did not accept the key (401, 403)."""


class ModelUnknown(ProviderError):
    """No such model. ``near`` holds names that look alike, best first."""

    def __init__(self, message: str, *, near: tuple[str, ...] = (), **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # checked by ProviderError itself
        self.near = near


class RateLimited(ProviderError):
    """429. ``wait`` is in seconds, None where the server did not say; no credit is not retried."""

    may_retry = True

    def __init__(
        self,
        message: str,
        *,
        wait: float | None = None,
        out_of_credit: bool = False,
        **rest: object,
    ) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # checked by ProviderError itself
        self.wait = wait
        self.out_of_credit = out_of_credit
        self.may_retry = not out_of_credit


class ContextOverflow(ProviderError):
    """More was sent than the model's window holds. ``limit`` and ``asked`` are in tokens."""

    def __init__(self, message: str, *, limit: int = 0, asked: int = 0, **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # checked by ProviderError itself
        self.limit = limit
        self.asked = asked


class Refused(ProviderError):
    """Refused by the provider's policy."""


class BadRequest(ProviderError):
    """The server did not like what was sent (400, 413, 422)."""


class Unreachable(ProviderError):
    """No connection, a broken one, or no answer in time."""

    may_retry = True


class Overloaded(ProviderError):
    """The server answered that it cannot serve now (408, 409, 425, 5xx, 529)."""

    may_retry = True

    def __init__(self, message: str, *, wait: float | None = None, **rest: object) -> None:
        super().__init__(message, **rest)  # type: ignore[arg-type]  # checked by ProviderError itself
        self.wait = wait


class StreamBroken(ProviderError):
    """The answer ended without its terminal sign, or was no answer at all.

    What had been heard is not in here: the engine holds the draft and settles it.
    """


class StoreError(ChinwagError):
    """A session could not be read or written."""


class SessionNotFound(StoreError):
    """No such session. ``near`` holds names that look alike."""

    def __init__(self, message: str, *, hint: str = "", near: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.near = near


class SessionConflict(StoreError):
    """Somebody else has written meanwhile. ``expected`` and ``found`` count entries."""

    def __init__(self, message: str, *, hint: str = "", expected: int = 0, found: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.found = found


class SessionLocked(StoreError):
    """Open elsewhere for writing. ``owner`` is a sentence part: pid, host, terminal, since."""

    def __init__(self, message: str, *, hint: str = "", owner: str = "") -> None:
        super().__init__(message, hint=hint)
        self.owner = owner


class SessionUnreadable(StoreError):
    """What is there is no session of ours. ``line`` counts from 1; 0 means the whole."""

    def __init__(self, message: str, *, hint: str = "", line: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.line = line


class StoreUnavailable(StoreError):
    """The disk or server does not take or give anything now (full, read-only, gone)."""


class ToolError(ChinwagError):
    """A tool could not do what it was called for; the model is told so."""


class ToolUnknown(ToolError):
    """No tool of that name is offered."""


class ArgumentsUnfit(ToolError):
    """The arguments do not fit the tool's schema."""


class ToolTimedOut(ToolError):
    """The tool was stopped by its time limit."""


class ToolDenied(ToolError):
    """The person, or a rule, said no."""


class ToolFailed(ToolError):
    """The tool ran and failed."""


class CommandError(ChinwagError):
    """A slash command could not be carried out."""


class CommandUnknown(CommandError):
    """No such command. ``near`` holds the nearest names, best first."""

    def __init__(self, message: str, *, hint: str = "", near: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint=hint)
        self.near = near


class UsageWrong(CommandError):
    """The command's arguments do not fit. ``usage`` is its usage line."""

    def __init__(self, message: str, *, hint: str = "", usage: str = "") -> None:
        super().__init__(message, hint=hint or (f"usage: {usage}" if usage else ""))
        self.usage = usage


def reason_of(error: OSError) -> str:
    """The system's own words for it, as a part of a sentence."""
    return (error.strerror or str(error)).lower()


def nearest(name: str, names: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Up to ``most`` of ``names`` that look like ``name``, best first; prefixes count as near."""
    import difflib  # 5 ms at start-up, for something that is hardly ever needed

    pool = list(dict.fromkeys(names))
    starts = [n for n in pool if n.lower().startswith(name.lower())] if name else []
    alike = difflib.get_close_matches(name, pool, most, 0.6)
    return tuple(dict.fromkeys([*starts, *alike]))[:most]
