"""Weights for others to use: folded networks as safetensors, each with where it comes from.

python -m espcn.weights RUN_DIR FILE.safetensors [LICENCE]

folds a finished run's best network. The shipped weights, one file for each factor, are such files.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save

from espcn.checkpoint import load_network
from espcn.files import whole_file
from espcn.model import ESPCN
from espcn.runs import RESULT, read_result

SHIPPED = Path(__file__).parent / "pretrained"


def factors() -> list[int]:
    """Give the factors that there are shipped weights for."""
    return sorted(int(path.stem.removeprefix("espcn_x")) for path in SHIPPED.glob("*.safetensors"))


def shipped(r: int) -> Path:
    """Give the file of the shipped weights for a factor; a ValueError if there are none."""
    if r not in factors():
        there = ", ".join(map(str, factors()))
        raise ValueError(
            f"`r` (={r}) must be a factor that there are weights for ({there}): take one of them, "
            f"or train your own with `python train.py r={r}` and give `ckpt`"
        )
    return SHIPPED / f"espcn_x{r}.safetensors"


def load(
    r: int | None = None, ckpt: str | Path | None = None
) -> tuple[ESPCN, dict[str, Any], Path]:
    """Give the network at `ckpt`, or else the shipped one for `r`, 3 if not given.

    With it come the settings it was trained with and the file it is from, as `load_network` reads
    it. Raises a ValueError if the factor at `ckpt` is not `r`.
    """
    path = Path(shipped(3 if r is None else r) if ckpt is None else ckpt)
    network, trained = load_network(path)
    if r not in (None, network.r):
        raise ValueError(
            f"`r` (={r}) must be the factor of `ckpt` ({network.r}): leave it out, or give the "
            "checkpoint of another factor"
        )
    return network, trained, path


def metadata(path: Path) -> dict[str, str]:
    """Give what a safetensors file says of itself."""
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def save_weights(
    network: ESPCN, path: Path, settings: dict[str, Any], provenance: dict[str, str]
) -> None:
    """Write a network, folded, as float32 safetensors.

    The metadata, all text, are what is needed to build the network again (`settings` as
    `load_network` gives them, without `center` and `gain`, which are folded away) and `provenance`.
    """
    kept = ("r", "channels", "activation", "padding", "blur", "downsample")
    about = {name: str(settings[name]) for name in kept} | provenance
    # In float64, so that folding rounds but once.
    folded = copy.deepcopy(network).double().fold().float()
    tensors = {name: value.contiguous() for name, value in folded.state_dict().items()}
    with whole_file(path) as part:
        part.write_bytes(save(tensors, about))


def provenance(result: dict[str, Any]) -> dict[str, str]:
    """Give where a finished run's weights come from, from its result.json."""
    colors = "luma, BT.601 studio range" if result["channels"] == 1 else "RGB"
    versions, epochs = result["versions"], f"{result['best_epoch']} of {result['epochs']} epochs"
    known = {
        "network": "ESPCN 5-3-3, 64-32 (Shi et al. 2016), center and gain folded into the weights",
        "input": f"{colors}, 0..1; the output is r times as high and wide, before rounding",
        "command": result["command"],
        "commit": versions["commit"],
        "dataset": f"{result['dataset']}, {result['images']} images",
        "fingerprint": result["fingerprint"],
        "seed": str(result["seed"]),
        "psnr": json.dumps({k: v and round(v, 3) for k, v in result["psnr"].items()}),
        "training": f"{epochs}, {result['train_s']:.0f} s, {result['threads']} threads, "
        f"{result['device']}, torch {versions['torch']}",
    }
    return {name: value for name, value in known.items() if value is not None}


def main() -> None:
    """Fold the network of a finished run and write it to a file."""
    if len(sys.argv) not in (3, 4) or sys.argv[1].startswith("-"):
        sys.exit(
            "usage: python -m espcn.weights RUN_DIR FILE.safetensors [LICENCE]    (the folder of "
            "a finished run; where its folded network goes; a word for the metadata, say MIT)"
        )
    run, path = Path(sys.argv[1]), Path(sys.argv[2])
    if not path.parent.is_dir():
        sys.exit(f"Error: the file (={path}) must be in a folder that exists: make {path.parent}")
    if path.suffix != ".safetensors":
        sys.exit(f"Error: the file (={path}) must end in .safetensors, by which it is known")
    try:
        result = read_result(run) if run.is_dir() else None
        if result is None or result["status"] != "completed":
            raise ValueError(f"{run} must be the directory of a finished run, with its {RESULT}")
        network, settings = load_network(run)
        licence = {"licence": sys.argv[3]} if len(sys.argv) == 4 else {}
        save_weights(network, path, settings, provenance(result) | licence)
    except KeyError as error:
        sys.exit(f"Error: {run / RESULT} must say {error}, but is of an older version: run it anew")
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
