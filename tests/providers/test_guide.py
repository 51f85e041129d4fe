"""The guide: what people ask in their own words, and whether the answer is in the answer."""

from __future__ import annotations

import time

import pytest

from chinwag.commands import help as help_room
from chinwag.commands.builtin import TABLE
from chinwag.engine.conversation import CONTINUE
from chinwag.providers.base import Request
from chinwag.providers.guide import Asked, Guide, Index, Passage, compose, pieces, stem, terms
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.message import Message

KNOWN = help_room.facts(
    data_dir="/home/ada/.local/share/chinwag",
    state_dir="/home/ada/.local/state/chinwag",
    config_path="/home/ada/.config/chinwag/config.toml",
)
PASSAGES = help_room.passages(TABLE, KNOWN)
INDEX = Index(Passage(*row) for row in PASSAGES)
CONNECT = "Connect a model"

#: A question, and words that must stand in what is told (not only pointed at).
EVALUATION = (
    ("how do I add a key", "OPENAI_API_KEY"),
    ("how do i set my api token?", "OPENAI_API_KEY"),
    ("where do I put my OpenAI API key", "OPENAI_API_KEY"),
    ("i have an anthropic account, how do I log in", "ANTHROPIC_API_KEY"),
    ("can I keep the key in a password manager", "cmd:pass"),
    ("add another openai compatible server", "base_url"),
    ("switch model", "/model"),
    ("how can I change the model in the middle of a conversation", "/model"),
    ("how to use a different provider", "/provider"),
    ("which models can I use?", "/model"),
    ("set a default model permanently", "CHINWAG_MODEL"),
    ("use ollama", "ollama pull"),
    ("how do I run a model locally without internet", "ollama pull"),
    ("does it work with llama.cpp", "llama-server"),
    ("lm studio", "1234"),
    ("where are my sessions", "/home/ada/.local/share/chinwag/sessions"),
    ("where are conversations stored on disk?", "/home/ada/.local/share/chinwag/sessions"),
    ("how do I resume yesterday's conversation", "--resume"),
    ("reopen an old chat", "--resume"),
    ("continue the last session", "--continue"),
    ("rename this conversation", "/rename"),
    ("give the session a title", "/rename"),
    ("delete a session", "/delete"),
    ("how can i remove an old conversation", "/delete"),
    ("how do I stop an answer", "Esc"),
    ("interrupt the model while it is generating", "Esc"),
    ("how to paste", "A paste never sends by itself"),
    ("how do I paste a lot of code", "A paste never sends by itself"),
    ("quit", "/exit"),
    ("how do I leave?", "/exit"),
    ("how do I get out of here", "/exit"),
    ("new line without sending", "Ctrl+J"),
    ("how do I type multiple lines", "Ctrl+J"),
    ("undo my last message", "/undo"),
    ("i made a mistake in my question, can I change it", "/edit"),
    ("edit an earlier message", "/edit"),
    ("regenerate the answer", "/retry"),
    ("copy the code", "/copy 3"),
    ("how do I copy the last answer to the clipboard", "/copy"),
    ("export to markdown", "/export"),
    ("save the chat as html", "/export"),
    ("change the system prompt", "/system"),
    ("how do i set the temperature", "temperature"),
    ("how many tokens have I used", "/tokens"),
    ("what does it cost", "/cost"),
    ("what is a context window?", "window"),
    ("conversation too long", "/clear"),
    ("clear the conversation", "/clear"),
    ("start a new conversation", "/new"),
    ("is my data private", "telemetry"),
    ("do you send telemetry", "telemetry"),
    ("incognito mode", "--private"),
    ("use it in a shell script", "git diff | chat"),
    ("pipe a file into chat", "git diff | chat"),
    ("json output", "--json"),
    ("exit codes", "130"),
    ("where is the config file", "/home/ada/.config/chinwag/config.toml"),
    ("change key bindings", "[keys]"),
    ("keyboard shortcuts", "/help keys"),
    ("dark theme", "--theme"),
    ("screen reader", "--plain"),
    ("open my editor", "Ctrl+G"),
    ("scroll up", "PgUp"),
    ("error 401", "The key is wrong"),
    ("invalid api key", "The key is wrong"),
    ("rate limit", "429"),
    ("cannot connect to the server", "Is it running"),
    ("the answer was cut off", "/continue"),
    ("disk full", "/save"),
    ("what happens if my computer crashes", "--continue"),
    ("send a message that starts with a slash", "//text"),
    ("behind a proxy", "HTTPS_PROXY"),
    ("fork a conversation", "/fork"),
    ("what is this guide", "no language model"),
    ("what license", "MIT"),
    ("hwo do i swich modle", "/model"),
    ("were are my sesions saved", "/home/ada/.local/share/chinwag/sessions"),
    ("tempreature", "/set temperature"),
    ("how can i see my old messages", "/history"),
    ("bring back what I took back", "/redo"),
    ("how do I use chatgpt here", "OPENAI_API_KEY"),
    ("make the answers longer", "max_tokens"),
    ("what does the tilde mean", "estimate"),
    ("the screen is garbled", "Ctrl+L"),
    ("can two terminals open the same session", "what you said goes on in a copy"),
    ("set persona", "/system"),
    ("my api key doesn't work", "The key is wrong"),
    ("model not found", "/model"),
    ("what happens when the memory of the model is full", "/clear"),
    ("where do my messages get written", "/sessions"),
    ("does the program phone home", "telemetry"),
    ("what commands exist", "/help"),
    ("can I script this", "git diff | chat"),
    ("set up groq", "GROQ_API_KEY"),
)

OFF_TOPIC = (
    "why is the sky blue?",
    "write a haiku about autumn",
    "what is the capital of France",
    "translate 'good morning' into Japanese",
    "solve x^2 = 4",
    "Wie wird das Wetter morgen?",
    "who won the world cup in 1998",
    "recommend a restaurant in Lisbon",
    "fix this python function: def f(x): retrun x",
    "天気はどうですか",
    "42",
)


def told(question, before="", *, spoken=False):
    return compose(INDEX, Asked(question, before, spoken), CONNECT)


def body(question):
    return told(question).partition("See also:")[0]


@pytest.mark.parametrize(("question", "words"), EVALUATION)
def test_the_answer_is_in_the_answer(question, words):
    assert words in body(question)
    assert "I cannot answer that" not in body(question)


@pytest.mark.parametrize("question", OFF_TOPIC)
def test_what_it_does_not_know_it_says(question):
    answer = told(question)
    assert "I cannot answer that" in answer
    assert "no language model" in answer or "not a language model" in answer
    assert "/model" in answer
    assert "OPENAI_API_KEY" in answer


@pytest.mark.parametrize("line", ["hi", "Hello!", "help", "who are you?", "what can I do here"])
def test_a_greeting_introduces_itself(line):
    answer = told(line)
    assert "no language model" in answer
    assert "Where are my sessions?" in answer
    assert CONNECT in answer


def test_every_question_it_suggests_has_an_answer():
    for line in told("hi").splitlines():
        if line.startswith("- ") and line.endswith("?"):
            assert "I cannot answer that" not in told(line[2:]), line


def test_thanks_are_taken():
    assert "welcome" in told("Thanks!")


def test_it_says_what_it_is_in_full_once():
    assert "I am the guide built into this program" in told("switch model")
    later = told("switch model", spoken=True)
    assert "I am the guide" not in later
    assert "no language model" in later


def test_a_question_that_leans_on_the_one_before():
    assert "/system" not in body("can I change that?")
    assert (
        "/system" in told("can I change that?", "what is a system prompt").partition("See also")[0]
    )


def test_an_answer_is_short_enough_to_read():
    for question, _ in EVALUATION:
        assert len(told(question)) < 3500, question


def test_stems_meet():
    assert len({stem(w) for w in ("switch", "switches", "switched", "switching")}) == 1
    assert len({stem(w) for w in ("copy", "copies", "copied")}) == 1
    assert len({stem(w) for w in ("delete", "deleted", "deleting", "deletes")}) == 1
    assert len({stem(w) for w in ("stop", "stopped", "stopping")}) == 1
    assert terms("How do I use the OPENAI_API_KEY?") == ["openai", "api", "key"]
    assert terms("Ctrl+X") == ["ctrl+x"]


def test_nothing_to_search_is_no_trouble():
    empty = Index([])
    assert empty.search("anything") == []
    assert "I cannot answer that" in compose(empty, Asked("keys?", "", False), CONNECT)


def test_it_is_quick():
    start = time.perf_counter()
    index = Index(Passage(*row) for row in PASSAGES)
    for question, _ in EVALUATION:
        index.search(question)
    assert (time.perf_counter() - start) / len(EVALUATION) < 0.05


def request(*texts):
    """A request of turns: user, assistant, user, …"""
    who = (Message.user, Message.assistant)
    return Request("guide", tuple(who[at % 2](text) for at, text in enumerate(texts)))


async def heard(guide, asked):
    return [delta async for delta in guide.stream(asked)]


async def test_it_streams_in_pieces_and_ends():
    guide = Guide(lambda: PASSAGES, rate=0)
    deltas = await heard(guide, request("where are my sessions"))
    assert deltas[-1] == Ended(Stop.END)
    texts = [d.text for d in deltas[:-1] if isinstance(d, TextDelta)]
    assert len(texts) == len(deltas) - 1 > 20
    assert max(map(len, texts)) < 60
    assert "/home/ada/.local/share/chinwag/sessions" in "".join(texts)
    assert deltas == await heard(guide, request("where are my sessions"))


async def test_it_takes_its_time_and_can_be_stopped():
    guide = Guide(lambda: PASSAGES, rate=100)
    stream = guide.stream(request("hi"))
    start = time.perf_counter()
    for _ in range(6):
        await anext(stream)
    assert time.perf_counter() - start >= 0.05
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_it_reads_the_passages_only_when_asked():
    read = []

    def passages():
        read.append(1)
        return PASSAGES

    guide = Guide(passages, rate=0)
    await guide.models()
    await guide.profile("guide")
    assert read == []
    await heard(guide, request("quit"))
    await heard(guide, request("quit"))
    assert read == [1]
    await guide.aclose()


def test_it_goes_on_where_it_was_stopped():
    guide = Guide(lambda: PASSAGES, rate=0)
    whole = guide.answer(request("how do I stop an answer"))
    half = whole[: len(whole) // 2]
    assert half + guide.answer(request("how do I stop an answer", half, CONTINUE)) == whole
    assert "all there is" in guide.answer(request("how do I stop an answer", whole, CONTINUE))


def test_pieces_lose_nothing():
    for text in ("", "a", "a\n\n  b", "x" * 100, " lead", "trail \n"):
        assert "".join(pieces(text)) == text


async def test_it_names_itself():
    guide = Guide(lambda: PASSAGES)
    (model,) = await guide.models()
    assert (model.provider, model.name) == ("guide", "guide")
    assert (await guide.profile("x")).window is None
