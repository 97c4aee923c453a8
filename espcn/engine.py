"""A network made ready to run: its three convolutions by PyTorch, ONNX Runtime or OpenVINO.

All engines see the same thing, grey levels less 115, and give the same, to the precision asked
for. bfloat16 has 8 significant bits: 0..1 rounded to them is off by up to half a grey level, while
whole grey levels are exact, and those near the middle of the range, on the way out, nearly so. The
weights are rounded with care, by `rounded`.
"""

import copy
import threading
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espcn import checks
from espcn.export import needs, onnx_model
from espcn.model import ACTIVATIONS, ESPCN
from espcn.rounding import rounded

ENGINES = ("torch", "compile", "onnx", "openvino")
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CENTER = 115.0  # grey levels: about the middle of a picture's luma
SHAPES = 256  # that torch.compile compiles for before it gives up and runs plainly
# Low-resolution pixels that run at a time: what lies between the layers, 64 numbers each, should be
# near the caches, and below the 32 MiB from which on memory is asked of the system each time anew.
TILE = {"float32": 100_000, "bfloat16": 240_000}

Run = Callable[[Tensor], Tensor]


class Engine:
    """A luma network ready to run on one device.

    `engine` is torch, compile, onnx or openvino, `precision` float32 or bfloat16, `device` cpu or
    cuda, each auto by default: bfloat16 where the processor multiplies matrices in it. Raises a
    ValueError for what the machine can't run.
    """

    def __init__(
        self,
        network: ESPCN,
        engine: str = "auto",
        precision: str = "auto",
        device: str = "auto",
    ) -> None:
        checks.choice("engine", engine, ("auto", *ENGINES))
        checks.choice("precision", precision, ("auto", *PRECISIONS))
        if network.channels != 1 or not network.halo:
            raise ValueError(
                f"`channels` (={network.channels}) and `padding` (={network.padding}) of the "
                "network must be 1 and replicate: train one so to upscale with it"
            )
        self.r = network.r
        if device == "auto" and engine in ("onnx", "openvino"):
            device = "cpu"
        self.device = torch_device(device)
        self.name = _fastest(self.device) if engine == "auto" else engine
        self.precision = precision
        if precision == "auto":
            quick = self.name != "onnx" and multiplies_bfloat16(self.device)
            self.precision = "bfloat16" if quick else "float32"
        self.tile = TILE[self.precision]
        # In float64, so that folding rounds but once.
        levels = copy.deepcopy(network).cpu().double().fold(CENTER / 255, 255.0)
        levels.requires_grad_(False).eval()
        if self.precision != "float32":
            levels = rounded(levels, PRECISIONS[self.precision])
        make = {"torch": _torch, "compile": _compile, "onnx": _onnx, "openvino": _openvino}
        self._run = make[self.name](levels, PRECISIONS[self.precision], self.device)
        self._lock = threading.Lock()  # one at a time has all cores, and none waits on another

    def __str__(self) -> str:
        """Name what runs: "torch, bfloat16, 2 threads"."""
        where = f"{torch.get_num_threads()} threads" if self.device.type == "cpu" else "GPU"
        return f"{self.name}, {self.precision}, {where}"

    def __call__(self, context: Tensor) -> Tensor:
        """Give the network's output before the shuffle, `(batch, r^2, height, width)`, float32.

        `context` is luma with 4 more pixels on each side, `(batch, 1, height + 8, width + 8)`.
        Both are in grey levels, 0..255; in bfloat16 those going in should be whole, and what comes
        out is neither rounded nor clipped.
        """
        with self._lock, torch.inference_mode():
            centred = context.to(self.device, torch.float32) - CENTER
            return self._run(centred).float().add_(CENTER)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Say whether the device multiplies bfloat16 matrices faster than float32 ones."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def torch_device(name: str) -> torch.device:
    """Give the device of a name, auto for the GPU where there is one."""
    there = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if there else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not there):
        raise ValueError(f"`device` (={name}) must be auto, cpu, or cuda where there is a GPU")
    return torch.device(name)


def _fastest(device: torch.device) -> str:
    """Give the engine that measures fastest (RESULTS.md): PyTorch, given its fused convolutions."""
    if device.type != "cpu" or _fuses():
        return "torch"
    if find_spec("onnx") is not None:
        for engine, package in (("openvino", "openvino"), ("onnx", "onnxruntime")):
            if find_spec(package) is not None:
                return engine
    return "torch"


def _torch(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Run:
    """Run PyTorch's convolutions, with the activation fused in where oneDNN does the work."""
    network = network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    layers = [network.conv1, network.conv2, network.conv3]
    convolve = _fused if device.type == "cpu" and _fuses() else _plain

    def run(centred: Tensor) -> Tensor:
        flow = centred.to(dtype).contiguous(memory_format=torch.channels_last)
        for layer in layers[:2]:
            flow = convolve(flow, layer, network.activation)
        return convolve(flow, layers[2], "none")

    return run


def _plain(flow: Tensor, layer: nn.Conv2d, activation: str) -> Tensor:
    flow = F.conv2d(flow, layer.weight, layer.bias)
    return flow if activation == "none" else ACTIVATIONS[activation](flow)


def _fused(flow: Tensor, layer: nn.Conv2d, activation: str) -> Tensor:
    # What torch.compile makes of a convolution and its activation, called without compiling: the
    # activation is applied while its tile is in the cache. In PyTorch since 2.0, undocumented.
    fused = torch.ops.mkldnn._convolution_pointwise
    one = [1, 1]
    return fused(flow, layer.weight, layer.bias, [0, 0], one, one, 1, activation, [], None)


def _fuses() -> bool:
    """Say whether this PyTorch has oneDNN's fused convolution, and it works here."""
    layer = nn.utils.skip_init(nn.Conv2d, 1, 1, 3).requires_grad_(False)  # draws no numbers
    try:
        return _fused(torch.zeros(1, 1, 3, 3), layer, "tanh").shape == (1, 1, 1, 1)
    except (RuntimeError, AttributeError, NotImplementedError):
        return False


def _compile(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Run:
    """Let torch.compile fuse the layers, their weights laid out once and for all."""
    from torch._dynamo import config as dynamo
    from torch._inductor import config as inductor

    network = network.to(device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    class Layers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, flow: Tensor) -> Tensor:
            act = ACTIVATIONS[self.network.activation]
            flow = act(self.network.conv1(flow))
            return self.network.conv3(act(self.network.conv2(flow)))

    # For each shape anew: one compiled for all shapes is slower than none.
    compiled = torch.compile(Layers(), dynamic=False)

    def run(centred: Tensor) -> Tensor:
        flow = centred.to(dtype).contiguous(memory_format=torch.channels_last)
        try:
            with inductor.patch(freezing=True), dynamo.patch(recompile_limit=SHAPES):
                return compiled(flow)
        except Exception as error:  # of many kinds, each with pages of advice
            reason = " ".join(str(error).split())[:150]
            raise ValueError(
                f"`engine` (=compile) must find a C++ compiler that works ({reason}): take "
                "engine torch, which needs none"
            ) from error

    return run


def _onnx(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Run:
    _only_cpu("onnx", device)
    if dtype != torch.float32:
        raise ValueError("`precision` must be float32 with `engine` (=onnx): it has no bfloat16")
    needs("onnx", "onnxruntime", reason="`engine` (=onnx)")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(
        onnx_model(network.float(), whole=False).SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
    )

    def run(centred: Tensor) -> Tensor:
        return torch.from_numpy(session.run(None, {"luma": centred.contiguous().numpy()})[0])

    return run


def _openvino(network: ESPCN, dtype: torch.dtype, device: torch.device) -> Run:
    _only_cpu("openvino", device)
    needs("onnx", "openvino", reason="`engine` (=openvino)")
    import openvino

    core = openvino.Core()
    if dtype == torch.bfloat16 and "BF16" not in core.get_property(
        "CPU", "OPTIMIZATION_CAPABILITIES"
    ):
        raise ValueError(
            "`precision` must be float32 with `engine` (=openvino) on this processor: it has no "
            "bfloat16"
        )
    model = core.read_model(onnx_model(network.float(), whole=False).SerializeToString())
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
        # Copied: the array is the compiled model's own, and the next call writes over it.
        return torch.from_numpy(compiled(centred.contiguous().numpy())[0]).clone()

    return run


def _only_cpu(engine: str, device: torch.device) -> None:
    if device.type != "cpu":
        raise ValueError(f"`device` must be cpu with `engine` (={engine}): on a GPU take torch")
