"""A loss of power, which drops what was not synced, leaves no broken file under a final name.

A journaling file system may keep a renaming and lose what the file held, unless that was synced
before. So each file must have been synced, whole, before it got its name, and what a file speaks
for (the arrays of a cache, the segments of a video) before that file did.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from espcn.network.weights import load
from helpers import ENVIRONMENT, ROOT, write_clip

SOURCE = Path(__file__).with_name("sync_log.c")
COMPILER = shutil.which("cc")
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"
)
# Logs that are read as far as they go, locks, and what Hydra writes anew each time.
PLAIN = ("events.out.tfevents", "hparams.yaml", ".lock", ".claim", "multirun.yaml")


@dataclass
class Event:
    """A sync or a renaming, and what the file held then."""

    what: str
    inode: int
    path: Path
    target: Path
    content: bytes


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("library") / "sync_log.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", path, SOURCE, "-ldl"], check=True)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        crop = skimage.data.astronaut()[50 * number :][:48, :64]
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{number}.png")
    return folder


def watched(library: Path, tmp_path: Path, *command: str) -> list[Event]:
    """Run a command; return its syncs and renamings in order."""
    log = tmp_path / "log"
    log.mkdir()
    root = tmp_path / "out"
    root.mkdir(exist_ok=True)
    watching = {"LD_PRELOAD": str(library), "SYNC_ROOT": str(root), "SYNC_LOG": str(log)}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=ENVIRONMENT | watching, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = []
    for line in (log / "log").read_text().splitlines():
        what, number, inode, path, target = line.split("\t")
        held = log / number
        content = held.read_bytes() if held.is_file() else b""
        events.append(Event(what, int(inode), Path(path), Path(target), content))
    return events


def renamed(events: list[Event]) -> dict[Path, int]:
    """Return where each final name was given last, checking that what got it had been synced."""
    synced: dict[int, bytes] = {}
    names: dict[Path, int] = {}
    for number, event in enumerate(events):
        if event.what == "sync":
            synced[event.inode] = event.content
        elif event.target.name[0] != "." or event.target.suffix == ".json":
            assert synced.get(event.inode) == event.content, f"{event.target} was not synced"
            names[event.target] = number
    return names


def check_all_named(root: Path, events: list[Event]) -> dict[Path, int]:
    """Check that every file that is there got its name by a renaming after its sync."""
    names = renamed(events)
    files = {path for path in root.rglob("*") if path.is_file()}
    plain = {path for path in files if any(part in path.name for part in PLAIN)}
    assert files - plain == names.keys() & files
    for path in files - plain:
        assert events[names[path]].content == path.read_bytes()
    return names


def test_run_and_its_checkpoints(library: Path, photos: Path, tmp_path: Path) -> None:
    settings = ["data=folder", f"data.path={photos}", "data.patch=8", "data.stride=16", "sets=[]"]
    events = watched(
        library, tmp_path, "train.py", *settings, "data.scales=[1.0]", "max_epochs=2",
        "snapshot_every=1", f"hydra.run.dir={tmp_path / 'out/run'}",
    )  # fmt: skip
    names = check_all_named(tmp_path / "out", events)
    wanted = {"best.ckpt", "last.ckpt", "result.json", "config.yaml", "epochs.csv", "run.html"}
    assert wanted <= {path.name for path in names}
    # What power leaves of last.ckpt at any moment loads.
    for event in events:
        if event.what == "rename" and event.target.name == "last.ckpt":
            (tmp_path / "left.ckpt").write_bytes(event.content)
            assert load(ckpt=tmp_path / "left.ckpt").network.r == 3


def test_sweep_and_its_table(library: Path, photos: Path, tmp_path: Path) -> None:
    settings = ["data=folder", f"data.path={photos}", "data.patch=8", "data.stride=16", "sets=[]"]
    events = watched(
        library, tmp_path, "train.py", "-m", *settings, "data.scales=[1.0]", "max_epochs=1",
        "blur=0,0.5", f"hydra.sweep.dir={tmp_path / 'out/sweep'}",
    )  # fmt: skip
    names = check_all_named(tmp_path / "out", events)
    assert {"sweep.csv", "sweep.md", "sweep.html"} <= {path.name for path in names}


def test_cache_speaks_for_arrays_that_are_synced(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    settings = ["data=folder", f"data.path={photos}", "data.patch=8", "data.stride=16", "sets=[]"]
    events = watched(
        library, tmp_path, "train.py", *settings, "data.scales=[1.0]",
        "max_epochs=1", f"data.cache={tmp_path / 'out/cache'}",
        f"hydra.run.dir={tmp_path / 'run'}",
    )  # fmt: skip
    (meta,) = (tmp_path / "out/cache").glob("*/meta.json")
    before = renamed(events)[meta]
    synced = {one.path: one.content for one in events[:before] if one.what == "sync"}
    for name in json.loads(meta.read_text())["checksums"]:
        assert synced[meta.with_name(name)] == meta.with_name(name).read_bytes()


def test_pictures_videos_and_what_speaks_for_them(
    library: Path, photos: Path, tmp_path: Path
) -> None:
    write_clip(photos / "clip.mkv", 260, (32, 32))
    out = tmp_path / "out"
    events = watched(library, tmp_path, "upscale.py", str(photos), "-r", "2", "-o", str(out))
    names = check_all_named(out, events)
    assert len([path for path in names if path.suffix == ".png"]) == 5
    for result in [*out.glob("*.png"), out / "clip_x2.mkv"]:
        assert names[result] < names[out / ".espcn" / f"{result.name}.json"]
    (segment,) = [path for path in names if path.name == "000000"]
    assert names[segment] < names[out / "clip_x2.mkv"]


@pytest.mark.parametrize("name", ["x3.html", "x3.glsl", "x3.pb"])
def test_exports(library: Path, tmp_path: Path, name: str) -> None:
    events = watched(library, tmp_path, "export.py", "-r", "3", "-o", str(tmp_path / "out" / name))
    assert list(check_all_named(tmp_path / "out", events)) == [tmp_path / "out" / name]
