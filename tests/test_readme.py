"""The Python and the commands of the documentation, run as they stand."""

import re
import textwrap
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from espcn.export.export import export
from espcn.network.weights import load
from helpers import ROOT, write_clip


def blocks() -> list[str]:
    """Return the indented blocks of README.md and docs/ that begin with an import."""
    text = "\n".join(path.read_text() for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
    found = re.findall(r"(?m)(?:^    .*\n|^\n(?=    ))+", text)
    python = [textwrap.dedent(block).strip() for block in found]
    return [block for block in python if block.startswith(("import ", "from "))]


def test_array_is_upscaled_as_the_pages_say() -> None:
    found = [block for block in blocks() if "(picture)" in block]
    assert len(found) == 3
    for block in found:
        names: dict[str, np.ndarray] = {"picture": np.full((9, 8, 3), 99, np.uint8)}
        exec(block, names)
        assert names["large"].shape == (27, 24, 3)


def test_video_is_upscaled_as_the_pages_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [block for block in blocks() if "upscale_video" in block]
    monkeypatch.chdir(tmp_path)
    write_clip(Path("holiday.mp4"), 3)
    exec(block, {})
    with av.open("holiday_x2.mp4") as made, av.open("holiday.mp4") as source:
        width = made.streams.video[0].width
        assert width == 2 * source.streams.video[0].width


def test_file_runs_in_onnx_runtime_and_opencv(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = [block for block in blocks() if "readNetFromONNX" in block]
    with Image.open(pictures / "color0.png") as photo:
        photo.crop((0, 0, 51, 40)).save(tmp_path / "photo.png")
        small = np.asarray(photo.crop((0, 0, 51, 40))).astype(np.float64)
    export(3, output=str(tmp_path / "espcn_x3.onnx"))
    monkeypatch.chdir(tmp_path)
    made = []
    for other in ("network =", "session ="):  # either half, without the other
        half = re.sub(rf"(?s){other}.*?(?=\n\n|$)", "", block)
        names: dict[str, np.ndarray] = {}
        exec(half, names)
        made.append(names["large"])
    luma = (small @ [65.481, 128.553, 24.966] / 255 + 16) / 255
    with torch.no_grad():
        wanted = load(3).network(torch.from_numpy(luma)[None, None].float())[0, 0].numpy()
    for large in made:
        np.testing.assert_allclose(large[0, 0], wanted, rtol=0, atol=1e-4)


def test_opencvs_own_code_runs_with_our_file(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "dnn_superres"):
        pytest.skip("this OpenCV has no dnn_superres")
    (block,) = [block for block in blocks() if "dnn_superres" in block]
    if not hasattr(cv2.dnn, "readNetFromTensorflow"):
        block = block.replace("ESPCN_x3.pb", "ESPCN_x3.opencv.onnx")  # as the page says
    for ending in (".pb", ".opencv.onnx"):
        export(3, output=str(tmp_path / f"ESPCN_x3{ending}"))
    (tmp_path / "photo.png").write_bytes((pictures / "color0.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    names: dict[str, np.ndarray] = {}
    exec(block, names)
    assert names["large"].shape == (288, 288, 3)
