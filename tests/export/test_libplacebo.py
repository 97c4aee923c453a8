"""FFmpeg's libplacebo: what it makes of a frame, and how it says that it does not run."""

import subprocess

import numpy as np
import pytest

from espcn.export import libplacebo
from espcn.export.libplacebo import Unavailable, render, version

GREY = np.full((3, 6, 8), 128, np.uint8)
HALF = "//!HOOK LUMA\n//!BIND HOOKED\nvec4 hook() { return vec4(0.5); }\n"


@pytest.fixture(scope="module", autouse=True)
def placebo() -> None:
    """Skip where it does not run."""
    try:
        render(GREY, 1)
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("bits", [8, 10])
def test_levels_are_on_the_scale_of_the_frame(bits: int, full_range: bool) -> None:
    grey = GREY.astype(np.uint16) * 2 ** (bits - 8)
    large = render(grey, 3, bits=bits, full_range=full_range)
    assert large.shape == (3, 18, 24)
    assert np.abs(large - 2 ** (bits - 1)).max() < 2 ** (bits - 8)  # 16-bit floats have 11 bits


def test_shader_changes_luma_alone() -> None:
    large = render(GREY, 2, HALF)
    assert np.abs(large[0] - 127.5).max() < 0.5
    assert np.abs(large[1:] - 128).max() < 0.5
    assert np.abs(render(GREY // 2, 2, HALF)[0] - 127.5).max() < 0.5


def test_text_that_is_no_shader_is_refused() -> None:
    with pytest.raises(ValueError, match="refuses the shader .Unrecognized command 'WEN 1'!"):
        render(GREY, 2, "//!HOOK LUMA\n//!WEN 1\n")


@pytest.mark.parametrize("shader", [None, "no shader"])
def test_lack_of_a_device_is_not_the_fault_of_the_shader(
    shader: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VK_ICD_FILENAMES", "/nowhere")
    with pytest.raises(Unavailable, match="libplacebo doesn't run here .*VK_ERROR"):
        render(GREY, 2, shader)


def test_long_work_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libplacebo, "SECONDS", 0.001)
    with pytest.raises(Unavailable, match=r"libplacebo takes more than 0.001 seconds"):
        render(GREY, 2)


def test_version_is_that_of_ffmpeg() -> None:
    said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout
    assert said.startswith(f"ffmpeg version {version()} Copyright")
