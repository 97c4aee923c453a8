"""The configurations under conf/, and the help that speaks of them."""

import re
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from espcn.imaging.degradation import Degradation
from espcn.runs.identity import GROUPS, flatten, plain_settings
from espcn.runs.resolvers import register_resolvers
from espcn.training.run import Run
from helpers import ROOT, run


def test_help_and_misspelt_overrides_answer_without_torch() -> None:
    for arguments in (["--help"], ["blurr=1"], ["optim=adamm"]):
        code = "import runpy, sys; sys.argv = sys.argv[1:]; sys.path.insert(0, '.')\n" + (
            "try:\n    runpy.run_path('train.py', run_name='__main__')\n"
            "finally:\n    print('torch' in sys.modules)"
        )
        done = run("-c", code, "train.py", *arguments)
        assert done.stdout.rstrip().endswith("False")
        assert (done.returncode == 0) == (arguments == ["--help"])
    assert "Could not find 'optim/adamm'" in done.stderr


def composed(experiment: str) -> DictConfig:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return compose("train", [f"experiment={experiment}"])


@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "conf/experiment").iterdir()])
def test_every_experiment_is_composed_and_built(name: str, tmp_path: Path) -> None:
    Run(plain_settings(composed(name)), tmp_path, {}).build()


@pytest.mark.parametrize(("r", "steps_an_epoch"), [(2, 1664), (3, 640), (4, 307)])
def test_shipped_recipe_is_as_long_for_each_factor_and_sees_all_of_t91(
    r: int, steps_an_epoch: int
) -> None:
    config = composed(f"best_x{r}")
    assert (config.r, config.loss, config.schedule, config.batch_size) == (r, "rmse", "cosine", 32)
    assert (config.data.name, config.data.val_fraction, config.data.folds) == ("t91", 0, None)
    assert config.max_epochs == round(76_800 / steps_an_epoch)


@pytest.mark.parametrize(
    ("recipe", "r", "steps_an_epoch"),
    [("finetune", 2, 1664), ("finetune", 3, 640), ("finetune", 4, 307),
     ("finetune_video", 2, 2608), ("finetune_video", 3, 1022), ("finetune_video", 4, 504)],
)  # fmt: skip
def test_finetuning_is_as_long_for_each_factor_and_begins_with_the_shipped_weights(
    recipe: str, r: int, steps_an_epoch: int
) -> None:
    config = composed(f"{recipe}_x{r}")
    assert (config.r, config.init, config.loss, config.batch_size) == (r, "shipped", "rmse", 32)
    assert (config.data.name, config.data.val_fraction) == ("t91", 0)
    assert 8_000 < config.max_epochs * steps_an_epoch < 11_600


def test_help_names_every_setting_of_every_choice() -> None:
    text = run("train.py", "--help").stdout
    register_resolvers()
    names: set[str] = set()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        for group in GROUPS:
            for path in (ROOT / "conf" / group).iterdir():
                names |= flatten(plain_settings(compose("train", [f"{group}={path.stem}"]))).keys()
    names |= {"resume", "optim.name"}
    assert {"data.cache", "optim.momentum", "trainer.strategy"} < names
    missing = {name for name in names if not re.search(rf"(^|[ (]){re.escape(name)}\b", text, re.M)}
    assert not missing


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_degradation_is_a_flat_part_of_both_configurations(command: str) -> None:
    register_resolvers()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        settings = plain_settings(compose(command, ["blur=0.5", "jpeg=[30,95]", "h264=23"]))
    assert set(Degradation.names()) <= settings.keys()
    expected = {"blur": 0.5, "jpeg": [30, 95], "h264": 23}
    assert Degradation.from_settings(settings).settings() == expected
    text = run(f"{command}.py", "--help").stdout
    assert all(f"{name}=" in text for name in Degradation.names())
