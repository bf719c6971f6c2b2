"""What this package offers. Imports neither torch nor the process, so that listings stay fast."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_schedulers() -> list[Component]:
    """The noise process."""
    return [Component("ouve", "diffx_ouve.sde:OUVE", "Ornstein-Uhlenbeck VE, drawn to an image")]
