"""Commands about who answers, and how it is asked.

Invariants: a choice that cannot answer is refused and nothing changes; a change says from what, to
what, and what it means for what was said already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group, Kind
from chinwag.commands.words import escaped, plural, say, table, warn
from chinwag.engine.options import TABLE as OPTIONS
from chinwag.engine.options import read_option
from chinwag.errors import (
    ChinwagError,
    CommandError,
    ConfigError,
    KeyMissing,
    ModelUnknown,
    nearest,
)
from chinwag.providers.base import ModelInfo, Profile
from chinwag.talk.event import Choice, Ear, Offered, Page

_VARIABLE = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
PROMPT_LIMIT = 1_000_000  # bytes of a prompt read from a file


async def provider(bench: Bench, words: list[str], hear: Ear) -> None:
    names = bench.directory.names
    if not words:
        ready = [(await bench.problem(name), name) for name in names]
        now = bench.conversation.choice[0]  # stands first, and then who can answer
        ready.sort(key=lambda pair: (pair[1] != now, pair[0] is not None))
        hear(Offered("Providers", tuple(_provider_choice(bench, n, why) for why, n in ready)))
        return
    name = _named(bench, words[0])
    if not name:
        near = nearest(words[0], names)
        raise CommandError(
            f"there is no provider {words[0]!r}",
            hint=f"did you mean {', '.join(near)}?" if near else "/provider lists them",
        )
    await _choose(bench, name, words[1] if words[1:] else await _default(bench, name), hear)


def _named(bench: Bench, name: str) -> str:
    """The provider of that name, however its letters are written; "" where there is none."""
    return next((n for n in bench.directory.names if n.lower() == name.lower()), "")


def _provider_choice(bench: Bench, name: str, problem: ChinwagError | None) -> Choice:
    if bench.conversation.choice[0] == name:
        return Choice(name, f"/provider {name}", "answers now")
    return Choice(name, f"/provider {name}", _brief(problem) if problem else "")


def _brief(problem: ChinwagError) -> str:
    """What is missing, in so few words that they fit on a line of a list."""
    if isinstance(problem, KeyMissing) and (found := _VARIABLE.search(problem.hint or "")):
        return f"no key yet: set {found[0]}"
    return problem.hint or problem.message


async def _default(bench: Bench, name: str) -> str:
    """The model meant by a provider's name alone; its server is asked where nobody said."""
    try:
        return bench.directory.find(name)[1]
    except (ConfigError, ModelUnknown):
        models = await bench.directory.provider(name).models()
    if not models:
        raise CommandError(f"{name} offers no model now", hint=f"name one: /provider {name} MODEL")
    return models[0].name


async def model(bench: Bench, words: list[str], hear: Ear) -> None:
    if not words:
        await _offer_models(bench, hear)
        return
    await _choose(bench, *await meant(bench, words[0]), hear)


async def _offer_models(bench: Bench, hear: Ear) -> None:
    current = bench.conversation.choice
    choices = tuple(_model_choice(m, current) for m in await bench.models())
    if not choices:
        say(hear, "no provider could name a model; /help keys-and-providers says how to add one")
        return
    hear(Offered("Models", choices))


def _model_choice(info: ModelInfo, current: tuple[str, str]) -> Choice:
    name = f"{info.provider}/{info.name}"
    now = "answers now" if (info.provider, info.name) == current else ""
    told = (now, described(info.profile), info.detail)
    return Choice(name, f"/model {name}", " · ".join(filter(None, told)))


def described(profile: Profile) -> str:
    """What is known of a model, in a few words; "" where nothing is."""
    able = {"sees": profile.sees, "thinks": profile.thinks, "tools": profile.tools}
    words = [f"{profile.room:,} tokens"] if profile.room else []
    words += [name for name, can in able.items() if can]
    if profile.price_input is not None and profile.price_output is not None:
        words.append(f"${profile.price_input:g} in, ${profile.price_output:g} out per million")
    return " · ".join(words)


async def meant(bench: Bench, name: str) -> tuple[str, str]:
    """(provider, model) of a name: as the directory knows it, else as some server lists it."""
    if provider_name := _named(bench, name):
        return provider_name, await _default(bench, provider_name)
    try:
        return bench.directory.find(name)
    except ModelUnknown as unknown:
        found = _listed(name, await bench.models())
        if found is None:
            raise unknown from None
        return found


def _listed(name: str, models: Sequence[ModelInfo]) -> tuple[str, str] | None:
    """The one model of that name, or the only one whose name holds it."""
    exact = [m for m in models if m.name == name]
    alike = exact or [m for m in models if name.lower() in m.name.lower()]
    return (alike[0].provider, alike[0].name) if exact or len(alike) == 1 else None


async def _choose(bench: Bench, provider_name: str, model_name: str, hear: Ear) -> None:
    talk = bench.conversation
    before = talk.choice
    if before == (provider_name, model_name):
        say(hear, f"{provider_name}/{model_name} answers already")
        return
    if (problem := await bench.problem(provider_name)) is not None:
        raise problem
    talk.choose(provider_name, model_name, hear)
    say(hear, f"{'/'.join(before)} → {provider_name}/{model_name}, from the next message on")
    await talk.learn_profile()
    talk.report_switch(hear)


async def warn_if_mute(bench: Bench, hear: Ear, *, unasked: bool = False) -> None:
    """Say so when the model chosen cannot answer now; reading and choosing need no key.

    ``unasked``: nobody chose just now, so nothing is run or opened to find that out.
    """
    name, model_name = bench.conversation.choice
    problem = await (bench.plain_problem(name) if unasked else _problem(bench, name))
    if problem is not None:
        more = f" ({problem.hint})" if problem.hint else ""
        text = f"{name}/{model_name} cannot answer now: {problem.message}{more}"
        warn(hear, f"{text}; /model picks another")


async def _problem(bench: Bench, name: str) -> ChinwagError | None:
    try:
        bench.directory.provider(name)
    except ChinwagError as error:
        return error
    return await bench.problem(name)


async def system(bench: Bench, words: list[str], hear: Ear) -> None:
    talk = bench.conversation
    if not words:
        if talk.system:
            hear(Page("System prompt", talk.system))
        else:
            say(hear, "there is no system prompt; /system TEXT sets one")
        return
    text = "" if words[0] == "--none" else await _prompt(bench, words[0])
    if text == talk.system:
        say(hear, "the system prompt is that already")
        return
    talk.set_system(text, hear)
    _say_prompt(bench, hear)


def _say_prompt(bench: Bench, hear: Ear) -> None:
    talk = bench.conversation
    undo = "; /undo takes it back" if talk.session.before_last() is not None else ""
    if not talk.system:
        say(hear, f"no system prompt from the next message on{undo}")
        return
    tokens, exact = talk.count(talk.system)
    size = ("" if exact else "~") + plural(tokens, "token")
    say(hear, f"the system prompt is set ({size}), from the next message on{undo}")


async def _prompt(bench: Bench, word: str) -> str:
    if not word.startswith("@"):
        return word
    path = word[1:].strip().strip("'\"")
    try:
        text = await bench.files.read_text(path, PROMPT_LIMIT)
    except (OSError, ValueError) as error:
        raise CommandError(
            f"cannot read {path}: {_reason(error)}", hint="/system @FILE takes a text file"
        ) from None
    return text.strip()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


async def set_option(bench: Bench, words: list[str], hear: Ear) -> None:
    if words and "=" in words[0]:
        words = [*words[0].split("=", 1), *words[1:]]
    if not words:
        hear(Page("Settings of this session", _options(bench)))
        return
    if len(words) == 1:
        name, _ = read_option(words[0], "default")
        say(hear, f"{name} is {_shown(bench, name)}")
        return
    name, value = read_option(words[0], " ".join(words[1:]))
    before = _shown(bench, name)
    talk = bench.conversation
    # What is said now wins over what the command line said for this start.
    talk.overrides = {k: v for k, v in talk.overrides.items() if k != name}
    talk.set_option(name, value, hear)
    say(hear, f"{name}: {before} → {_shown(bench, name)}, from the next message on")


def _shown(bench: Bench, name: str) -> str:
    value = getattr(bench.conversation.options, name)
    if value is None or value == ():
        return "the provider's default"
    return ", ".join(map(repr, value)) if isinstance(value, tuple) else f"{value}"


def _options(bench: Bench) -> str:
    rows = ((f"`{o.name}`", escaped(_shown(bench, o.name)), escaped(o.help)) for o in OPTIONS)
    text = table(("setting", "now", "what it is"), rows)
    return f"{text}\n\n`/set NAME VALUE` changes one, `/set NAME default` takes it back."


COMMANDS: tuple[Command, ...] = (
    Command(
        "model",
        "choose the model that answers",
        Group.MODELS,
        model,
        asked="switch, change the model; choose another model; which models; list of models",
        usage="[NAME]",
        aliases=("models",),
        kinds=(Kind.MODEL,),
        most=1,
        detail="NAME is `provider/model`, a model's own name, or an alias from the configuration. "
        "Without NAME, a list of every model that can be reached now. You may switch in the middle "
        "of a conversation: the new model gets all that was said.",
    ),
    Command(
        "provider",
        "choose the provider (the service or server) that answers",
        Group.MODELS,
        provider,
        asked="switch, use a different provider; change the service",
        usage="[NAME [MODEL]]",
        kinds=(Kind.PROVIDER, Kind.MODEL_OF),
        most=2,
        detail="Without MODEL, its default model. Without NAME, a list of providers with what each "
        "of them lacks (an API key, say). `/help keys-and-providers` says how to add a key.",
    ),
    Command(
        "system",
        "show or set the system prompt",
        Group.MODELS,
        system,
        asked="change, set the system prompt; persona; role; custom instructions; how it "
        "should behave",
        usage="[TEXT|@FILE|--none]",
        kinds=(Kind.PROMPT,),
        most=1,
        free=True,
        detail="The instructions the model gets before everything else. Newlines are kept; `@FILE` "
        "reads it from a file; `--none` goes without. It holds from your next message on.",
    ),
    Command(
        "set",
        "show or change how the model is asked: temperature and the like",
        Group.MODELS,
        set_option,
        asked="set the temperature; max tokens; reasoning; parameters",
        usage="[NAME VALUE]",
        kinds=(Kind.OPTION, Kind.VALUE),
        most=None,
        detail="`/set temperature 0.2`, `/set max_tokens 500`, `/set reasoning high`; "
        "`/set temperature default` takes it back. Without arguments, all of them. What nobody set "
        "is not sent.",
    ),
)
