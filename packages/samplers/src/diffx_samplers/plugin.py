"""The samplers of this package, as any plugin declares its own."""

from diffx_core import Component, hookimpl


@hookimpl
def diffx_samplers() -> list[Component]:
    """The ways from noise to data."""
    return [
        Component(
            "ddim", "diffx_samplers.ddim:DDIM", "Exponential Euler; eta adds ancestral noise"
        ),
        Component(
            "euler_maruyama",
            "diffx_samplers.euler_maruyama:EulerMaruyama",
            "Euler-Maruyama on the reverse-time SDE",
        ),
        Component(
            "pc",
            "diffx_samplers.predictor_corrector:PredictorCorrector",
            "Predictor with a Langevin corrector",
        ),
    ]
