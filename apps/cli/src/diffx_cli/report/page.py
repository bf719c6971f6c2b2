"""One HTML file that asks for nothing: its style, its script and its pictures are inside."""

import base64
import hashlib
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from diffx_cli.report.drawing import svg
from diffx_cli.report.sections import Account

TEMPLATE, STYLE, SCRIPT = "page.html.j2", "page.css", "page.js"


def page(account: Account) -> str:
    """The whole page."""
    loader = PackageLoader("diffx_cli.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_own(name) for name in (STYLE, SCRIPT))
    return environment.get_template(TEMPLATE).render(
        title=account.title,
        subtitle=account.subtitle,
        sections=account.sections,
        svg=svg,
        policy=policy(style, script),
        style=Markup(style),  # noqa: S704 - a file of ours
        script=Markup(script),  # noqa: S704 - the same
        made=f"Made by diffx {version('diffx-cli')} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.",
    )


def policy(style: str, script: str) -> str:
    """What the browser may load: pictures in the page, and our own style and script by their sums.

    Args:
        style: the style sheet.
        script: the script.
    """
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none';"
        f" style-src '{_sum(style)}'; script-src '{_sum(script)}'"
    )


def _sum(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _own(name: str) -> str:
    return (files("diffx_cli.report") / "templates" / name).read_text(encoding="utf-8").strip()
