"""/branches, /variant, /compare, /find, /editor, /theme: looking round without losing one's way."""

from __future__ import annotations

import pytest

from chinwag.commands.table import THEMES
from chinwag.errors import CommandError, UsageWrong
from chinwag.frontends.tui.theme import THEMES as KNOWN
from chinwag.talk.event import EditorAsked, Level, Notice, Page, Sought, ThemeAsked
from support.commands import answer


@pytest.fixture(autouse=True)
def answers(place):
    place.lab.answers += [answer("first"), answer("second"), answer("third")]


async def test_variants_are_flipped_and_the_talk_goes_on_from_the_one_in_front(place):
    await place("why?")
    await place("/retry")
    assert place.words == ["why?", "second"]
    await place("/variant")
    assert place.words == ["why?", "first"]
    (notice,) = place.of(Notice)
    assert notice.level is Level.BRIEF
    assert "answer 1 of 2" in notice.text
    await place("/variant before")
    assert place.words == ["why?", "second"]
    await place("/variant 1")
    await place("and then?")
    assert place.words == ["why?", "first", "and then?", "third"]
    assert place.lab.requests[-1].messages[-2].text == "first"
    await place("/variant next")
    assert place.words == ["why?", "second"]
    await place("/variant next")
    assert place.words == ["why?", "first", "and then?", "third"], "its own continuation comes back"


async def test_variants_of_nothing_say_what_to_do(place):
    await place("why?")
    with pytest.raises(CommandError, match="one answer") as caught:
        await place("/variant")
    assert "/retry" in caught.value.hint
    with pytest.raises(CommandError):
        await place("/compare")
    await place("/retry")
    with pytest.raises(CommandError, match="there are 2 answers"):
        await place("/variant 3")
    with pytest.raises(UsageWrong):
        await place("/variant sideways")


async def test_two_answers_are_compared_and_nothing_is_chosen_by_it(place):
    await place("why?")
    await place("/retry")
    await place("/compare")
    (page,) = place.of(Page)
    assert [c.text for c in page.beside] == ["first", "second"]
    assert "in front" in page.beside[1].head
    assert page.text.index("first") < page.text.index("second"), "said one after the other as well"
    assert "/variant 1 takes it" in page.beside[0].head
    assert place.words == ["why?", "second"]
    await place("/retry")
    await place("/compare 1 3")
    (page,) = place.of(Page)
    assert [c.text for c in page.beside] == ["first", "third"]
    await place("/compare 1")
    (page,) = place.of(Page)
    assert [c.text for c in page.beside] == ["first", "third"]


async def test_branches_are_shown_and_gone_to_and_back(place):
    await place("one")
    await place("/branches")
    assert "no branch" in place.told
    await place("/edit")
    await place("two")
    await place("/branches")
    offered = place.offered
    assert len(offered) == 2
    (old,) = [c for label, c in offered.items() if "one" in label]
    (new,) = [c for label, c in offered.items() if "two" in label]
    assert "you are here" in new.detail
    assert "○" in old.label
    assert "●" in new.label
    await place(old.line)
    assert place.words == ["one", "first"]
    assert "/branches" in place.told
    await place(new.line)
    assert place.words == ["two", "second"]
    await place(new.line)
    assert "you are on" in place.told
    with pytest.raises(CommandError, match="no message 99"):
        await place("/branches 99")


async def test_find_tells_the_messages_and_the_words_around(place):
    await place("Where does the TRAM stop?")
    await place("/find the   tram")
    (found,) = place.of(Sought)
    assert found.text == "the   tram"
    (hit,) = found.hits
    assert hit.who == "you"
    assert "does the TRAM stop" in hit.words
    place.lab.answers.insert(0, answer("Take **line** `28`"))
    await place("Which?")
    await place("/find line 28")
    assert place.of(Sought)[0].hits[0].words == "Take line 28"
    await place("/find bus")
    assert "not in this conversation" in place.told
    with pytest.raises(UsageWrong):
        await place("/find")


async def test_the_editor_and_the_theme_are_asked_of_who_shows_the_talk(place):
    await place("/editor Dear all,\nhello")
    assert place.of(EditorAsked)[0].text == "Dear all,\nhello"
    await place("/theme dark")
    assert place.of(ThemeAsked) == [ThemeAsked("dark")]
    await place("/theme")
    assert set(place.offered) == set(KNOWN) == {name for name, _ in THEMES}
    with pytest.raises(CommandError, match="no theme darc") as caught:
        await place("/theme darc")
    assert "/theme dark" in caught.value.hint
