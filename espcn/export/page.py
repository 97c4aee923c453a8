"""The network as one HTML file that upscales in the visitor's browser, without any server.

Its sources are in `web/`: `work/` runs in a worker, with WebGPU, WebGL2 or plain JavaScript, and
`page/` is the user interface. They are assembled here, with the weights as half floats.
"""

import base64
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import torch

from espcn import __version__
from espcn.export.formats import check_network
from espcn.imaging import jpeg_traces
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.levels import luma_levels
from espcn.io.atomic import write_text
from espcn.network.engine import CENTER
from espcn.network.model import ESPCN
from espcn.network.strengths import Compression, levels, links
from espcn.network.weights import factors, load
from espcn.report.pages.rendering import asset

SOURCES = Path(__file__).parent / "web"
# In the order of the page: each may use what stands before it.
WORK = ("layers", "plain", "webgl", "webgpu", "engines", "bleed", "source", "png", "worker")
PAGE = ("networks", "strength", "header", "threads", "viewer", "picture", "video", "check", "app")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PATIENCE = 60  # seconds that a browser has for the check
TOLERANCE = 1.0  # grey levels of luma
LEAD = "Makes pictures and videos {} times as large, sharper than a viewer's zoom."
TIMES = {2: "two", 3: "three", 4: "four"}

Networks = dict[int, dict[str, ESPCN]]


def write(path: Path, network: ESPCN, about: Mapping[str, str]) -> str:
    """Write a page, after checking that a browser agrees with PyTorch, if one is installed.

    Args:
        path: The file.
        network: A luma network that replicates the border.
        about: Text by name, stored in the page as JSON; the page displays `degradation` and
            `source`.

    Returns:
        "checked by Chromium" with its version; or why it was not checked.

    Raises:
        ValueError: The network is of another kind, or the browser differs by more than `TOLERANCE`.
    """
    check_network(network, "a page")
    clean = about["degradation"] == str(BENCHMARK)
    content = _page(
        {network.r: {"clean": network}},
        f"ESPCN \N{MULTIPLICATION SIGN}{network.r}",
        LEAD.format(TIMES.get(network.r, network.r)),
        f"Weights for {'clean pictures' if clean else about['degradation']}; {about['source']}.",
        {"about": dict(about)},
    )
    said = _check(content, network)
    write_text(path, content)
    return said


def published() -> str:
    """Return the page with all shipped factors and strengths to choose from.

    Returns:
        The file's content, which is not checked.
    """
    networks = {
        r: {name: load(r, path).network for name, path in links(r).items() if name != "finer1"}
        for r in factors()
    }  # the chains begin with the clean weights, which serve clean pictures nearly as well
    calibration = {
        "levels": {codec: levels()[codec] for codec in ("jpeg", "h264")},
        "equalLoss": [
            (quality, Compression("jpeg", quality).in_video().number)
            for quality, _ in jpeg_traces.EQUAL_LOSS
        ],
        "jpeg": {
            "luma": jpeg_traces.STANDARD_LUMA.ravel().tolist(),
            "lowest": jpeg_traces.LOWEST,
            "fall": jpeg_traces.FALL,
        },
    }
    return _page(
        networks,
        "ESPCN in your browser",
        LEAD.format("two, three or four"),
        "Weights for clean pictures, JPEGs and videos; Shi et al., CVPR 2016, arXiv 1609.05158.",
        calibration,
    )


def _page(networks: Networks, title: str, lead: str, source: str, data: dict[str, Any]) -> str:
    """Assemble the page.

    Args:
        networks: By factor and name, all with the same activation; the first of each factor is
            `clean`.
        title: Its heading.
        lead: A sentence describing it.
        source: The purpose and origin of its weights.
        data: Further data for its scripts.
    """
    activation = next(iter(networks[next(iter(networks))].values())).activation
    carried = data | {
        "activation": activation,
        "factors": {r: list(named) for r, named in networks.items()},
        "weights": _packed(networks),
    }
    return Template(_text("page.html")).substitute(
        title=html.escape(title),
        lead=html.escape(lead),
        source=html.escape(source),
        version=__version__,
        style=_text("style.css") + asset("divider.css"),
        data=json.dumps(carried, separators=(",", ":")).replace("<", "\\u003c"),
        work="\n".join(_text(f"work/{name}.js") for name in WORK),
        page="\n".join(_text(f"page/{name}.js") for name in PAGE),
    )


def _text(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")


def _packed(networks: Networks) -> str:
    """Return weights as half floats, deflated, in base64.

    They map grey levels around CENTER. Each link of a chain is stored as its difference from the
    previous link, in the order of the half floats. High bytes come before low bytes, because they
    resemble each other. For the shipped weights this saves a sixth, without loss.
    """
    numbers = []
    for named in networks.values():
        halves = {name: _halves(network) for name, network in named.items()}
        for name, own in halves.items():
            chain, number = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz")
            before = f"{chain}{int(number) - 1}" if int(number or 1) > 1 else "clean"
            numbers.append(own if name == "clean" else own - halves[before])
    planes = np.concatenate(numbers).astype(">u2").view(np.uint8).reshape(-1, 2).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()


def _halves(network: ESPCN) -> np.ndarray:
    """Return the bits of all weights as half floats, uint16."""
    folded = network.folded(CENTER / 255, 255.0, torch.float64)
    numbers = torch.cat([value.flatten() for value in folded.state_dict().values()])
    return numbers.numpy().astype(np.float16).view(np.uint16)


def _check(content: str, network: ESPCN) -> str:
    """Compare a browser's luma of a small picture with PyTorch's; return which browser did it."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        return "not checked: neither Chromium nor Chrome is installed"
    options = ["--headless", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--no-sandbox")  # as root it does not start with one
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        file.write_text(content, encoding="utf-8")
        options += [f"--user-data-dir={folder}/user", "--dump-dom"]
        command = [browser, *options, f"{file.as_uri()}#check"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return f"not checked: {browser} did not answer within {PATIENCE} s"
        except OSError as error:
            return f"not checked: {browser} did not start ({error.strerror})"
    report = re.search(r'<pre id="check">(.*?)</pre>', done.stdout)
    if report is None:
        return f"not checked: {browser} did not run it"
    results = json.loads(html.unescape(report[1]))
    version = results.pop("version")
    for engine, pixels in results.items():
        worst = _difference(base64.b64decode(pixels), network)
        if not worst <= TOLERANCE:  # also where it is no number
            raise ValueError(
                f"{version} ({engine}) differs from PyTorch by {worst:.2f} grey levels: nothing "
                "written"
            )
    return f"checked by {version} ({', '.join(results)})"


def _difference(pixels: bytes, network: ESPCN) -> float:
    """Return the difference from the network's luma, for the picture of `testPicture`."""
    y, x, c = np.mgrid[:22, :31, :3]
    small = torch.from_numpy(64 + (7 * x + 13 * y + 29 * c + 5 * (x * y % 17)) % 128)
    known = luma_levels(small.permute(2, 0, 1).float(), whole=False)
    with torch.no_grad():
        expected = network(known[None] / 255)[0] * 255
    r = network.r
    large = torch.frombuffer(bytearray(pixels), dtype=torch.uint8).view(22 * r, 31 * r, 4)
    got = luma_levels(large[..., :3].permute(2, 0, 1).float(), whole=False)
    return float((got - expected).abs().max())
