# Copyright 2026 dfd_perception maintainers
# SPDX-License-Identifier: Apache-2.0

"""The page in a real browser: nothing loaded from elsewhere, no error, images there, slider and themes at work."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from dfd_perception.core.colormap import fixed_depth_scale
from dfd_perception.evaluation.report.charts import Series, chart, log_axis, nice_axis
from dfd_perception.evaluation.report.image_panels import colour_error, data_uri, error_gradient, scale_gradient
from dfd_perception.evaluation.report.meter_sections import floor_origin
from dfd_perception.evaluation.run import evaluate

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         "--window-size=1240,1600"]  # fmt: skip


class Browser:
    """A headless Chromium behind chromedriver, spoken to by plain HTTP."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for line in self.process.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                break
        self.address = f"http://127.0.0.1:{found[1]}"
        options = {"args": [*FLAGS, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{answer['sessionId']}"

    def ask(self, method, path, content=None):
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return json.loads(reply.read())["value"]

    def open(self, path):
        self.ask("POST", f"{self.session}/url", {"url": path.as_uri()})

    def run(self, script):
        return self.ask("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def press(self, x, y):
        """Press the left button at a point of the window."""
        steps = [{"type": "pointerMove", "x": int(x), "y": int(y), "duration": 0},
                 {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]  # fmt: skip
        self.ask("POST", f"{self.session}/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def console(self):
        return self.ask("POST", f"{self.session}/se/log", {"type": "browser"})

    def screenshot(self):
        png = base64.b64decode(self.ask("GET", f"{self.session}/screenshot"))
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)

    def close(self):
        try:
            self.ask("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdout.close()


@pytest.fixture
def browser(tmp_path):
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)} here: apt-get install chromium chromium-driver")
    opened = Browser(tmp_path / "profile")
    yield opened
    opened.close()


@pytest.fixture
def page(make_bag, plan_for):
    plan = plan_for(make_bag(frames=8, without=(2,)), baselines=("constant", "classical", "sharp"))
    evaluate(plan)
    return plan.out / "report.html"


def test_the_page_in_a_browser(page, browser):
    browser.open(page)
    assert browser.run("return document.readyState") == "complete"
    sizes = browser.run("return [...document.images].map(i => i.naturalWidth)")
    assert len(sizes) >= 6 * 4 + 4
    assert min(sizes) > 0
    assert (
        browser.run("return performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length")
        == 0
    )
    box = browser.run(
        "const s = document.querySelector('.compare'); s.scrollIntoView({block: 'center'});"
        "const r = s.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]"
    )
    clip = "return getComputedStyle(document.querySelector('.compare .top')).clipPath"
    before = browser.run(clip)
    browser.press(box[0] + 0.8 * box[2], box[1] + box[3] / 2)
    after = browser.run(clip)
    assert before != after
    assert float(browser.run("return document.querySelector('.compare input').value")) == pytest.approx(80, abs=3)
    assert [entry["message"] for entry in browser.console()] == []


def test_light_and_dark(page, browser):
    browser.open(page)
    shades = {}
    for _ in range(2):
        theme = browser.run("return getComputedStyle(document.documentElement).colorScheme")
        shades[theme] = browser.screenshot()
        browser.run("document.getElementById('theme').click()")
    assert shades["light"][5, 5].mean() > 200
    assert shades["dark"][5, 5].mean() < 50
    contrast = (
        "const rgb = c => c.match(/[0-9.]+/g).slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 "
        ": ((v + 0.055) / 1.055) ** 2.4); const light = c => { const [r, g, b] = rgb(c); "
        "return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };"
        "const back = getComputedStyle(document.querySelector('.tile')).backgroundColor;"
        "return [...document.querySelectorAll('.tile span, .tile b')].map(e => {"
        "const a = light(getComputedStyle(e).color), b = light(back); return Math.max(a, b) / Math.min(a, b); })"
    )
    for _ in range(2):
        assert min(browser.run(contrast)) > 4.5  # WCAG AA
        browser.run("document.getElementById('theme').click()")


class Balanced(HTMLParser):
    VOID = {"meta", "link", "img", "input", "path", "line", "rect", "circle", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(page):
    parser = Balanced()
    parser.feed(page.read_text("utf-8"))
    assert parser.open == []
    assert all(link.startswith("data:") for link in parser.links)
    assert "url(" not in page.read_text("utf-8")
    assert "@import" not in page.read_text("utf-8")


def test_names_from_outside_are_text(make_bag, plan_for):
    bag = make_bag("<script>alert(1)<&script>")
    text = evaluate_to_text(plan_for(bag))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def evaluate_to_text(plan):
    evaluate(plan)
    return (plan.out / "report.html").read_text("utf-8")


def test_colours_of_errors_have_a_fixed_meaning():
    image = colour_error(np.array([[-0.5, 0.0, 0.5, np.nan, 9.0]], np.float32), 0.5)
    near, right, far, unknown, beyond = image[0].astype(int)
    assert near[2] > near[0] + 100  # blue
    assert far[0] > far[2] + 100  # red
    assert right.min() > 240
    assert np.ptp(unknown) == 0
    assert np.array_equal(far, beyond)


def test_the_legend_says_metres_where_the_colours_are():
    gradient, ticks = scale_gradient(fixed_depth_scale((0.1, 10.0)))
    assert gradient.count("rgb(") == 33
    assert (50.0, "1 m") in [(round(place, 6), text) for place, text in ticks]
    assert [text for _, text in error_gradient(0.2)[1]] == ["\N{MINUS SIGN}0.2 m", "0", "+0.2 m"]


def test_a_image_in_the_page_keeps_its_colours():
    image = np.full((30, 1000, 3), (200, 40, 90), np.uint8)
    packed = base64.b64decode(data_uri(image).partition(",")[2])
    decoded = cv2.imdecode(np.frombuffer(packed, np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (14, 480, 3)
    np.testing.assert_allclose(decoded[5, 5, ::-1], (200, 40, 90), atol=3)


def test_points_lie_where_the_axes_say():
    x, y = log_axis("m", 0.1, 10.0), nice_axis("error", [0.37], percent=True)
    assert (y.low, y.high) == (0.0, 0.4)
    assert [y.form(tick) for tick in y.ticks] == ["0 %", "10 %", "20 %", "30 %", "40 %"]
    svg = chart(x, y, [Series("error", [(1.0, 0.2), (10.0, 0.4)], "--series-1")])
    found = re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)
    assert float(found[0][0]) == pytest.approx(84 + (560 - 84 - 16) / 2, abs=0.1)
    assert float(found[0][1]) == pytest.approx(14 + (300 - 14 - 48) / 2, abs=0.1)
    assert float(found[1][0]) == pytest.approx(560 - 16, abs=0.1)
    assert float(found[1][1]) == pytest.approx(14, abs=0.1)


def test_ticks_have_no_exponents():
    percent = nice_axis("error", [11.0], percent=True)
    assert [percent.form(tick) for tick in percent.ticks][-1] == "1,500 %"
    plain = nice_axis("frame", [20000.0])
    assert not any("e+" in plain.form(tick) for tick in plain.ticks)


def test_a_line_of_one_point_is_no_chart():
    x, y = nice_axis("frame", [1.0]), nice_axis("latency [ms]", [3.0])
    assert chart(x, y, [Series("latency", [(0.0, 3.0)], "--series-1")]) == ""


@pytest.fixture
def page_of_two(make_bag, plan_for):
    plan = plan_for(make_bag(frames=2))
    evaluate(plan)
    return plan.out / "report.html"


def test_two_frames_are_said_to_be_two_and_get_no_names_of_many(page_of_two):
    text = page_of_two.read_text("utf-8")
    assert "Only 2 frames" in text
    assert '<span class="tag">1 of 2</span>' in text
    assert "worst</span>" not in text
    assert "1 frames" not in text


def test_without_a_lens_the_true_depth_is_shown(make_bag, plan_for):
    plan = plan_for(make_bag(frames=2), lens=None)
    text = evaluate_to_text(plan)
    assert "Depth, true" in text
    assert "Depth, predicted" not in text


def test_a_phone_can_read_it(page, browser):
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.ask(
        "POST",
        f"{browser.session}/goog/cdp/execute",
        {"cmd": "Emulation.setDeviceMetricsOverride", "params": phone},
    )
    browser.open(page)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    heights = browser.run(
        "return [...document.querySelectorAll('svg text')].filter(t => t.getBoundingClientRect().width > 0)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getBoundingClientRect().width "
        "/ t.ownerSVGElement.viewBox.baseVal.width)"
    )
    assert len(heights) > 20
    assert min(heights) >= 9
    cut = browser.run(
        "return [...document.querySelectorAll('.scroll')].filter(e => e.querySelector('th') && e.querySelectorAll('th')"
        ".length < 6 && e.scrollWidth > e.clientWidth + 1).length"
    )
    assert cut == 0


@pytest.mark.parametrize(
    ("floor", "words"),
    [
        ({"origin": "sharp images", "frames": 12}, "sharp images of 12 frames"),
        ({"origin": "model card: no two frames tell", "frames": 0}, "model card: no two frames tell"),
    ],
)
def test_a_floor_names_the_frames_that_it_was_read_off_if_any(floor, words):
    assert floor_origin(floor) == words


def test_a_rule_for_phones_leaves_room_above_the_title(project_root):
    """`padding: 0 14px` for narrow screens once undid padding-top: the title stuck to the edge of the screen."""
    css = (project_root / "dfd_perception" / "evaluation" / "report" / "report.css").read_text("utf-8")
    phone = css.split("@media (max-width: 720px) {")[-1].split("\n}")[0]
    for rule in re.findall(r"([^{}]*)\{([^{}]*)\}", phone):
        if "header" in rule[0]:
            assert not re.search(r"padding:", rule[1]), rule
