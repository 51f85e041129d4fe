"""The tree of a session, and the variants of an answer."""

from hypothesis import given
from hypothesis import strategies as st

from chinwag.talk.branches import last_forked, outline, place, places
from chinwag.talk.entry import AssistantSaid, Cleared, Rewound, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import NOT_A_NODE, Birth, Session, fold, fold_all

BIRTH = Birth(id="20261120-093015-k3f9q2", created="")


def you(text="q"):
    return UserSaid(parts=(Text(text),))


def it(text="a"):
    return AssistantSaid(parts=(Text(text),))


def session(*entries):
    return fold_all(Session(BIRTH), entries)


def shape(found):
    return [(row.n, row.tip, row.depth, row.messages, row.here) for row in found]


def test_a_talk_without_a_fork_is_one_row():
    talk = session(you(), it(), you(), it())
    assert shape(outline(talk)) == [(1, 4, 0, 4, True)]
    assert places(talk) == {}
    assert last_forked(talk) == 0


def test_a_retry_makes_two_answers_and_the_path_is_never_indented():
    talk = session(you(), it("one"), Rewound(to=1, why="retry"), it("two"))
    assert shape(outline(talk)) == [
        (1, 1, 0, 1, False),
        (2, 2, 1, 1, False),
        (4, 4, 0, 1, True),
    ]
    assert places(talk) == {2: (1, 2), 4: (2, 2)}
    assert place(talk, 4) == (2, 2)
    assert last_forked(talk) == 4
    back = fold(talk, Rewound(to=2, why="variant"))
    assert last_forked(back) == 2
    assert [row.depth for row in outline(back)] == [0, 1, 0]
    assert outline(back)[-1].n == 2


def test_another_first_message_is_a_branch_from_the_beginning():
    talk = session(you("a"), it(), Rewound(to=0, why="edit"), you("b"), it())
    assert shape(outline(talk)) == [(1, 2, 1, 2, False), (4, 5, 0, 2, True)]


def test_answers_before_a_clear_are_not_flipped():
    talk = session(you(), it(), Rewound(to=1, why="retry"), it(), Cleared(), you(), it())
    assert last_forked(talk) == 0


@given(st.lists(st.tuples(st.sampled_from("qaqar"), st.integers(0, 30)), max_size=40))
def test_every_message_is_in_one_row_and_every_row_can_be_gone_to(steps):
    talk = Session(BIRTH)
    for kind, to in steps:
        entry = {"q": you(), "a": it()}.get(kind) or Rewound(to=min(to, len(talk)), why="edit")
        talk = fold(talk, entry)
    rows = outline(talk)
    nodes = [n for n in range(1, len(talk) + 1) if talk.parent(n) != NOT_A_NODE]
    assert sum(row.messages for row in rows) == len(nodes)
    assert sorted(row.n for row in rows) == sorted({row.n for row in rows})
    assert sum(row.here for row in rows) == (talk.head > 0)
    assert [row for row in rows if row.on_path and row.depth] == []
    for row in rows:
        gone = fold(talk, Rewound(to=talk.leaf(row.tip), why="branch"))
        assert row.n in set(gone.path)
    for n in nodes:
        if isinstance(talk.entry(n), AssistantSaid):
            assert places(talk).get(n, (1, 1))[1] == len(talk.variants(n))
