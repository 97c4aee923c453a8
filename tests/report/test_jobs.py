"""What the jobs of a sweep differ in."""

import statistics

import pytest

from espcn.report.jobs import mean_rows, name_of, ordered, swept_settings


def job(**values: object) -> dict[str, object]:
    """Return a row of sweep.csv: settings first, then what came of them."""
    settings = {name: value for name, value in values.items() if name not in RESULTS}
    results = {name: values[name] for name in RESULTS if name in values}
    return {"run": "abc"} | settings | {"status": "completed"} | results


RESULTS = ("val_psnr", "val_psnr_matched", "dataset", "fingerprint", "encoders.jpeg")


def test_settings_that_differ_are_swept_and_results_are_not() -> None:
    rows = [job(blur=0.1, lr=1, val_psnr=30.0), job(blur=0.5, lr=1, val_psnr=31.0)]
    assert swept_settings(rows) == ["blur"]
    assert swept_settings(rows[:1]) == []


def test_rate_that_follows_from_the_optimizer_is_not_swept() -> None:
    rows = [job(optim="adam", lr=0.001), job(optim="soap", lr=0.003)]
    assert swept_settings(rows) == ["optim"]
    assert swept_settings([*rows, job(optim="soap", lr=0.01)]) == ["optim", "lr"]


def test_option_of_the_optimizer_is_swept_only_if_it_varies_for_one_of_them() -> None:
    decay, momentum = "optim.weight_decay", "optim.momentum"
    own = [job(optim="adamw", **{decay: 0.01}), job(optim="sgd", **{momentum: 0.75})]
    assert swept_settings(own) == ["optim"]
    more = [*own, job(optim="adamw", **{decay: 0.5})]
    assert swept_settings(more) == ["optim", decay]


def test_option_that_only_some_jobs_have_is_swept_but_not_a_setting_that_is_new() -> None:
    rows = [job(blur=0), job(blur=0, **{"optim.weight_decay": 0.5}), job(blur=0, expansion=2)]
    assert swept_settings(rows) == ["optim.weight_decay"]
    assert swept_settings([job(blur=0), job(blur=0, **{"trainer.gradient_clip_val": 1})]) == [
        "trainer.gradient_clip_val"
    ]


def test_default_rate_is_no_second_setting_beside_the_rate() -> None:
    rows = [job(lr=rate, **{"optim.lr": rate}) for rate in (0.1, 0.01)]
    assert swept_settings(rows) == ["lr"]


def test_other_images_are_told_but_not_other_encodings_of_the_same() -> None:
    plain = job(jpeg=None, dataset="T91", fingerprint="a")
    coded = job(jpeg=50, dataset="T91", fingerprint="b") | {"encoders.jpeg": "turbo 3"}
    assert swept_settings([plain, coded]) == ["jpeg"]
    other = job(jpeg=None, dataset="T91", fingerprint="c")
    assert swept_settings([plain, coded, other]) == ["jpeg", "dataset", "fingerprint"]
    mine = job(jpeg=None, dataset="mine", fingerprint="a")
    assert swept_settings([plain, mine]) == ["dataset", "fingerprint"]


def test_means_are_over_repetitions_and_the_best_comes_first() -> None:
    figures = {(0.1, 0): 30.0, (0.1, 1): 31.0, (0.5, 0): 33.0}
    rows = [job(blur=blur, seed=seed, val_psnr=psnr) for (blur, seed), psnr in figures.items()]
    rows.append(job(blur=0.5, seed=1))  # failed
    best, other = mean_rows(rows, ["blur"])
    assert best == {"blur": 0.5, "val_psnr": 33.0, "deviation": None, "jobs": 1}
    assert other["val_psnr"] == 30.5
    assert other["deviation"] == pytest.approx(statistics.stdev([30.0, 31.0]))


def test_means_on_pictures_degraded_as_in_training_are_told_where_they_differ() -> None:
    rows = [job(jpeg=jpeg, val_psnr=30.0, val_psnr_matched=30.0) for jpeg in (None, 50)]
    assert "val_psnr_matched" not in mean_rows(rows, ["jpeg"])[0]
    rows[1]["val_psnr_matched"] = 27.0
    assert [line["val_psnr_matched"] for line in mean_rows(rows, ["jpeg"])] == [30.0, 27.0]


def test_values_are_named_as_on_the_command_line_and_stand_in_order() -> None:
    values = ["soap", 10, None, 2.5, [30, 95], 10, True]
    assert ordered(values) == [None, 2.5, 10, "[30, 95]", "soap", True]
    assert [name_of(one) for one in (None, True, False, 0.1, 1e-6, [30, 0.5], "a")] == [
        "null", "true", "false", "0.1", "1e-06", "[30, 0.5]", "a",
    ]  # fmt: skip
