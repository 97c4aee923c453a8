"""A loss of power leaves nothing broken under its final name, nor what speaks for something lost.

What it may leave at each moment is replayed from a log of all names and syncs (lost_power.py); the
same command then finishes what was begun.
"""

import csv
import hashlib
import io
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import skimage.data
import torch
import yaml
from lost_power import COMPILER, State, Watched, build_library, lay_out, watch
from PIL import Image

from espcn.data import cache
from espcn.data.image_set import LazyImages, load_folder
from espcn.data.patches import Recipe
from forked import fork
from helpers import read_run_result, same_tensors, saved_state, sweep_rows, write_clip

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"
)
# Logs that are read as far as they go, and what Hydra writes anew each time.
PLAIN = ("events.out.tfevents", "hparams.yaml", ".lock", "multirun.yaml")
ARRAYS = ("low.u1", "target.u1", "done.u1")  # for which meta.json speaks
READERS: dict[str, Callable[[bytes], object]] = {
    ".json": json.loads,
    ".yaml": yaml.safe_load,
    ".csv": lambda content: next(csv.DictReader(io.StringIO(content.decode()))),
    ".png": lambda content: Image.open(io.BytesIO(content)).load(),
    ".ckpt": lambda content: torch.load(io.BytesIO(content), weights_only=True),
    ".mkv": lambda content: list(av.open(io.BytesIO(content)).decode(video=0)),
    ".html": lambda content: content.decode().rstrip().endswith("</html>") or 1 / 0,
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_library(tmp_path_factory.mktemp("library"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        crop = skimage.data.astronaut()[50 * number :][:48, :64]
        Image.fromarray(np.ascontiguousarray(crop)).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def url(photos: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=photos)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def is_final(path: Path) -> bool:
    is_part = path.name.startswith((".", "tmp")) or path.suffix == ".part"
    return not is_part and not any(word in path.name for word in PLAIN)


def results(state: State) -> State:
    """Return those of the files that have final names."""
    return {path: content for path, content in state.items() if is_final(path)}


def on_disk(root: Path) -> State:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check(watched: Watched, root: Path, speaks: Callable[[State], None]) -> State:
    """Check all that may be left at any moment; return what is left when the command has ended."""
    given: dict[Path, set[bytes]] = {}
    for event in watched.events:
        if event.what == "rename" and is_final(event.target):
            given.setdefault(event.target, set()).add(event.content)
    for path, contents in given.items():
        for content in contents:
            assert content, f"{path} is empty"
            READERS.get(path.suffix, len)(content)
    for number, state in watched.states():
        for path, content in results(state).items():
            if path.name not in ARRAYS:
                last = watched.events[number - 1]
                assert content in given[path], f"{path} is broken after {last.what} {last.path}"
        speaks(state)
    assert not list(filter(is_final, watched.unreached()))
    left = results(on_disk(root))
    assert results(watched.sure()) == left
    return left


def shown(state: State) -> dict[str, Any]:
    """Return the pictures, and the packets of the videos, whose files have a random number."""
    videos = {path.name: content for path, content in state.items() if path.suffix == ".mkv"}
    return {path.name: content for path, content in state.items() if path.suffix == ".png"} | {
        name: [bytes(packet) for packet in av.open(io.BytesIO(content)).demux()]
        for name, content in videos.items()
    }


def check_caches(state: State) -> None:
    """Check that each meta.json speaks for arrays that are there, as they should be."""
    for path, content in state.items():
        if path.name == "meta.json":
            for name, digest in json.loads(content)["checksums"].items():
                assert hashlib.sha256(state[path.with_name(name)]).hexdigest() == digest


def check_runs(state: State) -> None:
    """Check that nothing of a run is there without its config, nor a result without its weights."""
    for folder in {path.parent for path in state if path.suffix == ".ckpt"}:
        assert (folder if folder.name != "snapshots" else folder.parent) / "config.yaml" in state
    for path in state:
        if path.name in ("result.json", "epochs.csv"):
            assert path.with_name("config.yaml") in state
        if path.name == "result.json":
            assert path.with_name("best.ckpt") in state


@pytest.mark.slow
def test_sweep_with_its_runs_and_caches(library: Path, photos: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    sweep = root / "sweep"
    command = [
        "train.py", "-m", "data=folder", f"data.path={photos}", "data.patch=8", "data.stride=16",
        "data.scales=[1.0]", "sets=[]", "max_epochs=2", "snapshot_every=1", "blur=0,0.5",
        f"data.cache={root / 'cache'}", f"hydra.sweep.dir={sweep}",
    ]  # fmt: skip

    def speaks(state: State) -> None:
        check_runs(state)
        check_caches(state)
        configs = [path for path in state if path.name == "config.yaml"]
        assert len([path for path in state if path.name == "meta.json"]) <= len(configs)
        for row in csv.DictReader(io.StringIO(state.get(sweep / "sweep.csv", b"").decode())):
            assert sweep / row["run"] / "result.json" in state

    watched = watch(library, root, *command)
    names = {path.name for path in check(watched, root, speaks)}
    assert {"best.ckpt", "last.ckpt", "result.json", "epochs.csv", "run.html"} <= names
    assert {"sweep.csv", "sweep.md", "sweep.html", "meta.json"} <= names
    runs = [sweep / row["run"] for row in sweep_rows(sweep)]
    weights = [saved_state(one) for one in runs]
    # Power goes when the first run is done, and the second has its first epoch.
    wanted = {"last.ckpt": 2, "result.json": 1}
    for _, state in watched.states():
        count = Counter(path.name for path in state)
        if all(count[name] == number for name, number in wanted.items()):
            lay_out(root, state)
            break
    assert len(list(sweep.glob("*/result.json"))) == 1
    assert fork(*command).returncode == 0
    assert {sweep / row["run"] for row in sweep_rows(sweep)} == set(runs)
    assert all(read_run_result(one)["status"] == "completed" for one in runs)
    for one, before in zip(runs, weights, strict=True):
        assert same_tensors(saved_state(one), before)


@pytest.mark.parametrize("is_damaged", [pytest.param(False, marks=pytest.mark.slow), True])
def test_cache_that_is_prepared_anew(
    library: Path, photos: Path, tmp_path: Path, is_damaged: bool
) -> None:
    root, recipe = tmp_path / "out", Recipe(3, patch=8, stride=5)
    images = load_folder(photos, lazily=True).images
    assert isinstance(images, LazyImages)
    right = cache.prepare(images, recipe, tmp_path / "right").patches
    if is_damaged:
        cache.prepare(images, recipe, root)
        (low,) = root.glob("*/low.u1")
        with low.open("r+b") as file:
            file.write(bytes(1000))
    code = f"""if True:
        from pathlib import Path
        from espcn.data import cache
        from espcn.data.image_set import load_folder
        from espcn.data.patches import Recipe
        cache.CHUNK = 2
        images = load_folder(Path({str(photos)!r}), lazily=True).images
        cache.prepare(images, Recipe(3, patch=8, stride=5), Path({str(root)!r}))
    """
    watched = watch(library, root, "-c", code)
    check(watched, root, lambda state: None if is_damaged else check_caches(state))
    states = [state for _, state in watched.states()]
    for state in random.Random(0).sample(states, min(len(states), 50)):
        lay_out(root, state)
        patches = cache.prepare(images, recipe, root).patches
        assert torch.equal(patches.low, right.low)
        assert torch.equal(patches.target, right.target)


@pytest.mark.slow
def test_pictures_and_videos(library: Path, photos: Path, tmp_path: Path) -> None:
    write_clip(photos / "clip.mkv", 260, (32, 32))
    root = tmp_path / "out"
    clip, segment = root / "clip_x2.mkv", root / ".espcn/clip_x2.mkv.segments/000000"
    command = ["upscale.py", str(photos), "-r", "2", "-o", str(root)]

    def speaks(state: State) -> None:
        for path, content in state.items():
            if path.parent.name == ".espcn" and is_final(path):
                result = state[path.parents[1] / path.stem]
                assert json.loads(content)["result"][0] == len(result)

    watched = watch(library, root, *command)
    left = check(watched, root, speaks)
    assert len([path for path in left if path.suffix == ".png"]) == 5
    assert {root / ".espcn" / f"{path.name}.json" for path in left if path.parent == root} <= set(
        left
    )
    named = {event.target: number for number, event in enumerate(watched.events)}
    assert segment in watched.sure(named[clip])
    states = [state for _, state in watched.states()]
    interrupted = next(state for state in reversed(states) if segment in state)
    for state in (random.Random(0).choice(states), interrupted):
        lay_out(root, state)
        assert fork(*command).returncode == 0
        again = results(on_disk(root))
        assert shown(again) == shown(left)


@pytest.mark.slow
def test_exports(library: Path, tmp_path: Path) -> None:
    root = tmp_path / "out"
    code = f"""if True:
        from espcn.export.cli import main
        for name in ("x3.html", "x3.glsl", "x3.pb", "x3.onnx"):
            main(["-r", "3", "-o", {str(root)!r} + "/" + name])
    """
    watched = watch(library, root, "-c", code)
    assert len(check(watched, root, lambda state: None)) == 4


def test_downloads(library: Path, photos: Path, url: str, tmp_path: Path) -> None:
    root = tmp_path / "out"
    files = {path.name: path.read_bytes() for path in photos.iterdir()}
    registry = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    code = f"""if True:
        from pathlib import Path
        from espcn.data.datasets import _download
        _download("Some", Path({str(root / "Some")!r}), {url!r}, {registry!r})
    """
    watched = watch(library, root, "-c", code)

    def speaks(state: State) -> None:
        for path, content in results(state).items():
            assert content == files.get(path.name)

    assert check(watched, root, speaks).keys() == {root / "Some" / name for name in files}
