"""Runs are known by what differs from the defaults, whatever an older version stored."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from espcn.runs.directory import read_config
from espcn.runs.identity import (
    check_names,
    completed,
    flatten,
    identity,
    plain_settings,
    upgraded,
)
from espcn.runs.resolvers import register_resolvers
from espcn.runs.sweep import job_name
from helpers import ROOT

OLD = Path(__file__).parent / "from_0.1"  # written by version 0.1, with an import path in `optim`


def composed(*overrides: str) -> DictConfig:
    register_resolvers()
    return compose("train", list(overrides))


@pytest.fixture
def hydra() -> object:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield


def test_group_choices_stand_under_the_name_of_their_group() -> None:
    nested = {"optim": {"name": "sgd", "momentum": 0.9}, "r": 3}
    assert flatten(nested) == {"optim": "sgd", "optim.momentum": 0.9, "r": 3}


def test_plain_settings_are_resolved_and_discard_hydra_and_resume() -> None:
    made = OmegaConf.create(
        {"optim": {"lr": 0.1}, "lr": "${optim.lr}", "hydra": {"x": 1}, "resume": "somewhere"}
    )
    assert plain_settings(made) == {"optim": {"lr": 0.1}, "lr": 0.1}


def test_whole_numbers_are_one_setting_however_they_are_written() -> None:
    def setting(blur: object) -> DictConfig:
        return OmegaConf.create({"blur": blur})

    assert plain_settings(setting(1.0)) == plain_settings(setting(1))
    assert plain_settings(setting([1.0, 0.5])) == plain_settings(setting([1, 0.5]))


def test_trainer_can_tell_all_batches_from_one() -> None:
    trainer = {"limit_train_batches": 1.0, "accumulate_grad_batches": 1}
    kept = plain_settings(OmegaConf.create({"trainer": trainer}))["trainer"]
    assert [type(one) for one in kept.values()] == [float, int]


@pytest.mark.usefixtures("hydra")
def test_identity_is_the_groups_choices_and_what_differs_from_the_defaults() -> None:
    assert identity(plain_settings(composed())) == {
        "data": "auto", "optim": "soap", "trainer": "auto",
    }  # fmt: skip
    changed = identity(plain_settings(composed("optim=adam", "blur=0.5", "data.patch=9")))
    assert changed == {
        "data": "auto", "optim": "adam", "trainer": "auto", "blur": 0.5, "data.patch": 9,
    }  # fmt: skip
    assert identity(plain_settings(composed("optim=adam", "lr=0.001"))) == {
        "data": "auto", "optim": "adam", "trainer": "auto",
    }  # fmt: skip


@pytest.mark.usefixtures("hydra")
def test_optimiser_without_a_file_has_its_groups_other_defaults() -> None:
    named = plain_settings(composed("optim.name=rmsprop", "+optim.alpha=0.9", "r=2"))
    assert identity(named) == {
        "data": "auto", "optim": "rmsprop", "trainer": "auto", "optim.alpha": 0.9, "r": 2,
    }  # fmt: skip
    assert identity(plain_settings(composed("optim=sgd", "optim.name=rmsprop"))) == {
        "data": "auto", "optim": "rmsprop", "trainer": "auto",
        "optim.lr": 0.01, "optim.momentum": 0.75, "lr": 0.01,
    }  # fmt: skip
    older = {name: value for name, value in named.items() if name != "averaging"}
    assert completed(older) == named


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize("setting", ["blurr", "data.scale"])
def test_unknown_settings_are_refused_beside_an_optimiser_without_a_file(setting: str) -> None:
    with pytest.raises(ValueError, match=rf"`{setting}` \(=0.5\) must be a setting of train.py"):
        check_names(plain_settings(composed("optim.name=rmsprop", f"+{setting}=0.5")))
    check_names(plain_settings(composed("optim.name=rmsprop", "+optim.alpha=0.9")))


@pytest.mark.usefixtures("hydra")
def test_setting_of_another_choice_names_that_choice() -> None:
    with pytest.raises(
        ValueError, match=r"`data.path` \(=x\) must .*: it is one of data=folder, add"
    ):
        check_names(plain_settings(composed("+data.path=x")))


@pytest.mark.usefixtures("hydra")
def test_identity_outlives_a_setting_that_is_added_and_code_that_moves() -> None:
    now = plain_settings(composed("optim=sgd", "blur=0.5"))
    before = {name: value for name, value in now.items() if name not in ("downsample", "mu")}
    before["optim"] = now["optim"] | {"_target_": "torch.optim.SGD"}
    assert identity(upgraded(before)) == identity(now)
    assert completed(upgraded(before)) == now
    assert identity(upgraded(before) | {"blur": 0.25}) != identity(now)


def test_import_paths_become_names() -> None:
    stored = {"optim": {"_target_": "espcn.optim.SOAP", "name": "soap", "lr": 0.1}, "r": 3}
    assert upgraded(stored) == {"optim": {"name": "soap", "lr": 0.1}, "r": 3}
    other = {"optim": {"_target_": "torch.optim.RMSprop", "name": "adam"}}
    assert upgraded(other) == {"optim": {"name": "rmsprop"}}
    assert upgraded({"r": 3}) == {"r": 3}


def test_identity_without_a_configuration_is_all_settings() -> None:
    assert identity({"blur": 0, "optim": {"name": "sgd"}}) == {
        "data": None, "optim": "sgd", "trainer": None, "blur": 0,
    }  # fmt: skip


def named(directory: Path, **settings: object) -> str:
    return job_name(
        _root_=OmegaConf.create(settings | {"hydra": {"sweep": {"dir": str(directory)}}})
    )


def test_job_name_follows_the_settings_not_their_order(tmp_path: Path) -> None:
    assert named(tmp_path, blur=0.5, r=3) == named(tmp_path, r=3, blur=0.5)
    assert named(tmp_path, blur=0.5, r=3) != named(tmp_path, blur=0.25, r=3)


def test_job_is_found_by_its_stored_configuration_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.yaml").write_text("blur: 0.5\nr: 3\n")
    assert named(tmp_path, r=3, blur=0.5) == "other"
    assert named(tmp_path, r=3, blur=0.25) != "other"


def test_name_that_another_job_has_is_not_taken(tmp_path: Path) -> None:
    name = named(tmp_path, r=3)
    (tmp_path / name).mkdir()
    (tmp_path / name / "config.yaml").write_text("r: 4\n")
    assert named(tmp_path, r=3) != name


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize(
    ("default", "precision"),
    [("32-true", {}), ("bf16-mixed", {"trainer.precision": "32-true"})],
)
def test_job_of_version_0_1_has_the_identity_of_todays(
    default: str, precision: dict[str, str], processor: Callable[[str], None]
) -> None:
    processor(default)
    stored = read_config(OLD / "sweep/3eafd6d660")
    assert stored is not None
    assert identity(stored) == {
        "data": "skimage", "optim": "soap", "trainer": "auto", "r": 2, "blur": 0.5,
        "data.scales": [1], "data.stride": 34, "max_epochs": 1, "sets": [],
    } | precision  # fmt: skip


@pytest.mark.usefixtures("hydra")
def test_identity_leaves_out_where_images_lie_but_not_which_folder_is_trained_on() -> None:
    lies = ["data=folder", "data.path=a", "data.cache=b", "data_dir=c"]
    assert identity(plain_settings(composed(*lies))) == {
        "data": "folder", "optim": "soap", "trainer": "auto", "data.path": "a",
    }  # fmt: skip


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize(
    ("overrides", "left"),
    [([], True), (["trainer=gpu"], True), (["trainer.devices=2"], True), (["trainer=ddp"], False),
     (["trainer.precision=32-true"], False), (["experiment=finetune_x3"], False)],
)  # fmt: skip
def test_precision_is_the_machines_where_neither_command_nor_recipe_sets_it(
    overrides: list[str], left: bool
) -> None:
    given = plain_settings(composed(*overrides))["trainer"]["precision"]
    other = {"32-true": "bf16-mixed", "bf16-mixed": "32-true"}[given]
    kept = plain_settings(composed(*overrides), {"trainer": {"precision": other}})
    assert kept["trainer"]["precision"] == (other if left else given)


@pytest.mark.usefixtures("hydra")
def test_length_follows_from_the_product_of_two_matrices_and_that_from_the_precision() -> None:
    def chosen(*overrides: str) -> tuple[int, int]:
        settings = plain_settings(composed(*overrides))
        return settings["expansion"], settings["max_epochs"]

    fast = "trainer.precision=bf16-mixed"
    assert chosen("trainer.precision=32-true") == (1, 20)
    assert chosen(fast) == (2, 11)
    assert chosen(fast, "expansion=1") == (1, 20)
    assert chosen(fast, "max_epochs=5") == (2, 5)
    assert chosen(fast, "experiment=best_x3") == (1, 120)


@pytest.mark.usefixtures("hydra")
@pytest.mark.parametrize("default", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("begun", ["32-true", "bf16-mixed"])
def test_run_of_another_default_precision_keeps_what_depends_on_it(
    default: str, begun: str, processor: Callable[[str], None]
) -> None:
    processor(default)
    stored = plain_settings(composed(f"trainer.precision={begun}"))
    assert plain_settings(composed(), stored) == stored
    changed = {} if begun == default else {"trainer.precision": begun}
    assert identity(stored) == {"data": "auto", "optim": "soap", "trainer": "auto"} | changed


@pytest.mark.usefixtures("hydra")
def test_run_from_before_there_was_a_product_is_not_taken_for_one_of_today() -> None:
    now = plain_settings(composed("trainer.precision=bf16-mixed"))
    before = {name: value for name, value in now.items() if name != "expansion"}
    assert identity(upgraded(before)) != identity(now)
    assert completed(upgraded(before))["expansion"] == 1
