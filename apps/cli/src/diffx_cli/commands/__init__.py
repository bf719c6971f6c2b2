"""The commands, one module each. A module imports torch only when its command runs."""

from diffx_cli.command import Command
from diffx_cli.commands import describe, list_plugins

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND for module in (list_plugins, describe)
}
"""Every command by name, in the order of the help."""
