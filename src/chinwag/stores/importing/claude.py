"""Claude's data export: `conversations.json`, each conversation a list of messages. Pure.

Invariants: where messages name their parents, edits and retries come out as branches. A message in
which a tool was used and answered becomes what it was: an answer with a call, its result, an
answer. What was extracted from an attachment is the text of a file part.
"""

from __future__ import annotations

from typing import Any

from chinwag.stores.importing.base import (
    Talk,
    Unreadable,
    Weaver,
    arguments,
    listing,
    mapping,
    moment,
    said,
    spelt,
    thinking,
    words,
)
from chinwag.stores.importing.tree import weave
from chinwag.talk.message import AnyPart, Call, File

FORM = "claude"


def read(plain: dict[str, Any]) -> Talk:
    """One conversation. Raises Unreadable."""
    messages = [mapping(m) for m in listing(plain.get("chat_messages"))]
    if not messages:
        raise Unreadable("it has no messages")
    weaver = Weaver(FORM, words(plain.get("uuid")) or words(messages[0].get("uuid")))
    weaver.created = moment(plain.get("created_at"))
    weaver.title(plain.get("name"))
    keyed = {words(m.get("uuid")) or f"#{n}": m for n, m in enumerate(messages)}
    parents = _parents(keyed)
    leaf = words(plain.get("current_leaf_message_uuid")) or list(keyed)[-1]
    model = words(plain.get("model"))

    def emit(key: str, state: None, last: bool) -> None:  # noqa: ARG001, FBT001 - weave's own
        _message(weaver, keyed[key], key, model)

    weave(parents, leaf, weaver, emit, None)
    return weaver.done()


def _parents(keyed: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Who follows whom: as the messages say, else one after the other."""
    if any(words(m.get("parent_message_uuid")) in keyed for m in keyed.values()):
        return {key: words(m.get("parent_message_uuid")) for key, m in keyed.items()}
    keys = list(keyed)
    return dict(zip(keys, ["", *keys[:-1]], strict=True))


def _message(weaver: Weaver, message: dict[str, Any], key: str, model: str) -> None:
    at = moment(message.get("created_at"))
    sender = words(message.get("sender"))
    match sender:
        case "human" | "user":
            parts = _words(message) + _files(message)
            if parts:
                weaver.user(parts, at, key)
        case "assistant":
            _answer(weaver, message, key, model)
        case "system":
            weaver.system("".join(_block_text(b) for b in _blocks(message)), at)
        case _:
            weaver.lose(f"a message of the unknown sender {sender[:30]!r} was left out")


def _answer(weaver: Weaver, message: dict[str, Any], key: str, model: str) -> None:
    more = {
        "at": moment(message.get("created_at")),
        "provider": "anthropic",
        "model": words(message.get("model")) or model,
    }
    pending: list[AnyPart] = []
    count = 0

    def settle() -> None:
        nonlocal count
        if pending:
            weaver.assistant(tuple(pending), f"{key}/{count}" if count else key, **more)
            pending.clear()
            count += 1

    for block in _blocks(message):
        match words(block.get("type")):
            case "thinking":
                pending += thinking(words(block.get("thinking")))
            case "tool_use":
                call_id = words(block.get("id")) or f"{key[:40]}-{count}-{len(pending)}"
                given = arguments(block.get("input"))
                pending.append(Call(call_id, words(block.get("name")) or "tool", given))
            case "tool_result":
                settle()
                failed = block.get("is_error") is True
                call_id = words(block.get("tool_use_id"))
                name = words(block.get("name"))
                weaver.tool(_result(block), call_id, name, is_error=failed, at=more["at"])
            case "text" | "":
                pending += said(_block_text(block))
            case other:
                pending.append(File(name=other[:60]))
                weaver.lose(f"a part of the kind {other[:30]!r} was left out")
    pending += _files(message)
    settle()


def _blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The content, or the plain text of exports that have no content."""
    blocks = [mapping(b) for b in listing(message.get("content"))]
    return blocks or [{"type": "text", "text": words(message.get("text"))}]


def _words(message: dict[str, Any]) -> tuple[AnyPart, ...]:
    return said("\n".join(filter(None, map(_block_text, _blocks(message)))))


def _block_text(block: dict[str, Any]) -> str:
    return words(block.get("text"))


def _result(block: dict[str, Any]) -> str:
    content = block.get("content")
    if isinstance(content, list):
        return "\n".join(filter(None, (_block_text(mapping(b)) or _kind(b) for b in content)))
    return spelt(content)


def _kind(block: object) -> str:
    kind = words(mapping(block).get("type"))
    return f"[{kind}]" if kind and kind != "text" else ""


def _files(message: dict[str, Any]) -> tuple[AnyPart, ...]:
    """Attachments with the text that was extracted, and files by name."""
    found: list[AnyPart] = []
    for item in map(mapping, listing(message.get("attachments"))):
        text = words(item.get("extracted_content"))
        name = words(item.get("file_name")) or "attachment"
        found.append(File(name=name, mime="text/plain" if text else "", text=text))
    names = (words(item.get("file_name")) for item in map(mapping, listing(message.get("files"))))
    return (*found, *(File(name=name) for name in names if name))
