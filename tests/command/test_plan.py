"""What is upscaled and where it goes: files, folders, what is done already, shards."""

import re
from pathlib import Path

import pytest

from espcn.command.naming import Naming
from espcn.command.plan import Plan, plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b.PNG", "sub/c.tif", "sub/deep/d.mp4", "sub/notes.txt", ".hidden.png",
                 ".git/x.png", "sub/e.gif"):  # fmt: skip
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def planned(
    inputs: list[str],
    ending: str,
    output: str | None = None,
    kind: str | None = None,
    stills: bool = False,
    **options: object,
) -> Plan:
    return plan(inputs, Naming(ending, output, kind, stills), **options)  # type: ignore[arg-type]


def targets(folder: Path, *arguments: object, **options: object) -> dict[str, str]:
    made = planned([str(folder)], "_x3", *arguments, **options)  # type: ignore[arg-type]
    assert made.problems == []
    base = folder.parent
    return {
        str(job.source.relative_to(base)): str(job.target.relative_to(base)) for job in made.jobs
    }


def test_folder_is_walked_and_its_files_go_beside(folder: Path) -> None:
    assert targets(folder) == {
        "in/a.jpg": "in/a_x3.jpg",
        "in/b.PNG": "in/b_x3.PNG",
        "in/sub/c.tif": "in/sub/c_x3.tif",
        "in/sub/e.gif": "in/sub/e_x3.png",
        "in/sub/deep/d.mp4": "in/sub/deep/d_x3.mp4",
    }


def test_file_that_keeps_its_format_takes_the_name(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png", "b.mp4", "b.png"):
        (tmp_path / name).touch()
    for kind, stills, lost in (("png", False, ["a.jpg"]), (None, True, ["a.jpg", "b.mp4"])):
        made = planned([str(tmp_path)], "_x3", kind=kind, stills=stills)
        assert [Path(one.partition(" would")[0]).name for one in made.problems] == lost


def test_output_mirrors_the_tree_and_is_no_input(folder: Path) -> None:
    assert targets(folder, str(folder / "big")) == {
        "in/a.jpg": "in/big/a_x3.jpg",
        "in/b.PNG": "in/big/b_x3.PNG",
        "in/sub/c.tif": "in/big/sub/c_x3.tif",
        "in/sub/e.gif": "in/big/sub/e_x3.png",
        "in/sub/deep/d.mp4": "in/big/sub/deep/d_x3.mp4",
    }
    (folder / "big").mkdir()
    (folder / "big/a_x3.jpg").touch()
    assert len(targets(folder, str(folder / "big"))) == 4


def test_name_that_gets_too_long_is_told_and_the_others_are_done(folder: Path) -> None:
    for name in ("n" * 251 + ".jpg", "½" * 124 + ".jpg", "n" * 248 + ".jpg"):
        (folder / name).touch()
    (folder / "big").mkdir()
    made = planned([str(folder)], "_x3", str(folder / "big"))
    assert len(made.jobs) == 5 + 1 + 1
    (said,) = made.problems
    assert f"{'n' * 251}.jpg would have a name of over 255 bytes" in said


def test_what_is_done_and_our_own_files_are_left_out(folder: Path) -> None:
    (folder / "a_x3.jpg").touch()
    (folder / "b_x2.png").touch()
    (folder / "alone_x3.png").touch()  # of nobody here: a picture like others
    made = planned([str(folder)], "_x3")
    assert [job.source.name for job in made.existing] == ["a.jpg"]
    assert sorted(job.source.name for job in made.jobs) == [
        "alone_x3.png", "b.PNG", "c.tif", "d.mp4", "e.gif",
    ]  # fmt: skip
    again = planned([str(folder)], "_x3", overwrite=True)
    assert not again.existing
    assert len(again.jobs) == 6


def test_results_of_every_size_are_known_by_their_names(folder: Path) -> None:
    for ending in ("_x2", "_x1.5", "_3840w", "_720h", "_4k", "_1080p"):
        (folder / f"a{ending}.jpg").touch()
    (folder / "b_4knew.png").touch()  # is like none
    (folder / "holiday_hd.jpg").touch()  # of nobody here
    made = planned([str(folder)], "_4k")
    assert len(made.earlier_results) == 6
    assert [job.target.name for job in made.existing] == ["a_4k.jpg"]
    names = {job.source.name for job in made.jobs}
    assert names == {"b.PNG", "b_4knew.png", "c.tif", "d.mp4", "e.gif", "holiday_hd.jpg"}


def test_files_that_the_shell_names(folder: Path) -> None:
    (folder / "a_x3.jpg").touch()
    names = [str(folder / name) for name in ("a.jpg", "a_x3.jpg", "b.PNG")]
    assert [job.source.name for job in planned(names, "_x3").jobs] == ["b.PNG"]
    assert [job.source.name for job in planned(names[1:2], "_x3").jobs] == [
        "a_x3.jpg"
    ]  # asked for alone


def test_single_file_may_be_named(folder: Path) -> None:
    (job,) = planned([str(folder / "a.jpg")], "_x3", str(folder / "new/name.webp")).jobs
    assert job.target == folder / "new/name.webp"
    (job,) = planned([str(folder / "a.jpg")], "_x3", str(folder / "new")).jobs
    assert job.target == folder / "new/a_x3.jpg"
    for names, why in (
        ([str(folder)], f"for a folder, {folder}"),
        ([str(folder / "a.jpg"), str(folder / "b.PNG")], "for several files"),
    ):
        said = f"must be a folder and not a file {why}: use -o {folder}/name/ --format png"
        with pytest.raises(ValueError, match=re.escape(said)):
            planned(names, "_x3", str(folder / "name.png"))
        planned(names, "_x3", f"{folder}/name/", kind="png")  # as it says
    made = planned([str(folder / "gone.jpg")], "_x3", str(folder / "name.png"))
    assert "gone.jpg must be an existing file" in made.problems[0]  # and nothing of -o
    made = planned([str(folder / "a.jpg")], "_x3", str(folder / "a.jpg"), overwrite=True)
    assert "would overwrite itself" in made.problems[0]


@pytest.mark.parametrize(("source", "target"), [("a.jpg", "a.mp4"), ("sub/deep/d.mp4", "d.png")])
def test_a_picture_becomes_no_video(source: str, target: str, folder: Path) -> None:
    made = planned([str(folder / source)], "_x3", str(folder / target))
    assert not made.jobs
    assert made.problems[0].endswith(f"as {folder / source} is")


def test_shards_part_the_files_and_stay_as_they_are(folder: Path) -> None:
    whole = {job.source for job in planned([str(folder)], "_x3").jobs}
    parts = [
        {job.source for job in planned([str(folder)], "_x3", shard=(i, 3)).jobs} for i in range(3)
    ]
    assert set.union(*parts) == whole
    assert sum(map(len, parts)) == len(whole)
    (folder / "a_x3.jpg").touch()  # by the first machine, when the second begins
    assert {job.source for job in planned([str(folder)], "_x3", shard=(1, 3)).jobs} == parts[1]


def test_two_files_that_would_become_one_are_named(folder: Path) -> None:
    (folder / "sub/e.png").touch()
    made = planned([str(folder / "sub")], "_x3")
    assert len(made.jobs) == 3
    # The one that keeps its format is done.
    assert "e.gif would be written to" in made.problems[0]
    assert "e_x3.png, as" in made.problems[0]
    for number in range(3):  # in every shard, and not in the one alone that has both
        assert planned([str(folder / "sub")], "_x3", shard=(number, 3)).problems == made.problems


def test_no_original_is_overwritten(folder: Path) -> None:
    (folder / "a.png").touch()
    (folder / "b_x3.PNG").mkdir()
    made = planned([str(folder)], "", kind="png", overwrite=True)
    assert f"{folder}/a.jpg would overwrite {folder}/a.png, another of the files" in str(made)
    assert folder / "a.png" not in [job.target for job in made.jobs]
    (told,) = planned([str(folder)], "_x3").problems
    assert told == (
        f"{folder}/b.PNG would be written to {folder}/b_x3.PNG, which is a folder: rename one of "
        "them"
    )


def test_empty_name_is_not_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    made = planned([""], "_x3")
    assert (made.jobs, made.problems) == (
        [],
        ["a file's name must not be empty: name a file or a folder"],
    )


def test_files_of_other_kinds_are_counted(folder: Path) -> None:
    (folder / "old.jp2").touch()
    (folder / "README").touch()
    assert planned([str(folder)], "_x3").other_kinds == {".txt": 1, ".jp2": 1, "": 1}


def test_file_is_done_once_however_it_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    names = ["a.jpg", str(folder / "a.jpg"), "sub/../a.jpg"]
    assert [job.source for job in planned(names, "_x3").jobs] == [Path("a.jpg")]
    made = planned(["a.jpg"], "_x3", str(folder / "a.jpg"), overwrite=True)
    assert "would overwrite itself" in made.problems[0]
    assert not made.jobs


def test_output_within_the_input_is_not_upscaled_again(folder: Path) -> None:
    (folder / "big/sub").mkdir(parents=True)
    for name in ("big/a_x2.jpg", "big/sub/c_x2.tif", "big/a_x2_x3.jpg"):
        (folder / name).touch()
    made = planned([str(folder)], "_x3", str(folder / "other"))
    assert len(made.jobs) == 5
    assert len(made.earlier_results) == 3


def test_result_of_another_folders_picture_is_a_source(folder: Path) -> None:
    (folder / "other").mkdir()
    for name in ("other/c_x2.png", "sub/c_x2.png"):
        (folder / name).touch()
    made = planned([str(folder)], "_x3")
    assert made.earlier_results == [folder / "sub/c_x2.png"]
    assert folder / "other/c_x2.png" in {job.source for job in made.jobs}


def test_folder_that_is_linked_is_walked_once(folder: Path) -> None:
    (folder.parent / "real").mkdir()
    (folder.parent / "real/y.png").touch()
    (folder / "sub/link").symlink_to(folder.parent / "real")
    (folder.parent / "real/back").symlink_to(folder)
    made = planned([str(folder)], "_x3")
    assert [job.source.name for job in made.jobs].count("y.png") == 1
    assert len(made.jobs) == 6


def test_video_that_cannot_be_written_as_it_is_becomes_matroska(folder: Path) -> None:
    (folder / "old.ogv").touch()
    (job,) = planned([str(folder / "old.ogv")], "_x3").jobs
    assert (job.target.name, job.is_video) == ("old_x3.mkv", True)


def test_only_what_can_be_written_is_a_target(folder: Path) -> None:
    for name in ("x.gif", "x.heic", "x.jp2", "x.ogv"):
        with pytest.raises(ValueError, match=r"`-o` .* must end in .png .*, or in / to name"):
            planned([str(folder / "a.jpg")], "_x3", str(folder / name))
    with pytest.raises(ValueError, match="`-o` must name a folder .* it is empty"):
        planned([str(folder / "a.jpg")], "_x3", "")
    (job,) = planned([str(folder / "a.jpg")], "_x3", f"{folder}/v1.2/").jobs
    assert job.target == folder / "v1.2/a_x3.jpg"


def test_a_name_that_is_too_long_does_not_stop_the_others(folder: Path) -> None:
    made = planned([str(folder / ("a" * 300 + ".png")), str(folder / "a.jpg")], "_x3")
    assert len(made.jobs) == 1
    assert "can't be accessed: File name too long" in made.problems[0]


def test_what_is_not_there_or_no_picture_is_named_and_the_rest_is_done(folder: Path) -> None:
    (folder / "empty").mkdir()
    names = [str(folder / name) for name in ("gone.jpg", "empty", "sub/notes.txt", "a.jpg")]
    made = planned(names, "_x3")
    assert [job.source.name for job in made.jobs] == ["a.jpg"]
    for problem, words in zip(
        made.problems,
        ("gone.jpg must be an existing file", "contains no pictures or videos",
         "must be a picture or a video with one of these suffixes: .avif"),
        strict=True,
    ):  # fmt: skip
        assert words in problem


def test_format_of_the_results_can_be_said(folder: Path) -> None:
    targets = {
        job.source.name: job.target.name for job in planned([str(folder)], "_x3", kind="PNG").jobs
    }
    assert targets["a.jpg"] == "a_x3.png"
    assert targets["c.tif"] == "c_x3.png"
    assert targets["d.mp4"] == "d_x3.mp4"  # no video is a PNG
    targets = {
        job.source.name: job.target.name for job in planned([str(folder)], "_x3", kind=".mkv").jobs
    }
    assert (targets["a.jpg"], targets["d.mp4"]) == ("a_x3.jpg", "d_x3.mkv")
    with pytest.raises(ValueError, match=r"`--format` \(=gif\) must be one of png jpg"):
        planned([str(folder)], "_x3", kind="gif")
    with pytest.raises(ValueError, match=r"`--format` \(=mkv\) is for videos, but there are none"):
        planned([str(folder / "a.jpg")], "_x3", kind="mkv")
    with pytest.raises(ValueError, match="must be left out where -o"):
        planned([str(folder / "a.jpg")], "_x3", str(folder / "b.png"), kind="png")


def test_stills_are_pictures_of_videos_too(folder: Path) -> None:
    made = planned([str(folder)], "_preview", stills=True)
    assert sorted(job.target.name for job in made.jobs) == [
        "a_preview.png", "b_preview.png", "c_preview.png", "d_preview.png", "e_preview.png",
    ]  # fmt: skip
    (folder / "a_preview.png").touch()
    assert len(planned([str(folder)], "_x3").earlier_results) == 1
    (job,) = planned([str(folder / "sub/deep/d.mp4")], "_preview", "d.jpg", stills=True).jobs
    assert job.target == Path("d.jpg")


def test_ending_of_the_results_can_be_said(folder: Path) -> None:
    made = planned([str(folder / "a.jpg")], " large")
    (job,) = made.jobs
    assert job.target == folder / "a large.jpg"
    job.target.touch()
    names = {one.source.name for one in planned([str(folder)], " large").jobs}
    assert "a.jpg" not in names  # it is there
    assert "a large.jpg" not in names  # it is a result
    with pytest.raises(ValueError, match=r"`--suffix` \(=/x\) must be part of a file name"):
        planned([str(folder)], "/x")
    with pytest.raises(ValueError, match="would overwrite itself"):
        raise ValueError(planned([str(folder / "a.jpg")], "").problems[0])
