"""A conversation that crosses from one provider to another in the middle: nothing refused or lost."""

import contextlib
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.engine import request as requests
from chinwag.providers.base import Options, Profile
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.talk.delta import Ended, TextDelta
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.event import Settled
from chinwag.talk.message import Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Session, begin, fold_all
from properties.test_talk import BIRTH, histories
from support import strict
from support.engine import ListKeeper, conversation

DIALECTS = {
    d.name: d for d in (OpenAI(), Responses(), Anthropic(), Gemini(), Ollama(), LlamaCpp())
}
MODELS = {
    "openai": "gpt-4o",
    "responses": "gpt-5",
    "anthropic": "claude-sonnet-4-5",
    "gemini": "gemini-3-pro",
    "ollama": "qwen3:8b",
    "llamacpp": "tiny",
}
HOMES = {
    "openai": "https://api.openai.com/v1",
    "responses": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
    "gemini": "https://generativelanguage.googleapis.com",
    "ollama": "http://127.0.0.1:11434",
    "llamacpp": "http://127.0.0.1:8080/v1",
}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


# --- any history at all ----------------------------------------------------------------------


def real(entry):
    """A random entry with what only its owners could have made: signatures, pictures, files."""
    if isinstance(entry, UserSaid | AssistantSaid):
        parts = tuple(real_part(p, n) for n, p in enumerate(entry.parts))
        return type(entry)(**{**fields(entry), "parts": parts})
    return entry


def fields(entry):
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def real_part(part, n):
    match part:
        case Thinking(text=text, signature=luck, source=other):
            home = [*HOMES, ""][(len(text) + len(other)) % 7]
            signed = strict.sign(home, text) if len(luck) % 2 else ""
            if home == "gemini":
                signed = strict.seal(home, text) if len(luck) % 2 else ""
            sealed = strict.seal(home, text) if len(luck) % 3 == 1 else ""
            return Thinking(text, signed or luck, f"{home}/m", sealed) if home else part
        case Image(mime=luck):
            kinds = ["image/png", "image/jpeg", "image/webp", "image/bmp", ""]
            mime = kinds[len(luck) % 5]
            address = "https://example.org/a.png" if len(luck) % 7 == 6 else ""
            return Image(mime=mime, name=luck, data="" if address else PNG, url=address)
        case File(name=name, text=text):
            if text:
                return part
            mime = ["application/pdf", "application/zip", "text/plain"][len(name) % 3]
            return File(mime=mime, name=name, data=PNG)
        case Call(id=name, name=tool, arguments=arguments):
            ids = ["", "call_1", "call_1", "toolu-" + "x" * 60, name]
            return Call(ids[(len(name) + n) % 5], tool, arguments)
        case _:
            return part


def with_results(history, some):
    """Some of the calls answered, as a tool loop would: all, some, twice, or none."""
    out = []
    for entry in history:
        out.append(entry)
        if isinstance(entry, AssistantSaid):
            for call in (p for p in entry.parts if isinstance(p, Call)):
                for _ in range(some()):
                    result = Result(call.id, call.name, call.arguments, is_error=len(out) % 3 == 0)
                    out.append(ToolReturned(result=result))
    return out


talks = st.builds(
    lambda history, luck: with_results(map(real, history), itertools.cycle(luck).__next__),
    histories,
    st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=1, max_size=5),
)
options = st.builds(
    Options,
    temperature=st.sampled_from([None, 0.0, 0.7, 1.5]),
    top_p=st.sampled_from([None, 0.5]),
    top_k=st.sampled_from([None, 40]),
    max_tokens=st.sampled_from([None, 16, 1500, 4000]),
    reasoning=st.sampled_from([None, "off", "low", "high"]),
)
profiles = st.builds(
    Profile,
    sees=st.sampled_from([None, True, False]),
    max_output=st.sampled_from([None, 4096, 64000]),
    thinks=st.sampled_from([None, True]),
)


def sent(dialect, session, chosen=Options(), profile=Profile()):  # noqa: B008
    model = MODELS[dialect]
    made = requests.build(session, model=model, profile=profile, options=chosen)
    endpoint = Endpoint(name=dialect, base_url=HOMES[dialect])
    return made, json.loads(DIALECTS[dialect].encode(made, endpoint, profile).body)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(deadline=None)
@given(talks, options, profiles)
def test_any_history_is_taken(dialect, history, chosen, profile):
    session = fold_all(Session(BIRTH), [*history, UserSaid(parts=(Text("And now?"),))])
    made, body = sent(dialect, session, chosen, profile)
    assert made.messages
    strict.check(dialect, body, dialect, MODELS[dialect])
