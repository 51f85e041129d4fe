"""What a PDF is reckoned to cost: an answer whatever the bytes are, by pages where they show."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.context import documents


def pdf(*objects: bytes) -> str:
    return base64.b64encode(b"%PDF-1.7\n" + b"\n".join(objects)).decode()


PAGE = b"3 0 obj << /Type /Page /Parent 2 0 R >> endobj"
TREE = b"2 0 obj << /Type /Pages /Kids [3 0 R] /Count 2 >> endobj"


@pytest.mark.parametrize(
    ("data", "pages"),
    [
        (pdf(TREE, PAGE, PAGE.replace(b"/Type /Page", b"/Type/Page")), 2),
        (pdf(TREE), 2),  # the pages lie in a packed stream
        (pdf(b"x" * 200_000), 3),
        (pdf(), 1),
        ("", 1),
        ("not base64!", 1),
    ],
)
def test_pages_are_counted_or_guessed(data, pages):
    assert documents.pages(data) == pages


@given(st.binary(max_size=300))
def test_whatever_comes_has_a_price(raw):
    assert documents.tokens(base64.b64encode(raw).decode(), "claude-haiku-5") > 0


def test_a_page_costs_what_the_provider_says():
    data = pdf(PAGE, PAGE)
    assert documents.tokens(data, "gemini-3-flash") == 2 * 258
    assert 2 * 1_500 <= documents.tokens(data, "anthropic/claude-haiku-5") <= 2 * 6_000
