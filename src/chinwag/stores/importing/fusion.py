"""LLM Fusion's stored history: an array of `{role, content}` in which a model plays ReAct. Pure.

Invariants: an answer that is its JSON becomes what it means: thought, call, final words; the
"Observation:" that follows in the person's name is the call's result. Anything else stays text.
"""

from __future__ import annotations

from typing import Any

from chinwag.stores.importing.base import Talk, Weaver, arguments, mapping, said, thinking, words
from chinwag.stores.importing.messages import add, fingerprint
from chinwag.talk import codec
from chinwag.talk.message import Call

FORM = "llm-fusion"
_OBSERVED = "Observation:"


def is_one(items: list[Any]) -> bool:
    """Whether some answer of a bare list is of ReAct's shape."""
    return any(_step(item) for item in items)


def read(items: list[Any]) -> Talk:
    """Raises Unreadable."""
    weaver = Weaver(FORM, fingerprint(items))
    for item in items:
        step = _step(item)
        content = words(mapping(item).get("content"))
        if step:
            _answer(weaver, step)
        elif weaver.open_call and content.startswith(_OBSERVED):
            weaver.tool(content.removeprefix(_OBSERVED).strip())
        else:
            add(weaver, [item])
    return weaver.done()


def _answer(weaver: Weaver, step: dict[str, Any]) -> None:
    parts = thinking(words(step.get("thought")))
    action = mapping(step.get("action"))
    if tool := words(action.get("tool")):
        parts += (Call(weaver.spare_call(), tool, arguments(action.get("input"))),)
    final = step.get("final_answer")
    weaver.assistant(parts + said(words(final)))


def _step(item: object) -> dict[str, Any]:
    """The step an answer's JSON describes; nothing where it is none."""
    message = mapping(item)
    content = words(message.get("content")).strip()
    if message.get("role") != "assistant" or content[:1] != "{":
        return {}
    try:
        plain = mapping(codec.loads(content))
    except ValueError:
        return {}
    return (
        plain if "thought" in plain and {"action", "is_final", "final_answer"} & set(plain) else {}
    )
