"""The device that a network runs on: its name, its fast data types, and its precision."""

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

_SWITCHING = threading.Lock()
_found: list[str] = []  # cuDNN's setting, as each one within `full_float32` found it


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies bfloat16 matrices faster than float32 matrices.

    Args:
        device: The CPU or a GPU.

    Returns:
        Whether it does.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def has_bfloat16(device: torch.device) -> bool:
    """Return whether PyTorch has usable bfloat16 convolutions for a device.

    Args:
        device: The CPU or a GPU.

    Returns:
        Whether it does; CPUs without AVX-512 would take six times as long as in float32.
    """
    # Builds without oneDNN, as for macOS, lack the question, and have plain convolutions.
    asked = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    return device.type == "cuda" or asked()


def torch_device(name: str) -> torch.device:
    """Return the device with a name.

    Args:
        name: cpu, cuda, or auto for the GPU if there is one.

    Returns:
        The device.

    Raises:
        ValueError: The device does not exist.
    """
    there = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if there else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not there):
        raise ValueError(f"`device` (={name}) must be auto, cpu, or cuda where there is a GPU")
    return torch.device(name)


@contextmanager
def full_float32(device: torch.device) -> Iterator[None]:
    """Compute float32 convolutions in full float32 on a GPU, too.

    By default cuDNN rounds their factors to the 11 significant bits of TF32, which causes errors of
    up to 0.3 grey levels. The setting is global to the process: if several threads are within, the
    last one to leave restores the setting that the first one found.

    Args:
        device: Where the convolutions run; on the CPU there is nothing to set.

    Yields:
        Nothing.
    """
    if device.type == "cpu":
        yield
        return
    # Not `cudnn.allow_tf32`: PyTorch refuses to read it where a program has set this one.
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    with _SWITCHING:
        _found.append(convolutions.fp32_precision)
        convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        with _SWITCHING:
            convolutions.fp32_precision = _found.pop()  # all but the first have found "ieee"


def device_name(device: torch.device) -> str:
    """Return the model name of a GPU or of the CPU.

    Args:
        device: The device.

    Returns:
        The name; that of a CPU ends with "(cpu)".
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()} (cpu)"
