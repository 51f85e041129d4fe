"""Tools that note what they were run with, and a tooling of them; nothing real behind."""

from __future__ import annotations

import asyncio

from chinwag.engine.approvals import Mode, Policy
from chinwag.engine.tooling import Tooling
from chinwag.talk.delta import CallDelta, Ended, Stop, TextDelta
from chinwag.talk.entry import ToolReturned
from chinwag.talk.event import ApprovalAsked
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools.base import Output, Tool, Toolbox
from support.engine import Player, conversation

ANY = {"type": "object", "properties": {}, "additionalProperties": True}
UNATTENDED = Policy(Mode.NEVER)
ATTENDED = Policy(Mode.ASK, attended=True)
ALL = Policy(Mode.ALL)


class Noting(Tool):
    """Gives ``gives`` (a text, an Output, an exception) after ``seconds``; notes what ``ran``."""

    def __init__(self, name, gives="done", *, seconds=0.0, schema=ANY, risk=Risk.READ, **more):
        self.spec = ToolSpec(name, f"What {name} does.", schema, risk, **more)
        self.ran = []
        self.now = 0
        self.most = 0
        self._gives = gives
        self._seconds = seconds

    async def run(self, arguments, scene):
        self.ran.append(self.shows(arguments))
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self._seconds)
            scene.progress("half way")
            gives = self._gives(arguments) if callable(self._gives) else self._gives
            if isinstance(gives, BaseException):
                raise gives
            return gives if isinstance(gives, Output) else Output(gives)
        finally:
            self.now -= 1


def tooling(*tools, policy=ALL, **more):
    return Tooling(Toolbox(tools), policy=policy, **more)


def calls(*wanted):
    """An answer that calls: (name, arguments as JSON) or (id, name, arguments) each."""
    deltas = []
    for n, call in enumerate(wanted):
        name, arguments = call[-2:]
        called = call[0] if len(call) == 3 else f"c{n}"
        deltas.append(CallDelta(n, called, name, arguments))
    return [*deltas, Ended(Stop.TOOLS)]


class Answering:
    """An ear that answers what is asked by ``say(event)``: a verdict, (verdict, word), or None."""

    def __init__(self, talk, say):
        self.talk = talk
        self.say = say
        self.heard = []
        self.asked = []
        self.taken = []

    def __call__(self, event):
        self.heard.append(event)
        if isinstance(event, ApprovalAsked):
            self.asked.append(event)
            said = self.say(event)
            if said is not None:
                verdict, word = said if isinstance(said, tuple) else (said, "")
                asyncio.get_running_loop().call_soon(self._answer, event, verdict, word)

    def _answer(self, event, verdict, word):
        self.taken.append(self.talk.answer_approval(event.call.id, event.digest, verdict, word))


DONE = [TextDelta("It is noon."), Ended(Stop.END)]


def deaf(event):
    return None


def results(talk):
    return [e.result for e in talk.session.entries if isinstance(e, ToolReturned)]


def talk_with(*tools, answers=(), policy=ALL, **more):
    player = Player(*answers)
    talk = conversation(player)
    talk.use(tooling(*tools, policy=policy, **more))
    return talk, player
