"""Patches kept on disk: those that memory would hold, prepared once, whatever happens."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image

from espcn.data import cache
from espcn.data.cache import PreparedPatches, prepare
from espcn.data.cache_layout import delete, entries
from espcn.data.datamodule import PatchData
from espcn.data.image_set import LazyImages, load_folder
from espcn.data.patches import Recipe, cut, rescale
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import Degradation
from espcn.io.reading import read_picture
from forked import fork
from helpers import ENVIRONMENT, ROOT, check_failed

RECIPE = Recipe(3, 1, Degradation(), 8, 5, 4, scales=(1.0, 0.7))


def files(folder: Path) -> LazyImages:
    images = load_folder(folder, lazily=True).images
    assert isinstance(images, LazyImages)
    return images


def made(folder: Path, where: Path, recipe: Recipe = RECIPE) -> PreparedPatches:
    return prepare(files(folder), recipe, where)


@pytest.mark.parametrize("size", [(24, 24), (23, 99), (96, 60), (61, 62)])
@pytest.mark.parametrize(("r", "patch", "stride"), [(3, 8, 5), (2, 17, 14), (4, 6, 7)])
def test_patches_are_counted_before_they_are_cut(
    size: tuple[int, int], r: int, patch: int, stride: int
) -> None:
    image = torch.zeros(1, *size, dtype=torch.uint8)
    assert len(cut([image], Recipe(r=r, patch=patch, stride=stride))) == Recipe(
        r=r, patch=patch, stride=stride
    ).count(*size)


@pytest.mark.parametrize("channels", [1, 3])
def test_stored_patches_are_those_cut_in_memory(
    channels: int, pictures: Path, tmp_path: Path
) -> None:
    recipe = Recipe(3, channels, Degradation(0.5), 8, 5, 4, scales=(1.0, 0.7))
    store = made(pictures, tmp_path, recipe)
    images = [to_channels(one, channels) for one in load_folder(pictures).images]
    for number, scale in enumerate(recipe.scales):
        wanted = cut(
            [rescale(one, scale) for one in images],
            Recipe(r=3, degradation=Degradation(0.5), patch=8, stride=5),
        )
        got = store.patches.select(store.indices(range(len(images)), number))
        assert torch.equal(got.low, wanted.low)
        assert torch.equal(got.target, wanted.target)
        assert torch.equal(got.owner, wanted.owner)


def test_training_sees_the_same_from_disk_and_from_memory(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"patch": 8, "stride": 5, "scales": [1.0, 0.8], "val_fraction": 0.3, "batch_size": 4}
    disk = PatchData("folder", str(pictures), cache=str(tmp_path), **settings)  # type: ignore[arg-type]
    disk.prepare()
    monkeypatch.setattr("espcn.data.datasets.load_folder", lambda path, lazily: load_folder(path))
    memory = PatchData("folder", str(pictures), **settings)  # type: ignore[arg-type]
    memory.prepare()
    assert disk.images.fingerprint == memory.images.fingerprint
    assert disk.val_set.names == memory.val_set.names
    for one, other in (("train_dataloader", 9), ("val_dataloader", 1)):
        batches = [list(getattr(data, one)()) for data in (disk, memory)]
        assert len(batches[0]) == len(batches[1]) >= other
        for (low, target), (same_low, same_target) in zip(*batches, strict=True):
            assert torch.equal(low, same_low)
            assert torch.equal(target, same_target)
    for image, same in zip(disk.val_set.images, memory.val_set.images, strict=True):
        assert np.array_equal(image, same)


def test_same_files_and_settings_are_prepared_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made(pictures, tmp_path)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.u1")}
    monkeypatch.setattr(cache, "read_picture", lambda _: pytest.fail("prepared again"))
    again = made(pictures, tmp_path)
    assert torch.equal(first.patches.low, again.patches.low)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.u1")} == kept


def test_other_files_settings_or_version_are_another_cache(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def caches() -> int:
        return len([path for path in (tmp_path / "cache").iterdir() if path.is_dir()])

    where = tmp_path / "cache"
    made(pictures, where)
    made(pictures, where, Recipe(3, 1, Degradation(0.1), 8, 5, 4, scales=(1.0, 0.7)))
    assert caches() == 2
    other = tmp_path / "other"
    other.mkdir()
    for path in pictures.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    made(other, where)
    assert caches() == 2  # the same files elsewhere
    Image.new("L", (96, 96)).save(other / "grey0.png")
    made(other, where)
    assert caches() == 3
    monkeypatch.setattr(cache, "VERSION", 99)
    made(other, where)
    assert caches() == 4
    for kind in ("jpeg", "h264"):
        monkeypatch.setitem(cache.VERSIONS, kind, 99)
    made(other, where)
    assert caches() == 4  # without compression it is the same cache
    expected = 4
    for kind in ("jpeg", "h264"):
        recipe = Recipe(3, 1, Degradation(**{kind: 50}), 8, 5, 4)
        for version, more in ((99, 1), (98, 1), (98, 0)):
            monkeypatch.setitem(cache.VERSIONS, kind, version)
            made(other, where, recipe)
            expected += more
            assert caches() == expected


def test_several_processes_give_the_same(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = made(pictures, tmp_path / "a")
    monkeypatch.setattr(cache, "ALONE", 0)
    monkeypatch.setattr(cache, "CHUNK", 3)
    several = made(pictures, tmp_path / "b")
    assert torch.equal(alone.patches.low, several.patches.low)
    assert torch.equal(alone.patches.target, several.patches.target)


def test_what_was_interrupted_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = made(pictures, tmp_path / "a")
    monkeypatch.setattr(cache, "CHUNK", 2)
    calls = []

    def interrupted(content: bytes) -> np.ndarray:
        calls.append(content)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return read_picture(content)

    monkeypatch.setattr(cache, "read_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made(pictures, tmp_path / "b")
    store = made(pictures, tmp_path / "b")
    assert len(calls) == 6 + 4  # eight images: two pairs were done before
    assert torch.equal(store.patches.low, whole.patches.low)
    assert torch.equal(store.patches.target, whole.patches.target)


@pytest.mark.slow
def test_killed_preparation_goes_on(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tmp_path / "many"
    many.mkdir()
    photo = Image.open(pictures / "color0.png").resize((250, 250))
    for number in range(80):
        photo.rotate(number).save(many / f"{number}.png")
    script = (
        "import sys; from pathlib import Path; sys.path[:0] = ['tests', 'tests/data'];"
        "from test_cache import made; made(Path(sys.argv[1]), Path(sys.argv[2]))"
    )

    process = subprocess.Popen(
        [sys.executable, "-c", script, str(many), str(tmp_path / "a")], cwd=ROOT, env=ENVIRONMENT
    )
    for _ in range(3000):
        done = list((tmp_path / "a").glob("*/done.u1"))
        if done and np.fromfile(done[0], np.uint8).sum() > 0:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")  # only on Linux
            pool = children.read_text().split() if children.exists() else []
            break
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()  # as the system does where memory runs out: its own processes must end too
    process.wait()
    deadline = time.monotonic() + 30
    while any(map(_is_running, pool)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert not list((tmp_path / "a").glob("*/meta.json"))
    monkeypatch.setattr(cache, "ALONE", 1000)
    made(many, tmp_path / "a")
    made(many, tmp_path / "b")
    for name in ("low.u1", "target.u1"):
        (one,), (other,) = (list((tmp_path / x).glob(f"*/{name}")) for x in "ab")
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: (cache / "meta.json").write_text("no JSON"),
        lambda cache: (cache / "meta.json").write_text("[1]"),
        lambda cache: (cache / "meta.json").write_text('{"bad": {}}'),
        lambda cache: change(cache / "meta.json", version=0),
        lambda cache: change(cache / "meta.json", patches=7),
        lambda cache: flip_a_bit(cache / "low.u1"),
        lambda cache: flip_a_bit(cache / "target.u1"),
        lambda cache: os.truncate(cache / "low.u1", 1000),
        lambda cache: os.truncate(cache / "target.u1", 10**8),
        lambda cache: (cache / "target.u1").unlink(),
        lambda cache: ((cache / "meta.json").unlink(), os.truncate(cache / "low.u1", 9)),
        lambda cache: ((cache / "meta.json").unlink(), os.truncate(cache / "done.u1", 9)),
    ],
)
def test_cache_that_is_not_whole_is_prepared_anew(
    damage: Callable[[Path], object], pictures: Path, tmp_path: Path
) -> None:
    made(pictures, tmp_path)
    (where,) = (path for path in tmp_path.iterdir() if path.is_dir())
    whole = {path.name: path.read_bytes() for path in where.iterdir()}
    damage(where)
    made(pictures, tmp_path)
    assert {path.name: path.read_bytes() for path in where.iterdir()} == whole


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize("change", ["replaced", "removed"])
def test_picture_that_changes_on_the_way_is_refused(
    change: str, pictures: Path, tmp_path: Path
) -> None:
    own = shutil.copytree(pictures, tmp_path / "own")
    given = files(own)
    changed, before = own / "color3.png", (own / "color3.png").read_bytes()
    changed.unlink()
    if change == "replaced":
        shutil.copy(pictures / "color4.png", changed)
    words = "`data` must not change during a run, but .*color3.png (has changed|can no)"
    with pytest.raises(ValueError, match=words):
        prepare(given, RECIPE, tmp_path / "cache")
    with pytest.raises(ValueError, match=words):
        given[2:5]
    changed.write_bytes(before)
    assert len(given[2:5]) == 3
    store = prepare(given, RECIPE, tmp_path / "cache")
    assert torch.equal(store.patches.low, made(pictures, tmp_path / "other").patches.low)


def test_file_names_that_are_not_utf_8_are_left_out_by_name(pictures: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for number in range(11):
        shutil.copy(pictures / "color0.png", os.fsencode(own / f"{number}") + b"\xe9.png")
    cut_off = Path(os.fsdecode(os.fsencode(own / "4") + b"\xe9.png"))
    cut_off.write_bytes(cut_off.read_bytes()[:3000])
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"left out: .*4\udce9.png: the file is damaged"):
            assert made(own, tmp_path / "cache").bad == (4,)


def _is_running(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_two_that_want_the_same_prepare_it_once(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def slow(content: bytes) -> np.ndarray:
        calls.append(content)
        time.sleep(0.05)
        return read_picture(content)

    monkeypatch.setattr(cache, "read_picture", slow)
    threads = [threading.Thread(target=made, args=(pictures, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 8  # images


def test_unreadable_pictures_are_left_out_and_too_many_refused(
    pictures: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for path in pictures.glob("color*.png"):
        for copy in range(2):
            (own / f"{copy}{path.name}").write_bytes(path.read_bytes())
    # Its header is whole, what follows is not: seen only once it is read.
    cut_off = own / "1color5.png"
    cut_off.write_bytes(cut_off.read_bytes()[:3000])
    with pytest.warns(
        UserWarning, match=r"left out: .*1color5.png: the file is damaged or cut short"
    ):
        store = made(own, tmp_path / "cache")
    assert store.bad == (11,)
    other = own / "0color5.png"
    other.write_bytes(other.read_bytes()[:3000])
    with pytest.raises(ValueError, match="2 of 12 pictures can't be read, more than a tenth"):
        made(own, tmp_path / "cache")


def test_disk_that_is_full_or_read_only_is_named(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"`data.cache` \(=.*file\) must have room for 0.00 GB"):
        made(pictures, tmp_path / "file")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="must have room for .*: No space left on device"):
        made(pictures, tmp_path / "cache")


def test_room_is_taken_without_what_only_linux_has(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_it = made(pictures, tmp_path / "a")
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert torch.equal(with_it.patches.target, made(pictures, tmp_path / "b").patches.target)
    assert 1 <= cache.processes() <= 4


def test_no_more_processes_than_memory_and_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    for processors, processes in ((1, 1), (3, 3), (128, 4)):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _, n=processors: set(range(n)), raising=False
        )
        assert cache.processes() == processes


def test_cache_without_a_home_directory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    monkeypatch.delenv("ESPCN_CACHE")
    with pytest.raises(ValueError, match=r"home directory is unknown: give data.cache the whole"):
        cache.cache_folder(None)


def test_cache_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPCN_CACHE", "/somewhere")
    assert cache.cache_folder(None) == Path("/somewhere")
    assert cache.cache_folder("2024") == Path("2024")
    monkeypatch.delenv("ESPCN_CACHE")
    assert cache.cache_folder(None) == Path.home() / ".cache/espcn"


def test_every_quality_has_its_own_cache(pictures: Path, tmp_path: Path) -> None:
    lows = []
    for degradation in (
        Degradation(), Degradation(jpeg=20), Degradation(jpeg=90), Degradation(h264=20),
        Degradation(h264=40), Degradation(noise=3.0),
    ):  # fmt: skip
        prepared = made(pictures, tmp_path, replace(RECIPE, degradation=degradation))
        lows.append(prepared.patches.low.clone())
    assert len(list(tmp_path.glob("*/meta.json"))) == len(lows)
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(lows, 2))
    noisy = replace(RECIPE, degradation=Degradation(noise=3.0), seed=1)
    assert not torch.equal(made(pictures, tmp_path, noisy).patches.low, lows[-1])
    made(pictures, tmp_path, replace(RECIPE, seed=1))  # nothing is drawn: the first one serves
    assert len(list(tmp_path.glob("*/meta.json"))) == len(lows) + 1


def test_setting_that_is_added_to_the_degradation_leaves_a_cache_valid(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass(frozen=True)
    class Later(Degradation):
        vignette: float = 0.0

    first = made(pictures, tmp_path, replace(RECIPE, degradation=Degradation(0.5)))
    monkeypatch.setattr(cache, "read_picture", lambda _: pytest.fail("prepared again"))
    again = made(pictures, tmp_path, replace(RECIPE, degradation=Later(0.5)))
    assert torch.equal(first.patches.low, again.patches.low)
    monkeypatch.undo()
    made(pictures, tmp_path, replace(RECIPE, degradation=Later(0.5, vignette=1.0)))
    assert len(list(tmp_path.glob("*/meta.json"))) == 2


def listed(where: Path, *arguments: str) -> str:
    done = fork("-m", "espcn.data.cache", "--cache", str(where), *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_caches_are_listed_and_deleted_by_age(pictures: Path, tmp_path: Path) -> None:
    assert listed(tmp_path) == f"{tmp_path} is empty\n"
    made(pictures, tmp_path)
    made(pictures, tmp_path, replace(RECIPE, r=2))
    old, new = sorted(
        (path for path in tmp_path.iterdir() if path.is_dir()),
        key=lambda path: json.loads((path / "meta.json").read_text())["r"],
    )
    days = time.time() - 40 * 86400
    os.utime(old / "meta.json", (days, days))
    (tmp_path / "mine").mkdir()
    lines = listed(tmp_path).splitlines()
    assert [line.split()[0] for line in lines[2:]] == [old.name, new.name]  # the oldest first
    assert " 40.0 " in lines[2]
    assert lines[2].endswith("r=2, patch=8")
    assert "Deleted 1 of 2, 0.00 GB" in listed(tmp_path, "--unused", "30")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == sorted(
        [new.name, "mine"]
    )


def test_caches_of_two_degradations_are_told_apart(pictures: Path, tmp_path: Path) -> None:
    for degradation in (Degradation(0.5, jpeg=(30, 95)), Degradation(downsample="decimate")):
        made(pictures, tmp_path, replace(RECIPE, degradation=degradation))
    rows = sorted(entry.row()["made for"] for entry in entries(tmp_path))
    assert rows == [
        "r=3, patch=8, blur=0.5, jpeg=[30, 95]", "r=3, patch=8, downsample=decimate"
    ]  # fmt: skip


def test_days_below_zero_delete_nothing(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path)
    for days in ("-5", "nan"):
        done = fork("-m", "espcn.data.cache", "--cache", str(tmp_path), "--unused", days)
        check_failed(done, f"`--unused` (={float(days)})")
    assert len(entries(tmp_path)) == 1


def test_age_of_a_cache_counts_from_its_last_use(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path)
    (where,) = (path for path in tmp_path.iterdir() if path.is_dir())
    os.utime(where / "meta.json", (0, 0))
    made(pictures, tmp_path)
    assert "Deleted 0 of 1" in listed(tmp_path, "--unused", "1")


def test_cache_that_is_being_prepared_is_not_deleted(pictures: Path, tmp_path: Path) -> None:
    made(pictures, tmp_path)
    (where,) = (path for path in tmp_path.iterdir() if path.is_dir())
    (where / "meta.json").unlink()
    with FileLock(tmp_path / f"{where.name}.lock"):
        assert "not complete" in listed(tmp_path)
        assert "Deleted 0 of 1" in listed(tmp_path, "--unused", "0")
    assert "Deleted 1 of 1" in listed(tmp_path, "--unused", "0")
    assert [path.name for path in tmp_path.iterdir()] == [f"{where.name}.lock"]


def test_entry_that_another_process_has_deleted_is_passed_over(tmp_path: Path) -> None:
    for digit in "01":
        (tmp_path / (digit * 24)).mkdir()
    first, second = entries(tmp_path)
    assert delete(first)
    assert not delete(first)
    assert delete(second)
    assert entries(tmp_path) == []


def test_cache_is_prepared_where_one_is_being_deleted(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deleting(FileLock):
        """Deletes as another process does that has the lock first."""

        def __enter__(self) -> Any:
            for folder in tmp_path.iterdir():
                if folder.is_dir():
                    folder.rmdir()
            return super().__enter__()

    monkeypatch.setattr("espcn.data.cache.FileLock", Deleting)
    assert len(made(pictures, tmp_path).patches)


@pytest.mark.parametrize("content", ["[1]", "3", '{"r": 3}', "{", '{"bad": 1, "patch": []}'])
def test_damaged_entry_of_the_cache_is_listed_and_deleted(content: str, tmp_path: Path) -> None:
    folder = tmp_path / ("0" * 24)
    folder.mkdir()
    (folder / "meta.json").write_text(content)
    (entry,) = entries(tmp_path)
    assert entry.row()["cache"] == folder.name
    assert delete(entry)
    assert not folder.exists()
