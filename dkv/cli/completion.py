"""``dkv completion``: the script with which a shell completes ``dkv``'s commands and options."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from dkv.cli.output import Status, say

SHELLS: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    short_help="Print a shell's completion script.",
    epilog="""\b
To install it:
  bash  dkv completion bash > ~/.local/share/bash-completion/completions/dkv
  zsh   dkv completion zsh > ~/.zfunc/_dkv     with ~/.zfunc in fpath, before compinit
  fish  dkv completion fish > ~/.config/fish/completions/dkv.fish
For the shell that runs, until it ends: eval "$(dkv completion bash)"

\b
Exit status: 0 done, 2 usage, 74 the script could not be written to stdout.""",
)
@click.argument("shell", type=click.Choice(tuple(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes the commands and options of dkv in SHELL.

    It runs the dkv found in PATH for the words that fit. bash needs the package bash-completion for the first
    way below.
    """
    complete = SHELLS[shell](context.find_root().command, {}, "dkv", "_DKV_COMPLETE")
    # Not source(): for bash that checks the version of the bash in PATH, which may not be the one that is meant.
    say((complete.source_template % complete.source_vars()).strip())
    return Status.DONE
