"""What `import espcn` offers: a few names, none of which loads PyTorch before its first use."""

import re
from importlib.metadata import version

import espcn
from helpers import ROOT, run

NAMES = {
    "ESPCN", "SOAP", "Degradation", "PatchData", "SuperResolution", "Upscaler", "imresize", "load",
    "load_set", "preshuffle", "psnr", "shuffle", "ssim", "upscale_picture", "upscale_video",
}  # fmt: skip


def test_import_stays_free_of_torch_and_completion_shows_no_plumbing() -> None:
    code = "import espcn, sys; print(sorted(dir(espcn)), 'torch' in sys.modules)"
    done = run("-c", code)
    assert done.stdout.strip() == f"{sorted([*NAMES, '__version__'])} False"


def test_loading_weights_imports_nothing_for_pictures_and_videos() -> None:
    code = (
        "import espcn, sys; espcn.load(3); "
        "print([name for name in ('av', 'PIL', 'pyvips', 'skimage') if name in sys.modules])"
    )
    done = run("-c", code)
    assert done.stdout.strip() == "[]", done.stderr


def test_every_name_is_there_and_documented() -> None:
    assert set(espcn.__all__) == NAMES
    for name in NAMES:
        assert getattr(espcn, name).__doc__


def test_unknown_name_is_an_attribute_error() -> None:
    code = "import espcn; espcn.upscale"
    assert "AttributeError: module 'espcn' has no attribute 'upscale'" in run("-c", code).stderr


def test_lines_of_the_docstring_upscale_a_picture() -> None:
    import skimage.data

    assert espcn.__doc__ is not None
    lines = re.findall(r"^    (.*)$", espcn.__doc__, re.M)
    assert len(lines) == 3
    names = {"picture": skimage.data.astronaut()[:40, :50]}
    exec("\n".join(lines), names)
    assert names["large"].shape == (120, 150, 3)


def test_version_stands_in_one_place() -> None:
    assert version("espcn") == espcn.__version__
    tracked = [ROOT / "pyproject.toml", ROOT / "CITATION.cff", *(ROOT / "espcn").rglob("*.py")]
    places = [path for path in tracked if f'"{espcn.__version__}"' in path.read_text()]
    assert places == [ROOT / "espcn/__init__.py"]


def test_types_are_marked_as_there() -> None:
    assert (ROOT / "espcn/py.typed").is_file()
