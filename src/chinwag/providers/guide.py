"""The built-in offline provider: answers from the help texts wiring hands it.

Invariants: it is a search and says so; it never pretends to know what is in none of its passages.
The same question over the same passages gives the same answer, on any machine. It needs no network,
no key and no file of its own; it knows nothing of commands or pages but the passages it was given.

The search: words are stemmed lightly, mended where they are misspelt and widened by synonyms
(users say "token" for key, "leave" for exit), then ranked by BM25 (Robertson & Zaragoza 2009) over
title, keywords and text. How much of a question the best passage covers, by the weight of its
words, decides whether there is an answer at all.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from typing import Final

import msgspec

from chinwag.providers.base import Leave, ModelInfo, Profile, Request, at_once
from chinwag.talk.delta import AnyDelta, Ended, Stop, TextDelta
from chinwag.talk.message import Role

NAME: Final = "guide"
RATE: Final = 200.0  # pieces a second: brisk, and slow enough to be seen coming

# BM25's two knobs, at their usual values, and how much more a title says than a text.
K1: Final = 1.3
B: Final = 0.6
TITLE: Final = 4
KEYWORDS: Final = 3

ENOUGH: Final = 0.5  # share of the question's weight a passage must cover to be an answer
MAYBE: Final = 0.28  # from here on it is told with doubt
STRANGE: Final = 1.4  # how much more a word weighs that nobody here knows
CLOSE: Final = 0.7  # a second passage this near the best one is told too
SAME_SPELLING: Final = 0.82


class Passage(msgspec.Struct, frozen=True):
    """Something that can be told. ``text`` is Markdown; ``command`` shows more of it.

    ``keywords`` are further words it is found by: the page it is from, other names.
    """

    title: str
    text: str
    command: str = ""
    keywords: str = ""


class Hit(msgspec.Struct, frozen=True):
    """A passage with its score; ``covered`` is the share of the question it speaks of, 0 to 1."""

    passage: Passage
    score: float
    covered: float


# -- words ----------------------------------------------------------------------------------------

_WORD: Final = re.compile(r"[a-z0-9]+(?:\+[a-z0-9]+)+|[a-z0-9]+|[^\W_a-z0-9]+")
# Words that tell nothing apart in a question about a program.
_SAYING_NOTHING: Final = """
    a about actually after all already also always am an and any anyone anything app application
    approx are aren around as ask asked asking at be been being but by can cannot chat chinwag
    could couldn did didn disable do does doesn doing don done enable ever exactly exist exists
    few fewer for from get gets getting give go going got had happen happened happens has have
    having he hello help her here hi him his how i if in into is isn it its itself just kind
    know less let like ll look lot made make makes making many may maybe me mean means might
    mine more most much must my need needs never no not now of off on one only or other our over
    own please possible program put quick quickly really s say see shall she should show so some
    somehow something sometimes sort still such t tell than thank thanks that the their them
    then there these they thing things this those through to too turn under up us use used using
    usually ve very view want wants was wasn way ways we well were what whatever when which
    while who whom whose why will wish with work works would wouldn yet you your yours
    """
_STOP: Final = frozenset(_SAYING_NOTHING.split())
_JUMBLED_STOP: Final = frozenset("".join(sorted(w)) for w in _STOP if len(w) > 2)
_QUOTED: Final = re.compile(r'"[^"\n ]* [^"\n ]* [^"\n]*"')
"""A sentence in quotes is an example of what to say, and nothing the passage is about."""

# Groups of words people use for one thing. Any of a group finds the others, at a lower weight.
_SYNONYMS: Final = tuple(
    group.split()
    for group in (
        "key apikey credential secret password login auth authenticate signin token",
        "add connect configure setup set install register enter provide",
        "exit quit leave close bye end stop",
        "resume reopen load open return back restore continue recover",
        "continue resume last latest previous",
        "delete remove erase trash destroy discard drop",
        "clear empty reset wipe forget",
        "switch change choose pick swap select different another other",
        "stop interrupt cancel abort halt break",
        "save store keep persist stored saved kept written location folder directory path disk",
        "session conversation chat talk thread dialog discussion",
        "rename name title call",
        "undo revert rollback back takeback mistake oops",
        "retry regenerate redo again repeat reroll another",
        "edit change modify correct fix rewrite amend",
        "copy clipboard yank",
        "paste insert",
        "export download share write file output convert",
        "newline multiline line break linebreak enter return",
        "send submit enter",
        "message question prompt input",
        "scroll page move up pgup",
        "token count cost price usage limit window context budget money expensive",
        "system prompt instruction persona role behave behaviour",
        "temperature setting option parameter creative random",
        "local offline own machine ollama llama",
        "server service provider vendor company backend",
        "fork branch duplicate",
        "history log transcript earlier past previous",
        "private incognito secret trace privacy telemetry track tracking",
        "pipe script shell stdin batch automate noninteractive",
        "json machine structured",
        "color colour theme dark light",
        "screen display interface window terminal ui",
        "keyboard key shortcut binding hotkey keybinding press",
        "error fail failure broken wrong trouble problem crash",
        "config configuration toml file setting preference",
        "wrong invalid refuse refused unauthorized 401 denied",
        "begin start new fresh first started",
        "find search list lookup",
        "crash kill killed power lost lose loss died",
        "version about license who author",
        "slash command",
        "openai gpt chatgpt",
        "anthropic claude",
        "gemini google",
        "plain accessible accessibility blind reader dumb",
        "mouse click select",
        "editor vim emacs vi external outside",
        "complete completion tab autocomplete suggest",
        "proxy certificate network firewall connection unreachable",
        "id identifier",
        "slow speed fast hang frozen stuck",
        "print answer reply response",
    )
)

_ENDINGS: Final = (
    ("ies", "y"), ("sses", "ss"), ("ches", "ch"), ("shes", "sh"), ("xes", "x"),
    ("ations", "at"), ("ation", "at"), ("ings", ""), ("ing", ""), ("ied", "y"), ("ed", ""),
    ("ly", ""), ("s", ""),
)  # fmt: skip


def stem(word: str) -> str:
    """A word without its ending: enough that `switching`, `switched` and `switch` meet."""
    if len(word) < 4 or word.endswith("ss") or not word.isascii() or "+" in word:
        return word
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 2 + (ending != "s"):
            bare = word[: -len(ending)] + instead
            if len(bare) > 3 and bare[-1] == bare[-2] and bare[-1] not in "lsz":
                bare = bare[:-1]
            return bare.removesuffix("e") if len(bare) > 3 else bare
    return word.removesuffix("e") if len(word) > 3 else word


def terms(text: str) -> list[str]:
    """The words of a text that say something, stemmed."""
    return [stem(w) for w in _WORD.findall(text.lower()) if w not in _STOP]


def _widened() -> dict[str, frozenset[str]]:
    wide: dict[str, set[str]] = {}
    for group in _SYNONYMS:
        stems = {stem(word) for word in group}
        for word in stems:
            wide.setdefault(word, set()).update(stems - {word})
    return {word: frozenset(others) for word, others in wide.items()}


_WIDE: Final = _widened()

# -- the search -----------------------------------------------------------------------------------


class Index:
    """Passages ready to be searched. Building takes some 20 ms."""

    def __init__(self, passages: Iterable[Passage]) -> None:
        self.passages = tuple(passages)
        self._counts = [_counted(p) for p in self.passages]
        self._sizes = [sum(c.values()) for c in self._counts]
        self._mean = sum(self._sizes) / len(self._sizes) if self._sizes else 1.0
        self._spread = Counter(term for c in self._counts for term in c)
        self._vocabulary = sorted(self._spread)

    def search(self, question: str, before: str = "") -> list[Hit]:
        """The passages that speak of ``question``, best first.

        ``before`` is what was asked last: it helps a question that leans on it ("and how do I
        change it?").
        """
        asked = self._mended(terms(question))
        leaning = {t: 0.4 for t in self._mended(terms(before)) if t not in asked}
        if len(asked) > 2:
            leaning = {}
        if not asked and not leaning:
            return []
        weights = dict.fromkeys(asked, 1.0) | leaning
        fit = (at for at, p in enumerate(self.passages) if _is_for(p, asked))
        hits = [self._hit(at, weights) for at in fit]
        found = [hit for hit in hits if hit.score > 0]
        return sorted(found, key=lambda h: -h.score)

    def _mended(self, words: Iterable[str]) -> list[str]:
        """Words as the passages spell them; one nobody knows stays, and counts as unknown."""
        mended = (w if w in self._spread or w in _WIDE else self._nearest(w) for w in words)
        return [w for w in dict.fromkeys(mended) if w]

    def _nearest(self, word: str) -> str:
        if len(word) < 4:
            return "" if "".join(sorted(word)) in _JUMBLED_STOP else word
        import difflib  # 5 ms at every start, for a word that is misspelt

        pool = [w for w in (*self._vocabulary, *_WIDE) if abs(len(w) - len(word)) <= 2]
        return next(iter(difflib.get_close_matches(word, pool, 1, SAME_SPELLING)), word)

    def _weight(self, term: str) -> float:
        """How much a word tells apart (BM25's inverse document frequency)."""
        n, total = self._spread[term], len(self.passages)
        return math.log(1 + (total - n + 0.5) / (n + 0.5))

    def _hit(self, at: int, weights: dict[str, float]) -> Hit:
        score = covered = whole = 0.0
        for term, weight in weights.items():
            own = self._worth(term, at)
            wide = max((self._worth(o, at) for o in _WIDE.get(term, ())), default=0.0)
            importance = self._importance(term) * weight
            whole += importance
            score += weight * max(own, 0.45 * wide)
            covered += importance * (1.0 if own else 0.85 if wide else 0.0)
        share = covered / whole if whole else 0.0
        # All of the question a little beats a part of it often.
        return Hit(self.passages[at], score * share, share)

    def _importance(self, term: str) -> float:
        known = [t for t in (term, *_WIDE.get(term, ())) if self._spread[t]]
        return min((self._weight(t) for t in known), default=self._weight("") * STRANGE) + 0.5

    def _worth(self, term: str, at: int) -> float:
        count = self._counts[at][term]
        if not count:
            return 0.0
        length = K1 * (1 - B + B * self._sizes[at] / self._mean)
        return self._weight(term) * count * (K1 + 1) / (count + length)


def _is_for(passage: Passage, asked: Sequence[str]) -> bool:
    """Pages of reference (`…-json`) are for whoever asks for just that."""
    _, mark, kind = passage.command.rpartition("-json")
    return not mark or kind != "" or "json" in asked


def _counted(passage: Passage) -> Counter[str]:
    counts = Counter(terms(_QUOTED.sub(" ", passage.text)))
    for term in terms(passage.title):
        counts[term] += TITLE
    for term in terms(passage.keywords):
        counts[term] += KEYWORDS
    return counts


# -- the answer -----------------------------------------------------------------------------------

_FIRST: Final = (
    "I am the guide built into this program: no language model, only a search in its help. "
    "I can tell you how things work here."
)
_LATER: Final = "*From the help (I am no language model):*"
_CANNOT: Final = (
    "I cannot answer that. I am the guide built into this program, not a language model: "
    "I only know this program's own help. A model can; here is how to connect one."
)
_UNSURE: Final = "I am not sure I understand; this is the nearest I found in the help."
_ONLY_HELP: Final = (
    "If it was meant for a model: I cannot answer that, I am no language model. "
    "Here is how to connect one."
)
_WELCOME: Final = "You are welcome. Ask whenever something here is unclear."

_GREETING: Final = re.compile(
    r"\W*(hi|hello|hey|hallo|hola|bonjour|salut|ciao|yo|howdy|greetings|good (morning|day|evening)"
    r"|help( me)?|test(ing)?|ping|start|hi there|hello (there|world)|anybody there|are you there"
    r"|what can (you|i) do( here)?|what now|what is this|who are you|what are you"
    r"|are you (an? )?(ai|bot|human|model|language model|llm)|how are you( doing)?)\W*",
    re.IGNORECASE,
)
_THANKS: Final = re.compile(
    r"\W*(thanks?( you)?( (so|very) much)?|thx|ty|cheers|great|nice|cool|ok(ay)?|perfect)\W*",
    re.IGNORECASE,
)
_QUESTIONS: Final = (
    "How do I add an API key?",
    "How do I use a model on my own machine?",
    "Where are my sessions?",
    "How do I stop an answer?",
    "Which keys are there?",
)


class Asked(msgspec.Struct, frozen=True):
    """What a request asks of us: the question, the one before, and whether we have spoken yet."""

    question: str
    before: str
    spoken: bool


def asked(request: Request) -> Asked:
    said = [m.text for m in request.messages if m.role is Role.USER]
    spoken = any(m.role is Role.ASSISTANT for m in request.messages)
    return Asked(said[-1] if said else "", said[-2] if said[1:] else "", spoken)


def compose(index: Index, question: Asked, connect: str) -> str:
    """The answer as Markdown; ``connect`` is the title of the passage on getting a model."""
    if _GREETING.fullmatch(question.question):
        return _greeting(index, connect)
    if _THANKS.fullmatch(question.question):
        return _WELCOME
    hits = index.search(question.question[:2000], question.before[:2000])
    covered = max((h.covered for h in hits[:3]), default=0.0)
    if covered < MAYBE:
        return _off_topic(index, connect)
    if covered < ENOUGH:
        return _doubtful(index, hits[0].passage, connect)
    return "\n\n".join(_found(hits, question.spoken))


def _greeting(index: Index, connect: str) -> str:
    listed = "\n".join(f"- {line}" for line in _QUESTIONS)
    return f"Hello. {_FIRST} Ask me, for instance:\n\n{listed}\n\n{_connecting(index, connect)}"


def _off_topic(index: Index, connect: str) -> str:
    return f"{_CANNOT}\n\n{_connecting(index, connect)}"


def _doubtful(index: Index, nearest: Passage, connect: str) -> str:
    return f"{_UNSURE}\n\n{_told(nearest)}\n\n{_ONLY_HELP}\n\n{_connecting(index, connect)}"


def _connecting(index: Index, connect: str) -> str:
    return next((_told(p) for p in index.passages if p.title == connect), "").rstrip()


def _found(hits: Sequence[Hit], spoken: bool) -> Iterator[str]:  # noqa: FBT001 - private
    yield _LATER if spoken else _FIRST
    best = hits[0]
    told = [h for h in hits[:2] if h.score >= CLOSE * best.score and h.covered >= ENOUGH] or [best]
    yield from (_told(h.passage) for h in told)
    more = [h.passage for h in hits[len(told) :] if h.score >= 0.35 * best.score][:3]
    if more:
        yield "See also: " + " · ".join(_pointer(p) for p in more)


def _told(passage: Passage) -> str:
    return f"### {passage.title}\n\n{passage.text}"


def _pointer(passage: Passage) -> str:
    return f"{passage.title} (`{passage.command}`)" if passage.command else passage.title


def rest_of(answer: str, heard: str) -> str:
    """What was not heard yet of an answer that was stopped."""
    return answer[len(heard) :] if answer.startswith(heard) else ""


_PIECE: Final = re.compile(r"\s*\S{1,24}|\s+")


def pieces(text: str) -> list[str]:
    """A text in pieces of about a word; joined they are the text."""
    return _PIECE.findall(text)


class Guide:
    """The provider. ``read`` gives the passages when somebody first asks: rows as of `Passage`.

    ``rate`` is in pieces a second (0: at once); ``connect`` is the title of the passage told to
    who asks what only a model knows; a message that begins with ``going_on`` asks for the rest.
    """

    name = NAME

    def __init__(
        self,
        read: Callable[[], Iterable[tuple[str, str, str, str]]],
        *,
        connect: str = "Connect a model",
        rate: float = RATE,
        going_on: str = "Continue exactly where you stopped",
    ) -> None:
        self._read = read
        self._connect = connect
        self._pause = 1 / rate if rate > 0 else 0.0
        self._index: Index | None = None
        self._going_on = going_on

    async def stream(
        self, request: Request, leave: Leave = at_once
    ) -> AsyncGenerator[AnyDelta, None]:
        await leave()
        # In a thread: reading and indexing take some 40 ms the first time, and keys go on coming.
        answer = await asyncio.to_thread(self.answer, request)
        for piece in pieces(answer):
            yield TextDelta(piece)
            await asyncio.sleep(self._pause)
        yield Ended(Stop.END)

    def answer(self, request: Request) -> str:
        """The whole answer."""
        if self._index is None:
            self._index = Index(Passage(*row) for row in self._read())
        question = asked(request)
        if question.question.startswith(self._going_on):
            return self._continued(request)
        return compose(self._index, question, self._connect)

    def _continued(self, request: Request) -> str:
        """The rest of the answer that was stopped, which can be made again."""
        earlier = request.messages[:-1]
        heard = earlier[-1].text if earlier and earlier[-1].role is Role.ASSISTANT else ""
        again = (
            self.answer(msgspec.structs.replace(request, messages=earlier[:-1])) if heard else ""
        )
        return rest_of(again, heard) or "That was all there is to say."

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(NAME, NAME, await self.profile(NAME), "built in: the help, offline")]

    async def profile(self, model: str) -> Profile:
        """The same for every name: it reads words and does nothing else."""
        del model
        return Profile(sees=False, thinks=False, tools=False)

    async def aclose(self) -> None:
        """There is nothing to let go of."""
