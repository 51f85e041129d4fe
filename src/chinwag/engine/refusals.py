"""What a model does not take, learnt from its refusal. Pure.

Invariants: only something that was sent can be given up, and only when the server's own words name
it and call it unsupported; a value that is merely too large is the person's to change. What gave no
offence stays in the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from chinwag.errors import BadRequest, ChinwagError, ModelUnknown
from chinwag.providers.base import Options, Request
from chinwag.talk.message import Image

PICTURES = "pictures"
TOOLS = "tools"
LIMIT_NAMED_OTHERWISE = "max_completion_tokens"

# Options, and what they are called on the wires.
_NAMES = {
    "temperature": r"temperature",
    "top_p": r"top_?p",
    "top_k": r"top_?k",
    "max_tokens": r"max_?tokens|max_?completion_?tokens|max_?output_?tokens|num_predict",
    "stop": r"stop(?:_?sequences)?",
    "seed": r"seed",
    "reasoning": r"reasoning(?:[_.]?effort)?|think(?:ing)?(?:_?config|_?budget)?|enable_thinking",
}
_UNSUPPORTED = (
    r"(?i)un-?supported|not (?:be )?support|n't support|deprecated|not permitted|not allowed"
    r"|unknown (?:name|parameter|field|argument|variant)|unrecognized"
    r"|unexpected (?:keyword|argument)"
    r"|cannot (?:both )?be (?:specified|set|used)|must be unset|may only be set|is not enabled"
    r"|cannot find field|extra inputs|not available|must be a string"
)
_NO_TOOLS = (
    r"(?i)not support(?:s|ed)? (?:the )?(?:tools?\b|function)"
    r"|\btools?(?: use| calling| parameter)?[\"'`]? (?:is|are) not (?:yet )?(?:supported|available)"
    r"|(?:unsupported|unknown|unrecognized|extra)[^.]{0,40}[\"'`:]\s*tools\b"
    r"|enable-auto-tool-choice|tools param requires|no endpoints found that support tool"
)
_PICTURE = r"(?i)\bimages?\b|image_url|input_image|\bvision\b|multi-?modal|content must be a string"


def refused(error: ChinwagError | None, request: Request) -> str:
    """What ``request`` held that ``error`` refuses: an option, `pictures`, `tools`, or ""."""
    if isinstance(error, BadRequest | ModelUnknown) and _takes_no_tools(error, request):
        return TOOLS
    if not isinstance(error, BadRequest) or not re.search(_UNSUPPORTED, error.message):
        return ""
    found = [
        (named.start(), name)
        for name in _sent(request.options)
        if (named := re.search(rf"(?i)(?<![a-z])(?:{_NAMES[name]})(?![a-z])", error.message))
    ]
    if found:
        return min(found)[1]
    return PICTURES if _shows(request) and re.search(_PICTURE, error.message) else ""


def _takes_no_tools(error: ChinwagError, request: Request) -> bool:
    return bool(request.tools) and re.search(_NO_TOOLS, error.message) is not None


def _sent(options: Options) -> Iterable[str]:
    return (name for name in _NAMES if getattr(options, name) not in (None, ()))


def _shows(request: Request) -> bool:
    return any(isinstance(part, Image) for m in request.messages for part in m.parts)


def renamed(error: ChinwagError | None) -> bool:
    """Whether the server says that it wants the longest answer under its newer name."""
    return isinstance(error, BadRequest) and bool(
        re.search(rf"(?i)use ['\"`]?{LIMIT_NAMED_OTHERWISE}", error.message)
    )


def without(options: Options, names: Iterable[str]) -> Options:
    """The options without those a model refuses; a limit it wants otherwise goes by that name."""
    for name in names:
        if name == LIMIT_NAMED_OTHERWISE:
            options = _limit_renamed(options)
        elif name in _NAMES:
            nothing = () if name == "stop" else None
            options = msgspec.structs.replace(options, **{name: nothing})
    return options


def _limit_renamed(options: Options) -> Options:
    if options.max_tokens is None:
        return options
    extra = {LIMIT_NAMED_OTHERWISE: options.max_tokens, **options.extra}
    return msgspec.structs.replace(options, max_tokens=None, extra=extra)


def told(name: str, who: str) -> str:
    """One sentence for the person."""
    if name == PICTURES:
        return f"{who} does not take pictures: asked again with their names instead"
    if name == TOOLS:
        return f"{who} does not take tools: asked again with their description in words"
    if name == LIMIT_NAMED_OTHERWISE:
        return f"{who} wants max_tokens as {name}: asked again so"
    return f"{who} does not take {name}: asked again without it, as from now on"
