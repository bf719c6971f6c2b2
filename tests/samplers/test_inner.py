"""Samplers that are made around a method: what they cannot go around is refused by its name."""

import pytest

from diffx_core import ConfigError
from diffx_samplers.parallel import Parallel
from diffx_samplers.repaint import RePaint
from diffx_samplers.restart import Restart
from diffx_samplers.rk45 import RK45

RULES = "ddim, euler, ancestral, large, euler_maruyama"
MADE = {
    "restart": (Restart, "inner", "heun, ddim"),
    "repaint": (RePaint, "rule", RULES),
    "parallel": (Parallel, "rule", RULES),
}


@pytest.mark.parametrize("method", ["rk45", RK45(), RK45, None], ids=str)
@pytest.mark.parametrize(("sampler", "option", "known"), MADE.values(), ids=MADE)
def test_another_method_is_refused_with_those_that_there_are(sampler, option, known, method):
    with pytest.raises(ConfigError, match=f"^'{option}' must be one of {known}: ") as refused:
        sampler(**{option: method})
    assert "Attribute(" not in str(refused.value)
