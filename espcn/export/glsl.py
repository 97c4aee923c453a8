"""The network as a user shader for mpv and libplacebo: a series of passes, hooked to luma.

Each pass renders one texture from earlier ones. A texture has four channels per pixel; those of the
first layer store eight, in two neighbouring columns, so that a pass of the second layer reads 8
textures: libplacebo allows 16, and OpenGL has coordinates for 15. The picture is padded once, as
the network pads it: the hidden layers' textures are larger than the picture by the margin that
later layers need.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from espcn.export.libplacebo import Unavailable, render, version
from espcn.imaging.metrics import PEAK, psnr, quantize
from espcn.io.atomic import atomic_write
from espcn.network.model import ESPCN

MAX_FACTOR = 7  # its 49 channels before the shuffle are 13 textures
LEAST_PSNR = 50.0  # dB; textures of 16-bit floats leave 64, whole grey levels 58
CHECKED_SIZE = (18, 25)  # height and width, an odd one
LARGER = "OUTPUT.w LUMA.w > OUTPUT.h LUMA.h > *"
# Some drivers' tanh overflows far from zero; at 10 it is 1 to the last digit of a float.
ACTIVATIONS = {"tanh": "tanh(clamp(sum, -10.0, 10.0))", "relu": "max(sum, 0.0)"}


def write(path: Path, network: ESPCN, about: Mapping[str, str]) -> str:
    """Write a user shader, after checking that FFmpeg's libplacebo agrees with PyTorch.

    Args:
        path: The file.
        network: A luma network.
        about: Text by name for the comment at its head.

    Returns:
        "checked by libplacebo in FFmpeg 5.1.9", or why it was not checked.

    Raises:
        ValueError: The network is for RGB or its factor is above `MAX_FACTOR`; or libplacebo
            rejects the shader, or its PSNR against PyTorch is below `LEAST_PSNR`.
    """
    text = shader(network, about)
    check = _check(network, text)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
    return check


def shader(network: ESPCN, about: Mapping[str, str]) -> str:
    """Return the user shader of a network.

    Args:
        network: A luma network.
        about: Text by name for the comment at its head.

    Returns:
        The comment and the passes.

    Raises:
        ValueError: The network is for RGB, or its factor is above `MAX_FACTOR`.
    """
    if network.channels != 1:
        raise ValueError(
            f"`ckpt` must be a network of luma for a .glsl file, which is hooked to luma, but has "
            f"`channels` (={network.channels}): train one with channels=1, or write an .onnx file"
        )
    if network.r > MAX_FACTOR:
        raise ValueError(
            f"`r` (={network.r}) must be at most {MAX_FACTOR} for a .glsl file, whose passes can "
            "read 15 textures: write an .onnx file"
        )
    lines = [
        "ESPCN as a user shader for mpv and libplacebo, hooked to luma",
        *(f"{name}: {text}" for name, text in about.items()),
    ]
    # What a checkpoint says of itself can neither end the comment nor begin a pass.
    comment = [f"// {' '.join(line.split())}".replace("//!", "// !") for line in lines]
    passes = _passes(network.folded(dtype=torch.float64))
    return "\n\n".join(["\n".join(comment), *passes]) + "\n"


@torch.no_grad()
def _passes(network: ESPCN) -> Iterator[str]:
    """Yield the passes of a folded network in order."""
    r = network.r
    first, second = ([f"ESPCN_{layer}_{number}" for number in range(8)] for layer in "12")
    third = [f"ESPCN_3_{number}" for number in range(-(-r * r // 4))]
    for number, target in enumerate(first):
        body = _first_layer(network, slice(8 * number, 8 * number + 8))
        yield _pass(r, ["LUMA"], target, "LUMA.w 4 + 2 *", "LUMA.h 4 +", body)
    taps = [
        f"{name}_tex(vec2(2.0 * (at.x + dx) {side} 0.5, at.y + dy) * {name}_pt)"
        for name in first
        for side in "-+"
    ]
    place = "((gl_FragCoord.xy - 1.0) / (vec2(0.5, 1.0) * ESPCN_1_0_size - 4.0))"
    for number, target in enumerate(second):
        body = _layer(network.conv2, 4 * number, taps, _activated(network, place))
        yield _pass(r, first, target, "LUMA.w 2 +", "LUMA.h 2 +", body)
    taps = [f"{name}_tex((at + vec2(dx, dy)) * {name}_pt)" for name in second]
    for number, target in enumerate(third):
        body = _layer(network.conv3, 4 * number, taps, "sum")
        yield _pass(r, second, target, "LUMA.w", "LUMA.h", body)
    yield _pass(r, third, "LUMA", f"LUMA.w {r} *", f"LUMA.h {r} *", _shuffle(r, third))


def _pass(r: int, sources: list[str], target: str, width: str, height: str, body: str) -> str:
    """Return a pass that renders a texture from others."""
    head = [
        f"DESC ESPCN x{r}: {target}",
        "HOOK LUMA",
        *(f"BIND {name}" for name in sources),
        f"SAVE {target}",
        f"WIDTH {width}",
        f"HEIGHT {height}",
        f"COMPONENTS {1 if target == 'LUMA' else 4}",
        f"WHEN {LARGER}",
    ]
    return "\n".join([*(f"//!{line}" for line in head), body])


def _first_layer(network: ESPCN, eight: slice) -> str:
    """Return the body of a pass that renders eight channels, four in each column of a pair."""
    layer = network.conv1
    assert layer.bias is not None
    weight, bias = layer.weight[eight, 0], layer.bias[eight]
    sums = [
        f"    sum += {_either(weight[:, y, x])} * tap({x - 2}.0, {y - 2}.0);"
        for y in range(5)
        for x in range(5)
    ]
    # A shader sees a video that is shown turned or mirrored as it is stored.
    return f"""\
#define place(dx, dy) ((LUMA_rot * (at + vec2(dx, dy)) + origin) * LUMA_pt)
#define tap(dx, dy) (LUMA_tex(place(dx, dy)).x{_inside(network, "place(dx, dy)")})
vec4 hook() {{
    bool left = fract(0.5 * gl_FragCoord.x) < 0.5;
    vec2 at = vec2(floor(0.5 * gl_FragCoord.x) + 0.5, gl_FragCoord.y) - 2.0;
    vec2 origin = LUMA_size * max(-(LUMA_rot * vec2(1.0)), 0.0);
    vec4 sum = {_either(bias)};
{_lines(sums)}
    return {_activated(network, "place(0.0, 0.0)")};
}}"""


def _layer(layer: nn.Conv2d, first: int, taps: list[str], result: str) -> str:
    """Return the body of a pass that renders four channels of a 3x3 layer, or the last ones."""
    assert layer.bias is not None
    weight, bias = layer.weight[first : first + 4], layer.bias[first : first + 4]
    missing = 4 - len(bias)
    weight, bias = F.pad(weight, [0] * 7 + [missing]), F.pad(bias, [0, missing])
    lines = []
    for number, tap in enumerate(taps):
        lines.append(f"#define tap(dx, dy) {tap}")
        for y in range(3):
            for x in range(3):
                four = weight[:, 4 * number : 4 * number + 4, y, x].T  # GLSL counts by columns
                lines.append(f"    sum += mat4({_numbers(four)}) * tap({x - 1}.0, {y - 1}.0);")
        lines.append("#undef tap")
    return f"""\
vec4 hook() {{
    vec2 at = gl_FragCoord.xy + 1.0;
    vec4 sum = vec4({_numbers(bias)});
{_lines(lines)}
    return {result};
}}"""


def _shuffle(r: int, sources: list[str]) -> str:
    """Return the body of the pass that shuffles the channels, four per source, into pixels."""
    choice = "".join(
        f"number < {4 * count}.0 ? {name}_tex(place) : "
        for count, name in enumerate(sources[:-1], 1)
    )
    return f"""\
vec4 hook() {{
    vec2 pixel = floor(gl_FragCoord.xy / {r}.0);
    vec2 within = floor(gl_FragCoord.xy) - {r}.0 * pixel;
    vec2 place = (pixel + 0.5) * {sources[0]}_pt;
    float number = {r}.0 * within.y + within.x + 0.5;
    vec4 four = {choice}{sources[-1]}_tex(place);
    vec4 each = vec4(0.5, 1.5, 2.5, 3.5) + 4.0 * floor(0.25 * number);
    return vec4(dot(four, vec4(equal(each, vec4(number)))), 0.0, 0.0, 1.0);
}}"""


def _activated(network: ESPCN, place: str) -> str:
    return ACTIVATIONS[network.activation] + _inside(network, place)


def _inside(network: ESPCN, place: str) -> str:
    """Return a factor that is 0 beyond the border if the network pads every layer with zeros."""
    return f" * float({place} == clamp({place}, 0.0, 1.0))" if network.padding == "zeros" else ""


def _either(values: Tensor) -> str:
    return f"(left ? vec4({_numbers(values[:4])}) : vec4({_numbers(values[4:])}))"


def _numbers(values: Tensor) -> str:
    return ", ".join(f"{value:.6g}" for value in values.flatten().tolist())


def _lines(lines: list[str]) -> str:
    return "\n".join(lines)


def _check(network: ESPCN, text: str) -> str:
    """Return how a shader was checked on a frame of noise, or why it was not."""
    height, width = CHECKED_SIZE
    frame = torch.full((3, height, width), 128)
    frame[0] = torch.randint(16, 236, CHECKED_SIZE, generator=torch.Generator().manual_seed(0))
    try:
        large = render(frame.numpy(), network.r, text)
        checker = f"libplacebo in FFmpeg {version()}"
    except Unavailable as error:
        return f"not checked: {error}"
    with torch.no_grad():
        expected = quantize(255 * network(frame[None, :1] / 255)[0, 0])
    found = psnr(torch.from_numpy(large[0]), expected, data_range=PEAK)
    if found < LEAST_PSNR:
        raise ValueError(
            f"{checker} must be at least {LEAST_PSNR:g} dB from PyTorch, but is {found:.1f}: "
            "nothing written"
        )
    return f"checked by {checker}"
