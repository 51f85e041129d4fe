"""A session to a Request: pure. What must be repaired is repaired here, in the view only.

Invariants of what comes out, whatever the session holds: the first message is the user's, and no
two neighbours are of one side; everybody says only what is theirs to say (calls and thinking are a
model's, pictures and files a person's); every tool call has an id of its own and a name that every
server takes, and is answered exactly once, right after the message that made it, in the order of
the calls; no message and no text part is empty; the same session and model give the same request,
and one more turn only appends to it, so that prompt caches are hit. The session itself is never
changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from chinwag.providers.base import Options, Profile, Request
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Spoken,
    Status,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.session import Session
from chinwag.talk.shown import Placed, shown
from chinwag.talk.tool import ToolSpec

NOT_RUN = "not run to its end: the program ended before this call was answered; it may have begun"
CUT_NOTE = "[the answer was stopped here]"
SUMMARY_HEAD = "Summary of the conversation so far:\n\n"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""A tool's name that all servers take; models make up others, and all refuse what comes after."""


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
        system=session.system if session.system.strip() else "",
        tools=tuple(sorted(tools, key=lambda t: t.name)),
        options=options,
        session=session.id,
    )


def view(session: Session, said: Sequence[Placed]) -> list[Message]:
    """``said`` as messages, one each (of an answer without content: an empty one), after the
    summary in force, if there is one."""
    messages = [_message(entry) or _empty(entry) for _, entry in said]
    return [*_summary(session), *messages]


def _empty(entry: Spoken) -> Message:
    return Message(Role.ASSISTANT if isinstance(entry, AssistantSaid) else Role.USER, ())


def _messages(session: Session) -> Iterator[Message]:
    """What was said and counts, as messages; a compaction stands for what it hides.

    Only what is sent is looked at, however long the session is.
    """
    yield from _summary(session)
    cut: Message | None = None  # the beginning of an answer that may go on in the next entry
    for _, entry in shown(session):
        if (message := _message(entry)) is None:
            continue
        if cut is not None:
            goes_on = isinstance(entry, AssistantSaid)
            message = _joined(cut, message) if goes_on else message
            if not goes_on:
                yield cut
        cut = message if is_cut(entry) else None
        if cut is None:
            yield message
    if cut is not None:
        yield cut


def is_cut(entry: AnyEntry) -> bool:
    """Whether this is the beginning of an answer, in words alone, that another may go on with."""
    return (
        isinstance(entry, AssistantSaid)
        and entry.status is not Status.COMPLETE
        and entry.status is not Status.FAILED
        and bool(entry.text.strip())
        and not any(isinstance(part, Call) for part in entry.parts)
    )


def _joined(before: Message, after: Message) -> Message:
    """An answer and what went on from it, as if it had never been cut."""
    return Message(after.role, (*before.parts, *after.parts))


def _summary(session: Session) -> Iterator[Message]:
    found = session.compacted
    if found and found[1].summary:
        yield Message.user(SUMMARY_HEAD + found[1].summary)


def _only_words(parts: tuple[AnyPart, ...]) -> bool:
    """Whether this is one text and nothing else, as most of what is said is: looked at first, for
    a long talk is built anew for every request."""
    return len(parts) == 1 and type(parts[0]) is Text


def _message(entry: Spoken) -> Message | None:
    if not isinstance(entry, ToolReturned) and _only_words(entry.parts):
        role = Role.USER if isinstance(entry, UserSaid) else Role.ASSISTANT
        return Message(role, entry.parts) if _is_text(entry.parts[0]) else None
    match entry:
        case UserSaid(parts=parts):
            asked = tuple(p for p in parts if isinstance(p, Image | File) or _is_text(p))
            return Message(Role.USER, asked) if asked else None
        case AssistantSaid():
            said = _answer_parts(entry)
            return Message(Role.ASSISTANT, said) if said else None
        case ToolReturned(result=result):
            return Message(Role.TOOL, (result,))


def _answer_parts(entry: AssistantSaid) -> tuple[AnyPart, ...]:
    """An answer as it may be sent back: thinking alone is no answer, and pictures are named."""
    made = (_named(p) if isinstance(p, Image | File) else p for p in entry.parts)
    parts = tuple(p for p in made if isinstance(p, Thinking | Call) or _is_text(p))
    return () if all(isinstance(p, Thinking) for p in parts) else parts


def _is_text(part: AnyPart) -> bool:
    return isinstance(part, Text) and part.text != "" and not part.text.isspace()


def _named(part: Image | File) -> Text:
    kind = "picture" if isinstance(part, Image) else "file"
    return Text(f"[{kind} {part.name or part.mime or 'attached'}]")


def _repaired(messages: Iterable[Message], profile: Profile) -> list[Message]:
    out: list[Message] = []
    for message in _answered(_seen(m, profile) for m in messages):
        if not out and message.role is not Role.USER:
            continue  # a talk whose beginning was cut away: providers want the user first
        if out and out[-1].role is message.role is not Role.TOOL:
            out[-1] = _merged(out[-1], message)
        else:
            out.append(message)
    return out


def _merged(before: Message, after: Message) -> Message:
    """Two things said in a row (a failed turn, then another try): both, unless they are equal."""
    if before.parts == after.parts:
        return after
    between = (Text("\n\n"),) if before.text and after.text else ()
    return Message(after.role, (*before.parts, *between, *after.parts))


def _seen(message: Message, profile: Profile) -> Message:
    if profile.sees is not False or not any(isinstance(p, Image) for p in message.parts):
        return message
    parts = (_named(p) if isinstance(p, Image) else p for p in message.parts)
    return Message(message.role, tuple(parts), message.name)


def unanswered(session: Session) -> tuple[str, ...]:
    """The tools whose call is the last that happened and was never answered, in their order."""
    answered: set[str] = set()
    for _, entry in session.back():
        match entry:
            case ToolReturned(result=result):
                answered.add(result.id)
            case AssistantSaid(parts=parts, status=Status.COMPLETE):  # a cut call never begins
                calls = (p for p in parts if isinstance(p, Call) and p.id not in answered)
                return tuple(dict.fromkeys(call.name for call in calls))
            case _:
                break
    return ()


def _answered(messages: Iterable[Message]) -> Iterator[Message]:
    """Every call answered once and at once; results nobody asked for are left out."""
    taken: set[str] = set()
    waiting: list[tuple[Call, Call]] = []  # calls as they were made, and as they are sent
    results: list[Result] = []
    for message in messages:
        if message.role is Role.TOOL:
            results += (p for p in message.parts if isinstance(p, Result))
            continue
        if not waiting and _only_words(message.parts):
            results = []
            yield message
            continue
        yield from _results(waiting, results)
        waiting = [(call, _told(call, taken)) for call in message.calls]
        results = []
        yield _with_calls(message, [sent for _, sent in waiting])
    yield from _results(waiting, results)


def _results(waiting: list[tuple[Call, Call]], results: list[Result]) -> Iterator[Message]:
    """In the order of the calls: templates without ids tell them apart by nothing else."""
    for call, sent in waiting:
        found = next((r for r in results if r.id == call.id), None)
        if found is None:
            yield Message.tool(sent.id, NOT_RUN, name=sent.name, is_error=True)
        else:
            results.remove(found)
            yield Message.tool(sent.id, found.content, name=sent.name, is_error=found.is_error)


def _told(call: Call, taken: set[str]) -> Call:
    """The call with a name every server takes, and an id no other call of the talk has."""
    name = call.id or "call"
    made = name if call.id and name not in taken else ""
    count = 2
    while not made:
        made = f"{name}-{count}" if f"{name}-{count}" not in taken else ""
        count += 1
    taken.add(made)
    tool = call.name
    if not _NAME.fullmatch(tool):
        tool = re.sub(r"[^A-Za-z0-9_-]", "_", f"_{tool}" if tool[:1] in "-0123456789" else tool)
    return msgspec.structs.replace(call, id=made, name=tool[:64])


def _with_calls(message: Message, calls: list[Call]) -> Message:
    if not calls:
        return message
    sent = iter(calls)
    parts = (next(sent) if isinstance(p, Call) else p for p in message.parts)
    return Message(message.role, tuple(parts), message.name)
