"""Write a model card for each set of shipped weights, beside them, as model hubs read it.

python benchmarks/cards.py

A set is what serves one factor and kind of source: the clean weights, the finer ones, the chain
for JPEGs, the chain for videos. Its card is made from what the files say of themselves and from
the tables in results/.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from espcn.io.atomic import write_text
from espcn.network.strengths import SHIPPED, links
from espcn.network.weights import Trained, factors, load

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"
KINDS = ("clean", "finer", "jpeg", "video")
PURPOSES = {
    "clean": "clean sources",
    "finer": "clean photographs",
    "jpeg": "JPEGs and WebP",
    "video": "compressed videos",
}
TRAINING = {
    "clean": "T91's 91 images made small by MATLAB's bicubic; no test set chose anything.",
    "finer": "T91's 91 images and the 200 of BSD200, made small by MATLAB's bicubic, from the "
    "clean\nweights on; no test set chose anything.",
    "jpeg": "T91's 91 images, made small and saved as JPEGs: the links of a chain, each fine-tuned "
    "from the\nclean weights. Between two links the weights may be mixed along a straight line.",
    "video": "T91's 91 images as moving excerpts, made small and encoded by x264: the links of a "
    "chain, each\nfine-tuned from the one before, the first from the clean weights. Between two "
    "links the weights\nmay be mixed along a straight line.",
}
PROTOCOLS = {
    "clean": "PSNR and SSIM on luma, borders of r pixels cropped, sources made small by MATLAB's "
    "bicubic:\n`benchmarks/shipped.py`.",
    "finer": "PSNR and SSIM on luma, borders of r pixels cropped, sources made small by MATLAB's "
    "bicubic:\n`benchmarks/shipped.py`.",
    "jpeg": "Set14, sources saved as colour JPEGs, the strength chosen by the file: "
    "`benchmarks/real.py`.",
    "video": "Three clips encoded by x264, the strength chosen by the file: `benchmarks/real.py`.",
}
LIMITS = {
    "clean": "Compressed sources: on JPEGs of quality 60 and less it is no better than bicubic. "
    "There are weights\n  for them beside it.",
    "finer": "Compressed sources: on JPEGs of quality 60 and less it is no better than bicubic. "
    "There are weights\n  for them beside it.",
    "jpeg": "Clean sources, on which the clean weights are better.",
    "video": "Clean sources, on which the clean weights are better.",
}
COMMON_LIMITS = (
    "Noise, blur, scratches, or sources that were enlarged before: it removes none of them.",
    "Inventing detail, as large generative networks do; and whatever must not rest on detail that "
    "an\n  algorithm has guessed: evidence, diagnosis, identification.",
)


def rows_of(table: str, r: int) -> list[dict[str, str]]:
    """Return the rows of a table in results/ that are about a factor."""
    with (RESULTS / f"{table}.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["r"]) == r]


def figures(kind: str, r: int) -> dict[str, Any]:
    """Return the columns, rows and scores of a card."""
    if kind in ("clean", "finer"):
        found = [row for row in rows_of("shipped", r) if row["weights"] == kind]
        columns = ["set", "bicubic, dB", "this, dB", "bicubic, SSIM", "this, SSIM"]
        names = ("bicubic_psnr", "psnr", "bicubic_ssim", "ssim")
        where, source, psnr, ssim = "set", "", "psnr", "ssim"
    elif kind == "jpeg":
        found = [row for row in rows_of("real_pictures", r) if row["set"] == "Set14"]
        columns = ["quality", "bicubic, dB", "this, dB", "bicubic, SSIM", "this, SSIM"]
        names = ("bicubic", "auto", "bicubic_ssim", "auto_ssim")
        where, source, psnr, ssim = "set", "JPEG {quality}", "auto", "auto_ssim"
    else:
        found = [row for row in rows_of("real_videos", r) if row["codec"] == "libx264"]
        columns = ["clip, CRF", "bicubic, dB", "this, dB", "bicubic, SSIM", "this, SSIM"]
        names = ("bicubic", "auto", "bicubic_ssim", "auto_ssim")
        where, source, psnr, ssim = "clip", "x264, CRF {crf}", "auto", "auto_ssim"
    first = {"clean": "{set}", "finer": "{set}", "jpeg": "{quality}", "video": "{clip}, {crf}"}[
        kind
    ]
    digits = (2, 2, 4, 4)
    return {
        "columns": columns,
        "rows": [
            [first.format(**row)]
            + [f"{float(row[name]):.{places}f}" for name, places in zip(names, digits, strict=True)]
            for row in found
        ],
        "scores": [
            {"set": row[where], "source": source.format(**row),
             "psnr": float(row[psnr]), "ssim": float(row[ssim])}
            for row in found
        ],
    }  # fmt: skip


def about(name: str, trained: Trained) -> list[dict[str, str]]:
    """Return what a file says of its trainings, the oldest first."""
    said = trained.metadata
    settings = trained.degradation.settings()
    words = ", ".join(f"{key} {value}" for key, value in settings.items()) or "bicubic"
    return [
        {
            "name": name, "dataset": said["dataset"], "degradation": words,
            "training": one["training"].replace(" 1 threads", " 1 thread"),
            "command": one["command"], "commit": one["commit"],
        }
        for one in (*json.loads(said.get("earlier", "[]")), said)
    ]  # fmt: skip


def card(kind: str, r: int) -> tuple[str, str]:
    """Return the name of a set of weights, and its card."""
    chosen = {link: path for link, path in links(r).items() if link.rstrip("0123456789") == kind}
    files = {path.name: load(r, path) for path in chosen.values()}
    name = f"espcn_x{r}" if kind == "clean" else f"espcn_x{r}_{kind}"
    templates = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, keep_trailing_newline=True,
        autoescape=False,  # it is text
    )  # fmt: skip
    network = next(iter(files.values())).network
    text = templates.get_template("card.md.jinja").render(
        name=name, r=r, purpose=f"for {PURPOSES[kind]}", training=TRAINING[kind],
        weights=sum(one.numel() for one in network.parameters()), count=len(files),
        trainings=[one for file, trained in files.items() for one in about(file, trained)],
        protocol=PROTOCOLS[kind], limits=[LIMITS[kind], *COMMON_LIMITS], **figures(kind, r),
    )  # fmt: skip
    return name, text


def main() -> None:
    """Write all cards."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=SHIPPED, help="folder (beside the weights)")
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    for r in factors():
        for kind in KINDS:
            name, text = card(kind, r)
            write_text(folder / f"{name}.md", text)
            print(folder / f"{name}.md")


if __name__ == "__main__":
    main()
