"""Groups of commands that know what was probably meant by a name that none of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import click

from dkv.cli.nearest import did_you_mean


class NamedCommands(click.Group):
    """A group that names the nearest of its commands where there is none of that name."""

    meant: ClassVar[Mapping[str, str]] = {}
    """The words here for those that people know from elsewhere."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that ``args`` begin with; a usage error that names the nearest one if there is none."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            ctx.fail(f"No such command {name!r}. {did_you_mean(name, self.list_commands(ctx), self.meant)}".rstrip())
        return super().resolve_command(ctx, args)
