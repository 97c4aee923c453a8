"""The ONNX file: what PyTorch gives, in ONNX Runtime and in OpenCV, at every size."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from espcn.export import onnx as exporting
from espcn.export.export import export
from espcn.network.model import ESPCN
from espcn.network.onnx_graph import onnx_model
from espcn.network.weights import load
from helpers import ROOT


@pytest.mark.parametrize("r", [2, 3, 4])
def test_export_gives_what_pytorch_gives_at_odd_sizes(r: int, tmp_path: Path) -> None:
    path, check, _ = export(r, output=str(tmp_path / "net.onnx"))
    assert check == f"checked by ONNX Runtime {onnxruntime.__version__}"
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for batch, height, width in ((1, 1, 1), (1, 33, 7), (3, 12, 25)):
        picture = torch.rand(batch, 1, height, width)
        with torch.no_grad():
            expected = load(r)[0](picture).numpy()
        (got,) = session.run(["upscaled"], {"luma": picture.numpy()})
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_metadata_say_what_is_needed_to_use_it(tmp_path: Path) -> None:
    model = onnx.load(export(3, output=str(tmp_path / "net.onnx")).path)
    about = {one.key: one.value for one in model.metadata_props}
    assert about["factor"] == "3"
    assert about["licence"] == "MIT"
    assert about["range"].startswith("0..1, luma")
    assert "(batch, channels, height, width)" in about["layout"]
    assert "python train.py experiment=best_x3" in about["source"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_every_network_is_exported(channels: int, padding: str, activation: str) -> None:
    network = ESPCN(3, channels=channels, padding=padding, activation=activation)
    picture = torch.rand(2, channels, 9, 14)
    with torch.no_grad():
        expected = network(picture).numpy()
    session = onnxruntime.InferenceSession(onnx_model(network).SerializeToString())
    (got,) = session.run(None, {"luma" if channels == 1 else "rgb": picture.numpy()})
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_opencv_runs_the_file(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    network = cv2.dnn.readNetFromONNX(str(export(3, output=str(tmp_path / "net.onnx")).path))
    for shape in ((1, 1, 20, 31), (1, 1, 9, 8)):
        picture = torch.rand(*shape)
        with torch.no_grad():
            expected = load(3)[0](picture).numpy()
        network.setInput(picture.numpy())
        np.testing.assert_allclose(network.forward(), expected, rtol=0, atol=1e-5)


def test_openvino_takes_frames_as_dnn_processing_gives_them(tmp_path: Path) -> None:
    """What FFmpeg asks of OpenVINO: bytes, channels last, a network changed to the frame's size."""
    openvino = pytest.importorskip("openvino")
    from openvino.preprocess import PrePostProcessor

    (tool,) = re.findall(r"(?m)^    (ovc .*)", (ROOT / "docs/export.md").read_text())
    export(2, output=str(tmp_path / "espcn_x2.onnx"))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(shlex.split(tool), cwd=tmp_path, env=environment, check=True, timeout=120)
    core = openvino.Core()
    model = core.read_model(tmp_path / "espcn_x2.xml")
    model.reshape({"luma": [1, 1, 20, 31]})
    steps = PrePostProcessor(model)
    steps.input("luma").tensor().set_layout(openvino.Layout("NHWC"))
    steps.input("luma").tensor().set_element_type(openvino.Type.u8)
    steps.input("luma").model().set_layout(openvino.Layout("NCHW"))
    steps.input("luma").preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    precise = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(steps.build(), "CPU", precise)
    luma = torch.randint(16, 236, (1, 1, 20, 31))
    with torch.no_grad():
        expected = load(2).network(luma / 255).numpy()
    got = compiled(luma.numpy().astype(np.uint8).reshape(1, 20, 31, 1))["upscaled"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_file_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = onnx_model(ESPCN(3))
    monkeypatch.setattr(exporting, "onnx_model", lambda network: other)
    with pytest.raises(ValueError, match="ONNX Runtime differs from PyTorch by"):
        export(3, output=str(tmp_path / "net.onnx"))
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)  # as if it were not installed
    words = "an .onnx file needs onnx, not installed: `pip install onnx`"
    with pytest.raises(ValueError, match=words):
        export(3, output=str(tmp_path / "net.onnx"))


def test_file_is_written_unchecked_where_onnx_runtime_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = onnx.load(export(3, output=str(tmp_path / "net.onnx")).path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    path, check, _ = export(3, output=str(tmp_path / "net.onnx"))
    assert check == "not checked: ONNX Runtime is not installed"
    assert onnx.load(path).graph == checked.graph
