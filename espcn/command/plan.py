"""Plan the work: which files are upscaled, and where each result is written."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espcn.command.job import Job, stamp
from espcn.command.records import Standing
from espcn.files import visible_files
from espcn.io.containers import CONTAINERS, VIDEO_SUFFIXES
from espcn.io.reading import SUFFIXES
from espcn.io.writing import FORMATS
from espcn.upscaling.size import ENDINGS

MAX_NAME_BYTES = 255  # of a file name, on common file systems
_RESULT_STEM = re.compile(rf"(.+){ENDINGS.pattern}")


@dataclass
class Plan:
    """What the command will do.

    Attributes:
        jobs: Files to upscale.
        existing: Files that are skipped because their results exist.
        outdated: Those of `jobs` whose results exist but are redone, by the result of `judge`.
        earlier_results: Inputs that are skipped because their names show that they are results of
            other inputs.
        problems: One message for each input that can't be upscaled.
        single: Whether it is for one file that was given by name.
    """

    jobs: list[Job] = field(default_factory=list)
    existing: list[Job] = field(default_factory=list)
    outdated: dict[Standing, list[Job]] = field(default_factory=dict)
    earlier_results: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    single: bool = False


def plan(
    inputs: Sequence[str],
    ending: str,
    output: str | None = None,
    overwrite: bool = False,
    shard: tuple[int, int] = (0, 1),
    kind: str | None = None,
    stills: bool = False,
    judge: Callable[[Job], Standing] = lambda job: Standing.KEPT,
) -> Plan:
    """Find the pictures and videos in files and folders, and name the target of each.

    The result of `a.jpg` is `a_x3.jpg`, with the ending `_x3`, beside it or in the folder `output`,
    which keeps the subfolders of the inputs. An `a_x3.jpg` is skipped if the inputs contain an
    `a.jpg`, as is one with another default ending.

    Args:
        inputs: Paths of files and folders.
        ending: The ending of the results' names, before the dot.
        output: The output folder or, for a single file, the result's path.
        overwrite: Replace existing results.
        shard: (i, n) selects every n-th file from the i-th on, including existing results.
        kind: The format of the results, as a file suffix such as `png`; it applies to pictures if
            it is a picture format, and to videos if it is a video format. By default results keep
            the sources' format.
        stills: Results are pictures, even for videos, by default PNG.
        judge: Returns the standing of an existing result.

    Returns:
        The plan.

    Raises:
        ValueError: `output` or `kind` does not suit the inputs, `kind` can't be written, or
            `ending` can't be part of a name.
    """
    made = Plan()
    suffix = _suffix(kind or "png") if kind is not None or stills else None
    places = _find(inputs, output, made)
    sources = {place.with_suffix("") for place in places.values()}
    _check_ending(ending)
    made.earlier_results = [
        path for path, place in places.items() if _is_result(place, sources, ending)
    ]
    # Files that keep their format come first, so that a GIF can't take the name of a PNG.
    files = sorted(
        set(places) - set(made.earlier_results), key=lambda path: (not is_writable(path), path)
    )
    folder = next(filter(os.path.isdir, inputs), None)
    made.single = len(files) == 1 and folder is None
    named = output is not None and _is_file_name(output, len(files), folder)
    if named and kind is not None:
        raise ValueError(
            f"`--format` (={kind}) must be left out where -o (={output}) names the file itself"
        )
    if suffix is not None and files and not any(_takes(one, suffix, stills) for one in files):
        what, remedy = ("videos", "png") if suffix in CONTAINERS else ("pictures", "mkv")
        raise ValueError(
            f"`--format` (={kind}) is for {what}, but there are none among the files: use "
            f"{remedy}, for example"
        )
    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    for source in files:
        target = (
            Path(output or "")
            if named
            else _target(source, places[source], ending, output, suffix, stills)
        )
        job, real = Job(source, target, stamp(target)), target.resolve()
        if not _takes(source, target.suffix.lower(), stills):
            rule = f"{'video' if job.is_video else 'picture'}, as {source} is"
            rule = "picture, as previews are" if stills else rule
            made.problems.append(f"{target} must be a {rule}")
        elif real == source.resolve():
            made.problems.append(f"{source} would overwrite itself: choose another target with -o")
        elif len(os.fsencode(target.name)) > MAX_NAME_BYTES:
            made.problems.append(
                f"the result of {source} would have a name of over {MAX_NAME_BYTES} bytes, "
                f"{target.name}: rename the source"
            )
        elif real in taken:
            made.problems.append(
                f"{source} would be written to {target}, as would {taken[real]}: rename one of them"
            )
        else:
            taken[real] = source
            jobs.append(job)
    for job in jobs[shard[0] :: shard[1]]:
        known = None if job.existing is None or overwrite else judge(job)
        if known == Standing.ANOTHER:
            made.problems.append(
                f"{job.target} was made from a different file than {job.source}: choose another "
                "target with -o, or use --overwrite"
            )
            continue
        if known not in (None, Standing.KEPT):
            made.outdated.setdefault(known, []).append(job)
        (made.existing if known == Standing.KEPT else made.jobs).append(job)
    return made


def _is_file_name(output: str, count: int, folder: str | None) -> bool:
    """Return whether `output` names a file rather than a folder, given the number of files."""
    path = Path(output)
    if not output or path.is_dir() or output.endswith(("/", os.sep)):
        if not output:
            raise ValueError(
                "`-o` must name a folder or, for a single file, the result; it is empty"
            )
        return False
    if is_writable(path) and (count > 1 or folder is not None):
        why = "for several files" if folder is None else f"for a folder, {folder}"
        instead = f"-o {path.with_suffix('')}/ --format {path.suffix.removeprefix('.')}"
        raise ValueError(f"`-o` (={output}) must be a folder and not a file {why}: use {instead}")
    if path.suffix and count == 1 and folder is None and not is_writable(path):
        raise ValueError(
            f"`-o` (={output}) must end in {' '.join([*FORMATS, *CONTAINERS])}, or in / to name a "
            "folder"
        )
    return is_writable(path)


def is_writable(path: Path) -> bool:
    """Return whether a file's suffix names a format that can be written.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether it does.
    """
    return path.suffix.lower() in FORMATS or path.suffix.lower() in CONTAINERS


def _find(inputs: Sequence[str], output: str | None, made: Plan) -> dict[Path, Path]:
    """Return the path of each input file, once, with its path relative to the input folder."""
    found: dict[Path, tuple[Path, Path]] = {}
    for name in inputs:
        path = Path(name)
        try:
            if path.is_dir():
                inside = list(_inside(path, output, made))
                if not inside:
                    made.problems.append(
                        f"{path} contains no pictures or videos, nor do its subfolders"
                    )
            elif not path.is_file():
                raise ValueError(f"{path} must be an existing file or folder")
            elif not _is_known(path):
                raise ValueError(
                    f"{path} must be a picture or a video with one of these suffixes: {_suffixes()}"
                )
            else:
                inside = [(path, Path(path.name))]
        except ValueError as error:
            made.problems.append(str(error))
        except OSError as error:
            made.problems.append(f"{path} can't be accessed: {error.strerror}")
        else:
            for file, place in inside:
                found.setdefault(file.resolve(), (file, place))
    return dict(found.values())


def _inside(folder: Path, output: str | None, made: Plan) -> Iterator[tuple[Path, Path]]:
    """Yield the pictures and videos of a folder and its subfolders, except the output folder."""
    out = Path(output).resolve() if output is not None else None

    def note(error: OSError) -> None:
        made.problems.append(f"{error.filename} can't be listed: {error.strerror}")

    for path in visible_files(folder, note, lambda one: one.resolve() != out):
        if _is_known(path) and path.is_file():
            yield path, path.relative_to(folder)


def _suffix(kind: str) -> str:
    """Return a format's suffix, with its dot."""
    suffix = f".{kind.lower().removeprefix('.')}"
    if not is_writable(Path(f"a{suffix}")):
        known = " ".join(one.removeprefix(".") for one in [*FORMATS, *CONTAINERS])
        raise ValueError(f"`--format` (={kind}) must be one of {known}")
    return suffix


def _target(
    source: Path, place: Path, ending: str, output: str | None, suffix: str | None, stills: bool
) -> Path:
    instead = ".mkv" if _is_video(source) else ".png"
    kept = source.suffix if is_writable(source) or _is_moving_gif(source) else instead
    name = f"{source.stem}{ending}{suffix if suffix and _takes(source, suffix, stills) else kept}"
    return source.with_name(name) if output is None else Path(output) / place.with_name(name)


def _is_moving_gif(source: Path) -> bool:
    """Return whether a GIF is animated; a still one becomes a PNG."""
    if source.suffix.lower() != ".gif":
        return False
    from espcn.io.reading import is_animation

    return is_animation(source)


def _takes(source: Path, suffix: str, stills: bool) -> bool:
    """Return whether a suffix suits a file's result, as a picture or a video."""
    return (_is_video(source) and not stills) == (suffix in CONTAINERS)


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or _is_video(path)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_result(place: Path, sources: set[Path], ending: str) -> bool:
    """Return whether a file is named like a result of one of the sources (without suffixes).

    It may be next to its source, or at the same place within a folder of results.
    """
    match = _RESULT_STEM.fullmatch(place.stem)
    names = [match[1]] if match is not None else []
    named = place.stem.removesuffix(ending)
    if named not in ("", place.stem):
        names.append(named)
    folders = place.parent.parts
    return any(
        Path(*folders[outer:], name) in sources
        for name in names
        for outer in range(len(folders) + 1)
    )


def _check_ending(given: str) -> None:
    if "/" in given or os.sep in given or "\0" in given:
        raise ValueError(f"`--suffix` (={given}) must be part of a file name: use _large")


def _suffixes() -> str:
    return " ".join(sorted(SUFFIXES) + sorted(VIDEO_SUFFIXES))
