"""How many tokens the conversation holds: our own counts, bettered by what servers report.

Invariants: the newest report of the model that answers next is the base, and only what came after
it is counted by us; where a server has left out some of a prompt in silence its report is neither
learnt from nor a base. What our counts lack is parted in three: what lies before the talk (system
prompt, tools, what a template makes of them), the talk so far, and what is newly said, of which the
meter keeps a factor. Everything is O(1) in the length of the talk, but `sent`, which counts every
word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from chinwag.context import documents, pictures
from chinwag.context.counting import FILES, REPLY_PRIMER
from chinwag.engine.promises import Meter
from chinwag.engine.request import SUMMARY_HEAD
from chinwag.providers.base import Request
from chinwag.talk.attachment import is_pdf
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
SAMPLE = 10_000  # tokens, to see a factor by
LEAST_DENSITY, MOST_DENSITY = 0.3, 8.0  # beyond these something else was counted
LESSON = 64  # tokens we have to have counted between reports before they say how we count

Key = tuple[str, str]
"""(provider, model)"""


class _Lessons(msgspec.Struct):
    """What the reports of one model have taught.

    ``head`` is what the system prompt and the tools cost it, template and all, when we counted
    ``fixed`` tokens of them; ``density`` what it makes of one token of the talk by our counts, both
    sides and their marks taken together. ``counted`` and ``reported`` are of what people and tools
    said between reports, until there is enough of it to teach the meter.
    """

    head: int
    fixed: int
    density: float
    counted: int = 0
    reported: int = 0


class Scale:
    """Counts for a session and a model; remembers of each model what its last report taught."""

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._lessons: dict[Key, _Lessons] = {}
        self._told: tuple[Sequence[ToolSpec], str, int] = ((), "", 0)
        self._counted: dict[Key, tuple[str, int, int]] = {}  # session, node, tokens up to it
        self._cut: set[str] = set()  # ids of answers whose report is of a prompt that was cut

    def is_exact(self, model: str) -> bool:
        return bool(self.meter.count("a", model)[1])

    def entry(
        self,
        entry: UserSaid | AssistantSaid | ToolReturned | Compacted,
        model: str,
        *,
        sees: bool = True,
        reads: bool = True,
    ) -> tuple[int, str]:
        """Tokens of an entry, and the tokenizer that counted them ("" for an estimate).

        A model that does not see (``sees``), or takes no PDF (``reads``), is told the name alone.
        """
        parts = _parts_of(entry)
        tokens, tokenizer = self.meter.count("\n".join(filter(None, map(countable, parts))), model)
        if shown := [p for p in parts if isinstance(p, Image)]:
            look = sees and isinstance(entry, UserSaid)  # a model's own are sent back as words
            tokens += sum(self._picture(p, model, look=look) for p in shown)
            tokenizer = ""  # near the truth, by the provider's own rule
        if pdfs := [p for p in parts if isinstance(p, File) and is_pdf(p)]:
            tokens += sum(documents.tokens(p.data, model) if reads else 12 for p in pdfs)
            tokenizer = ""
        # An answer of which nothing came is not sent, and costs nothing.
        return (tokens + MESSAGE_OVERHEAD if parts else 0), tokenizer

    def _picture(self, part: Image, model: str, *, look: bool) -> int:
        if look:
            return pictures.tokens(part.data, model)
        return self.meter.count(f"[picture {part.name or part.mime}]", model)[0]

    def learn(
        self, key: Key, fixed: int, held: int, reported: int, session: Session | None = None
    ) -> None:
        """The server read ``reported`` tokens where we had counted ``fixed`` (system prompt and
        tools) and ``held``.

        With the session that was sent, what came since the report before teaches the meter: what
        lies before it (schemas, the model's own words) need not be counted alike.
        """
        model = key[1]
        lessons = self._lessons.get(key)
        if lessons is None:
            self.meter.learn(model, fixed + held, reported)
            head = max(0, reported - self.meter.corrected(model, held))
            self._lessons[key] = _Lessons(head, fixed, self._factor(model))
            return
        if session is not None and (found := self._base(session, key)):
            self._teach(model, lessons, found[1], reported - found[0])
        lessons.head, lessons.fixed = self.head(key, fixed), fixed
        if held >= LESSON and reported > lessons.head:
            density = (reported - lessons.head) / held
            lessons.density = min(max(density, LEAST_DENSITY), MOST_DENSITY)
            if density == lessons.density:
                return
        lessons.head = max(0, reported - round(held * lessons.density))

    def _teach(self, model: str, lessons: _Lessons, counted: int, reported: int) -> None:
        lessons.counted += counted
        lessons.reported += max(0, reported)
        if lessons.counted >= LESSON:
            self.meter.learn(model, lessons.counted, lessons.reported)
            lessons.counted = lessons.reported = 0

    def _factor(self, model: str) -> float:
        """What the meter makes of a token of ours."""
        return self.meter.corrected(model, SAMPLE) / SAMPLE

    def believe(self, key: Key, session: Session, tokens: int) -> None:
        """The server was asked, and has counted ``tokens`` in what would be sent now."""
        self._counted[key] = (session.id, session.head, tokens)

    def distrust(self, entry_id: str) -> None:
        """The report that comes with this answer is of a prompt the server has cut."""
        self._cut.add(entry_id)

    def head(self, key: Key, fixed: int) -> int:
        """Tokens a request to this model holds before the talk, where we count ``fixed``."""
        if self.is_exact(key[1]):
            return fixed
        lessons = self._lessons.get(key)
        if lessons is None:
            return self.meter.corrected(key[1], fixed)
        return max(0, lessons.head + self.meter.corrected(key[1], fixed - lessons.fixed))

    def density(self, key: Key) -> float:
        """What this model makes of one token of the talk by our counts."""
        if self.is_exact(key[1]):
            return 1.0
        lessons = self._lessons.get(key)
        return lessons.density if lessons else (self._factor(key[1]) or 1.0)

    def message(self, key: Key, counted: int) -> int:
        """Our raw count of one text, as the model counts; rather too much than too little."""
        if self.is_exact(key[1]):
            return counted
        return max(self.meter.corrected(key[1], counted), round(counted * self.density(key)))

    def bettered(self, key: Key, fixed: int, held: int) -> int:
        """Our raw counts of a whole prompt, as the model counts, as near as we know."""
        return self.head(key, fixed) + round(held * self.density(key))

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
        said = tokens_shown(session)
        by = self.meter.count("a", model)[1]
        exact = bool(by) and not tools and (not said or session.tally.tokenizer == by)
        whole = self.fixed(system, tools, model) + held(session)
        # What primes the answer is published for the models whose tokenizers are.
        primer = REPLY_PRIMER if whole and by in FILES else 0
        return whole + primer, exact

    def used(
        self,
        session: Session,
        system: str,
        choice: tuple[str, str],
        tools: Sequence[ToolSpec] = (),
    ) -> tuple[int, bool]:
        """Tokens the next request to ``choice`` would hold, and whether that is exact."""
        model = choice[1]
        if found := self._base(session, choice):
            base, since = found
            exact = self.is_exact(model)
            return base + (
                since if exact else self.meter.corrected(model, since)
            ), exact or not since
        whole, exact = self.own(session, system, model, tools)
        if exact or not whole:
            return whole, True
        return self.bettered(choice, whole - held(session), held(session)), False

    def _base(self, session: Session, key: Key) -> tuple[int, int] | None:
        """What the newest report of this model makes of the talk up to its answer, and our own raw
        count of what came since; None where no report is near, or it is of another view."""
        where, node, tokens = self._counted.get(key, ("", 0, 0))
        for n, entry in session.back():
            if n == node and where == session.id:
                return tokens, session.tally.tokens - session.tally_at(n).tokens
            if isinstance(entry, AssistantSaid) and _reported(entry, *key):
                if entry.id in self._cut:
                    return None
                usage = entry.usage
                base = (usage.input or 0) + (usage.output or 0) - (usage.reasoning or 0)
                return base, session.tally.tokens - session.tally_at(n).tokens
            if isinstance(entry, _OTHER_VIEW) or n < session.head - 8:
                return None
        return None

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


def held(session: Session) -> int:
    """Our own raw count of what is sent of the talk: the summary in force and what is shown."""
    found = session.compacted
    summary = found[1].tokens if found and found[1].summary else 0
    return summary + tokens_shown(session)


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
