"""What is written down about a run has no passwords in it: people pass its folder on."""

import re

_USER = re.compile(r"(?<=://)[^/\s]*@")
_QUERY = re.compile(r"(?i)(?<=[?&])([^=&\s]*(?:pass|pwd|token|secret|key)[^=&\s]*=)[^&#\s]*")


def without_secrets(text: str) -> str:
    """A text whose addresses do not say who asks: no user, no password, no key.

    Args:
        text: an argument, or the value of an option.
    """
    return _QUERY.sub(r"\1", _USER.sub("", text))
