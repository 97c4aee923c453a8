"""The packages' imports run one way, and no module is part of a circle."""

import ast
from pathlib import Path

from helpers import ROOT

# Each may import from those in the rows above it, and from its own package.
LAYERS = (
    ("checks", "files", "interrupts", "openmp", "progress", "stdout"),
    ("imaging", "io"),
    ("data", "network", "report"),
    ("evaluation", "export", "runs", "upscaling"),
    ("training", "video"),
    ("command",),
)


def modules() -> dict[str, Path]:
    paths = (ROOT / "espcn").rglob("*.py")
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in paths}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def imported(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the project's modules that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: an import must name its module in full"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in known else str(node.module))
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & known.keys()


def layer(module: str) -> int:
    part = module.split(".")[1]
    return next(number for number, parts in enumerate(LAYERS) if part in parts)


def arrows() -> list[tuple[str, str]]:
    known = modules()
    inner = {
        name: path for name, path in known.items() if name != "espcn"
    }  # the public API is lazy
    return [
        (module, other)
        for module, path in inner.items()
        for other in imported(path, known)
        if other not in ("espcn", module)
    ]


def test_every_package_has_its_layer() -> None:
    assert {name.split(".")[1] for name in modules() if name != "espcn"} == {
        part for parts in LAYERS for part in parts
    }


def test_imports_run_one_way_between_packages() -> None:
    wrong = [
        f"{module} imports {other}"
        for module, other in arrows()
        if module.split(".")[1] != other.split(".")[1]
        and (layer(other) > layer(module) or (layer(other) == layer(module) > 0))
    ]
    assert not wrong


def test_no_circle_anywhere() -> None:
    follows: dict[str, set[str]] = {}
    for module, other in arrows():
        follows.setdefault(module, set()).add(other)
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " > ".join([*way[way.index(module) :], module])
        if module not in done:
            for other in follows.get(module, ()):
                visit(other, (*way, module))
            done.add(module)

    for module in follows:
        visit(module, ())


def test_modules_and_folders_stay_small() -> None:
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules().items()}
    assert not {name: count for name, count in lengths.items() if count > 320}
    folders: dict[Path, int] = {}
    for path in modules().values():
        if path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    assert max(folders.values()) <= 10
