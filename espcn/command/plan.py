"""Plan the work: which files are upscaled, and where each result is written."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espcn.command.job import Job, stamp
from espcn.command.naming import Naming
from espcn.command.records import Standing
from espcn.files import visible_files
from espcn.io.containers import CONTAINERS, VIDEO_SUFFIXES, is_video
from espcn.io.reading import SUFFIXES

MAX_NAME_BYTES = 255  # of a file name, on common file systems


@dataclass
class Plan:
    """What the command will do.

    Attributes:
        jobs: Files to upscale.
        existing: Files that are skipped because their results exist.
        outdated: Those of `jobs` whose results exist but are redone, by the result of `judge`.
        earlier_results: Inputs that are skipped because their names show that they are results of
            other inputs.
        other_kinds: The number of files in folders that are left out, by their suffixes, since they
            are neither pictures nor videos of a known kind.
        problems: One message for each input that can't be upscaled.
        single: Whether it is for one file that was given by name.
    """

    jobs: list[Job] = field(default_factory=list)
    existing: list[Job] = field(default_factory=list)
    outdated: dict[Standing, list[Job]] = field(default_factory=dict)
    earlier_results: list[Path] = field(default_factory=list)
    other_kinds: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    single: bool = False


def plan(
    inputs: Sequence[str],
    naming: Naming,
    overwrite: bool = False,
    shard: tuple[int, int] = (0, 1),
    judge: Callable[[Job], Standing] = lambda job: Standing.KEPT,
) -> Plan:
    """Find the pictures and videos in files and folders, and name the target of each.

    The result of `a.jpg` is `a_x3.jpg`, with the ending `_x3`, beside it or in the output folder,
    which keeps the subfolders of the inputs. An `a_x3.jpg` is skipped if the inputs contain an
    `a.jpg`, as is one with another default ending.

    Args:
        inputs: Paths of files and folders.
        naming: How results are named.
        overwrite: Replace existing results.
        shard: (i, n) selects every n-th file from the i-th on, including existing results.
        judge: Returns the standing of an existing result.

    Returns:
        The plan.

    Raises:
        ValueError: The naming does not suit the inputs.
    """
    made = Plan()
    places = _find(inputs, naming.output, made)
    sources = {place.with_suffix("") for place in places.values()}
    made.earlier_results = [
        path for path, place in places.items() if naming.is_result(place, sources)
    ]

    def changes(path: Path) -> bool:
        return naming.target(path, places[path]).suffix != path.suffix

    # Files that keep their format come first, so that a GIF can't take the name of a PNG.
    files = sorted(set(places) - set(made.earlier_results), key=lambda path: (changes(path), path))
    folder = next(filter(os.path.isdir, inputs), None)
    made.single = len(files) == 1 and folder is None
    jobs = _jobs({path: places[path] for path in files}, naming, folder, made)
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


def _jobs(places: dict[Path, Path], naming: Naming, folder: str | None, made: Plan) -> list[Job]:
    """Name the target of each file; note those whose result can't be written there."""
    named = naming.names_file(list(places), folder)
    suffix = naming.suffix
    if suffix is not None and places and not any(naming.accepts(one, suffix) for one in places):
        what, remedy = ("videos", "png") if suffix in CONTAINERS else ("pictures", "mkv")
        why = "but there are none among the files"
        if naming.stills:
            why = "but a preview is a picture"
        raise ValueError(
            f"`--format` (={naming.kind}) is for {what}, {why}: use {remedy}, for example"
        )
    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    originals = {source.resolve() for source in places}
    for source, place in places.items():
        target = Path(naming.output or "") if named else naming.target(source, place)
        job, real = Job(source, target, stamp(target)), target.resolve()
        if not naming.accepts(source, target.suffix.lower()):
            rule = f"{'video' if job.is_video else 'picture'}, as {source} is"
            rule = "picture, as previews are" if naming.stills else rule
            made.problems.append(f"{target} must be a {rule}")
        elif suffix not in (None, target.suffix.lower()) and folder is None and not job.is_video:
            made.problems.append(
                f"`--format` (={naming.kind}) can't hold {source}, an animation: leave it out"
            )
        elif real == source.resolve():
            made.problems.append(f"{source} would overwrite itself: choose another target with -o")
        elif real in originals:
            made.problems.append(
                f"{source} would overwrite {target}, another of the files: choose another target "
                "with -o"
            )
        elif len(os.fsencode(target.name)) > MAX_NAME_BYTES:
            made.problems.append(
                f"the result of {source} would have a name of over {MAX_NAME_BYTES} bytes, "
                f"{target.name}: rename the source"
            )
        elif target.is_dir():
            made.problems.append(
                f"{source} would be written to {target}, which is a folder: rename one of them"
            )
        elif real in taken:
            made.problems.append(
                f"{source} would be written to {target}, as would {taken[real]}: rename one of them"
            )
        else:
            taken[real] = source
            jobs.append(job)
    return jobs


def _find(inputs: Sequence[str], output: str | None, made: Plan) -> dict[Path, Path]:
    """Return the path of each input file, once, with its path relative to the input folder."""
    found: dict[Path, tuple[Path, Path]] = {}
    for name in inputs:
        path = Path(name)
        try:
            if not name:  # of a variable that is not set, for example
                raise ValueError("a file's name must not be empty: name a file or a folder")
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
        if not _is_known(path):
            made.other_kinds[path.suffix.lower()] += 1
        elif path.is_file():
            yield path, path.relative_to(folder)


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or is_video(path)


def _suffixes() -> str:
    return " ".join(sorted(SUFFIXES) + sorted(VIDEO_SUFFIXES))
