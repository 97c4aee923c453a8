"""The files for OpenCV's dnn_superres: read back as its users do, and by other programs."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from espcn.data.datasets import load_set
from espcn.data.image_set import ImageSet
from espcn.evaluation.protocol import score_mean, super_resolve
from espcn.export import superres
from espcn.export.export import export
from espcn.imaging.color import luma, to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import crop_border, psnr
from espcn.network.model import ESPCN
from espcn.network.weights import load
from helpers import write_checkpoint

try:
    import cv2
except ImportError:
    cv2 = None
HAS_SUPERRES = hasattr(cv2, "dnn_superres")
needs_superres = pytest.mark.skipif(not HAS_SUPERRES, reason="needs OpenCV's dnn_superres")
READS_PB = HAS_SUPERRES and hasattr(cv2.dnn, "readNetFromTensorflow")
ENDING, OTHER = (".pb", ".opencv.onnx")[:: 1 if READS_PB else -1]


def reader(path: Path, r: int) -> Any:
    upscaler = cv2.dnn_superres.DnnSuperResImpl_create()
    upscaler.readModel(str(path))
    upscaler.setModel("espcn", r)
    return upscaler


def upscale_photographs(path: Path, r: int, images: ImageSet) -> list[tuple[torch.Tensor, ...]]:
    """Return the original, the low-resolution picture, and what OpenCV makes of it, in colours."""
    upscaler, made = reader(path, r), []
    for pixels in images.images:
        original = crop_to_multiple(to_channels(pixels, 3), r)
        low = BENCHMARK(original, r)
        bgr = np.ascontiguousarray(low.permute(1, 2, 0).numpy()[..., ::-1])
        rgb = np.ascontiguousarray(upscaler.upsample(bgr)[..., ::-1])
        made.append((original, low, torch.from_numpy(rgb).permute(2, 0, 1)))
    return made


@needs_superres
@pytest.mark.skipif("ESPCN_DATA" not in os.environ, reason="needs Set5")
@pytest.mark.parametrize(("r", "least"), [(2, 37.05), (3, 33.12), (4, 30.85)])
def test_opencv_scores_on_set5_as_pytorch_does(r: int, least: float, tmp_path: Path) -> None:
    path, check, _ = export(r, output=str(tmp_path / f"ESPCN_x{r}{ENDING}"))
    assert check == f"checked by OpenCV {cv2.__version__}"
    images = load_set("Set5", download=False)
    figures = [
        psnr(crop_border(luma(large), r), crop_border(luma(original), r), data_range=255)
        for original, _, large in upscale_photographs(path, r, images)
    ]
    mean = float(np.mean(figures))
    print(f"OpenCV {cv2.__version__}, {ENDING}: Set5 x{r} {mean:.2f} dB")
    assert mean >= least
    assert mean == pytest.approx(score_mean(load(r).network, images).psnr, abs=0.1)


@needs_superres
@pytest.mark.parametrize("r", [2, 3, 4])
def test_luma_of_photographs_is_pytorchs_but_for_rounding(r: int, tmp_path: Path) -> None:
    path, *_ = export(r, output=str(tmp_path / f"net{ENDING}"))
    for _, low, large in upscale_photographs(path, r, load_set("skimage-test")):
        wanted = super_resolve(load(r).network, luma(low).to(torch.uint8))
        difference = (luma(large) - wanted).abs()
        # OpenCV rounds luma before the network, and colours after it: half a level, more where a
        # colour is clipped, at the border as anywhere.
        assert difference.mean() < 0.6
        border = torch.cat([difference[..., :r, :].flatten(), difference[..., :, -r:].flatten()])
        assert border.mean() < 0.6


@needs_superres
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_grey_pictures_of_any_size_are_pytorchs_rounded(activation: str, tmp_path: Path) -> None:
    ckpt = write_checkpoint(
        tmp_path / "a.ckpt", ESPCN(3, activation=activation), activation=activation
    )
    upscaler = reader(export(ckpt=str(ckpt), output=str(tmp_path / f"net{ENDING}")).path, 3)
    for size in ((1, 1), (3, 2), (40, 51), (9, 1)):
        grey = torch.randint(256, size, dtype=torch.uint8)
        with torch.no_grad():
            studio = (grey[None, None] / 255 * 219 + 16) / 255
            large = load(ckpt=ckpt).network(studio)[0, 0]
        wanted = ((large * 255 - 16) / 219 * 255).clamp(0, 255)
        np.testing.assert_allclose(upscaler.upsample(grey.numpy()), wanted, rtol=0, atol=0.51)


@pytest.mark.parametrize("r", [2, 3, 4])
def test_onnx_takes_full_range_and_channels_last(r: int, tmp_path: Path) -> None:
    path, *_ = export(r, output=str(tmp_path / "net.opencv.onnx"))
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    grey = torch.rand(1, 12, 25, 1)
    with torch.no_grad():
        large = load(r).network(grey.permute(0, 3, 1, 2) * 219 / 255 + 16 / 255)
    (got,) = session.run(None, {"luma": grey.numpy()})
    np.testing.assert_allclose(got, (large - 16 / 255) / 219 * 255, rtol=0, atol=1e-5)
    about = {one.key: one.value for one in onnx.load(path).metadata_props}
    assert about["range"].startswith("0..1, luma of full range")
    assert not [name for name, text in about.items() if "studio" in text]
    assert about["licence"] == "MIT"


def test_other_networks_are_refused(tmp_path: Path) -> None:
    for network, changes, words in (
        (ESPCN(3, channels=3), {"channels": 3}, "`channels` (=3) and"),
        (ESPCN(3, padding="zeros"), {"padding": "zeros"}, "`padding` (=zeros) of the network must"),
        (ESPCN(5), {"r": 5}, "`r` (=5) must be 2, 3 or 4"),
    ):
        ckpt = write_checkpoint(tmp_path / "a.ckpt", network, **changes)
        with pytest.raises(ValueError, match=re.escape(words)):
            export(ckpt=str(ckpt), output=str(tmp_path / "net.pb"))
        assert not list(tmp_path.glob("*net*"))


@needs_superres
def test_file_that_opencv_reads_otherwise_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = str(tmp_path / f"net{ENDING}")
    with monkeypatch.context() as patch:
        patch.setattr(superres, "full_range", lambda network: network.folded())
        with pytest.raises(ValueError, match=r"OpenCV .* differs from PyTorch by .* levels"):
            export(3, output=output)
    monkeypatch.setattr(superres, "graph_def" if READS_PB else "_onnx", lambda *given: b"no graph")
    with pytest.raises(ValueError, match=r"OpenCV .* can't run it, nothing written"):
        export(3, output=output)
    assert not list(tmp_path.iterdir())


@needs_superres
def test_format_of_other_versions_is_written_and_said_to_be_unchecked(tmp_path: Path) -> None:
    path, check, _ = export(3, output=str(tmp_path / f"net{OTHER}"))
    version = cv2.__version__
    reads = f"not checked: the dnn_superres of this OpenCV {version} reads {ENDING} instead"
    assert (path.exists(), check) == (True, reads)


def test_without_opencv_or_its_module_it_is_said_to_be_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cv2 is not None:
        monkeypatch.delattr(cv2, "dnn_superres", raising=False)
        check = export(3, output=str(tmp_path / "net.pb")).check
        assert check.startswith(f"not checked: this OpenCV {cv2.__version__} has no dnn_superres")
    monkeypatch.setattr(superres, "find_spec", lambda name: None)
    path, check, _ = export(3, output=str(tmp_path / "net.pb"))
    assert (path.exists(), check) == (True, "not checked: OpenCV is not installed")
