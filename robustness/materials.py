"""Small files of every format: pictures, clips, a checkpoint and weights."""

import io
import tempfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyvips
import torch
from PIL import Image

WIDTH, HEIGHT, FRAMES = 48, 32, 6
VIDEOS = ("mp4", "mkv", "webm", "avi", "ts")


def make_files() -> dict[str, bytes]:
    """Make a whole file of each kind; the name's last part is the ending of the file."""
    clips = {}
    for ending in VIDEOS:  # of several, for x264 now and then makes another
        made = Counter(_clip(ending) for _ in range(5))
        clips[f"clip.{ending}"] = made.most_common(1)[0][0]
    return _pictures() | clips | _checkpoints()


def _pictures() -> dict[str, bytes]:
    """Make pictures of 48x32 pixels: smooth, so that they are short, with a little noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).integers(0, 8, (HEIGHT, WIDTH, 3))
    pixels = (np.stack([x * 5, y * 7, x + y], 2) + noise).astype(np.uint8)
    photo = Image.fromarray(pixels)
    deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A maker", 6
    clear = photo.copy()
    clear.putalpha(128)
    two: dict[str, Any] = {"save_all": True, "append_images": [photo.rotate(180)]}
    whole: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "plain.png": (photo, "PNG", {}),
        "deep.png": (deep, "PNG", {}),
        "palette.png": (photo.quantize(16), "PNG", {"transparency": 3}),
        "clear.png": (clear, "PNG", {"exif": exif, "dpi": (300, 300)}),
        "moving.png": (photo, "PNG", two),
        "plain.jpg": (photo, "JPEG", {}),
        "progressive.jpg": (photo, "JPEG", {"progressive": True}),
        "exif.jpg": (photo, "JPEG", {"exif": exif}),
        "cmyk.jpg": (photo.convert("CMYK"), "JPEG", {}),
        "plain.tif": (photo, "TIFF", {}),
        "deep.tif": (deep, "TIFF", {}),
        "cmyk.tif": (photo.convert("CMYK"), "TIFF", {"compression": "tiff_lzw"}),
        "strips.tif": (photo, "TIFF", {"compression": "tiff_adobe_deflate", "strip_size": 999}),
        "jpeg.tif": (photo, "TIFF", {"compression": "jpeg"}),
        "plain.webp": (photo, "WEBP", {}),
        "lossless.webp": (clear, "WEBP", {"lossless": True}),
        "plain.avif": (photo, "AVIF", {"speed": 10}),
        "plain.gif": (photo.quantize(16), "GIF", {}),
        "moving.gif": (photo, "GIF", two),
        "plain.bmp": (photo, "BMP", {}),
        "palette.bmp": (photo.quantize(16), "BMP", {}),
        "plain.ppm": (photo, "PPM", {}),
        "deep.pgm": (deep, "PPM", {}),
    }
    files = {}
    for name, (picture, kind, options) in whole.items():
        file = io.BytesIO()
        picture.save(file, kind, **options)
        files[name] = file.getvalue()
    # What Pillow doesn't write: Adam7, and a PPM in words.
    words = " ".join(map(str, pixels.ravel()))
    return files | {
        "interlaced.png": pyvips.Image.new_from_array(pixels).pngsave_buffer(interlace=True),
        "words.ppm": f"P3\n# a remark\n{WIDTH} {HEIGHT}\n255\n{words}\n".encode(),
    }


def _clip(ending: str) -> bytes:
    """Make a clip of a few frames with sound, the same each time."""
    codec, sound = {
        "webm": ("libvpx-vp9", "libopus"), "avi": ("mpeg4", "mp3"), "mkv": ("libx264", "flac"),
    }.get(ending, ("libx264", "aac"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{ending}"
        with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
            alone = {"x264-params": "threads=1:lookahead-threads=1"}
            video: Any = container.add_stream(codec, rate=25, options=alone)
            video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            audio: Any = container.add_stream(sound, rate=48000, layout="mono")
            for number in range(FRAMES):
                frame: Any = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
                for plane in frame.planes:  # to the end of its lines, beyond the picture
                    samples = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                    y, x = np.indices(samples.shape)
                    samples[:] = 5 * x + 7 * y + 9 * number
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
            kind = audio.codec_context.format.name
            silence: Any = av.AudioFrame(kind, "mono", 960)
            for plane in silence.planes:
                plane.update(bytes(plane.buffer_size))
            for number in range(12):
                silence.sample_rate, silence.pts = 48000, 960 * number
                container.mux(audio.encode(silence))
            container.mux(audio.encode(None))
        return path.read_bytes()


def _checkpoints() -> dict[str, bytes]:
    """Make a checkpoint as a run leaves it, and take weights as they are shipped."""
    from espcn.network.model import ESPCN
    from espcn.network.weights import shipped

    torch.manual_seed(0)
    network = ESPCN(2)
    settings = {
        "r": 2, "channels": 1, "activation": "tanh", "padding": "replicate", "center": 0.45,
        "gain": 5.0, "blur": 0.5, "downsample": "bicubic",
    }  # fmt: skip
    weights = {f"network.{name}": value for name, value in network.state_dict().items()}
    file = io.BytesIO()
    torch.save({"state_dict": weights, "hyper_parameters": settings}, file)
    return {"run.ckpt": file.getvalue(), "shipped.safetensors": shipped(2).read_bytes()}
