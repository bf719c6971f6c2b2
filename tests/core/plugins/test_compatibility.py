"""The quick reading of a version range agrees with the full one, whatever the versions."""

import subprocess
import sys

import pytest
from packaging.specifiers import SpecifierSet

from diffx_core.errors import PluginError
from diffx_core.plugins.compatibility import check_requirements

RANGES = ["", ">=0.1,<0.2", "<0.2,>=0.1", " >= 0.1.0 , < 0.2.0.0", ">=1", "<1", ">=0.10,<0.11"]
RANGES += [">=0.1.0.0,<0.1.0.1", "~=0.1", "==0.1.*", ">0.1", "<=0.1", "!=0.1.1", ">=0.1rc1,<0.2a0"]
CORES = ["0", "0.1", "0.1.0", "0.1.1", "0.2", "0.10.0", "1.0", "0.1rc1", "0.2.dev1", "0.1.post1"]


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("text", RANGES)
def test_a_requirement_is_met_when_packaging_says_so(text, core):
    try:
        check_requirements([f"diffx-core{text}"], core)
    except PluginError:
        met = False
    else:
        met = True
    assert met == SpecifierSet(text).contains(core, prereleases=True)


def test_an_unknown_core_refuses_nothing():
    check_requirements(["diffx-core>=999"], None)


def test_a_plain_range_that_is_met_does_not_import_packaging():
    code = """
import sys
from diffx_core.plugins.compatibility import check_requirements
check_requirements(["diffx-core>=0.1,<0.2"], "0.1.0")
print("packaging" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
