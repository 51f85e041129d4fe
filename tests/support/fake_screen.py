"""The screen in a real terminal, in front of a desk that plays: `python -m support.fake_screen`.

`slow`, `code`, `list`, `words N`, `think` are answered in kind; `--messages N` opens a long talk.
Run it in `tests` with the project's Python.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from chinwag.frontends.tui.farewell import farewell
from chinwag.frontends.tui.shell import Shell
from chinwag.talk import event as e
from chinwag.talk.delta import Ended, Stop, TextDelta, ThinkingDelta
from support.fakes import FakeDesk, Step, blank, entry, long_talk

SAMPLE = """# Two days in Lisbon

Take line **28** before nine; it is *covered* all the way. See [the timetable](https://x.example/28).

1. Start at Martim Moniz.
2. Stay on until Estrela:
   - the basilica
   - the garden, with `café`

> The early bird gets the window seat. 窓際の席 👨‍👩‍👧 🇵🇹

| line | first | every |
|------|------:|-------|
| 28   | 05:40 | 11 min |
| 15E  | 06:00 | 9 min |

```python
import httpx

async def tram(line: str) -> dict:
    \"\"\"Times of a line.\"\"\"
    return (await httpx.AsyncClient().get(f"https://x.example/{line}")).json()  # TODO no
```

That is *all*.
"""


class PlayDesk(FakeDesk):
    def echo(self, line: str) -> list[Step]:
        word, _, rest = line.partition(" ")
        steps = answers(word, int(rest) if rest.isdigit() else 2000)
        return [
            lambda desk: desk.settle(entry(0, line)),
            e.Requested("ollama", "qwen3:8b", 12, exact=True),
            0.3,
            *steps,
            e.Heard(Ended(Stop.END)),
            lambda desk: desk.answered(),
        ]


def answers(word: str, count: int) -> list[Step]:
    pieces: Sequence[str] = [SAMPLE[at : at + 4] for at in range(0, len(SAMPLE), 4)]
    match word:
        case "words":
            made = [e.Heard(TextDelta("word " if n % 40 else "end.\n\n")) for n in range(count)]
            return [
                step
                for n, one in enumerate(made)
                for step in ([one, 0.0] if n % 50 == 0 else [one])
            ]
        case "code":
            return [e.Heard(TextDelta("```python\n")), *timed(["x = compute(1, 'a')\n"] * count)]
        case "list":
            return timed([f"- item {n}\n" for n in range(count)])
        case "think":
            return [
                *(step for n in range(80) for step in (e.Heard(ThinkingDelta(f"so {n}, ")), 0.02)),
                *timed(pieces),
            ]
        case _:
            return timed(pieces)


def timed(pieces: Sequence[str]) -> list[Step]:
    return [step for piece in pieces for step in (e.Heard(TextDelta(piece)), 0.01)]


async def main() -> None:
    asked = argparse.ArgumentParser()
    asked.add_argument("--messages", type=int, default=0)
    asked.add_argument("--theme", default="auto")
    asked.add_argument("--vi", action="store_true")
    given = asked.parse_args()
    session = long_talk(given.messages) if given.messages else blank()
    desk = PlayDesk(session, lines=["an older line", "a younger line"])
    await Shell(desk, theme=given.theme, vi=given.vi).run()
    sys.stdout.write(farewell(desk.session, 80))


if __name__ == "__main__":
    asyncio.run(main())
