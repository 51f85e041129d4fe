"""What each command does, says and leaves as it was."""

from __future__ import annotations

import contextlib
import json

import pytest

from chinwag.errors import (
    ChinwagError,
    CommandError,
    CommandUnknown,
    KeyMissing,
    ModelUnknown,
    SessionNotFound,
    UsageError,
    UsageWrong,
)
from chinwag.talk.entry import Cleared, Rewound, SystemSet, UserSaid
from chinwag.talk.event import Leaving, Level, Notice, Opened, Settled
from support.commands import answer


async def refused(place, line, kind=CommandError):
    """The error a line raises; the session is as it was."""
    before = place.talk.session
    with pytest.raises(kind) as caught:
        await place(line)
    assert place.talk.session is before
    assert caught.value.message
    return caught.value


# -- talking --------------------------------------------------------------------------------------


async def test_clear_keeps_the_prompt_and_undo_brings_everything_back(place):
    await place("one")
    await place("two")
    await place("/clear")
    assert place.words == []
    assert place.talk.system == "Be kind."
    assert place.told == "cleared 4 messages; the system prompt stays; /undo brings them back"
    await place("/undo")
    assert place.words == ["one", "ok", "two", "ok"]
    assert "brought back 4 messages" in place.told
    assert place.draft == []


async def test_clear_all_drops_the_prompt(place):
    await place("one")
    await place("/clear --all")
    assert place.talk.system == ""
    assert "the system prompt is gone too" in place.told
    await place("two")
    assert place.lab.requests[-1].system == ""


async def test_clear_all_before_anything_was_said(place):
    await place("/clear --all")
    await place("one")
    assert place.lab.requests[-1].system == ""


async def test_clear_of_nothing_writes_nothing(place):
    await place("/clear")
    assert place.told == "there is nothing to clear"
    assert len(place.talk.session) == 0
    await refused(place, "/clear everything", UsageWrong)


async def test_undo_gives_the_words_back_and_redo_the_messages(place):
    await place("one")
    await place("two")
    await place("/undo")
    assert place.words == ["one", "ok"]
    assert place.draft == ["two"]
    assert "took back 2 messages" in place.told
    await place("/redo")
    assert place.words == ["one", "ok", "two", "ok"]
    await place("/undo 2")
    assert place.words == []
    assert place.draft == ["one"]


async def test_undo_and_redo_of_nothing(place):
    assert (await refused(place, "/undo", UsageError)).hint
    assert (await refused(place, "/redo", UsageError)).hint
    assert (await refused(place, "/undo zero", UsageWrong)).usage == "/undo [N]"
    await refused(place, "/undo 0", UsageWrong)


async def test_undo_of_a_prompt_is_no_message(place):
    await place("one")
    await place("/system Be brief.")
    await place("/undo")
    assert place.talk.system == "Be kind."
    assert "the system prompt is another one again" in place.told


async def test_retry_asks_again_here_or_elsewhere(place):
    await place("one")
    await place("/retry")
    assert len(place.lab.requests) == 2
    await place("/regenerate cloud/quick")
    await place("/retry quick")
    assert len(place.cloud.requests) == 2
    assert place.talk.choice == ("lab", "exact-1")
    assert place.words == ["one", "ok"]


async def test_retry_with_what_cannot_answer_takes_nothing_back(place):
    await place("one")
    place.keyless.add("cloud")
    await refused(place, "/retry cloud/quick", KeyMissing)
    await refused(place, "/retry nosuch", ModelUnknown)


async def test_retry_and_continue_of_nothing(place):
    await refused(place, "/retry", UsageError)
    await refused(place, "/continue", UsageError)


async def test_continue_asks_to_go_on(place):
    await place("one")
    await place("/continue")
    assert len(place.lab.requests) == 2
    assert place.lab.requests[-1].messages[-1].text.startswith("Continue exactly")


async def test_edit_goes_back_to_a_message_and_offers_it(place):
    await place("one")
    await place("two")
    await place("three")
    second = [n for n, e in place.talk.session.said() if isinstance(e, UserSaid)][1]
    await place(f"/edit {second}")
    assert place.words == ["one", "ok"]
    assert place.draft == ["two"]
    await place("/redo")
    assert len(place.words) == 6
    await place("/edit")
    assert place.draft == ["three"]
    await place("three, but better")
    assert place.words[-2:] == ["three, but better", "ok"]


async def test_edit_refuses_what_is_no_message_of_yours(place):
    await refused(place, "/edit")
    await place("one")
    answered = place.talk.session.head
    error = await refused(place, f"/edit {answered}")
    assert str(place.talk.session.said()[0][0]) in error.hint
    await refused(place, "/edit 99")
    await refused(place, "/edit x", UsageWrong)


async def test_history_lists_numbers_and_shows_the_last_in_full(place):
    await place("/history")
    assert "nothing has been said" in place.told
    await place("first *question*")
    await place("line one\nline two")
    await place("/history")
    n = place.talk.session.said()[0][0]
    assert f"**{n} you**" in place.page
    assert "first \\*question\\*" in place.page
    assert "lab/exact-1" in place.page
    await place("/history 2")
    assert "line one\nline two" in place.page
    assert "first" not in place.page


# -- sessions -------------------------------------------------------------------------------------


async def test_new_keeps_the_old_one_and_says_how_to_get_it(place):
    await place("/new")
    assert "empty" in place.told
    await place("two days in lisbon")
    old = place.talk.session.id
    await place("/new taxes")
    assert place.talk.session.id != old
    assert place.talk.session.title == "taxes"
    assert "/load two-days-in-lisbon" in place.told
    await place("hello")
    assert place.lab.requests[-1].system == "Be kind."
    await place("/load two-days")
    assert place.talk.session.id == old
    assert place.of(Opened)


async def test_save_says_how_to_come_back(place):
    await place("/save")
    assert "nothing to save yet" in place.told
    assert place.keeper.sessions == {}
    await place("two days in lisbon")
    await place("/save")
    assert "chat --resume two-days-in-lisbon" in place.told
    await place("/save Our Trip")
    assert place.talk.session.title == "Our Trip"
    assert "chat --resume our-trip" in place.told
    assert ("kick",) in place.keeper.log


async def test_save_that_cannot_says_so(place):
    await place("one")
    place.keeper.refusing = True
    await place("/save")
    (notice,) = place.of(Notice)
    assert notice.level is Level.WARNING
    assert "not saved yet" in notice.text


async def test_save_of_an_empty_session_under_a_name_keeps_the_prompt(place):
    await place("/save plans")
    await place("hello")
    assert place.lab.requests[-1].system == "Be kind."
    assert place.talk.session.title == "plans"


async def test_a_copy_is_written_and_never_over_a_file(place):
    await place("one")
    await place("/save out/talk.json")
    assert json.loads(place.files.files["out/talk.json"])["id"] == place.talk.session.id
    error = await refused(place, "/save out/talk.json")
    assert "--force" in error.hint
    await place("two")
    await place("/save out/talk.json --force")
    assert "two" in place.files.files["out/talk.json"]
    await refused(place, "/save /ro/talk.json")


async def test_a_copy_is_read_into_a_session_of_its_own(place):
    await place("one")
    await place("/rename the first")
    await place("/clear")
    old = place.talk.session
    await place("/save ./copy.json")
    await place("/load ./copy.json")
    new = place.talk.session
    assert new.id != old.id
    assert new.entries == old.entries
    assert new.title == "the first"
    assert new.birth.imported == "chinwag"
    await place("two")
    assert place.keeper.store.read(new.id).entries[-1].text == "ok"
    assert len(place.keeper.store.read(old.id).entries) == len(old)


async def test_other_programs_messages_are_read(place):
    place.files.files["m.json"] = json.dumps(
        {
            "messages": [
                {"role": "system", "content": "Be odd."},
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c1", "function": {"name": "now", "arguments": "{}"}}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "noon"},
                {"role": "assistant", "content": "It is noon."},
            ]
        }
    )
    await place("/load m.json")
    assert place.words == ["hi", "", "noon", "It is noon."]
    assert place.talk.system == "Be odd."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[" * 100_000,
        "{}",
        '{"messages": {}}',
        '{"messages": [1]}',
        '{"messages": [{"role": "wizard", "content": "x"}]}',
        '{"format": 99, "messages": []}',
        '{"format": 1, "messages": [{"kind": "user", "content": 5}]}',
    ],
)
async def test_what_is_no_session_is_refused_and_nothing_changes(place, text):
    await place("one")
    place.files.files["x.json"] = text
    error = await refused(place, "/load x.json", UsageError)
    assert "known are" in error.hint
    assert len(place.keeper.sessions) == 1


async def test_load_lists_finds_and_refuses(place):
    await place("/load")
    assert "no saved sessions" in place.told
    await place("two days in lisbon")
    await place("/sessions")
    assert place.listed == ["two days in lisbon"]
    error = await refused(place, "/resume lisbn", SessionNotFound)
    assert error.hint
    await refused(place, "/load ./nothing.json")


async def test_a_session_whose_model_lacks_a_key_opens_all_the_same(place):
    await place("one")
    await place("/model cloud/quick")
    name = place.talk.session.id
    await place("/new")
    place.keyless.add("cloud")
    await place(f"/load {name}")
    assert place.talk.session.id == name
    assert "cannot answer now" in place.told
    assert "CLOUD_API_KEY" in place.told


async def test_rename(place):
    await place("/rename   two   days\nin lisbon ")
    assert place.talk.session.title == "two days in lisbon"
    await place("/title 'quoted name'")
    assert place.talk.session.title == "quoted name"
    assert "chat --resume quoted-name" in place.told
    await place("/name Bob's")
    assert place.talk.session.title == "Bob's"
    await refused(place, "/rename", UsageWrong)
    await refused(place, "/rename " + "x" * 500)


async def test_delete_asks_first(place):
    await refused(place, "/delete")
    await place("two days in lisbon")
    name = place.talk.session.id
    await place("/delete")
    assert place.talk.session.id == name
    assert [h.id for h in place.keeper.store.headers()] == [name]
    assert place.offered["keep it"].line == ""
    await place(place.offered["delete it"].line)
    assert place.talk.session.id != name
    assert "deleted two days in lisbon" in place.told
    assert place.keeper.store.headers() == []


async def test_delete_another_by_name(place):
    await place("first one")
    await place("/new")
    await place("second one")
    await place("/delete first-one --yes")
    assert [h.headline.title for h in place.keeper.store.headers()] == ["second one"]
    await refused(place, "/delete nosuch --yes", SessionNotFound)


async def test_fork(place):
    await refused(place, "/fork", UsageError)
    await place("one")
    old = place.talk.session
    await place("/fork other way")
    assert place.talk.session.title == "other way"
    assert place.talk.session.birth.parent == old.id
    assert f"/load {old.id}" in place.told


# -- models ---------------------------------------------------------------------------------------


async def test_a_model_is_chosen_and_it_says_from_and_to(place):
    await place("/model cloud/quick")
    assert place.talk.choice == ("cloud", "quick")
    assert "lab/exact-1 → cloud/quick" in place.told
    await place("hello")
    assert place.cloud.requests[-1].system == "Be kind."
    await place("/model cloud/quick")
    assert "already" in place.told
    await place("/model lab")
    assert place.talk.choice == ("lab", "exact-1")
    await place("/model fast")
    assert place.talk.choice == ("cloud", "quick")


async def test_a_window_too_small_for_the_talk_is_told(place):
    await place("word " * 40)
    await place("/model cloud/quick")
    assert "its window only 20" in place.told


async def test_a_name_only_a_server_knows(place):
    await place("/model quick")
    assert place.talk.choice == ("cloud", "quick")
    await place("/model exact")
    assert place.talk.choice == ("lab", "exact-1")


async def test_what_cannot_answer_is_not_chosen(place):
    place.keyless.add("cloud")
    error = await refused(place, "/model cloud/quick", KeyMissing)
    assert "CLOUD_API_KEY" in error.hint
    await refused(place, "/provider cloud", KeyMissing)
    assert (await refused(place, "/model nosuch", ModelUnknown)).near
    assert "cloud" in (await refused(place, "/provider clowd")).hint


async def test_models_and_providers_to_choose_from(place):
    place.keyless.add("cloud")
    await place("/models")
    assert place.offered["lab/exact-1"].line == "/model lab/exact-1"
    assert "answers now" in place.offered["lab/exact-1"].detail
    assert "20 tokens" in place.offered["cloud/quick"].detail
    await place("/provider")
    assert "CLOUD_API_KEY" in place.offered["cloud"].detail
    assert place.offered["lab"].detail == "answers now"


async def test_provider_with_a_model(place):
    await place("/provider cloud swift")
    assert place.talk.choice == ("cloud", "swift")
    await place("/provider lab")
    assert place.talk.choice == ("lab", "exact-1")


async def test_the_prompt_reaches_the_model_with_its_newlines(place):
    await place("/system Be brief.\n\n  And:\tkind.")
    await place("hello")
    assert place.lab.requests[-1].system == "Be brief.\n\n  And:\tkind."
    await place("/system")
    assert "And:\tkind." in place.page
    await place("/system Don't")
    assert place.talk.system == "Don't"
    await place("/system --none")
    assert place.talk.system == ""
    await place("again")
    assert place.lab.requests[-1].system == ""
    await place("/system")
    assert "no system prompt" in place.told


async def test_a_prompt_from_a_file(place):
    place.files.files["p.md"] = "  Be a pirate.\n"
    await place("/system @p.md")
    assert place.talk.system == "Be a pirate."
    await place("/system @p.md")
    assert "already" in place.told
    error = await refused(place, "/system @nothing.md")
    assert "No such file" in error.message


async def test_settings_are_set_shown_and_taken_back(place):
    await place("/set temperature 0.2")
    assert "the provider's default → 0.2" in place.told
    await place("hello")
    assert place.lab.requests[-1].options.temperature == 0.2
    assert place.lab.requests[-1].system == "Be kind."
    await place("/set max-tokens=500")
    assert place.talk.options.max_tokens == 500
    await place("/set temperature")
    assert "0.2" in place.told
    await place("/set")
    assert "`max_tokens` | 500" in " ".join(place.page.split())
    await place("/set temperature default")
    assert place.talk.options.temperature is None
    await refused(place, "/set temperature hot", UsageWrong)
    await refused(place, "/set temprature 1", UsageWrong)


async def test_a_setting_wins_over_the_command_line(place):
    place.talk.overrides = {"temperature": 1.5, "seed": 7}
    await place("/set temperature 0.1")
    assert place.talk.options.temperature == 0.1
    assert place.talk.options.seed == 7


# -- context --------------------------------------------------------------------------------------


async def test_tokens(place):
    await place("/tokens")
    assert "of 32,768 tokens" in place.page
    await place("one two three")
    await place("/cost")
    assert "| messages | 2 in 1 turn" in " ".join(place.page.split())
    assert "█" in place.page
    assert "~" not in place.page
    await place("/model cloud/quick")
    await place("/context")
    assert "~" in place.page


CODE = "Look:\n\n```python\nprint(1)\n```\n\n- in a list:\n\n  ~~~\n  two\n  ~~~\n"


async def test_copy(place):
    await refused(place, "/copy")
    place.lab.answers = [answer(CODE), answer("```sh\nls\n```")]
    await place("```\nmine\n```")
    await place("/copy")
    assert place.copied == CODE
    await place("more")
    await place("/copy 1")
    assert place.copied == "print(1)\n"
    await place("/copy ¶2")
    assert place.copied == "two\n"
    await place("/copy 3")
    assert place.copied == "ls\n"
    first = place.talk.session.said()[0][0]
    await place(f"/copy #{first}")
    assert place.copied == "```\nmine\n```"
    await place(f"/copy m{first + 1}")
    assert place.copied == CODE
    assert "there are 3" in (await refused(place, "/copy 4")).message
    await refused(place, "/copy #99")
    await refused(place, "/copy it", UsageWrong)


async def test_export_by_name_and_by_ending(place):
    await refused(place, "/export out.md")
    await place("one")
    for line, name, mark in (
        ("/export out.md", "out.md", "# one"),
        ("/export html out.bin", "out.bin", "<!doctype html>"),
        ("/export openai out.json", "out.json", '"role": "user"'),
        ("/export a.json", "a.json", '"format":1'),
        ("/export txt a.txt", "a.txt", "you"),
        ("/export 'my talk.html'", "my talk.html", "<h1>"),
    ):
        await place(line)
        assert mark in place.files.files[name]
        assert name in place.told
    assert "--force" in (await refused(place, "/export out.md")).hint
    await place("/export --force out.md")
    for wrong in ("/export", "/export markdown", "/export out", "/export docx out.docx"):
        assert (await refused(place, wrong, UsageWrong)).usage


# -- this program ---------------------------------------------------------------------------------


async def test_help(place):
    await place("/help")
    for name in ("/undo", "/model", "/export", "/exit"):
        assert name in place.page
    await place("/")
    assert "/undo" in place.page
    await place("/? undo")
    assert "/undo [N]" in place.page
    await place("/help /quit")
    assert "/exit" in place.page
    assert "Ctrl+D" in place.page
    await place("/help keys")
    assert "send" in place.page
    assert "Ctrl+D \\| Ctrl+C twice" in place.page
    await place("/help local models")
    assert "Ollama" in place.page
    error = await refused(place, "/help unod", CommandUnknown)
    assert "undo" in error.near


async def test_pages_say_where_things_are_here(place):
    await place("/help sessions")
    assert "/data/dir/sessions" in place.page
    assert "{" not in place.page
    assert "<!--" not in place.page
    await place("/help configuration")
    assert "/config/config.toml" in place.page


async def test_exit(place):
    for line in ("/exit", "/quit", "/q", "/bye"):
        await place(line)
        assert place.of(Leaving)


async def test_an_unknown_command_is_never_sent(place):
    for line in ("/nosuch", "/exot", "/Model2 x", "/ x"):
        await refused(place, line, CommandUnknown)
    assert place.lab.requests == []


async def test_no_command_raises_anything_but_our_errors(place):
    """Every command with no, odd and too many words, on an empty and a used session."""
    from chinwag.commands.builtin import TABLE

    for _ in range(2):
        for command in TABLE.commands:
            for rest in (
                "",
                " '",
                " \x1b[31m",
                " 0",
                " -1",
                " " + "9" * 40,
                " a b c d",
                " --force",
            ):
                with contextlib.suppress(ChinwagError):
                    await place(f"/{command.name}{rest}")
        await place("something said")


async def test_everything_said_is_still_in_the_session(place):
    await place("one")
    await place("/clear")
    await place("two")
    await place("/undo")
    await place("/edit") if place.words else None
    kinds = [type(e) for e in place.talk.session.entries]
    assert kinds.count(UserSaid) == 2
    assert {Cleared, Rewound, SystemSet} <= set(kinds)
    assert place.keeper.store.read(place.talk.session.id).entries == tuple(
        place.talk.session.entries
    )


async def test_events_are_data(place):
    """What a command says can be written as JSON: no callback in it."""
    from chinwag.talk.event import to_plain

    await place("one")
    for line in (
        "/help",
        "/models",
        "/provider",
        "/tokens",
        "/copy",
        "/history",
        "/set",
        "/delete",
    ):
        await place(line)
        for event in place.heard:
            json.dumps(to_plain(event))
    assert not place.of(Settled)


# -- making room -----------------------------------------------------------------------------------


async def test_compacting_says_what_goes_what_stays_and_what_it_saves(place):
    await place("/compact")
    assert "too little" in place.told
    for _ in range(5):
        await place("one two three four five six")
    await place("/compact --preview")
    assert "would be summarised" in place.told
    before = place.talk.session
    await place("/compact the trams")
    assert "are being summarised" in place.told
    assert "/undo" in place.told
    await place("/undo")
    assert place.talk.session.said() == before.said()
    assert place.talk.session.scope == before.scope


async def test_a_window_of_messages_and_what_it_leaves(place):
    for _ in range(4):
        await place("one two three")
    await place("/window 2")
    assert "6 messages" in place.told
    await place("/window 2")
    assert "nothing to leave out" in place.told
    await place("/trim")
    assert "everything fits" in place.told
    await place("/trim 1")
    assert "no longer sent" in place.told


async def test_pins_are_set_listed_and_taken_back(place):
    await place("one two three")
    n = place.talk.session.said()[0][0]
    await place("/pin")
    assert "nothing is pinned" in place.told
    await place(f"/pin {n}")
    await place("/pin")
    assert f"#{n}" in place.told
    await place(f"/pin {n}")
    assert place.talk.session.scope.pinned == frozenset()
    with pytest.raises(UsageError, match="no message 99"):
        await place("/exclude 99")


async def test_a_budget_is_set_shown_and_ended(place):
    await place("/budget")
    assert "no budget is set" in place.told
    await place("/budget 200k")
    await place("one two")
    await place("/budget")
    assert "of 200,000 tokens spent" in place.told
    with pytest.raises(UsageError, match="no budget"):
        await place("/budget much")
    await place("/budget off")
    assert place.talk.purse.budget is None


async def test_undo_of_a_trim_and_of_a_pin_says_what_is_sent_again(place):
    for text in ("one", "two", "three"):
        await place(text)
    await place("/window 2")
    await place("/undo")
    assert place.told == "4 messages are sent again; /redo goes forward again"
    await place("/redo")
    assert place.told == "4 messages are left out again; /undo goes back again"
    await place("/undo")
    n = place.talk.session.said()[0][0]
    await place(f"/pin {n}")
    await place("/undo")
    assert place.told == "what is pinned or excluded changed back; /redo goes forward again"


async def test_a_private_talk_says_that_it_cannot_see_what_was_kept(place):
    await place("one")
    await place("/private")
    await place("/load")
    assert "no saved sessions" not in place.told


async def test_providers_who_can_answer_come_first_and_what_is_missing_is_short(place):
    place.keyless.add("cloud")
    await place("/provider")
    names = list(place.offered)
    assert names[0] == place.talk.choice[0]
    assert names.index("lab") < names.index("cloud")
    assert place.offered["cloud"].detail == "no key yet: set CLOUD_API_KEY"
