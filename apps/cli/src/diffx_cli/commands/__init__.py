"""The commands, one module each. A module imports torch only when its command runs."""

from diffx_cli.command import Command
from diffx_cli.commands import (
    check_plugin,
    demo,
    describe,
    list_plugins,
    plot_schedule,
    sample,
    train,
)

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (train, sample, list_plugins, describe, check_plugin, plot_schedule, demo)
}
"""Every command by name, in the order of the help."""
