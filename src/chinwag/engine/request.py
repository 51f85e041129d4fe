"""A session to a Request: pure. What must be repaired is repaired here, in the view only.

Invariants of what comes out, whatever the session holds: the first message is the user's; every
tool call is answered exactly once, right after the message that made it; no message and no text
part is empty; the same session and model give the same request, and one more turn only appends to
it, so that prompt caches are hit. The session itself is never changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chinwag.providers.base import Options, Profile, Request
from chinwag.talk.entry import AssistantSaid, Spoken, ToolReturned, UserSaid
from chinwag.talk.message import AnyPart, Call, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.session import Session
from chinwag.talk.tool import ToolSpec

NOT_RUN = "not run: the program ended before this call was answered"
CUT_NOTE = "[the answer was stopped here]"
SUMMARY_HEAD = "Summary of the conversation so far:\n\n"


def build(
    session: Session,
    *,
    model: str,
    profile: Profile,
    options: Options,
    tools: Sequence[ToolSpec] = (),
) -> Request:
    """The request that asks ``model`` to answer what the session holds."""
    messages = _repaired(_messages(session), profile)
    return Request(
        model=model,
        messages=tuple(messages),
        system=session.system,
        tools=tuple(sorted(tools, key=lambda t: t.name)),
        options=options,
        session=session.id,
    )


def warnings(session: Session, profile: Profile) -> list[str]:
    """What this model cannot take of what was said, in words."""
    if profile.sees is False and any(_pictures(entry) for _, entry in session.said()):
        return ["this model does not see pictures: they are named in words instead"]
    return []


def _pictures(entry: Spoken) -> bool:
    return isinstance(entry, UserSaid) and any(isinstance(p, Image) for p in entry.parts)


def _messages(session: Session) -> Iterator[Message]:
    """What was said and counts, as messages; a compaction stands for what it hides."""
    after = 0
    if found := session.compacted:
        after, compacted = found
        yield Message.user(SUMMARY_HEAD + compacted.summary)
    for n, entry in session.said():
        if n > after and (message := _message(entry)) is not None:
            yield message


def _message(entry: Spoken) -> Message | None:
    match entry:
        case UserSaid(parts=parts):
            return _nonempty(Role.USER, parts)
        case AssistantSaid():
            return _nonempty(Role.ASSISTANT, _answer_parts(entry))
        case ToolReturned(result=result):
            return Message(Role.TOOL, (result,))


def _answer_parts(entry: AssistantSaid) -> tuple[AnyPart, ...]:
    """An answer as it may be sent back: unsigned thinking alone is no answer."""
    parts = entry.parts
    if all(isinstance(p, Thinking) for p in parts):
        return ()
    return parts


def _nonempty(role: Role, parts: Iterable[AnyPart]) -> Message | None:
    kept = tuple(p for p in parts if not (isinstance(p, Text) and not p.text.strip()))
    return Message(role, kept) if kept else None


def _repaired(messages: Iterable[Message], profile: Profile) -> list[Message]:
    out: list[Message] = []
    for message in _answered(_seen(m, profile) for m in messages):
        if not out and message.role is not Role.USER:
            continue  # a talk whose beginning was cut away: providers want the user first
        if out and out[-1].role is message.role is Role.USER:
            out[-1] = _merged(out[-1], message)
        else:
            out.append(message)
    return out


def _merged(before: Message, after: Message) -> Message:
    """Two things said in a row (a failed turn, then another try): both, unless they are equal."""
    if before.parts == after.parts:
        return after
    return Message(Role.USER, (*before.parts, Text("\n\n"), *after.parts))


def _seen(message: Message, profile: Profile) -> Message:
    if profile.sees is not False or not any(isinstance(p, Image) for p in message.parts):
        return message
    parts = (
        Text(f"[picture {p.name or p.mime or 'attached'}]") if isinstance(p, Image) else p
        for p in message.parts
    )
    return Message(message.role, tuple(parts), message.name)


def _answered(messages: Iterable[Message]) -> Iterator[Message]:
    """Every call answered once and at once; results nobody asked for are left out."""
    open_calls: dict[str, Call] = {}
    for message in messages:
        if message.role is Role.TOOL:
            kept = tuple(
                p
                for p in message.parts
                if isinstance(p, Result) and open_calls.pop(p.id, None) is not None
            )
            if kept:
                yield Message(Role.TOOL, kept)
            continue
        yield from _not_run(open_calls)
        open_calls = {call.id: call for call in message.calls}
        yield message
    yield from _not_run(open_calls)


def _not_run(calls: dict[str, Call]) -> Iterator[Message]:
    for call in calls.values():
        yield Message.tool(call.id, NOT_RUN, name=call.name, is_error=True)
