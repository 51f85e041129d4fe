"""How many tokens the conversation holds: our own counts, bettered by what servers report.

Invariants: the newest report of the model that answers next is the base, and only what came after
it is counted by us; where a server has left out some of a prompt in silence its report is neither
learnt from nor a base. What our counts lack is parted in two: a factor (the meter's, learnt from
what came between two reports) and a number of tokens each request carries besides (what a template
adds, how it writes tools, a prompt nobody told us of). Everything is O(1) in the length of the
talk, but `sent`, which counts every word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from chinwag.context import pictures
from chinwag.engine.promises import Meter
from chinwag.engine.request import SUMMARY_HEAD
from chinwag.providers.base import Request
from chinwag.talk.entry import (
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Marked,
    Status,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Session
from chinwag.talk.shown import tokens_shown
from chinwag.talk.tool import ToolSpec

MESSAGE_OVERHEAD = 4  # tokens a chat template spends on one message: role and marks
LESSON = 64  # tokens that have to lie between two reports before they say how we count text

Key = tuple[str, str]
"""(provider, model)"""


class _Report(msgspec.Struct, frozen=True):
    """A report as the base of what comes next: our raw count of that prompt, the server's, and the
    point from which the meter learns its factor."""

    counted: int
    reported: int
    besides: int


class Scale:
    """Counts for a session and a model; remembers of each model what its last report taught."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._reports: dict[Key, _Report] = {}
        self._told: tuple[Sequence[ToolSpec], str, int] = ((), "", 0)
        self._cut: set[str] = set()  # ids of answers whose report is of a prompt that was cut

    def is_exact(self, model: str) -> bool:
        return bool(self.meter.count("a", model)[1])

    def entry(
        self,
        entry: UserSaid | AssistantSaid | ToolReturned | Compacted,
        model: str,
        *,
        sees: bool = True,
    ) -> tuple[int, str]:
        """Tokens of an entry, and the tokenizer that counted them ("" for an estimate).

        A model that does not see (``sees``) is told a picture's name alone.
        """
        parts = _parts_of(entry)
        tokens, tokenizer = self.meter.count("\n".join(filter(None, map(countable, parts))), model)
        if shown := [p for p in parts if isinstance(p, Image)]:
            look = sees and isinstance(entry, UserSaid)  # a model's own are sent back as words
            tokens += sum(self._picture(p, model, look=look) for p in shown)
            tokenizer = ""  # near the truth, by the provider's own rule
        # An answer of which nothing came is not sent, and costs nothing.
        return (tokens + MESSAGE_OVERHEAD if parts else 0), tokenizer

    def _picture(self, part: Image, model: str, *, look: bool) -> int:
        if look:
            return pictures.tokens(part.data, model)
        return self.meter.count(f"[picture {part.name or part.mime}]", model)[0]

    def learn(self, key: Key, counted: int, reported: int) -> None:
        """The server read ``reported`` tokens where `own` had said ``counted``."""
        last = self._reports.get(key)
        more = counted - last.counted if last else counted
        if last is None:
            self.meter.learn(key[1], counted, reported)
        elif more >= LESSON and reported > last.reported:
            self.meter.learn(key[1], more, reported - last.reported)
        elif more >= 0:  # too little to tell: counted from the same point the next time
            besides = reported - self.meter.corrected(key[1], counted)
            self._reports[key] = msgspec.structs.replace(last, besides=besides)
            return
        besides = reported - self.meter.corrected(key[1], counted)
        self._reports[key] = _Report(counted, reported, besides)

    def distrust(self, entry_id: str) -> None:
        """The report that comes with this answer is of a prompt the server has cut."""
        self._cut.add(entry_id)

    def besides(self, key: Key) -> int:
        """Tokens a request to this model holds besides what we count; may be below zero."""
        last = self._reports.get(key)
        return last.besides if last and not self.is_exact(key[1]) else 0

    def bettered(self, key: Key, counted: int) -> int:
        """Our raw count of a whole prompt, as the model counts, as near as we know."""
        if self.is_exact(key[1]):
            return counted
        return max(0, self.meter.corrected(key[1], counted) + self.besides(key))

    def fixed(self, system: str, tools: Sequence[ToolSpec], model: str) -> int:
        """Our own count of what every request carries: the system prompt and the tools."""
        prompt = self.meter.count(system, model)[0] + MESSAGE_OVERHEAD if system else 0
        return prompt + (self._tooled(tools, model) if tools else 0)

    def _tooled(self, tools: Sequence[ToolSpec], model: str) -> int:
        """The tools alone: the same ones are asked about in every frame."""
        if self._told[:2] != (tools, model):
            self._told = (tools, model, self.meter.count(_schemas(tools), model)[0])
        return self._told[2]

    def own(
        self, session: Session, system: str, model: str, tools: Sequence[ToolSpec] = ()
    ) -> tuple[int, bool]:
        """Our own count of the prompt, raw, and whether it is exact. O(1) but for the system."""
        found = session.compacted
        summary = found[1].tokens if found and found[1].summary else 0
        held = tokens_shown(session)
        by = self.meter.count("a", model)[1]
        exact = bool(by) and not tools and (not held or session.tally.tokenizer == by)
        return self.fixed(system, tools, model) + summary + held, exact

    def used(
        self,
        session: Session,
        system: str,
        choice: tuple[str, str],
        tools: Sequence[ToolSpec] = (),
    ) -> tuple[int, bool]:
        """Tokens the next request to ``choice`` would hold, and whether that is exact."""
        provider, model = choice
        for n, entry in session.back():
            if isinstance(entry, AssistantSaid) and _reported(entry, provider, model):
                if entry.id in self._cut:
                    break
                usage = entry.usage
                base = (usage.input or 0) + (usage.output or 0) - (usage.reasoning or 0)
                since = session.tally.tokens - session.tally_at(n).tokens
                exact = self.is_exact(model)
                more = since if exact else self.meter.corrected(model, since)
                return base + more, since == 0 or exact
            # What was reported before one of these was another view of the talk.
            if isinstance(entry, _OTHER_VIEW) or n < session.head - 8:
                break
        whole, exact = self.own(session, system, model, tools)
        if exact or not whole:
            return whole, True
        return self.bettered(choice, whole), False

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


_OTHER_VIEW = (Cleared, Compacted, Hidden, Marked, SystemSet)


def _schemas(tools: Sequence[ToolSpec]) -> str:
    """Tools as a server's template writes them, near enough to be counted."""
    named = ({"name": t.name, "description": t.description, "parameters": t.schema} for t in tools)
    return "\n".join(json.dumps(each, ensure_ascii=False) for each in named)


def _parts_of(entry: UserSaid | AssistantSaid | ToolReturned | Compacted) -> tuple[AnyPart, ...]:
    match entry:
        case ToolReturned(result=result):
            return (result,)
        case Compacted(summary=summary):
            return (Text(SUMMARY_HEAD + summary),) if summary else ()
        case UserSaid(parts=parts):
            return parts
        case AssistantSaid(parts=parts):
            # Thinking is not read again: servers leave it out, or do not count it.
            return tuple(part for part in parts if not isinstance(part, Thinking))


def _reported(entry: AssistantSaid, provider: str, model: str) -> bool:
    """Whether this answer carries the server's own count for the model that answers next."""
    same = entry.provider == provider and entry.model == model
    return same and bool(entry.usage.input) and entry.status is Status.COMPLETE


def countable(part: AnyPart) -> str:
    """The text of a part that costs tokens."""
    match part:
        case Text(text=text):
            return text
        case Call(name=name, arguments=arguments):
            return f'{{"name": "{name}", "arguments": {arguments}}}'  # as most templates write it
        case Result(content=content):
            return content
        case File(text=text):
            return text
        case _:
            return ""
