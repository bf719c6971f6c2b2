"""The core's public face: light to import, complete, and honest about what it lacks."""

import subprocess
import sys

import pytest

import diffx_core


def test_importing_the_core_does_not_import_torch():
    code = "import sys, diffx_core; diffx_core.ConfigError; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", diffx_core.__all__)
def test_every_public_name_is_there(name):
    assert getattr(diffx_core, name) is not None
    assert name in dir(diffx_core)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'Shedule'"):
        _ = diffx_core.Shedule
