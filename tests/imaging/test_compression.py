"""What compression does to a picture, compared with Pillow's and FFmpeg's own files."""

import io

import av
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image, features
from torch import Tensor

from espcn.imaging.color import luma, to_channels
from espcn.imaging.compression import (
    X264,
    compress_h264,
    compress_jpeg,
    encoder_versions,
    is_studio_range,
)
from espcn.imaging.metrics import psnr


def astronaut() -> Tensor:
    """Return a detail in RGB, uint8 `(3, 96, 81)`."""
    return to_channels(skimage.data.astronaut()[60:156, 180:261], 3)


def pale(rgb: Tensor) -> Tensor:
    """Return a picture with half the contrast, which no chroma takes out of 0..255."""
    return (64 + rgb.double() / 2).to(torch.uint8)


def saved(rgb: Tensor, quality: int) -> Tensor:
    """Save RGB as Pillow does by default, and read it."""
    file = io.BytesIO()
    Image.fromarray(rgb.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_of_colours_is_pillows_file(quality: int) -> None:
    assert torch.equal(compress_jpeg(astronaut(), quality), saved(astronaut(), quality))


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_of_luma_is_the_luma_of_the_colour_file(quality: int) -> None:
    # Both quantise the same full-range luma by the same table. They round it at other places, and
    # in strong colours, which are clipped to RGB, subsampled chroma changes the luma as well.
    rgb = pale(astronaut())
    exact = luma(rgb)
    got, expected = compress_jpeg(exact, quality).double(), luma(saved(rgb, quality))
    assert abs(psnr(got, exact, data_range=255) - psnr(expected, exact, data_range=255)) < 0.4
    alike = torch.corrcoef(torch.stack([(one - exact).flatten() for one in (got, expected)]))
    assert alike[0, 1] > 0.8


def test_grey_picture_of_full_range_is_stored_as_it_is() -> None:
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    file = io.BytesIO()
    Image.fromarray(grey[0].numpy()).save(file, "JPEG", quality=80)
    assert torch.equal(
        compress_jpeg(grey, 80, full_range=True)[0], torch.from_numpy(np.array(Image.open(file)))
    )


def test_flat_luma_keeps_its_level_through_the_range_of_the_file() -> None:
    # 219 levels become 255 and then 219 again: each must come back to where it was.
    for level in range(16, 236):
        flat = torch.full((1, 8, 8), level, dtype=torch.uint8)
        assert torch.equal(compress_jpeg(flat, 100), flat)


@pytest.mark.parametrize(("channels", "full_range"), [(1, False), (1, True), (3, False)])
def test_overshoot_is_clipped_before_it_is_stored(channels: int, full_range: bool) -> None:
    black, white = (16, 235) if channels == 1 and not full_range else (0, 255)
    stripes = torch.tensor([black - 2.0, white + 2.0] * 8).expand(channels, 16, 16)
    expected = compress_jpeg(stripes.clamp(black, white), 90, full_range)
    assert torch.equal(compress_jpeg(stripes, 90, full_range), expected)


def test_studio_range_is_16_to_235() -> None:
    levels = torch.tensor([[[16, 100, 235]]], dtype=torch.uint8)
    assert is_studio_range(levels)
    assert is_studio_range(levels[..., :1])
    assert not is_studio_range(levels - torch.tensor([1, 0, 0], dtype=torch.uint8))
    assert not is_studio_range(levels + torch.tensor([0, 0, 1], dtype=torch.uint8))
    assert not is_studio_range(levels[..., :0])


def test_lower_quality_is_further_from_the_picture() -> None:
    plane = luma(astronaut()).to(torch.uint8)
    by_jpeg = [
        psnr(compress_jpeg(plane, quality), plane, data_range=255) for quality in (95, 70, 30, 5)
    ]
    by_h264 = [
        psnr(compress_h264([plane] * 3, crf)[1], plane, data_range=255) for crf in (10, 20, 30, 45)
    ]
    for figures in (by_jpeg, by_h264):
        assert figures == sorted(figures, reverse=True)
        assert figures[0] - figures[-1] > 8


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 5), (32, 48)])
def test_frames_keep_their_order_size_and_range(channels: int, height: int, width: int) -> None:
    levels = [40, 90, 140, 190, 230]
    frames = [torch.full((channels, height, width), level, dtype=torch.uint8) for level in levels]
    got = compress_h264(frames, 10)
    assert [one.shape for one in got] == [(channels, height, width)] * 5
    for one, level in zip(got, levels, strict=True):
        assert (one.double() - level).abs().max() <= 3


def test_encoders_are_named_with_their_versions() -> None:
    versions = encoder_versions()
    assert versions["jpeg"] == f"libjpeg-turbo {features.version('libjpeg_turbo')}"
    assert versions["h264"].endswith(f" of PyAV {av.__version__}, one thread")


def test_frames_are_predicted_from_their_neighbours() -> None:
    # A still scene costs x264 next to nothing after its first frame, and keeps its quality.
    plane = luma(astronaut()).to(torch.uint8)
    encoded = compress_h264([plane] * 9, 28)
    alone = compress_h264([plane], 28)
    assert all(
        psnr(one, plane, data_range=255) > psnr(alone[0], plane, data_range=255) - 0.5
        for one in encoded[1:]
    )
    assert torch.equal(encoded[1], compress_h264([plane] * 9, 28)[1])


@pytest.mark.parametrize("width", [20, 53])
def test_same_frames_give_the_same_bytes(width: int) -> None:
    plane = luma(astronaut()).to(torch.uint8)
    frames = [plane.roll(step, 2)[:, :40, :width] for step in range(9)]
    first = torch.stack(compress_h264(frames, 15))
    for _ in range(40):
        assert torch.equal(torch.stack(compress_h264(frames, 15)), first)


def test_video_luma_is_what_ffmpeg_reads_from_a_file(tmp_path) -> None:
    """Write the same frames to an MP4 with x264 on one thread, and read its luma."""
    frames = [luma(astronaut().roll(step, 2)).to(torch.uint8)[:, :, :80] for step in range(20)]
    path = str(tmp_path / "clip.mp4")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", 25, X264 | {"crf": "25"})
        stream.width, stream.height, stream.pix_fmt = 80, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            planes = np.concatenate([frame[0].numpy(), np.full((48, 80), 128, np.uint8)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, "yuv420p")))
        container.mux(stream.encode(None))
    with av.open(path) as container:
        read = [frame.to_ndarray()[:96] for frame in container.decode(video=0)]
    for got, expected in zip(compress_h264(frames, 25), read, strict=True):
        np.testing.assert_array_equal(got[0], expected)
