"""The names of styles, and their looks in each theme.

Invariants: a style is a name (`md.code`) everywhere but here; what it looks like is a string that
both prompt_toolkit and, through `rich_style`, rich understand. `auto` uses the terminal's own
sixteen colours and only such as are readable on dark and on light; `none` uses attributes alone, so
that nothing is said by colour only. No theme sets a background for running text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from chinwag.errors import nearest

Looks = Mapping[str, str]

_NONE: Looks = {
    "title": "bold",
    "model": "",
    "rule": "",
    "you": "bold",
    "bot": "bold",
    "number": "",
    "meta": "",
    "prompt": "bold",
    "thinking": "italic",
    "notice": "italic",
    "warning": "bold",
    "failure": "bold",
    "hint": "italic",
    "page": "bold",
    "more": "reverse",
    "queued": "italic",
    "bar": "",
    "bar.rest": "",
    "footer": "",
    "footer.good": "",
    "footer.bad": "bold",
    "toast": "bold",
    "found": "bold underline",
    "found.at": "bold reverse",
    "pick": "",
    "pick.at": "reverse",
    "pick.detail": "",
    "md.h1": "bold underline",
    "md.h2": "bold",
    "md.h3": "bold italic",
    "md.strong": "bold",
    "md.em": "italic",
    "md.strike": "strike",
    "md.code": "bold",
    "md.link": "underline",
    "md.url": "",
    "md.quote": "italic",
    "md.bullet": "",
    "md.rule": "",
    "md.label": "",
    "md.th": "bold",
    "code": "",
    "code.keyword": "bold",
    "code.string": "",
    "code.comment": "italic",
    "code.number": "",
    "code.name": "",
    "code.builtin": "",
    "code.bad": "",
}

_AUTO: Looks = {
    **_NONE,
    "model": "ansicyan",
    "rule": "dim",
    "you": "bold ansigreen",
    "bot": "bold ansicyan",
    "number": "dim",
    "meta": "dim",
    "prompt": "bold ansigreen",
    "thinking": "italic dim",
    "notice": "dim",
    "warning": "ansimagenta",
    "failure": "bold ansired",
    "hint": "dim",
    "page": "bold ansimagenta",
    "queued": "italic dim",
    "bar": "ansicyan",
    "bar.rest": "dim",
    "footer": "dim",
    "footer.good": "ansigreen",
    "footer.bad": "bold ansired",
    "toast": "ansimagenta",
    "pick.detail": "dim",
    "md.h1": "bold underline ansiblue",
    "md.h2": "bold ansiblue",
    "md.h3": "bold",
    "md.code": "ansimagenta",
    "md.link": "underline ansiblue",
    "md.url": "dim",
    "md.quote": "italic",
    "md.bullet": "ansicyan",
    "md.rule": "dim",
    "md.label": "dim",
    "code.keyword": "ansimagenta",
    "code.string": "ansigreen",
    "code.comment": "italic dim",
    "code.number": "ansicyan",
    "code.name": "ansiblue",
    "code.builtin": "ansicyan",
    "code.bad": "ansired",
}

_DARK: Looks = {
    **_AUTO,
    **dict.fromkeys(("number", "meta", "notice", "hint", "footer", "md.label"), "#8a8f98"),
    **dict.fromkeys(("pick.detail", "md.url"), "#8a8f98"),
    **dict.fromkeys(("rule", "bar.rest", "md.rule"), "#4b5058"),
    **dict.fromkeys(("thinking", "queued", "code.comment"), "italic #8a8f98"),
    "model": "#7fb4ca",
    "you": "bold #98bb6c",
    "bot": "bold #7fb4ca",
    "prompt": "bold #98bb6c",
    "warning": "#e6c384",
    "failure": "bold #ff6b6b",
    "footer.bad": "bold #ff6b6b",
    "footer.good": "#98bb6c",
    "page": "bold #d0a8e0",
    "toast": "#e6c384",
    "bar": "#7fb4ca",
    "md.h1": "bold underline #8fb0e8",
    "md.h2": "bold #8fb0e8",
    "md.code": "#e6c384",
    "md.link": "underline #8fb0e8",
    "md.bullet": "#7fb4ca",
    "code.keyword": "#d0a8e0",
    "code.string": "#98bb6c",
    "code.number": "#7fb4ca",
    "code.name": "#8fb0e8",
    "code.builtin": "#7fb4ca",
    "code.bad": "#ff6b6b",
}

_LIGHT: Looks = {
    **_AUTO,
    **dict.fromkeys(("number", "meta", "notice", "hint", "footer", "md.label"), "#666b73"),
    **dict.fromkeys(("pick.detail", "md.url"), "#666b73"),
    **dict.fromkeys(("rule", "bar.rest", "md.rule"), "#b4b8be"),
    **dict.fromkeys(("thinking", "queued", "code.comment"), "italic #666b73"),
    "model": "#0b6e87",
    "you": "bold #2f6f1f",
    "bot": "bold #0b6e87",
    "prompt": "bold #2f6f1f",
    "warning": "#8a5a00",
    "failure": "bold #b3261e",
    "footer.bad": "bold #b3261e",
    "footer.good": "#2f6f1f",
    "page": "bold #7a3e9d",
    "toast": "#8a5a00",
    "bar": "#0b6e87",
    "md.h1": "bold underline #1f4e9c",
    "md.h2": "bold #1f4e9c",
    "md.code": "#8a3b00",
    "md.link": "underline #1f4e9c",
    "md.bullet": "#0b6e87",
    "code.keyword": "#7a3e9d",
    "code.string": "#2f6f1f",
    "code.number": "#0b6e87",
    "code.name": "#1f4e9c",
    "code.builtin": "#0b6e87",
    "code.bad": "#b3261e",
}

THEMES: Mapping[str, Looks] = {"auto": _AUTO, "dark": _DARK, "light": _LIGHT, "none": _NONE}


def looks(
    theme: str | Mapping[str, str], environ: Mapping[str, str], *, light: bool | None = None
) -> Looks:
    """The looks of a theme by name (an unknown one is `auto`), or of a table of styles.

    A table is laid over the theme it names as `base` (else `auto`); what cannot be used of it is
    left out, and `faults` says so. `auto` is `light` or `dark` once that is known. NO_COLOR takes
    all colour away.
    """
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return _NONE
    if isinstance(theme, str):
        known = THEMES["light" if light else "dark"] if light is not None else _AUTO
        return known if theme == "auto" else THEMES.get(theme, _AUTO)
    base = looks(theme.get("base", "auto"), environ, light=light)
    own = {name: look for name, look in theme.items() if name in base and _is_look(look)}
    return {**base, **own}


def faults(theme: str | Mapping[str, str]) -> list[str]:
    """What cannot be used of a theme, one sentence each."""
    if isinstance(theme, str):
        return [] if theme in THEMES else [f"there is no theme called {theme}: {_names()}"]
    found = faults(theme.get("base", "auto"))
    for name, look in theme.items():
        if name == "base":
            continue
        if name not in _NONE:
            near = nearest(name, _NONE, 1)
            found.append(f"theme: no style is called {name}" + "".join(f"; {n}?" for n in near))
        elif not _is_look(look):
            found.append(f"theme: {name} cannot look `{look}`; try `bold #aabbcc` or `ansired`")
    return found


def depends(theme: str | Mapping[str, str]) -> bool:
    """Whether the theme depends on what background the terminal has."""
    return (theme if isinstance(theme, str) else theme.get("base", "auto")) == "auto"


def _names() -> str:
    return "dark, light, auto or none, or a table of styles"


_WORDS = frozenset("bold dim italic underline strike reverse".split())
_ANSI = frozenset(
    f"ansi{bright}{name}"
    for name in "black red green yellow blue magenta cyan white".split()
    for bright in ("", "bright")
) | {"ansigray"}
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


def _is_look(look: str) -> bool:
    return all(
        word in _WORDS or word in _ANSI or _HEX.fullmatch(word) is not None for word in look.split()
    )


@lru_cache(maxsize=256)
def rich_style(look: str) -> str:
    """The same look in rich's words."""
    return " ".join(_rich_word(word) for word in look.split()) or "none"


def _rich_word(word: str) -> str:
    if not word.startswith("ansi"):
        return word
    name = word.removeprefix("ansi")
    if name == "gray":  # the toolkit's name for plain white
        return "white"
    return "bright_" + name.removeprefix("bright") if name.startswith("bright") else name
