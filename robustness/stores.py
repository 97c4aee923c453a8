"""What the program keeps for itself: runs, sweeps, caches, records, segments; and their readers.

A kind is a file of one of them. It is damaged, put where it was among whole ones, and all is read
as the commands read it.
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from robustness.harness import ROOT

PLACE = "ESPCN_STORES"  # names the folder of the whole ones to the processes that read
FILES = {
    "run_config": "sweep/one/config.yaml",
    "run_result": "sweep/one/result.json",
    "run_epochs": "sweep/one/epochs.csv",
    "run_threads": "sweep/one/threads.txt",
    "cache_meta": "cache/0123456789abcdef01234567/meta.json",
    "record": "big/.espcn/a_x3.png.json",
    "segment": "big/.espcn/clip_x3.mkv.segments/000000",
}


def make_stores(folder: Path) -> dict[str, bytes]:
    """Make whole ones in a folder, and name it to the readers; return the files by kind."""
    from espcn.video.segments import Segments

    pictures = folder / "pictures"
    pictures.mkdir()
    draw = np.random.default_rng(0)
    for number in range(4):
        pixels = draw.integers(0, 255, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{number}.png")
    settings = [f"data.path={pictures}", "data=folder", "data.patch=8", "data.stride=8", "sets=[]"]
    settings += ["data.scales=[1.0]", "max_epochs=2", "data.val_fraction=0.25"]
    for name, blur in (("one", 0), ("two", 1)):
        command = ["train.py", *settings, f"blur={blur}", f"hydra.run.dir={folder}/sweep/{name}"]
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    for path in folder.glob("sweep/*/*"):  # what none of the readers reads
        if path.suffix not in (".yaml", ".json", ".csv", ".txt"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copy(pictures / "0.png", folder / "a.png")
    command = ["upscale.py", str(folder / "a.png"), "-o", str(folder / "big")]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    meta = {"version": 1, "r": 3, "patch": 17, "images": 4, "patches": 9, "bad": {"1": "cut off"}}
    cache = folder / FILES["cache_meta"]
    cache.parent.mkdir(parents=True)
    cache.write_text(json.dumps(meta | {"checksums": {"low.u1": "0" * 64}}))
    _write_segment(Segments((folder / FILES["segment"]).parent, {"crf": 18}))
    os.environ[PLACE] = str(folder)
    return {f"a.{kind}": (folder / path).read_bytes() for kind, path in FILES.items()}


def read_store(path: Path) -> None:
    """Read what a file of some kind is part of; what that raises is raised."""
    kind = path.suffix[1:]
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        folder = Path(made) / "store"
        shutil.copytree(os.environ[PLACE], folder)
        shutil.copy(path, folder / FILES[kind])
        with contextlib.redirect_stdout(io.StringIO()):
            READERS[kind](folder)


def _write_segment(segments: "Segments") -> None:  # type: ignore[name-defined] # noqa: F821
    from fractions import Fraction

    import av

    writer = segments.write(0)
    for number in range(5):
        packet = av.Packet(bytes([number]) * (50 + number))
        packet.pts = packet.dts = number
        packet.time_base = Fraction(1, 25)
        writer.add(packet)
    writer.finish()


def _read_run(folder: Path) -> None:
    from espcn.report.pages.directory import write_pages
    from espcn.runs.directory import read_threads

    read_threads(folder / "sweep/one")
    write_pages(folder / "sweep/one")


def _read_sweep(folder: Path) -> None:
    from espcn.runs.gather import gather

    assert len(gather(folder / "sweep")) == 2  # one bad file never loses the others
    _read_run(folder)


def _read_cache(folder: Path) -> None:
    from espcn.data.cache_layout import CacheLayout, delete, entries
    from espcn.data.patches import Recipe

    (entry,) = entries(folder / "cache")
    entry.row()
    CacheLayout(entry.folder, 9, Recipe(r=3)).bad({"version": 1})
    delete(entry)


def _read_record(folder: Path) -> None:
    from espcn.command.job import Job
    from espcn.command.records import standing

    assert standing(Job(folder / "a.png", folder / "big/a_x3.png"), {})


def _read_segment(folder: Path) -> None:
    from espcn.video.segments import Segments

    segments = Segments((folder / FILES["segment"]).parent, {"crf": 18})
    whole = Segments((Path(os.environ[PLACE]) / FILES["segment"]).parent, {"crf": 18})
    if segments.count():  # then it is as it was
        assert [*map(bytes, segments.read(0))] == [*map(bytes, whole.read(0))]


READERS: dict[str, Callable[[Path], None]] = {
    "run_config": _read_sweep, "run_result": _read_sweep, "run_epochs": _read_run,
    "run_threads": _read_run, "cache_meta": _read_cache, "record": _read_record,
    "segment": _read_segment,
}  # fmt: skip
