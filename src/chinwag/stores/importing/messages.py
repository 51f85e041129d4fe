"""Lists of messages with role and content: OpenAI's form, ForgeLLM's, and what is like them. Pure.

Invariants: a call written flat (ForgeLLM) or under `function` (OpenAI), arguments as text or as an
object, content as text or as blocks: all are one to us. Pictures are taken inline or by a web
address, never by a path. Tool definitions beside the messages are not taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chinwag.stores.importing.base import (
    Talk,
    Unreadable,
    Weaver,
    arguments,
    listing,
    mapping,
    moment,
    named,
    picture,
    said,
    short,
    spelt,
    thinking,
    words,
)
from chinwag.talk import codec
from chinwag.talk.message import AnyPart, Call, File, Text

OPENAI = "openai"
FORGE = "forgellm"
SHAREGPT = "sharegpt"

_ROLES = {"system": "system", "developer": "system", "user": "user", "human": "user"} | {
    "assistant": "assistant",
    "ai": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
}


def read(plain: dict[str, Any]) -> Talk:
    """`{"messages": […]}`. Raises Unreadable."""
    items = listing(plain.get("messages"))
    weaver = Weaver(_form(items), fingerprint(items))
    weaver.created = moment(plain.get("created_at") or plain.get("created"))
    weaver.title(plain.get("title") or plain.get("name"))
    if listing(plain.get("tools")) or listing(plain.get("functions")):
        weaver.lose("tool definitions are not taken from files")
    system = words(plain.get("system"))
    if system:
        weaver.system(system)
    add(weaver, items, model=words(plain.get("model")))
    return weaver.done()


def read_list(items: list[Any]) -> Talk:
    """A bare list of messages. Raises Unreadable."""
    weaver = Weaver(_form(items), fingerprint(items))
    add(weaver, items)
    return weaver.done()


def read_shared(plain: dict[str, Any]) -> Talk:
    """ShareGPT's `{"conversations": [{"from", "value"}]}`. Raises Unreadable."""
    items = listing(plain.get("conversations"))
    weaver = Weaver(SHAREGPT, fingerprint([plain.get("id"), *items]))
    weaver.title(plain.get("title"))
    add(weaver, items)
    return weaver.done()


def fingerprint(items: list[Any]) -> str:
    """What tells conversations without an id of their own apart: all that is in them."""
    return short(codec.dumps(items).decode(), 20)


def _form(items: Iterable[Any]) -> str:
    """ForgeLLM writes its calls and its blocks flat."""
    for item in map(mapping, items):
        calls = [mapping(c) for c in listing(item.get("tool_calls"))]
        blocks = [mapping(b) for b in listing(item.get("content"))]
        flat = any("name" in c and "function" not in c for c in calls)
        if flat or any(b.get("type") in {"image", "audio"} and "source" not in b for b in blocks):
            return FORGE
    return OPENAI


def add(weaver: Weaver, items: list[Any], *, model: str = "", provider: str = "") -> None:
    """Every message of ``items``. Raises Unreadable naming the one that cannot be read."""
    for n, item in enumerate(items, 1):
        try:
            _message(weaver, item, model, provider)
        except Unreadable as error:
            raise Unreadable(f"message {n} cannot be read: {error}") from None


def _message(weaver: Weaver, item: object, model: str, provider: str) -> None:
    if not isinstance(item, dict):
        raise Unreadable(f"it is {spelt(item)[:40]}, no object")
    role = item.get("role", item.get("from"))
    kind = _ROLES.get(words(role).lower(), "")
    content = item.get("content", item.get("value"))
    at = moment(item.get("timestamp") or item.get("created_at") or item.get("at"))
    match kind:
        case "system":
            weaver.system(_plain(content), at)
        case "user":
            _user(weaver, content, at)
        case "assistant":
            parts = _thought(item) + _parts(weaver, content) + _calls(weaver, item)
            if refusal := words(item.get("refusal")):
                parts += said(refusal)
            model = words(item.get("model")) or model
            weaver.assistant(parts, at=at, model=model, provider=provider)
        case "tool":
            call = words(item.get("tool_call_id"))
            failed = item.get("is_error") is True
            weaver.tool(_plain(content), call, words(item.get("name")), is_error=failed, at=at)
        case _:
            what = f"an unknown role {words(role)[:30]!r}" if role else f"only {named(item)}"
            raise Unreadable(f"it has {what}")


def _user(weaver: Weaver, content: object, at: str) -> None:
    """What a person said; results Anthropic's form puts among it come first."""
    blocks = [mapping(b) for b in listing(content)]
    for block in blocks:
        if block.get("type") == "tool_result":
            failed = block.get("is_error") is True
            call = words(block.get("tool_use_id"))
            weaver.tool(_plain(block.get("content")), call, is_error=failed, at=at)
    if not any(b.get("type") == "tool_result" for b in blocks):
        weaver.user(_parts(weaver, content), at)
        return
    if rest := _parts(weaver, [b for b in blocks if b.get("type") != "tool_result"]):
        weaver.user(rest, at)


def _plain(content: object) -> str:
    """Content as text alone."""
    if isinstance(content, list):
        return "\n".join(filter(None, (_text(b) for b in content)))
    return spelt(content)


def _text(block: object) -> str:
    return block if isinstance(block, str) else words(mapping(block).get("text"))


def _parts(weaver: Weaver, content: object) -> tuple[AnyPart, ...]:
    if isinstance(content, list):
        return tuple(p for block in content for p in _block(weaver, block))
    if isinstance(content, dict):
        return _block(weaver, content)
    return said(spelt(content))


def _block(weaver: Weaver, block: object) -> tuple[AnyPart, ...]:
    if not isinstance(block, dict):
        return said(spelt(block))
    kind = words(block.get("type"))
    match kind:
        case "text" | "input_text" | "output_text" | "":
            return said(_text(block))
        case "thinking" | "reasoning":
            return thinking(words(block.get("thinking")) or words(block.get("text")))
        case "image_url" | "input_image" | "image":
            return (_picture(block),)
        case "tool_use":
            given = arguments(block.get("input"))
            call_id = words(block.get("id")) or weaver.spare_call()
            return (Call(call_id, words(block.get("name")) or "tool", given),)
        case "file" | "input_file":
            about = mapping(block.get("file")) or block
            return (_file(about),)
        case "input_audio" | "audio" | "audio_url":
            about = mapping(block.get("input_audio")) or block
            sort = words(about.get("format")) or words(about.get("media_type"))
            weaver.lose("a sound was left out, its name was kept")
            return (File(name=f"sound {sort}".strip()),)
        case _:
            weaver.lose(f"a part of the kind {kind[:30]!r} was left out")
            return (File(name=kind[:60]),)


def _picture(block: dict[str, Any]) -> AnyPart:
    """A picture in any of the shapes it is written in."""
    inner = block.get("image_url", block.get("source"))
    about = mapping(inner) or block
    mime = words(about.get("media_type")) or words(about.get("mime_type"))
    mime = mime or words(about.get("mime"))
    url = words(inner) or words(about.get("url"))
    data = words(about.get("data")) or words(about.get("base64"))
    if data and not url:
        url = data if data.startswith("data:") else f"data:{mime or 'image/png'};base64,{data}"
    return picture(url, mime, words(block.get("name")))


def _file(about: dict[str, Any]) -> AnyPart:
    name = words(about.get("filename")) or words(about.get("name")) or "a file"
    text = words(about.get("text"))
    return File(name=name, mime="text/plain" if text else "", text=text)


def _thought(item: dict[str, Any]) -> tuple[AnyPart, ...]:
    for name in ("reasoning_content", "reasoning", "thinking"):
        if text := words(item.get(name)):
            return thinking(text)
    return ()


def _calls(weaver: Weaver, item: dict[str, Any]) -> tuple[AnyPart, ...]:
    calls = listing(item.get("tool_calls"))
    if not calls and isinstance(item.get("function_call"), dict):
        calls = [{"function": item["function_call"]}]
    return tuple(_call(weaver, call, n) for n, call in enumerate(calls))


def _call(weaver: Weaver, call: object, n: int) -> AnyPart:
    about = mapping(call)
    function = mapping(about.get("function")) or about
    name = words(function.get("name"))
    if not name:
        return Text("[a call that names no tool]")
    call_id = words(about.get("id")) or f"{weaver.spare_call()}-{n}"
    return Call(call_id, name, arguments(function.get("arguments", function.get("input"))))
