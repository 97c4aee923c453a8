"""Find how much the detail of a video counts when its weights are chosen, on clips and excerpts.

python benchmarks/detail.py CLIPS

CLIPS holds real clips that report nothing elsewhere. They are compressed themselves, so each is
made half as large first. Beside them stand moving excerpts of BSD200, which no weights for videos
have seen. Both are encoded, and PSNR is measured at every level of the chain: at the best, at the
one for the codec's number alone, and at the one for number and detail. Writes results/detail.csv.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from calibrate import STEP, VIDEOS, Sample, best_level, chain, curve, through_video, videos
from torch import Tensor
from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import BENCHMARK
from espcn.imaging.downsampling import crop_to_multiple
from espcn.io.atomic import write_csv
from espcn.network.strengths import strength
from espcn.report.tables import table

RESULTS = Path(__file__).parents[1] / "results"
FRAMES, EVERY = 60, 12  # of each clip, and of which one is scored
IMAGES = 20  # of BSD200, of which one is taken
CODECS: dict[str, Sequence[int]] = {"h264": (18, 23, 28, 33), "hevc": (18, 23, 28, 33),
                                    "vp9": (20, 30, 40, 50)}  # fmt: skip


def half_frames(clip: Path, r: int) -> list[Tensor]:
    """Return the luma of a clip's first frames at half their size, cropped to a multiple of 2r."""
    frames = []
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            planes = frame.reformat(format="yuv420p").to_ndarray()
            luma = torch.from_numpy(planes[: frame.height])[None]  # in its range
            frames.append(crop_to_multiple(BENCHMARK(crop_to_multiple(luma, 2), 2), 2 * r))
            if len(frames) == FRAMES:
                break
    return frames


def encoded(frames: Sequence[Tensor], codec: str, crf: int, r: int) -> list[Sample]:
    """Return some frames of a clip, made small and read from a video."""
    encoder, options, _ = VIDEOS[codec]
    small = [BENCHMARK(frame, r) for frame in frames]
    compression, read = through_video(small, encoder, options | {"crf": f"{crf}"})
    shown = range(EVERY // 2, len(frames), EVERY)
    return [(compression, read[k][None], frames[k].double()) for k in shown]


def measured(samples: Sequence[Sample], r: int) -> dict[str, Any]:
    """Return the levels and the PSNR of the three choices."""
    states = chain(r, "video")
    levels = STEP * np.arange(len(states))
    figures = curve(states, samples, r)
    found = [compression for compression, *_ in samples]
    plain = [replace(one, detail=None) for one in found]
    by = {name: float(np.mean([strength(r, one).level for one in kinds]))
          for name, kinds in (("number", plain), ("detail", found))}  # fmt: skip
    return {
        "number": float(np.mean([one.number for one in found])),
        "detail": float(np.mean([one.detail for one in found])),
        "best": best_level(figures),
        **{f"by_{name}": level for name, level in by.items()},
        "psnr_best": figures.max(),
        **{f"psnr_by_{name}": float(np.interp(x, levels, figures)) for name, x in by.items()},
    }


def sources(clips: Path, r: int, codec: str, crf: int) -> Iterator[tuple[str, list[Sample]]]:
    """Yield the name and the samples of each clip, and then those of the excerpts."""
    for clip in sorted(path for path in clips.iterdir() if path.is_file()):
        yield clip.stem, encoded(half_frames(clip, r), codec, crf, r)
    images = [crop_to_multiple(to_channels(one, 3), r) for one in load_set("BSD200").images]
    yield "excerpts", list(videos(codec, crf, images[::IMAGES], r))


def main() -> None:
    """Measure all factors and codecs, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="a folder of clips")
    parser.add_argument("-r", type=int, nargs="+", default=(2, 3, 4), help="factors (2 3 4)")
    parser.add_argument("--codecs", nargs="+", default=list(CODECS), choices=CODECS, help="(all)")
    given = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for r in given.r:
        for codec in given.codecs:
            for crf in tqdm(CODECS[codec], f"r = {r}, {codec}"):
                for name, samples in sources(given.clips, r, codec, crf):
                    rows.append({"r": r, "source": name, "codec": codec, "crf": crf}
                                | measured(samples, r))  # fmt: skip
                    write_csv(RESULTS / "detail.csv", rows, digits=5)
    print(table(rows, digits=2, settings=("r", "crf")))


if __name__ == "__main__":
    main()
