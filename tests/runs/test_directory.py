"""Runs are known by their resolved settings, and keep them."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from espcn.runs.directory import read_config, read_result, settings_of, store_config


def config(**settings: object) -> DictConfig:
    base = {"blur": 0.5, "max_epochs": 3, "trainer": {"devices": 1}, "resume": None}
    return OmegaConf.create(base | settings)


def begin(config: DictConfig, directory: Path) -> None:
    store_config(settings_of(config, directory, []), directory)


def test_new_directory_takes_the_settings_and_writes_nothing_yet(tmp_path: Path) -> None:
    settings = settings_of(config(), tmp_path / "run", [])
    assert settings == {"blur": 0.5, "max_epochs": 3, "trainer": {"devices": 1}}
    assert not (tmp_path / "run").exists()


def test_same_settings_go_on_in_the_same_directory(tmp_path: Path) -> None:
    begin(config(), tmp_path)
    assert settings_of(config(), tmp_path, []) == read_config(tmp_path)


def test_other_settings_are_refused_in_a_used_directory(tmp_path: Path) -> None:
    begin(config(), tmp_path)
    with pytest.raises(ValueError, match="holds another run: take another, or go on"):
        settings_of(config(blur=0.25), tmp_path, [])
    assert read_config(tmp_path)["blur"] == 0.5  # type: ignore[index]


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`resume` .* must be the directory of a run"):
        settings_of(config(resume=str(tmp_path)), tmp_path, [f"resume={tmp_path}"])


def test_resume_takes_lengths_and_trainer_and_keeps_the_rest(tmp_path: Path) -> None:
    begin(config(), tmp_path)
    again = config(resume="x", max_epochs=9, blur=0.1, trainer={"devices": 2})
    settings = settings_of(again, tmp_path, ["resume=x", "max_epochs=9", "trainer.devices=2"])
    assert settings == {"blur": 0.5, "max_epochs": 9, "trainer": {"devices": 2}}
    assert read_config(tmp_path) != settings  # until the run has begun with them
    store_config(settings, tmp_path)
    assert read_config(tmp_path) == settings


def test_resume_keeps_what_it_is_not_told_of_the_trainer(tmp_path: Path) -> None:
    own = {"devices": 1, "accelerator": "auto", "precision": "64-true", "gradient_clip_val": 0.1}
    begin(config(trainer=own), tmp_path)
    plain = {"devices": 1, "accelerator": "cpu", "precision": "${default}"}
    again = config(resume="x", trainer=plain, default="32-true")
    settings = settings_of(again, tmp_path, ["resume=x", "trainer.accelerator=cpu"])
    assert settings["trainer"] == own | {"accelerator": "cpu"}
    settings = settings_of(again, tmp_path, ["resume=x", "trainer=gpu"])
    assert settings["trainer"] == own | {"accelerator": "cpu"}
    again = config(resume="x", trainer=plain | {"precision": "32-true"})
    settings = settings_of(again, tmp_path, ["resume=x", "trainer=ddp"])  # whose own it is
    assert settings["trainer"] == own | {"accelerator": "cpu"}
    for given in (["trainer.precision=32-true"], ["trainer.precision=32-true", "trainer=gpu"]):
        settings = settings_of(again, tmp_path, ["resume=x", *given])
        assert settings["trainer"]["precision"] == "32-true"


def test_result_that_is_not_whole_is_none(tmp_path: Path) -> None:
    assert read_result(tmp_path) is None
    for content in ('{"status": "comp', "[1]", '{"epochs": 3}'):
        (tmp_path / "result.json").write_text(content)
        assert read_result(tmp_path) is None


def test_resume_refuses_other_settings(tmp_path: Path) -> None:
    begin(config(), tmp_path)
    with pytest.raises(ValueError, match="`blur` must not be given together with `resume`"):
        settings_of(config(resume="x", blur=0.1), tmp_path, ["resume=x", "blur=0.1"])


def test_resume_takes_places_and_the_data_that_it_has(tmp_path: Path) -> None:
    folder = {"name": "folder", "path": "a", "cache": None, "patch": 9}
    begin(config(data=folder, data_dir=None), tmp_path)
    moved = {"name": "folder", "path": "b", "cache": "c", "patch": 17}
    again = config(resume="x", data=moved, data_dir="d")
    given = ["resume=x", "data=folder", "data.path=b", "data.cache=c", "data_dir=d"]
    settings = settings_of(again, tmp_path, given)
    assert settings["data"] == moved | {"patch": 9}
    assert settings["data_dir"] == "d"
    for other in (["resume=x", "data=t91"], ["resume=x", "experiment=paper"]):
        name = other[1].partition("=")[0]
        again = config(resume="x", data={"name": "t91"})
        with pytest.raises(ValueError, match=f"`{name}` must not be given together with `resume`"):
            settings_of(again, tmp_path, other)


@pytest.mark.parametrize("content", [b"a: b: c\n", b"\xff\xfe\x00", b"- 1\n- 2\n", b"1: 2\n", b"'"])
def test_damaged_config_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=r"config.yaml must be as it was written, but is damaged"):
        read_config(tmp_path)
    (tmp_path / "result.json").write_text("[1]")
    assert read_result(tmp_path) is None
