"""What comes back from a turn, and structured answers.

Invariants: a reply is a frozen view of entries that are settled already; nothing of it is lost when
it is dropped. Structured data is the answer's own text read as JSON: what does not fit is an error
that says why, and the answer stays in the conversation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chinwag.errors import ProviderError, UsageError
from chinwag.talk import codec
from chinwag.talk.delta import Stop
from chinwag.talk.entry import AnyEntry, AssistantSaid, Status, ToolReturned, message_of
from chinwag.talk.message import Call, Message, Result
from chinwag.talk.usage import NO_USAGE, Usage

Schema = Mapping[str, Any] | type[Any]
"""A JSON schema, or a type: a dataclass, TypedDict, msgspec Struct, list[…] or pydantic model."""


class Step(msgspec.Struct, frozen=True):
    """One answer of the model within a turn, with what the tools it called gave back (F018)."""

    text: str
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    results: tuple[Result, ...] = ()
    usage: Usage = NO_USAGE


class Reply(msgspec.Struct, frozen=True):
    """What a turn brought (F018, F019).

    ``text``, ``thinking`` and ``calls`` are the last answer's; ``steps`` are all answers of the
    turn, one where no tool was called. ``usage`` is the whole turn's, in tokens as the provider
    reported them (fields are None where it did not). ``provider`` and ``model`` name who answered;
    ``stop`` says why the answer ended, None where it was stopped before its end: then ``status`` is
    INTERRUPTED. ``data`` is the structured answer where a schema was given. ``seconds`` is the time
    from request to end. ``notices`` are sentences for the person (what left the context, …).
    """

    text: str
    message: Message
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    steps: tuple[Step, ...] = ()
    usage: Usage = NO_USAGE
    provider: str = ""
    model: str = ""
    stop: Stop | None = None
    status: Status = Status.COMPLETE
    data: Any = None
    seconds: float = 0.0
    notices: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def reply_of(entries: Sequence[AnyEntry], notices: Sequence[str]) -> Reply | None:
    """The reply that the entries settled in a turn are; None where nobody answered."""
    answers = [entry for entry in entries if isinstance(entry, AssistantSaid)]
    if not answers:
        return None
    last, message = answers[-1], message_of(answers[-1])
    return Reply(
        text=message.text,
        message=message,
        thinking=message.thinking,
        calls=message.calls,
        steps=tuple(_steps(entries)),
        usage=sum((answer.usage for answer in answers), NO_USAGE),
        provider=last.provider,
        model=last.model,
        stop=last.stop,
        status=last.status,
        seconds=round(sum(answer.seconds for answer in answers), 3),
        notices=tuple(notices),
    )


def _steps(entries: Sequence[AnyEntry]) -> list[Step]:
    steps: list[Step] = []
    for entry in entries:
        if isinstance(entry, AssistantSaid):
            message = message_of(entry)
            steps.append(Step(message.text, message.thinking, message.calls, usage=entry.usage))
        elif isinstance(entry, ToolReturned) and steps:
            last = steps[-1]
            results = (*last.results, entry.result)
            steps[-1] = msgspec.structs.replace(last, results=results)
    return steps


# -- structured answers -------------------------------------------------------------------------


def schema_of(wanted: Schema) -> dict[str, Any]:
    """The JSON schema that is sent for ``wanted``. Raises UsageError for what has none."""
    if isinstance(wanted, Mapping):
        return dict(wanted)
    pydantic = getattr(wanted, "model_json_schema", None)
    if callable(pydantic):
        return dict(pydantic())
    try:
        return _inlined(msgspec.json.schema(wanted))
    except TypeError as error:
        raise UsageError(
            f"{getattr(wanted, '__name__', wanted)!s} has no JSON schema: {error}",
            hint="give a dataclass, TypedDict, Struct, pydantic model, or a schema as a dict",
        ) from None


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A type's own schema at the top: servers want an object there, not a reference."""
    ref = schema.get("$ref", "")
    defs = dict(schema.get("$defs", {}))
    name = ref.rpartition("/")[2]
    if name not in defs:
        return schema
    top = dict(defs[name])
    if f'"{ref}"' not in codec.dumps(defs).decode():
        del defs[name]
    return top | ({"$defs": defs} if defs else {})


def data_of(reply: Reply, wanted: Schema) -> Any:
    """The answer as ``wanted``. Raises ProviderError saying what does not fit."""
    text = _unfenced(reply.text)
    try:
        plain = codec.loads(text)
        if isinstance(wanted, Mapping):
            return plain
        validate = getattr(wanted, "model_validate", None)
        return validate(plain) if callable(validate) else msgspec.convert(plain, wanted)
    except ValueError as error:  # JSON's, msgspec's and pydantic's are all ValueErrors
        raise ProviderError(
            f"the answer of {reply.provider}/{reply.model} does not fit the schema: {error}",
            hint="it is kept in the conversation; ask again, or a model that knows schemas",
            model=reply.model,
        ) from None


def _unfenced(text: str) -> str:
    """JSON without the fence that models like to put round it."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```") and "\n" in bare:
        return bare.partition("\n")[2].removesuffix("```").strip()
    return bare
