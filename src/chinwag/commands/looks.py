"""/editor and /theme: where one writes, and what the screen looks like.

Invariant: nothing here draws or runs anything: who shows the talk does, in its own way.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import THEMES, Command, Group, Kind
from chinwag.errors import CommandError, nearest
from chinwag.talk.event import Choice, Ear, EditorAsked, Offered, ThemeAsked


async def editor(_: Bench, words: list[str], hear: Ear) -> None:
    hear(EditorAsked(" ".join(words)))


async def theme(_: Bench, words: list[str], hear: Ear) -> None:
    if not words:
        offered = (Choice(name, f"/theme {name}", what) for name, what in THEMES)
        hear(Offered("themes", tuple(offered)))
        return
    names = dict(THEMES)
    if words[0] not in names:
        near = nearest(words[0], names, 1) or list(names)
        raise CommandError(
            f"there is no theme {words[0]}", hint="try " + ", ".join(f"/theme {n}" for n in near)
        )
    hear(ThemeAsked(words[0]))


COMMANDS: tuple[Command, ...] = (
    Command(
        "editor",
        "write the message in your editor",
        Group.PROGRAM,
        editor,
        asked="open vim, nano, emacs; outside editor; $EDITOR; write a long message",
        usage="[TEXT]",
        most=1,
        free=True,
        detail="Opens `$VISUAL` or `$EDITOR` on TEXT. What you leave there is in the input line "
        "then, to be sent with Enter. Ctrl+G and Ctrl+X Ctrl+E open it on the draft.",
    ),
    Command(
        "theme",
        "change the colours of the screen",
        Group.PROGRAM,
        theme,
        asked="dark mode; light mode; colours; colors; turn colours off; monochrome",
        usage="[NAME]",
        kinds=(Kind.THEME,),
        most=1,
        detail='Until the program ends; `theme = "light"` in the configuration keeps it. '
        "`NO_COLOR=1` goes without colour always.",
    ),
)
