"""A person at the full screen, against real servers: from the key pressed to the file and back."""

from __future__ import annotations

import re
import signal
import time

import pytest

from support import servers
from support.terminal import Terminal
from support.tiny_gguf import wave
from support.world import World, said

pytestmark = pytest.mark.server

BEGINNING = f"Waves: {wave(0)} {wave(1)}"
THIRTY = "\n".join(f"line {n} of thirty, pasted" for n in range(1, 31))


class Served:
    """A server behind the provider `lab`. ``slow`` is a question that takes long to answer."""

    def __init__(self, world: World, dialect: str, request: pytest.FixtureRequest) -> None:
        self._world = world
        self._dialect = dialect
        self._request = request
        self.slow = "count the waves"

    def quick(self) -> str:
        """Short answers from here on; returns the last words of one."""
        if self._dialect == "ollama":
            self._ollama()
            return "the tide is out"
        self._llama("llama_server")
        return "very small model."

    def long(self) -> str:
        """Long answers from here on; returns a word of the middle of one."""
        if self._dialect == "ollama":
            self._ollama()
            self.slow = "tokens=400 rate=80"
            return "w7 "
        self._llama("endless_server")
        return wave(7)

    def _llama(self, fixture: str) -> None:
        address = self._request.getfixturevalue(fixture).address
        path = "" if self._dialect == "anthropic" else "/v1"
        self._world.use(address + path, dialect=self._dialect)

    def _ollama(self) -> None:
        address = self._request.getfixturevalue("ollama_server").url
        self._world.use(address, dialect="ollama", model=servers.OLLAMA_MODELS[0])

    @property
    def name(self) -> str:
        return f"lab/{servers.OLLAMA_MODELS[0]}" if self._dialect == "ollama" else "lab/harbour"


@pytest.fixture(scope="module")
def ollama_server():
    with servers.ollama() as server:
        yield server


@pytest.fixture(params=["openai", "anthropic", "ollama"])
def served(request, world) -> Served:
    return Served(world, request.param, request)


@pytest.fixture
def lab(request, world) -> Served:
    """llama.cpp through the OpenAI form, where the form does not matter."""
    return Served(world, "openai", request)


def ask(person: Terminal, question: str, count: int) -> None:
    """Ask, and wait until the ``count``th line of this run has been dealt with."""
    person.say(question)
    person.wait_traced("rested", count, seconds=20)


# -- the whole way --------------------------------------------------------------------------------


def test_talk_switch_leave_and_come_back(world, served):
    """Type, stream, switch to the guide and back, quit, resume by name: the same conversation."""
    end = served.quick()
    first = f"first question, say {end}"
    with world.enter(rows=40) as person:
        ask(person, first, 1)
        person.wait_for(end)
        ask(person, "/provider guide", 2)
        ask(person, "zzz qqq", 3)
        ask(person, f"/model {served.name}", 4)
        ask(person, f"second question, say {end}", 5)
        ask(person, "/rename trip to lisbon", 6)
        person.say("/exit")
        assert person.exit_code() == 0
        assert person.restored() == []
        left = person.screen()
    assert f"second question, say {end}" in left
    assert end in left
    assert "chat --resume trip-to-lisbon" in left

    document = world.document()
    spoken = [m for m in document["messages"] if m.get("role") in ("user", "assistant")]
    assert [said(m)[2] for m in spoken] == ["complete"] * 6
    assert [said(m)[1] for m in spoken][0::2] == [first, "zzz qqq", f"second question, say {end}"]
    assert [m["provider"] for m in spoken[1::2]] == ["lab", "guide", "lab"]
    assert said(spoken[1])[1].rstrip().endswith(end)

    with world.enter("--resume", "trip-to-lisbon", rows=60) as person:
        person.wait_for(end)
        person.wait_for("second question")
        ask(person, f"third question, say {end}", 1)
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    after = world.document()
    assert after["id"] == document["id"]
    assert after["messages"][: len(document["messages"])] == document["messages"]
    assert said(after["messages"][-2])[1] == f"third question, say {end}"
    assert after["messages"][-1]["provider"] == "lab"


def test_escape_stops_an_answer_and_keeps_what_was_said(world, served):
    word = served.long()
    with world.enter() as person:
        person.say(served.slow)
        person.wait_for(word)
        person.press("escape")
        person.wait_traced("rested", 1, seconds=3)
        person.wait_for("stopped")
        shown = person.screen()
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    assert word in text + " "
    assert text.split()[-1] in shown
    assert len(text.split()) < 300, "it was not stopped"
    assert not world.parts()


def test_continue_opens_the_session_used_last(world, lab, answer):
    lab.quick()
    world.chat("-n", "older", "an older question")
    world.chat("-n", "newer", "a newer question")
    with world.enter("--continue", rows=50) as person:
        person.wait_for("a newer question")
        person.wait_for("very small model.")
        assert "an older question" not in person.screen()
        person.press("ctrl-d")
        assert person.exit_code() == 0


def test_resume_without_a_name_lets_one_pick(world, lab):
    lab.quick()
    world.chat("-n", "older", "an older question")
    world.chat("-n", "newer", "a newer question")
    with world.enter("--resume", rows=50) as person:
        person.wait_for("newer")
        person.wait_for("older")
        person.send("old")
        person.wait_gone("newer")
        person.press("enter")
        person.wait_for("an older question")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    assert len(world.documents()) == 2


def test_an_answer_is_drawn_as_markdown(world, lab):
    lab.quick()
    with world.enter(rows=40) as person:
        ask(person, "hello", 1)
        screen = person.wait_for("very small model.")
        person.press("ctrl-d")
        person.exit_code()
    assert "print('moored')" in screen
    assert "```" not in screen
    assert "count the masts" in screen


# -- typing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["hello from the first instant", "Grüße ☃ 漢字 מה שלומך"])
def test_what_is_typed_before_the_program_is_there_arrives(world, lab, text):
    """The line waits in the terminal, Enter included, when `chat` is exec'd."""
    lab.quick()
    with world.open(typed=f"{text}\n".encode(), rows=40) as person:
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    assert world.talk()[0] == ("user", text, "complete")
    assert len(world.talk()) == 2


def test_what_is_typed_while_it_starts_arrives_in_order(world, lab):
    """Keys sent one by one from the instant of exec, across every change of the terminal's mode."""
    lab.quick()
    text = " ".join(f"w{n}" for n in range(120))
    with world.open(rows=40) as person:
        for letter in text:
            person.send(letter)
            person.pump(0.001)
        person.ready()
        person.wait_for("w119")
        person.press("enter")
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[0] == ("user", text, "complete")


def test_enter_typed_during_the_start_sends(world, lab):
    lab.quick()
    with world.open(rows=40) as person:
        for letter in "quick fingers\r":
            person.send(letter)
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[0] == ("user", "quick fingers", "complete")


def test_a_paste_does_not_submit(world, lab):
    lab.quick()
    with world.enter(rows=40) as person:
        person.wait_until(lambda: 2004 in person.modes, what="paste marks")
        person.paste(THIRTY)
        person.wait_for("[pasted 30 lines]")
        assert not [event for event in person.trace() if event["what"] == "request"]
        person.press("enter")
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[0] == ("user", THIRTY, "complete")


def test_a_small_paste_stays_as_it_is(world, lab):
    lab.quick()
    with world.enter(rows=40) as person:
        person.wait_until(lambda: 2004 in person.modes, what="paste marks")
        person.paste("one\ntwo\nthree")
        person.wait_for("three")
        person.press("enter")
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[0] == ("user", "one\ntwo\nthree", "complete")


def test_newlines_are_keys_of_their_own(world, lab):
    lab.quick()
    with world.enter(rows=40) as person:
        person.send("one")
        person.press("ctrl-j")
        person.send("two")
        person.press("alt-enter")
        person.send("three")
        person.wait_for("three")
        assert not [event for event in person.trace() if event["what"] == "request"]
        person.press("enter")
        person.wait_traced("rested", 1, seconds=20)
        person.press("ctrl-d")
        person.exit_code()
    assert world.talk()[0][1] == "one\ntwo\nthree"


def test_the_draft_is_counted_as_it_is_typed(world, lab):
    lab.quick()
    with world.enter(columns=100) as person:
        person.send("seven words are typed into this line")
        person.wait_until(lambda: re.search(r"draft ~?[1-9]", person.screen()), what="a count")
        person.press("ctrl-c")
        person.wait_gone("seven words")
        person.press("up")
        person.wait_for("seven words are typed into this line")
        person.press("ctrl-c")
        person.wait_gone("seven words")
        person.press("ctrl-d")
        assert person.exit_code() == 0


def test_lines_typed_while_busy_are_queued(world, lab):
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        person.say("and again")
        person.wait_traced("request", 1)
        person.press("escape")
        person.wait_traced("request", 2)
        person.wait_traced("first", 2)
        person.press("escape")
        person.wait_traced("rested", 2)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    roles = [(role, text) for role, text, _ in world.talk() if role == "user"]
    assert roles == [("user", "count the waves"), ("user", "and again")]
    assert [role for role, _, _ in world.talk()] == ["user", "assistant"] * 2


def test_an_unknown_command_is_refused_with_the_nearest(world, lab):
    lab.quick()
    with world.enter() as person:
        ask(person, "/retyr", 1)
        person.wait_for("/retry")
        ask(person, "//retyr is no command", 2)
        person.press("ctrl-d")
        person.exit_code()
    assert world.talk()[0][1] == "/retyr is no command"


# -- looking --------------------------------------------------------------------------------------


def test_the_view_stays_where_the_reader_put_it(world, lab):
    lab.long()
    with world.enter(rows=20) as person:
        person.say("count the waves")
        person.wait_for(wave(40))
        person.wait_gone("You are a helpful")  # the talk has outgrown the window: there is a way up
        person.press("page-up", "page-up", "page-up")
        person.wait_for("You are a helpful")  # the very top: all three were taken
        # The lines between header and input; the line that says how much is new may change.
        before = person.lines()[2:12]
        person.wait_until(lambda: len(world.parts()) > 0, what="a part")
        size = world.parts()[0].stat().st_size
        person.wait_until(lambda: _grown(world, size), what="more of the answer")
        assert person.lines()[2:12] == before
        person.press("ctrl-end")
        person.wait_gone("Waves:")
        person.press("escape")
        person.wait_traced("rested", 1)
        person.press("ctrl-d")
        assert person.exit_code() == 0


def _grown(world: World, size: int) -> bool:
    parts = world.parts()
    return not parts or parts[0].stat().st_size > size + 500


@pytest.mark.parametrize(("columns", "rows"), [(20, 6), (40, 12), (132, 50), (60, 8)])
def test_resizing_repaints_right_away(world, lab, columns, rows):
    lab.quick()
    with world.enter(rows=30) as person:
        ask(person, "hello", 1)
        person.wait_for("model.")
        person.send("still typing")
        person.wait_for("still typing")
        person.resize(columns, rows)
        person.wait_until(lambda: _input_at(person, "still typing", columns, rows), what="repaint")
        person.send("!")
        person.wait_until(lambda: _input_at(person, "still typing!", columns, rows), what="a key")
        person.resize(80, 30)
        person.wait_until(lambda: _input_at(person, "still typing!", 80, 30), what="repaint")
        person.wait_for("print('moored')")
        person.press("ctrl-c", "ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []


def _input_at(person: Terminal, text: str, columns: int, rows: int) -> bool:
    """Whether the draft stands in the last lines of a screen of that size, the cursor behind it."""
    lines = person.lines()
    shown = "".join(line.strip(" ›") for line in lines[-5:])
    return len(lines) == rows and text.replace(" ", "") in shown.replace(" ", "")


def test_a_storm_of_resizes(world, lab):
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        for n in range(60):
            person.resize(20 + (n * 7) % 100, 6 + (n * 5) % 40)
            person.pump(0.005)
        person.resize(80, 24)
        person.press("escape")
        person.wait_traced("rested", 1)
        person.wait_for("stopped")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []


# -- leaving --------------------------------------------------------------------------------------


def test_ctrl_c_twice_leaves(world, lab):
    lab.quick()
    with world.enter() as person:
        person.press("ctrl-c")
        person.wait_for("once more")
        person.press("ctrl-c")
        assert person.exit_code(5) == 0
        assert person.restored() == []
    assert not world.data.exists() or not world.documents()


def test_ctrl_c_stops_the_answer_first(world, lab):
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        person.press("ctrl-c")
        person.wait_traced("rested", 1)
        person.wait_for("stopped")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[-1][2] == "interrupted"


def test_the_farewell_of_an_empty_session_is_silent(world, lab):
    lab.quick()
    with world.enter() as person:
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
        assert person.screen().strip() == ""


def test_leaving_in_the_middle_of_an_answer_keeps_it(world, lab):
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        person.press("ctrl-c", "ctrl-c", "ctrl-c")
        assert person.exit_code(5) == 0
        assert person.restored() == []
        assert BEGINNING in person.screen()
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    assert text.startswith(BEGINNING)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_screen_back_and_saves_the_answer(world, lab, number):
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        person.signal(number)
        person.exit_code(5)
        assert person.restored() == []
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    assert text.startswith(BEGINNING)
    assert not world.parts()


def test_a_signal_while_idle(world, lab):
    lab.quick()
    with world.enter() as person:
        ask(person, "hello", 1)
        person.signal(signal.SIGTERM)
        person.exit_code(5)
        assert person.restored() == []
    assert len(world.talk()) == 2


def test_a_terminal_that_goes_away(world, lab):
    """The window is closed in the middle of an answer: gone soon, and nothing lost."""
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(word)
        person.hang_up()
        person.exit_code(5)
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    assert text.startswith(BEGINNING)


def test_a_kill_in_the_middle_of_an_answer(world, lab):
    """kill -9: what was acknowledged is there, and the part brings the cut answer back."""
    word = lab.long()
    with world.enter() as person:
        person.say("count the waves")
        person.wait_for(wave(20))
        # At most a second of what was shown may be missing from the part.
        person.wait_until(lambda: wave(20) in _part(world), 2, "the part having what was shown")
        person.signal(signal.SIGKILL)
        assert person.exit_code() == -signal.SIGKILL
        saved = [event for event in person.trace() if event["what"] == "saved"]
    document = world.document()
    assert len(document["messages"]) >= saved[-1]["entries"]
    assert said(document["messages"][saved[-1]["entries"] - 1])[1] == "count the waves"
    assert world.parts()

    lab.quick()
    with world.enter("--continue", rows=40) as person:
        person.wait_for("count the waves")
        person.wait_for(word)
        ask(person, "go on", 1)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    talk = world.talk()
    assert talk[0] == ("user", "count the waves", "complete")
    role, text, status = talk[1]
    assert (role, status) == ("assistant", "interrupted")
    assert text.split()[1:22] == [wave(n) for n in range(21)]
    assert talk[2] == ("user", "go on", "complete")
    assert not world.parts()


def _part(world: World) -> str:
    """What the answer that is coming in would be brought back as: the words in its part."""
    lines = world.parts()[0].read_text().splitlines() if world.parts() else []
    return "".join(lines)


def test_leaving_is_quick(world, lab):
    """Nothing that loads in the background holds the person up."""
    lab.quick()
    with world.enter() as person:
        before = time.monotonic()
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert time.monotonic() - before < 2.0


# -- starting -------------------------------------------------------------------------------------


def test_a_fresh_machine(tmp_path):
    """No settings, no key, no server: the guide is there and answers."""
    home = World(tmp_path / "fresh")
    with home.enter(rows=40) as person:
        person.wait_for("guide")
        ask(person, "how do I switch the model", 1)
        person.wait_for("/model")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    assert home.document()["messages"][-1]["provider"] == "guide"


def test_resuming_what_is_not_there_gives_the_screen_back(world, lab):
    lab.quick()
    with world.open("--resume", "nowhere") as person:
        person.wait_for("nowhere")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []


def test_help_at_a_terminal_does_not_flash_a_screen(world):
    with world.open("--help", rows=90) as person:
        assert person.exit_code() == 0
        assert b"\x1b[?1049h" not in person.raw
        assert "--resume" in person.screen()
