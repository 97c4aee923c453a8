"""Fuzz our own parsers by the branches that inputs reach: of VP8, JPEG, segments and weights.

    pip install atheris                      # Linux, CPython 3.11 to 3.13
    python -m robustness.guided -atheris_runs=100000

A parser must return what it says it does, or raise what it says it may. All else ends the run, and
libFuzzer writes the input beside.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["espcn"]):
    from espcn.imaging.jpeg_traces import table_quality
    from espcn.io.quantizers import jpeg_table
    from espcn.io.vp8 import webp_index
    from espcn.network.weights import load
    from espcn.video.segments import Segments

from robustness.materials import make_files

FOLDER = Path(tempfile.mkdtemp())


def vp8(content: bytes) -> None:
    """Read the quantiser of a WebP."""
    index = webp_index(content)
    assert index is None or 0 <= index <= 127


def jpeg(content: bytes) -> None:
    """Read the quality of a JPEG."""
    table = jpeg_table(content)
    assert table is None or (table.shape == (8, 8) and 1 <= table_quality(table) <= 100)


def segment(content: bytes) -> None:
    """Read a segment of a video."""
    segments = Segments(FOLDER / "segments")
    (FOLDER / "segments").mkdir(exist_ok=True)
    (FOLDER / "segments/000000").write_bytes(content)
    if segments.count():
        list(segments.read(0))


def weights(content: bytes) -> None:
    """Read weights, or a checkpoint."""
    path = FOLDER / ("a.ckpt" if content[:2] == b"PK" else "a.safetensors")
    path.write_bytes(content)
    try:
        load(ckpt=path)
    except ValueError as error:
        assert str(path) in str(error)  # noqa: PT017, there is no pytest here


PARSERS = (vp8, jpeg, segment, weights)


def one_input(data: bytes) -> None:
    """Give what follows the first byte to the parser that it names."""
    if data:
        PARSERS[data[0] % len(PARSERS)](data[1:])


def main() -> None:
    """Begin with whole files of each format."""
    corpus = FOLDER / "corpus"
    corpus.mkdir()
    files = make_files()
    begun = {"plain.webp": vp8, "plain.jpg": jpeg, "progressive.jpg": jpeg,
             "shipped.safetensors": weights, "run.ckpt": weights}  # fmt: skip
    for name, parser in begun.items():
        (corpus / name).write_bytes(bytes([PARSERS.index(parser)]) + files[name])
    writer = Segments(FOLDER / "segments").write(0)
    writer.finish()
    made = (FOLDER / "segments/000000").read_bytes()
    (corpus / "segment").write_bytes(bytes([PARSERS.index(segment)]) + made)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[1:]], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
