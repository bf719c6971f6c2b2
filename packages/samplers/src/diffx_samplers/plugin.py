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
        Component(
            "dpmpp", "diffx_samplers.dpmpp:DPMPP", "DPM-Solver++, multistep, with or without noise"
        ),
        Component(
            "unipc", "diffx_samplers.unipc:UniPC", "UniPC: predictor and corrector, one call"
        ),
        Component(
            "deis", "diffx_samplers.adams:DEIS", "Adams-Bashforth in sigma/alpha, order 1 to 4"
        ),
        Component(
            "ipndm", "diffx_samplers.adams:IPNDM", "The same with the weights of equal steps"
        ),
        Component(
            "sa_solver",
            "diffx_samplers.sa_solver:SASolver",
            "Stochastic Adams, with noise to taste",
        ),
        Component("euler", "diffx_samplers.euler:Euler", "Euler on the velocity"),
        Component("ddpm", "diffx_samplers.ddpm:DDPM", "Exact ancestral sampling, either variance"),
        Component("heun", "diffx_samplers.heun:Heun", "Heun, of second order; EDM with churn"),
        Component(
            "sde_heun",
            "diffx_samplers.sde_heun:SDEHeun",
            "Stochastic Heun, weak order two",
        ),
        Component(
            "dpm_solver",
            "diffx_samplers.dpm_solver:DPMSolver",
            "DPM-Solver and DPM-Solver++, singlestep, order 2 and 3",
        ),
        Component(
            "restart", "diffx_samplers.restart:Restart", "An ODE method with repeated jumps back"
        ),
        Component("repaint", "diffx_samplers.repaint:RePaint", "Repeated steps, for inpainting"),
        Component(
            "parallel", "diffx_samplers.parallel:Parallel", "Many steps at once, by Picard sweeps"
        ),
        Component("rk45", "diffx_samplers.rk45:RK45", "Dormand-Prince, to a tolerance"),
    ]
