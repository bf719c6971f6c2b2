"""The processes of this package, as any plugin declares its own."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_schedulers() -> list[Component]:
    """The noise processes."""
    return [
        Component("vpsde", "diffx_schedulers.vp:VP", "Variance-preserving SDE with linear beta"),
        Component("vesde", "diffx_schedulers.ve:VE", "Variance-exploding SDE, geometric sigma"),
        Component(
            "rectified_flow",
            "diffx_schedulers.rectified_flow:RectifiedFlow",
            "Straight lines from data to noise",
        ),
    ]
