"""Typer for `chat config` and `chat keys`: words to flags, nothing else. Imported with `cli`.

Invariants: as in `cli`: nothing is decided here, and no argument ever holds a key.
"""

from __future__ import annotations

from typing import Annotated

import typer

from chinwag.cli_sessions import Config, Data, Json

config_app = typer.Typer(
    no_args_is_help=True, help="Settings: where each comes from; get, set and edit them."
)
keys_app = typer.Typer(
    no_args_is_help=True, help="API keys, kept in the keyring or a file only you can read."
)


@config_app.command("show")
def config_show(json: Json = False, data_dir: Data = "", config: Config = "") -> None:
    """Every setting, its value, and where it came from."""
    from chinwag import configuring

    raise typer.Exit(
        configuring.show({"data_dir": data_dir} if data_dir else {}, config, as_json=json)
    )


@config_app.command("path")
def config_path(config: Config = "") -> None:
    """Where the configuration file is."""
    from chinwag import configuring

    raise typer.Exit(configuring.where(config))


@config_app.command("get")
def config_get(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    json: Json = False,
    data_dir: Data = "",
    config: Config = "",
) -> None:
    """The value of one setting (context.limit), or of a table (context)."""
    from chinwag import configuring

    raise typer.Exit(
        configuring.get(name, {"data_dir": data_dir} if data_dir else {}, config, as_json=json)
    )


@config_app.command("set", context_settings={"ignore_unknown_options": True})
def config_set(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    value: Annotated[str, typer.Argument(metavar="VALUE")],
    config: Config = "",
) -> None:
    """Write one setting into the file; every other line stays as it is."""
    from chinwag import configuring

    raise typer.Exit(configuring.set_(name, value, config))


@config_app.command("unset")
def config_unset(name: Annotated[str, typer.Argument(metavar="NAME")], config: Config = "") -> None:
    """Take one setting out of the file: its default holds again."""
    from chinwag import configuring

    raise typer.Exit(configuring.unset(name, config))


@config_app.command("edit")
def config_edit(config: Config = "") -> None:
    """Open the file in your editor ($VISUAL, $EDITOR), and check it afterwards."""
    from chinwag import configuring

    raise typer.Exit(configuring.edit(config))


@keys_app.command("list")
def keys_list(json: Json = False, config: Config = "") -> None:
    """Which providers have a key, and where it is; never the key."""
    from chinwag import lists

    raise typer.Exit(lists.keys({}, config, as_json=json))


@keys_app.command("set")
def keys_set(
    provider: str,
    file: Annotated[bool, typer.Option("--file", help="In a file only you can read.")] = False,
    keyring: Annotated[bool, typer.Option("--keyring", help="In the system's keyring.")] = False,
    config: Config = "",
) -> None:
    """Ask for a key, without showing it, and keep it: in the keyring where one answers."""
    from chinwag import lists

    if file and keyring:
        raise typer.BadParameter("--file or --keyring, not both")
    place = "file" if file else "keyring" if keyring else ""
    raise typer.Exit(lists.set_key(provider, config, place=place))


@keys_app.command("delete")
def keys_delete(provider: str, config: Config = "") -> None:
    """Take a kept key away."""
    from chinwag import lists

    raise typer.Exit(lists.delete_key(provider, config))


@keys_app.command("path")
def keys_path(config: Config = "") -> None:
    """Where the keys are kept."""
    from chinwag import lists

    raise typer.Exit(lists.keys_path(config))
