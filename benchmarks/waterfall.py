"""From the notebook to the best recipe, one change after the other, each trained equally long.

    OMP_NUM_THREADS=1 python benchmarks/waterfall.py

Each step keeps the changes of those before it. Trains on T91, seed 0; scored on luma by the
benchmark's protocol. The last step's cosine needs a length in epochs: 4 took about as long as the
others on the machine of RESULTS.md. Steps that are finished are not trained again. Writes
results/waterfall.csv; `python benchmarks/draw.py` draws it.
"""

import argparse
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir

from espcn.io.atomic import write_csv
from espcn.report.tables import table
from espcn.runs.identity import digest, plain_settings
from espcn.runs.resolvers import register_resolvers
from espcn.training.train import train

ROOT = Path(__file__).resolve().parent.parent
STEPS: dict[str, list[str]] = {
    "the notebook": ["experiment=notebook", "snapshot_every=null"],
    "float32": ["trainer.precision=32-true"],
    "luma instead of RGB": ["channels=1"],
    "bicubic as the benchmark, whole images": [
        "blur=0", "downsample=bicubic", "data.degrade=image", "data.split=image",
        "data.val_fraction=0.1",
    ],
    "batches of 16": ["batch_size=16"],
    "Adam": ["optim=adam", "lr=0.001"],
    "the border repeated, no zeros inside": ["padding=replicate"],
    "the input centred": ["center=0.45", "gain=5"],
    "SOAP": ["optim=soap", "lr=0.003"],
    "flips and transposes": ["data.augment=true"],
    "five sizes of each image": ["data.scales=[1,0.9,0.8,0.7,0.6]"],
    "average of the weights": ["averaging=0.999"],
    "each patch's root, batches of 32, cosine": [
        "loss=rmse", "batch_size=32", "schedule=cosine", "lr_end=1e-5", "data.stride=8",
        "max_epochs=4",
    ],
}  # fmt: skip


def main() -> None:
    """Train each step; print the table as it grows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=45, help="of training a step (45)")
    parser.add_argument(
        "--runs", type=Path, default=ROOT / "outputs/waterfall", help="their folder"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder (results)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    register_resolvers()
    rows: list[dict[str, Any]] = []
    overrides = ["data=t91", f"max_time={options.seconds}"]
    for name, changes in STEPS.items():
        names = {change.partition("=")[0] for change in changes}
        overrides = [old for old in overrides if old.partition("=")[0] not in names] + changes
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = compose("train", overrides)
        print(f"\n{len(rows)}. {name}", flush=True)
        settings = plain_settings(config)
        result = train(settings, options.runs / digest(settings))
        if result["status"] != "completed":
            raise SystemExit(f"{name}: {result['status']}: {result['error']}")
        row = {"step": name, "changes": " ".join(changes)} | result["psnr"]
        rows.append(row | {"epochs": result["epochs"], "train_s": result["train_s"]})
    write_csv(options.output / "waterfall.csv", rows, digits=6)
    print("\n" + table([{k: v for k, v in row.items() if k != "changes"} for row in rows]))


if __name__ == "__main__":
    main()
