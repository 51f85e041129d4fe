"""Markdown's marks, taken out of a text that words are looked for in. Pure."""

from __future__ import annotations


def unmarked(text: str) -> str:
    """``text`` about as it is read when it is drawn: without marks for emphasis, code and tables.

    Quick rather than exact: it is for finding words across marks, never for showing.
    """
    for mark in ("**", "*", "__", "`", "~~", "|"):
        if mark in text:
            text = text.replace(mark, "")
    return text
