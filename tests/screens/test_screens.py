"""What the eye sees at four sizes, against `golden/`; `--accept-screens` takes it as right."""

import time
from pathlib import Path

import pytest

from chinwag.talk import event as e
from chinwag.talk.entry import Status as Came
from chinwag.talk.session import Header, Headline, fold
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


async def back(p):
    await p.press("pageup")


def failed():
    asked = talk("What if it rains?")
    return fold(asked, entry(1, "", status=Came.FAILED, error="ollama does not answer at 127.0.0.1",
                             hint="Is it running? ollama serve starts it"))  # fmt: skip


HEADERS = tuple(
    Header(f"id{n}", headline=Headline(title=f"Talk number {n}", messages=n, model="qwen3:8b"))
    for n in range(1, 30)
)
LISTED = e.Listed(HEADERS)

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
    "streamed": (lambda: FakeDesk(script={"go": said("go", ANSWER)}), go),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", STATES)
async def test_screen(name, size, accept_screens):
    desk, act = STATES[name]
    async with pilot(desk(), *size) as p:
        await act(p)
        await p.idle()
        seen = p.text() + "\n"
    path = GOLDEN / f"{name}-{size[0]}x{size[1]}.txt"
    if accept_screens:
        path.write_text(seen, encoding="utf-8")
    assert path.exists(), f"no golden screen yet; this is it:\n{seen}"
    assert seen == path.read_text(encoding="utf-8")
