"""The fixtures that all tests share: commands in this process, a cache apart, small pictures."""

import logging
import os
import runpy
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from PIL import Image

from espcn.runs import identity, sweep
from espcn.video.encoder import usual_priority
from helpers import ENVIRONMENT, ROOT, Call, Done

# What takes longest begins first: else one process ends the tests alone, while others idle.
LONGEST = (
    "test_sweep", "test_processes", "test_page", "test_glsl", "test_power_loss", "test_faults",
    "test_interrupted", "test_train", "test_picture", "test_cli",
    "test_cache",
)  # fmt: skip


def pytest_configure() -> None:
    """Give each process one thread: with more, those that share the cores wait for each other."""
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files of tests by the time that they take; xdist keeps to this order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture
def call(capfd: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return `run` without the seconds that a new process takes to import torch and Lightning."""

    def script(name: str, *arguments: str) -> Done:
        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        # Hydra hangs its handlers there, on streams that end with the test.
        monkeypatch.setattr(logging.getLogger(), "handlers", [])
        # Hydra closes all others, and absl's, which OpenVINO brings, closes pytest's own stream.
        monkeypatch.setattr(logging, "_handlerList", [])
        capfd.readouterr()
        code = 0
        try:
            runpy.run_path(name, run_name="__main__")
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else int(left.code is not None)
            print(left.code if isinstance(left.code, str) else "", file=sys.stderr)
        finally:
            GlobalHydra.instance().clear()
        printed = capfd.readouterr()
        return subprocess.CompletedProcess([name, *arguments], code, printed.out, printed.err)

    return script


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Return what moves the test to a processor that trains in a given precision by default."""

    def move(precision: str) -> None:
        fast = precision == "bf16-mixed"
        monkeypatch.setattr("espcn.network.device.multiplies_bfloat16", lambda _: fast)
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        forget()

    def forget() -> None:  # as the processes of another machine have seen nothing yet
        identity._composed.cache_clear()
        sweep._stored_identity.cache_clear()

    yield move
    forget()


@pytest.fixture(autouse=True)
def priority() -> Iterator[None]:
    """Keep to the usual priority where a test encodes AV1 itself: see `usual_priority`."""
    with usual_priority():
        yield


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep prepared patches out of people's own cache."""
    ENVIRONMENT["ESPCN_CACHE"] = os.environ["ESPCN_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eight real crops of 96x96, two of them grey, cut from astronaut and coins.

    Small enough to train on in a second, and never downloaded.
    """
    import skimage.data

    folder = tmp_path_factory.mktemp("pictures")
    color, grey = skimage.data.astronaut(), skimage.data.coins()
    for index in range(6):
        top = 70 * index
        Image.fromarray(color[top : top + 96, 150:246]).save(folder / f"color{index}.png")
    for index in range(2):
        crop = np.ascontiguousarray(grey[100 * index : 100 * index + 96, 40:136])
        Image.fromarray(crop).save(folder / f"grey{index}.png")
    return folder


@pytest.fixture
def scontrol(tmp_path: Path) -> Path:
    """Return the file that records the calls of a fake `scontrol`, which is first in PATH."""
    program, noted = tmp_path / "bin" / "scontrol", tmp_path / "noted"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {noted}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return noted
