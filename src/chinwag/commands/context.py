"""Commands about what the conversation holds: how much of the window, and taking it elsewhere.

Invariant: a count says whether it is exact (`~` where not), and text is handed out as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from chinwag.commands import export
from chinwag.commands.bench import Bench
from chinwag.commands.blocks import numbered
from chinwag.commands.sessions import write
from chinwag.commands.table import FORMATS, Command, Group, Kind
from chinwag.commands.words import escaped, flagged, number, plural, say, table
from chinwag.context.pricing import Owed, shown
from chinwag.engine.room import Filling
from chinwag.errors import CommandError, UsageWrong, nearest
from chinwag.talk.entry import AssistantSaid, Spoken
from chinwag.talk.event import CopyAsked, Ear, Page
from chinwag.talk.usage import Usage
from chinwag.text.fences import Fence

BAR = 32  # cells: a picture fits a window of 40 columns

#: What fills a window, in the order it is sent, and what each is drawn with: told apart without
#: colour, by how dark they are.
_INKS = {"system": "█", "tools": "▓", "summary": "▚", "history": "▒", "free": "·", "reserve": "░"}


async def tokens(bench: Bench, _: list[str], hear: Ear) -> None:
    talk = bench.conversation
    counted = await talk.counted()
    room = talk.context()
    mark = "" if room.exact else "~"
    share = room.used / room.window if room.window else 0.0
    filled = talk.filling()
    lines = [
        f"{mark}{room.used:,} of {room.window:,} tokens ({share:.0%})",
        f"`{_picture(filled)}`",
        table(("", "tokens"), _filling_rows(filled, mark)),
        table(("", "now"), [*_counted(counted), *_rows(bench)]),
    ]
    if not room.exact:
        lines.append("`~` marks an estimate; what the provider reports corrects it.")
    hear(Page("Tokens", "\n\n".join(lines)))


def _picture(filled: Filling) -> str:
    """The window as a strip of cells; whatever is there gets one at least."""
    sizes = _sizes(filled)
    whole = sum(sizes.values()) or 1
    cells = {
        name: max(1, round(n * BAR / whole)) for name, n in sizes.items() if n and name != "free"
    }
    taken = sum(cells.values())
    cells["free"] = max(0, BAR - taken)
    return "".join(_INKS[name] * cells.get(name, 0) for name in _INKS)


def _sizes(filled: Filling) -> dict[str, int]:
    held = filled.system + filled.tools + filled.summary + filled.history
    free = max(0, filled.window - held - filled.reserve)
    return {
        "system": filled.system,
        "tools": filled.tools,
        "summary": filled.summary,
        "history": filled.history,
        "free": free,
        "reserve": filled.reserve,
    }


def _filling_rows(filled: Filling, mark: str) -> list[tuple[str, str]]:
    names = {
        "system": "system prompt",
        "tools": "tools",
        "summary": "summary of what came before",
        "history": "conversation",
        "free": "free",
        "reserve": "kept free for the answer",
    }
    sizes = _sizes(filled)
    return [
        (f"{_INKS[name]} {words}", f"{mark if sizes[name] else ''}{sizes[name]:,}")
        for name, words in names.items()
        if sizes[name] or name in {"history", "free"}
    ]


def _counted(counted: int | None) -> list[tuple[str, str]]:
    return [("counted by the server", f"{counted:,} tokens")] if counted else []


def _rows(bench: Bench) -> list[tuple[str, str]]:
    talk = bench.conversation
    tally, usage = talk.session.tally, talk.session.usage
    rules = talk.fitting.rules
    return [
        ("model", escaped("/".join(talk.choice))),
        ("messages", f"{tally.messages:,} in {plural(tally.turns, 'turn')}"),
        ("when it is full", f"{rules.policy}, at {rules.margin:.0%} of the window"),
        ("reported by the provider", _reported(usage)),
        *_last(talk.session.last_answer),
        *_cost(bench.owed(talk.session), bench.prices_as_of),
        *_next(bench),
        *_today(bench),
        *_budget(bench),
    ]


def _last(answer: AssistantSaid | None) -> Iterator[tuple[str, str]]:
    if answer is not None and answer.usage.total:
        yield "of them the last answer", _reported(answer.usage)


def _next(bench: Bench) -> Iterator[tuple[str, str]]:
    """What the next message costs before a word of the answer, where that is known."""
    talk = bench.conversation
    price = talk.purse.price_of(talk.choice, talk.context().used)
    if price:
        yield "the next message", f"{shown(price)} for what it has to read"


def _today(bench: Bench) -> Iterator[tuple[str, str]]:
    counted, dollars = bench.today()
    if dollars:
        yield "today, in all sessions", f"{shown(dollars)} ({counted:,} tokens)"


def _budget(bench: Bench) -> Iterator[tuple[str, str]]:
    purse = bench.conversation.purse
    if purse.budget is not None:
        yield "budget", f"{purse.spent() or 'nothing'} of {purse.budget} spent"


def _cost(owed: Owed, as_of: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """What it cost, and how that is known; nothing where nothing was to be paid."""
    notes = []
    if owed.computed:
        notes.append(f"reckoned with prices as of {as_of()}")
    if owed.unknown:
        notes.append(f"without {plural(owed.unknown, 'answer')} whose price is not known")
    amount = shown(owed.amount) or ("not known" if owed.unknown else "")
    if amount:
        yield "cost", f"{amount} ({'; '.join(notes)})" if notes else amount


def _reported(usage: Usage) -> str:
    named = (
        ("read", usage.input),
        ("of them cached", usage.cached),
        ("written", usage.output),
        ("of them thinking", usage.reasoning),
    )
    said = [f"{count:,} {name}" for name, count in named if count is not None]
    return ", ".join(said) if said else "nothing yet"


async def copy(bench: Bench, words: list[str], hear: Ear) -> None:
    if not words:
        _copy_last(bench, hear)
    elif re.fullmatch(r"[#m]\d+", words[0], re.IGNORECASE):
        _copy_message(bench, number(words[0].lower().lstrip("m"), "/copy [N|#N]"), hear)
    else:
        _copy_block(bench, number(words[0].lstrip("¶"), "/copy [N|#N]"), hear)


def _copy_last(bench: Bench, hear: Ear) -> None:
    answer = bench.conversation.session.last_answer
    if answer is None or not answer.text:
        raise CommandError("there is no answer to copy yet")
    hear(CopyAsked(answer.text, "the last answer"))


def _copy_message(bench: Bench, wanted: int, hear: Ear) -> None:
    found: Spoken | None = dict(bench.conversation.session.said()).get(wanted)
    if found is None or not found.text:
        raise CommandError(f"there is no message {wanted}", hint="/history lists them with numbers")
    who = "answer" if isinstance(found, AssistantSaid) else "message"
    hear(CopyAsked(found.text, f"{who} {wanted}"))


def _copy_block(bench: Bench, wanted: int, hear: Ear) -> None:
    blocks: dict[int, Fence] = dict(numbered(bench.conversation.session))
    block = blocks.get(wanted)
    if block is None:
        have = f"there are {len(blocks)}" if blocks else "there is none yet"
        raise CommandError(
            f"there is no code block {wanted}: {have}", hint=f"/copy #{wanted} copies a message"
        )
    hear(CopyAsked(block.text, f"code block {wanted}{block.language and f' ({block.language})'}"))


async def export_(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--force")
    form, path = _form_and_path(rest)
    session = bench.conversation.session
    if not session.title:
        raise CommandError("there is nothing to export yet", hint="type a message first")
    text = export.WRITERS[form](session)
    full = await write(bench, path, text, force=bool(flags), again=f"/export {form} {path}")
    say(hear, f"exported as {form} to {full}")


def _form_and_path(words: list[str]) -> tuple[str, str]:
    """(format, path); a format that was not named is told by the path's ending."""
    usage = "/export [FORMAT] PATH [--force]"
    names = [name for name, _ in FORMATS]
    if not words:
        raise UsageWrong(f"where to? Formats: {', '.join(names)}", usage=usage)
    if len(words) == 1:
        ending = "." + words[0].rpartition(".")[2].lower()
        if words[0].lower() in names:
            raise UsageWrong(f"{words[0]} is a format; a path is missing", usage=usage)
        if ending not in export.ENDINGS:
            raise UsageWrong(f"which format? {', '.join(names)}", usage=usage)
        return export.ENDINGS[ending], words[0]
    form = export.OTHER_NAMES.get(words[0].lower(), words[0].lower())
    if form not in names:
        near = nearest(form, names) or tuple(names)
        raise UsageWrong(
            f"there is no format {words[0]!r}; there is {', '.join(near)}", usage=usage
        )
    return form, words[1]


COMMANDS: tuple[Command, ...] = (
    Command(
        "tokens",
        "how full the model's window is, and what was used",
        Group.CONTEXT,
        tokens,
        asked="how many tokens have I used; usage; cost; price; window; how full",
        aliases=("cost", "context"),
        detail="Tokens are what models count in, about four letters each in English. The window is "
        "the most a model takes at once, your whole conversation included.",
    ),
    Command(
        "copy",
        "copy the last answer, a code block, or a message",
        Group.CONTEXT,
        copy,
        asked="copy the code, the last answer, to the clipboard",
        usage="[N|#N]",
        most=1,
        detail="`/copy` takes the last answer, `/copy 3` the code block marked ¶3, `/copy #12` "
        "message 12. What goes to the clipboard is the source text. Ctrl+Y copies the last answer.",
    ),
    Command(
        "export",
        "write the conversation to a file",
        Group.CONTEXT,
        export_,
        asked="export to markdown, html, text, json; download; save as a file; share; print",
        usage="[FORMAT] PATH [--force]",
        kinds=(Kind.FORMAT, Kind.PATH),
        most=3,
        detail="FORMAT is "
        + ", ".join(f"`{name}` ({what})" for name, what in FORMATS)
        + ". It may be left out where the ending of PATH tells it: `.md` `.json` `.html` `.txt`. "
        "A file that is there is replaced only with `--force`.",
    ),
)
