"""A session as text in each form we write. Pure; `stores.importing` reads two of them again.

Invariants: `json` is the whole session and reads back to an equal one; `openai` reads back to the
same messages; the other forms hold what a reader sees, the path from the first message to the last.
What people open elsewhere (Markdown, a page, plain text) went through ``text.safe``; a page runs
nothing and loads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from chinwag.stores import document
from chinwag.talk import codec
from chinwag.talk.entry import (
    AssistantSaid,
    Cleared,
    Compacted,
    Noted,
    Status,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Session
from chinwag.text.safe import safe, safe_line

MOST_ENTRIES = 1_000_000

# -- ours -------------------------------------------------------------------------------------


def to_json(session: Session) -> str:
    """The session document: one entry a line, as the file store writes it."""
    return document.whole(session.birth, tuple(session.entries), session.headline()).decode()


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
        case UserSaid(parts=parts):
            return {"role": "user", "content": _openai_content(parts)}
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


def _openai_content(parts: tuple[AnyPart, ...]) -> str | list[dict[str, Any]]:
    """Text as text; with pictures, files or several texts, blocks in the order they came."""
    blocks = [block for part in parts if (block := _openai_block(part))]
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return blocks or ""


def _openai_block(part: AnyPart) -> dict[str, Any]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Image(data=data, url=url) if data or url:
            address = f"data:{part.mime or 'image/png'};base64,{data}" if data else url
            return {"type": "image_url", "image_url": {"url": address}}
        case File(text=text) if text:
            return {"type": "text", "text": f"{part.name}:\n{text}" if part.name else text}
        case Image() | File():
            return {"type": "text", "text": f"[{part.name or part.mime or 'attachment'}]"}
        case _:
            return {}


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
