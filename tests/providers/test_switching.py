"""A talk that goes from one provider to another in the middle: nothing is refused or lost."""

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
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.event import Settled
from chinwag.talk.message import Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Session, begin, fold_all
from properties.test_talk import BIRTH, entries, histories, parts
from support import strict
from support.engine import ListKeeper, conversation

DIALECTS = {d.name: d for d in (OpenAI(), Responses(), Anthropic(), Gemini(), Ollama(), LlamaCpp())}
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
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)


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
            return Thinking(text, signed, f"{home}/m", sealed) if home else part
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
            ids = ["", "call_1", "call_1", "toolu-" + "x" * 44, name]
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


# Most random histories say little: half of them are of nothing but questions and answers.
spoken = st.lists(
    st.builds(UserSaid, parts=parts)
    | st.builds(AssistantSaid, parts=parts, status=st.sampled_from(Status))
    | entries,
    min_size=2,
    max_size=8,
)
talks = st.builds(
    lambda history, luck: with_results(map(real, history), itertools.cycle(luck).__next__),
    histories | spoken,
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


@pytest.mark.parametrize("source", ["gemini/gemini-3-pro", "elsewhere/gemini-3-pro"])
def test_a_second_server_of_one_kind_gets_no_signature_of_the_first(source):
    name, _, model = source.partition("/")
    signature = strict.sign(name, strict.of_call("clock", {"zone": "utc"}))
    call = Call("c1", "clock", '{"zone": "utc"}', signature, source)
    said = AssistantSaid(parts=(call,), provider=name, model=model)
    session = fold_all(begin(), [UserSaid(parts=(Text("When?"),)), said])
    _, body = sent("gemini", session)
    strict.check("gemini", body, "gemini", MODELS["gemini"])
    assert (signature in json.dumps(body)) is (name == "gemini")


# --- twelve turns, a server at each ----------------------------------------------------------

TURNS = (  # what is said ("" = the results are to be answered), and which calls get a result
    ("Please think, then call the tools.", (0, 1)),
    ("", ()),
    ("Now think aloud.", ()),
    ("I cut you off while you think.", ()),
    ("Please call them again.", (1,)),
    ("And what did you find?", ()),
    ("This will fail.", ()),
    ("think, and hang in the middle.", ()),
    ("think first, then call both.", ()),
    ("Go on without them.", ()),
    ("think and call once more.", (1, 0)),
    ("", ()),
)
OUTCOMES = {"cut": Status.PARTIAL, "fail": Status.FAILED, "hang": Status.INTERRUPTED}


class Journey:
    """A talk through six strict servers, and everything that was settled on the way."""

    def __init__(self, servers, options):
        self.servers = servers
        self.keeper = ListKeeper()
        players = [provider(name, server) for name, server in servers.items()]
        self.players = players
        self.talk = conversation(*players, keeper=self.keeper, options=options)
        self.settled = []
        self.hanging = False

    def hear(self, event):
        if isinstance(event, Settled):
            self.settled.append(event.entry)
        if self.hanging and isinstance(getattr(event, "delta", None), TextDelta):
            self.talk.interrupt()

    async def turn(self, who, words):
        self.talk.choose(who, MODELS[who], self.hear)
        self.hanging = "hang" in words
        if words:
            await self.talk.say(words, self.hear)
        else:
            await self.talk.answer(self.hear)
        answer = self.talk.session.entries[-1]
        assert isinstance(answer, AssistantSaid)
        assert answer.provider == who
        wanted = next((s for word, s in OUTCOMES.items() if word in words), Status.COMPLETE)
        assert answer.status is wanted, (who, words, answer.error)
        return answer

    def returned(self, answer, which):
        calls = [p for p in answer.parts if isinstance(p, Call)]
        for at in which:
            call = calls[at]
            result = Result(call.id, call.name, f"result of {call.id}", is_error=at == 1)
            self.talk.settle(ToolReturned(result=result), self.hear)

    async def end(self):
        for player in self.players:
            await player.aclose()


def provider(name, server):
    endpoint = Endpoint(name=name, base_url=server.url, key=lambda: strict.KEY, needs_key=True)
    return HttpProvider(endpoint, DIALECTS[name])


@pytest.fixture
def servers():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(strict.Server(name)) for name in DIALECTS}


@pytest.mark.parametrize("start", range(6))
@pytest.mark.parametrize("step", [1, 5])
async def test_twelve_turns_through_six_dialects(servers, start, step):
    names = list(DIALECTS)
    thinking = Options(reasoning="high", temperature=0.7) if (start + step) % 2 else Options()
    journey = Journey(servers, thinking)
    for n, (words, which) in enumerate(TURNS):
        answer = await journey.turn(names[(start + n * step) % 6], words)
        assert not any(server.refusals for server in servers.values())
        if "call" in words:
            assert len([p for p in answer.parts if isinstance(p, Call)]) == 2
        if "think" in words and answer.status is Status.COMPLETE:
            assert any(isinstance(p, Thinking) and p.text for p in answer.parts)
        journey.returned(answer, which)
    for name in names:  # each of them once more: what it is told, and what of its own it gets back
        await journey.turn(name, f"Sum up, {name}.")
    await journey.end()
    assert {name: server.refusals for name, server in servers.items()} == {n: [] for n in names}
    assert_nothing_lost(journey)
    assert_all_told(journey)


def assert_nothing_lost(journey):
    session = journey.talk.session
    assert list(session.entries) == journey.settled
    assert journey.keeper.sessions[session.id] == journey.settled
    parts = [p for e in journey.settled if isinstance(e, AssistantSaid) for p in e.parts]
    assert sum(isinstance(p, Call) for p in parts) == 8
    assert sum(isinstance(e, ToolReturned) for e in journey.settled) == 5


def assert_all_told(journey):
    """The last request to each server holds all that was said, and of thinking its own alone."""
    signed = [
        (p.source.partition("/")[0], p.signature or p.redacted)
        for e in journey.settled
        if isinstance(e, AssistantSaid)
        and any(isinstance(p, Text | Call) for p in e.parts)  # thinking that led to nothing stays
        for p in e.parts
        if isinstance(p, Thinking) and (p.signature or p.redacted)
    ]
    for name, server in journey.servers.items():
        last = json.dumps(server.bodies[-1])
        until = next(n for n, e in enumerate(journey.settled) if said(e) == f"Sum up, {name}.")
        for entry in journey.settled[: until + 1]:
            assert said(entry) in last.replace("Error: ", "")
        for source, signature in signed:
            before = any(signature in json.dumps(b) for b in server.bodies)
            assert before is (source == name), (name, source, signature)


def said(entry):
    return entry.text if isinstance(entry, UserSaid | AssistantSaid | ToolReturned) else ""
