"""Score the shipped weights for clean sources: PSNR in dB and SSIM on luma, as the field does.

python benchmarks/shipped.py

Writes results/shipped.csv: a row for each factor, weights and set, bicubic's figures beside
ours.
"""

import argparse
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from espcn.data.datasets import load_set
from espcn.evaluation.protocol import mean_score, score_set
from espcn.io.atomic import write_csv
from espcn.network.strengths import CLEAN, FINER, load_strength
from espcn.network.weights import factors
from espcn.report.tables import table

RESULTS = Path(__file__).resolve().parent.parent / "results"
SETS = ("Set5", "Set14", "BSD300", "BSD500")


def main() -> None:
    """Score factor by factor, set by set."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder (results)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for r, wanted, name in product(factors(), (CLEAN, FINER), SETS):
        network = load_strength(r, wanted)
        images = load_set(name)
        scored = score_set(network, images, with_ssim=True)
        title = f"x{r} {wanted.chain} {name}"
        scores = [one for one, _ in tqdm(scored, title, len(images), leave=False)]
        mean = mean_score(name, scores)
        row = {"r": r, "weights": wanted.chain, "set": name}
        row |= {"bicubic_psnr": mean.bicubic_psnr, "psnr": mean.psnr}
        rows.append(row | {"bicubic_ssim": mean.bicubic_ssim, "ssim": mean.ssim})
    write_csv(folder / "shipped.csv", rows, digits=6)
    print(table(rows, digits=4, settings=("r",)))


if __name__ == "__main__":
    main()
