"""What the screen looks like: the theme, the terminal's own ground, what draws Markdown in them.

Invariants: nothing that draws Markdown is imported before the first paint; a thread does so, and
what it made is dropped where the looks have changed meanwhile. A terminal is asked for its colours
only where they matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chinwag.frontends.tui import background
from chinwag.frontends.tui.theme import Looks, depends, faults, looks
from chinwag.threads import tell


class Appearance:
    """``changed`` is called when the looks are others, ``loaded`` with what draws in them: a talk
    and pages. Both on the loop."""

    def __init__(
        self,
        theme: str | Mapping[str, str],
        environ: Mapping[str, str],
        *,
        changed: Callable[[Looks], None],
        loaded: Callable[[Any, Any], None],
    ) -> None:
        self._theme = theme
        self._environ = environ
        self._changed = changed
        self._loaded = loaded
        self._light = background.told(environ)
        self._listener: background.Listener | None = None
        self._is_loaded = False
        self.looks = looks(theme, environ, light=self._light)

    @property
    def owed(self) -> float:
        """Seconds within which an answer of the terminal is on its way; 0 where none is."""
        return self._listener.owed if self._listener is not None else 0.0

    def faults(self) -> Iterable[str]:
        """What is wrong with the theme, in words."""
        return faults(self._theme)

    def ask(self, parser: Any, write: Callable[[str], None]) -> None:
        """Whether the terminal is light; the screen is there already, and changes when told."""
        plain = self.looks is looks("none", {})
        if parser is not None and depends(self._theme) and not plain:
            self._listener = background.Listener(parser, self._lit)
            write(background.ASK)

    def _lit(self, light: bool) -> None:  # noqa: FBT001 (what is heard is one word)
        self._light = light
        self._wear(looks(self._theme, self._environ, light=light))

    def wear(self, theme: str) -> None:
        """That theme from now on."""
        self._theme = theme
        self._wear(looks(theme, self._environ, light=self._light))

    def _wear(self, found: Looks) -> None:
        if found != self.looks:
            self.looks = found
            self._changed(found)
            if self._is_loaded:
                self._loaded(*self._renderers())

    def load(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: what Markdown needs. Then the talk is drawn again."""
        drawn_with = self.looks
        talk, pages = self._renderers()
        talk.blocks("*a* `b`\n\n| c |\n|-|\n| d |\n", 40)
        tell(loop, self._ready, drawn_with, talk, pages)

    def _ready(self, drawn_with: Looks, talk: Any, pages: Any) -> None:
        """The thread is done; the looks may have changed meanwhile."""
        self._is_loaded = True
        self._loaded(*((talk, pages) if drawn_with is self.looks else self._renderers()))

    def _renderers(self) -> tuple[Any, Any]:
        from chinwag.frontends.tui import markdown  # noqa: F401 - here, off the way of the keys
        from chinwag.frontends.tui.rendering import Renderer

        return Renderer(self.looks), Renderer(self.looks, breaks=False)
