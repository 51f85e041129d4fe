"""An answer that stops in its middle: after twenty seconds that is said, and for how long."""

from chinwag.frontends.tui import update as updating
from chinwag.frontends.tui.state import Ticked
from chinwag.frontends.tui.update import opened, silence, update
from chinwag.talk import event as e
from chinwag.talk.delta import TextDelta
from support.fakes import FakeDesk, blank
from support.pilot import pilot


def begun(at):
    asked = update(opened(blank()), e.Requested("lab", "m", 1), at)[0]
    return update(asked, e.Heard(TextDelta("one")), at + 1)[0]


def test_a_pause_is_no_silence_until_it_is_long():
    state = begun(100.0)
    assert silence(state, 120.9) == 0
    assert silence(state, 121.0) == 20
    assert silence(update(state, e.Heard(TextDelta(" two")), 125.0)[0], 126.0) == 0
    assert silence(opened(blank()), 1000.0) == 0


def test_the_next_request_begins_anew():
    state = update(begun(0.0), Ticked(0, 30), 31.0)[0]
    assert state.silence == 30
    assert update(state, e.Requested("lab", "m", 1), 32.0)[0].silence == 0


async def test_it_is_said_by_itself_and_goes_when_more_comes(monkeypatch):
    monkeypatch.setattr(updating, "STALLED", 1)
    steps = [
        e.Requested("lab", "m", 1),
        e.Heard(TextDelta("one")),
        2.5,
        e.Heard(TextDelta(" two")),
        30.0,
    ]
    async with pilot(FakeDesk(script={"go": steps})) as p:
        await p.type("go")
        await p.press("enter")
        await p.until(lambda: "nothing more for" in p.text())
        await p.until(lambda: "two" in p.text())
        await p.until(lambda: "nothing more for 1 s" not in p.text())
        await p.press("escape")
