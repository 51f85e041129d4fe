"""A draft is counted as it is typed, and always as the whole would be."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.context.counting import Counter
from chinwag.context.drafting import DraftCount, pieces

COUNTER = Counter()
MODELS = ["gpt-5-mini", "gpt-4"]  # o200k_base and cl100k_base


@pytest.fixture(scope="module", autouse=True)
def _tables():
    for model in MODELS:
        COUNTER.load(model)


WORDS = st.sampled_from(
    [
        "the tram",
        "  ",
        "\n",
        "\n\n",
        "don't",
        "I'LL",
        "1234567",
        "x = y[3];",
        "世界",
        "。",
        "，你好",
        "👩‍👩‍👧",
        "é",
        "e\u0301",
        "\t",
        "...",
        "https://a.b/c?d=1",
        "ДА нет",
        "\r\n",
        "_a_",
        " 5",
        "/",
    ]
)
TEXTS = st.lists(WORDS | st.text(max_size=6), max_size=60).map("".join)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 12), st.sampled_from(MODELS))
def test_the_pieces_count_as_the_whole(text, size, model):
    parted = list(pieces(text, size))
    assert "".join(parted) == text
    whole, _ = COUNTER.count(text, model)
    assert sum(COUNTER.count(piece, model)[0] for piece in parted) == whole


EDITS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.2), TEXTS), max_size=12)


@settings(deadline=None)
@given(TEXTS, EDITS, st.sampled_from(MODELS))
def test_after_any_edits_the_count_is_that_of_the_text(text, edits, model):
    draft = DraftCount()

    def count(piece):
        return COUNTER.count(piece, model)

    text = text * 30
    assert draft.count(text, model, count) == count(text)
    for where, span, new in edits:
        start = int(where * len(text))
        text = text[:start] + new + text[start + int(span * len(text)) :]
        assert draft.count(text, model, count) == count(text)


def test_one_more_key_counts_a_piece_and_not_the_whole():
    draft, counted = DraftCount(), []

    def count(piece):
        counted.append(len(piece))
        return COUNTER.count(piece, "gpt-5-mini")

    text = "the tram leaves at nine, they say. " * 600
    draft.count(text, "m", count)
    for place in (len(text), 0, len(text) // 2):
        counted.clear()
        draft.count(text[:place] + "x" + text[place:], "m", count)
        assert sum(counted) < 2000
        draft.count(text, "m", count)


def test_another_tokenizer_counts_anew():
    draft = DraftCount()
    assert draft.count("one two", "a", lambda text: (len(text), "letters")) == (7, "letters")
    assert draft.count("one two", "b", lambda text: (len(text.split()), "")) == (2, "")
    assert draft.count("", "b", lambda text: (len(text.split()), "")) == (0, "")
