"""The backends that run a network's convolutions: PyTorch, torch.compile, ONNX Runtime, OpenVINO.

On CPUs without AVX-512, oneDNN's tanh takes a third of a network's time and its sigmoid almost
none: PyTorch and OpenVINO then compute tanh(x) as 2 sigmoid(2x) - 1, which is the same. This does
not work in bfloat16, whose precision near 1/2 is too low for results near 0.
"""

import copy
import itertools
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espcn.network.device import has_bfloat16
from espcn.network.model import ACTIVATIONS, ESPCN
from espcn.network.onnx_graph import int8_model, needs, onnx_model

MAX_SHAPES = 256  # that torch.compile compiles for before it gives up and runs plainly

# What it returns may be memory that the next call writes over.
Backend = Callable[[Tensor], Tensor]


def fuses_activations() -> bool:
    """Return whether PyTorch can fuse a convolution with its activation on this CPU.

    Returns:
        Whether this PyTorch has oneDNN's fused convolution, and it works here.
    """
    layer = nn.utils.skip_init(nn.Conv2d, 1, 1, 3).requires_grad_(False)  # draws no numbers
    try:
        return _fused(torch.zeros(1, 1, 3, 3), layer, "tanh").shape == (1, 1, 1, 1)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def prefers_sigmoid() -> bool:
    """Return whether oneDNN, which PyTorch and OpenVINO use, has a slow tanh on this CPU.

    Returns:
        Whether its vector registers are those of AVX2.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX2"


def suited(network: ESPCN, dtype: torch.dtype, device: torch.device) -> tuple[ESPCN, str]:
    """Return equivalent layers that are fast on a device, and the name of their activation.

    Args:
        network: A network.
        dtype: The type that it computes in.
        device: The device that it runs on.

    Returns:
        The network itself and its activation; where tanh is slow, an equivalent one and `sigmoid`.
    """
    here = device.type == "cpu" and dtype == torch.float32 and prefers_sigmoid()
    # Zeros around the second and the third layer would no longer be zeros.
    if not here or network.activation != "tanh" or not network.halo:
        return network, network.activation
    made = copy.deepcopy(network)
    layers = (made.conv1, made.conv2, made.conv3)
    for before, after in itertools.pairwise(layers):
        assert before.bias is not None
        assert after.bias is not None
        before.weight.mul_(2)
        before.bias.mul_(2)
        after.bias.sub_(after.weight.sum((1, 2, 3)))
        after.weight.mul_(2)
    return made, "sigmoid"


def _torch(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Backend:
    """Run PyTorch's convolutions, with the activation fused in where oneDNN does the work."""
    _check("torch", dtype, device)
    fused = device.type == "cpu" and fuses_activations()
    network, activation = suited(network, dtype, device)
    # On a GPU, whole float32 takes 1.5 times as long with the channels last (not so TF32).
    plain = device.type == "cuda" and dtype == torch.float32
    order = torch.contiguous_format if plain else torch.channels_last
    network = network.to(device, dtype).to(memory_format=order)  # type: ignore[call-overload]
    layers = [network.conv1, network.conv2, network.conv3]
    convolve = _fused if fused else _plain

    def run(centred: Tensor) -> Tensor:
        flow = centred.to(dtype).contiguous(memory_format=order)
        for layer in layers[:2]:
            flow = convolve(flow, layer, activation)
        return convolve(flow, layers[2], "none")

    return run


def _function(activation: str) -> Backend:
    return torch.sigmoid if activation == "sigmoid" else ACTIVATIONS[activation]


def _plain(flow: Tensor, layer: nn.Conv2d, activation: str) -> Tensor:
    flow = F.conv2d(flow, layer.weight, layer.bias, padding=layer.padding)
    return flow if activation == "none" else _function(activation)(flow)


def _fused(flow: Tensor, layer: nn.Conv2d, activation: str) -> Tensor:
    # What torch.compile makes of a convolution and its activation, called without compiling: the
    # activation is applied while its tile is in the cache. In PyTorch since 2.0, undocumented.
    fused = torch.ops.mkldnn._convolution_pointwise
    one = [1, 1]
    padding = list(layer.padding)
    return fused(flow, layer.weight, layer.bias, padding, one, one, 1, activation, [], None)


def _compile(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Backend:
    """Let torch.compile fuse the layers, with the weights prepacked once."""
    from torch._dynamo import config as dynamo
    from torch._inductor import config as inductor

    _check("compile", dtype, device)
    network, activation = suited(network, dtype, device)
    network = network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, flow: Tensor) -> Tensor:
            act = _function(activation)
            flow = act(self.network.conv1(flow))
            return self.network.conv3(act(self.network.conv2(flow)))

    # For each shape anew: one compiled for all shapes is slower than none.
    compiled = torch.compile(Layers(), dynamic=False)

    def run(centred: Tensor) -> Tensor:
        flow = centred.to(dtype).contiguous(memory_format=torch.channels_last)
        try:
            with (
                inductor.patch(freezing=True),
                dynamo.patch(recompile_limit=MAX_SHAPES),
                warnings.catch_warnings(),
            ):
                # PyTorch's advice on Python 3.13.0 is no fault, even where warnings are errors.
                warnings.filterwarnings("ignore", "Guards may run slower", RuntimeWarning)
                return compiled(flow)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # of many kinds, each with pages of advice
            reason = " ".join(str(error).split())[:150]
            raise ValueError(
                f"`engine` (=compile) must find a C++ compiler that works ({reason}): take "
                "engine torch, which needs none"
            ) from error

    return run


def _onnx(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Backend:
    _only_cpu("onnx", device)
    if dtype == torch.bfloat16:
        raise ValueError(
            "`precision` must be float32 or int8 with `engine` (=onnx): it has no bfloat16"
        )
    needs("onnx", "onnxruntime", reason=_reason("onnx", dtype))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        _graph(network, dtype),
        options,
        providers=["CPUExecutionProvider"],
    )
    name = session.get_inputs()[0].name

    def run(centred: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {name: centred.contiguous().numpy()})[0])

    return run


def _openvino(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Backend:
    _only_cpu("openvino", device)
    needs("onnx", "openvino", reason=_reason("openvino", dtype))
    import openvino

    core = openvino.Core()
    if dtype == torch.bfloat16 and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise ValueError(
            "`precision` must be float32 or int8 with `engine` (=openvino) on this processor: it "
            "has no bfloat16"
        )
    # In int8 it is a little quicker on every processor: 22.1 instead of 23.2 ms with AVX-512.
    sigmoid = dtype == torch.int8 or (dtype == torch.float32 and prefers_sigmoid())
    model = core.read_model(_graph(network, dtype, sigmoid))
    compiled = core.compile_model(
        model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        },
    )

    def run(centred: Tensor) -> Tensor:
        picture = centred.contiguous().numpy()
        return torch.from_numpy(compiled(picture, share_inputs=True, share_outputs=True)[0])

    return run


def _graph(network: ESPCN, dtype: torch.dtype, sigmoid: bool = False) -> bytes:
    """Return the three convolutions as ONNX."""
    if dtype == torch.int8:
        model = int8_model(network, sigmoid)
    else:
        model = onnx_model(network.float(), whole=False, sigmoid=sigmoid)
    return model.SerializeToString()


def _reason(engine: str, dtype: torch.dtype) -> str:
    return "`precision` (=int8)" if dtype == torch.int8 else f"`engine` (={engine})"


def _check(engine: str, dtype: torch.dtype, device: torch.device) -> None:
    """Check that PyTorch computes in a precision."""
    if dtype == torch.bfloat16 and not has_bfloat16(device):
        raise ValueError(
            f"`precision` must be float32 with `engine` (={engine}) on this processor: it has no "
            "bfloat16"
        )
    if dtype == torch.int8:
        raise ValueError(
            f"`engine` (={engine}) must be openvino or onnx with `precision` (=int8): leave it out"
        )


def _only_cpu(engine: str, device: torch.device) -> None:
    if device.type != "cpu":
        raise ValueError(f"`device` must be cpu with `engine` (={engine}): on a GPU take torch")


BACKENDS = {"torch": _torch, "compile": _compile, "onnx": _onnx, "openvino": _openvino}
