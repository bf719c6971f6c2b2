"""Every process of the package, as it comes and with options that nobody tried."""

import pytest

from diffx_schedulers.ddpm import DDPM
from diffx_schedulers.edm import EDM
from diffx_schedulers.logsnr import LogSNR
from diffx_schedulers.rectified_flow import RectifiedFlow
from diffx_schedulers.tables import TABLES
from diffx_schedulers.trigonometric import GVP, Cosine
from diffx_schedulers.ve import VE
from diffx_schedulers.vp import VP, SubVP

CONTINUOUS = {
    "vp": VP(),
    "vp constant": VP(beta_min=8.0, beta_max=8.0),
    "vp steep": VP(beta_min=1e-3, beta_max=40.0),
    "subvp": SubVP(),
    "subvp constant": SubVP(beta_min=12.0, beta_max=12.0),
    "ve": VE(),
    "ve wide": VE(sigma_min=0.002, sigma_max=80.0),
    "edm": EDM(),
    "edm narrow": EDM(sigma_min=0.05, sigma_max=12.0),
    "flow": RectifiedFlow(),
    "flow shifted": RectifiedFlow(shift=3.0),
    "flow shifted back": RectifiedFlow(shift=0.1),
    "cosine": Cosine(),
    "cosine far": Cosine(s=0.5),
    "gvp": GVP(),
    "logsnr cosine": LogSNR(),
    "logsnr cosine shifted": LogSNR(shift=-4.0),
    "logsnr cosine shifted back": LogSNR(shift=2.0),
    "logsnr cosine cut": LogSNR(log_snr_max=12.0, log_snr_min=-9.0, shift=-1.0),
    "logsnr linear": LogSNR(curve="linear"),
    "logsnr linear wide": LogSNR(curve="linear", log_snr_max=20.0, log_snr_min=-15.0, shift=1.5),
    "logsnr sigmoid": LogSNR(curve="sigmoid"),
    "logsnr sigmoid shifted": LogSNR(curve="sigmoid", shift=-2.5),
    "logsnr sigmoid cut": LogSNR(curve="sigmoid", log_snr_max=11.0, log_snr_min=-8.0),
}
DISCRETE = {
    **{f"ddpm {table}": DDPM(table=table) for table in TABLES},
    **{f"ddpm {table} zero": DDPM(table=table, zero_terminal_snr=True) for table in TABLES},
    "ddpm stable": DDPM(table="scaled_linear", beta_start=0.00085, beta_end=0.012),
    "ddpm dns 500": DDPM(table="dns", offset=500.0),
    "ddpm short": DDPM(T=25),
    "ddpm shortest": DDPM(table="cosine", T=2),
    "ddpm shortest zero": DDPM(table="cosine", T=2, zero_terminal_snr=True),
    "ddpm long": DDPM(table="cosine", T=4000, s=0.02),
}
PROCESSES = {**CONTINUOUS, **DISCRETE}


@pytest.fixture(params=PROCESSES.values(), ids=PROCESSES)
def process(request):
    """Each of the processes."""
    return request.param


@pytest.fixture(params=DISCRETE.values(), ids=DISCRETE)
def discrete(request):
    """Each of those in discrete time."""
    return request.param
