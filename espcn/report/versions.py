"""The versions behind a figure: Python, this program, the libraries."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("espcn", "torch", "pytorch-lightning", "torchmetrics", "scikit-image", "hydra-core")


def versions() -> dict[str, str | None]:
    """Return the versions of Python, of this program and of the libraries that figures depend on.

    Returns:
        Versions by name; `commit` ends with "+" if files were changed since, and is None outside a
        checkout.
    """
    numbers = {name: version(name) for name in LIBRARIES}
    return {"python": platform.python_version(), "commit": _commit()} | numbers


def _commit() -> str | None:
    """Return the commit of this checkout, with "+" if its files were changed since; else None."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():  # installed, perhaps into somebody's own repository
        return None
    # No lock: several runs, and a person's own commit, may want the repository at once.
    command = "git --no-optional-locks describe --always --abbrev=12 --exclude=* --dirty=+"
    try:
        done = subprocess.run(command.split(), cwd=root, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
