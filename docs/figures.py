"""Draw the README's pictures, from photographs that scikit-image carries and a finished run.

python docs/figures.py                     those that need no run
python docs/figures.py outputs/DATE/TIME   all

opencv.png needs OpenCV's dnn_superres up to 5.0, and its own networks: $ESPCN_PEERS/opencv/*.pb
"""

import csv
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from PIL import Image

from espcn.data.datasets import load_set
from espcn.data.image_set import ImageSet
from espcn.evaluation.gallery import in_color
from espcn.evaluation.protocol import Reconstruction, Score, score_set
from espcn.export.export import export
from espcn.export.glsl import shader
from espcn.export.libplacebo import Unavailable, render
from espcn.export.page import published
from espcn.export.superres import reader
from espcn.imaging.color import from_ycbcr, to_channels, to_ycbcr
from espcn.imaging.degradation import BENCHMARK, Degradation
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import quantize
from espcn.imaging.resize import imresize
from espcn.network.strengths import Compression
from espcn.network.weights import load
from espcn.report.plots import plot_losses, save_figure
from espcn.upscaling.upscaler import Upscaler

HERE = Path(__file__).parent
R, PATCH, HALO = 3, 17, 4
BLUE, ORANGE = "#3b6ea5", "#d9822b"


def main() -> None:
    """Draw all that can be drawn."""
    images = load_set("skimage-test")
    draw_data(images.images[0])
    draw_network()
    draw_before_after(images)
    draw_compressed(images)
    if "ESPCN_PEERS" in os.environ:
        draw_opencv(images)
    try:
        draw_shader(images)
    except Unavailable as error:
        print(f"shader.png is left as it is: {error}")
    if shutil.which("chromium") and shutil.which("chromedriver"):
        draw_page(images)
    if len(sys.argv) != 2:
        return
    run = Path(sys.argv[1])
    network = load(ckpt=run).network
    with (run / "epochs.csv").open(newline="") as file:
        rows: list[dict[str, Any]] = [
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
        ]
    plot_losses(rows, HERE / "training.png", "The default run: loss of each epoch")
    scored = {
        score.name: (score, done) for score, done in score_set(network, images, with_ssim=True)
    }
    draw_metrics(*scored["chelsea.png"])


def draw_data(pixels: np.ndarray) -> None:
    """Show a photograph, its low-resolution picture, and one patch with its target."""
    high = crop_to_multiple(to_channels(pixels, 1), R)
    low = BENCHMARK(high, R)
    top, left = 22, 62  # an eye
    context = low[0, top - HALO : top + PATCH + HALO, left - HALO : left + PATCH + HALO]
    target = high[0, top * R : (top + PATCH) * R, left * R : (left + PATCH) * R]
    figure = Figure(figsize=(11, 3.1))
    axes = figure.subplots(1, 4, width_ratios=[1.25, 1.25, 1, 1])
    titles = (
        "photograph (luma)",
        "degraded: blur, downsample, 8 bits",
        f"patch {PATCH}x{PATCH} in its {HALO}-pixel halo",
        f"target {PATCH * R}x{PATCH * R}",
    )
    for axis, picture, title in zip(axes, (high[0], low[0], context, target), titles, strict=True):
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    for axis, scale in ((axes[0], R), (axes[1], 1)):
        box = Rectangle((left * scale, top * scale), PATCH * scale, PATCH * scale)
        box.set(fill=False, edgecolor=ORANGE, linewidth=1.5)
        axis.add_patch(box)
    inner = Rectangle((HALO - 0.5, HALO - 0.5), PATCH, PATCH)
    inner.set(fill=False, edgecolor=ORANGE, linewidth=1.5)
    axes[2].add_patch(inner)
    save_figure(figure, HERE / "data.png")


def draw_network() -> None:
    """Show the layers as boxes, the shuffle as the coloured cells that it lays out."""
    figure = Figure(figsize=(11, 2.6))
    axis = figure.subplots()
    axis.set(xlim=(0, 11), ylim=(0, 2.6))
    axis.set_axis_off()
    layers = [
        (0.1, "luma\nh x w x 1", "white"),
        (1.8, "conv 5x5, tanh\nh x w x 64", "#dbe7f3"),
        (3.9, "conv 3x3, tanh\nh x w x 32", "#dbe7f3"),
        (6.0, "conv 3x3\nh x w x r²", "#dbe7f3"),
    ]
    for left, text, color in layers:
        width = 1.2 if left < 1 else 1.6
        box = FancyBboxPatch((left, 0.8), width, 1, boxstyle="round,pad=0.05")
        box.set(facecolor=color, edgecolor=BLUE)
        axis.add_patch(box)
        axis.text(left + width / 2, 1.3, text, ha="center", va="center", fontsize=9)
    for start, end in ((1.38, 1.72), (3.48, 3.82), (5.58, 5.92), (7.68, 8.1)):
        axis.add_patch(
            FancyArrowPatch((start, 1.3), (end, 1.3), arrowstyle="-|>", mutation_scale=12)
        )
    colors = [f"C{i}" for i in range(9)]
    for row in range(6):
        for column in range(6):
            cell = Rectangle((8.2 + column * 0.25, 0.55 + (5 - row) * 0.25), 0.25, 0.25)
            cell.set(facecolor=colors[row % 3 * 3 + column % 3], edgecolor="white")
            axis.add_patch(cell)
    axis.text(8.95, 2.2, "periodic shuffle", ha="center", fontsize=9)
    axis.text(8.95, 0.28, "r h x r w x 1", ha="center", fontsize=9)
    axis.text(9.9, 1.3, "each colour is\none of the r²\nchannels", va="center", fontsize=8)
    save_figure(figure, HERE / "network.png")


def draw_metrics(score: Score, done: Reconstruction) -> None:
    """Show one detail, the figures of the whole picture, and where the errors are."""
    figure = Figure(figsize=(11, 3.8))
    axes = figure.subplots(2, 4)
    window = (slice(60, 150), slice(150, 285))
    low = done.low.repeat_interleave(R, 0).repeat_interleave(R, 1)
    columns = [
        ("low resolution", low),
        (f"bicubic {score.bicubic_psnr:.2f} dB, SSIM {score.bicubic_ssim:.3f}", done.bicubic),
        (f"ESPCN {score.psnr:.2f} dB, SSIM {score.ssim:.3f}", done.output),
        ("original", done.original),
    ]
    for axis, (title, picture) in zip(axes[0], columns, strict=True):
        axis.imshow(picture[window], cmap="gray", vmin=0, vmax=255)
        axis.set_title(title, fontsize=9)
    for axis, (_, picture) in zip(axes[1, :3], columns[:3], strict=True):
        error = (picture - done.original).abs()
        shown = axis.imshow(error[window], cmap="magma", vmin=0, vmax=40)
    for axis in axes.flat:
        axis.set_axis_off()
    axes[1, 0].set_title("error, in grey levels", fontsize=9)
    figure.colorbar(shown, ax=axes[1, 3], location="left", fraction=0.1)
    save_figure(figure, HERE / "metrics.png")


def draw_before_after(images: ImageSet) -> None:
    """Show details of photographs at a third of their size, and what the shipped weights make."""
    network = load(R).network
    details = {"astronaut.png": (20, 180), "chelsea.png": (50, 130), "coffee.png": (150, 260)}
    size = 126
    figure = Figure(figsize=(9.6, 9.9))
    axes = figure.subplots(3, 3, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    done = {one.name: made for one, made in score_set(network, images, in_color=True)}
    for row, (name, (top, left)) in zip(axes, details.items(), strict=True):
        versions = in_color(done[name])
        versions["low"] = versions["low"].repeat_interleave(R, -2).repeat_interleave(R, -1)
        for axis, kind in zip(row, ("low", "bicubic", "espcn"), strict=True):
            picture = versions[kind].double().round().clamp(0, 255).to(torch.uint8)
            axis.imshow(picture[:, top : top + size, left : left + size].permute(1, 2, 0))
            axis.set_axis_off()
    for axis, title in zip(axes[0], ("source pixels", "bicubic", "ESPCN"), strict=True):
        axis.set_title(title, fontsize=11)
    save_figure(figure, HERE / "before_after.png")


def draw_compressed(images: ImageSet) -> None:
    """Show details of compressed pictures and of a video's frame, and what is made of them."""
    r, size = 2, 110
    plain = Upscaler(r)
    sources = {
        "JPEG of quality 60": ("astronaut.png", (20, 180), Degradation(jpeg=60), "jpeg", 60.0),
        "JPEG of quality 30": ("chelsea.png", (60, 150), Degradation(jpeg=30), "jpeg", 30.0),
        # Of so short an excerpt x264's quantisers are about 6 above its CRF.
        "a frame of H.264, CRF 28": ("coffee.png", (150, 260), Degradation(h264=28), "h264", 34.0),
    }
    figure = Figure(figsize=(9.6, 7.4))
    axes = figure.subplots(3, 4, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    for row, (title, (name, (top, left), degradation, codec, number)) in zip(
        axes, sources.items(), strict=True
    ):
        pixels = images.images[images.names.index(name)]
        low = degradation(crop_to_multiple(to_channels(pixels, 3), r), r)
        small = low.permute(1, 2, 0).numpy()
        bicubic = quantize(imresize(low.double(), r * low.shape[1], r * low.shape[2]))
        suited = plain.suited_to(Compression(codec, number))
        versions = (
            small.repeat(r, 0).repeat(r, 1),
            bicubic.to(torch.uint8).permute(1, 2, 0).numpy(),
            plain(small),
            suited(small),
        )
        for axis, version in zip(row, versions, strict=True):
            axis.imshow(version[top : top + size, left : left + size])
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(title, fontsize=9)
    titles = ("source pixels", "bicubic", "clean weights", "matching weights")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=10)
    save_figure(figure, HERE / "compressed.png")


def draw_opencv(images: ImageSet) -> None:
    """Show what OpenCV's own ESPCN and ours make of a detail, by the same calls of dnn_superres."""
    top, left, size, name = 60, 150, 100, f"ESPCN_x{R}.pb"
    original = crop_to_multiple(to_channels(images.images[images.names.index("chelsea.png")], 3), R)
    low = BENCHMARK(original, R).permute(1, 2, 0).numpy()
    versions = {"source pixels": low.repeat(R, 0).repeat(R, 1)}
    with tempfile.TemporaryDirectory() as folder:
        theirs = Path(os.environ["ESPCN_PEERS"]) / "opencv" / name
        ours = export(R, output=f"{folder}/{name}").path
        for title, path in (("OpenCV's own file", theirs), ("the file of export.py", ours)):
            large = reader(path, R).upsample(np.ascontiguousarray(low[..., ::-1]))
            versions[title] = large[..., ::-1]
    versions["original"] = original.permute(1, 2, 0).numpy()
    figure = Figure(figsize=(8.8, 2.4))
    axes = figure.subplots(1, 4, gridspec_kw={"wspace": 0.03})
    for axis, (title, version) in zip(axes, versions.items(), strict=True):
        axis.imshow(version[top : top + size, left : left + size])
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    save_figure(figure, HERE / "opencv.png")


def draw_shader(images: ImageSet) -> None:
    """Show details of frames that libplacebo enlarged, by itself and with the user shader."""
    text = shader(load(R).network, {})
    details = {"astronaut.png": (20, 180), "coffee.png": (150, 260)}
    size = 126
    figure = Figure(figsize=(5.5, 3.8))
    axes = figure.subplots(2, 3, gridspec_kw={"wspace": 0.03, "hspace": 0.03})
    for row, (name, (top, left)) in zip(axes, details.items(), strict=True):
        pixels = images.images[images.names.index(name)]
        low = BENCHMARK(crop_to_multiple(to_channels(pixels, 3), R), R)
        frame = to_ycbcr(low).round().to(torch.uint8).numpy()
        versions = [low.repeat_interleave(R, -2).repeat_interleave(R, -1)]
        versions += [from_ycbcr(torch.from_numpy(render(frame, R, one))) for one in (None, text)]
        for axis, version in zip(row, versions, strict=True):
            picture = quantize(version.double()).to(torch.uint8)
            axis.imshow(picture[:, top : top + size, left : left + size].permute(1, 2, 0))
            axis.set_axis_off()
    titles = ("the frame", "libplacebo", "with espcn_x3.glsl")
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    save_figure(figure, HERE / "shader.png")


def draw_page(images: ImageSet) -> None:
    """Show the page in Chromium, with a JPEG at twice its size."""
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    pixels = images.images[images.names.index("astronaut.png")]
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(option)
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    with (
        tempfile.TemporaryDirectory() as folder,
        webdriver.Chrome(options, service) as browser,
    ):
        page, photo = Path(folder, "page.html"), Path(folder, "photo.jpg")
        page.write_text(published(), encoding="utf-8")
        Image.fromarray(pixels[10:180, 90:390]).save(photo, quality=75)
        size = {"width": 900, "height": 920, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"{page.as_uri()}#plain")
        browser.find_element("id", "file").send_keys(str(photo))
        saved = browser.find_element("id", "download")
        WebDriverWait(browser, 120).until(lambda _: saved.is_displayed())
        with Image.open(io.BytesIO(browser.get_screenshot_as_png())) as shot:
            shot.convert("RGB").save(HERE / "page.jpg", quality=88)


if __name__ == "__main__":
    with torch.no_grad():
        main()
