"""What this package offers. Imports neither torch nor the process, so that listings stay fast."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_schedulers() -> list[Component]:
    """The noise process."""
    return [Component("pfgmpp", "diffx_pfgmpp.process:PFGMPP", "PFGM++: noise with heavy tails")]
