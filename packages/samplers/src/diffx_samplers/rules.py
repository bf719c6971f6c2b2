"""The one-step methods, by the names under which other methods are built on them."""

from typing import Literal

from diffx_samplers.ddim import DDIM
from diffx_samplers.ddpm import DDPM
from diffx_samplers.euler import Euler
from diffx_samplers.euler_maruyama import EulerMaruyama
from diffx_samplers.one_step import OneStep

Rule = Literal["ddim", "euler", "ancestral", "large", "euler_maruyama"]

RULES: dict[Rule, OneStep] = {
    "ddim": DDIM(),
    "euler": Euler(coords="native"),
    "ancestral": DDPM(),
    "large": DDPM(variance="large"),
    "euler_maruyama": EulerMaruyama(form="classic"),
}
