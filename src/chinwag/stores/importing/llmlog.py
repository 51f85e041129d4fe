"""The database `llm` logs into: the tables it has had since 0.9, and the threads of 0.36. Pure.

Invariants: the bytes are looked at in memory; nothing is written, no view or trigger of a foreign
database is run, and a query that takes long is stopped. Only tables with the columns that are asked
for are asked.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chinwag.stores.importing.base import (
    Found,
    Skipped,
    Talk,
    Unreadable,
    Weaver,
    arguments,
    mapping,
    moment,
    picture,
    said,
    spelt,
    thinking,
    words,
)
from chinwag.stores.importing.tree import weave
from chinwag.talk import codec
from chinwag.talk.message import AnyPart, Call, File
from chinwag.talk.usage import Usage

if TYPE_CHECKING:
    import sqlite3

FORM = "llm"
MAGIC = b"SQLite format 3\x00"
PATIENCE = 60.0  # seconds for all queries together
_MOST_COLUMN = 64_000_000  # bytes of one value

#: The tables that are asked, and by which column.
_ASKED = {
    "conversations": "id",
    "responses": "conversation_id",
    "attachments": "id",
    "prompt_attachments": "response_id",
    "tool_calls": "response_id",
    "tool_results": "response_id",
    "fragments": "id",
    "prompt_fragments": "response_id",
    "system_fragments": "response_id",
    "threads": "id",
    "turns": "thread_id",
    "messages": "hash",
    "parts": "message_hash",
    "part_attachments": "part_id",
    "part_fragments": "part_id",
}


def read(raw: bytes) -> Iterator[Found]:
    """Every conversation in the database. Raises Unreadable."""
    import sqlite3  # 3 ms, for one form among many

    try:
        base = _opened(raw)
        try:
            yield from _Log(base).talks()
        finally:
            base.close()
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        raise Unreadable(f"the SQLite database cannot be read: {error}") from None


def _opened(raw: bytes) -> sqlite3.Connection:
    import sqlite3

    base = sqlite3.connect(":memory:")
    # A log in WAL mode says so in its header, and could not be opened without its companion.
    base.deserialize(raw[:18] + b"\x01\x01" + raw[20:])
    base.row_factory = sqlite3.Row
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_COLUMN)
    base.execute("PRAGMA trusted_schema=OFF")
    until = time.monotonic() + PATIENCE
    base.set_progress_handler(lambda: time.monotonic() > until, 100_000)
    return base


class _Log:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        rows = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self._tables = {words(row[0]) for row in rows}
        self._columns = {
            table: self._columns_of(table) for table in _ASKED if table in self._tables
        }
        self._ease()

    def _columns_of(self, table: str) -> set[str]:
        return {row[1] for row in self._base.execute(f"PRAGMA table_info({table})")}

    def _ease(self) -> None:
        """Indexes, in memory, for what is asked of every conversation: `llm` keeps none."""
        import sqlite3

        for table, column in _ASKED.items():
            if column in self._columns.get(table, ()):
                with contextlib.suppress(sqlite3.Error):
                    self._base.execute(f"CREATE INDEX ease_{table} ON {table} ({column})")
        self._base.execute("PRAGMA query_only=ON")

    def talks(self) -> Iterator[Found]:
        old = {"conversations", "responses"} <= self._tables
        new = {"threads", "turns", "messages", "parts"} <= self._tables
        if not old and not new:
            found = ", ".join(sorted(self._tables)[:6]) or "no table"
            raise Unreadable(f"it is an SQLite database with {found}, none of the logs of `llm`")
        if new:
            yield from self._each("threads", self._thread)
        if old:
            yield from self._each("conversations", self._conversation)

    def _each(self, table: str, read: Any) -> Iterator[Found]:
        for row in self._rows(table):
            name = words(row.get("name")) or words(row.get("id"))
            try:
                yield read(row)
            except Unreadable as error:
                if self._is_kept_elsewhere(table, row):
                    continue
                yield Skipped(name[:60], str(error))

    def _is_kept_elsewhere(self, table: str, row: dict[str, Any]) -> bool:
        """A conversation without responses that 0.36 has moved into its threads."""
        if table != "conversations" or "threads" not in self._tables:
            return False
        return bool(self._rows("threads", "id", row.get("id")))

    def _rows(self, table: str, column: str = "", value: object = None) -> list[dict[str, Any]]:
        """Rows of a table in the order they were written; none where there is no such table."""
        if table not in self._tables:
            return []
        if column and column not in self._columns.get(table, ()):
            return []
        where = f" WHERE {column} = ?" if column else ""
        found = self._base.execute(
            f"SELECT * FROM {table}{where} ORDER BY rowid",  # noqa: S608 - names are our own
            (value,) if column else (),
        )
        return [dict(row) for row in found]

    # -- conversations and responses ------------------------------------------------------------

    def _conversation(self, row: dict[str, Any]) -> Talk:
        responses = self._rows("responses", "conversation_id", row.get("id"))
        responses.sort(key=lambda r: (words(r.get("datetime_utc")), words(r.get("id"))))
        weaver = self._weaver(row, responses[0] if responses else {})
        system = ""
        for response in responses:
            at = moment(response.get("datetime_utc"))
            asked = words(response.get("system")) or self._fragments(response, "system_fragments")
            if asked and asked != system:
                system = asked
                weaver.system(asked, at)
            self._asked(weaver, response, at)
            self._answered(weaver, response, at)
        return weaver.done()

    def _weaver(self, row: dict[str, Any], first: dict[str, Any]) -> Weaver:
        weaver = Weaver(FORM, words(row.get("id")))
        weaver.created = moment(row.get("datetime_utc") or first.get("datetime_utc"))
        weaver.title(row.get("name"))
        return weaver

    def _asked(self, weaver: Weaver, response: dict[str, Any], at: str) -> None:
        """What was asked: results of the tools that were called before, then the person's words."""
        for result in self._rows("tool_results", "response_id", response.get("id")):
            failed = bool(words(result.get("exception")))
            output = words(result.get("output")) or words(result.get("exception"))
            call = words(result.get("tool_call_id"))
            weaver.tool(output, call, words(result.get("name")), is_error=failed, at=at)
        fragments = self._fragments(response, "prompt_fragments")
        text = "\n".join(filter(None, (fragments, words(response.get("prompt")))))
        media = self._attached("prompt_attachments", "response_id", response.get("id"), weaver)
        if parts := (*media, *said(text)):
            weaver.user(parts, at, f"{response.get('id')}/asked")

    def _answered(self, weaver: Weaver, response: dict[str, Any], at: str) -> None:
        parts = thinking(words(response.get("reasoning"))) + said(words(response.get("response")))
        for call in self._rows("tool_calls", "response_id", response.get("id")):
            call_id = words(call.get("tool_call_id")) or f"call-{call.get('id')}"
            parts += (Call(call_id, words(call.get("name")), arguments(call.get("arguments"))),)
        weaver.assistant(parts, f"{response.get('id')}/answered", at=at, **_about(response))

    def _fragments(self, response: dict[str, Any], table: str) -> str:
        links = self._rows(table, "response_id", response.get("id"))
        links.sort(key=lambda link: _number(link.get("order")))
        found = (self._rows("fragments", "id", link.get("fragment_id")) for link in links)
        return "\n".join(words(f[0].get("content")) for f in found if f)

    def _attached(
        self, table: str, column: str, value: object, weaver: Weaver
    ) -> tuple[AnyPart, ...]:
        links = self._rows(table, column, value)
        links.sort(key=lambda link: _number(link.get("order")))
        found = (self._rows("attachments", "id", link.get("attachment_id")) for link in links)
        return tuple(_attachment(rows[0], weaver) for rows in found if rows)

    # -- threads ----------------------------------------------------------------------------------

    def _thread(self, row: dict[str, Any]) -> Talk:
        """A thread: what its turns lead to in the tree of messages, up to the root."""
        turns = self._rows("turns", "thread_id", row.get("id"))
        weaver = self._weaver(row, {})
        leaf = words(row.get("tip_message_hash"))
        parents: dict[str, str] = {}
        found: dict[str, dict[str, Any]] = {}
        for tip in [*(words(t.get("tip_message_hash")) for t in turns), leaf]:
            self._climb(tip, parents, found)
        by_tip = {words(t.get("tip_message_hash")): t for t in turns}
        times = _times(turns, parents)

        def emit(key: str, state: None, last: bool) -> None:  # noqa: ARG001, FBT001 - weave's own
            self._message(weaver, found[key], by_tip.get(key, {}), times.get(key, ""))

        weave(
            dict(sorted(parents.items(), key=lambda kv: found[kv[0]]["_at"])),
            leaf,
            weaver,
            emit,
            None,
        )
        return weaver.done()

    def _climb(self, tip: str, parents: dict[str, str], found: dict[str, dict[str, Any]]) -> None:
        while tip and tip not in parents:
            rows = self._rows("messages", "hash", tip)
            if not rows:
                return
            found[tip] = rows[0] | {"_at": self._place(tip)}
            parents[tip] = words(rows[0].get("parent_hash"))
            tip = parents[tip]

    def _place(self, key: str) -> int:
        row = self._base.execute("SELECT rowid FROM messages WHERE hash = ?", (key,)).fetchone()
        return int(row[0])

    def _message(
        self, weaver: Weaver, message: dict[str, Any], turn: dict[str, Any], at: str
    ) -> None:
        key = words(message.get("hash"))
        rows = self._rows("parts", "message_hash", key)
        rows.sort(key=lambda part: _number(part.get("position")))
        role = words(message.get("role"))
        if role == "tool":
            for row in rows:
                about = _payload(row)
                call = words(about.get("tool_call_id"))
                weaver.tool(_output(row, about), call, words(row.get("tool_name")), at=at)
            return
        parts = tuple(p for row in rows for p in self._part(weaver, row))
        match role:
            case "system":
                weaver.system("".join(words(row.get("text")) for row in rows), at)
            case "assistant":
                weaver.assistant(parts, key, at=at, **_about(turn))
            case "user":
                weaver.user(parts, at, key)
            case _:
                weaver.lose(f"a message of the unknown role {role[:30]!r} was left out")

    def _part(self, weaver: Weaver, row: dict[str, Any]) -> tuple[AnyPart, ...]:
        kind, text = words(row.get("type")), words(row.get("text"))
        match kind:
            case "text":
                return said(text or self._part_fragments(row))
            case "reasoning" | "thinking":
                return thinking(text)
            case "tool_call":
                about = _payload(row)
                call_id = words(about.get("tool_call_id")) or f"call-{row.get('id')}"
                return (
                    Call(call_id, words(row.get("tool_name")), arguments(about.get("arguments"))),
                )
            case _:
                media = self._attached("part_attachments", "part_id", row.get("id"), weaver)
                return media or (said(text) if text else (File(name=kind[:60]),))

    def _part_fragments(self, row: dict[str, Any]) -> str:
        links = self._rows("part_fragments", "part_id", row.get("id"))
        found = (self._rows("fragments", "id", link.get("fragment_id")) for link in links)
        return "\n".join(words(f[0].get("content")) for f in found if f)


def _times(turns: list[dict[str, Any]], parents: dict[str, str]) -> dict[str, str]:
    """When each message came: its turn's time, for what was asked in it too."""
    times: dict[str, str] = {}
    for turn in sorted(turns, key=lambda t: words(t.get("datetime_utc"))):
        at, stop = (
            moment(turn.get("datetime_utc")),
            parents.get(words(turn.get("parent_message_hash"))),
        )
        key = words(turn.get("tip_message_hash"))
        while key and key != stop and key not in times:
            times[key] = at
            key = parents.get(key, "")
    return times


def _about(row: dict[str, Any]) -> dict[str, Any]:
    """Model, time taken and tokens of an answer."""
    spent = {"input": row.get("input_tokens"), "output": row.get("output_tokens")}
    usage = Usage(**{name: n for name, n in spent.items() if isinstance(n, int) and n >= 0})
    model = words(row.get("model"))
    resolved = words(row.get("resolved_model"))
    return {
        "model": model,
        "served": resolved if resolved != model else "",
        "usage": usage,
        "seconds": _number(row.get("duration_ms")) / 1000,
    }


def _payload(row: dict[str, Any]) -> dict[str, Any]:
    try:
        return mapping(codec.loads(words(row.get("payload")) or "{}"))
    except ValueError:
        return {}


def _output(row: dict[str, Any], about: dict[str, Any]) -> str:
    return spelt(about.get("output")) or words(row.get("text")) or words(about.get("exception"))


def _attachment(row: dict[str, Any], weaver: Weaver) -> AnyPart:
    """An attachment: content, or an address; a path on the old machine is only a name."""
    import base64

    mime, content = words(row.get("type")), row.get("content")
    name = words(row.get("path")).rpartition("/")[2] or words(row.get("id"))[:12]
    if mime.startswith("image/"):
        if isinstance(content, bytes):
            return picture(f"data:{mime};base64,{base64.b64encode(content).decode()}", mime, name)
        if url := words(row.get("url")):
            return picture(url, mime, name)
    weaver.lose("an attachment's content was left out, its name was kept")
    return File(mime=mime, name=name)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
