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
    """Undoes one packing, gzip or deflate."""

    __slots__ = ("_bits", "_fresh", "_inner")

    def __init__(self, coding: str) -> None:
        self._bits = _ZLIB if coding == "deflate" else _GZIP
        self._inner = _inflating(self._bits)
        self._fresh = True

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The plain bytes of ``data``, in pieces. Raises ``Garbled``, after what was still good."""
        full = False
        while data or full:
            piece, data = self._step(data)
            full = len(piece) == PIECE  # then more may wait inside, without any byte left outside
            if piece:
                yield piece

    def _step(self, data: bytes) -> tuple[bytes, bytes]:
        """A piece, and the packed bytes that are left."""
        import zlib

        try:
            piece = self._inner.decompress(data, PIECE)
        except zlib.error as error:
            if self._fresh and self._bits == _ZLIB:  # some leave out the wrapping
                self._bits = _BARE
                self._inner = _inflating(_BARE)
                return b"", data
            raise Garbled(str(error)) from error
        self._fresh = False
        if self._inner.eof:
            left = self._inner.unused_data
            self._inner = _inflating(self._bits)
            return piece, left if left.startswith(_MEMBER) else b""  # else it is padding
        return piece, self._inner.unconsumed_tail


def _inflating(bits: int) -> Any:
    import zlib

    return zlib.decompressobj(bits)
