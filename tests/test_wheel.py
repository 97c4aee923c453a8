"""The wheel: what is installed is whole, and works outside the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers import ENVIRONMENT, ROOT


def checked(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=ENVIRONMENT | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a wheel built from the tracked files alone."""
    pytest.importorskip("setuptools", minversion="77")
    if not (ROOT / ".git").exists():
        pytest.skip("the tracked files are known to git alone")
    folder = tmp_path_factory.mktemp("wheel")
    for name in checked("git", "ls-files", "-z", cwd=ROOT).split("\0"):
        if name.startswith(("espcn/", "pyproject.toml", "README.md", "LICENSE")):
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / "clone" / name)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    checked(*pip, "--wheel-dir", folder, ".", cwd=folder / "clone")
    (made,) = folder.glob("*.whl")
    return made


def test_wheel_holds_every_module_and_all_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("espcn/")}
    tracked = checked("git", "ls-files", "-z", "espcn", cwd=ROOT).split("\0")
    assert held == {name for name in tracked if name}


def test_installed_wheel_upscales_a_picture_outside_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    checked(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    (site,) = (tmp_path / "venv").rglob("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Its dependencies are those of this environment, whose own espcn is not found through a path.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "photo.png")
    Image.fromarray(picture).save(tmp_path / "old.jpg", quality=40)
    code = (
        "import espcn, sys; from espcn.command.cli import main;"
        "print(espcn.__file__); sys.argv[0] = 'espcn-upscale'; main()"
    )
    printed = checked(
        scripts / "python", "-c", code, "photo.png", "old.jpg", "-r", "2", cwd=tmp_path
    )
    assert printed.splitlines()[0].startswith(str(site))
    with Image.open(tmp_path / "photo_x2.png") as large:
        assert large.size == (60, 40)
    assert "old.jpg: JPEG of quality 40, weights jpeg " in printed
    checked(
        scripts / "python", "-c",
        "from espcn.data.registry import SETS, checksums_by_path;"
        "assert all(checksums_by_path(name) for name in SETS)", cwd=tmp_path,
    )  # fmt: skip
