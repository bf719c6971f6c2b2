"""The commands, one module each. A module imports torch only when its command runs."""

from diffx_cli.command import Command
from diffx_cli.commands import (
    check_plugin,
    decode_latents,
    demo,
    describe,
    ema,
    encode_latents,
    import_weights,
    list_plugins,
    matrix,
    plot_schedule,
    recipes,
    sample,
    train,
)

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        train,
        recipes,
        sample,
        ema,
        import_weights,
        list_plugins,
        describe,
        check_plugin,
        plot_schedule,
        matrix,
        encode_latents,
        decode_latents,
        demo,
    )
}
"""Every command by name, in the order of the help."""
