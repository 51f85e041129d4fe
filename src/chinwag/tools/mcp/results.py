"""What a server answered, as text for the model or parts for a message. Pure.

Invariants: nothing is left out unsaid: what is no text is named by its kind and size. An answer
that calls itself an error is one. Nothing here believes what a server says of itself.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import msgspec

from chinwag.errors import UsageError
from chinwag.talk.attachment import part_of
from chinwag.talk.message import AnyPart, File
from chinwag.tools.base import Output


def output(result: Any) -> Output:
    """A `CallToolResult` of the SDK as what a call gave."""
    shown = [_block(block) for block in result.content]
    structured = result.structured_content
    if structured is not None and not any(block.type == "text" for block in result.content):
        shown.append(msgspec.json.encode(structured).decode())
    text = "\n".join(shown)
    failed = bool(result.is_error)
    return Output(text or ("it failed" if failed else "(nothing)"), is_error=failed, foreign=True)


def _block(block: Any) -> str:
    match block.type:
        case "text":
            return str(block.text)
        case "image" | "audio":
            return f"[{block.type} {block.mime_type}, {_size(block.data)}: not shown here]"
        case "resource_link":
            about = f" ({block.description})" if block.description else ""
            return f"[resource {block.name}{about}: {block.uri}]"
        case "resource":
            return _inside(block.resource)
        case kind:
            return f"[{kind}: not shown here]"


def _inside(resource: Any) -> str:
    text = getattr(resource, "text", None)
    if text is not None:
        return f"[resource {resource.uri}]\n{text}"
    kind = resource.mime_type or "bytes"
    return f"[resource {resource.uri}, {kind}, {_size(resource.blob)}: not shown here]"


def _size(data: str) -> str:
    return f"{len(data) * 3 // 4:,} bytes"


def parts(name: str, result: Any) -> list[AnyPart]:
    """A `ReadResourceResult` as parts of a message. Raises UsageError for what is neither."""
    return [_part(name, each) for each in result.contents]


def _part(name: str, content: Any) -> AnyPart:
    text = getattr(content, "text", None)
    if text is not None:
        return File(mime=content.mime_type or "text/plain", name=name, text=text)
    try:
        data = base64.b64decode(content.blob, validate=True)
    except (binascii.Error, ValueError):
        hint = "its server has to be mended"
        raise UsageError(f"{name} is not what it says it is", hint=hint) from None
    return part_of(name, data)


def prompt_text(result: Any) -> str:
    """A `GetPromptResult` as text to be looked over and sent by the person."""
    said = [(str(m.role), _block(m.content)) for m in result.messages]
    if all(role == "user" for role, _ in said):
        return "\n\n".join(text for _, text in said)
    return "\n\n".join(f"{role}: {text}" for role, text in said)
