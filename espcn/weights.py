"""The shipped weights: folded networks as safetensors, each with where it comes from.

python -m espcn.weights RUN_DIR           # fold a finished run's best.ckpt and ship it
python -m espcn.weights RUN_DIR my.safetensors
"""

import json
import sys
from pathlib import Path
from typing import Any

from safetensors.torch import save

from espcn.checkpoint import load_network
from espcn.files import whole_file
from espcn.model import ESPCN
from espcn.runs import RESULT, read_result

SHIPPED = Path(__file__).parent / "pretrained"
LICENCE = "MIT"  # trained by us, as the code is written by us; none of the pictures is in them


def shipped(r: int) -> Path:
    """Give the file of the weights for a factor; a ValueError if there are none."""
    path = SHIPPED / f"espcn_x{r}.safetensors"
    if not path.is_file():
        there = sorted(file.stem.removeprefix("espcn_x") for file in SHIPPED.glob("*.safetensors"))
        raise ValueError(
            f"`r` (={r}) must be a factor that there are weights for ({', '.join(there)}): take "
            f"one of them, or train your own with `python train.py r={r}` and give `ckpt`"
        )
    return path


def save_weights(
    network: ESPCN, path: Path, settings: dict[str, Any], provenance: dict[str, str]
) -> None:
    """Write a network, folded, as float32 safetensors.

    The metadata, all text, are what is needed to build the network again (`settings` as
    `load_network` gives them, without `center` and `gain`, which are folded away) and `provenance`.
    """
    kept = ("r", "channels", "activation", "padding", "blur", "downsample")
    metadata = {name: str(settings[name]) for name in kept} | provenance
    folded = network.double().fold().float()  # in float64, so that folding rounds but once
    tensors = {name: value.contiguous() for name, value in folded.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as part:
        part.write_bytes(save(tensors, metadata))


def provenance(result: dict[str, Any]) -> dict[str, str]:
    """Give where a finished run's weights come from, from its result.json."""
    versions = result["versions"]
    return {
        "network": "ESPCN 5-3-3, 64-32 (Shi et al. 2016), center and gain folded into the weights",
        "input": "luma 0..1, BT.601 studio range; output r times as high and wide, before rounding",
        "command": str(result["command"]),
        "commit": str(versions["commit"]),
        "dataset": f"{result['dataset']}, {result['images']} images",
        "fingerprint": str(result["fingerprint"]),
        "seed": str(result["seed"]),
        "psnr": json.dumps({name: round(value, 3) for name, value in result["psnr"].items()}),
        "training": f"{result['epochs']} epochs, {result['train_s']:.0f} s, {result['threads']} "
        f"threads, {result['device']}, torch {versions['torch']}",
        "licence": LICENCE,
    }


def main() -> None:
    """Fold the weights of a finished run and write them where they are shipped from."""
    if len(sys.argv) not in (2, 3) or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m espcn.weights RUN_DIR [FILE.safetensors]")
    run = Path(sys.argv[1])
    result = read_result(run)
    if result is None or result["status"] != "completed":
        sys.exit(f"Error: {run} must be the directory of a finished run, with its {RESULT}")
    try:
        network, settings = load_network(run)
        path = Path(sys.argv[2]) if len(sys.argv) == 3 else SHIPPED / f"espcn_x{network.r}"
        path = path.with_suffix(".safetensors")
        save_weights(network, path, settings, provenance(result))
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
