import re

import pytest

from espcn.runs.overrides import check_overrides


@pytest.mark.parametrize(
    "arguments",
    [
        ["-m", "blur=0.1,0.5", "optim=adam,sgd", "data.patch=9", "experiment=paper"],
        ["data=folder", "data.path=a=b", "+optim.betas=[0.9,0.9]", "~trainer.precision"],
        ["optim.momentum=0.8", "optim=sgd", "hydra.run.dir=x", "hydra/launcher=joblib"],
        ["optim.momentum=0.8", "experiment=notebook", "++trainer.devices=2"],
        ["-m", "optim=choice(sgd,soap)", "optim.lr=0.1"],
        ["+optim.momentum=0.3", "optim.momentum=0.9"],
        ["trainer=ddp", "trainer.accelerator=cpu", "trainer.precision=32-true", "data.stride=9"],
        ["--config-dir", "mine", "my_own=1"],
        ["--cfg", "job", "trainer.precision=32-true", "resume=x", "init=shipped"],
    ],
)
def test_settings_of_any_choice_are_known(arguments: list[str]) -> None:
    check_overrides(arguments)


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("optm=adam", "`optm` (=adam) must be a setting of train.py: did you mean `optim`?"),
        ("optim.nam=adam", "did you mean `optim.name`?"),
        ("optim.betas=[0.9]", "say +optim.betas=[0.9] if the optimiser has it"),
        ("trainer.enable_foo=1", "say +trainer.enable_foo=1 if the Trainer has it"),
        ("trainer.max_epochs=3", "did you mean `max_epochs`?"),
        ("nothing_near=1", "--help lists them"),
    ],
)
def test_unknown_setting_is_named_with_what_was_meant(argument: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(hint)}$"):
        check_overrides(["blur=0.5", argument])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data.path=mine"], "`data.path` (=mine) is a setting of data=folder only: choose that"),
        (
            ["data=t91", "data.cache=x"],
            "`data.cache` (=x) is a setting of data=folder only: choose that",
        ),
        (
            ["-m", "optim=soap,sgd", "optim.momentum=0.9"],
            "`optim.momentum` (=0.9) is a setting of optim=sgd only: choose that, or say "
            "+optim.momentum=0.9 if the optimiser has it",
        ),
    ],
)
def test_setting_of_another_choice_says_which(arguments: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_overrides(arguments)


@pytest.mark.parametrize("choice", ["sgdd", "'sgd'", "[sgd]", "", "glob(*)"])
def test_choice_that_is_not_known_is_for_hydra_to_refuse(choice: str) -> None:
    check_overrides([f"optim={choice}", "optim.momentum=0.9"])


def test_evaluation_has_settings_of_its_own() -> None:
    check_overrides(["ckpt=a.ckpt", "save_images=true", "jpeg=50"], "evaluate")
    with pytest.raises(ValueError, match="`optim` .* must be a setting of evaluate.py"):
        check_overrides(["optim=adam"], "evaluate")
