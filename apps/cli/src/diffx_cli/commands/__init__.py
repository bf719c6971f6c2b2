"""The commands, one module each. A module imports torch only when its command runs."""

from diffx_cli.commands import (
    check_plugin,
    compare,
    decode,
    decode_latents,
    demo,
    describe,
    doctor,
    edit,
    ema,
    encode,
    encode_latents,
    evaluate,
    export,
    import_weights,
    inpaint,
    interpolate,
    latent_plot,
    likelihood,
    list_plugins,
    matrix,
    new_plugin,
    plot_schedule,
    recipes,
    sample,
    train,
    ui,
)
from diffx_cli.line.command import Command

COMMANDS: dict[str, Command] = {
    module.COMMAND.name: module.COMMAND
    for module in (
        train,
        recipes,
        sample,
        ui,
        edit,
        inpaint,
        interpolate,
        encode,
        decode,
        likelihood,
        latent_plot,
        evaluate,
        compare,
        ema,
        import_weights,
        export,
        list_plugins,
        describe,
        check_plugin,
        doctor,
        new_plugin,
        plot_schedule,
        matrix,
        encode_latents,
        decode_latents,
        demo,
    )
}
"""Every command by name, in the order of the help."""
