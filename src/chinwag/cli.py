"""Typer: words to flags, flags to a road. Imported only when the command line is not empty.

Invariants: nothing here decides more than which road is taken; no argument ever holds a key; a
wrong word on the command line ends with code 2 and one sentence. prompt_toolkit, httpx, tiktoken
and rich are not imported by `--help`.
"""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help: 50 ms where rich would take 105

import typer

from chinwag import __version__
from chinwag.asked import Asked, Flags
from chinwag.cli_config import config_app, keys_app
from chinwag.cli_mcp import mcp_app
from chinwag.cli_sessions import Config, Data, Json, Store, sessions_app
from chinwag.errors import ChinwagError, StoreError, UsageError
from chinwag.frontends.codes import ANSWERED, FAILED, WRONG_USE

if TYPE_CHECKING:
    from chinwag.boot import EarlyScreen

PANEL = (
    "Commands: ask, sessions, models, providers, keys, config, tools, mcp, doctor, completion. "
    "`chat COMMAND --help` explains."
)

_early: list[EarlyScreen | None] = [None]
"""The painted screen, if boot made one: typer has no way to hand it through."""

talk_app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Talk to any language model in the terminal.",
)
app.add_typer(sessions_app, name="sessions")
app.add_typer(mcp_app, name="mcp")
app.add_typer(config_app, name="config")
app.add_typer(keys_app, name="keys")

COMMANDS = (
    "ask",
    "sessions",
    "mcp",
    "models",
    "providers",
    "keys",
    "config",
    "tools",
    "doctor",
    "completion",
)


def _version(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        typer.echo(f"chinwag {__version__}")
        raise typer.Exit


@talk_app.command(epilog=PANEL, context_settings={"help_option_names": ["-h", "--help"]})
def talk(  # noqa: PLR0917 - one parameter per option of interface.md, section 2
    prompt: Annotated[list[str] | None, typer.Argument(metavar="[PROMPT]...")] = None,
    model: Annotated[
        str, typer.Option("-m", "--model", metavar="NAME", help="provider/model, or an alias.")
    ] = "",
    provider: Annotated[
        str, typer.Option("-p", "--provider", metavar="NAME", help="Its default model unless -m.")
    ] = "",
    system: Annotated[
        str, typer.Option("-s", "--system", metavar="TEXT", help="System prompt; @FILE reads it.")
    ] = "",
    session: Annotated[
        str, typer.Option("-n", "--session", metavar="NAME", help="Open NAME, or begin it.")
    ] = "",
    resume: Annotated[
        str, typer.Option("-r", "--resume", metavar="[NAME]", help="Open one; a picker if bare.")
    ] = "",
    fork: Annotated[
        bool, typer.Option("--fork", help="With -r or -c: go on in a copy of that session.")
    ] = False,
    latest: Annotated[
        bool, typer.Option("-c", "--continue", help="The session used last.")
    ] = False,
    file: Annotated[
        list[str] | None,
        typer.Option("-f", "--file", metavar="PATH", help="Attach a file; - is stdin. Repeatable."),
    ] = None,
    temperature: Annotated[str, typer.Option("-t", "--temperature", metavar="N")] = "",
    max_tokens: Annotated[str, typer.Option("--max-tokens", metavar="N")] = "",
    top_p: Annotated[str, typer.Option("--top-p", metavar="N")] = "",
    stop: Annotated[list[str] | None, typer.Option("--stop", metavar="TEXT")] = None,
    option: Annotated[
        list[str] | None, typer.Option("-o", "--option", metavar="KEY=VALUE", help="Any setting.")
    ] = None,
    reasoning: Annotated[
        str, typer.Option("--reasoning", metavar="low|medium|high|off", help="How much to think.")
    ] = "",
    tools: Annotated[
        str,
        typer.Option("--tools", metavar="LIST", help="Tools to offer: all, none, or names."),
    ] = "",
    no_tools: Annotated[bool, typer.Option("--no-tools", help="Offer no tools.")] = False,
    approve: Annotated[
        str,
        typer.Option(
            "--approve",
            metavar="ask|never|all|LIST",
            help="Who is asked before a tool runs; LIST: rules.",
        ),
    ] = "",
    schema: Annotated[
        str,
        typer.Option("--schema", metavar="FILE|JSON", help="The answer must be JSON that fits."),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON object when done.")] = False,
    json_stream: Annotated[
        bool, typer.Option("--json-stream", help="One JSON event a line.")
    ] = False,
    extract: Annotated[
        bool, typer.Option("-x", "--extract", help="Only the first fenced code block.")
    ] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Print it when whole.")] = False,
    budget: Annotated[
        str,
        typer.Option("--budget", metavar="AMOUNT", help="Stop before spending more: 0.50, 200k."),
    ] = "",
    private: Annotated[bool, typer.Option("--private", help="Nothing is written.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="What would be sent, and its tokens.")
    ] = False,
    store: Store = "",
    data_dir: Data = "",
    config: Config = "",
    plain: Annotated[bool, typer.Option("--plain", help="A line REPL, no full screen.")] = False,
    theme: Annotated[str, typer.Option("--theme", metavar="NAME", help="dark, light, auto.")] = "",
    vi: Annotated[bool, typer.Option("--vi", help="vi keys in the input.")] = False,
    no_mouse: Annotated[
        bool, typer.Option("--no-mouse", help="Leave the mouse to the terminal.")
    ] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the answer.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Say more.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    """Talk to any language model: a full screen on a terminal, or one answer for a prompt.

    Without a prompt, on a terminal, the chat opens. With a prompt or piped input it answers once.
    """
    from chinwag import roads

    del version
    asked = Asked(
        prompt=" ".join(prompt or ()),
        files=tuple(file or ()),
        session=session,
        resume="" if resume == BARE else resume,
        pick=resume == BARE,
        latest=latest,
        fork=fork,
        options=_options(option, temperature, max_tokens, top_p, reasoning),
        stop=tuple(stop or ()),
        schema=schema,
        json=json,
        json_stream=json_stream,
        extract=extract,
        live=not no_stream,
        dry_run=dry_run,
        quiet=quiet,
        verbose=verbose,
    )
    flags: Flags = {
        "model": model,
        "provider": provider,
        "system": system,
        "store": store,
        "private": private,
        "budget": budget,
        "tools.offer": "none" if no_tools else tools,
        "tools.approve": approve,
        "data_dir": data_dir,
        "plain": plain,
        "theme": theme,
        "vi": vi,
        "mouse": False if no_mouse else None,
    }
    raise typer.Exit(roads.take(asked, _given(flags), config, _early[0]))


def _options(pairs: list[str] | None, *named: str) -> tuple[tuple[str, str], ...]:
    """Request options as (name, word), the named flags after the general ones."""
    loose = []
    for pair in pairs or ():
        name, equals, word = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r}: -o takes KEY=VALUE")
        loose.append((name, word))
    names = ("temperature", "max_tokens", "top_p", "reasoning")
    return (*loose, *((n, word) for n, word in zip(names, named, strict=True) if word))


def _given(flags: Flags) -> Flags:
    """Only what somebody set: the rest comes from configuration."""
    return {name: value for name, value in flags.items() if value not in ("", None, False)} | (
        {"mouse": False} if flags.get("mouse") is False else {}
    )


# -- sub-commands ---------------------------------------------------------------------------------


def _flags(data_dir: str, store: str = "") -> Flags:
    return _given({"data_dir": data_dir, "store": store})


@app.command("models")
def models(
    query: Annotated[str, typer.Argument()] = "",
    json: Json = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Ask every provider anew, not the last day's list.")
    ] = False,
    config: Config = "",
) -> None:
    """Models that can be named, of every provider that can be reached."""
    from chinwag import lists

    raise typer.Exit(lists.models(query, {}, config, as_json=json, anew=refresh))


@app.command("providers")
def providers(json: Json = False, config: Config = "") -> None:
    """Providers, their addresses, and whether their key was found."""
    from chinwag import lists

    raise typer.Exit(lists.providers({}, config, as_json=json))


@app.command("tools")
def tools_list(json: Json = False, data_dir: Data = "", config: Config = "") -> None:
    """Tools that can be offered, what they may do, and the rules that let them."""
    from chinwag import lists

    raise typer.Exit(lists.tools(_flags(data_dir), config, as_json=json))


@app.command("doctor")
def doctor(json: Json = False, data_dir: Data = "", store: Store = "", config: Config = "") -> None:
    """What this machine has: folders, keys, local servers, tools, terminal; what is amiss."""
    from chinwag import doctor as looked

    raise typer.Exit(looked.doctor(_flags(data_dir, store), config, as_json=json))


@app.command("completion")
def completion(shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")]) -> None:
    """A script that lets the shell complete commands, options and names of sessions."""
    from chinwag import completing

    if shell not in completing.SHELLS:
        raise UsageError(
            f"no completion for {shell!r}", hint=f"one of {', '.join(completing.SHELLS)}"
        )
    tree = completing.nodes(typer.main.get_command(talk_app), typer.main.get_command(app))
    typer.echo(completing.script(shell, tree), nl=False)


# -- which of them --------------------------------------------------------------------------------

BARE = "\0pick"  # what `--resume` without a name becomes: no session can be called so

_WITH_VALUE = frozenset(
    name
    for param in typer.main.get_command(talk_app).params
    for name in param.opts
    if name.startswith("-") and not getattr(param, "is_flag", False)
)


def run(argv: list[str], early: EarlyScreen | None) -> int:
    """Do what the words say. Returns the exit code; errors of our tree become one sentence."""
    _early[0] = early
    words = _with_bare_resume(argv)
    first = _first_word(words)
    command: Any
    if first is not None and words[first] == "help" and (asked := _help(words[first + 1 :])):
        command, words = asked
    elif first is not None and words[first] == "ask":
        command, words = talk_app, [*words[:first], *words[first + 1 :]]
    elif first is not None and words[first] in COMMANDS:
        command, words = app, [*words[first:], *words[:first]]
    elif first is not None and (slip := _slip(words, first)):
        return _refuse(slip, early)
    else:
        command = talk_app
    if command is talk_app and (empty := _empty_name(words)):
        return _refuse(f"the name after {empty} is empty - name the session", early)
    if command is app and sys.stdout is None:
        return _refuse("there is nowhere to write: stdout is closed", early, FAILED)
    return _called(command, words, early)


def _help(rest: list[str]) -> tuple[Any, list[str]] | None:
    """`chat help` and `chat help COMMAND`; anything longer is a prompt."""
    if not rest:
        return talk_app, ["--help"]
    if all(map(str.isalpha, rest)) and len(rest) <= 2 and rest[0] in COMMANDS[1:]:
        return app, [*rest, "--help"]
    return None


def _empty_name(words: list[str]) -> str:
    """The flag whose session has no name, as a variable that is not set gives; "" where none."""
    named = ("-n", "--session", "-r", "--resume")
    told = words[: words.index("--")] if "--" in words else words
    pairs = itertools.pairwise(told)
    return next((word for word, value in pairs if word in named and not value.strip()), "")


def _called(command: Any, words: list[str], early: EarlyScreen | None) -> int:
    if {"--help", "-h"} & set(words) and early is not None:
        early.give_back()
    try:
        code = command(words, prog_name="chat", standalone_mode=False)
    except ChinwagError as error:
        said = f"{error.message} - {error.hint}" if error.hint else error.message
        # Nothing has been asked of a model yet: only a store can have failed by itself.
        return _refuse(said, early, FAILED if isinstance(error, StoreError) else WRONG_USE)
    except typer.Abort:
        return 130
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except OSError as error:
        return _unwritable(error, early)
    except Exception as error:
        shown = getattr(error, "format_message", None)
        if shown is None:
            raise  # a mistake of ours: it goes up and is seen
        return _misused(error, shown(), early)
    return int(code or ANSWERED)


def _unwritable(error: OSError, early: EarlyScreen | None) -> int:
    """Our output had no place, or nobody reads it any more; else it is a mistake of ours."""
    from chinwag.once import CANNOT_BE_WRITTEN, nobody_reads

    if error.filename or error.errno not in CANNOT_BE_WRITTEN:
        raise error
    nobody_reads()
    said = f"the output cannot be written: {(error.strerror or '').lower()}"
    return _refuse(said, early, FAILED)


def _misused(error: Exception, said: str, early: EarlyScreen | None) -> int:
    """What typer could make nothing of; a group without a command shows what it has."""
    where = getattr(getattr(error, "ctx", None), "command_path", "chat")
    if type(error).__name__ == "NoArgsIsHelpError":
        if early is not None:
            early.give_back()
        sys.stderr.write(f"{said}\n")
        return WRONG_USE
    return _refuse(f"{said} - {where} --help lists the options", early)


def _refuse(sentence: str, early: EarlyScreen | None, code: int = WRONG_USE) -> int:
    from chinwag.text.safe import safe

    if early is not None:
        early.give_back()
    sys.stderr.write(f"chat: {safe(sentence)}\n")
    return code


def _with_bare_resume(argv: list[str]) -> list[str]:
    """`-r` with nothing to open after it asks for the picker."""
    out: list[str] = []
    for at, word in enumerate(argv):
        if word == "--":
            return out + argv[at:]
        out.append(word)
        bare = at + 1 == len(argv) or argv[at + 1].startswith("-")
        if word in ("-r", "--resume") and bare:
            out.append(BARE)
    return out


def _first_word(words: list[str]) -> int | None:
    """Where the first word stands that is no option and no option's value."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--" or (word.startswith("-") and word != "-"):
            if word == "--":
                return None
            at += 2 if word in _WITH_VALUE else 1
        else:
            return at
    return None


def _slip(words: list[str], first: int) -> str:
    """A sentence, where a single bare word is a command's name misspelt."""
    word = words[first]
    rest = words[first + 1 :]
    if rest or not word.isalpha():
        return ""
    near = sorted((d, c) for c in COMMANDS if (d := _distance(word, c)) <= min(2, len(c) - 2))
    if not near:
        return ""
    return f"there is no command {word!r}: did you mean {near[0][1]!r}? (chat ask {word} sends it)"


def _distance(a: str, b: str) -> int:
    """Letters to change, add, drop or swap."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        older, before, row = before, row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y)))
            if i > 1 and j > 1 and (x, y) == (b[j - 2], a[i - 2]):
                row[j] = min(row[j], older[j - 2] + 1)
    return row[-1]
