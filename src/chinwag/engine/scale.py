"""How many tokens the conversation holds: our own counts, bettered by what servers report.

Invariants: the newest report of the model that answers next is the base, and only what came after
it is counted by us; where a server has left out some of a prompt in silence its report is not
learnt from. Everything is O(1) in the length of the talk, but `sent`, which counts every word.
"""

from __future__ import annotations

from chinwag.engine.promises import Meter
from chinwag.providers.base import Request
from chinwag.talk.entry import AssistantSaid, Cleared, Status, ToolReturned, UserSaid
from chinwag.talk.message import AnyPart, Call, File, Result, Text, Thinking
from chinwag.talk.session import Session

MESSAGE_OVERHEAD = 4  # tokens a chat template spends on one message: role and marks


class Scale:
    """Counts for a session and a model; holds nothing but the meter."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter

    def is_exact(self, model: str) -> bool:
        return bool(self.meter.count("a", model)[1])

    def entry(self, entry: UserSaid | AssistantSaid | ToolReturned, model: str) -> tuple[int, str]:
        """Tokens of an entry, and the tokenizer that counted them ("" for an estimate)."""
        parts = (entry.result,) if isinstance(entry, ToolReturned) else entry.parts
        text = "\n".join(filter(None, map(countable, parts)))
        tokens, tokenizer = self.meter.count(text, model)
        # An answer of which nothing came is not sent, and costs nothing.
        return (tokens + MESSAGE_OVERHEAD if parts else 0), tokenizer

    def own(self, session: Session, system: str, model: str) -> tuple[int, set[str]]:
        """Our own count of the prompt, and the tokenizers that made it. O(1) but for the system."""
        tally = session.tally
        tokens, by = self.meter.count(system, model) if system else (0, None)
        whole = tally.tokens + (tokens + MESSAGE_OVERHEAD if system else 0)
        return whole, {name for name in (by, tally.tokenizer) if name is not None}

    def used(self, session: Session, system: str, choice: tuple[str, str]) -> tuple[int, bool]:
        """Tokens the next request to ``choice`` would hold, and whether that is exact."""
        provider, model = choice
        for n, entry in session.back():
            if isinstance(entry, AssistantSaid) and _reported(entry, provider, model):
                usage = entry.usage
                base = (usage.input or 0) + (usage.output or 0) - (usage.reasoning or 0)
                since = session.tally.tokens - session.tally_at(n).tokens
                return base + since, since == 0 or self.is_exact(model)
            if isinstance(entry, Cleared) or n < session.head - 8:
                break
        whole, tokenizers = self.own(session, system, model)
        if not whole or ("" not in tokenizers and len(tokenizers) <= 1):
            return whole, True
        return self.meter.corrected(model, whole), False

    def sent(self, request: Request) -> tuple[int, bool, bool]:
        """Tokens of what was really sent (no thinking), whether exact, whether worth trusting.

        Every word is counted anew: for the rare case that a report looks wrong.
        """
        parts = (p for m in request.messages for p in m.parts if not isinstance(p, Thinking))
        text = "\n".join([request.system, *filter(None, map(countable, parts))])
        tokens, tokenizer = self.meter.count(text, request.model)
        if tokenizer:
            return tokens, True, True
        bettered = self.meter.corrected(request.model, tokens)
        return bettered, False, bettered != tokens


def _reported(entry: AssistantSaid, provider: str, model: str) -> bool:
    """Whether this answer carries the server's own count for the model that answers next."""
    same = entry.provider == provider and entry.model == model
    return same and bool(entry.usage.input) and entry.status is Status.COMPLETE


def countable(part: AnyPart) -> str:
    """The text of a part that costs tokens."""
    match part:
        case Text(text=text) | Thinking(text=text):
            return text
        case Call(name=name, arguments=arguments):
            return f"{name} {arguments}"
        case Result(content=content):
            return content
        case File(text=text):
            return text
        case _:
            return ""
