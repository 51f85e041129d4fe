"""`chat completion bash|zsh|fish`: a script for the shell, made from the command line itself.

Invariants: commands and options come from typer's own tables, so nothing is offered that is not
there; the script asks `chat` only for names of sessions, and only where one is to be typed. Part of
the roof: loaded only when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

SHELLS = ("bash", "zsh", "fish")
_NAMES = 'chat sessions list --json 2>/dev/null | grep -o \'"name": *"[^"]*\' | sed \'s/.*"//\''
"""Names of sessions, one a line; without a JSON tool, for not everybody has one."""
_SESSION = ("-r", "--resume", "-n", "--session")
_FILES = ("-f", "--file", "--schema", "--config", "--data-dir")


class Node(msgspec.Struct, frozen=True):
    """A command line up to here: what may come next. ``words`` and ``options`` with their help."""

    path: tuple[str, ...]
    words: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()


def nodes(talk: Any, app: Any) -> list[Node]:
    """Every place of the command line; the first is `chat` itself. Takes click's commands."""
    commands = [("ask", "Answer a prompt.")] + [
        (name, _first_line(command)) for name, command in app.commands.items()
    ]
    root = Node((), tuple(commands), tuple(_options(talk)))
    return [root, Node(("ask",), (), root.options), *_below(app, ())]


def _below(group: Any, path: tuple[str, ...]) -> Iterator[Node]:
    for name, command in group.commands.items():
        here = (*path, name)
        inner = getattr(command, "commands", {})
        words = tuple((sub, _first_line(c)) for sub, c in inner.items())
        yield Node(here, words, tuple(_options(command)))
        if inner:
            yield from _below(command, here)


def _options(command: Any) -> Iterator[tuple[str, str]]:
    for param in command.params:
        for name in param.opts:
            if name.startswith("-"):
                yield name, (getattr(param, "help", "") or "").split("\n")[0]


def _first_line(command: Any) -> str:
    return (command.help or command.short_help or "").strip().split("\n")[0]


def script(shell: str, tree: list[Node]) -> str:
    """The completion script for ``shell``."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](tree)


def _bash(tree: list[Node]) -> str:
    cases = "\n".join(
        f'    "{" ".join(node.path)}") words="{" ".join(_plain(node))}" ;;' for node in tree
    )
    return f"""# bash completion for chat; load it with: source <(chat completion bash)
_chat_completion() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
  local path="" words="" i
  case "$before" in
    {"|".join(_SESSION)}) COMPREPLY=($(compgen -W "$({_NAMES})" -- "$current")); return ;;
    {"|".join(_FILES)}) COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${{COMP_WORDS[i]}}" in -*) ;; *) path="${{path:+$path }}${{COMP_WORDS[i]}}" ;; esac
  done
  case "$path" in
{cases}
  esac
  case "$path" in
    "sessions "*) [ -n "$words" ] && [[ "$current" != -* ]] && words="$words $({_NAMES})" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _chat_completion chat
"""


def _plain(node: Node) -> list[str]:
    return [name for name, _ in (*node.words, *node.options)]


def _zsh(tree: list[Node]) -> str:
    cases = "\n".join(
        f'    "{" ".join(node.path)}") found=({" ".join(map(_zsh_word, _described(node)))}) ;;'
        for node in tree
    )
    return f"""#compdef chat
# zsh completion for chat; put it into a file _chat in a folder of $fpath,
# or load it with: source <(chat completion zsh)
_chat() {{
  local -a found names
  local here="" i
  case "${{words[CURRENT-1]}}" in
    {"|".join(_SESSION)}) names=(${{(f)"$({_NAMES})"}}); compadd -a names; return ;;
    {"|".join(_FILES)}) _files; return ;;
  esac
  for ((i = 2; i < CURRENT; i++)); do
    case "${{words[i]}}" in -*) ;; *) here="${{here:+$here }}${{words[i]}}" ;; esac
  done
  case "$here" in
{cases}
  esac
  _describe 'chat' found
  case "$here" in
    "sessions "*) names=(${{(f)"$({_NAMES})"}}); compadd -a names ;;
  esac
}}
compdef _chat chat
"""


def _described(node: Node) -> list[tuple[str, str]]:
    return [*node.words, *node.options]


def _zsh_word(pair: tuple[str, str]) -> str:
    name, about = pair
    told = f"{name}:{about}" if about else name
    return "'" + told.replace("'", "'\\''") + "'"


def _fish(tree: list[Node]) -> str:
    lines = [
        "# fish completion for chat; put it into ~/.config/fish/completions/chat.fish",
        "complete -c chat -f",
        f"function __chat_sessions\n    {_NAMES}\nend",
    ]
    for node in tree:
        where = _fish_place(node, tree)
        for name, about in node.words:
            lines.append(f"complete -c chat -n {where} -a {name} -d {_fish_text(about)}")
        for name, about in node.options:
            flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            more = " -r -F" if name in _FILES else ""
            more = " -x -a '(__chat_sessions)'" if name in _SESSION else more
            lines.append(f"complete -c chat -n {where} {flag}{more} -d {_fish_text(about)}")
    return "\n".join(lines) + "\n"


def _fish_place(node: Node, tree: list[Node]) -> str:
    if not node.path:
        others = " ".join(name for name, _ in tree[0].words)
        return f"'not __fish_seen_subcommand_from {others}'"
    seen = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in node.path)
    return f"'{seen}'"


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
