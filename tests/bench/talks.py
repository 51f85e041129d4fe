"""Long sessions, written through the store's own door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from chinwag.stores.files import FileStore
from chinwag.talk.delta import Stop
from chinwag.talk.entry import AnyEntry, AssistantSaid, ModelChosen, Titled, UserSaid, new_id, now
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Session, fold_all, new_session_id

ANSWER = """## Tide table {n}

The harbour is *{n}* fathoms deep at noon, which is **less** than the chart says. Ask `tide.py`
before you go in, and keep the lamp on your left hand until the second buoy has been passed.

- first the outer mole
- then the inner one, slowly

```python
def depth(hour: int) -> float:
    return {n} + 2.4 * (hour % 12)
```

That is all there is to know about stone{n}x, the rest is weather, and a good rope.
"""


def talk(messages: int, name: str, first: int = 0) -> tuple[Session, list[AnyEntry]]:
    """A session of so many messages, questions and Markdown answers in turn, numbered on."""
    entries: list[AnyEntry] = [ModelChosen(provider="guide", model="guide"), Titled(title=name)]
    entries += list(_said(messages, first))
    entries = [_marked(entry) for entry in entries]
    session = fold_all(Session(Birth(id=new_session_id(), created=now())), entries)
    return session, entries


def _marked(entry: AnyEntry) -> AnyEntry:
    from msgspec.structs import replace

    return replace(entry, id=new_id(), at=now())


def _said(messages: int, first: int) -> Iterator[AnyEntry]:
    for n in range(first, first + messages // 2):
        question = f"How deep is the harbour at stone {n}, and who keeps the lamp there?"
        yield UserSaid(parts=(Text(question),), tokens=16, tokenizer="o200k_base")
        yield AssistantSaid(
            parts=(Text(ANSWER.format(n=n)),),
            provider="guide",
            model="guide",
            stop=Stop.END,
            tokens=160,
            tokenizer="o200k_base",
            seconds=1.0,
        )


def write(data: Path, messages: int, name: str) -> Session:
    """Put such a session on disk under ``data``."""
    session, entries = talk(messages, name)
    store = FileStore(data)
    store.append(session.birth, entries, at=0, headline=session.headline())
    store.unlock(session.id)
    return session
