"""Counts equal tiktoken's, offline; whatever cannot be exact says so and is near."""

from __future__ import annotations

import os
import random
import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chinwag.context import counting
from chinwag.context.counting import Count, Counter, encoding_name, estimate, pieces
from chinwag.context.drafting import DraftCount

SAMPLES = {
    "prose": "She said that nobody had ever told her about the garden behind the house. " * 8,
    "code": "def f(x: int) -> int:\n    return {'a': x ** 2}.get('a', 0)\n" * 8,
    "german": "Zeig mir bitte den Straßenbahnfahrplan für Fußgänger, auch am Sonntag. " * 8,
    "chinese": "人工智能正在改变我们的生活方式。请问明天里斯本的天气怎么样？" * 8,
    "japanese": "明日のリスボンの天気はどうですか。電車の時刻表を教えてください。" * 8,
    "korean": "내일 리스본의 날씨는 어떻습니까? 기차 시간표를 알려 주세요." * 8,
    "russian": "Какая завтра погода в Лиссабоне? Покажи расписание трамваев. " * 8,
    "arabic": "ما هو الطقس غدا في لشبونة؟ أرني جدول مواعيد الترام. " * 8,
    "emoji": "😀👨‍👩‍👧‍👦🎉❤️ " * 20,
}


@pytest.fixture(scope="module")
def counter() -> Counter:
    made = Counter()
    made.load("gpt-4o")
    made.load("gpt-4")
    return made


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "o200k_base"),
        ("openai/gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openai:gpt-5-mini", "o200k_base"),
        ("openrouter/openai/gpt-4.1-nano", "o200k_base"),
        ("gpt-4.5-preview", "o200k_base"),
        ("gpt-5.1", "o200k_base"),
        ("o1", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("chatgpt-4o-latest", "o200k_base"),
        ("ollama/gpt-oss:20b", "o200k_base"),
        ("ft:gpt-4o:acme::x1", "o200k_base"),
        ("GPT-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("ft:gpt-3.5-turbo:acme::x1", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("anthropic/claude-haiku-5", None),
        ("ollama/qwen3:8b", None),
        ("gpt-4omega", None),
        ("o12", None),
        ("", None),
    ],
)
def test_which_tokenizer(model, name):
    assert encoding_name(model) == name


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
@given(text=st.text(max_size=300))
@example(text="<|endoftext|> and <|im_start|>")
@example(text="a\ud800b")
@example(text="   \n\t\u3000 x")
def test_equals_tiktoken(counter, model, text):
    import tiktoken

    name = encoding_name(model)
    assert name is not None
    right = len(tiktoken.get_encoding(name).encode(text, disallowed_special=()))
    assert counter.count_text(text, model) == Count(right, exact=True)
    assert counter.count(text, model) == (right, name)


MIXED = [(0x20, 0x7E), (0x09, 0x0D), (0xA0, 0x24F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF)]
MIXED += [(0xE00, 0xE7F), (0x2000, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)]
MIXED += [(0x1F300, 0x1FAFF), (0x20000, 0x2A6DF)]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
def test_a_million_characters_of_mixed_scripts_are_counted_as_tiktoken_does(counter, model):
    """In runs of one script, as people write; as a whole, and in the pieces of a draft."""
    import tiktoken

    chance = random.Random(20261126)
    encoding = tiktoken.get_encoding(encoding_name(model))
    ours = theirs = typed = characters = 0
    while characters < 1_000_000:
        runs = [_run(chance) for _ in range(400)]
        text = "".join(runs)
        characters += len(text)
        theirs += len(encoding.encode(text, disallowed_special=()))
        ours += counter.count(text, model)[0]
        typed += DraftCount().count(text, model, lambda p: counter.count(p, model))[0]
    assert ours == theirs
    assert typed == theirs


def _run(chance):
    script = chance.choice(MIXED)
    letters = [chr(chance.randint(*script)) for _ in range(chance.randint(1, 24))]
    return "".join(letters) + chance.choice(("", " ", "\n", ", ", ". "))


def test_known_numbers(counter):
    assert counter.count_text("hello world", "gpt-4").tokens == 2
    assert counter.count_text("tiktoken is great!", "gpt-4").tokens == 6


@pytest.mark.parametrize("text", SAMPLES.values(), ids=SAMPLES)
def test_the_estimate_is_near(counter, text):
    right = counter.count_text(text, "gpt-4o").tokens
    assert 0.75 * right <= estimate(text) <= 1.3 * right


@given(st.text())
def test_the_estimate_never_fails_and_is_nothing_for_nothing(text):
    assert (estimate(text) > 0) == bool(text)


def test_before_loading_a_count_is_an_estimate():
    fresh = Counter()
    assert not fresh.ready("gpt-4o")
    assert fresh.count_text("hello there", "gpt-4o") == Count(estimate("hello there"), exact=False)
    assert fresh.count("hello there", "gpt-4o")[1] == ""


def test_loading_loads_only_what_the_model_needs():
    fresh = Counter()
    fresh.load("gpt-4")
    assert fresh.ready("gpt-4")
    assert not fresh.ready("gpt-4o")


def test_an_unknown_tokenizer_is_counted_by_the_stand_in_and_marked(counter):
    known = counter.count_text("What is Rust?", "gpt-4o")
    assert counter.count_text("What is Rust?", "claude-x") == Count(known.tokens, exact=False)
    assert counter.count("What is Rust?", "claude-x") == (known.tokens, "")


def test_loading_from_many_threads_at_once():
    fresh = Counter()
    threads = [threading.Thread(target=fresh.load, args=(m,)) for m in ["gpt-4o", "gpt-4"] * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fresh.count_text("hello world", "gpt-4").exact
    assert fresh.count_text("hello world", "gpt-4o").exact


def forget(monkeypatch):
    import tiktoken.registry

    monkeypatch.setattr(tiktoken.registry, "ENCODINGS", {})


def no_sockets(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("own", [None, "empty"])
def test_loading_uses_no_network_and_leaves_the_environment_alone(monkeypatch, tmp_path, own):
    forget(monkeypatch)
    no_sockets(monkeypatch)
    if own:
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    before = dict(os.environ)
    fresh = Counter()
    fresh.load("gpt-4")
    assert fresh.count_text("hello world", "gpt-4") == Count(2, exact=True)
    assert dict(os.environ) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_damaged_ranks_mean_estimates_not_a_download(monkeypatch, tmp_path, damage):
    forget(monkeypatch)
    no_sockets(monkeypatch)
    file, _ = counting.FILES["cl100k_base"]
    if damage == "cut":
        (tmp_path / file).write_bytes((counting.RANKS / file).read_bytes()[:-100])
    monkeypatch.setattr(counting, "RANKS", tmp_path)
    fresh = Counter()
    fresh.load("gpt-4")
    assert fresh.ready("gpt-4")
    assert not fresh.count_text("hello world", "gpt-4").exact
    assert (tmp_path / file).exists() == (damage == "cut")


def test_the_persons_own_cache_is_used_where_it_is_whole(monkeypatch, tmp_path):
    file, _ = counting.FILES["cl100k_base"]
    (tmp_path / file).symlink_to(counting.RANKS / file)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    assert counting.rank_folder("cl100k_base") == tmp_path
    assert counting.rank_folder("o200k_base") == counting.RANKS


def test_what_stands_in_the_origin_file_is_true():
    import hashlib

    origin = (counting.RANKS / "ORIGIN.md").read_text()
    for file, digest in counting.FILES.values():
        data = (counting.RANKS / file).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        assert f"`{file}`" in origin
        assert f"{len(data)} | `{digest}`" in origin


# --- white space that would make tiktoken panic ---------------------------------------------------


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
@pytest.mark.parametrize("space", [" ", "\t", "\u00a0"])
def test_a_million_spaces_do_no_harm(counter, capfd, model, space):
    count = counter.count_text("a" + space * 1_100_000 + "b", model)
    assert count.tokens > 1000
    assert not count.exact
    assert capfd.readouterr() == ("", "")


def test_a_long_text_without_such_a_run_is_exact(counter):
    import tiktoken

    text = "so it goes, " * 80_000
    right = len(tiktoken.get_encoding("cl100k_base").encode_ordinary(text))
    assert counter.count_text(text, "gpt-4") == Count(right, exact=True)


def test_pieces_make_up_the_text_and_hold_no_long_run(monkeypatch):
    monkeypatch.setattr(counting, "UNGUARDED", 10)
    monkeypatch.setattr(counting, "LONGEST_RUN", 3)
    text = "ab" + " " * 10 + "cd\n\n\n\n e   f"
    cut = list(pieces(text))
    assert "".join(cut) == text
    assert all(len(run) <= 3 for piece in cut for run in re.findall(counting._SPACE, piece))
    assert list(pieces("a    b")) == ["a    b"]


class PanicException(BaseException):  # the name that pyo3 gives it
    pass


class Broken:
    def __init__(self, error: BaseException) -> None:
        self.error = error

    def encode_ordinary(self, text: str) -> list[int]:
        raise self.error


def test_any_other_panic_of_the_tokenizer_gives_an_estimate():
    assert counting.encoded("hello", Broken(PanicException())) == Count(1, exact=False)  # type: ignore[arg-type]


def test_but_an_interrupt_is_no_panic():
    with pytest.raises(KeyboardInterrupt):
        counting.encoded("hello", Broken(KeyboardInterrupt()))


# --- adding, messages, learning -------------------------------------------------------------------


def test_a_sum_is_exact_when_all_of_it_is():
    assert Count(2, exact=True) + Count(3, exact=True) == Count(5, exact=True)
    assert Count(2, exact=True) + Count(3, exact=False) == Count(5, exact=False)
    assert str(Count(3412, exact=True)) == "3,412"
    assert str(Count(3412, exact=False)) == "~3,412"


def test_a_message_costs_its_words_its_role_and_three(counter):
    assert counter.count_message(["hello world"], "user", "gpt-4") == Count(2 + 1 + 3, exact=True)
    assert counter.count_message([], "user", "gpt-4") == Count(4, exact=True)
    assert not counter.count_message(["hello"], "user", "claude-x").exact


def test_learning_from_what_the_server_reports():
    counter = Counter()
    counter.learn("claude-x", 1000, 1300)
    assert counter.ratio("claude-x") == 1.3
    assert counter.corrected("claude-x", 100) == 130
    counter.learn("claude-x", 1000, 1100)
    assert counter.ratio("claude-x") == pytest.approx(1.2)
    assert counter.ratio("claude-y") == 1.0
    text = "word " * 100
    assert counter.count_text(text, "claude-x").tokens == round(estimate(text) * 1.2)
    assert counter.count(text, "claude-x") == (estimate(text), "")


@pytest.mark.parametrize(
    ("model", "estimated", "reported", "ratio"),
    [
        ("claude-x", 100, 100_000, counting.MOST_RATIO),
        ("claude-x", 100_000, 100, counting.LEAST_RATIO),
        ("claude-x", 3, 9, 1.0),
        ("claude-x", 0, 50, 1.0),
        ("claude-x", 50, 0, 1.0),
        ("gpt-4o", 1000, 1300, 1.0),
    ],
)
def test_learning_has_bounds(model, estimated, reported, ratio):
    counter = Counter()
    counter.learn(model, estimated, reported)
    assert counter.ratio(model) == ratio


def test_nothing_heavy_is_imported_before_loading():
    import subprocess

    code = (
        "import sys; from chinwag.context.counting import Counter; "
        "c = Counter(); c.count_text('hello', 'gpt-4o'); "
        "sys.exit(' '.join({'tiktoken', 'regex', 'requests'} & sys.modules.keys()) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stderr == ""
    assert run.returncode == 0
    assert Path(counting.__file__).is_file()


def test_what_was_learnt_is_kept_for_the_next_run():
    first = Counter()
    assert first.learnt() is None
    first.learn("qwen3", 100, 130)
    second = Counter(first.learnt)
    assert second.corrected("qwen3", 1000) == 1300
    assert second.learnt() is None  # nothing new


@pytest.mark.parametrize("data", [None, b"", b"junk", b"[]", b'{"m": "x"}', b'{"m": 1e9}', b"\xff"])
def test_what_was_kept_may_be_anything(data):
    assert Counter(lambda: data).corrected("m", 1000) == 1000
