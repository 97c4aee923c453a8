"""The downloads are from a real server on this machine that can be told to misbehave."""

import hashlib
import io
import itertools
import os
import shutil
import socket
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import requests
import skimage.data
from PIL import Image
from urllib3.exceptions import MaxRetryError

from espcn.data import datasets, download
from espcn.data.datasets import (
    USUAL,
    Unavailable,
    _download,
    data_root,
    load_set,
    load_test,
    load_training,
)
from espcn.data.image_set import load_folder
from espcn.data.registry import (
    CROPS,
    EMBEDDED_TEST,
    EMBEDDED_TRAIN,
    SETS,
    pixel_digest,
)

REAL = os.environ.get("ESPCN_DATA")
needs_real = pytest.mark.skipif(not REAL, reason="ESPCN_DATA doesn't point to the real sets")
QUICK = (2.0, 1.0)  # seconds to connect and between packets: enough on a loaded machine


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    samples = np.random.default_rng(seed).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(samples).save(file, "PNG")
    return file.getvalue()


FILES = {f"some folder/p{number}.png": picture(number) for number in range(1, 13)}
REGISTRY = {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}
NAMES = {path.split("/")[1]: data for path, data in FILES.items()}


class Server(ThreadingHTTPServer):
    """Serves FILES; `ills[name]` are the ills of the next answers for that file."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ills: dict[str, list[str]] = {}
        self.requests: Counter[str] = Counter()
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.over = threading.Event()  # ends the stalls

    def handle_error(self, *_: object) -> None:
        """The client has hung up, which is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.lstrip("/").replace("%20", " ")
        name = path.split("/")[-1]
        self.server.requests[name] += 1
        data, ills = FILES[path], self.server.ills.get(name)
        ill = ills.pop(0) if ills else "none"
        if ill == "missing":
            return self.send_error(404)
        if ill == "corrupt":
            data = data[:50] + bytes([data[50] ^ 255]) + data[51:]
        sent = data if ill in ("none", "corrupt", "slow") else data[: len(data) // 2]
        if ill == "slow":
            time.sleep(0.05)
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent if ill == "truncate" else data)))
        self.end_headers()
        self.wfile.write(sent)  # "drop" hangs up here, before the length that it named
        if ill == "stall":
            self.wfile.flush()
            self.server.over.wait(5)

    def log_message(self, *_: object) -> None:
        """Silence."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.over.set()
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "unreachable", set())
    monkeypatch.setattr(download, "_PAUSE", 0.02)


def fetch(root: Path, url: str) -> None:
    _download("Some", root / "Some", url, REGISTRY, QUICK)


def on_disk(root: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (root / "Some").iterdir()}


def test_download_brings_every_file_for_all_to_read(server: Server, tmp_path: Path) -> None:
    fetch(tmp_path, server.url)
    assert on_disk(tmp_path) == NAMES
    assert set(server.requests.values()) == {1}
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "Some").iterdir()}
    assert modes == {0o644}


@pytest.mark.parametrize("ill", ["drop", "stall", "truncate", "corrupt", "missing"])
def test_file_that_fails_twice_comes_at_the_third_try(
    ill: str, server: Server, tmp_path: Path
) -> None:
    server.ills["p5.png"] = [ill] * 2
    fetch(tmp_path, server.url)
    assert on_disk(tmp_path) == NAMES
    assert server.requests["p5.png"] == 3


@pytest.mark.parametrize("ill", ["drop", "stall", "truncate", "corrupt", "missing"])
def test_nothing_wrong_is_kept_and_the_next_run_goes_on(
    ill: str, server: Server, tmp_path: Path
) -> None:
    server.ills["p5.png"] = [ill] * 3
    start = time.monotonic()
    with pytest.raises(Unavailable, match=r"not complete in .*Some \(.*; the download failed: "):
        fetch(tmp_path, server.url)
    assert time.monotonic() - start < 30  # it would be minutes
    assert server.requests["p5.png"] == 3
    first = on_disk(tmp_path)
    assert "p5.png" not in first
    assert first.items() <= NAMES.items()  # whole files and no temporary ones
    server.requests.clear()
    fetch(tmp_path, server.url)
    assert on_disk(tmp_path) == NAMES
    assert set(server.requests) == set(NAMES) - set(first)


def test_server_that_always_stalls_is_given_up_and_the_rest_called_off(
    server: Server, tmp_path: Path
) -> None:
    server.ills = {name: ["stall"] * 9 for name in NAMES}
    start = time.monotonic()
    with pytest.raises(Unavailable, match="timed out"):
        fetch(tmp_path, server.url)
    assert time.monotonic() - start < 30  # it would be minutes
    assert len(server.requests) < len(NAMES)  # eight at a time, and no more than a few after
    assert on_disk(tmp_path) == {}


def test_wrong_file_and_strays_of_a_killed_download_are_replaced(
    server: Server, tmp_path: Path
) -> None:
    fetch(tmp_path, server.url)
    server.requests.clear()
    (tmp_path / "Some" / "p3.png").write_bytes(picture(99))
    (tmp_path / "Some" / "tmpab12_xyz").write_bytes(b"half")
    fetch(tmp_path, server.url)
    assert on_disk(tmp_path) == NAMES
    assert server.requests == {"p3.png": 1}


def test_threads_that_start_together_download_once(server: Server, tmp_path: Path) -> None:
    server.ills = {name: ["slow"] for name in NAMES}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: fetch(tmp_path, server.url), range(3)))
    assert on_disk(tmp_path) == NAMES
    assert set(server.requests.values()) == {1}


def test_processes_that_start_together_download_once(server: Server, tmp_path: Path) -> None:
    server.ills = {name: ["slow"] for name in NAMES}
    jobs = [get_context("spawn").Process(target=fetch, args=(tmp_path, server.url)) for _ in "ab"]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0]
    assert on_disk(tmp_path) == NAMES
    assert set(server.requests.values()) == {1}


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_without_connection_it_gives_up_at_once_and_for_good(host: str, tmp_path: Path) -> None:
    url = f"http://{host}:{unused_port()}/"
    start = time.monotonic()
    with pytest.raises(Unavailable, match=f"download failed: {host}:[0-9]+ can't be reached"):
        fetch(tmp_path, url)
    assert time.monotonic() - start < 30
    start = time.monotonic()
    with pytest.raises(Unavailable, match="can't be reached"):
        _download("Other", tmp_path / "Other", url, REGISTRY, QUICK)
    assert time.monotonic() - start < 2  # not even tried
    assert not (tmp_path / "Other").exists()


def test_host_that_answers_badly_is_not_taken_for_unreachable(
    server: Server, tmp_path: Path
) -> None:
    server.ills = {name: ["missing"] * 9 for name in NAMES}
    with pytest.raises(Unavailable, match="404"):
        fetch(tmp_path, server.url)
    assert not download.unreachable


def test_one_connection_that_fails_after_others_is_tried_again(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = requests.get, itertools.count(1)

    def get(url: str, **options: object) -> requests.Response:
        if next(calls) == len(FILES) - 1:
            raise requests.ConnectTimeout(MaxRetryError(None, url))
        return real(url, **options)

    monkeypatch.setattr(requests, "get", get)
    fetch(tmp_path, server.url)
    assert on_disk(tmp_path) == NAMES
    assert next(calls) == len(FILES) + 2
    assert not download.unreachable


def test_root_that_cannot_be_written_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # no folder can be made inside it, not even by root
    with pytest.raises(Unavailable, match=r"download failed: .*Not a directory.* set data_dir"):
        fetch(tmp_path / "file", server.url)
    assert not server.requests


@pytest.fixture
def some(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A registered set that the server on this machine has."""
    monkeypatch.setitem(SETS, "Some", server.url)
    whole = datasets.checksums_by_path
    monkeypatch.setattr(
        datasets, "checksums_by_path", lambda name: REGISTRY if name == "Some" else whole(name)
    )
    return "Some"


def test_set_is_downloaded_and_read_in_natural_order(some: str, tmp_path: Path) -> None:
    got = load_set(some, str(tmp_path))
    assert got.names == [f"p{number}.png" for number in range(1, 13)]
    assert len(got) == 12
    for name, image in zip(got.names, got.images, strict=True):
        np.testing.assert_array_equal(image, Image.open(io.BytesIO(NAMES[name])))
    assert got.source == str(tmp_path / "Some")
    assert not got.is_copy


def test_fingerprint_is_that_of_the_sorted_checksum_lines(some: str, tmp_path: Path) -> None:
    lines = sorted(f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in NAMES.items())
    expected = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert load_set(some, str(tmp_path)).fingerprint == expected
    assert load_folder(tmp_path / "Some").fingerprint == expected
    (tmp_path / "Some" / "p1.png").unlink()
    assert load_folder(tmp_path / "Some").fingerprint != expected


def test_set_is_not_downloaded_where_that_is_forbidden(
    some: str, server: Server, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match=r"Some is not complete in .*: put its files there"):
        load_set(some, str(tmp_path), download=False)
    assert not server.requests
    assert not list(tmp_path.iterdir())


def test_set_with_a_changed_file_is_not_taken(some: str, tmp_path: Path) -> None:
    load_set(some, str(tmp_path))
    (tmp_path / "Some" / "p2.png").write_bytes(picture(99))
    (tmp_path / "Some" / "p3.png").unlink()
    (tmp_path / "Some" / "other.png").write_bytes(picture(98))
    words = r"\(1 missing: p3.png; 1 changed: p2.png; 1 unexpected: other.png\)"
    with pytest.raises(Unavailable, match=words):
        load_set(some, str(tmp_path), download=False)


def cropped(pixels: np.ndarray, multiple: int) -> np.ndarray:
    height, width = pixels.shape[:2]
    return pixels[: height // multiple * multiple, : width // multiple * multiple]


@pytest.fixture
def known_pixels(some: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """That set, whose pixels are registered as well."""
    found: dict[str, tuple[list[str], set[int]]] = {}
    for name, data in NAMES.items():
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        for multiple in CROPS:
            digest = pixel_digest(cropped(pixels, multiple))
            found.setdefault(digest, ([name], set()))[1].add(multiple)
    assert len({name for (name,), _ in found.values()}) == len(NAMES)
    monkeypatch.setattr(datasets, "images_by_pixels", lambda name: found)
    return some


@pytest.mark.parametrize("multiple", [1, 3])
def test_copy_in_other_files_is_known_by_its_pixels(
    known_pixels: str, server: Server, tmp_path: Path, multiple: int
) -> None:
    folder = tmp_path / known_pixels / "copy"
    folder.mkdir(parents=True)
    for number, data in enumerate(NAMES.values()):
        pixels = cropped(np.asarray(Image.open(io.BytesIO(data))), multiple)
        Image.fromarray(pixels).convert("RGB").save(folder / f"img_{number:03}_HR.bmp")
    got = load_set(known_pixels, str(tmp_path))
    assert got.names == [f"p{number}.png" for number in range(1, 13)]
    words = "in other files" if multiple == 1 else "cropped to multiples of 3"
    assert got.source == f"{tmp_path / known_pixels} (its pictures, {words})"
    lines = sorted(f"{REGISTRY[path]}  {path.split('/')[1]}" for path in REGISTRY)
    original = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (got.fingerprint == original) == (multiple == 1)  # the same pixels are the same set
    assert got.is_copy
    assert not server.requests
    Image.new("RGB", (16, 16)).save(folder / "img_003_HR.bmp")
    with pytest.raises(Unavailable, match="12 missing: .*; 12 unexpected: "):
        load_set(known_pixels, str(tmp_path), download=False)


def test_pixels_are_the_same_however_they_are_stored() -> None:
    grey = np.random.default_rng(0).integers(0, 256, (9, 8, 1), dtype=np.uint8)
    digest = pixel_digest(grey)
    for stored in (
        grey.repeat(3, 2),
        np.concatenate([grey.repeat(3, 2), np.full_like(grey, 255)], 2),
        grey.astype(np.uint16) * 257,
    ):
        assert pixel_digest(stored) == digest
    assert pixel_digest(grey.reshape(8, 9, 1)) != digest
    assert pixel_digest(255 - grey) != digest


def test_copies_of_two_files_with_the_same_pixels_are_each_known(
    known_pixels: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = datasets.images_by_pixels(known_pixels)
    for names, _ in found.values():
        names.extend(["p2.png"] * (names == ["p1.png"]))
    for digest in [digest for digest, (names, _) in found.items() if names == ["p2.png"]]:
        del found[digest]
    folder = tmp_path / known_pixels
    folder.mkdir()
    for name in ("p1.png", *(other for other in NAMES if other != "p2.png")):
        with Image.open(io.BytesIO(NAMES[name])) as opened:
            opened.save(folder / f"{len(list(folder.iterdir()))}.bmp")
    assert load_set(known_pixels, str(tmp_path), download=False).names == sorted(
        NAMES, key=lambda name: int(name[1:-4])
    )
    shutil.copy(folder / "2.bmp", folder / "0.bmp")  # twice the same in place of the pair
    with pytest.raises(Unavailable):
        load_set(known_pixels, str(tmp_path), download=False)


@needs_real
def test_copy_of_t91_is_t91(tmp_path: Path) -> None:
    whole = load_set("T91", REAL)  # of which t36.bmp and t65.bmp have the same pixels
    (tmp_path / "T91").mkdir()
    for number, pixels in enumerate(whole.images):
        Image.fromarray(pixels).save(tmp_path / "T91" / f"{number}.bmp")
    got = load_set("T91", str(tmp_path), download=False)
    assert (got.names, got.fingerprint) == (whole.names, whole.fingerprint)


@needs_real
def test_grey_picture_stored_in_colour_is_another_since_its_luma_is(tmp_path: Path) -> None:
    whole = load_set("Set14", REAL)
    fingerprints = []
    for mode in (None, "RGB"):
        folder = tmp_path / f"{mode}" / "Set14"
        folder.mkdir(parents=True)
        for number, pixels in enumerate(whole.images):
            one = Image.fromarray(pixels.squeeze())
            (one if mode is None else one.convert(mode)).save(folder / f"{number}.bmp")
        fingerprints.append(load_set("Set14", str(folder.parent), download=False).fingerprint)
    assert fingerprints[0] == whole.fingerprint != fingerprints[1]


@needs_real
@pytest.mark.parametrize("name", ["Set5", "Set14"])
def test_copies_of_the_published_sets_are_known(name: str, tmp_path: Path) -> None:
    whole = load_set(name, REAL)
    (tmp_path / name).mkdir()
    for number, pixels in enumerate(whole.images):
        Image.fromarray(cropped(pixels.squeeze(), 12)).save(tmp_path / name / f"{number}.png")
    got = load_set(name, str(tmp_path), download=False)
    assert got.names == whole.names
    assert got.source.endswith("(its pictures, cropped to multiples of 12)")


def test_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"`sets` \(=T92\) must be one of T91, .*skimage-test, or a folder's path",
    ):
        load_set("T92")


def test_registry_has_the_published_numbers_of_images() -> None:
    sizes = {name: len(datasets.checksums_by_path(name)) for name in SETS}
    assert sizes == {
        "T91": 91,
        "BSD200": 200,
        "Set5": 5,
        "Set14": 14,
        "BSD300": 100,
        "BSD500": 200,
        "Urban100": 100,
    }


def test_data_root_is_the_argument_then_the_environment_then_datasets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESPCN_DATA", "here")
    assert data_root("there") == Path("there")
    assert data_root(None) == Path("here")
    monkeypatch.delenv("ESPCN_DATA")
    assert data_root(None) == Path("datasets")


def test_embedded_photographs_are_those_of_scikit_image() -> None:
    train, test = load_set(EMBEDDED_TRAIN), load_set(EMBEDDED_TEST)
    assert len(train) == 10
    assert test.names == ["astronaut.png", "chelsea.png", "coffee.png"]
    for image, name in zip(test.images, ("astronaut", "chelsea", "coffee"), strict=True):
        np.testing.assert_array_equal(image, getattr(skimage.data, name)())
    assert not set(train.names) & set(test.names)
    assert {"motorcycle_left.png", "motorcycle_right.png"} <= set(train.names)


def test_embedded_photographs_that_are_gone_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(datasets.EMBEDDED, EMBEDDED_TEST, "no_such_photograph.png")
    with pytest.raises(Unavailable, match=r"no_such_photograph\.png not found in .*: reinstall"):
        load_set(EMBEDDED_TEST)


def test_folder_is_read_with_what_lies_below_but_not_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b/p10.PNG", "b/p9.png", "a.png", ".hidden.png", ".cache/c.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(picture(1))
    got = load_folder(tmp_path)
    assert got.name == tmp_path.name
    assert got.names == ["a.png", "b/p9.png", "b/p10.PNG"]


def test_folder_keeps_each_picture_in_its_own_mode(tmp_path: Path) -> None:
    for mode in ("L", "RGB", "RGBA"):
        Image.new(mode, (8, 6)).save(tmp_path / f"{mode}.png")
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(tmp_path / "wide.png")
    got = load_folder(tmp_path)
    shapes = {n: (i.shape[2], i.dtype.name) for n, i in zip(got.names, got.images, strict=True)}
    assert shapes == {
        "L.png": (1, "uint8"),
        "RGB.png": (3, "uint8"),
        "RGBA.png": (4, "uint8"),
        "wide.png": (1, "uint16"),
    }


def test_folder_with_links_in_a_loop_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "top" / "deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "top" / "a.png").write_bytes(picture(1))
    (tmp_path / "elsewhere" / "b.png").write_bytes(picture(2))
    (tmp_path / "top" / "deep" / "up").symlink_to(tmp_path / "top")
    (tmp_path / "top" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "top" / "self.png").symlink_to("self.png")
    for number in range(20):
        (tmp_path / "top" / f"{number}.png").write_bytes(picture(number))
    with pytest.warns(UserWarning, match=r"self\.png: .*symbolic links"):
        got = load_folder(tmp_path / "top")
    assert sorted(got.names) == sorted([f"{n}.png" for n in range(20)] + ["a.png", "link/b.png"])


def test_one_unreadable_picture_among_many_is_named_and_left_out(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    (tmp_path / "3.png").write_bytes(picture(3)[:400])
    with pytest.warns(UserWarning, match=r"1 of 10 .* skipped: 3\.png: the file is damaged"):
        got = load_folder(tmp_path)
    assert len(got) == 9


def test_more_than_a_tenth_unreadable_is_an_error_that_says_which(tmp_path: Path) -> None:
    for number in range(19):
        (tmp_path / f"{number}.png").write_bytes(b"" if number in (4, 7) else picture(number))
    with pytest.raises(ValueError, match=r"2 of 19 .* a tenth.* 4\.png: .*; 7\.png: .* is empty"):
        load_folder(tmp_path)


def test_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\) must be an existing folder with your"):
        load_folder(tmp_path / "nowhere")


def test_folder_without_pictures_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"must contain pictures, .* suffixes: \.avif"):
        load_folder(tmp_path)


def test_folder_that_cannot_be_looked_into_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:  # what root is never told
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match=f"{tmp_path} can't be listed: Permission denied"):
        load_folder(tmp_path)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "unreachable", {"raw.githubusercontent.com"})


@pytest.mark.usefixtures("offline")
def test_auto_falls_back_to_scikit_image_and_says_why_and_what_to_do(tmp_path: Path) -> None:
    images, line = load_training("auto", str(tmp_path))
    assert images.name == EMBEDDED_TRAIN
    for part in ("10 photographs", "scikit-image", f"{tmp_path}/T91", "can't be reached", "ESPCN"):
        assert part in line
    assert "\n" not in line


@pytest.mark.usefixtures("offline")
def test_t91_is_not_replaced_when_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"T91 is not complete in .*githubusercontent\.com"):
        load_training("t91", str(tmp_path))


def test_own_folder_can_be_trained_on(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1))
    images, line = load_training("folder", None, tmp_path)
    assert images.names == ["a.png"]
    assert line == f"Data: 1 pictures from {tmp_path}"


def test_photographs_of_scikit_image_can_be_asked_for() -> None:
    images, line = load_training("skimage")
    assert (images.name, len(images)) == (EMBEDDED_TRAIN, 10)
    assert line.startswith("Data: 10 photographs from scikit-image")


@needs_real
def test_two_sets_are_trained_on_as_one() -> None:
    images, line = load_training("t291")
    t91, bsd200 = load_set("T91"), load_set("BSD200")
    assert (images.name, len(images)) == ("T91+BSD200", 291)
    assert images.names == t91.names + bsd200.names
    assert np.array_equal(images.images[91], bsd200.images[0])
    assert images.fingerprint not in (t91.fingerprint, bsd200.fingerprint)
    assert line.startswith("Data: T91+BSD200, 291 images from ")


def test_training_source_must_be_known_and_complete() -> None:
    with pytest.raises(ValueError, match=r"`data` \(=T91\) must be one of auto, t91.*mean t91"):
        load_training("T91")
    with pytest.raises(ValueError, match="`data.path` must be given with data=folder"):
        load_training("folder")


@pytest.mark.usefixtures("offline")
def test_test_sets_that_are_asked_for_must_be_had(some: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Set5 is not complete in .*5 missing: baby_GT.bmp"):
        load_test([some, "Set5"], str(tmp_path))
    sets, lines = load_test([some], str(tmp_path))
    assert ([images.name for images in sets], lines) == (["Some"], [])


@pytest.mark.usefixtures("offline")
def test_without_any_usual_set_the_photographs_of_scikit_image_serve(tmp_path: Path) -> None:
    sets, lines = load_test(list(USUAL), str(tmp_path))
    assert [images.name for images in sets] == [EMBEDDED_TEST]
    assert len(lines) == 5
    assert lines[0].startswith("Left out: Set5 is not complete in ")
    assert "3 photographs from scikit-image" in lines[-1]


def test_any_folder_is_scored_under_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "other/mine", "Set5"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a.png").write_bytes(picture(1))
    paths = [str(tmp_path / name) for name in ("mine", "other/mine", "Set5")]
    (tmp_path / "mine/b.png").write_bytes(picture(2))
    sets, lines = load_test(paths)
    below = str(tmp_path).strip("/").replace("/", "_")
    assert [images.name for images in sets] == ["mine", f"{below}_other_mine", f"{below}_Set5"]
    assert ([len(images) for images in sets], lines) == ([2, 1, 1], [])
    monkeypatch.chdir(tmp_path)
    (sets, _) = load_test(["Set5/", "mine", "./mine"])
    assert [images.name for images in sets] == [f"{below}_Set5", "mine", f"{below}_mine"]
    (sets, _) = load_test(["mine", "skimage-test", "mine", "skimage-test"])
    assert [images.name for images in sets] == ["mine", "skimage-test"]
    with pytest.raises(
        ValueError, match=r"`sets` \(=.*/nowhere\) must be one of .*, or a folder's path"
    ):
        load_test([str(tmp_path / "nowhere")])


@needs_real
def test_t91_is_read_whole() -> None:
    images, line = load_training("auto", REAL)
    assert len(images) == 91
    assert images.names[:3] == ["t1.bmp", "t2.bmp", "t3.bmp"]
    assert images.fingerprint == "ccd91247a7d95dd7"
    assert all(image.shape[2] == 3 and image.dtype == np.uint8 for image in images.images)
    assert line.startswith("Data: T91, 91 images from ")


@needs_real
def test_one_picture_of_set14_is_grey_and_one_of_set5_is_as_pillow_reads_it() -> None:
    set14, set5 = (load_set(name, REAL, download=False) for name in ("Set14", "Set5"))
    bands = {n: image.shape[2] for n, image in zip(set14.names, set14.images, strict=True)}
    assert {name for name, channels in bands.items() if channels == 1} == {"bridge.bmp"}
    baby = Image.open(Path(REAL, "Set5", "baby_GT.bmp"))
    np.testing.assert_array_equal(set5.images[set5.names.index("baby_GT.bmp")], baby)
