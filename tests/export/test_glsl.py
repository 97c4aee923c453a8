"""The user shader: what PyTorch gives, in FFmpeg's libplacebo and on the screen of mpv."""

import os
import re
import shutil
import subprocess
import textwrap
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from espcn.export import glsl
from espcn.export.glsl import shader, write
from espcn.export.libplacebo import Unavailable, render, version
from espcn.imaging.metrics import psnr
from espcn.network.model import ESPCN
from espcn.network.weights import SHIPPED, load
from espcn.upscaling.upscaler import Upscaler
from helpers import ROOT, Call, moving_photograph, write_clip

PAGE = ROOT / "docs/export.md"
PROGRAMS = ("mpv", "xvfb-run", "xauth")
DISPLAY = "-screen 0 640x480x24"
HEIGHT, WIDTH = 48, 64
# As soon as the first frame is shown, keep what the window shows, before the window is scaled.
SCREENSHOT = """
mp.register_event("playback-restart", function()
    mp.commandv("screenshot-to-file", "screen.png", "window")
    mp.commandv("quit")
end)
"""


@pytest.fixture(scope="module")
def placebo() -> None:
    """Skip where FFmpeg's libplacebo does not run."""
    try:
        render(np.full((3, 8, 8), 128, np.uint8), 1)
    except Unavailable as error:
        pytest.skip(str(error))


def photograph(bits: int = 8, full_range: bool = False) -> np.ndarray:
    """Return YCbCr of BT.601, `(3, HEIGHT, WIDTH)`."""
    (frame,) = moving_photograph(1, WIDTH, HEIGHT)
    r, g, b = frame.to_ndarray().transpose(2, 0, 1) / 255
    y = 0.299 * r + 0.587 * g + 0.114 * b
    chroma = np.stack([(b - y) / 1.772, (r - y) / 1.402])
    planes = (
        [255 * y, *(128 + 255 * chroma)] if full_range else [16 + 219 * y, *(128 + 224 * chroma)]
    )
    levels = np.round(np.stack(planes) * 2 ** (bits - 8)).clip(0, 2**bits - 1)
    return levels.astype(np.uint8 if bits == 8 else np.uint16)


def upscaled(r: int, luma: np.ndarray, bits: int = 8) -> np.ndarray:
    """Return what PyTorch makes of a video's luma by the same weights: whole levels."""
    large = np.empty((r * luma.shape[0], r * luma.shape[1]), luma.dtype)
    path = SHIPPED / f"espcn_x{r}.safetensors"
    Upscaler(ckpt=path, engine="torch", precision="float32", device="cpu").luma(luma, bits, large)
    return large


def closeness(one: np.ndarray, other: np.ndarray, bits: int = 8) -> tuple[float, float]:
    """Return the PSNR of all pixels, and of those of the border that the padding has a part in."""
    scale = 2.0 ** (8 - bits)
    pair = [torch.from_numpy(scale * values.astype(np.float64)) for values in (one, other)]
    border = torch.ones(pair[0].shape, dtype=torch.bool)
    border[8:-8, 8:-8] = False
    return psnr(*pair, data_range=255), psnr(*(values[border] for values in pair), data_range=255)


@cache
def shipped(r: int) -> str:
    return shader(load(r).network, {})


@pytest.mark.parametrize(
    ("bits", "full_range"),
    [
        (8, False),
        (10, True),
        pytest.param(8, True, marks=pytest.mark.slow),
        pytest.param(10, False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.usefixtures("placebo")
def test_luma_is_that_of_upscaling_a_video(r: int, bits: int, full_range: bool) -> None:
    frame = photograph(bits, full_range)
    large = render(frame, r, shipped(r), bits, full_range)
    whole, border = closeness(large[0], upscaled(r, frame[0], bits), bits)
    assert whole >= 50
    assert border >= 50


@pytest.mark.parametrize(("padding", "activation"), [("zeros", "tanh"), ("replicate", "relu")])
@pytest.mark.usefixtures("placebo")
def test_every_network_of_luma_is_run(padding: str, activation: str) -> None:
    torch.manual_seed(0)
    network = ESPCN(2, padding=padding, activation=activation, center=0.4, gain=3)
    frame = photograph()
    with torch.no_grad():
        expected = 255 * network(torch.from_numpy(frame[None, :1] / 255).float())[0, 0].numpy()
    assert 16 < expected.min() < expected.max() < 235
    assert min(closeness(render(frame, 2, shader(network, {}))[0], expected)) >= 50


@pytest.mark.usefixtures("placebo")
def test_command_of_the_page_enlarges_a_video(tmp_path: Path) -> None:
    (command,) = re.findall(r"    (ffmpeg .*\n    custom_shader_path.*)", PAGE.read_text())
    (tmp_path / "espcn_x2.glsl").write_text(shipped(2))
    clip = write_clip(tmp_path / "clip.mp4", count=3, size=(WIDTH, HEIGHT))
    command = textwrap.dedent(f"    {command}").replace("clip_x2.mp4", "-crf 1 clip_x2.mp4")
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lumas = []
    for path in (clip, tmp_path / "clip_x2.mp4"):
        with av.open(str(path)) as video:
            frames = [frame.to_ndarray()[: frame.height] for frame in video.decode(video=0)]
        assert len(frames) == 3
        lumas.append(frames[0])
    assert lumas[1].shape == (2 * HEIGHT, 2 * WIDTH)
    # Dithered, and encoded again; without the shader it is 38.
    assert closeness(lumas[1], upscaled(2, lumas[0]))[0] > 45


@pytest.mark.usefixtures("placebo")
def test_target_that_is_not_larger_is_left_to_the_player() -> None:
    frame = photograph()
    np.testing.assert_array_equal(render(frame, 1, shipped(2)), render(frame, 1))
    pair = (torch.from_numpy(render(frame, 2, text)) for text in (shipped(2), None))
    assert psnr(*pair, data_range=255) < 45


@pytest.mark.parametrize("r", range(2, 8))
def test_pass_reads_no_more_textures_than_players_allow(r: int) -> None:
    passes = re.split(r"\n\n(?=//!DESC)", shader(ESPCN(r), {}))[1:]
    assert len(passes) == 8 + 8 + -(-r * r // 4) + 1
    assert max(len(re.findall("^//!BIND", one, re.M)) for one in passes) <= 15  # OpenGL, in mpv


def test_comment_says_what_is_known_and_ends_nowhere_else() -> None:
    text = shader(
        load(2).network, {"degradation": "blur=0.5", "command": "x\n//!HOOK MAIN //!BIND"}
    )
    head = text.split("\n\n")[0].splitlines()
    assert "// degradation: blur=0.5" in head
    assert "// command: x // !HOOK MAIN // !BIND" in head
    assert all(line.startswith("// ") for line in head)
    assert "MAIN" not in text.split("\n\n", 1)[1]


@pytest.mark.usefixtures("placebo")
def test_command_says_how_the_file_was_checked(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a:b.glsl"
    done = call("export.py", "-r", "2", "--compression", "50", "-o", str(path))
    assert done.returncode == 0, done.stderr
    assert f"Written to {path} with weights video " in done.stdout
    assert done.stdout.endswith(f", checked by libplacebo in FFmpeg {version()}\n")
    assert "// degradation: videos like JPEGs of quality 50: weights video " in path.read_text()


def test_file_is_written_where_it_can_not_be_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "a.glsl"
    assert write(path, load(2).network, {}) == "not checked: FFmpeg is not installed"
    assert path.read_text() == shipped(2)


@pytest.mark.usefixtures("placebo")
def test_shader_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shader(ESPCN(2), {})
    for text, words in (
        (other, "must be at least 50 dB from PyTorch, but is .*: nothing written"),
        (shipped(2).replace("vec4 sum =", "vec4 sums ="), "but is .*: nothing written"),
        ("no passes", "libplacebo refuses the shader"),
    ):
        monkeypatch.setattr(glsl, "shader", lambda network, about, text=text: text)
        with pytest.raises(ValueError, match=words):
            write(tmp_path / "a.glsl", load(2).network, {})
    assert not list(tmp_path.iterdir())


def test_networks_that_no_player_can_run_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of luma for a .glsl file.*`channels` \(=3\): train one"):
        shader(ESPCN(2, channels=3), {})
    with pytest.raises(ValueError, match=r"`r` \(=8\) must be at most 7 for a .glsl file"):
        shader(ESPCN(8), {})


@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="mpv or Xvfb is not installed")
@pytest.mark.parametrize("output", ["gpu", "gpu-next"])
@pytest.mark.parametrize(("name", "black", "white"), [("LIMITED", 16, 235), ("FULL", 0, 255)])
def test_mpv_shows_the_same(output: str, name: str, black: int, white: int, tmp_path: Path) -> None:
    luma = photograph(full_range=name == "FULL")[0]
    shown = screen_of_mpv(tmp_path, luma, name, f"--vo={output}")
    expected = ((upscaled(2, luma) - float(black)) / (white - black) * 255).clip(0, 255)
    # The screen's 8 bits, and those of PyTorch's luma where they are stretched, are rounded.
    assert min(closeness(shown, expected)) >= 50
    assert np.abs(shown - expected).max() < 2


@pytest.mark.skipif(not all(map(shutil.which, PROGRAMS)), reason="mpv or Xvfb is not installed")
def test_mpv_shows_a_turned_video_turned(tmp_path: Path) -> None:
    luma = photograph(full_range=True)[0]
    shown = screen_of_mpv(tmp_path, luma, "FULL", "--vo=gpu", "--video-rotate=90")
    assert min(closeness(shown, upscaled(2, np.rot90(luma, -1).copy()))) >= 50


def screen_of_mpv(folder: Path, luma: np.ndarray, name: str, *options: str) -> np.ndarray:
    """Return what mpv shows of a grey video with the shader for factor 2, at that factor."""
    height, width = luma.shape
    grey = np.full(height * width // 2, 128, np.uint8)
    head = f"YUV4MPEG2 W{width} H{height} F25:1 C420jpeg XCOLORRANGE={name}\nFRAME\n"
    (folder / "clip.y4m").write_bytes(head.encode() + luma.tobytes() + grey.tobytes())
    (folder / "espcn.glsl").write_text(shipped(2))
    (folder / "screenshot.lua").write_text(SCREENSHOT)
    if "--video-rotate=90" in options:
        height, width = width, height
    done = subprocess.run(
        [
            *("xvfb-run", "--auto-servernum", "--server-args", DISPLAY, "mpv", "--no-config"),
            *("--gpu-api=opengl", "--gpu-sw", "--dither-depth=no", "--no-border", "--osc=no"),
            *(f"--geometry={2 * width}x{2 * height}", "--keep-open=yes", "--osd-level=0"),
            *("--script=screenshot.lua", "--glsl-shader=espcn.glsl", *options, "clip.y4m"),
        ],
        cwd=folder,
        env=os.environ | {"LIBGL_ALWAYS_SOFTWARE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    with Image.open(folder / "screen.png") as screen:
        colors = np.asarray(screen.convert("RGB"), float)
    assert colors.shape == (2 * height, 2 * width, 3)
    return colors[..., 1]
