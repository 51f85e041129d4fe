"""Context policies as laws: budgets, pairs, fixed points, and the way back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chinwag.context import windows
from chinwag.engine import request as requests
from chinwag.providers.base import Options, Profile
from chinwag.talk.entry import (
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Mark,
    Marked,
    Rewound,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import Call, Result, Text
from chinwag.talk.session import Birth, Session, fold, fold_all
from chinwag.talk.shown import held_by_pins, shown, tokens_shown, units_of

BIRTH = Birth(id="20261126-000000-aaaaaa", created="2026-11-26T00:00:00.000Z")
sizes = st.integers(1, 60)
TEXTS = ["hello", "we decided on Lisbon", "thanks", "the tram goes at nine", "why?", "Lisbon it is"]
texts = st.sampled_from(TEXTS)


@st.composite
def turns(draw):
    """A question and what came of it: an answer, or calls, their results and an answer."""
    said = [UserSaid(parts=(Text(draw(texts)),), tokens=draw(sizes))]
    for round_ in range(draw(st.integers(0, 2))):
        names = [f"c{round_}{n}" for n in range(draw(st.integers(1, 2)))]
        calls = tuple(Call(name, "clock", "{}") for name in names)
        said.append(AssistantSaid(parts=(Text("look"), *calls), tokens=draw(sizes)))
        said += [
            ToolReturned(result=Result(name, "clock", draw(texts)), tokens=draw(sizes))
            for name in names
        ]
    if draw(st.integers(0, 9)):
        said.append(AssistantSaid(parts=(Text(draw(texts)),), tokens=draw(sizes)))
    return said


@st.composite
def sessions(draw, most=12):
    session = fold(Session(BIRTH), SystemSet(text="be brief"))
    for turn in draw(st.lists(turns(), max_size=most)):
        session = fold_all(session, turn)
        if draw(st.integers(0, 7)) == 0:
            n = draw(st.integers(1, len(session)))
            session = fold(session, Marked(of=n, mark=draw(st.sampled_from(Mark))))
        if draw(st.integers(0, 19)) == 0:
            session = fold(session, Cleared())
    return session


def built(session):
    return requests.build(session, model="m", profile=Profile(), options=Options())


def cut(session, found):
    return fold(session, Compacted(summary="", through=found.through, why="trim"))


def are_paired(session):
    """Every call shown has its results shown right after it, and no result stands alone."""
    open_calls: set[str] = set()
    for _, entry in shown(session):
        if isinstance(entry, ToolReturned):
            if entry.result.id not in open_calls:
                return False
            open_calls.discard(entry.result.id)
            continue
        if open_calls:
            return False
        if isinstance(entry, AssistantSaid):
            open_calls = {p.id for p in entry.parts if isinstance(p, Call)}
    return not open_calls


def unpinned(session):
    held = held_by_pins(session)
    return sum(e.tokens for n, e in shown(session) if n not in held)


@given(sessions(), st.integers(1, 400))
def test_a_trim_never_exceeds_its_budget_and_is_a_fixed_point(session, budget):
    found = windows.trim(session, budget)
    if found is None:
        assert tokens_shown(session) <= budget or not unpinned(session) or not shown(session)
        return
    after = cut(session, found)
    assert are_paired(after)
    assert tokens_shown(after) <= budget or not unpinned(after)
    assert tokens_shown(session) - tokens_shown(after) == found.tokens
    assert windows.trim(after, budget) is None or tokens_shown(after) > budget


@given(sessions(), st.integers(1, 400))
def test_what_a_trim_keeps_is_the_newest_and_begins_with_a_question(session, budget):
    found = windows.trim(session, budget)
    if found is None:
        return
    before, after = shown(session), shown(cut(session, found))
    fresh = [placed for placed in after if placed[0] > found.through]
    assert fresh == before[len(before) - len(fresh) :]
    if fresh:
        assert isinstance(fresh[0][1], UserSaid)
    pinned = {n for n, _ in before if n in session.scope.pinned}
    assert pinned <= {n for n, _ in after}


@given(sessions(), st.integers(1, 12))
def test_a_window_keeps_whole_turns_and_no_more_than_asked(session, keep):
    found = windows.window(session, keep)
    if found is None:
        return
    after = cut(session, found)
    assert are_paired(after)
    fresh = [placed for placed in shown(after) if placed[0] > found.through]
    newest = next(windows.turns_back(session))
    assert len(session.said(after=found.through)) <= max(keep, len(newest))
    assert windows.window(after, keep) is None
    assert not fresh or isinstance(fresh[0][1], UserSaid)


@given(sessions(), st.integers(1, 300))
def test_pruning_spares_the_newest_the_pinned_and_the_pairs(session, budget):
    dropped = windows.prune(session, budget)
    gone = {n for each in dropped for n in each.ns}
    before = shown(session)
    after = fold(session, Hidden(ns=tuple(gone))) if gone else session
    kept = shown(after)
    assert [placed for placed in before if placed[0] not in gone] == kept
    assert not gone & {n for n, _ in before[-windows.LATE :]}
    assert not gone & session.scope.pinned
    assert are_paired(after) or not are_paired(session)
    assert all(each.reason for each in dropped)
    if tokens_shown(after) <= budget:
        assert windows.prune(after, budget) == []


@given(sessions(), st.sampled_from(["trim", "window", "prune", "compact"]), st.integers(1, 200))
def test_undo_after_any_policy_gives_back_the_same_view(session, policy, amount):
    before = built(session)
    match policy:
        case "trim" | "window":
            choose = windows.trim if policy == "trim" else windows.window
            found = choose(session, amount)
            if found is None:
                return
            entry = Compacted(summary="", through=found.through, why=policy)
        case "prune":
            entry = Hidden(ns=tuple(n for d in windows.prune(session, amount) for n in d.ns))
        case _:
            entry = Compacted(summary="in short", through=session.head)
    after = fold(session, entry)
    back = after.before_last(1)
    assert built(fold(after, Rewound(to=back, why="undo"))) == before


@given(sessions(), st.text(min_size=1, max_size=40).filter(str.strip))
def test_a_summary_is_sent_byte_for_byte_exactly_once(session, summary):
    after = fold(session, Compacted(summary=summary, through=session.head))
    after = fold(after, UserSaid(parts=(Text("go on"),), tokens=2))
    texts_sent = [p.text for m in built(after).messages for p in m.parts if isinstance(p, Text)]
    assert texts_sent.count(requests.SUMMARY_HEAD + summary) == 1


@given(sessions())
def test_counting_one_by_one_equals_counting_at_once(session):
    assert tokens_shown(session) == sum(entry.tokens for _, entry in shown(session))
    again = fold_all(Session(BIRTH), list(session.entries))
    assert tokens_shown(again) == tokens_shown(session)
    assert shown(again) == shown(session)


@given(sessions(), st.integers(1, 400))
def test_a_trim_that_spares_the_newest_turn_never_cuts_it(session, budget):
    found = windows.trim(session, budget, spare=True)
    newest = next(windows.turns_back(session), [])
    after = shown(session if found is None else cut(session, found))
    assert newest == [] or after[-len(newest) :] == newest or session.scope.excluded


@given(sessions(), st.integers(1, 300))
def test_pruning_once_begun_goes_down_to_its_low_water_mark(session, budget):
    few, many = windows.prune(session, budget), windows.prune(session, budget, low=0.75)
    assert [each.ns for each in many[: len(few)]] == [each.ns for each in few]
    assert bool(few) == bool(many)


@given(sessions(), st.integers(1, 200))
def test_the_rounds_of_tools_that_go_are_old_ones_of_the_newest_turn(session, budget):
    gone = windows.rounds(session, budget)
    newest = [n for n, _ in next(windows.turns_back(session), [])]
    ns = [n for each in gone for n in each.ns]
    assert set(ns) <= set(newest[1:-1])
    assert not set(ns) & (session.scope.pinned | session.scope.excluded)
    after = fold(session, Hidden(ns=tuple(ns))) if ns else session
    assert are_paired(after) or not are_paired(session)
    assert tokens_shown(session) - tokens_shown(after) == sum(each.tokens for each in gone)


changes = st.one_of(
    st.tuples(st.just("say"), turns()),
    st.tuples(st.just("mark"), st.sampled_from(Mark)),
    st.tuples(st.just("hide"), st.integers(1, 3)),
    st.tuples(st.just("cut"), st.booleans()),
    st.tuples(st.just("back"), st.booleans()),
)


@given(st.lists(changes, max_size=25), st.randoms(use_true_random=False))
def test_a_view_that_goes_on_from_the_last_equals_one_looked_at_anew(steps, chance):
    session = fold(Session(BIRTH), SystemSet(text="be brief"))
    for kind, value in steps:
        any_n = chance.randint(0, session.head)
        match kind:
            case "say":
                session = fold_all(session, value)
            case "mark":
                session = fold(session, Marked(of=max(1, any_n), mark=value))
            case "hide":
                session = fold(session, Hidden(ns=tuple({any_n, max(1, any_n - value)})))
            case "cut":
                entry = Cleared() if value else Compacted(summary="", through=any_n)
                session = fold(session, entry)
            case _:
                session = fold(session, Rewound(to=session.node_at(any_n)))
        if chance.random() < 0.7:  # so that some are gone on with over several steps
            anew = fold_all(Session(BIRTH), list(session.entries))
            assert shown(session) == shown(anew)
            assert tokens_shown(session) == sum(e.tokens for _, e in shown(anew))


@given(sessions())
def test_a_pin_on_one_of_a_unit_shows_all_of_it(session):
    calls = [n for n, e in shown(session) if isinstance(e, ToolReturned)]
    if not calls:
        return
    n = calls[-1]
    unit = next(u for u in units_of(shown(session)) if n in [at for at, _ in u])
    hidden = fold(session, Hidden(ns=tuple(at for at, _ in unit)))
    pinned = fold(hidden, Marked(of=n, mark=Mark.PIN))
    assert [each for each in unit if each in shown(pinned)] == unit
