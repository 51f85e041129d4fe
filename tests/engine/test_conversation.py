"""What a turn settles, whatever happens in it."""

from __future__ import annotations

import asyncio

import pytest

from chinwag.engine.conversation import CONTINUE
from chinwag.errors import (
    GOES_ON,
    BadRequest,
    ConfigError,
    KeyRefused,
    RateLimited,
    SessionUnreadable,
    StreamBroken,
    Unreachable,
    UsageError,
)
from chinwag.providers.base import Options, Profile, Terms
from chinwag.talk import codec
from chinwag.talk.delta import (
    CallDelta,
    Ended,
    ServedBy,
    Stop,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from chinwag.talk.entry import AssistantSaid, ModelChosen, Status
from chinwag.talk.event import Failed, Heard, Notice, Opened
from chinwag.talk.message import Call, Image, Role, Thinking
from chinwag.talk.session import Session, fold_all
from chinwag.talk.usage import Usage
from support.engine import ListKeeper, Player, conversation

END = Ended(Stop.END)


def kinds(talk):
    return [type(e).__name__ for e in talk.session.entries]


async def test_a_turn_settles_prompt_model_question_and_answer():
    keeper, heard = ListKeeper(), []
    player = Player([ServedBy("real-name"), TextDelta("Hel"), TextDelta("lo"), END])
    talk = conversation(player, keeper=keeper)
    await talk.say("hi", heard.append)
    assert kinds(talk) == ["SystemSet", "ModelChosen", "UserSaid", "AssistantSaid"]
    answer = talk.session.entry(4)
    assert (answer.text, answer.status, answer.served) == ("Hello", Status.COMPLETE, "real-name")
    assert (answer.provider, answer.model) == ("lab", "exact-1")
    assert keeper.sessions[talk.session.id] == list(talk.session.entries)
    assert player.requests[0].system == "Be kind."
    assert [m.role for m in player.requests[0].messages] == [Role.USER]
    order = [type(e).__name__ for e in heard]
    assert order.index("Requested") < order.index("Heard")
    assert heard[-1].entry is answer


async def test_the_question_is_safe_before_the_request_leaves():
    keeper, order = ListKeeper(), []
    safe = keeper.safe

    async def slow(session_id, through, timeout):
        order.append("asked")
        await asyncio.sleep(0.01)
        done = await safe(session_id, through, timeout)
        order.append(("safe", through))
        return done

    class Watched(Player):
        async def stream(self, request, leave):
            order.append("made ready")
            await leave()
            order.append("left")
            yield TextDelta("ok")
            yield END

    keeper.safe = slow
    await conversation(Watched(), keeper=keeper).say("hi", [].append)
    assert order == ["made ready", "asked", ("safe", 3), "left"]


async def test_a_disk_that_refuses_does_not_stop_the_talk():
    keeper = ListKeeper()
    keeper.refusing = True
    talk, heard = conversation(keeper=keeper), []
    await talk.say("hi", heard.append)
    assert talk.session.last_answer.text == "ok"
    assert any(isinstance(e, Notice) and "not be saved" in e.text for e in heard)
    assert talk.unsaved == 4


async def test_looking_in_leaves_no_litter():
    keeper = ListKeeper()
    talk = conversation(keeper=keeper)
    talk.choose("lab", "exact-2", [].append)
    talk.set_system("x", [].append)
    await talk.begin([].append)
    assert keeper.sessions == {}


async def test_an_interrupted_answer_is_kept_and_its_stream_closed():
    player = Player([TextDelta("partly "), ThinkingDelta("hm"), 30.0, TextDelta("never"), END])
    talk, heard = conversation(player), []
    turn = asyncio.create_task(talk.say("hi", heard.append))
    while not any(isinstance(e, Heard) for e in heard):
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert talk.busy
    assert talk.interrupt()
    assert not talk.interrupt()
    await asyncio.wait_for(turn, 1)
    answer = talk.session.last_answer
    assert (answer.text, answer.status) == ("partly ", Status.INTERRUPTED)
    assert player.closed == 1
    assert not talk.busy
    assert len(asyncio.all_tasks()) == 1


async def test_an_interruption_before_the_first_word_is_settled_too():
    talk = conversation(Player([30.0]))
    turn = asyncio.create_task(talk.say("hi", [].append))
    while not talk.busy:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    talk.interrupt()
    await asyncio.wait_for(turn, 1)
    assert talk.session.last_answer.status is Status.INTERRUPTED


async def test_a_stop_while_the_question_is_being_saved_sends_nothing():
    keeper, player = ListKeeper(), Player()
    saving = asyncio.Event()

    async def slow(session_id, through, timeout):
        await saving.wait()
        return True

    keeper.safe = slow
    talk = conversation(player, keeper=keeper)
    turn = asyncio.create_task(talk.say("hi", [].append))
    await asyncio.sleep(0.01)
    assert talk.interrupt()
    saving.set()
    await asyncio.wait_for(turn, 1)
    assert not player.requests
    assert talk.session.last_answer.status is Status.INTERRUPTED


async def test_interrupting_nothing_says_so():
    assert not conversation().interrupt()


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ([KeyRefused("wrong key", hint="set it")], Status.FAILED, ""),
        ([ConfigError("that key would travel in the open")], Status.FAILED, ""),
        ([TextDelta("half"), StreamBroken("cut")], Status.PARTIAL, "half"),
        ([TextDelta("half")], Status.PARTIAL, "half"),
        ([], Status.FAILED, ""),
        ([TextDelta("all"), END, TextDelta("")], Status.COMPLETE, "all"),
        ([END], Status.COMPLETE, ""),
    ],
)
async def test_how_an_answer_came_out(script, status, text):
    talk, heard = conversation(Player(script)), []
    await talk.say("hi", heard.append)
    answer = talk.session.last_answer
    assert (answer.status, answer.text) == (status, text)
    assert bool(answer.error) == (status is not Status.COMPLETE)


@pytest.mark.parametrize(
    ("came", "hint"),
    [
        ([TextDelta("half")], "/retry asks again, /continue goes on from here"),
        ([ThinkingDelta("hm")], "/retry asks again"),
        ([], "/retry asks again"),
    ],
)
async def test_going_on_is_offered_only_where_a_word_came(came, hint):
    broken = StreamBroken("cut", hint=f"/retry asks again{GOES_ON}")
    talk, heard = conversation(Player([*came, broken])), []
    await talk.say("hi", heard.append)
    assert talk.session.last_answer.hint == hint
    assert [e.hint for e in heard if isinstance(e, Failed)] == [hint]


async def test_a_bug_is_not_swallowed():
    talk = conversation(Player([ZeroDivisionError()]))
    with pytest.raises(ZeroDivisionError):
        await talk.say("hi", [].append)
    assert not talk.busy


async def test_two_failed_tries_reach_the_model_once():
    player = Player([Unreachable("gone")], [Unreachable("gone")])
    talk = conversation(player)
    for _ in range(3):
        await talk.say("hi", [].append)
    assert [m.text for m in player.requests[-1].messages] == ["hi"]
    assert [e.status for _, e in talk.session.said() if isinstance(e, AssistantSaid)] == [
        Status.FAILED,
        Status.FAILED,
        Status.COMPLETE,
    ]


async def test_retry_makes_a_sibling_and_rewrites_nothing():
    player = Player([TextDelta("one"), END], [TextDelta("two"), END])
    talk = conversation(player)
    await talk.say("hi", [].append)
    before = list(talk.session.entries)
    await talk.retry([].append)
    assert list(talk.session.entries)[: len(before)] == before
    answers = [talk.session.entry(n).text for n in talk.session.variants(talk.session.head)]
    assert answers == ["one", "two"]
    assert player.requests[0].messages == player.requests[1].messages


async def test_undo_and_redo():
    talk = conversation(Player([TextDelta("one"), END], [TextDelta("two"), END]))
    await talk.say("first", [].append)
    await talk.say("second", [].append)
    head = talk.session.head
    assert talk.undo(1, [].append) == "second"
    assert talk.session.last_answer.text == "one"
    talk.redo([].append)
    assert talk.session.head == head
    assert talk.undo(2, [].append) == "first"
    assert talk.session.said() == []
    with pytest.raises(UsageError):
        talk.undo(1, [].append)


async def test_clear_keeps_the_prompt_and_can_be_taken_back():
    player = Player()
    talk = conversation(player)
    await talk.say("hi", [].append)
    talk.clear([].append)
    assert talk.session.said() == []
    assert talk.session.system == "Be kind."
    talk.clear([].append, keep_system=False)
    assert talk.session.system == ""
    talk.undo(2, [].append)
    assert [e.text for _, e in talk.session.said()] == ["hi", "ok"]
    await talk.say("more", [].append)
    assert [m.text for m in player.requests[-1].messages] == ["hi", "ok", "more"]


async def test_the_model_changes_in_the_middle_and_stays_when_going_back():
    one = Player([TextDelta("from one"), END], name="one")
    two = Player([TextDelta("from two"), END], name="two")
    talk = conversation(one, two)
    await talk.say("a", [].append)
    talk.choose("two", "exact-9", [].append)
    await talk.say("b", [].append)
    assert [m.text for m in two.requests[0].messages] == ["a", "from one", "b"]
    assert two.requests[0].model == "exact-9"
    talk.undo(2, [].append)
    assert talk.choice == ("two", "exact-9")
    with pytest.raises(ConfigError):
        talk.choose("nobody", "x", [].append)


async def test_a_turn_with_another_model_leaves_the_choice_alone():
    one, two = Player(name="one"), Player([TextDelta("other"), END], name="two")
    talk = conversation(one, two)
    await talk.say("a", [].append)
    await talk.retry([].append, ("two", "big"))
    assert talk.session.last_answer.provider == "two"
    assert talk.choice == ("one", "exact-1")


async def test_resuming_gives_the_same_session_and_locks_it():
    keeper = ListKeeper()
    talk = conversation(keeper=keeper)
    await talk.say("hi", [].append)
    first = talk.session
    await talk.begin([].append)
    assert first.id not in keeper.locked
    heard = []
    await talk.open(first.id, heard.append)
    assert talk.session == first
    assert first.id in keeper.locked
    assert isinstance(heard[0], Opened)
    await talk.say("again", [].append)
    assert len(keeper.sessions[first.id]) == len(first) + 2


async def test_a_fork_has_its_own_life():
    keeper = ListKeeper()
    talk = conversation(keeper=keeper)
    await talk.say("hi", [].append)
    parent = talk.session
    await talk.fork([].append, "other")
    await talk.say("more", [].append)
    assert talk.session.birth.parent == parent.id
    assert talk.session.title == "other"
    assert len(keeper.sessions[parent.id]) == len(parent)
    assert keeper.sessions[talk.session.id] == list(talk.session.entries)


async def test_reported_usage_corrects_the_meter():
    usage = UsageDelta(Usage(input=100, output=11, reasoning=1))
    player = Player([TextDelta("one two"), usage, END], profile=Profile(window=1000))
    talk = conversation(player)
    assert talk.context().used == 2 + 4
    await talk.say("a b c", [].append)
    context = talk.context()
    assert (context.used, context.window, context.exact) == (110, 1000, True)
    assert talk._scale.meter.learnt == [("exact-1", 2 + 4 + 3 + 4, 100)]
    talk.choose("lab", "fuzzy", [].append)
    assert not talk.context().exact


async def test_options_of_a_session_go_into_its_requests():
    player = Player()
    talk = conversation(player, options=Options(max_tokens=9))
    talk.set_option("temperature", 0.5, [].append)
    talk.set_option("stop", ["END"], [].append)
    talk.set_option("mirostat", 2, [].append)
    await talk.say("hi", [].append)
    sent = player.requests[0].options
    assert (sent.temperature, sent.max_tokens, sent.stop) == (0.5, 9, ("END",))
    assert sent.extra == {"mirostat": 2}
    talk.set_option("temperature", None, [].append)
    assert talk.options.temperature is None


async def test_calls_left_open_are_answered_in_the_next_request_only():
    player = Player([CallDelta(0, "c1", "look", "{}"), Ended(Stop.TOOLS)])
    talk = conversation(player)
    await talk.say("hi", [].append)
    await talk.say("go on", [].append)
    roles = [m.role for m in player.requests[1].messages]
    assert roles == [Role.USER, Role.ASSISTANT, Role.TOOL, Role.USER]
    assert "not run" in player.requests[1].messages[2].parts[0].content


async def test_thinking_remembers_its_author():
    player = Player([ThinkingDelta("hm", "sig"), TextDelta("x"), END])
    talk = conversation(player)
    await talk.say("hi", [].append)
    assert talk.session.last_answer.parts[0] == Thinking("hm", "sig", "lab/exact-1")


async def test_everything_settled_can_be_read_back():
    keeper = ListKeeper()
    player = Player([CallDelta(0, "", "look", '{"a":1}'), TextDelta("x"), END])
    talk = conversation(player, keeper=keeper)
    await talk.say("hi", [].append)
    lines = [codec.encode(e, n) for n, e in enumerate(talk.session.entries, 1)]
    again = fold_all(Session(talk.session.birth), [codec.decode(line)[1] for line in lines])
    assert again == talk.session
    call = talk.session.last_answer.parts[0]
    assert isinstance(call, Call)
    assert call.id.startswith("call_")


async def test_nothing_to_answer_is_said_before_anything_is_sent():
    player = Player()
    talk, heard = conversation(player), []
    await talk.answer(heard.append)
    assert isinstance(heard[-1], Failed)
    assert not player.requests
    for misuse in (talk.retry, talk.go_on):
        with pytest.raises(UsageError):
            await misuse([].append)


async def test_an_unknown_provider_in_an_old_session_is_a_failed_turn_not_a_crash():
    keeper = ListKeeper()
    talk = conversation(keeper=keeper)
    talk.session = fold_all(talk.session, [ModelChosen(provider="gone", model="m")])
    heard = []
    await talk.say("hi", heard.append)
    assert talk.session.last_answer.status is Status.FAILED
    assert any(isinstance(e, Failed) for e in heard)


async def test_a_fast_stream_lets_others_run():
    player = Player([TextDelta("x")] * 30_000 + [END])
    talk, ticks = conversation(player), 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(tick())
    await talk.say("hi", lambda _: None)
    beside.cancel()
    assert ticks > 5


# -- who answers, and what is left out for it ------------------------------------------------------

CAT = Image(name="cat.png", mime="image/png", data="AA==")


def notices(heard):
    return [e.text for e in heard if isinstance(e, Notice)]


class Known:
    """Knowledge in a few words: profiles by model, and terms for everybody."""

    def __init__(self, terms=None, **profiles):
        self._terms = terms or Terms()
        self._profiles = profiles

    def profile(self, provider, model, told):
        return told.filled(self._profiles.get(model.replace("-", "_"), Profile()))

    def terms(self, provider):
        return self._terms


def talk_between(*players, **more):
    return conversation(*players, **more)


async def test_the_profile_is_the_servers_answer_over_what_is_known():
    player = Player(profile=Profile(window=500, sees=False))
    known = Known(exact_1=Profile(window=900, max_output=7, max_input=400))
    talk = talk_between(player, knowledge=known)
    assert talk.context().window == 32_768  # nothing is looked up before it is learnt
    assert talk.known("lab", "exact-1").window == 900
    await talk.learn_profile()
    assert talk.known("lab", "exact-1") == Profile(500, 7, sees=False, max_input=400)
    assert talk.context().window == 400


async def test_a_server_that_cannot_say_leaves_what_is_known():
    player = Player()
    player.profile = unreachable
    talk = talk_between(player, knowledge=Known(exact_1=Profile(sees=False)))
    await talk.say("look", [].append, [CAT])
    assert "[picture cat.png]" in player.requests[0].messages[0].text


async def unreachable(model):
    raise Unreachable("nobody there")


async def test_a_switch_is_reported_once_before_the_request():
    one = Player([ThinkingDelta("hm", "sig"), TextDelta("from one"), END], name="one")
    two = Player(name="two", profile=Profile(sees=False, window=9000))
    talk, heard = talk_between(one, two), []
    await talk.say("look at this", heard.append, [CAT])
    assert not notices(heard)
    talk.choose("two", "exact-2", heard.append)
    await talk.say("and now", heard.append)
    [text] = notices(heard)
    assert text.startswith("two/exact-2: it does not see, so 1 picture is named in words")
    assert "1 answer by others" in text
    order = [type(e).__name__ for e in heard]
    assert order.index("Notice") < len(order) - 1 - order[::-1].index("Requested")
    await talk.say("go on", heard.append)
    assert len(notices(heard)) == 1


async def test_a_report_asked_for_is_not_said_again_in_the_turn():
    two, heard = Player(name="two", profile=Profile(sees=False)), []
    talk = talk_between(Player(name="one"), two)
    await talk.say("look", heard.append, [CAT])
    talk.choose("two", "exact-2", heard.append)
    await talk.learn_profile()
    talk.report_switch(heard.append)
    await talk.say("more", heard.append)
    assert len(notices(heard)) == 1
    await talk.say("another", heard.append, [CAT])  # a new picture is a new loss
    assert len(notices(heard)) == 2


async def test_one_turn_with_another_model_is_reported_and_the_way_back_is_not_a_chorus():
    two, heard = Player(name="two", profile=Profile(sees=False)), []
    talk = talk_between(Player(name="one"), two)
    await talk.say("look", heard.append, [CAT])
    for _ in range(2):
        await talk.retry(heard.append, ("two", "exact-2"))
        await talk.retry(heard.append)
    assert len(notices(heard)) == 1


async def test_a_resumed_talk_is_known_to_who_answered_last():
    keeper, heard = ListKeeper(), []
    thoughtful = [ThinkingDelta("hm"), TextDelta("x"), END]
    talk = conversation(Player(thoughtful, name="one"), Player(name="two"), keeper=keeper)
    await talk.say("hi", heard.append)
    first = talk.session.id
    await talk.begin(heard.append)
    await talk.open(first, heard.append)
    await talk.say("again", heard.append)
    assert not notices(heard)
    talk.choose("two", "m", heard.append)
    await talk.say("and you?", heard.append)
    assert len(notices(heard)) == 1


@pytest.mark.parametrize(
    "error",
    [Unreachable("gone"), KeyRefused("no"), RateLimited("empty", out_of_credit=True)],
)
async def test_another_model_answers_where_the_first_cannot(error):
    keeper, heard = ListKeeper(), []
    one, two = Player([error], name="one"), Player([TextDelta("here"), END], name="two")
    fallback = ("one/exact-1", "nobody/x", "two/exact-2")
    talk = conversation(one, two, keeper=keeper, fallback=fallback)
    await talk.say("hi", heard.append)
    answer = talk.session.last_answer
    assert (answer.provider, answer.model, answer.text) == ("two", "exact-2", "here")
    assert answer.status is Status.COMPLETE
    assert talk.choice == ("one", "exact-1")
    assert kinds(talk).count("AssistantSaid") == 1
    assert any("asking two/exact-2 instead" in text for text in notices(heard))
    assert any("nobody" in text for text in notices(heard))
    assert not any(isinstance(e, Failed) for e in heard)
    assert keeper.parts == {}
    assert [m.text for m in two.requests[0].messages] == ["hi"]


@pytest.mark.parametrize(
    "script",
    [
        [TextDelta("half"), Unreachable("gone")],
        [BadRequest("no")],
        [StreamBroken("cut")],
        [TextDelta("all"), END],
    ],
)
async def test_nobody_else_is_asked_where_that_does_not_help(script):
    two = Player(name="two")
    talk = talk_between(Player(script, name="one"), two, fallback=("two/exact-2",))
    await talk.say("hi", [].append)
    assert not two.requests
    assert talk.session.last_answer.provider == "one"


async def test_when_nobody_can_answer_the_last_failure_is_settled():
    players = [Player([Unreachable(name)], name=name) for name in ("one", "two")]
    talk, heard = talk_between(*players, fallback=("two/m",)), []
    await talk.say("hi", heard.append)
    assert talk.session.last_answer.error == "two"
    assert [e.message for e in heard if isinstance(e, Failed)] == ["two"]


async def test_a_stop_asks_nobody_else():
    two = Player(name="two")
    talk = talk_between(Player([30.0], name="one"), two, fallback=("two/m",))
    turn = asyncio.create_task(talk.say("hi", [].append))
    await asyncio.sleep(0.01)
    talk.interrupt()
    await asyncio.wait_for(turn, 1)
    assert not two.requests


NO_HEAT = BadRequest("Unsupported parameter: 'temperature' is not supported with this model.")


async def test_what_a_model_refuses_is_left_out_from_then_on_and_said_once():
    no_top = BadRequest("`top_p` is deprecated for this model")
    player = Player([NO_HEAT], [no_top])
    talk, heard = conversation(player, options=Options(temperature=0.5, top_p=0.5, seed=3)), []
    await talk.say("hi", heard.append)
    await talk.say("more", heard.append)
    assert talk.session.last_answer.status is Status.COMPLETE
    sent = [(r.options.temperature, r.options.top_p, r.options.seed) for r in player.requests]
    assert sent == [(0.5, 0.5, 3), (None, 0.5, 3), (None, None, 3), (None, None, 3)]
    assert len(notices(heard)) == 2
    assert kinds(talk).count("AssistantSaid") == 2
    assert not any(isinstance(e, Failed) for e in heard)
    talk.choose("lab", "exact-2", heard.append)  # it is that model's refusal, not the server's
    await talk.say("you", heard.append)
    assert player.requests[-1].options.temperature == 0.5


async def test_a_refusal_that_goes_on_is_a_failure():
    player = Player([NO_HEAT], [NO_HEAT], [NO_HEAT])
    talk = conversation(player, options=Options(temperature=0.5))
    await talk.say("hi", [].append)
    assert len(player.requests) == 2
    assert talk.session.last_answer.status is Status.FAILED


async def test_a_limit_is_sent_by_the_name_that_is_asked_for():
    player = Player([BadRequest("'max_tokens' is not supported: Use 'max_completion_tokens'")])
    talk = conversation(player, options=Options(max_tokens=9))
    await talk.say("hi", [].append)
    assert player.requests[1].options == Options(extra={"max_completion_tokens": 9})


async def test_pictures_that_are_refused_are_named_in_words_from_then_on():
    player = Player([BadRequest("this model does not support image input")])
    talk, heard = conversation(player), []
    await talk.say("look", heard.append, [CAT])
    assert CAT in player.requests[0].messages[0].parts
    assert "[picture cat.png]" in player.requests[1].messages[0].text
    assert len(notices(heard)) == 1
    await talk.say("more", heard.append)
    assert "[picture cat.png]" in player.requests[2].messages[0].text
    assert len(notices(heard)) == 1
    await talk.say("and this", heard.append, [CAT])
    await talk.retry(heard.append)
    assert len(notices(heard)) == 2


LOCAL = Known(Terms(local=True, widen="give it more"))


def reads(*counts):
    return [[TextDelta("ok"), UsageDelta(Usage(input=n, output=1)), END] for n in counts]


async def test_a_prompt_cut_in_silence_is_said_with_numbers():
    talk, heard = talk_between(Player(*reads(512, 512)), knowledge=LOCAL), []
    await talk.say("word " * 2000, heard.append)
    [text] = notices(heard)
    assert "512 of 2,002 tokens" in text
    assert "give it more" in text
    assert talk._scale.meter.learnt == []  # a cut teaches nothing about tokens
    await talk.say("more", heard.append)
    assert len(notices(heard)) == 1


@pytest.mark.parametrize("read", [2002, 1500, 3000])
async def test_a_prompt_that_was_read_is_not_said_to_be_cut(read):
    talk, heard = talk_between(Player(*reads(read)), knowledge=LOCAL), []
    await talk.say("word " * 2000, heard.append)
    assert notices(heard) == []
    assert talk._scale.meter.learnt


async def test_a_service_elsewhere_is_not_suspected():
    talk, heard = talk_between(Player(*reads(512))), []
    await talk.say("word " * 2000, heard.append)
    assert notices(heard) == []


async def test_thinking_that_is_not_sent_back_is_not_missed():
    thoughtful = [ThinkingDelta("hm " * 3000), TextDelta("ok"), END]
    talk, heard = talk_between(Player(thoughtful, *reads(20)), knowledge=LOCAL), []
    await talk.say("a b c", heard.append)
    await talk.say("d e f", heard.append)
    assert notices(heard) == []


async def test_a_server_that_leaves_out_what_it_remembered_is_not_suspected():
    talk, heard = talk_between(Player(*reads(2002, 12)), knowledge=LOCAL), []
    await talk.say("word " * 2000, heard.append)
    await talk.say("nine more words to read for the server now", heard.append)
    assert notices(heard) == []


async def test_an_answer_of_which_nothing_came_counts_no_token():
    talk = conversation(Player([Unreachable("gone")]))
    await talk.say("a b c", [].append)
    assert talk.session.last_answer.tokens == 0
    assert talk.context().used == 2 + 4 + 3 + 4


async def test_an_answer_that_was_cut_goes_on_word_by_word_where_its_server_can():
    cut = [TextDelta("The tram leaves"), StreamBroken("gone")]
    player = Player(cut, [TextDelta(" at nine."), END])
    talk = talk_between(player, knowledge=Known(Terms(prefill=".*")))
    await talk.say("when?", [].append)
    await talk.go_on([].append)
    begun = player.requests[1].messages
    assert [m.text for m in begun] == ["when?", "The tram leaves"]  # nothing is asked in words
    await talk.say("thanks", [].append)
    assert [m.text for m in player.requests[2].messages] == [
        "when?",
        "The tram leaves at nine.",
        "thanks",
    ]


async def test_an_answer_that_was_whole_is_asked_to_go_on_in_words():
    player = Player()
    talk = talk_between(player, knowledge=Known(Terms(prefill=".*")))
    await talk.say("when?", [].append)
    await talk.go_on([].append)
    assert player.requests[1].messages[-1].text == CONTINUE


async def test_a_long_session_shows_its_end_before_all_of_it_is_read(monkeypatch):
    monkeypatch.setattr("chinwag.engine.shelf.LONG", 20)
    monkeypatch.setattr("chinwag.engine.shelf.GLIMPSE", 6)
    keeper = ListKeeper()
    first = conversation(keeper=keeper)
    for n in range(12):
        await first.say(f"question {n}", [].append)
    talk, heard = conversation(keeper=keeper), []
    await talk.open(first.session.id, heard.append)
    end, whole = [event.session for event in heard if isinstance(event, Opened)]
    assert end.base == len(first.session) - 6
    assert [n for n, _ in end.said()] == [n for n, _ in first.session.said()][-6:]
    assert whole == first.session == talk.session
    await talk.say("and on", heard.append)
    assert len(keeper.sessions[first.session.id]) == len(talk.session)


async def test_a_long_session_that_cannot_be_read_leaves_the_old_one_in_front(monkeypatch):
    monkeypatch.setattr("chinwag.engine.shelf.LONG", 2)
    keeper = ListKeeper()
    first = conversation(keeper=keeper)
    await first.say("question", [].append)
    talk, heard = conversation(keeper=keeper), []
    await talk.say("something else", heard.append)
    before = talk.session

    def unreadable(_):
        raise SessionUnreadable("broken in the middle")

    monkeypatch.setattr(keeper, "read", unreadable)
    with pytest.raises(SessionUnreadable):
        await talk.open(first.session.id, heard.append)
    assert talk.session is before
    assert heard[-1] == Opened(before)
    await talk.say("and on", heard.append)
    assert talk.session.last_answer is not None


async def test_a_new_system_prompt_holds_for_the_retry():
    player = Player()
    talk = talk_between(player)
    await talk.say("who are you?", [].append)
    talk.set_system("Answer in French.", [].append)
    await talk.retry([].append)
    assert player.requests[1].system == "Answer in French."
    assert talk.session.system == "Answer in French."
    await talk.retry([].append)
    assert player.requests[2].system == "Answer in French."
    assert [m.text for m in player.requests[2].messages] == ["who are you?"]
