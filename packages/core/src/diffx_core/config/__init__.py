"""What a run is made of, as text: options from signatures, strict text to typed values, YAML files.

The saved form of a run is in `diffx_core.config.run`, apart from these, because it needs the
plugins and help does not.
"""

from diffx_core.config.convert import convert, type_name
from diffx_core.config.schema import REQUIRED, Option, options_of
from diffx_core.config.structure import Given, structure
from diffx_core.config.wording import flag, nearest, show, written
from diffx_core.config.yaml import read_yaml, to_yaml, write_yaml

__all__ = [
    "REQUIRED",
    "Given",
    "Option",
    "convert",
    "flag",
    "nearest",
    "options_of",
    "read_yaml",
    "show",
    "structure",
    "to_yaml",
    "type_name",
    "write_yaml",
    "written",
]
