"""The page, in headless Chromium: what a visitor does with it, and what PyTorch would give."""

import json
import re
import shutil
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from espcn.export import page as exporting
from espcn.export.export import export
from espcn.export.page import published
from espcn.imaging.levels import luma_levels
from espcn.network.model import ESPCN
from espcn.network.strengths import Compression, strength
from espcn.network.weights import shipped
from espcn.upscaling.upscaler import Upscaler
from helpers import Call, check_failed, write_checkpoint, write_clip

ENGINES = ("webgpu", "webgl2", "plain")
# Most tests leave it to pytest -m slow, since the others agree with it.
WITHOUT_WEBGL2 = ("webgpu", pytest.param("webgl2", marks=pytest.mark.slow), "plain")
BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900",
    # No GPU is needed: SwiftShader stands for one, to WebGL and to WebGPU.
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
)  # fmt: skip
PATIENCE = 120  # seconds, of a test that would wait for ever


class Visitor:
    """Somebody before a page in a browser, who finds a picture's result in a folder."""

    def __init__(self, driver: Any, address: str, folder: Path) -> None:
        self.driver, self.address, self.folder = driver, address, folder

    def open(self, engine: str = "plain") -> None:
        self.driver.get("about:blank")
        self.driver.get(f"{self.address}#{engine}")
        if engine == "webgpu" and not self.run("return navigator.gpu?.requestAdapter()"):
            pytest.skip("this Chromium has no WebGPU")

    def __getitem__(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str, patience: float = PATIENCE) -> Any:
        """Wait until a script's expression is true."""
        end = time.monotonic() + patience
        while not (found := self.run(f"return {condition}")):
            assert time.monotonic() < end, (condition, self.run("return document.body.innerText"))
            time.sleep(0.05)
        return found

    def give(self, path: Path) -> None:
        self["file"].send_keys(str(path))

    def upscale(self, path: Path, patience: float = PATIENCE) -> Path:
        """Give a picture, press the button, and return what it saves."""
        for old in self.folder.iterdir():
            old.unlink()
        self.give(path)
        self.wait("!document.getElementById('download').hidden", patience)
        self["download"].click()
        end = time.monotonic() + PATIENCE
        # An empty file keeps the name until all is there.
        while not (found := [one for one in self.folder.glob("*.png") if one.stat().st_size]):
            assert time.monotonic() < end
            time.sleep(0.05)
        return found[0]

    def problem(self) -> str:
        self.wait("document.getElementById('problem').textContent")
        assert not self["viewer"].is_displayed()
        assert not self["work"].is_displayed()
        return self["problem"].text

    def check_quiet(self) -> None:
        """Check that nothing was complained of, and that nothing left the page."""
        complaints = [one for one in self.driver.get_log("browser") if one["level"] != "INFO"]
        assert not complaints
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                asked = event["params"]["request"]["url"]
                assert asked.split(":")[0] in ("file", "blob", "data", "about"), asked


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    if not BROWSER or not DRIVER:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for option in OPTIONS:
        options.add_argument(option)
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    browser.downloads = downloads
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a page for factor 2, and the one of all factors and strengths."""
    folder = tmp_path_factory.mktemp("pages")
    export(2, output=str(folder / "espcn_x2.html"))
    (folder / "all.html").write_text(published(), encoding="utf-8")
    return folder


@pytest.fixture
def visitor(driver: Any, pages: Path) -> Iterator[Visitor]:
    """Return a visitor to the page for factor 2, for whom all stays quiet."""
    one = Visitor(driver, (pages / "espcn_x2.html").as_uri(), driver.downloads)
    one.open()
    yield one
    one.check_quiet()


@pytest.fixture
def chooser(driver: Any, pages: Path) -> Iterator[Visitor]:
    """Return a visitor to the page of all factors and strengths."""
    one = Visitor(driver, (pages / "all.html").as_uri(), driver.downloads)
    one.open()
    yield one
    one.check_quiet()


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[20:91, 180:263])


def exact(r: int, compression: int | None = None) -> Upscaler:
    options: dict[str, Any] = {"engine": "torch", "precision": "float32", "device": "cpu"}
    if compression is None:
        return Upscaler(ckpt=shipped(r), **options)
    return Upscaler(r, compression=compression, **options)


def save(pixels: np.ndarray, path: Path, **options: Any) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def luma(pixels: np.ndarray) -> np.ndarray:
    planes = torch.from_numpy(pixels[..., :3].astype(np.float32)).permute(2, 0, 1)
    return luma_levels(planes, whole=False).numpy()


@pytest.mark.parametrize("engine", ENGINES)
def test_luma_is_pytorchs_within_a_grey_level(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path, engine: str
) -> None:
    wide = np.concatenate([photo] * 4, 1)  # more than a tile
    visitor.open(engine)
    large = read(visitor.upscale(save(wide, tmp_path / "photo.png")))
    assert {"webgpu": "WebGPU", "webgl2": "WebGL2", "plain": "plain"}[engine] in (
        visitor["status"].text
    )
    wanted = exact(2)(wide)
    assert large.shape == wanted.shape
    assert np.abs(luma(large) - luma(wanted)).max() <= 1
    assert np.abs(large.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("engine", WITHOUT_WEBGL2)
def test_transparency_and_edges_are_those_of_the_command(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path, engine: str
) -> None:
    y, x = np.mgrid[:71, :83]
    alpha = np.clip(400 - 12 * np.hypot(y - 35, x - 40), 0, 255).astype(np.uint8)
    cut = np.concatenate([photo, alpha[..., None]], 2)
    cut[alpha == 0, :3] = 0
    cut = np.tile(cut, (4, 1, 1))  # of more than a strip
    visitor.open(engine)
    large = read(visitor.upscale(save(cut, tmp_path / "cut.png")))
    wanted = exact(2)(cut)
    assert large.shape == wanted.shape == (568, 166, 4)
    assert np.abs(large[..., 3].astype(int) - wanted[..., 3]).max() <= 1
    seen = wanted[..., 3] > 0
    assert np.abs(large[seen].astype(int) - wanted[seen]).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2)])
@pytest.mark.parametrize("engine", WITHOUT_WEBGL2)
def test_smallest_pictures_agree(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path, engine: str, shape: tuple[int, int]
) -> None:
    small = np.ascontiguousarray(photo[: shape[0], : shape[1]])
    visitor.open(engine)
    large = read(visitor.upscale(save(small, tmp_path / "small.png")))
    assert np.abs(large.astype(int) - exact(2)(small)).max() <= 1


@pytest.mark.parametrize("engine", WITHOUT_WEBGL2)
def test_grey_pictures_stay_grey_and_their_white_stays_white(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path, engine: str
) -> None:
    grey = np.ascontiguousarray(photo[..., 1])
    grey[:20, :20] = 255
    visitor.open(engine)
    large = read(visitor.upscale(save(grey, tmp_path / "grey.png")))
    wanted = exact(2)(grey)
    assert large.shape == wanted.shape
    assert np.abs(large.astype(int) - wanted).max() <= 1
    assert large[:30, :30].min() >= 254


@pytest.mark.parametrize("r", [pytest.param(3, marks=pytest.mark.slow), 4])
@pytest.mark.parametrize("engine", WITHOUT_WEBGL2)
def test_other_factors_and_strengths_agree_too(
    chooser: Visitor, photo: np.ndarray, tmp_path: Path, engine: str, r: int
) -> None:
    chooser.open(engine)
    chooser["factor"].send_keys(str(r))
    chooser["compression"].send_keys("as a JPEG of quality 80")
    large = read(chooser.upscale(save(photo, tmp_path / "photo.png")))
    wanted = exact(r, 80)(photo)
    assert large.shape == wanted.shape
    assert np.abs(large.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("quality", "grey"), [(95, False), (63, False), (20, True)])
def test_a_jpegs_strength_is_read_from_its_table(
    chooser: Visitor, photo: np.ndarray, tmp_path: Path, quality: int, grey: bool
) -> None:
    pixels = np.ascontiguousarray(photo[..., 0]) if grey else photo
    chooser.give(save(pixels, tmp_path / "old.jpg", quality=quality))
    chooser.wait("!document.getElementById('download').hidden")
    said = f"a JPEG of quality {quality}, {strength(2, Compression('jpeg', quality))};"
    assert said in chooser["status"].text
    chooser["compression"].send_keys("none")
    chooser.wait("document.getElementById('status').textContent.includes('clean weights; ')")


def test_a_picture_of_many_strips_and_tiles_comes_through_whole(
    chooser: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    # Nine strips of four tiles, more rows than are searched at once for alpha (512), and many
    # times what a chunk of the PNG holds: nothing else changes up to 48 megapixels of a result.
    # By 4, whose large pixels take the least work: layers are as large as the small picture.
    height, width = 560, 200
    large = np.tile(photo, (8, 3, 1))[:height, :width]
    source = save(large, tmp_path / "large.png", compress_level=1)
    chooser["factor"].send_keys("4")
    got = read(chooser.upscale(source))
    assert got.shape == (2240, 800, 3)
    upscale = exact(4)
    for top, left in ((0, 0), (250, 20), (400, 40)):  # both corners, and across tiles
        window = (slice(top, top + 160), slice(left, left + 160))
        context = upscale(large[max(top - 8, 0) : top + 168, max(left - 8, 0) : left + 168])
        above, beside = 4 * min(top, 8), 4 * min(left, 8)
        wanted = context[above : above + 640, beside : beside + 640]
        part = got[4 * window[0].start :, 4 * window[1].start :][:640, :640]
        assert np.abs(part.astype(int) - wanted).max() <= 1


def test_a_result_wider_than_any_canvas_is_written_strip_by_strip(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    wide = np.tile(photo[:3], (1, 450, 1))  # twice as wide it is beyond 65,535 as well
    path = visitor.upscale(save(wide, tmp_path / "wide.png"))
    assert np.abs(read(path).astype(int) - exact(2)(wide)).max() <= 1


def chunk(name: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def test_bad_files_get_a_sentence(visitor: Visitor, photo: np.ndarray, tmp_path: Path) -> None:
    whole = save(photo, tmp_path / "whole.png").read_bytes()
    huge = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 20000, 15000, 8, 2, 0, 0, 0)
    )
    for name, content, words in (
        ("notes.txt", b"Dear all, ", "“notes.txt” is not a picture that this browser can read."),
        ("empty.png", b"", "“empty.png” is not a picture"),
        ("cut.png", whole[:40], "“cut.png” is not a picture"),
        ("cut.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "“cut.jpg” is not a picture"),
        ("cut.mp4", b"\0\0\0\x18ftypisom", "“cut.mp4” is not a video that this browser can play."),
        ("huge.png", huge, "“huge.png” would become 40000 × 30000 pixels (1200 megapixels), but "
         "this page writes at most 400 megapixels"),
    ):  # fmt: skip
        visitor.open()
        (tmp_path / name).write_bytes(content)
        visitor.give(tmp_path / name)
        assert words in visitor.problem()
    assert visitor.upscale(tmp_path / "whole.png").name == "whole_x2.png"  # and then goes on
    assert not visitor["problem"].is_displayed()


def test_a_picture_can_be_dropped_and_pasted(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    content = list(save(photo, tmp_path / "photo.png").read_bytes())
    for event, held in (
        ("DragEvent('drop'", "dataTransfer"),
        ("ClipboardEvent('paste'", "clipboardData"),
    ):
        visitor.open()
        visitor.run(
            "const data = new DataTransfer();"
            "const file = new File([Uint8Array.from(arguments[0])], 'p.png', {type: 'image/png'});"
            "data.items.add(file);"
            f"const event = new {event}, {{{held}: data, bubbles: true, cancelable: true}});"
            "document.body.dispatchEvent(event)", content,
        )  # fmt: skip
        visitor.wait("!document.getElementById('download').hidden")
        assert "p.png: a picture; 166 × 142 pixels" in visitor["status"].text


def divided(visitor: Visitor) -> float:
    """Return where the pane is divided, in percent."""
    return float(
        visitor.run(
            "return getComputedStyle(document.getElementById('pane')).getPropertyValue('--at')"
        ).rstrip("%")
    )


def test_the_divider_moves_by_mouse_and_by_keys_and_the_picture_zooms(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains, Keys

    visitor.upscale(save(photo, tmp_path / "photo.png"))
    pane, divider = visitor["pane"], visitor.driver.find_element("css selector", ".divider")
    assert divided(visitor) == 50
    quarter = pane.size["width"] // 4
    ActionChains(visitor.driver).move_to_element(pane).click_and_hold().move_by_offset(
        quarter, 0
    ).release().perform()
    assert divided(visitor) == pytest.approx(75, abs=1)
    at = visitor.run("return getComputedStyle(document.querySelector('.layer.after')).clipPath")
    assert f"{divided(visitor):g}%" in at
    divider.send_keys(Keys.ARROW_LEFT * 5)
    assert divided(visitor) == pytest.approx(70, abs=1)
    fitted = visitor["zoom"].text
    for _ in range(3):
        visitor["closer"].click()
    zoomed = float(visitor["zoom"].text.split()[0])
    assert zoomed == pytest.approx(1.5**3 * float(fitted.split()[0]), abs=2)
    place = "return document.querySelector('.stage').getBoundingClientRect().x"
    before = visitor.run(place)
    pane.send_keys(Keys.ARROW_LEFT)
    assert visitor.run(place) == pytest.approx(before + 40, abs=0.1)
    ActionChains(visitor.driver).move_to_element_with_offset(pane, -quarter, 60).click_and_hold(
    ).move_by_offset(-30, 0).release().perform()  # fmt: skip
    assert visitor.run(place) == pytest.approx(before + 10, abs=0.1)
    pane.send_keys("0")
    assert visitor["zoom"].text == fitted


def test_the_page_answers_while_it_works_and_can_be_stopped(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    visitor.give(save(np.tile(photo, (10, 10, 1)), tmp_path / "photo.png"))
    visitor.wait("document.getElementById('progress').value > 0")
    divider = visitor.driver.find_element("css selector", ".divider")
    divider.send_keys("\ue012")  # an arrow to the left
    assert divided(visitor) == 49
    assert visitor["work"].is_displayed()
    visitor["cancel"].click()
    visitor.wait("document.getElementById('viewer').hidden")
    assert not visitor["work"].is_displayed()
    assert visitor.upscale(save(photo, tmp_path / "other.png")).name == "other_x2.png"


@pytest.mark.parametrize("engine", ["webgpu", pytest.param("webgl2", marks=pytest.mark.slow)])
def test_a_video_plays_upscaled_with_its_frames_side_by_side(
    visitor: Visitor, tmp_path: Path, engine: str
) -> None:
    visitor.open(engine)
    visitor.give(write_clip(tmp_path / "clip.webm", 25, codec="libvpx-vp9"))
    visitor.wait("document.getElementById('rate').textContent.includes('frames/s')")
    visitor["play"].click()
    visitor.wait("document.getElementById('play').textContent === 'Play'")
    time.sleep(1)  # for the last frame's way to the screen
    before, after = (
        np.asarray(visitor.run(
            "const copy = document.createElement('canvas').getContext('2d');"
            "const shown = document.querySelectorAll('.stage canvas')[arguments[0]];"
            "[copy.canvas.width, copy.canvas.height] = [shown.width, shown.height];"
            "copy.drawImage(shown, 0, 0);"
            "return [...copy.getImageData(0, 0, shown.width, shown.height).data]", number,
        ), np.uint8).reshape(size)
        for number, size in enumerate([(32, 48, 4), (64, 96, 4)])
    )  # fmt: skip
    assert before[..., :3].std() > 20
    wanted = exact(2)(np.ascontiguousarray(before[..., :3]))
    assert np.abs(after[..., :3].astype(int) - wanted).max() <= 1
    assert "96 × 64 pixels" in visitor["status"].text
    assert visitor.run("return document.querySelector('video').muted")
    assert not visitor["download"].is_displayed()


def test_a_video_without_a_gpu_gets_a_sentence(visitor: Visitor, tmp_path: Path) -> None:
    visitor.give(write_clip(tmp_path / "clip.webm", 5, codec="libvpx-vp9"))
    assert visitor.problem().startswith("Upscaling videos needs WebGPU or WebGL2")


def give_slowly(visitor: Visitor, path: Path) -> None:
    """Give a video that does not open until `window.go()`."""
    visitor.run(
        "const usual = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, 'src');"
        "Object.defineProperty(HTMLMediaElement.prototype, 'src', {...usual, set(url) {"
        "  [window.slow, window.go] = [this, () => usual.set.call(this, url)];"
        "}});"
    )
    visitor.give(path)
    visitor.wait("Boolean(window.slow)")


def test_a_video_that_opens_too_late_leaves_the_picture_that_followed_it(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path
) -> None:
    give_slowly(visitor, write_clip(tmp_path / "clip.webm", 5, codec="libvpx-vp9"))
    visitor.upscale(save(photo, tmp_path / "photo.png"))
    said = visitor["status"].text
    visitor.run("window.go()")
    visitor.wait("window.slow.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA")
    time.sleep(0.2)  # for what should not come
    assert visitor["video"].get_attribute("innerHTML") == ""
    assert (visitor["status"].text, visitor["download"].is_displayed()) == (said, True)


def test_a_video_is_not_lost_if_the_factor_changes_while_it_opens(
    chooser: Visitor, tmp_path: Path
) -> None:
    give_slowly(chooser, write_clip(tmp_path / "clip.webm", 5, codec="libvpx-vp9"))
    chooser["factor"].send_keys("4")
    chooser.run("window.go()")
    assert chooser.problem().startswith("Upscaling videos needs WebGPU or WebGL2")


def test_a_video_larger_than_a_gpu_draws_gets_a_sentence(chooser: Visitor, tmp_path: Path) -> None:
    chooser.open("webgl2")
    chooser["factor"].send_keys("4")
    with av.open(str(tmp_path / "wide.webm"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=25)
        stream.width, stream.height = 2100, 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 2100, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    chooser.give(tmp_path / "wide.webm")
    said = chooser.problem()
    assert said.startswith(
        "Its frames would become 8400 × 64 pixels, but this device draws at most"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phones_width_and_both_color_schemes_hold_everything(
    chooser: Visitor, photo: np.ndarray, tmp_path: Path, scheme: str
) -> None:
    commands = chooser.driver.execute_cdp_cmd
    commands("Emulation.setDeviceMetricsOverride",
             {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})  # fmt: skip
    commands("Emulation.setEmulatedMedia",
             {"features": [{"name": "prefers-color-scheme", "value": scheme}]})  # fmt: skip
    commands("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    try:
        chooser.open()
        chooser.upscale(save(photo, tmp_path / "photo.png"))
        fitted = float(chooser["zoom"].text.split()[0])
        assert chooser.run("return document.documentElement.scrollWidth") == 390
        ground = chooser.run("return getComputedStyle(document.body).backgroundColor")
        lightness = np.mean([int(part) for part in ground[4:-1].split(",")])
        assert (lightness > 128) == (scheme == "light")
        low = chooser.run(
            "return [...document.querySelectorAll('button, select, label, a')].filter("
            "one => one.offsetParent && one.offsetHeight < 24).length"
        )
        assert low == 0  # WCAG 2.5.8 asks for 24 pixels
        box = chooser.run("return document.getElementById('pane').getBoundingClientRect()")
        left, middle = box["left"] + 60, box["top"] + 60
        for kind, apart in (("Start", 40), ("Move", 60), ("Move", 80)):
            points = [{"x": left + apart * id, "y": middle, "id": id} for id in (0, 1)]
            commands("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})
        commands("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        assert float(chooser["zoom"].text.split()[0]) == pytest.approx(2 * fitted, rel=0.05)
    finally:
        commands("Emulation.clearDeviceMetricsOverride", {})
        commands("Emulation.setTouchEmulationEnabled", {"enabled": False})
        commands("Emulation.setEmulatedMedia", {"features": []})


def test_sizes_are_small_and_nothing_is_fetched(pages: Path) -> None:
    assert (pages / "espcn_x2.html").stat().st_size < 250_000
    assert (pages / "all.html").stat().st_size < 1_500_000
    for path in pages.iterdir():
        assert "http" not in path.read_text(encoding="utf-8").replace("http-equiv", "").replace(
            "http://www.w3.org/2000/svg", ""
        )


def test_command_writes_a_page_for_a_compression_and_names_what_is_wrong(
    call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "old.html"
    done = call("export.py", "-r", "4", "--compression", "50", "-o", str(path))
    assert done.returncode == 0
    how = r"checked by Chrom\S+ \S+ \(plain, webgl2\)" if BROWSER else "not checked: .*"
    assert re.fullmatch(
        f"Written to {re.escape(str(path))} with weights jpeg .*, {how}\n", done.stdout
    )
    assert str(strength(4, Compression("jpeg", 50))) in path.read_text(encoding="utf-8")
    assert path.stat().st_size < 250_000
    colors = write_checkpoint(tmp_path / "rgb.ckpt", ESPCN(3, channels=3), channels=3)
    done = call("export.py", "--ckpt", str(colors), "-o", str(tmp_path / "no.html"))
    check_failed(done, "`channels` (=3) and `padding` (=replicate) of the network must be 1 and")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["old.html", "rgb.ckpt"]


@pytest.mark.skipif(not BROWSER, reason="needs chromium")
@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=pytest.mark.slow)])
def test_a_network_of_ones_own_is_checked_by_the_browser(
    tmp_path: Path, activation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    own = ESPCN(5, activation=activation)
    settings = {"r": 5, "activation": activation, "blur": 0.5}
    ckpt = write_checkpoint(tmp_path / "own.ckpt", own, **settings)
    path, check, _ = export(ckpt=str(ckpt), output=str(tmp_path / "own.html"))
    said = "Weights for blur=0.5 downsample=decimate; own.ckpt; "
    assert said in path.read_text(encoding="utf-8")
    assert check.startswith("checked by Chrom")
    assert check.endswith("(plain, webgl2)")
    monkeypatch.setattr(exporting, "TOLERANCE", 0.0)  # which rounding to bytes passes
    with pytest.raises(ValueError, match=r"\(plain\) differs from PyTorch by 0\.\d+ grey levels"):
        export(ckpt=str(ckpt), output=str(tmp_path / "other.html"))
    assert not (tmp_path / "other.html").exists()


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (None, "not checked: neither Chromium nor Chrome is installed"),
        ("#!/bin/sh\nexit 1\n", "did not run it"),
        ("#!/bin/sh\nexec sleep 9\n", "did not answer within 1 s"),
    ],
)
def test_it_is_said_where_no_browser_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, words: str
) -> None:
    (tmp_path / "bin").mkdir()
    if program:
        (tmp_path / "bin/chromium").write_text(program)
        (tmp_path / "bin/chromium").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin" if program else str(tmp_path / "bin"))
    monkeypatch.setattr(exporting, "BROWSERS", ("chromium",))
    monkeypatch.setattr(exporting, "PATIENCE", 1)
    path, check, _ = export(2, output=str(tmp_path / "a.html"))
    assert "Weights for clean pictures; " in path.read_text(encoding="utf-8")
    assert words in check


@pytest.mark.parametrize(
    ("code", "broken", "said"),
    [
        ("rgba.rgb += gain", "rgba.rgb += 3.0 * gain", "WebGL2 is not used: it is off by"),
        ("vec4 rgba = vec4(0)", "vec4 rgba = nothing", "WebGL2 is not used: the GPU's compiler"),
        ("this.convolve(t", "if (tile.w > 27) throw Error('no'); this.convolve(t", "gave up: no"),
    ],
)
def test_an_engine_that_fails_makes_way_for_the_next(
    visitor: Visitor, photo: np.ndarray, tmp_path: Path, code: str, broken: str, said: str
) -> None:
    visitor.open("webgl2,plain")
    visitor.run(
        "const code = document.getElementById('work-code');"
        "if (!code.textContent.includes(arguments[0])) throw new Error('gone');"
        "code.textContent = code.textContent.replace(...arguments)", code, broken,
    )  # fmt: skip
    large = read(visitor.upscale(save(photo, tmp_path / "photo.png")))
    assert "with plain JavaScript" in visitor["status"].text
    assert np.abs(large.astype(int) - exact(2)(photo)).max() <= 1
    assert said in " ".join(one["message"] for one in visitor.driver.get_log("browser"))
