"""What the bytes of an attachment become: told by the bytes, never by the name."""

import base64

import pytest

from chinwag.errors import UsageError
from chinwag.talk.attachment import LIMIT, is_pdf, part_of
from chinwag.talk.message import File, Image


@pytest.mark.parametrize(
    ("data", "kind", "mime"),
    [
        (b"\x89PNG\r\n\x1a\nrest", Image, "image/png"),
        (b"\xff\xd8\xffrest", Image, "image/jpeg"),
        (b"RIFF1234WEBPrest", Image, "image/webp"),
        (b"%PDF-1.7\n\xe2\xe3", File, "application/pdf"),
        ("näher".encode(), File, "text/plain"),
        (b"", File, "text/plain"),
    ],
)
def test_the_first_bytes_tell(data, kind, mime):
    part = part_of("a.bin", data)
    assert (type(part), part.mime) == (kind, mime)
    if mime == "text/plain":
        assert part.text == data.decode()
    else:
        assert base64.b64decode(part.data) == data
    assert not isinstance(part, File) or is_pdf(part) == (mime == "application/pdf")


@pytest.mark.parametrize("data", [b"PK\x03\x04\xff", b"\xff" * 9, b"a" * (LIMIT + 1)])
def test_anything_else_is_refused_in_words(data):
    with pytest.raises(UsageError, match=r"a\.zip"):
        part_of("a.zip", data)
