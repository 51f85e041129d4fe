"""Talks far longer than the window: to their end under every policy, and no request refused."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from chinwag.context.counting import Counter
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.engine.room import Rules
from chinwag.errors import ContextOverflow
from chinwag.providers.base import Profile, at_once
from chinwag.talk.delta import Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.entry import AssistantSaid, Compacted, Hidden, Status, UserSaid
from chinwag.talk.event import Failed
from chinwag.talk.usage import Usage
from support.engine import ListKeeper, Player, Shelf, once

WINDOW = 2_048
TURNS = 2_000  # 10,000 in a soak
POLICIES = ["trim", "window", "prune", "compact"]
SAID = [
    "How deep is the harbour at the second buoy, and who keeps the lamp there tonight?",
    "We decided on the northern route; the master must be told before the tide turns.",
    "thanks",
    "港口今晚有多深，谁在看守灯塔？请简短回答，并告诉我潮水几点退。",
    "def depth(hour: int) -> float:\n    return 2.4 + 0.3 * (hour % 12)  # fathoms",
    "Какая глубина у второго буя, и когда начнётся прилив?",
    "why?",
]


class Strict(Player):
    """A model that counts in its own way, reports it, and refuses what its window does not hold."""

    def __init__(self, window=WINDOW):
        super().__init__(profile=Profile(window=window))
        self.window = window
        self.refused = 0
        self.sizes = []
        self.prompts = []
        self._random = random.Random(1)

    def true_count(self, request):
        texts = [request.system, *(p.text for m in request.messages for p in m.parts)]
        return sum(len(text.encode()) * 2 // 5 + 7 for text in texts) + 5

    async def stream(self, request, leave=at_once):
        await leave()
        size = self.true_count(request)
        self.sizes.append(size)
        if size > self.window:
            self.refused += 1
            raise ContextOverflow("too long")
        if request.system.startswith("You condense"):
            said = "The person asked about the harbour. " * 5
        else:
            self.prompts.append(request.messages)
            said = self._random.choice(SAID) * self._random.randint(1, 2)
        yield TextDelta(said)
        yield UsageDelta(Usage(input=size, output=len(said.encode()) * 2 // 5))
        yield Ended(Stop.END)


def talk_with(model, policy):
    meter = Counter()
    meter.load("a model nobody knows")
    return Conversation(
        directory=Shelf(model),
        keeper=ListKeeper(),
        meter=meter,
        defaults=Defaults(provider="lab", model="strict", system="Be kind."),
        retrying=once,
        rules=Rules(policy=policy, keep=20),
    )


@pytest.mark.parametrize("policy", POLICIES)
async def test_a_talk_of_thousands_of_turns_is_never_refused(policy, soak):
    turns = 10_000 if soak > 1 else TURNS
    model, chance, failures = Strict(), random.Random(policy), []
    talk = talk_with(model, policy)

    def hear(event):
        if isinstance(event, Failed):
            failures.append(event)

    for n in range(turns):
        text = f"{n}: " + " ".join(chance.choices(SAID, k=chance.randint(1, 2)))
        await talk.say(text, hear)
    assert (model.refused, failures) == (0, [])
    assert max(model.sizes) <= WINDOW
    said = [e for e in talk.session.entries if isinstance(e, UserSaid)]
    answered = [e for e in talk.session.entries if isinstance(e, AssistantSaid)]
    assert len(said) == len(answered) == turns  # the record is whole
    assert all(e.status is Status.COMPLETE for e in answered)
    made_room = [e for e in talk.session.entries if isinstance(e, Compacted | Hidden)]
    assert turns // 100 < len(made_room) < turns // 3  # and not at every turn
    if policy == "trim":
        kept = sum(b[: len(a)] == a for a, b in pairwise(model.prompts))
        assert kept >= 0.9 * (turns - 1)  # each request but those only appends: caches are hit
