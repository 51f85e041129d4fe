"""Packed bytes to plain ones, a small piece at a time; pure.

Invariants: nobody is asked for packed bytes, but some proxies send them all the same. However much
a byte of them stands for (a thousand to one is easily made), no piece is longer than ``PIECE``, so
what reads them can stop in time. What cannot be unpacked is said, not passed on as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

PIECE: Final = 64 * 1024
"""The most plain bytes at a time."""

_PLAIN: Final = frozenset({"", "identity", "utf-8", "none", "chunked", "aws-chunked"})
"""Not packed, or a word that does not belong into this header and changes nothing."""
_GZIP: Final = 31  # zlib's window bits for a gzip wrapping, for its own, and for none
_ZLIB: Final = 15
_BARE: Final = -15
_TELLING: Final = 2
"""Bytes that tell what a packing is wrapped in."""
_MEMBER: Final = b"\x1f\x8b"


class Garbled(ValueError):
    """The bytes are not what their header says they are."""


def coding_of(header: str) -> str:
    """What has to be undone for a `content-encoding` header; empty where nothing has."""
    codings = [c for c in (c.strip().lower() for c in header.split(",")) if c not in _PLAIN]
    return ", ".join(codings)


def is_known(coding: str) -> bool:
    """Whether ``coding`` can be undone here."""
    return coding in ("", "gzip", "x-gzip", "deflate")


class Unpacking:
    """Undoes one packing, gzip or deflate. What follows its end is padding, and passed over."""

    __slots__ = ("_head", "_inner", "_is_gzip", "_members")

    def __init__(self, coding: str) -> None:
        self._is_gzip = coding != "deflate"
        self._head = b""
        self._inner: Any = None
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of ``data``, in pieces. Raises ``Garbled``, after what was still good."""
        full = False
        while data or full:
            if self._inner is None:
                data, self._head = self._head + data, b""
                if len(data) < _TELLING:
                    self._head = data
                    return
                if not self._begins(data):
                    return
            piece, data = self._step(data)
            # A full piece: more may wait inside, without any byte left outside.
            full = len(piece) == PIECE and self._inner is not None
            if piece:
                yield piece

    def _begins(self, data: bytes) -> bool:
        """Whether a packed member begins with ``data``; gzip may have many."""
        if self._members and not (self._is_gzip and data.startswith(_MEMBER)):
            return False
        bits = _GZIP if self._is_gzip else _ZLIB if _is_wrapped(data) else _BARE
        self._inner = _inflating(bits)
        self._members += 1
        return True

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        """A piece, and the packed bytes that are left."""
        import zlib

        inner = self._inner
        try:
            piece = inner.decompress(data, PIECE)
        except zlib.error as error:
            raise Garbled(str(error)) from error
        if inner.eof:
            self._inner = None
            return piece, inner.unused_data
        return piece, inner.unconsumed_tail


def _is_wrapped(data: bytes) -> bool:
    """Whether ``data`` begins as zlib wraps it: some servers leave that out."""
    return data[0] & 15 == 8 and (data[0] << 8 | data[1]) % 31 == 0


def _inflating(bits: int) -> Any:
    import zlib

    return zlib.decompressobj(bits)
