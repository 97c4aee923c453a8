"""FFmpeg's libplacebo, which runs user shaders on frames."""

import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SECONDS = 300.0  # to compile and draw; a processor alone needs ten
_LABEL = re.compile(r"^\[.*?\] ", re.MULTILINE)
_DEVICE = ("-init_hw_device", "vulkan=gpu", "-filter_hw_device", "gpu")


class Unavailable(OSError):
    """FFmpeg's libplacebo is not available on this machine; the message says why."""


def version() -> str:
    """Return the version of FFmpeg.

    Returns:
        A version such as "5.1.9-0+deb12u1".

    Raises:
        Unavailable: FFmpeg is not installed.
    """
    return _ffmpeg("-version").stdout.decode().split()[2]


def render(
    frame: np.ndarray, r: int, shader: str | None = None, bits: int = 8, full_range: bool = False
) -> np.ndarray:
    """Upscale a video frame with FFmpeg's libplacebo.

    Args:
        frame: `(3, height, width)`, BT.601 YCbCr in whole levels.
        r: How many times as high and wide the result is, at least 1.
        shader: A user shader; without one, libplacebo's own scaler is used.
        bits: Bit depth of the frame, 8 or 10.
        full_range: Whether black and white are 0 and 255 rather than 16 and 235.

    Returns:
        `(3, r height, r width)`, levels on the frame's scale, rounded to 16 bits.

    Raises:
        Unavailable: There is no FFmpeg with libplacebo, no Vulkan device, or it takes too long.
        ValueError: libplacebo refuses the shader.
    """
    _, height, width = frame.shape
    kind, number = ("yuv444p", np.uint8) if bits == 8 else ("yuv444p10le", np.dtype("<u2"))
    options = f"w={r * width}:h={r * height}:format=yuv444p16le:dithering=none"
    if shader is not None:
        options += ":custom_shader_path=shader.glsl"
    done = _ffmpeg(
        *("-loglevel", "error", *_DEVICE, "-f", "rawvideo", "-pix_fmt", kind),
        *("-video_size", f"{width}x{height}", "-colorspace", "smpte170m"),
        *("-color_range", "pc" if full_range else "tv", "-i", "-"),
        *("-vf", f"hwupload,libplacebo={options},hwdownload,format=yuv444p16le"),
        *("-f", "rawvideo", "-"),
        given=frame.astype(number).tobytes(),
        shader=shader,
    )
    if done.returncode:
        said = _LABEL.sub("", done.stderr.decode(errors="replace")).partition("\n")[0]
        if shader is None:
            raise Unavailable(f"FFmpeg's libplacebo doesn't run here ({said})")
        render(frame, r, None, bits, full_range)  # raises if that is why
        raise ValueError(f"FFmpeg's libplacebo refuses the shader ({said})")
    samples = np.frombuffer(done.stdout, "<u2").reshape(3, r * height, r * width)
    # Limited range is shifted from one depth to another, full range stretched.
    return samples * ((2**bits - 1) / 65535 if full_range else 2.0 ** (bits - 16))


def _ffmpeg(
    *arguments: str, given: bytes = b"", shader: str | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run FFmpeg in a separate folder, so that the filter's path needs no escaping."""
    with tempfile.TemporaryDirectory() as folder:
        if shader is not None:
            (Path(folder) / "shader.glsl").write_text(shader, encoding="utf-8")
        try:
            return subprocess.run(
                ["ffmpeg", "-nostdin", *arguments],
                input=given,
                cwd=folder,
                capture_output=True,
                timeout=SECONDS,
            )
        except FileNotFoundError as error:
            raise Unavailable("FFmpeg is not installed") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"FFmpeg's libplacebo takes more than {SECONDS:g} seconds") from error
