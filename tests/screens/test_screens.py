"""What the eye sees at four sizes, letters and looks, against `golden/`.

`make screens` takes what differs as right and shows the difference. A golden file holds the screen,
then a line of `~`, then the looks: a letter for each cell that does not look plain, and a legend.
"""

import difflib
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from chinwag.frontends.tui import picture, shell
from chinwag.frontends.tui import state as s
from chinwag.talk import event as e
from chinwag.talk.delta import CallDelta, ThinkingDelta
from chinwag.talk.entry import Rewound, ToolReturned
from chinwag.talk.entry import Status as Came
from chinwag.talk.message import Call, Result, Text, Thinking
from chinwag.talk.session import Header, Headline, fold, fold_all
from chinwag.talk.tool import Risk
from support.fakes import FakeDesk, Status, entry, heard, long_talk, said, talk
from support.pilot import pilot

GOLDEN = Path(__file__).parent / "golden"
SIZES = [(100, 30), (80, 24), (40, 12), (20, 6)]
ASK = e.Requested("ollama", "qwen3:8b", 1)

ANSWER = """Take line **28** before nine; it is covered all the way.

| line | first | every |
|------|-------|-------|
| 28 | 05:40 | 11 min |
| 15E | 06:00 | 9 min |

```python
import httpx

print(httpx.get("https://x.example/28").text)
```
"""
HELP = "# Commands\n\n- `/model` chooses who answers\n- `/exit` leaves\n\n" + "More words. " * 30


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    # Waits and rates are told by a clock that stands, or a busy machine would change the picture.
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr(shell, "time", clock)
    monkeypatch.setattr(picture, "time", clock)


async def nothing(p):
    await p.idle()


async def go(p):
    await p.type("go")
    await p.press("enter")


async def queue(p):
    for line in ("go", "and on a Sunday?", "and at night?"):
        await p.type(line)
        await p.press("enter")
    await p.type("half a thou")


async def typing(p):
    await p.paste("A first line,\nand a second one that is longer than a narrow screen is wide")


async def long_paste(p):
    await p.type("Why? ")
    await p.paste("line\n" * 214)


async def completing(p):
    await p.type("/mo")


async def menu(p):
    await p.type("/")


async def picking(p):
    await go(p)
    await p.type("number 7")


async def opened_up(p):
    await p.press("ctrl+t", "ctrl+o")


async def thinking_open(p):
    await go(p)
    await p.press("ctrl+t")


async def finding(p):
    await p.press("ctrl+f")
    await p.type("Answer 2")
    await p.press("up")


async def rewinding(p):
    p.shell.dispatch(s.RewindPressed())


async def back(p):
    await p.press("pageup")


def failed():
    asked = talk("What if it rains?")
    return fold(asked, entry(1, "", status=Came.FAILED, error="ollama does not answer at 127.0.0.1",
                             hint="Is it running? ollama serve starts it"))  # fmt: skip


MANY = """# Two days

Take **28** *early*, not ~~late~~; see [times](https://x.example/28) and `code`[^1].

1. first
2. second
   - deeper, with words that go on and on until they wrap
   - [ ] to do
3. third

- [x] done

> quoted
> twice

| what | it says in this column | how much |
|------|:----------------------:|---------:|
| a tram | takes the long way round the castle hill | 3.00 |

![a map](https://maps.example/lisbon.png)

[^1]: A footnote.

```sh
curl https://x.example/28 | jq
```
***
<b>The</b> end.
"""
SCRIPTS = "عربي مع English وعبرية עברית.\n\n- हिन्दी क्षत्रिय\n- ไทย กำลัง\n- é́ ﬁ 👨‍👩‍👧 🇵🇹 👍🏽 1️⃣\n"


def tools():
    parts = (
        Thinking("The person wants the times. I look them up."),
        Text("I look."),
        Call("c1", "read_file", '{"path": "notes/lisbon.md", "lines": 20}'),
        Call("c2", "web", '{"url": "https://x.example/28"}'),
    )
    asked = replace(entry(1, ""), parts=parts)
    told = "# Lisbon\n\nLine 28 first runs at 05:40.\nIt takes 40 minutes."
    return fold_all(talk("When does it run?"), [
        asked,
        ToolReturned(result=Result("c1", "read_file", told), seconds=0.2),
        ToolReturned(result=Result("c2", "web", "no such host", is_error=True)),
        entry(3, "At **05:40**."),
    ])  # fmt: skip


def thoughts():
    words = "The person asks for two days. " * 4
    return [e.Heard(ThinkingDelta(words[at : at + 9])) for at in range(0, len(words), 9)]


def calling():
    return e.Heard(CallDelta(id="c1", name="read_file", arguments='{"path": "notes.md"}'))


def asking():
    shown = 'read_file\n  path: "docs/notes.md"'
    call = Call("c1", "read_file", '{"path": "docs/notes.md"}')
    rule = "read_file(path=docs/*)"
    return e.ApprovalAsked(call, shown, "digest", Risk.READ, "", rule, "read_file", "")


HEADERS = tuple(
    Header(f"id{n}", headline=Headline(title=f"Talk number {n}", messages=n, model="qwen3:8b"))
    for n in range(1, 30)
)
LISTED = e.Listed(HEADERS)
RETRY = e.Waiting("the provider is overloaded (529)", 30.0)
BROKEN = e.Failed("Network", "the connection broke after 3 s", "/retry asks again")

COMPARED = e.Page(
    "Answers compared",
    "",
    (e.Column("answer 1 of 2 · in front", ANSWER), e.Column("answer 2 of 2", HELP)),
)


def retried():
    again = Rewound(to=2, why="retry")
    return fold_all(talk("Why?", "Because."), [again, entry(1, "Because **not**.")])


STATES = {
    "empty": (FakeDesk, nothing),
    "talk": (lambda: FakeDesk(talk("Two days in Lisbon, please.", ANSWER)), nothing),
    "streaming": (lambda: FakeDesk(script={"go": [ASK, *heard(ANSWER[:-20]), 60]}), go),
    "interrupted": (
        lambda: FakeDesk(fold(talk("Go on"), entry(1, "Half an ans", status=Came.INTERRUPTED))),
        nothing,
    ),
    "failed": (lambda: FakeDesk(failed()), nothing),
    "picker": (lambda: FakeDesk(script={"go": [LISTED]}), go),
    "page": (lambda: FakeDesk(script={"go": [e.Page("help", HELP), e.Notice("that is all")]}), go),
    "queued": (lambda: FakeDesk(script={"go": [ASK, *heard("Some words"), 60]}), queue),
    "wide": (
        lambda: FakeDesk(talk("窓際の席 🎉 é", "1. 早い者勝ちです。\n2. ok 🚋\n\n> é ü")),
        nothing,
    ),
    "scrolled": (lambda: FakeDesk(long_talk(30)), back),
    "unsaved": (
        lambda: FakeDesk(
            talk("hi", "ho"),
            status=Status(used=31000, exact=False, save_problem="the disk is full", queued_saves=2),
        ),
        nothing,
    ),
    "typing": (FakeDesk, typing),
    "paste": (FakeDesk, long_paste),
    "completing": (FakeDesk, completing),
    "thinking": (lambda: FakeDesk(script={"go": [ASK, *thoughts(), 60]}), go),
    "thinking-open": (lambda: FakeDesk(script={"go": [ASK, *thoughts(), 60]}), thinking_open),
    "waiting": (lambda: FakeDesk(script={"go": [ASK, 60]}), go),
    "retry": (lambda: FakeDesk(script={"go": [ASK, RETRY, 60]}), go),
    "broken": (lambda: FakeDesk(script={"go": [ASK, BROKEN, 60]}), go),
    "picker-typed": (lambda: FakeDesk(script={"go": [LISTED]}), picking),
    "markdown": (lambda: FakeDesk(talk("Everything, please.", MANY)), nothing),
    "scripts": (lambda: FakeDesk(talk("שלום", SCRIPTS)), nothing),
    "tools": (lambda: FakeDesk(tools()), nothing),
    "tools-open": (lambda: FakeDesk(tools()), opened_up),
    "calling": (lambda: FakeDesk(script={"go": [ASK, *heard("I look."), calling(), 60]}), go),
    "asking": (lambda: FakeDesk(script={"go": [ASK, *heard("I look."), asking(), 60]}), go),
    "menu": (lambda: FakeDesk(talk("hi", "ho")), menu),
    "locked": (lambda: FakeDesk(talk("hi", "ho"), status=Status(following="pid 4711")), nothing),
    "private": (lambda: FakeDesk(status=Status(private=True, store="memory:")), nothing),
    "finding": (lambda: FakeDesk(long_talk(60)), finding),
    "rewinding": (lambda: FakeDesk(long_talk(9)), rewinding),
    "compared": (lambda: FakeDesk(script={"go": [COMPARED]}), go),
    "variants": (lambda: FakeDesk(retried()), nothing),
    "streamed": (lambda: FakeDesk(script={"go": said("go", ANSWER)}), go),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", STATES)
async def test_screen(name, size, accept_screens, capsys):
    desk, act = STATES[name]
    async with pilot(desk(), *size) as p:
        await act(p)
        await p.idle()
        seen = f"{p.text()}\n{'~' * size[0]}\n{looks(p.glass.screen)}\n"
    path = GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"
    known = path.read_text(encoding="utf-8") if path.exists() else ""
    changed = list(difflib.unified_diff(known.split("\n"), seen.split("\n"), path.name, "now"))
    if accept_screens and seen != known:
        path.write_text(seen, encoding="utf-8")
        with capsys.disabled():
            print("", *changed, sep="\n")
        return
    assert seen == known, "\n" + "\n".join(changed)


def looks(screen):
    """A letter for each cell that does not look plain, and what the letters mean."""
    letters: dict[str, str] = {}
    rows = []
    for y in range(screen.lines):
        row = [look(screen.buffer[y][x]) for x in range(screen.columns)]
        rows.append("".join(letters.setdefault(one, chr(97 + len(letters))) if one else " "
                            for one in row).rstrip())  # fmt: skip
    return "\n".join([*rows, *(f"{letter} = {what}" for what, letter in letters.items())])


def look(cell):
    """How a cell looks, in words; "" for plain ones and for plain blanks."""
    on = [name for name in ("bold", "italics", "underscore", "strikethrough", "reverse")
          if getattr(cell, name)]  # fmt: skip
    colours = [word for word in (cell.fg, f"on {cell.bg}") if not word.endswith("default")]
    if cell.data == " " and not {"reverse", "underscore"} & {*on}:
        return ""
    return " ".join([*colours, *on])
