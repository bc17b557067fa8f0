"""Every command with its arguments and options, from the tree of commands that answers `--help`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main

from bandstand.commands.cli import app
from docs.generating.markdown import anchor, code, page, table

__all__ = ["make"]

Command = Any
"""Typer 0.26 carries Click under a private name, so its classes have no public one."""


def make() -> str:
    """The page."""
    root = typer.main.get_command(app)
    panels: dict[str, list[tuple[str, Command]]] = {}
    for name, command, panel in _commands(root, "bandstand", "Other commands"):
        panels.setdefault(panel, []).append((name, command))
    return page(
        "Commands",
        "`bandstand COMMAND --help` shows the same. The exit codes are those of [Errors](errors.md). "
        "The variables that commands read are those of [Environment](environment.md).",
        *(_overview(panel, commands) for panel, commands in panels.items()),
        *(_described(name, command) for commands in panels.values() for name, command in commands),
    )


def _commands(group: Command, path: str, panel: str) -> Iterator[tuple[str, Command, str]]:
    """All commands below a group, with their panels in the help."""
    for name, command in group.commands.items():
        own = command.rich_help_panel if isinstance(getattr(command, "rich_help_panel", None), str) else panel
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}", own)
        elif not command.hidden:
            yield f"{path} {name}", command, own


def _overview(panel: str, commands: list[tuple[str, Command]]) -> str:
    rows = [(f"[{code(name)}](#{anchor(name)})", _first_sentence(command.help)) for name, command in commands]
    return f"## {panel}\n\n{table(('command', 'what it does'), rows)}"


def _first_sentence(text: str) -> str:
    return re.split(r"(?<=\.)\s", inspect.cleandoc(text).split("\n\n")[0], maxsplit=1)[0]


def _described(name: str, command: Command) -> str:
    parts = [f"## {name}", inspect.cleandoc(command.help).replace("\f", ""), f"```text\n{_usage(name, command)}\n```"]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    if arguments:
        parts.append(table(("argument", "meaning"), ((code(_named(each)), each.help or "") for each in arguments)))
    if options:
        rows = [(_option(each), each.help or "", _default(each)) for each in options if each.name != "help"]
        parts.append(table(("option", "meaning", "default"), rows) if rows else "")
    return "\n\n".join(part for part in parts if part)


def _usage(name: str, command: Command) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    words = [_named(each) if each.required else f"[{_named(each)}]" for each in arguments]
    has_options = any(each.param_type_name == "option" and each.name != "help" for each in command.params)
    return " ".join([name, *(["[OPTIONS]"] if has_options else []), *words])


def _named(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).strip("[]")
    return f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name


def _option(option: Any) -> str:
    names = ", ".join(code(name) for name in sorted(option.opts, key=len, reverse=True) + list(option.secondary_opts))
    return names if option.is_flag else f"{names} {code(_value_name(option))}"


def _value_name(option: Any) -> str:
    """What stands for an option's value. Before version 0.26, Typer's options have Click's types."""
    if option.metavar:
        return str(option.metavar)
    if hasattr(option, "type_descriptor"):
        kind = option.type_descriptor.annotation
        name = getattr(kind, "__name__", str(kind))
    else:
        name = option.type.name
    return _VALUES.get(name, "TEXT")


_VALUES = {
    "int": "NUMBER", "integer": "NUMBER", "integer range": "NUMBER", "float": "NUMBER", "float range": "NUMBER",
    "Path": "FILE", "path": "FILE",
}  # fmt: skip


def _default(option: Any) -> str:
    if option.required:
        return "must be given"
    if isinstance(option.show_default, str):
        return option.show_default
    value = option.default
    if value is None or value is False or value in ((), []) or callable(value):
        return ""
    return code(option.opts[0] if value is True else getattr(value, "value", value))
