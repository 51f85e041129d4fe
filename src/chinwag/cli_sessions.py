"""Typer for `chat sessions`: words to flags, nothing else. Imported with `cli`.

Invariants: as in `cli`: nothing is decided here; what a command does, and what it imports, is in
`shelf` (what is kept) and `porter` (what comes and goes).
"""

from __future__ import annotations

from typing import Annotated

import typer

from chinwag.asked import Flags

sessions_app = typer.Typer(
    no_args_is_help=True,
    help="What was talked: list, show, search, rename, move, import, export, delete.",
)

Data = Annotated[str, typer.Option("--data-dir", metavar="DIR", help="Where sessions are kept.")]
Config = Annotated[str, typer.Option("--config", metavar="FILE", help="The configuration file.")]
Store = Annotated[
    str,
    typer.Option(
        "--store", metavar="URL", help="file:DIR, sqlite:PATH, redis://HOST:PORT/DB or memory:"
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON for programs.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
To = Annotated[str, typer.Option("--to", metavar="URL", help="The other store.")]
Names = Annotated[list[str], typer.Argument(metavar="NAME...")]


def _flags(data_dir: str, store: str) -> Flags:
    return {k: v for k, v in (("data_dir", data_dir), ("store", store)) if v}


@sessions_app.command("list")
def list_(
    text: Annotated[str, typer.Argument(metavar="[TEXT]", help="In title or model.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most N.")] = 0,
    since: Annotated[
        str, typer.Option("--since", metavar="WHEN", help="2026-11-20, 7d, 12h, today.")
    ] = "",
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Every session, last used first."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(
        shelf.sessions(flags, config, as_json=json, text=text, limit=limit, since=since)
    )


@sessions_app.command("show")
def show(
    name: str,
    last: Annotated[int, typer.Option("--last", metavar="N", help="The last N messages.")] = 0,
    branches: Annotated[
        bool, typer.Option("--branches", help="What was gone back from, too.")
    ] = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """One session as text, or as its document."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(shelf.show(name, flags, config, as_json=json, last=last, branches=branches))


@sessions_app.command("search")
def search(
    text: Annotated[list[str], typer.Argument(metavar="TEXT")],
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="At most N.")] = 20,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Find words in every session."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(shelf.search(" ".join(text), flags, config, as_json=json, limit=limit))


@sessions_app.command("rename")
def rename(
    name: str,
    title: str,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Give a session another name."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(shelf.rename(name, title, flags, config, as_json=json))


@sessions_app.command("fork")
def fork(
    name: str,
    title: Annotated[str, typer.Argument(metavar="[NEWNAME]")] = "",
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Copy a session; both have a life of their own from there."""
    from chinwag import shelf

    raise typer.Exit(shelf.fork(name, title, _flags(data_dir, store), config, as_json=json))


@sessions_app.command("delete")
def delete(
    names: Names,
    yes: Yes = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Put sessions in the trash; asks first."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(shelf.delete(names, flags, config, sure=yes, as_json=json))


@sessions_app.command("trash")
def trash(json: Json = False, data_dir: Data = "", store: Store = "", config: Config = "") -> None:
    """What was deleted and can be brought back."""
    from chinwag import shelf

    raise typer.Exit(shelf.trash(_flags(data_dir, store), config, as_json=json))


@sessions_app.command("restore")
def restore(
    names: Names, json: Json = False, data_dir: Data = "", store: Store = "", config: Config = ""
) -> None:
    """Bring deleted sessions back."""
    from chinwag import shelf

    raise typer.Exit(shelf.restore(names, _flags(data_dir, store), config, as_json=json))


@sessions_app.command("prune")
def prune(
    days: Annotated[
        float, typer.Option("--days", metavar="N", help="What was deleted longer ago.")
    ] = 30.0,
    yes: Yes = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Let go of what has been in the trash for 30 days."""
    from chinwag import shelf

    flags = _flags(data_dir, store)
    raise typer.Exit(shelf.prune(flags, config, days=days, sure=yes, as_json=json))


@sessions_app.command("export")
def export(
    name: str,
    path: Annotated[str, typer.Argument(metavar="[PATH|-]")] = "-",
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="json, openai, markdown, html or text."
        ),
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Write a session to a file, or to stdout."""
    from chinwag import porter

    flags = _flags(data_dir, store)
    raise typer.Exit(porter.export(name, path, form, flags, config, force=force, as_json=json))


@sessions_app.command("import")
def import_(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...")],
    again: Annotated[
        bool, typer.Option("--again", help="What was imported before, once more.")
    ] = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Bring in conversations of this program and others: ChatGPT, Claude, llm, OpenAI's form."""
    from chinwag import porter

    flags = _flags(data_dir, store)
    raise typer.Exit(porter.import_(paths, flags, config, again=again, as_json=json))


@sessions_app.command("move")
def move(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    to: To = "",
    copy: Annotated[bool, typer.Option("--copy", help="Leave them here as well.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every session.")] = False,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Take sessions to another store; checked before anything is taken away here."""
    from chinwag import porter

    flags = _flags(data_dir, store)
    raise typer.Exit(
        porter.move(names or [], to, flags, config, copy=copy, all_=every, as_json=json)
    )


@sessions_app.command("sync")
def sync(
    to: To = "", json: Json = False, data_dir: Data = "", store: Store = "", config: Config = ""
) -> None:
    """Every session of two stores in both."""
    from chinwag import porter

    raise typer.Exit(porter.sync(to, _flags(data_dir, store), config, as_json=json))


@sessions_app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    json: Json = False,
    data_dir: Data = "",
    store: Store = "",
    config: Config = "",
) -> None:
    """Load and check every session; ends with 1 where something is wrong."""
    from chinwag import porter

    raise typer.Exit(porter.verify(names or [], _flags(data_dir, store), config, as_json=json))
