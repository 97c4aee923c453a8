"""Networks in 8 bits: what int8 kernels can sum up, on every processor, and what they lose."""

import os
import platform

import numpy as np
import pytest
import skimage.data
import torch
import torch.nn.functional as F

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import crop_border, psnr
from espcn.network.engine import Engine, in_grey_levels
from espcn.network.model import ESPCN
from espcn.network.quantization import Quantized, quantize
from espcn.network.strengths import links
from espcn.network.weights import load
from espcn.upscaling.upscaler import Upscaler
from helpers import run

# What int8 kernels of AVX2 do with two inputs of 0..255 and their weights: a sum of 16 bits.
LARGEST, LIMIT = 255, 2**15
# Of a factor on Set5 and Set14, in dB, for T91's weights and the finer ones: RESULTS.md.
LOST = {
    (2, "clean"): (0.061, 0.028), (3, "clean"): (0.044, 0.025), (4, "clean"): (0.030, 0.019),
    (2, "finer1"): (0.061, 0.023), (3, "finer1"): (0.044, 0.025), (4, "finer1"): (0.042, 0.020),
}  # fmt: skip
MORE = 1.2  # times that: kernels of other processors round a little differently

CODE = """
import sys, numpy, torch
from espcn import Upscaler
numpy.save(sys.argv[2], Upscaler(3, precision="int8")(numpy.load(sys.argv[1])))
"""


def picture() -> torch.Tensor:
    grey = torch.from_numpy(skimage.data.camera().copy())[None, None].float()
    return F.avg_pool2d(grey, 2).round()[..., 40:140, 30:150]


@pytest.fixture(scope="module")
def quantized() -> Quantized:
    return quantize(in_grey_levels(load(3).network))


def test_weights_are_whole_and_fit_into_8_bits(quantized: Quantized) -> None:
    for number, weights in enumerate(quantized.weights):
        assert torch.equal(weights, weights.round())
        # Four weights of the first layer are one: see `int8_model`.
        assert weights.abs().max() <= (4 * 64 if number == 0 else 127)
        assert weights.abs().amax((1, 2, 3)).min() > 50  # and use what there is


def test_no_two_products_overflow_the_16_bits_of_older_processors(quantized: Quantized) -> None:
    for weights in quantized.weights[1:]:
        for one in (weights, -weights):
            pairs = one.clamp_min(0)[:, 0::2] + one.clamp_min(0)[:, 1::2]
            assert LARGEST * int(pairs.max()) < LIMIT
    assert LARGEST * 2 * 64 < LIMIT


def test_filter_of_nothing_but_zeros_stays_so() -> None:
    network = in_grey_levels(load(3).network)
    network.conv2.weight[5] = 0
    made = quantize(network)
    assert made.steps[1].min() > 0
    largest = made.weights[1].abs().amax((1, 2, 3)) * made.steps[1]  # in another order
    assert (largest < 1e-3).sum() == 1


@pytest.mark.parametrize(
    ("layer", "activation"), [("conv1", "relu"), ("conv2", "tanh"), ("conv3", "tanh")]
)
def test_layer_of_nothing_but_zeros_runs(layer: str, activation: str) -> None:
    network = ESPCN(2, 1, activation).eval()
    with torch.no_grad():
        getattr(network, layer).weight.zero_()
        network.conv1.bias.sub_(1)  # a relu lets nothing through
    exact = Engine(network, "torch", "float32", "cpu")(picture())
    assert (Engine(network, "openvino", "int8", "cpu")(picture()) - exact).abs().max() < 20


def test_weights_that_are_not_finite_are_refused() -> None:
    network = load(2).network
    with torch.no_grad():
        network.conv2.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(
        ValueError, match=r"`precision` \(=int8\) must be float32 with weights that"
    ):
        Engine(network, "openvino", "int8", "cpu")


def test_number_of_threads_changes_nothing(quantized: Quantized) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(before, 2))
        again = quantize(in_grey_levels(load(3).network))
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, again.weights, quantized.weights))


def test_drawings_lose_little() -> None:
    drawn = 255 * torch.from_numpy(skimage.data.horse()[..., :164].copy())[None].float()
    small = BENCHMARK(crop_to_multiple(drawn, 3), 3)
    context = F.pad(small[None].float(), [4] * 4, "replicate")
    network = load(3, links(3)["clean"]).network
    exact, short = (
        Engine(network, name, precision, "cpu")(context)
        for name, precision in (("torch", "float32"), ("openvino", "int8"))
    )
    # 1.4 grey levels, and 2.7 with the ranges of photographs alone.
    assert float((exact - short).square().mean().sqrt()) < 2


def test_results_of_an_engine_are_its_callers() -> None:
    engine = Engine(load(2).network, "openvino", "int8", "cpu")
    first = engine(picture())
    kept = first.clone()
    engine(255 - picture())
    assert torch.equal(first, kept)


@pytest.mark.parametrize("engine", ["openvino", "onnx"])
@pytest.mark.parametrize(
    ("channels", "padding", "activation"),
    [
        (1, "replicate", "relu"),
        (1, "zeros", "tanh"),
        (3, "replicate", "tanh"),
        (3, "zeros", "relu"),
    ],
)
def test_every_kind_of_network_is_near_float32(
    engine: str, channels: int, padding: str, activation: str
) -> None:
    torch.manual_seed(0)
    network = ESPCN(3, channels, activation, padding).eval()
    seen = picture().repeat(1, channels, 1, 1)
    exact = Engine(network, "torch", "float32", "cpu")(seen)
    made = Engine(network, engine, "int8", "cpu")
    assert str(made).startswith(f"{engine}, int8, ")
    error = float((made(seen) - exact).square().mean().sqrt())
    assert 0 < error < 0.03 * float((exact - exact.mean()).square().mean().sqrt())


def test_both_runtimes_give_the_same() -> None:
    openvino, onnx = (
        Engine(load(2).network, name, "int8", "cpu")(picture()) for name in ("openvino", "onnx")
    )
    # A hidden value on the verge of two roundings may fall on either side.
    assert float((openvino - onnx).abs().mean()) < 0.01


@pytest.mark.skipif("ESPCN_DATA" not in os.environ, reason="needs the test sets")
@pytest.mark.parametrize(
    ("r", "weights"),
    [pytest.param(*one, marks=[pytest.mark.slow] if one[1] == "clean" else []) for one in LOST],
)
def test_psnr_is_kept(r: int, weights: str) -> None:
    path = links(r)[weights]
    exact = Upscaler(ckpt=path, engine="torch", precision="float32", device="cpu")
    short = Upscaler(ckpt=path, precision="int8")
    assert short.engine.name == "openvino"
    for name, promised in zip(("Set5", "Set14"), LOST[r, weights], strict=True):
        losses = []
        for pixels in load_set(name).images:
            original = crop_to_multiple(to_channels(pixels, 1), r)
            small = BENCHMARK(original, r)[0].numpy()
            figures = []
            for upscaler in (exact, short):
                large = np.empty(original.shape[1:], np.uint8)
                upscaler.luma(small, 8, large)
                pair = (crop_border(p, r) for p in (torch.from_numpy(large), original[0]))
                figures.append(psnr(*pair, data_range=255))
            losses.append(figures[0] - figures[1])
        assert 0 < np.mean(losses) < MORE * promised, name


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="needs an x86 processor")
def test_processor_without_vnni_gives_the_same(tmp_path: object) -> None:
    # Without the limit on pairs of weights 15 dB were lost there.
    source = f"{tmp_path}/small.npy"
    np.save(source, picture()[0, 0].numpy().astype(np.uint8))
    made = []
    for name, held in (("all", {}), ("old", {"ONEDNN_MAX_CPU_ISA": "AVX2"})):
        target = f"{tmp_path}/{name}.npy"
        done = run("-c", CODE, source, target, **held)
        assert done.returncode == 0, done.stderr
        made.append(np.load(target).astype(int))
    # Their tanh differs a little, and a hidden value on the verge of two roundings may fall on
    # either side. Kernels that overflow are off by 20 and more.
    assert np.abs(made[0] - made[1]).mean() < 0.5


@pytest.mark.parametrize("engine", ["torch", "compile"])
def test_pytorch_has_no_int8(engine: str) -> None:
    with pytest.raises(ValueError, match=rf"`engine` \(={engine}\) must be openvino or onnx with"):
        Engine(load(3).network, engine, "int8", "cpu")


def test_gpu_has_no_int8() -> None:
    with pytest.raises(ValueError, match=r"`precision` \(=int8\) must be left out with `device`"):
        Engine(load(3).network, precision="int8", device="cuda")


def test_deep_pictures_are_upscaled_in_float32() -> None:
    deep = picture()[0, 0].numpy().astype(np.uint16) * 257
    exact = Upscaler(3, engine="torch", precision="float32", device="cpu")(deep)
    assert np.array_equal(Upscaler(3, precision="int8")(deep), exact)
