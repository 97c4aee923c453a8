"""Publish the network of a finished run: folded, as safetensors, with its provenance.

python -m espcn.training.publish RUN_DIR FILE.safetensors [LICENCE]
"""

import argparse
import hashlib
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from espcn.network.weights import load, save_weights
from espcn.runs.directory import RESULT, read_result
from espcn.runs.identity import PLACES

LOCAL = ("init", "data.path", "sets")  # settings that may be paths on the machine that trained


def provenance(result: dict[str, Any]) -> dict[str, str]:
    """Return the provenance of the weights of a finished run.

    Args:
        result: The content of its result.json.

    Returns:
        Text by name, for the metadata of its weights.
    """
    colors = "luma, BT.601 studio range" if result["channels"] == 1 else "RGB"
    init = Path(str(result.get("init"))).name
    versions, epochs = result["versions"], f"{result['best_epoch']} of {result['epochs']} epochs"
    known = {
        "network": "ESPCN 5-3-3, 64-32 (Shi et al. 2016), center and gain folded into the weights",
        "input": f"{colors}, 0..1; the output is r times as high and wide, before rounding",
        "command": _without_folders(result["command"]),
        "commit": versions["commit"],
        "dataset": f"{result['dataset']}, {result['images']} images",
        "fingerprint": result["fingerprint"],
        "seed": str(result["seed"]),
        "psnr": json.dumps({k: v and round(v, 3) for k, v in result["psnr"].items()}),
        "init": result.get("init_fingerprint") and f"{init}, {result['init_fingerprint']}",
        "earlier": json.dumps(before) if (before := earlier(result)) else None,
        "encoders": result.get("encoders") and json.dumps(result["encoders"]),
        "psnr_matched": json.dumps(
            {k: v and round(v, 3) for k, v in result["psnr_matched"].items()}
        ),
        "training": f"{epochs}, {result['train_s']:.0f} s, {result['threads']} threads, "
        f"{result['device']}, torch {versions['torch']}",
    }
    return {name: value for name, value in known.items() if value is not None}


def earlier(result: dict[str, Any]) -> list[dict[str, str]]:
    """Return how the weights that a run began with were trained.

    Args:
        result: The content of its result.json.

    Returns:
        The command, the length and the commit of each training before this one, the oldest first;
        none for a run that began at random or with shipped weights, or with weights that have since
        been moved or changed, or whose run was never completed.
    """
    init = result.get("init")
    if init in (None, "shipped"):
        return []
    try:
        begun = load(result["r"], init)
    except (ValueError, OSError):
        return []
    if hashlib.sha256(begun.path.read_bytes()).hexdigest()[:16] != result["init_fingerprint"]:
        return []
    known = begun.metadata
    if not known:
        own = read_result(begun.path.parent)
        known = provenance(own) if own and own["status"] == "completed" else {}
    last: dict[str, str] = {
        name: known[name] for name in ("command", "training", "commit") if name in known
    }
    return [*json.loads(known.get("earlier", "[]")), last] if last else []


# An entry of a list, or a value that is none: quoted as Hydra allows, or up to a comma.
_ENTRY = r"""(?P<quote>['"])(?P<quoted>.*?)(?P=quote)|(?P<bare>[^\[\],'"]+)"""


def _name(entry: re.Match[str]) -> str:
    quote = entry["quote"] or ""
    path = entry["quoted"] or entry["bare"] or ""
    return f"{quote}{Path(path.strip()).name or path}{quote}"  # the root has no name


def _without_folders(command: str) -> str:
    """Return a command without PLACES, with the LOCAL paths reduced to names.

    Their folders mean nothing elsewhere.

    A list, as in `sets=[my/pictures,Set5]`, is reduced entry by entry.
    """
    words = []
    for word in shlex.split(command):
        name, equals, value = word.partition("=")
        if name.lstrip("+") in PLACES:
            continue
        if name.lstrip("+") in LOCAL and equals:
            word = f"{name}={re.sub(_ENTRY, _name, value)}"
        words.append(word if word == "&&" else shlex.quote(word))
    return " ".join(words)


def main() -> None:
    """Fold the network of a finished run and write it to a file."""
    parser = argparse.ArgumentParser(
        prog="python -m espcn.training.publish", description=__doc__.split("\n")[0]
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR", help="directory of a finished run")
    parser.add_argument(
        "path", type=Path, metavar="FILE.safetensors", help="where its folded network goes"
    )
    parser.add_argument(
        "licence", nargs="?", metavar="LICENCE", help="a word for the metadata, MIT for example"
    )
    given = parser.parse_args()
    run, path = given.run, given.path
    if not path.parent.is_dir():
        sys.exit(f"Error: the file (={path}) must be in a folder that exists: make {path.parent}")
    if path.suffix != ".safetensors":
        sys.exit(f"Error: the file (={path}) must end in .safetensors, by which it is known")
    try:
        result = read_result(run) if run.is_dir() else None
        if result is None or result["status"] != "completed":
            raise ValueError(f"{run} must be the directory of a finished run, with its {RESULT}")
        trained = load(ckpt=run)
        licence = {"licence": given.licence} if given.licence else {}
        about = provenance(result) | licence
        save_weights(trained.network, path, trained.degradation, about)
    except KeyError as error:
        sys.exit(f"Error: {run / RESULT} must say {error}, but is of an older version: run it anew")
    except (ValueError, OSError) as error:
        sys.exit(f"Error: {error}")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
