"""A session as text in each form we write, and our own form back again. Pure.

Invariants: `json` is the whole session and reads back to an equal one; the other forms hold what a
reader sees, the path from the first message to the last. What people open elsewhere (Markdown, a
page, plain text) went through ``text.safe``; a page runs nothing and loads nothing. What comes back
from a file is foreign: it can only raise SessionUnreadable.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from chinwag.errors import SessionUnreadable
from chinwag.talk import codec
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Noted,
    Status,
    SystemSet,
    ToolReturned,
    Unknown,
    UserSaid,
    new_id,
)
from chinwag.talk.message import AnyPart, Call, Result, Text, Thinking
from chinwag.talk.session import Birth, Session, begin
from chinwag.text.safe import safe, safe_line

MOST_ENTRIES = 1_000_000

# -- ours -------------------------------------------------------------------------------------


def to_json(session: Session) -> str:
    """The session document: one entry a line, as the file store writes it."""
    birth = msgspec.to_builtins(session.birth)
    head = codec.dumps({"format": codec.FORMAT, **birth}).decode()
    lines = [codec.encode(entry, n).decode() for n, entry in enumerate(session.entries, 1)]
    meta = codec.dumps(msgspec.to_builtins(session.headline()) | {"count": len(session)}).decode()
    return f'{head[:-1]},"messages":[\n' + "\n,".join(lines) + f'\n],"meta":{meta}}}\n'


def from_json(text: str) -> tuple[Birth, tuple[AnyEntry, ...]]:
    """A session of its own from our document, or from `{"messages": [{"role", "content"}]}`.

    It gets a new id, so that reading a copy never meets the original. Raises SessionUnreadable.
    """
    try:
        plain = codec.loads(text)
    except ValueError as error:
        raise SessionUnreadable(f"this is no JSON document: {error}", hint=_WANTED) from None
    messages = plain.get("messages") if isinstance(plain, dict) else plain
    if not isinstance(messages, list) or len(messages) > MOST_ENTRIES:
        raise SessionUnreadable("there are no messages in it", hint=_WANTED)
    ours = isinstance(plain, dict) and "format" in plain
    if ours and plain["format"] != codec.FORMAT:
        raise SessionUnreadable(
            f"the document has format {plain['format']!r}, this version reads {codec.FORMAT}",
            hint="a newer version of this program reads it",
        )
    entries = tuple(_entry(item, at, ours) for at, item in enumerate(messages, 1))
    return begin(imported="chinwag" if ours else "openai").birth, entries


_WANTED = "/load reads what /export json and /export openai write"
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


def _entry(item: object, at: int, ours: bool) -> AnyEntry:  # noqa: FBT001 - private
    try:
        if not isinstance(item, dict):
            raise ValueError("no object")
        plain = {k: v for k, v in item.items() if k != "n"} if ours else _kinded(item)
        entry = codec.from_plain(plain)
    except ValueError as error:
        raise SessionUnreadable(f"message {at} cannot be read: {error}", line=at) from None
    if entry.id or isinstance(entry, Unknown):
        return entry
    return msgspec.structs.replace(entry, id=new_id())


def _kinded(item: dict[str, Any]) -> dict[str, Any]:
    """A message as other programs write it, with our names and nothing we do not know."""
    role, content = item.get("role"), _openai_content(item.get("content"))
    if role == "tool":
        id_ = item.get("tool_call_id") or ""
        return {
            "kind": "tool",
            "content": content,
            "tool_call_id": id_,
            "name": item.get("name", ""),
        }
    if role not in _ROLES:
        raise ValueError(f"an unknown role {role!r}")
    calls = [_call(c) for c in item.get("tool_calls") or ()]
    if not calls:
        return {"kind": _ROLES[role], "content": content}
    said = [{"type": "text", "text": content}] if content else []
    return {"kind": "assistant", "content": said + calls}


def _call(call: Any) -> dict[str, Any]:
    try:
        function = call["function"]
        return {
            "type": "call",
            "id": call["id"],
            "name": function["name"],
            "arguments": function.get("arguments", "{}"),
        }
    except (KeyError, TypeError, AttributeError):
        raise ValueError("a tool call without id or function") from None


def _openai_content(content: object) -> str:
    match content:
        case str():
            return content
        case None:
            return ""
        case list():
            return "".join(map(_piece, content))
    raise ValueError("content that is no text")


def _piece(block: object) -> str:
    if isinstance(block, dict) and isinstance(block.get("text"), str):
        return str(block["text"])
    raise ValueError("content that is no text: only text can be read from this form")


# -- as other programs know it ----------------------------------------------------------------


def to_openai(session: Session) -> str:
    """`{"messages": […]}` of what the next request would hold."""
    messages: list[dict[str, Any]] = []
    if session.system:
        messages.append({"role": "system", "content": session.system})
    for _, entry in session.said():
        messages.append(_openai(entry))
    pretty: bytes = msgspec.json.format(codec.dumps({"messages": messages}), indent=2)
    return pretty.decode() + "\n"


def _openai(entry: UserSaid | AssistantSaid | ToolReturned) -> dict[str, Any]:
    match entry:
        case UserSaid():
            return {"role": "user", "content": entry.text}
        case ToolReturned(result=result):
            return {"role": "tool", "tool_call_id": result.id, "content": result.content}
        case AssistantSaid(parts=parts):
            calls = [
                {
                    "id": p.id,
                    "type": "function",
                    "function": {"name": p.name, "arguments": p.arguments},
                }
                for p in parts
                if isinstance(p, Call)
            ]
            plain: dict[str, Any] = {"role": "assistant", "content": entry.text}
            return plain | ({"tool_calls": calls} if calls else {})


# -- for readers ------------------------------------------------------------------------------


class Piece(msgspec.Struct, frozen=True):
    """One thing a reader sees. ``who`` is a heading, ``quiet`` what is no part of the talk."""

    n: int
    who: str
    at: str
    text: str
    thinking: str = ""
    note: str = ""
    quiet: bool = False
    literal: bool = False


def pieces(session: Session) -> Iterator[Piece]:
    """What lies on the path, in order."""
    for n, entry in session.walk():
        at = entry.at[:16].replace("T", " ")
        match entry:
            case UserSaid(parts=parts):
                yield Piece(n, "you", at, _told(parts))
            case AssistantSaid(parts=parts, provider=provider, model=model):
                who = f"{provider}/{model}" if provider else "assistant"
                yield Piece(n, who, at, _told(parts), _thought(parts), _unfinished(entry))
            case ToolReturned(result=result):
                yield Piece(n, f"tool {result.name}".strip(), at, result.content, literal=True)
            case SystemSet(text=text):
                yield Piece(n, "system prompt", at, text or "(none)", quiet=True)
            case Cleared():
                yield Piece(n, "cleared", at, "", quiet=True)
            case Compacted(summary=summary):
                yield Piece(n, "summary of the above", at, summary, quiet=True)
            case Noted(text=text):
                yield Piece(n, "note", at, text, quiet=True)
            case _:
                continue


def _told(parts: tuple[AnyPart, ...]) -> str:
    return "".join(map(_shown, parts))


def _shown(part: AnyPart) -> str:
    match part:
        case Text(text=text):
            return text
        case Thinking():
            return ""
        case Call(name=name, arguments=arguments):
            return f"\n[calls {name} {arguments}]\n"
        case Result(content=content):
            return content
        case _:
            return f"\n[{part.name or part.mime or 'attachment'}]\n"


def _thought(parts: tuple[AnyPart, ...]) -> str:
    return "".join(p.text for p in parts if isinstance(p, Thinking))


def _unfinished(entry: AssistantSaid) -> str:
    return "" if entry.status is Status.COMPLETE else f"{entry.status} {entry.error}".strip()


def to_markdown(session: Session) -> str:
    lines = [f"# {_title(session)}", ""]
    for piece in pieces(session):
        lines += [f"## {piece.n} {_heading(piece)}", "", _body(piece), ""]
        if piece.note:
            lines += [f"*[{safe_line(piece.note)}]*", ""]
    return "\n".join(lines).rstrip() + "\n"


def _body(piece: Piece) -> str:
    text = safe(piece.text).strip("\n")
    if piece.literal:
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
        return f"{fence}\n{text}\n{fence}"
    return text


def _heading(piece: Piece) -> str:
    return f"{safe_line(piece.who)}{f' · {safe_line(piece.at)}' if piece.at else ''}"


def to_text(session: Session) -> str:
    lines = [_title(session), ""]
    for piece in pieces(session):
        lines += [f"{piece.n} {_heading(piece)}"]
        lines += ["    " + line for line in safe(piece.text).strip("\n").split("\n") if piece.text]
        lines += [f"    [{safe_line(piece.note)}]"] if piece.note else []
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def _title(session: Session) -> str:
    return safe_line(session.title or session.id)


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.55 system-ui, sans-serif; }
body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
article { margin: 1.6rem 0; }
header { font-size: .8rem; opacity: .65; }
.you { border-left: 3px solid #7a9; padding-left: .9rem; }
.quiet { opacity: .65; font-size: .9rem; }
pre { padding: .7rem; overflow-x: auto; background: #8882; border-radius: 4px; }
pre.literal { white-space: pre-wrap; }
code { font: .9em ui-monospace, monospace; }
table { border-collapse: collapse; }
th, td { padding: .2rem .7rem; border-bottom: 1px solid #8885; }
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def to_html(session: Session) -> str:
    """One page. Markdown is rendered; HTML in it is shown as text, pictures as their names."""
    from html import escape

    from markdown_it import MarkdownIt

    render = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render
    title = escape(_title(session))
    body = "\n".join(_article(piece, escape, render) for piece in pieces(session))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        f"{body}\n</body>\n</html>\n"
    )


def _article(piece: Piece, escape: Callable[[str], str], render: Callable[[str], Any]) -> str:
    kind = "quiet" if piece.quiet else "you" if piece.who == "you" else "said"
    text = str(safe(piece.text))
    shown = f'<pre class="literal">{escape(text)}</pre>' if piece.literal else str(render(text))
    thought = escape(safe(piece.thinking))
    if thought:
        hidden = f'<summary>thinking</summary><pre class="literal">{thought}</pre>'
        shown = f"<details>{hidden}</details>{shown}"
    if piece.note:
        shown += f"<p><em>[{escape(safe_line(piece.note))}]</em></p>"
    head = f"<header>{piece.n} {escape(_heading(piece))}</header>"
    return f'<article class="{kind}" id="m{piece.n}">{head}{shown}</article>'


WRITERS: dict[str, Callable[[Session], str]] = {
    "json": to_json,
    "openai": to_openai,
    "markdown": to_markdown,
    "html": to_html,
    "text": to_text,
}
ENDINGS = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".txt": "text"} | {
    ".html": "html",
    ".htm": "html",
}
OTHER_NAMES = {"md": "markdown", "txt": "text", "htm": "html"}
