"""Which files are upscaled, and where each result goes."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espcn.io.reading import SUFFIXES
from espcn.io.writing import FORMATS
from espcn.upscaling.containers import CONTAINERS

MAX_NAME_BYTES = 255  # bytes of a file's name
_OWN = re.compile(r"(.+)_x\d+")


@dataclass(frozen=True)
class Job:
    """A file, and the file that it becomes.

    Attributes:
        source: The picture or video.
        target: The file to write.
    """

    source: Path
    target: Path

    @property
    def is_video(self) -> bool:
        """Whether the file is a video, by its name."""
        return self.source.suffix.lower() in CONTAINERS


@dataclass
class Plan:
    """What there is to do.

    Attributes:
        jobs: Files to upscale.
        done: Files whose results exist.
        own: Files skipped because their names say that they are results of others there.
        problems: Why other files can't be upscaled.
    """

    jobs: list[Job] = field(default_factory=list)
    done: list[Job] = field(default_factory=list)
    own: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def plan(
    inputs: Sequence[str],
    r: int,
    output: str | None = None,
    overwrite: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> Plan:
    """Find the pictures and videos among files and folders, and where each result goes.

    A file `a.jpg` becomes `a_x3.jpg` beside it or, within the folder `output`, at the place it has
    within its own folder. An `a_x3.jpg` is no input where an `a.jpg` is one too.

    Args:
        inputs: Files and folders.
        r: The factor.
        output: A folder; of one file alone, the result's name.
        overwrite: Do existing results again.
        shard: (i, n) takes every n-th file from the i-th on, whether it is done or not.

    Returns:
        The plan.
    """
    made = Plan()
    places = _find(inputs, output, made)
    stems = {path.stem for path in places}
    made.own = [path for path in places if _is_own(path, stems)]
    # Those that keep their format come first: a GIF must not take the name of a PNG.
    files = sorted(set(places) - set(made.own), key=lambda path: (not is_writable(path), path))
    single = len(files) == 1 and not any(map(os.path.isdir, inputs))
    named = output is not None and _is_file_name(output, single)
    jobs: list[Job] = []
    taken: dict[Path, Path] = {}
    for source in files:
        target = Path(output or "") if named else _target(source, places[source], r, output)
        job, real = Job(source, target), target.resolve()
        if (target.suffix.lower() in CONTAINERS) != job.is_video:
            made.problems.append(f"{target} must be a {'video' if job.is_video else 'picture'} too")
        elif real == source.resolve():
            made.problems.append(f"{source} would overwrite itself: give another name to -o")
        elif len(os.fsencode(target.name)) > MAX_NAME_BYTES:
            made.problems.append(
                f"{source} would get a name of over {MAX_NAME_BYTES} bytes, {target.name}: give it "
                "a shorter one"
            )
        elif real in taken:
            made.problems.append(f"{source} would become {target}, as {taken[real]} does")
        else:
            taken[real] = source
            jobs.append(job)
    for job in jobs[shard[0] :: shard[1]]:
        is_done = os.path.exists(job.target) and not overwrite
        (made.done if is_done else made.jobs).append(job)
    return made


def _is_file_name(output: str, single: bool) -> bool:
    """Return whether `output` names a file rather than a folder."""
    path = Path(output)
    if not output or path.is_dir() or output.endswith(("/", os.sep)):
        if not output:
            raise ValueError("`-o` must name a folder, or of one file its new name, but is empty")
        return False
    if is_writable(path) and not single:
        raise ValueError(
            f"`-o` (={output}) must be a folder for more than one file, not a file's name"
        )
    if path.suffix and single and not is_writable(path):
        raise ValueError(
            f"`-o` (={output}) must end in {' '.join([*FORMATS, *CONTAINERS])}, or in / if it is "
            "a folder"
        )
    return is_writable(path)


def is_writable(path: Path) -> bool:
    """Return whether a file has a suffix that pictures or videos are written to.

    Args:
        path: The file, which need not exist.

    Returns:
        Whether it has.
    """
    return path.suffix.lower() in FORMATS or path.suffix.lower() in CONTAINERS


def _find(inputs: Sequence[str], output: str | None, made: Plan) -> dict[Path, Path]:
    """Return each file that is meant, once, and its place within the folder that was named."""
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
                raise ValueError(f"{path} must be a file or a folder that exists: there is none")
            elif not _is_known(path):
                raise ValueError(
                    f"{path} must be a picture or a video, known by its name's ending: {_endings()}"
                )
            else:
                inside = [(path, Path(path.name))]
        except ValueError as error:
            made.problems.append(str(error))
        except OSError as error:
            made.problems.append(f"{path} can't be looked at: {error.strerror}")
        else:
            for file, place in inside:
                found.setdefault(file.resolve(), (file, place))
    return dict(found.values())


def _inside(folder: Path, output: str | None, made: Plan) -> Iterator[tuple[Path, Path]]:
    """Yield the pictures and videos of a folder and its subfolders, except the output folder."""
    out = Path(output).resolve() if output is not None else None

    def note(error: OSError) -> None:
        made.problems.append(f"{error.filename} can't be looked into: {error.strerror}")

    for name, folders, files in os.walk(folder, onerror=note):
        here = Path(name)
        folders[:] = sorted(
            one for one in folders if not one.startswith(".") and (here / one).resolve() != out
        )
        for file in sorted(files):
            path = here / file
            if _is_known(path) and not file.startswith(".") and path.is_file():
                yield path, path.relative_to(folder)


def _target(source: Path, place: Path, r: int, output: str | None) -> Path:
    name = f"{source.stem}_x{r}{source.suffix if is_writable(source) else '.png'}"
    return source.with_name(name) if output is None else Path(output) / place.with_name(name)


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or path.suffix.lower() in CONTAINERS


def _is_own(path: Path, stems: set[str]) -> bool:
    own = _OWN.fullmatch(path.stem)
    return own is not None and own[1] in stems


def _endings() -> str:
    return " ".join(sorted(SUFFIXES) + sorted(CONTAINERS))
