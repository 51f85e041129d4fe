"""Hints as they help outside the chat: a slash command said as the flag that does the same, or as
the method of a Python chat.

Invariants: pure; text without a slash command comes out as it went in, and so does one that has no
counterpart there. The engine speaks to somebody in a chat; who asked once is in none.
"""

from __future__ import annotations

import re
from typing import Final

_SAID: Final = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"ask again, or /retry", "run it again"),
        (r"/retry asks again, /continue goes on from here", 'run it again, or chat -c "go on"'),
        (r"/retry asks again", "run it again"),
        (r"/continue goes on$", 'chat -c "go on" continues it'),
        (r"/continue lets (it|the model) go on", r'chat -c "go on" lets \1 go on'),
        (r"choose another model with /model", "choose another model with -m"),
        (r"(a model with a larger window): /model", r"\1: -m"),
        (r"/set shows the options that are sent", "--dry-run shows what is sent"),
        (r"/set (max_tokens|temperature|top_p) ", lambda m: f"--{m[1].replace('_', '-')} "),
        (r"shorten it: /system TEXT", "shorten it: -s TEXT"),
        (r", or /compact$", ""),
        (r"\(/budget 200k\)", "(--budget 200k)"),
        (r"/budget AMOUNT allows more from here on, /budget off ends it", "give it more: --budget"),
        (r"/budget AMOUNT allows more, then /continue goes on", "give it more: --budget"),
        (r"\(--approve, or /allow\)", "(--approve)"),
        (r"\(--fork, or /fork\)", "(--fork)"),
        (r"/fork goes on in a copy; /takeover asks for this one", "--fork goes on in a copy"),
        (r"/mcp approve (\S+) shows it", r"chat mcp test \1 shows it"),
        (r"/mcp restart (\S+)", r"chat mcp test \1"),
        (r"/mcp (\S+) says (why|more)", r"chat mcp test \1 says \2"),
        (r"bring it in with /load PATH", "bring it in with chat sessions import PATH"),
        (r"; /undo takes that back", ""),
        (r"^(/(?:compact|trim|clear)\b)", r"in the chat (chat -c), \1"),
    )
)


def outside(text: str) -> str:
    """``text`` for somebody who is not in a chat."""
    if "/" not in text:
        return text
    for pattern, instead in _SAID:
        text = pattern.sub(instead, text)
    return text


_CALLED: Final = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r"/continue goes on from here", 'chat.send("go on") goes on from here'),
        (r"/continue (goes on$|lets (?:it|the model) go on)", r"chat.send() \1"),
        (r"choose another model with /model", "choose another model: chat.switch(NAME)"),
        (r"(a model with a larger window): /model", r"\1: chat.switch(NAME)"),
        (r"/set shows the options that are sent", "chat.set(NAME=None) leaves an option out"),
        (r"/set (max_tokens|temperature|top_p)\b", r"chat.set(\1=…)"),
        (r"/system TEXT", "chat.set_system(TEXT)"),
        (r"/budget AMOUNT", "chat.set_budget(AMOUNT)"),
        (r"/budget off", "chat.set_budget(None)"),
        (r"/budget 200k", 'chat.set_budget("200k")'),
        (r"/(pin|exclude|window) N\b", r"chat.\1(N)"),
        (r"/history shows what is there", "chat.messages shows what is there"),
        (r"/history lists them with numbers", "chat.messages has them"),
        (r"(?<![\w./])/(retry|compact|trim|clear|undo|redo|fork|prune)\b", r"chat.\1()"),
    )
)


def in_python(text: str) -> str:
    """``text`` for somebody who writes a program."""
    if "/" not in text:
        return text
    for pattern, instead in _CALLED:
        text = pattern.sub(instead, text)
    return text
