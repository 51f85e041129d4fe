"""Answers for a player, as deltas."""

from __future__ import annotations

from chinwag.talk.delta import Ended, Stop, TextDelta


def answer(text):
    return [TextDelta(text), Ended(Stop.END)]
