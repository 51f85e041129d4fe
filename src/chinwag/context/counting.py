"""How many tokens is this: exact where the tokenizer is known, marked inexact where it is not.

Invariants: counting never uses the network and never raises, whatever the text; an exact count is
tiktoken's own, anything else says so; nothing heavy is imported before `load`. A count made without
the model's own tokenizer is kept raw wherever it is stored, and bettered on reading by what servers
have reported (`corrected`), so what was learnt later betters what was counted earlier.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final, Protocol

import msgspec

RANKS: Final = Path(__file__).with_name("ranks")
#: Encoding to (tiktoken's cache name, sha256): what is in `ranks/`, see ORIGIN.md there.
FILES: Final = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
#: What stands in for a tokenizer nobody knows.
STAND_IN: Final = "o200k_base"

#: Tokens each message costs beside its text and role, and what primes the reply, once a request
#: (published by OpenAI for its chat models).
PER_MESSAGE: Final = 3
REPLY_PRIMER: Final = 3

#: Reports outside these bounds say more about hidden prompts or pictures than about the tokenizer.
LEAST_RATIO: Final = 0.5
MOST_RATIO: Final = 5.0  # a tokenizer that knows single bytes only makes about four of one
#: Below this many tokens a report is mostly overhead, and teaches nothing.
LEAST_LESSON: Final = 20
#: Texts counted lately: the system prompt and the newest message are asked about many times a turn.
MOST_REMEMBERED: Final = 64
LONGEST_REMEMBERED: Final = 20_000
#: Models whose lessons are kept from run to run.
MOST_LEARNT: Final = 500

#: tiktoken's regular expression gives up (a Rust panic, written over the screen) on runs of white
#: space from about a million characters. Shorter texts need no look at all.
UNGUARDED: Final = 900_000
LONGEST_RUN: Final = 100_000

# Patterns are compiled (and kept by `re`) when they are first used: a start needs few of them.
_SPACE = r"\s+"
_O200K = r"(gpt-4o|gpt-4\.\d|gpt-5(\.\d+)?|gpt-oss|chatgpt|codex|o[134])(?![a-z0-9])"
_CL100K = (
    r"(gpt-4(?!\.\d)|gpt-4-32k|gpt-3\.5|gpt-35|text-embedding|davinci-002|babbage-002)(?![a-z0-9])"
)


class Count(msgspec.Struct, frozen=True):
    """A number of tokens, and whether it is the model's own count or a likely one."""

    tokens: int
    exact: bool

    def __add__(self, other: Count) -> Count:
        return Count(self.tokens + other.tokens, self.exact and other.exact)

    def __str__(self) -> str:
        return f"{self.tokens:,}" if self.exact else f"~{self.tokens:,}"


NOTHING: Final = Count(0, exact=True)


@lru_cache(maxsize=512)
def encoding_name(model: str) -> str | None:
    """tiktoken's encoding for ``model``, or None where its tokenizer is not known.

    Understands ``provider/model``, ``provider:model``, fine-tunes (``ft:gpt-4o:…``) and dates.
    """
    for name in _spellings(model.strip().lower()):
        if re.match(_O200K, name):
            return "o200k_base"
        if re.match(_CL100K, name):
            return "cl100k_base"
    return None


def _spellings(model: str) -> tuple[str, ...]:
    bare = model.rsplit("/", 1)[-1]
    return (bare, bare.partition(":")[2].removeprefix("ft:"))


# --- the estimate, for as long as no tokenizer is loaded ------------------------------------------

# Characters a token, by kind, as o200k_base has it over everyday text.
_KINDS: Final = (
    (r"[A-Za-z]+", 4.2),
    (r"[0-9]+", 2.9),
    (r"[!-/:-@\[-`{-~]+", 1.5),
    (r"\s\s+", 6.0),
    (r"[\u00a1-\u1cff]+", 2.5),
    (r"[\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]+", 1.35),
    (r"[\u2000-\u2e7f\ue000-\uf8ff\ufe00-\uffff\U0001f000-\U0001ffff]+", 0.75),
)
ASCII_KINDS: Final = 4
#: Of a longer text as many characters are looked at, in parts of so many from all over it.
LOOKED_AT: Final = 200_000
SAMPLED: Final = 1_000


def estimate(text: str) -> int:
    """A likely number of tokens, looking only at which scripts ``text`` is written in."""
    if not text:
        return 0
    seen = text if len(text) <= LOOKED_AT else _sample(text)
    kinds = _KINDS[:ASCII_KINDS] if seen.isascii() else _KINDS
    total = sum(sum(map(len, re.findall(kind, seen))) / each for kind, each in kinds)
    return max(1, round(total * len(text) / len(seen)))


def _sample(text: str) -> str:
    """Parts from all over a giant text: to look at every letter would hold up the keys."""
    step = len(text) * SAMPLED // LOOKED_AT
    return "".join(text[at : at + SAMPLED] for at in range(0, len(text), step))


# --- the tokenizer --------------------------------------------------------------------------------


class Encoding(Protocol):
    """The one method of tiktoken's that is used. It takes special tokens for plain text."""

    def encode_ordinary(self, text: str) -> list[int]: ...


def pieces(text: str) -> Iterator[str]:
    """``text`` cut so that no piece can make tiktoken panic; nearly always in one piece."""
    start = 0
    if len(text) > UNGUARDED:
        for run in re.finditer(_SPACE, text):
            for cut in range(run.start() + LONGEST_RUN, run.end(), LONGEST_RUN):
                yield text[start:cut]
                start = cut
    yield text[start:]


def encoded(text: str, encoding: Encoding) -> Count:
    """``text`` counted by ``encoding``; inexact where it had to be cut or could not be read."""
    total, cuts = 0, -1
    for piece in pieces(text):
        cuts += 1
        try:
            total += len(encoding.encode_ordinary(piece))
        except BaseException as panic:  # a Rust panic is no Exception
            if type(panic).__name__ != "PanicException":
                raise
            return Count(estimate(text), exact=False)
    return Count(total, exact=cuts == 0)


def intact(folder: Path, name: str) -> bool:
    """Whether ``folder`` holds the ranks of ``name`` whole, else tiktoken would fetch them."""
    file, digest = FILES[name]
    try:
        return hashlib.sha256((folder / file).read_bytes()).hexdigest() == digest
    except OSError:
        return False


def rank_folder(name: str) -> Path | None:
    """The person's own tiktoken cache where it holds ``name``, else ours, else None."""
    own = os.environ.get("TIKTOKEN_CACHE_DIR")
    places = [Path(own)] if own else []
    return next((p for p in [*places, RANKS] if intact(p, name)), None)


@contextmanager
def _cache_at(folder: Path) -> Iterator[None]:
    before = os.environ.get("TIKTOKEN_CACHE_DIR")
    os.environ["TIKTOKEN_CACHE_DIR"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TIKTOKEN_CACHE_DIR"]
        else:
            os.environ["TIKTOKEN_CACHE_DIR"] = before


_loading = threading.Lock()


def _load(name: str) -> Encoding | None:
    with _loading:  # the environment is the process's: one loader at a time
        folder = rank_folder(name)
        if folder is None:
            return None
        import tiktoken

        with _cache_at(folder):
            return tiktoken.get_encoding(name)


def _ratios(data: bytes | None) -> dict[str, float]:
    """What an earlier run had learnt; anything else than that teaches nothing."""
    try:
        found = msgspec.json.decode(data or b"{}", type=dict[str, float])
    except msgspec.DecodeError:
        return {}
    return {model: r for model, r in found.items() if LEAST_RATIO <= r <= MOST_RATIO}


def _count(text: str, name: str | None, encoding: Encoding | None) -> tuple[int, str]:
    if encoding is None:
        return estimate(text), ""
    counted = encoded(text, encoding)
    return counted.tokens, name if name and counted.exact else ""


class Counter:
    """Counts for every model. Estimates until `load`, which takes about 0.2 s and is for a thread.

    Safe to use from several threads.
    """

    def __init__(self, learnt: Callable[[], bytes | None] = lambda: None) -> None:
        """``learnt`` gives what `learnt` of an earlier run gave; asked when it is first needed."""
        self._encodings: dict[str, Encoding] = {}
        self._missing: set[str] = set()
        self._earlier: Callable[[], bytes | None] | None = learnt
        self._ratios: dict[str, float] = {}
        self._changed = False
        self._remembered: dict[tuple[str, str | None, bool], tuple[int, str]] = {}

    def ready(self, model: str) -> bool:
        """Whether nothing better would come of loading: the tokenizer is here, or cannot be."""
        name = encoding_name(model) or STAND_IN
        return name in self._encodings or name in self._missing

    def load(self, model: str) -> None:
        """Load the tokenizer ``model`` is counted with. Blocks; again is free; never raises for a
        damaged installation, which goes on with estimates."""
        if self.ready(model):
            return
        name = encoding_name(model) or STAND_IN
        encoding = _load(name)
        if encoding is None:
            self._missing.add(name)
        else:
            self._encodings[name] = encoding

    def count(self, text: str, model: str) -> tuple[int, str]:
        """(tokens as counted, name of the tokenizer); the name is "" for anything inexact.

        This is the form to store: see `corrected`.
        """
        name = encoding_name(model)
        encoding = self._encodings.get(name or STAND_IN)
        if len(text) > LONGEST_REMEMBERED:
            return _count(text, name, encoding)
        key = (text, name, encoding is None)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered = {}
            found = self._remembered[key] = _count(text, name, encoding)
        return found

    def count_text(self, text: str, model: str) -> Count:
        """``text`` for ``model``, corrected by what was learnt. Never raises."""
        tokens, tokenizer = self.count(text, model)
        if tokenizer:
            return Count(tokens, exact=True)
        return Count(self.corrected(model, tokens), exact=False)

    def count_message(self, parts: list[str], role: str, model: str) -> Count:
        """One message: its parts as text, its role and what wraps it. `REPLY_PRIMER` comes on top
        once a request."""
        words = (self.count_text(part, model) for part in [*parts, role])
        return sum(words, Count(PER_MESSAGE, exact=True))

    def learn(self, model: str, estimated: int, reported: int) -> None:
        """A server counted ``reported`` tokens where `count` had said ``estimated``.

        The first report is believed, later ones move half-way. Where the tokenizer is known, and
        for reports too small to teach, nothing changes.
        """
        held = self._known().get(model)
        if encoding_name(model) is None and min(estimated, reported) >= LEAST_LESSON:
            seen = min(max(reported / estimated, LEAST_RATIO), MOST_RATIO)
            self._ratios[model] = seen if held is None else (held + seen) / 2
            self._changed = True

    def ratio(self, model: str) -> float:
        """What raw, inexact counts for ``model`` are multiplied by; 1 until something is learnt."""
        return self._known().get(model, 1.0)

    def learnt(self) -> bytes | None:
        """What is worth keeping for the next run, as JSON; None where nothing new was learnt."""
        if not self._changed:
            return None
        newest = list(self._ratios.items())[-MOST_LEARNT:]
        return msgspec.json.encode({model: round(ratio, 4) for model, ratio in newest})

    def _known(self) -> dict[str, float]:
        if self._earlier is not None:
            data, self._earlier = self._earlier(), None
            self._ratios = _ratios(data)
        return self._ratios

    def corrected(self, model: str, estimated: int) -> int:
        """A raw, inexact count for ``model`` bettered by what servers have reported."""
        return round(estimated * self.ratio(model))
