"""Assembly of templates, styles and scripts into one page.

All text is escaped. The page's content security policy allows only its inline scripts and pictures
next to it.
"""

import base64
import hashlib
import os
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from espcn import __version__
from espcn.io.atomic import write_text
from espcn.report.jobs import name_of
from espcn.report.pages import axes
from espcn.report.tables import gain


def write_page(path: Path, template: str, scripts: Sequence[str] = (), **values: Any) -> Path:
    """Render a template and write the page atomically.

    Args:
        path: The file.
        template: A file of espcn/report/templates.
        scripts: The scripts that it needs, files of espcn/report/assets.
        **values: The template's variables.

    Returns:
        The file.
    """
    texts = [asset(f"{name}.js") for name in scripts]
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in texts]
    runs = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    policy = (
        f"default-src 'none'; script-src {runs}; style-src 'unsafe-inline'; "
        "img-src 'self' file: data:"
    )
    page = _environment().get_template(template).render(
        policy=policy, scripts=[Markup(one) for one in texts],
        style=Markup(asset("divider.css") + asset("page.css")),
        version=__version__, axes=axes, **values,
    )  # fmt: skip
    # The bytes of a file name that are not UTF-8 can't be shown.
    write_text(path, page.encode(errors="backslashreplace").decode())
    return path


def number(value: Any, style: str = ".2f") -> str:
    """Return a figure as text.

    Args:
        value: A number, or None.
        style: How `format` writes it.

    Returns:
        The text, with a typographic minus sign; empty for None.
    """
    return "" if value is None else format(value, style).replace("-", "\N{MINUS SIGN}")


def duration(seconds: float | None) -> str:
    """Return a duration in words.

    Args:
        seconds: A number of seconds, or None.

    Returns:
        Text such as "1 h 5 min", "2 min 3 s" or "0.7 s".
    """
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def address(path: str | Path) -> str:
    """Return the URL of a file next to a page.

    Args:
        path: A path relative to the page.

    Returns:
        The URL, with special characters encoded.
    """
    text = path.as_posix() if isinstance(path, Path) else path
    return quote(os.fsencode(text))


def asset(name: str) -> str:
    """Return a style sheet or a script for the pages.

    Args:
        name: A file of espcn/report/assets.

    Returns:
        Its text.
    """
    return resources.files("espcn.report").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("espcn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["gain"] = gain
    made.filters |= {
        "number": number, "duration": duration, "address": address, "setting": name_of,
    }  # fmt: skip
    return made
