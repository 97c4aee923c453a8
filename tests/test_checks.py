"""Each message names the setting, the value, the rule and the remedy."""

import math
import re
from collections.abc import Callable
from typing import Any

import pytest

from espcn import checks


def refused(message: str, check: Callable[..., None], *arguments: Any, **options: Any) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(*arguments, **options)


@pytest.mark.parametrize("value", [3, 4, 10**9])
def test_whole_number_is_taken(value: int) -> None:
    checks.integer("patch", value, 3, "take 17")


@pytest.mark.parametrize("value", [2, -1, 3.0, "3", None, True, math.nan])
def test_what_is_not_whole_or_too_small_is_refused(value: Any) -> None:
    message = f"`patch` (={value!r}) must be a whole number of at least 3: take 17"
    refused(message, checks.integer, "patch", value, 3, "take 17")


def test_truth_is_no_number() -> None:
    refused(
        "`n` (=True) must be a whole number of at least 0: 0", checks.integer, "n", True, 0, "0"
    )
    refused("`n` (=True) must be a fraction, 0 to 1: 0", checks.fraction, "n", True, "0")
    refused("`n` (=False) must be a number of at least 0: 0", checks.number, "n", False, "0")


@pytest.mark.parametrize("value", [0, 1, 0.0, 0.2, 1.0])
def test_fraction_is_taken(value: float) -> None:
    checks.fraction("holdout", value, "take 0.2")


@pytest.mark.parametrize("value", [-0.01, 1.01, 2, math.nan, math.inf, "0.5", None])
def test_what_is_no_fraction_is_refused(value: Any) -> None:
    message = f"`holdout` (={value!r}) must be a fraction, 0 to 1: take 0.2"
    refused(message, checks.fraction, "holdout", value, "take 0.2")


@pytest.mark.parametrize("value", [0, 0.0, 1e-9, 7])
def test_number_of_at_least_0_is_taken(value: float) -> None:
    checks.number("mu", value, "0 is never")


@pytest.mark.parametrize("value", [-1, -1e-9, math.inf, math.nan, "1", None])
def test_what_is_below_0_or_not_finite_is_refused(value: Any) -> None:
    refused(
        f"`mu` (={value!r}) must be a number of at least 0: none",
        checks.number,
        "mu",
        value,
        "none",
    )


def test_number_may_have_other_bounds() -> None:
    checks.number("center", -3, "take 0", least=-math.inf)
    checks.number("blur", 100, "take 0", most=100)
    message = "`center` (='x') must be a number: take 0"
    refused(message, checks.number, "center", "x", "take 0", least=-math.inf)
    for wrong in (-1, 101, math.nan, "1"):
        message = f"`blur` (={wrong!r}) must be a number of 0 to 100: take 0"
        refused(message, checks.number, "blur", wrong, "take 0", most=100)


def test_number_above_a_bound_is_taken() -> None:
    checks.number("lr", 1e-12, "take 0.01", above=0)
    checks.number("lr", 0.6, "take 1", above=0.5)


@pytest.mark.parametrize(("value", "above"), [(0, 0), (0.0, 0), (-1, 0), (0.5, 0.5), (math.inf, 0)])
def test_number_not_above_the_bound_is_refused(value: float, above: float) -> None:
    message = f"`lr` (={value!r}) must be a number above {above}: take 0.01"
    refused(message, checks.number, "lr", value, "take 0.01", above=above)


def test_choice_is_taken() -> None:
    for choices in (("adam", "soap"), {"adam": 1, "soap": 2}, ["soap"]):
        checks.choice("optimizer", "soap", choices)


@pytest.mark.parametrize(
    ("value", "hint"), [("SOAP", ": did you mean soap?"), ("adma", ": did you mean adam?"),
                        ("", ""), (None, ""), (1, "")],
)  # fmt: skip
def test_what_is_not_among_the_choices_is_refused(value: Any, hint: str) -> None:
    message = f"`optimizer` (={value}) must be one of adam, soap{hint}"
    refused(message, checks.choice, "optimizer", value, ("adam", "soap"))


@pytest.mark.parametrize("value", [True, False])
def test_truth_is_taken(value: bool) -> None:
    checks.truth("ensemble", value)


@pytest.mark.parametrize("value", ["no", "off", "true", "", 0, 1, 1.0, None])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    message = f"`ensemble` (={value!r}) must be true or false: say ensemble=true or ensemble=false"
    refused(message, checks.truth, "ensemble", value)


def test_names_are_a_list_of_strings() -> None:
    checks.name_list("sets", ["Set5"], "say [Set5]")
    for value in ("Set5", None, [1], [["Set5"]]):
        message = f"`sets` (={value!r}) must be a list of names: say [Set5]"
        refused(message, checks.name_list, "sets", value, "say [Set5]")


def test_whole_numbers_have_a_bound_that_libraries_can_hold() -> None:
    with pytest.raises(ValueError, match=r"`seed` \(=99999999999\) must be at most 2147483647"):
        checks.integer("seed", 99999999999, 0, "take 0")


def test_choice_says_what_else_there_is() -> None:
    message = "`sets` (=Sett5) must be one of Set5, or a folder's path: did you mean Set5?"
    refused(message, checks.choice, "sets", "Sett5", ["Set5"], besides="a folder's path")


def test_choices_may_be_of_any_collection() -> None:
    with pytest.raises(ValueError, match="must be one of a"):
        checks.choice("x", ["a"], {"a": 1})
