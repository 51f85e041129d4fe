"""All recordings of all dialects, broken off at every single byte.

The bytes are fed one by one; at each place a copy of the reader is told that nothing more comes.
The copy must give a beginning of the same words, and may only call itself complete where the words
are. In the plain suite long recordings are cut at every `STRIDE`th byte; `--soak 2` takes them all.
"""

from __future__ import annotations

import copy
import itertools

import pytest

from chinwag.errors import ProviderError
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.failures import Where
from chinwag.providers.reading import Reading
from chinwag.talk.draft import Draft
from support import shared
from support.recording import calls, drafted, heard

DIALECTS = {
    "openai-chat": OpenAI,
    "anthropic": Anthropic,
    "responses": Responses,
    "gemini": Gemini,
    "ollama-generate": Ollama,
}
EVERY_BYTE = 4000  # bytes; a longer recording is cut at every STRIDEth in the plain suite
STRIDE = 97
WHERE = Where("p", "host", "m")


def recordings():
    index = shared.DATA / "wire" / "INDEX.json"
    if not index.exists():
        return [("absent", "openai-chat")]
    return [(row["file"], row["api"]) for row in shared.load("wire/INDEX.json")]


@pytest.mark.parametrize(("name", "api"), recordings(), ids=str)
def test_cut_at_every_byte(name, api, soak):
    dialect = DIALECTS[api]()
    stream = shared.wire(name)
    whole = drafted(heard(dialect, [stream])[0])
    words, thoughts, asked = whole.text, whole.thinking, calls(whole)
    step = 1 if soak > 1 or len(stream) <= EVERY_BYTE else STRIDE
    reading, draft = Reading(dialect, WHERE), Draft()
    for place, byte in enumerate(stream):
        if reading.over:
            break
        if place % step == 0 or len(stream) - place < 400:
            _judged(copy.deepcopy(reading), draft, words, thoughts, asked)
        for delta in reading.feed(bytes((byte,))):
            draft = draft.add(delta)
    assert draft.text == words


def _judged(reading, draft, words, thoughts, asked):
    for delta in reading.end():
        draft = draft.add(delta)
    assert words.startswith(draft.text)
    assert thoughts.startswith(draft.thinking)
    assert reading.ended == (draft.ended is not None) != (reading.failure is not None)
    if reading.ended:
        assert draft.text == words
        assert [name for name, _ in calls(draft)] == [name for name, _ in asked]
    else:
        assert isinstance(reading.failure, ProviderError)


def test_they_are_all_there():
    found = recordings()
    shared.need(shared.DATA / "wire" / "INDEX.json")
    assert len(found) == 54
    assert {api for _, api in found} == set(DIALECTS)
    assert all(a != b for a, b in itertools.pairwise(sorted(name for name, _ in found)))
