"""The site's front page: sliders over real results, and a page to try it on one's own pictures."""

import io
import re
from typing import Any

import numpy as np
import torch
from mkdocs.structure.files import File, Files
from PIL import Image

from espcn.data.datasets import load_set
from espcn.export.page import published
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import quantize
from espcn.imaging.resize import imresize
from espcn.report.pages.rendering import asset
from espcn.upscaling.upscaler import Upscaler

TRY = "try.html"
R, HEIGHT, WIDTH = 3, 210, 315  # of the details, in pixels
# Photographs that scikit-image carries, and where their details begin.
DETAILS = {"astronaut": (0, 79), "chelsea": (45, 111), "coffee": (90, 210)}
SLIDER = """<div class="pane">
<img class="layer" src="{before}" alt="{name}, by bicubic interpolation" draggable="false">
<img class="layer after" src="{after}" alt="{name}, by ESPCN" draggable="false">
<span class="tag">bicubic</span><span class="tag after">ESPCN</span>
<input class="divider" type="range" value="50" aria-label="Divider between bicubic and ESPCN"
oninput="this.parentNode.style.setProperty('--at', this.value + '%')">
</div>"""
STYLE = f"""
.sliders {{ display: grid; gap: 0.8rem; }}
.sliders {{ grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); }}
.sliders .pane:first-child {{ grid-column: 1 / -1; }}
.sliders .pane {{ aspect-ratio: {WIDTH} / {HEIGHT}; }}
.sliders .layer {{ width: 100%; height: 100%; max-width: none; }}
"""


def on_files(files: Files, config: Any) -> Files:
    """Add the page to try, and the pictures of the sliders.

    Args:
        files: The files of docs/.
        config: The site's configuration.

    Returns:
        All files of the site.
    """
    files.append(File.generated(config, TRY, content=published()))
    for name, content in _pictures().items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    """Put sliders in place of the front page's picture, and lead to the page that can be tried.

    Args:
        markdown: A page.
        page: What MkDocs knows of it.
        **kwargs: Unused.

    Returns:
        The page.
    """
    if page.file.src_uri == "export.md":
        return markdown.replace(f"`{TRY}`", f"[`{TRY}`]({TRY})")
    if page.file.src_uri != "index.md":
        return markdown
    sliders = [
        SLIDER.format(name=name, before=_path(name, "bicubic"), after=_path(name, "espcn"))
        for name in DETAILS
    ]
    style = asset("divider.css") + STYLE
    block = "\n".join([f"<style>\n{style}</style>", '<div class="sliders">', *sliders, "</div>"])
    markdown = re.sub(r"!\[[^]]*\]\((docs/)?before_after\.png\)", lambda _: block, markdown)
    return re.sub(r"\((docs/)?export\.md#a-page-for-browsers\)", f"({TRY})", markdown, count=1)


def _path(name: str, way: str) -> str:
    return f"front/{name}_{way}.png"


@torch.no_grad()
def _pictures() -> dict[str, bytes]:
    """Return PNGs of the details, made a third as large and then upscaled, by path."""
    images, upscale = load_set("skimage-test"), Upscaler(R, engine="torch", precision="float32")
    made = {}
    for name, (top, left) in DETAILS.items():
        original = crop_to_multiple(
            to_channels(images.images[images.names.index(f"{name}.png")], 3), R
        )
        low = BENCHMARK(original, R)
        bicubic = quantize(imresize(low.double(), *original.shape[1:])).to(torch.uint8)
        ways = {
            "bicubic": bicubic.permute(1, 2, 0).numpy(),
            "espcn": upscale(np.ascontiguousarray(low.permute(1, 2, 0).numpy())),
        }
        for way, pixels in ways.items():
            file = io.BytesIO()
            Image.fromarray(pixels[top : top + HEIGHT, left : left + WIDTH]).save(file, "PNG")
            made[_path(name, way)] = file.getvalue()
    return made
