r"""Compare what a network was trained on with what it upscales, on held-out images of T91.

python train.py -m experiment=finetune_x3 data.fold=0 data.folds=5 init=CLEAN max_epochs=7 \
    'jpeg=null,90,70,50,30,[30,95]' hydra.sweep.dir=SWEEP
python train.py -m experiment=finetune_video_x3 data.fold=0 data.folds=5 init=CLEAN max_epochs=4 \
    'h264=18,24,30,36,[18,36]' hydra.sweep.dir=SWEEP
python benchmarks/sources.py SWEEP

CLEAN is a run of experiment=best_x3 on the same fold. Each network of the sweep upscales the
held-out images from each source: clean, JPEGs, and frames of moving excerpts, which are a little
enlarged first, soft as videos often are. Writes results/sources.csv, gains over bicubic in dB.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from espcn.data.datamodule import PatchData
from espcn.data.patches import rescale
from espcn.evaluation.protocol import super_resolve
from espcn.imaging.color import to_channels
from espcn.imaging.degradation import Degradation
from espcn.imaging.downsampling import crop_to_multiple
from espcn.imaging.metrics import PEAK, crop_border, psnr, quantize
from espcn.imaging.resize import imresize
from espcn.io.atomic import write_csv
from espcn.network.model import ESPCN
from espcn.network.weights import load
from espcn.report.tables import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
STILLS = {"clean": Degradation()} | {f"JPEG {q}": Degradation(jpeg=q) for q in (90, 70, 50, 30)}
VIDEOS = {f"CRF {crf}": Degradation(h264=crf) for crf in (18, 24, 30, 36)}
ENLARGED = 1.2  # times, for videos


def samples(degradation: Degradation, images: list[Tensor], r: int) -> list[tuple[Tensor, Tensor]]:
    """Return each image's degraded version and itself."""
    return [(degradation(image, r), image) for image in images]


def gain(network: ESPCN, pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Return the mean gain over bicubic in dB."""
    r, gains = network.r, []
    for low, image in pairs:
        wanted = crop_border(image.double(), r)
        bicubic = quantize(imresize(low.double(), *image.shape[-2:]))
        output = quantize(super_resolve(network, low))
        gains.append(
            psnr(crop_border(output, r), wanted, data_range=PEAK)
            - psnr(crop_border(bicubic, r), wanted, data_range=PEAK)
        )
    return sum(gains) / len(gains)


def name_of(degradation: Degradation) -> str:
    """Return what a network was trained on, in the words of the table."""
    if not degradation.settings():
        return "clean"
    ((setting, value),) = degradation.settings().items()
    numbers = f"{value[0]} to {value[1]}" if isinstance(value, list) else f"{value}"
    return f"{'JPEG' if setting == 'jpeg' else 'CRF'} {numbers}"


def main() -> None:
    """Score every network of the sweep on every source."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sweep", type=Path, help="the folder of the sweep")
    folder = parser.parse_args().sweep
    trained = [load(ckpt=path.parent) for path in sorted(folder.glob("*/best.ckpt"))]
    r = trained[0].network.r
    data = PatchData("t91", r=r, fold=0, folds=5)
    data.prepare()
    images = [to_channels(pixels, 1) for pixels in data.val_set.images]
    plain = [crop_to_multiple(image, r) for image in images]
    soft = [crop_to_multiple(rescale(image, ENLARGED), r) for image in images]
    sources = {name: samples(one, plain, r) for name, one in STILLS.items()}
    sources |= {name: samples(one, soft, r) for name, one in VIDEOS.items()}
    rows: list[dict[str, Any]] = []
    for one in tqdm(sorted(trained, key=lambda one: _order(one.degradation))):
        gains = {name: gain(one.network, pairs) for name, pairs in sources.items()}
        rows.append({"trained": name_of(one.degradation)} | gains)
    write_csv(RESULTS / "sources.csv", rows, digits=4)
    print(table(rows))


def _order(degradation: Degradation) -> tuple[int, bool, float]:
    """Order by codec, single numbers first, from weak to strong compression."""
    settings = degradation.settings()
    if not settings:
        return 0, False, 0.0
    ((name, value),) = settings.items()
    is_range = isinstance(value, list)
    number = float(value[0] if is_range else value)
    return (1 if name == "jpeg" else 2), is_range, -number if name == "jpeg" else number


if __name__ == "__main__":
    with torch.inference_mode():
        main()
