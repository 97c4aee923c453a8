"""Engines: all give what PyTorch gives in float32, to the precision that was asked for."""

import importlib.util
import os
import shutil

import numpy as np
import pytest
import torch

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import Degradation
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import crop_border, psnr
from espcn.imaging.shuffle import SYMMETRIES, flip, shuffle
from espcn.network import backends
from espcn.network import engine as engine_module
from espcn.network.backends import BACKENDS
from espcn.network.device import has_bfloat16, multiplies_bfloat16, torch_device
from espcn.network.engine import Beyond, Engine
from espcn.network.ensemble import SelfEnsemble
from espcn.network.model import ESPCN
from espcn.network.strengths import links
from espcn.network.weights import load
from espcn.upscaling.upscaler import Upscaler

COMPILES = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # PyTorch's own, of its own
]
CPU = torch.device("cpu")
EACH = [pytest.param(name, marks=COMPILES if name == "compile" else ()) for name in BACKENDS]


def context() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 1, 27, 22), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("r", [2, 3, 4])
def test_float32_agrees_with_pytorch(name: str, r: int) -> None:
    network = load(r)[0]
    with torch.no_grad():
        expected = network.preshuffled(context() / 255)
    got = Engine(network, name, "float32", "cpu")(context()) / 255
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("name", ["torch", "onnx", "openvino"])
def test_ensemble_is_that_of_the_network(name: str, padding: str) -> None:
    torch.manual_seed(0)
    network = ESPCN(2, padding=padding).eval()
    picture = context()[:1]
    with torch.no_grad():
        expected = SelfEnsemble(network)(picture / 255)
    seen, beyond = (
        torch.nn.functional.pad(picture.float(), [4] * 4, "replicate"),
        Beyond(4, 4, 4, 4),
    )
    got = Engine(network, name, "float32", "cpu", ensemble=True)(seen, beyond) / 255
    torch.testing.assert_close(shuffle(got, 2), expected, rtol=0, atol=1e-4)


def test_what_lies_beyond_is_flipped_with_the_picture() -> None:
    tile = torch.zeros(7, 9, dtype=torch.int64)
    tile[:1], tile[-2:], tile[:, :3], tile[:, -4:] = 1, 1, 1, 1
    beyond = Beyond(1, 2, 3, 4)
    for symmetry in SYMMETRIES:
        flipped, now = flip(tile, symmetry), beyond.flipped(symmetry)
        height, width = flipped.shape
        inside = flipped[now.above : height - now.below, now.left : width - now.right]
        assert inside.sum() == 0
        assert inside.numel() == 4 * 2


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", EACH)
def test_other_networks_run_too(name: str, channels: int, activation: str) -> None:
    network, seen = ESPCN(3, channels, activation), context().repeat(1, channels, 1, 1)
    seen[:, -1:] = 255 - seen[:, -1:]
    with torch.no_grad():
        expected = network.preshuffled(seen / 255)
    got = Engine(network, name, "float32", "cpu")(seen) / 255
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", EACH)
def test_zeros_stand_at_the_border_of_the_picture_alone(name: str, channels: int) -> None:
    torch.manual_seed(0)
    network = ESPCN(2, channels, padding="zeros")
    for layer in (network.conv1, network.conv2, network.conv3):
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias, std=0.1)  # zeros alone would stay zeros within
    picture = context().repeat(1, channels, 1, 1)
    height, width = picture.shape[-2:]
    with torch.no_grad():
        expected = network.preshuffled(picture / 255)
    engine = Engine(network, name, "float32", "cpu")
    around = torch.nn.functional.pad(picture.float(), [4] * 4, mode="replicate")
    whole = engine(around, Beyond(4, 4, 4, 4)) / 255
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-4)
    top, bottom, left, right = 2, 20, 0, 21  # a tile that comes near the border but on the left
    tile = around[..., top : bottom + 8, left : right + 8]
    got = engine(tile, Beyond(2, 0, 4, max(0, right + 4 - width))) / 255
    torch.testing.assert_close(got, expected[..., top:bottom, left:right], rtol=0, atol=1e-4)
    assert got.shape[-2] < height


@pytest.mark.skipif(not has_bfloat16(CPU), reason="the processor has no bfloat16")
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_bfloat16_of_rgb_is_near_float32(padding: str) -> None:
    torch.manual_seed(0)
    network, seen = ESPCN(3, 3, padding=padding), context().repeat(1, 3, 1, 1)
    exact = Engine(network, "torch", "float32", "cpu")(seen)
    got = Engine(network, "torch", "bfloat16", "cpu")(seen)
    error = float((got - exact).square().mean().sqrt())
    assert 0 < error < 0.01 * float(exact.square().mean().sqrt())


def test_plain_convolutions_give_what_the_fused_ones_give(monkeypatch: pytest.MonkeyPatch) -> None:
    fused = Engine(load(3)[0], "torch", "float32", "cpu")(context())
    monkeypatch.setattr(backends, "fuses_activations", lambda: False)
    plain = Engine(load(3)[0], "torch", "float32", "cpu")(context())
    torch.testing.assert_close(plain, fused, rtol=0, atol=1e-3)


@pytest.mark.parametrize("prefers", [True, False])
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("name", EACH)
def test_tanh_may_be_a_sigmoid(
    name: str, padding: str, prefers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On any processor, by whichever of the two is faster."""
    torch.manual_seed(0)
    network = ESPCN(2, padding=padding)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        seen = context() if padding == "replicate" else context()[..., 4:-4, 4:-4]
        expected = network.preshuffled(seen / 255)
    monkeypatch.setattr(backends, "prefers_sigmoid", lambda: prefers)
    around = torch.nn.functional.pad(seen.float(), [4] * 4) if padding == "zeros" else seen
    got = Engine(network, name, "float32", "cpu")(around, Beyond(4, 4, 4, 4)) / 255
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_tanh_stays_in_bfloat16_and_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor with AVX2 that has bfloat16, and beside any GPU."""
    monkeypatch.setattr(backends, "prefers_sigmoid", lambda: True)
    network = engine_module.in_grey_levels(ESPCN(2))
    for dtype, device in ((torch.bfloat16, CPU), (torch.float32, torch.device("cuda"))):
        assert backends.suited(network, dtype, device) == (network, "tanh")
    assert backends.suited(network, torch.float32, CPU)[1] == "sigmoid"


def test_without_onednn_there_is_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    assert has_bfloat16(CPU)


@pytest.mark.skipif("ESPCN_DATA" not in os.environ, reason="needs Set5 and Set14")
@pytest.mark.parametrize("engine", ["torch", "openvino"])
@pytest.mark.parametrize("name", ["Set5", pytest.param("Set14", marks=pytest.mark.slow)])
@pytest.mark.parametrize("r", [2, 3, 4])
@pytest.mark.parametrize(("weights", "most"), [("clean", 0.02), ("finer1", 0.03)])
def test_bfloat16_keeps_the_psnr(r: int, name: str, engine: str, weights: str, most: float) -> None:
    if not (has_bfloat16 if engine == "torch" else multiplies_bfloat16)(CPU):
        pytest.skip("the engine has no bfloat16 on this processor")
    path = links(r)[weights]
    exact = Upscaler(ckpt=path, engine="torch", precision="float32")
    short = Upscaler(ckpt=path, engine=engine, precision="bfloat16")
    losses = []
    for pixels in load_set(name).images:
        original = crop_to_multiple(to_channels(pixels, 1), r)
        low = Degradation()(original, r)[0].numpy()
        figures = []
        for upscaler in (exact, short):
            large = np.empty(original.shape[1:], np.uint8)
            upscaler.luma(low, 8, large)
            figures.append(
                psnr(
                    *(crop_border(p, r) for p in (torch.from_numpy(large), original[0])),
                    data_range=255,
                )
            )
        losses.append(figures[0] - figures[1])
    assert np.mean(losses) < most
    assert np.mean(losses) != 0  # so that it was another precision


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bfloat16_is_near_float32(name: str) -> None:
    exact = Engine(load(3)[0], "torch", "float32", "cpu")(context())
    if not (has_bfloat16 if name == "torch" else multiplies_bfloat16)(CPU):
        with pytest.raises(ValueError, match="`precision` must be float32 .* on this processor"):
            Engine(load(3)[0], name, "bfloat16", "cpu")
        return
    got = Engine(load(3)[0], name, "bfloat16", "cpu")(context())
    # Of noise, which is far from a picture: about half a grey level.
    assert 0 < float((got - exact).square().mean().sqrt()) < 1


def test_auto_is_named_and_runs() -> None:
    engine = Engine(load(3)[0])
    assert engine.name in BACKENDS
    assert engine.precision in ("float32", "bfloat16")
    assert str(engine).startswith(f"{engine.name}, {engine.precision}, ")
    assert engine(context()).shape == (2, 9, 19, 14)


def test_auto_without_fused_convolutions_takes_what_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "fuses_activations", lambda: False)
    assert Engine(load(3)[0], device="cpu").name == "openvino"
    monkeypatch.setattr(engine_module, "find_spec", lambda name: None)
    assert Engine(load(3)[0], device="cpu").name == "torch"


@pytest.mark.parametrize(("name", "package"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_engine_that_is_not_installed_is_named(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "espcn.network.onnx_graph.find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(ValueError, match=rf"`engine` \(={name}\) needs {package}, .*pip install"):
        Engine(load(3)[0], name, "float32", "cpu")


def test_network_is_left_as_it_is() -> None:
    network = load(3)[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for precision in ("float32", "bfloat16") if has_bfloat16(CPU) else ("float32",):
        Engine(network, "torch", precision, "cpu")
    for precision in ("float32", "int8"):
        Engine(network, "openvino", precision)
    assert network.conv1.weight.dtype == torch.float32
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_engines_of_the_processor_alone_take_it_where_there_is_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("onnx", "openvino"):
        engine = Engine(load(3)[0], name, "float32")
        assert engine.device.type == "cpu"
        with pytest.raises(ValueError, match=rf"`device` must be cpu with `engine` \(={name}\)"):
            Engine(load(3)[0], name, "float32", "cuda")


def test_bad_settings_are_refused() -> None:
    network = load(3)[0]
    with pytest.raises(ValueError, match=r"`engine` \(=fast\) must be one of auto, torch"):
        Engine(network, "fast")
    with pytest.raises(ValueError, match=r"`precision` \(=int4\) must be one of auto, float32"):
        Engine(network, precision="int4")
    with pytest.raises(ValueError, match=r"`precision` must be float32 or int8 with `engine`"):
        Engine(network, "onnx", "bfloat16", "cpu")
    with pytest.raises(ValueError, match=r"`device` \(=tpu\) must be auto, cpu, or cuda"):
        Engine(network, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`device` \(=cuda\) must be auto, cpu, or cuda where"):
        torch_device("cuda")


def test_compiler_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    with pytest.raises(ValueError, match=r"`engine` \(=compile\) must find a C\+\+ compiler"):
        Engine(load(3)[0], "compile", "float32", "cpu")(context())
