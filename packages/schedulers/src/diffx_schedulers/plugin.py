"""The processes of this package, as any plugin declares its own."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_schedulers() -> list[Component]:
    """The noise processes."""
    flow = "diffx_schedulers.rectified_flow:RectifiedFlow"
    return [
        Component("vpsde", "diffx_schedulers.vp:VP", "Variance-preserving SDE with linear beta"),
        Component("vesde", "diffx_schedulers.ve:VE", "Variance-exploding SDE, geometric sigma"),
        Component("subvpsde", "diffx_schedulers.vp:SubVP", "Sub-VP SDE: VP with less noise"),
        Component("cosine", "diffx_schedulers.trigonometric:Cosine", "Cosine schedule"),
        Component("edm", "diffx_schedulers.edm:EDM", "EDM: time is the noise's deviation"),
        Component("rectified_flow", flow, "Straight lines from data to noise"),
        Component("flow", flow, "Another name of rectified_flow"),
        Component("gvp", "diffx_schedulers.trigonometric:GVP", "Trigonometric path"),
        Component("logsnr", "diffx_schedulers.logsnr:LogSNR", "A log-SNR curve, with a shift"),
        Component("ddpm", "diffx_schedulers.ddpm:DDPM", "Tables of betas in discrete time"),
    ]
