"""The README says what is so: every key, and a picture that is the program's."""

from __future__ import annotations

import re

from support import readme, screenshot

RENEW = "out of date: run `.venv/bin/python tests/support/readme.py`"


def test_the_tables_are_those_of_the_program():
    text = readme.README.read_text("utf-8")
    assert readme.renewed(text) == text, RENEW
    assert "`variant-after`" in text


def test_the_picture_is_that_of_the_program():
    """In what can be read on it; looks may change without a new picture."""
    kept = screenshot.PATH.read_text("utf-8")
    assert screenshot.words(kept) == screenshot.words(screenshot.drawn()), (
        "out of date: run `make demo ARGS=--svg`"
    )
    assert "Lisbon" in kept
    assert not re.search(r"(?:href|src|url)\s*[=(]\s*[\"']?https?:", kept), "it loads nothing"


def test_what_the_readme_shows_is_there():
    text = readme.README.read_text("utf-8")
    root = readme.README.parent
    shown = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", text)
    assert "docs/screen.svg" in shown
    assert [path for path in shown if not (root / path).exists()] == []
