"""The pages in a browser: what people do with them, on any screen and on paper.

Each page is written by the real commands, and opened as a file in Chromium.
"""

import base64
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from forked import fork
from helpers import grid, tiny_run, write_jobs

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver")

ODD = "<img src=x onerror=alert(1)>.png"
NAMES = (ODD, 'a#b%20c? "d" & e.png', *(f"plain{number}.png" for number in range(12)))
KINDS = ("report", "run", "sweep")


@pytest.fixture(scope="module")
def written(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a page of each kind, by its name."""
    folder = tmp_path_factory.mktemp("pages")
    mine = folder / "<b> mine #1"
    mine.mkdir()
    for number, name in enumerate(NAMES):
        with Image.open(pictures / f"color{number % 6}.png") as photo:
            photo.crop((0, 0, 96 - number, 90)).save(mine / name)
    report, trained, swept = folder / "evaluation", folder / "run", folder / "sweep"
    sets = f"sets=['{mine}']"
    done = fork("evaluate.py", sets, "save_images=true", f"output={report}")
    assert done.returncode == 0, done.stderr
    done = fork("train.py", *tiny_run(pictures), f"hydra.run.dir={trained}")
    assert done.returncode == 0, done.stderr
    values = {"blur": [0, 0.1, 0.25, 0.5, 1], "lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]}
    write_jobs(swept, grid(**values, activation=["tanh", "relu"]))
    return {"report": report / "report.html", "run": trained / "run.html",
            "sweep": swept / "sweep.html"}  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage",
                     "hide-scrollbars"):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def browser(chromium: Any) -> Iterator[Any]:
    """Return the browser with a desktop's window; all that it notes is what the test does."""
    screen(chromium, 1200)
    media(chromium)
    for log in ("browser", "performance"):
        chromium.get_log(log)
    yield chromium
    assert not chromium.get_log("browser"), "the console must stay empty"
    assert all(address.startswith(("file:", "data:")) for address in requested(chromium))
    chromium.get("about:blank")


def screen(browser: Any, width: int, height: int = 900) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def media(browser: Any, scheme: str = "light", kind: str = "screen") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": kind, "features": features})


def requested(browser: Any) -> list[str]:
    """Return the addresses that pages have asked for since this was asked last."""
    said = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [one["params"] for one in said if one["method"] == "Network.requestWillBeSent"]
    return [one["request"]["url"] for one in sent if one["documentURL"].startswith("file:")]


def find(browser: Any, selector: str) -> Any:
    return browser.find_element(By.CSS_SELECTOR, selector)


def all_of(browser: Any, selector: str) -> list[Any]:
    return browser.find_elements(By.CSS_SELECTOR, selector)


def settled(browser: Any) -> None:
    """Wait until every picture that is on the screen is there."""
    script = """return [...document.images].every((image) => {
        const box = image.getBoundingClientRect();
        const seen = box.width && box.bottom > 0 && box.top < innerHeight;
        return !seen || (image.complete && image.naturalWidth > 0);
    })"""
    WebDriverWait(browser, 20).until(lambda one: one.execute_script(script))


def column(browser: Any, table: str, head: str) -> list[float]:
    """Return the figures of a column, of the rows that are shown."""
    heads = [one.text.rstrip(" ↑↓↕") for one in all_of(browser, f"{table} thead th")]
    place = heads.index(head) + 1
    cells = all_of(browser, f"{table} tbody tr:not([hidden]) > :nth-child({place})")
    return [float(cell.get_attribute("data-value") or "nan") for cell in cells]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [390, 768, 1600])
def test_page_is_never_wider_than_the_screen(
    browser: Any, written: dict[str, Path], kind: str, width: int
) -> None:
    screen(browser, width)
    browser.get(written[kind].as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    smallest = browser.execute_script(
        """return Math.min(...[...document.querySelectorAll("p, td, th, dd, dt, label, svg text")]
        .filter((one) => one.textContent.trim() && one.checkVisibility())
        .map((one) => parseFloat(getComputedStyle(one).fontSize)
            * (one.getScreenCTM ? one.getScreenCTM().d || 1 : 1)))"""
    )
    assert smallest > 8.5  # pixels; of a chart's ticks, scaled down to a phone


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(
    browser: Any, written: dict[str, Path], kind: str, scheme: str
) -> None:
    media(browser, scheme)
    browser.get(written[kind].as_uri())
    colors = {
        name: channels(browser.execute_script(
            "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]",
            selector, "backgroundColor" if name == "paper" else "color"))
        for name, selector in {"paper": "body", "ink": "body", "soft": "footer",
                               "link": "footer a"}.items()
    }  # fmt: skip
    assert (luminance(colors["paper"]) < 0.1) == (scheme == "dark")
    for name in ("ink", "soft", "link"):
        lights = sorted(luminance(colors[one]) + 0.05 for one in (name, "paper"))
        assert lights[1] / lights[0] >= 4.5, name  # WCAG 2, level AA


def channels(color: str) -> np.ndarray:
    return np.array([int(one) for one in re.findall(r"\d+", color)[:3]]) / 255


def luminance(color: np.ndarray) -> float:
    """Return the relative luminance of WCAG 2."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("kind", KINDS)
def test_page_can_be_printed(browser: Any, written: dict[str, Path], kind: str) -> None:
    browser.get(written[kind].as_uri())
    printed = browser.execute_cdp_cmd("Page.printToPDF", {})["data"]
    assert base64.b64decode(printed).startswith(b"%PDF")
    media(browser, "dark", "print")  # paper is white at night, too
    paper = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(paper) == "rgb(255, 255, 255)"
    controls = all_of(browser, "nav, form.filters, #view")
    assert not any(one.is_displayed() for one in controls)
    for part in all_of(browser, ".scroll.tall"):
        assert part.value_of_css_property("max-height") == "none"


def test_name_of_a_file_stays_text(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    settled(browser)
    assert ODD in [one.text for one in all_of(browser, "#pictures tbody th")]
    assert find(browser, "h1").text.endswith("on <b> mine #1")
    assert not all_of(browser, "img[src=x], h1 b")


def test_slider_moves_by_mouse_and_keys(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    pane, divider = find(browser, ".pane"), find(browser, ".divider")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", pane)
    settled(browser)
    wide = pane.size["width"]
    ActionChains(browser).move_to_element(pane).click_and_hold().move_by_offset(
        round(wide / 4), 0).release().perform()  # fmt: skip
    at = float(divider.get_property("value"))
    assert at == pytest.approx(75, abs=3)
    edge = "return getComputedStyle(document.querySelector('.layer.after')).clipPath"
    assert browser.execute_script(edge) == f"inset(0px 0px 0px {at:g}%)"
    divider.send_keys(Keys.ARROW_LEFT * 4)
    assert float(divider.get_property("value")) == at - 4
    assert browser.execute_script(edge) == f"inset(0px 0px 0px {at - 4:g}%)"


def test_either_side_shows_any_version(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    find(browser, "[name=left][value=low]").click()
    find(browser, "[name=right][value=original]").click()
    first = find(browser, ".card")
    shown = [one.get_attribute("src") for one in first.find_elements(By.TAG_NAME, "img")]
    assert [address.rpartition("_")[2] for address in shown] == ["low.png", "original.png"]
    labels = [one.get_attribute("data-label") for one in first.find_elements(
        By.CSS_SELECTOR, ".view")]  # fmt: skip
    assert labels == ["low resolution", "original"]
    before = find(browser, ".pane").size["width"]
    find(browser, "[name=zoom][value='2']").click()
    assert find(browser, ".pane").size["width"] == 2 * before


def test_error_map_shows_the_error_of_the_luma(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    find(browser, "[name=error]").click()
    card = find(browser, ".card")
    pane = card.find_element(By.CSS_SELECTOR, ".pane")
    browser.execute_script(
        """const divider = arguments[0].querySelector(".divider");
        divider.value = 0;
        divider.dispatchEvent(new Event("input"));
        divider.hidden = true;
        arguments[0].scrollIntoView();""", pane
    )  # fmt: skip
    browser.execute_script("document.getElementById('view').hidden = true")
    settled(browser)
    seen = np.asarray(Image.open(io.BytesIO(pane.screenshot_as_png)).convert("RGB"))
    base = card.get_attribute("data-base")
    lumas = []
    for version in ("espcn", "original"):
        path = written["report"].parent / re.sub(r"%(..)", lambda m: chr(int(m[1], 16)), base)
        with Image.open(f"{path}_{version}.png") as picture:
            # BT.601, as the protocol scores it: 16 to 235.
            lumas.append(np.asarray(picture) @ [65.481, 128.553, 24.966] / 255 + 16)
    error = np.abs(lumas[0] - lumas[1])
    expected = colormaps["magma"](np.clip(error / 40, 0, 1))[..., :3] * 255
    inner = (slice(5, 55), slice(10, 70))  # away from the divider and the label
    difference = np.abs(seen[: len(expected)][inner].astype(float) - expected[inner])
    assert error[inner].max() > 20  # or there was nothing to see
    assert np.percentile(difference, 95) < 14  # a grey level is up to 13 of the colours' levels


def test_pictures_far_down_wait_until_they_are_asked_for(
    browser: Any, written: dict[str, Path]
) -> None:
    browser.get(written["report"].as_uri())
    settled(browser)
    closed = find(browser, "details .card")
    base = closed.get_attribute("data-base")
    assert not any(base in address for address in requested(browser))
    place = closed.get_attribute("id")
    find(browser, f'#pictures a[href="#{place}"]').click()
    WebDriverWait(browser, 10).until(lambda _: closed.is_displayed())
    settled(browser)
    assert any(base in address for address in requested(browser))


def test_table_is_sorted_by_a_click(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    gains = column(browser, "#pictures", "gain (dB)")
    assert gains == sorted(gains, reverse=True)
    for order in (True, False):  # figures: the largest first
        next(one for one in all_of(browser, "#pictures thead th") if one.text[:4] == "SSIM").click()
        figures = column(browser, "#pictures", "SSIM, bicubic")
        assert figures == sorted(figures, reverse=order)
    find(browser, "#pictures thead th").click()
    names = [one.text for one in all_of(browser, "#pictures tbody th")]
    plain = [name for name in names if name.startswith("plain")]
    assert plain == [f"plain{number}.png" for number in range(12)]  # 10 after 9


def test_pictures_are_found_by_name(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["report"].as_uri())
    find(browser, "[data-search]").send_keys("PLAIN1")
    assert len(column(browser, "#pictures", "gain (dB)")) == 3  # 1, 10, 11
    assert find(browser, "#all output").text == "3 of 14"
    find(browser, "#all button[type=reset]").click()
    WebDriverWait(browser, 5).until(lambda _: find(browser, "#all output").text == "14 of 14")


def test_filters_of_a_sweep_hide_jobs_in_table_and_plots(
    browser: Any, written: dict[str, Path]
) -> None:
    browser.get(written["sweep"].as_uri())
    Select(find(browser, "[data-column='1']")).select_by_visible_text("0.25")  # blur
    assert find(browser, "output").text == "10 of 50"
    for plot in ("#parallel polyline", ".chart circle"):
        away = len(all_of(browser, f"{plot}.away"))
        assert away == len(all_of(browser, plot)) * 40 / 50
    find(browser, "[data-search]").send_keys("relu")
    assert find(browser, "output").text == "5 of 50"


def test_part_of_an_axis_chooses_jobs(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["sweep"].as_uri())
    axis = all_of(browser, ".parallel-axis .handle")[-1]
    tall = axis.size["height"]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", axis)
    upper = ActionChains(browser).move_to_element_with_offset(axis, 0, round(-tall / 2 + 2))
    upper.click_and_hold().move_by_offset(0, round(tall / 2)).release().perform()
    figures = column(browser, "#table", "validation")
    assert min(figures) == pytest.approx(30.25, abs=0.03)  # half of 30.00 to 30.49
    assert max(figures) == 30.49
    find(browser, "#jobs button[type=reset]").click()
    WebDriverWait(browser, 5).until(lambda _: find(browser, "output").text == "50 of 50")
    assert find(browser, ".parallel-axis:last-of-type .chosen").get_attribute("height") == "0"


def test_click_on_a_line_finds_its_job(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["sweep"].as_uri())
    best = all_of(browser, "#parallel polyline")[-1]
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click'))", best)
    found = find(browser, "#table tr.found")
    assert found.get_attribute("data-job") == best.get_attribute("data-job") == "0"
    found.find_element(By.TAG_NAME, "a").click()
    assert browser.current_url.endswith("/run.html")


def test_epochs_of_a_run_are_a_table(browser: Any, written: dict[str, Path]) -> None:
    browser.get(written["run"].as_uri())
    settled(browser)
    find(browser, "#training summary").click()
    assert column(browser, "#training table", "epoch") == [1, 2, 3]
    browser.execute_script("document.getElementById('patches').scrollIntoView()")
    settled(browser)
    assert len(all_of(browser, "#patches img")) >= 9
