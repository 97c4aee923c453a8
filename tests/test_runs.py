"""Runs are known by their resolved settings, and keep them."""

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from espcn import runs


def config(**settings: object) -> DictConfig:
    base = {"blur": 0.5, "max_epochs": 3, "trainer": {"devices": 1}, "resume": None}
    return OmegaConf.create(base | settings)


def test_group_choices_stand_under_the_name_of_their_group() -> None:
    nested = {"optim": {"_target_": "torch.optim.SGD", "name": "sgd", "momentum": 0.9}, "r": 3}
    assert runs.flatten(nested) == {"optim": "sgd", "optim.momentum": 0.9, "r": 3}


def test_plain_settings_are_resolved_and_leave_out_hydra_and_resume() -> None:
    made = OmegaConf.create(
        {"optim": {"lr": 0.1}, "lr": "${optim.lr}", "hydra": {"x": 1}, "resume": "somewhere"}
    )
    assert runs.plain(made) == {"optim": {"lr": 0.1}, "lr": 0.1}


def test_hash_follows_the_settings_not_their_order_or_hydra() -> None:
    one = OmegaConf.create({"blur": 0.5, "r": 3, "hydra": {"job": {"num": 1}}})
    other = OmegaConf.create({"r": 3, "blur": 0.5, "hydra": {"job": {"num": 7}}})
    changed = OmegaConf.create({"r": 3, "blur": 0.25})
    assert runs.settings_hash(_root_=one) == runs.settings_hash(_root_=other)
    assert runs.settings_hash(_root_=one) != runs.settings_hash(_root_=changed)


def test_new_directory_takes_the_settings_and_stores_them(tmp_path: Path) -> None:
    settings = runs.settle(config(), tmp_path / "run", [])
    assert runs.read_config(tmp_path / "run") == settings
    assert "resume" not in settings


def test_same_settings_go_on_in_the_same_directory(tmp_path: Path) -> None:
    first = runs.settle(config(), tmp_path, [])
    assert runs.settle(config(), tmp_path, []) == first


def test_other_settings_are_refused_in_a_used_directory(tmp_path: Path) -> None:
    runs.settle(config(), tmp_path, [])
    with pytest.raises(ValueError, match="holds another run: take another, or go on"):
        runs.settle(config(blur=0.25), tmp_path, [])
    assert runs.read_config(tmp_path)["blur"] == 0.5  # type: ignore[index]


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`resume` .* must be the directory of a run"):
        runs.settle(config(resume=str(tmp_path)), tmp_path, [f"resume={tmp_path}"])


def test_resume_takes_lengths_and_trainer_and_keeps_the_rest(tmp_path: Path) -> None:
    runs.settle(config(), tmp_path, [])
    again = config(resume="x", max_epochs=9, blur=0.1, trainer={"devices": 2})
    settings = runs.settle(again, tmp_path, ["resume=x", "max_epochs=9", "trainer.devices=2"])
    assert settings == {"blur": 0.5, "max_epochs": 9, "trainer": {"devices": 2}}
    assert runs.read_config(tmp_path) != settings  # until the run has begun with them
    runs.store_config(settings, tmp_path)
    assert runs.read_config(tmp_path) == settings


def test_whole_numbers_are_one_setting_however_they_are_written() -> None:
    assert runs.plain(config(blur=1.0)) == runs.plain(config(blur=1))
    assert runs.plain(config(blur=[1.0, 0.5, True])) == runs.plain(config(blur=[1, 0.5, True]))


def test_result_that_is_not_whole_is_none(tmp_path: Path) -> None:
    assert runs.read_result(tmp_path) is None
    (tmp_path / "result.json").write_text('{"status": "comp')
    assert runs.read_result(tmp_path) is None


def test_resume_refuses_other_settings(tmp_path: Path) -> None:
    runs.settle(config(), tmp_path, [])
    with pytest.raises(ValueError, match="`blur` must not be given together with `resume`"):
        runs.settle(config(resume="x", blur=0.1), tmp_path, ["resume=x", "blur=0.1"])
