"""JSON to a pipe: one object when done, or one event a line as it happens.

Invariants: every line is one JSON object in UTF-8 with a raw newline only at its end; nothing else
is written to `out`; what is not an answer (notices, failures) is an event or a field, never prose.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import msgspec

from chinwag.frontends.hints import outside
from chinwag.talk.codec import dumps
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned
from chinwag.talk.event import AnyEvent, Failed, Learnt, Notice, Saved, Settled, to_plain
from chinwag.talk.message import Call, Message, Role
from chinwag.text.safe import json_shown


class StreamEar:
    """Writes each event as a line of JSON."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.failure: Failed | None = None
        self.answer: AssistantSaid | None = None

    def __call__(self, event: AnyEvent) -> None:
        if isinstance(event, Learnt):
            return  # of use to a status line only
        if isinstance(event, Failed):
            self.failure = event = _outside(event)
        if isinstance(event, Notice):
            event = msgspec.structs.replace(event, text=outside(event.text))
        if isinstance(event, Settled) and isinstance(event.entry, AssistantSaid):
            self.answer = event.entry
        self._out.write(json_shown(dumps(to_plain(event))) + b"\n")
        self._out.flush()


def _outside(event: Failed) -> Failed:
    return msgspec.structs.replace(event, hint=outside(event.hint))


class WholeEar:
    """Keeps what one object needs; `close` writes it.

    ``text`` stands for what was answered, once somebody took only a part of it; ``choice`` is who
    was asked, for where nobody answered.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._session = ""
        self._saved = 0
        self._notices: list[str] = []
        self._called: dict[str, Call] = {}
        self._ran: list[ToolReturned] = []
        self.text: str | None = None
        self.choice = ("", "")
        self.failure: Failed | None = None
        self.answer: AssistantSaid | None = None

    def __call__(self, event: AnyEvent) -> None:
        match event:
            case Settled(entry=entry, session=session):
                self._session = session.id
                if isinstance(entry, AssistantSaid):
                    self.answer = entry
                    self._called |= {c.id: c for c in entry.parts if isinstance(c, Call)}
                elif isinstance(entry, ToolReturned):
                    self._ran.append(entry)
            case Failed():
                self.failure = _outside(event)
            case Notice(text=text):
                self._notices.append(outside(text))
            case Saved(through=through):
                self._saved = through
            case _:
                pass

    def close(self) -> None:
        self._out.write(json_shown(dumps(self._whole())) + b"\n")
        self._out.flush()

    def _whole(self) -> dict[str, Any]:
        answer = self.answer or AssistantSaid(status=Status.FAILED)
        message = Message(Role.ASSISTANT, answer.parts)
        plain: dict[str, Any] = {
            "text": answer.text if self.text is None else self.text,
            "thinking": message.thinking,
            "calls": [
                {"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.calls
            ],
            "provider": answer.provider or self.choice[0],
            "model": answer.model or self.choice[1],
            "status": str(answer.status),
            "stop": str(answer.stop) if answer.stop else None,
            "usage": _usage(answer),
            "seconds": answer.seconds,
            "first": answer.first or None,
            "session": self._session,
            "saved": self._saved,
        }
        if self._ran:
            plain["tools"] = [self._tool(entry) for entry in self._ran]
        if self._notices:
            plain["notices"] = self._notices
        if self.failure is not None:
            error = self.failure
            plain["error"] = {"kind": error.kind, "message": error.message, "hint": error.hint}
        return plain

    def _tool(self, entry: ToolReturned) -> dict[str, Any]:
        result, call = entry.result, self._called.get(entry.result.id)
        return {
            "id": result.id,
            "name": result.name,
            "arguments": call.arguments if call else "{}",
            "content": result.content,
            "is_error": result.is_error,
            "seconds": entry.seconds,
        }


def _usage(answer: AssistantSaid) -> dict[str, Any]:
    usage = answer.usage
    return {
        "input": usage.input,
        "output": usage.output,
        "total": usage.total,
        "cached": usage.cached,
        "reasoning": usage.reasoning,
    }
