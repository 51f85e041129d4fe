"""Typer for `chat mcp`: words to flags, nothing else. Imported with `cli`.

Invariants: as in `cli`: nothing is decided here; what a command does is in `mcp_shell`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from chinwag.cli_sessions import Config, Json, Yes

mcp_app = typer.Typer(
    no_args_is_help=True, help="Servers of tools (MCP): add, list, try, remove them."
)


@mcp_app.command("add", context_settings={"ignore_unknown_options": True})
def add(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND... | URL")],
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", "-e", metavar="NAME[=VALUE]", help="A variable; NAME alone passes it on."
        ),
    ] = None,
    key: Annotated[
        str, typer.Option("--key", metavar="WHERE", help="The token: env:, keyring: or cmd:.")
    ] = "",
    folder: Annotated[
        str, typer.Option("--folder", metavar="DIR", help="Where it runs; else at home.")
    ] = "",
    config: Config = "",
) -> None:
    """Write a server into the configuration. It is not started before you approve it."""
    from chinwag import mcp_shell

    code = mcp_shell.add(name, words, config, env=env or (), key=key, folder=folder)
    raise typer.Exit(code)


@mcp_app.command("list")
def list_(json: Json = False, config: Config = "") -> None:
    """Every server of the configuration, and whether it was approved."""
    from chinwag import mcp_shell

    raise typer.Exit(mcp_shell.list_(config, as_json=json))


@mcp_app.command("remove")
def remove(name: Annotated[str, typer.Argument(metavar="NAME")], config: Config = "") -> None:
    """Take a server out of the configuration."""
    from chinwag import mcp_shell

    raise typer.Exit(mcp_shell.remove(name, config))


@mcp_app.command("test")
def try_(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    json: Json = False,
    yes: Yes = False,
    config: Config = "",
) -> None:
    """Start a server, say what it offers and how long that took, and end it."""
    from chinwag import mcp_shell

    raise typer.Exit(mcp_shell.try_one(name, config, as_json=json, yes=yes))
