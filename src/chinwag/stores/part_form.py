"""The form of an answer that is coming in, as every store keeps it: a head and deltas, one a
line. Pure.

Invariant: what was torn at the end is left out, and nothing after it is taken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from chinwag.stores.base import PartHead
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import AssistantSaid, Status

CUT = "the program ended before the answer did"


def part_head(head: PartHead) -> bytes:
    return codec.dumps(msgspec.to_builtins(head)) + b"\n"


def part_lines(deltas: Iterable[AnyDelta]) -> bytes:
    return b"".join(codec.encode_delta(delta) + b"\n" for delta in deltas)


def read_part(raw: bytes) -> tuple[PartHead, Draft] | None:
    """An answer that was coming in; what was torn at its end is left out. None: nothing there."""
    first, *rest = raw.split(b"\n")
    try:
        head = msgspec.convert(codec.loads(first), PartHead)
    except ValueError:
        return None
    draft = Draft()
    for line in rest:
        if not line:
            continue
        try:
            draft = draft.add(codec.decode_delta(line))
        except ValueError:
            break  # what comes after a torn piece would be out of place
    return head, draft


def read_deltas(raw: bytes, since: int) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
    """The head of an answer that is coming in, and what was heard after ``since`` pieces of it."""
    first, *rest = raw.rpartition(b"\n")[0].split(b"\n")
    try:
        head = msgspec.convert(codec.loads(first), PartHead)
        return head, tuple(codec.decode_delta(line) for line in rest[since:])
    except ValueError:
        return None


def rescued(head: PartHead, draft: Draft, ids: Collection[str]) -> AssistantSaid | None:
    """The answer a part held, marked interrupted; None when it was settled or says nothing."""
    source = f"{head.provider}/{head.model}"
    parts = draft.parts(source)
    if head.id in ids or not parts:
        return None
    served = draft.served_by.model
    return AssistantSaid(
        id=head.id,
        at=head.at,
        parts=parts,
        provider=head.provider,
        model=head.model,
        served=served if served != head.model else "",
        status=Status.INTERRUPTED,
        error=CUT,
        usage=draft.usage,
    )
