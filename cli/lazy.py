"""A group of commands whose modules are imported when they are called or listed, not when `tocsin` starts."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command


def lazy_group(panels: Mapping[str, Mapping[str, str]]) -> type[TyperGroup]:
    """The group of these commands, by the panel of the help in which they are shown: `{panel: {name: "module:attribute"}}`.

    The attribute is a function, or a typer.Typer for a command with sub-commands.
    """
    places = {name: (panel, place) for panel, commands in panels.items() for name, place in commands.items()}

    class LazyGroup(TyperGroup):
        """Knows the names; imports on demand."""

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
            return list(places)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            if cmd_name in places:
                return self._load(cmd_name)
            for name in places:  # what is loaded is what typer suggests to somebody who mistyped
                self._load(name)
            return None

        def _load(self, name: str) -> Any:
            if name not in self.commands:
                panel, place = places[name]
                self.commands[name] = command = _command(name, place)
                command.rich_help_panel = panel
            return self.commands[name]

    return LazyGroup


def _command(name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = found, typer.Typer(add_completion=False)
        found.command(name, epilog=getattr(function, "epilog", None))(function)
    found._add_completion = False  # `tocsin` itself installs it, for all of its commands
    command = get_command(found)
    command.name = name
    return command
