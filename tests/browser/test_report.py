"""The page of a run in a real browser: it is whole, it answers, and it asks nobody for anything."""

import pytest

from diffx_cli.__main__ import main

SECTIONS = ["summary", "loss", "training", "samples", "denoising", "evaluations", "comparisons",
            "schedule", "configuration", "environment"]  # fmt: skip
CHARTS = [
    "Loss",
    "Held-out loss by log-SNR",
    "Held-out loss over log-SNR",
    "Learning rate",
    "Norm of the gradient",
    "Examples a second",
    "Signal and noise",
    "log-SNR",
    "What training sees",
]


@pytest.fixture(scope="module")
def address(digits_run, tmp_path_factory):
    """Of the page of a small run."""
    page = tmp_path_factory.mktemp("page") / "report.html"
    assert main(["report", str(digits_run), "--out", str(page)]) == 0
    return page.as_uri()


@pytest.fixture
def report(visit, address):
    """The page, open."""
    visit.page.goto(address)
    return visit.page


@pytest.fixture(autouse=True)
def undisturbed(visit, address):
    """No test makes the page complain, or ask for anything."""
    yield
    assert visit.complaints == []
    assert {one for one in visit.requests if not one.startswith("data:")} == {address}


def seen(report, player):
    """The picture that can be seen."""
    frames = report.locator(f"#{player} .frame[data-label]:visible")
    assert frames.count() == 1
    source = frames.locator("img").get_attribute("src")
    assert report.evaluate("(img) => img.naturalWidth", frames.locator("img").element_handle()) > 8
    return source


def test_all_parts_are_there(report):
    assert report.locator("section").evaluate_all("(all) => all.map((one) => one.id)") == SECTIONS
    assert report.locator(".chart h3").all_text_contents() == CHARTS
    for chart in report.locator(".chart svg").all():
        box = chart.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 100
        lines = chart.locator(".curve").all()
        assert lines
        assert all(one.evaluate("(path) => path.getBBox().width") > 0 for one in lines)


def test_the_slider_shows_the_samples_of_another_step(report):
    slider, said = report.locator("#samples input"), report.locator("#samples output")
    assert said.text_content() == "step 30"
    last = seen(report, "samples")
    slider.fill("0")
    assert said.text_content() == "step 10"
    assert seen(report, "samples") != last
    slider.press("ArrowRight")
    assert said.text_content() == "step 20"


def test_the_denoising_plays_until_it_is_stopped(visit, address):
    visit.page.clock.install()  # time passes when the test says so
    visit.page.goto(address)
    button, said = (visit.page.locator(f"#denoising {name}") for name in ("button", "output"))
    assert said.text_content() == "step 1 of 20"
    button.click()
    visit.page.clock.run_for(60_000)
    assert button.get_attribute("aria-label") == "pause"
    button.click()
    stopped, picture = said.text_content(), seen(visit.page, "denoising")
    visit.page.clock.run_for(60_000)
    assert said.text_content() == stopped
    button.click()
    assert said.text_content() != stopped
    assert seen(visit.page, "denoising") != picture


def test_a_chart_tells_its_values_to_whoever_points_at_it(report):
    chart = report.locator(".chart", has=report.get_by_role("heading", name="Learning rate"))
    values, drawing = chart.locator(".legend b"), chart.locator("svg")
    assert values.all_text_contents() == ["", ""]
    box = drawing.bounding_box()
    drawing.hover(position={"x": 0.969 * box["width"], "y": box["height"] / 2})
    step, rate = values.all_text_contents()
    assert step == "30"
    assert float(rate) > 0
    report.mouse.move(0, 0)
    assert values.all_text_contents() == ["", ""]


def test_a_page_is_no_wider_than_its_window(report):
    for width in (360, 390, 768, 1920):
        report.set_viewport_size({"width": width, "height": 800})
        assert report.evaluate("document.documentElement.scrollWidth") <= width


def test_every_link_to_a_part_is_seen_in_a_window_of_usual_width(report):
    report.set_viewport_size({"width": 1200, "height": 800})
    last = report.locator("nav a").last.bounding_box()
    assert last["x"] + last["width"] <= 1200 - 16


def test_it_is_dark_where_that_is_wanted(report):
    def brightness():
        color = report.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, color.removeprefix("rgb(").removesuffix(")").split(",")))

    report.emulate_media(color_scheme="light")
    assert brightness() > 600
    report.emulate_media(color_scheme="dark")
    assert brightness() < 150
