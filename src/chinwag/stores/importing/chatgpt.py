"""ChatGPT's data export: `conversations.json`, each conversation a tree of nodes. Pure.

Invariants: regenerated answers and edited questions come out as branches; the path the person last
saw is the one shown. Thoughts become the thinking of the answer after them; code given to a tool
and its output become a call and its result. Pictures come along where the archive holds them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from chinwag.stores.importing.base import (
    Talk,
    Unreadable,
    Weaver,
    listing,
    mapping,
    moment,
    said,
    spelt,
    thinking,
    words,
)
from chinwag.stores.importing.tree import weave
from chinwag.talk import codec
from chinwag.talk.entry import Status
from chinwag.talk.message import AnyPart, Call, File, Image

FORM = "chatgpt"
Fetch = Callable[[str], bytes | None]


def no_files(_: str) -> bytes | None:
    """For a `conversations.json` without its archive."""
    return None


class _State(msgspec.Struct, frozen=True):
    """What a node's children begin with: thoughts nobody has said yet, and a call in the air."""

    pending: tuple[AnyPart, ...] = ()
    call: str = ""


def read(plain: dict[str, Any], fetch: Fetch = no_files) -> Talk:
    """One conversation. Raises Unreadable. ``fetch`` gives a file of the archive by its id."""
    nodes = mapping(plain.get("mapping"))
    if not nodes:
        raise Unreadable("it has no messages (no mapping)")
    mark = words(plain.get("conversation_id")) or words(plain.get("id")) or min(nodes)
    weaver = Weaver(FORM, mark)
    weaver.created = moment(plain.get("create_time"))
    weaver.title(plain.get("title"))
    model = words(plain.get("default_model_slug"))
    reader = _Reader(weaver, nodes, model, fetch)
    parents = {key: words(mapping(node).get("parent")) for key, node in nodes.items()}
    weave(parents, words(plain.get("current_node")), weaver, reader.node, _State())
    return weaver.done()


class _Reader:
    def __init__(self, weaver: Weaver, nodes: dict[str, Any], model: str, fetch: Fetch) -> None:
        self._weaver, self._nodes, self._model, self._fetch = weaver, nodes, model, fetch

    def node(self, key: str, state: _State, last: bool) -> _State:  # noqa: FBT001 - weave's own
        message = mapping(mapping(self._nodes[key]).get("message"))
        role = words(mapping(message.get("author")).get("role"))
        self._weaver.open_call = state.call
        match role:
            case "assistant":
                state = self._assistant(message, state)
            case "user" | "tool":
                state = self._flushed(state)
                self._user(message) if role == "user" else self._tool(message)
                state = _State()
            case "system":
                if text := _text(message):
                    self._weaver.system(text, moment(message.get("create_time")))
            case "":
                pass  # the root has no message
            case _:
                self._weaver.lose(f"a message of the unknown role {role[:30]!r} was left out")
        return self._flushed(state) if last else state

    def _flushed(self, state: _State) -> _State:
        """Thoughts no answer came of are kept as an answer of their own."""
        if not state.pending:
            return state
        self._weaver.assistant(state.pending, model=self._model, status=Status.PARTIAL)
        return _State(call=state.call)

    def _assistant(self, message: dict[str, Any], state: _State) -> _State:
        kind = words(mapping(message.get("content")).get("content_type"))
        if kind == "reasoning_recap":
            return state
        if kind == "thoughts":
            return msgspec.structs.replace(state, pending=state.pending + _thoughts(message))
        parts = self._called(message) or self._parts(message)
        if not parts and not state.pending:
            return state
        status = words(message.get("status"))
        whole = status in {"", "finished_successfully"}
        self._weaver.assistant(
            state.pending + parts,
            words(message.get("id")),
            at=moment(message.get("create_time")),
            provider="openai",
            model=words(mapping(message.get("metadata")).get("model_slug")) or self._model,
            status=Status.COMPLETE if whole else Status.PARTIAL,
            error="" if whole else f"the export says it is {status[:40].replace('_', ' ')}",
        )
        return _State(call=self._weaver.open_call)

    def _called(self, message: dict[str, Any]) -> tuple[AnyPart, ...]:
        """What was said to a tool rather than to the person."""
        recipient = words(message.get("recipient"))
        if recipient in {"", "all"}:
            return ()
        text = _text(message)
        code = mapping(message.get("content")).get("content_type") == "code"
        given = _as_object(text) or {"code" if code else "input": text}
        call_id = words(message.get("id")) or self._weaver.spare_call()
        return (Call(call_id, recipient, codec.dumps(given).decode()),)

    def _user(self, message: dict[str, Any]) -> None:
        at = moment(message.get("create_time"))
        content = mapping(message.get("content"))
        if content.get("content_type") == "user_editable_context":
            about = (words(content.get(name)) for name in ("user_profile", "user_instructions"))
            if text := "\n\n".join(filter(None, about)):
                self._weaver.system(text, at)
        elif parts := self._parts(message):
            self._weaver.user(parts, at, words(message.get("id")))

    def _tool(self, message: dict[str, Any]) -> None:
        pictures = [p for p in self._parts(message) if isinstance(p, Image | File)]
        shown = "".join(f"\n[{p.name or 'a picture'}]" for p in pictures)
        text = (_text(message) + shown).strip("\n")
        name = words(mapping(message.get("author")).get("name"))
        at = moment(message.get("create_time"))
        if text or self._weaver.open_call:
            self._weaver.tool(text, name=name, at=at, key=words(message.get("id")))

    def _parts(self, message: dict[str, Any]) -> tuple[AnyPart, ...]:
        pieces = listing(mapping(message.get("content")).get("parts"))
        media = [self._media(message, p) for p in pieces if isinstance(p, dict)]
        text = _text(message)
        attached = listing(mapping(message.get("metadata")).get("attachments"))
        shown = {m.name for m in media if isinstance(m, Image | File)}
        names = (words(mapping(a).get("name")) for a in attached)
        files = tuple(File(name=name) for name in names if name and name not in shown)
        return (*(m for m in media if m is not None), *said(text), *files)

    def _media(self, message: dict[str, Any], piece: dict[str, Any]) -> AnyPart | None:
        """A picture or sound by its pointer; what is only words is in the text."""
        pointer = words(piece.get("asset_pointer"))
        if not pointer:
            return None
        file_id = pointer.rpartition("/")[2]
        about = _attachment(message, file_id)
        name, mime = words(about.get("name")), words(about.get("mimeType"))
        if "audio" in words(piece.get("content_type")):
            return File(name=name or file_id, mime=mime or "audio/wav")
        data = self._fetch(file_id)
        if data is None:
            self._weaver.lose("a picture is not in the export: only its name was kept")
            return Image(name=name or file_id, mime=mime)
        return Image(name=name or file_id, mime=mime, data=base64.b64encode(data).decode())


def _attachment(message: dict[str, Any], file_id: str) -> dict[str, Any]:
    attached = listing(mapping(message.get("metadata")).get("attachments"))
    return next((a for a in map(mapping, attached) if a.get("id") == file_id), {})


def _thoughts(message: dict[str, Any]) -> tuple[AnyPart, ...]:
    thoughts = listing(mapping(message.get("content")).get("thoughts"))
    return thinking("\n\n".join(filter(None, (words(mapping(t).get("content")) for t in thoughts))))


def _text(message: dict[str, Any]) -> str:
    """The words of any kind of content."""
    content = mapping(message.get("content"))
    pieces = [_piece(p) for p in listing(content.get("parts"))]
    if any(pieces):
        return "\n".join(filter(None, pieces))
    return words(content.get("text")) or words(content.get("result"))


def _piece(piece: object) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, dict) and not piece.get("asset_pointer"):
        return words(piece.get("text")) or words(piece.get("content"))
    return "" if isinstance(piece, dict) else spelt(piece)


def _as_object(text: str) -> dict[str, Any]:
    try:
        return mapping(codec.loads(text)) if text[:1] == "{" else {}
    except ValueError:
        return {}
