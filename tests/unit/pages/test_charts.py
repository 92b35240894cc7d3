import re
from xml.etree import ElementTree

import pytest

from tunesmith.pages import (
    LEGEND_HEIGHT,
    MAX_DRAWN_POINTS,
    MEAN_LINE,
    STEP_LINE,
    VALIDATION_LINE,
    ChartBar,
    LineSeries,
    bar_chart,
    line_chart,
    round_ticks,
)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 3.0, [0.0, 1.0, 2.0, 3.0]),
        (0.0, 0.002, [0.0, 0.0005, 0.001, 0.0015, 0.002]),
        (0.31, 2.95, [0.0, 1.0, 2.0, 3.0]),
        (1.0, 1.0, [1.0, 1.25, 1.5, 1.75, 2.0]),
        (0.0, 0.0, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ],
)
def test_ticks_are_round_and_enclose(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == ticks


def test_bars_have_the_lengths_of_their_values() -> None:
    chart = bar_chart(
        [ChartBar("all", 2.0, "2"), ChartBar("half", 1.0, "1", 0.5, 1.5, strong=True)], top=2.0, label="two bars"
    )
    root = ElementTree.fromstring(chart)
    widths = [(rect.get("class"), rect.get("width")) for rect in root.iter("rect") if rect.get("class") != "track"]
    assert widths == [("bar", "320.0"), ("bar strong", "160.0")]
    assert root.find("path").get("d") == "M80.0 69.0H240.0M80.0 64.0V74.0M240.0 64.0V74.0"
    assert (root.get("role"), root.get("aria-label")) == ("img", "two bars")


def test_names_are_text_never_tags() -> None:
    chart = bar_chart([ChartBar('<script>"&', 1.0, "<b>")], top=1.0, label='"><script>')
    assert "<script" not in chart and "<b>" not in chart
    assert [text.text for text in ElementTree.fromstring(chart).iter("text")] == ['<script>"&', "<b>"]


def test_a_bar_without_scale_is_empty() -> None:
    assert 'class="bar" x="0.0" y="20.0" width="0.0"' in bar_chart([ChartBar("none", 0.0, "0")], top=0.0, label="none")


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    chart = line_chart(LineSeries(tuple((float(i), 1.0) for i in range(5000))), label="flat", from_zero=True)
    (line,) = re.findall(r'class="line" d="([^"]+)"', chart)
    assert 100 < line.count("L") < MAX_DRAWN_POINTS
    assert "step 4999" in chart


@pytest.mark.parametrize("points", [((0.0, 2.0),), ((3.0, 0.0), (4.0, 0.0))])
def test_one_point_and_a_flat_line_can_be_drawn(points: tuple[tuple[float, float], ...]) -> None:
    chart = line_chart(LineSeries(points, noisy=True), label="short", from_zero=False)
    assert "nan" not in chart and "inf" not in chart


def test_a_line_that_is_not_noisy_is_drawn_as_it_is() -> None:
    points = tuple((float(i), float(i % 2)) for i in range(60))
    chart = line_chart(LineSeries(points), label="saw", from_zero=True)
    assert "faint" not in chart
    assert chart.count("176.0") >= 30  # every valley reaches the bottom, which a running mean would not


def test_dots_are_joined_in_their_order() -> None:
    chart = line_chart(
        LineSeries(((1.0, 0.0), (11.0, 4.0)), dots=((1.0, 4.0), (11.0, 0.0))), label="two", from_zero=True
    )
    root = ElementTree.fromstring(chart)
    dots = [(dot.get("cx"), dot.get("cy")) for dot in root.iter("circle")]
    (held,) = [path.get("d") for path in root.iter("path") if path.get("class") == VALIDATION_LINE]
    assert dots == [("46.0", "10.0"), ("312.0", "176.0")]
    assert held == "M46.0 10.0L312.0 176.0"


def test_one_dot_is_joined_to_nothing() -> None:
    chart = line_chart(LineSeries(((1.0, 0.0), (11.0, 4.0)), dots=((11.0, 4.0),)), label="one", from_zero=True)
    assert chart.count("<circle") == 1 and VALIDATION_LINE not in chart


def test_strokes_are_named_below_the_chart() -> None:
    plain = ElementTree.fromstring(line_chart(LineSeries(((0.0, 1.0), (1.0, 2.0))), label="plain", from_zero=True))
    keys = ((STEP_LINE, "each step"), (MEAN_LINE, "running mean"), (VALIDATION_LINE, "rows held back"))
    named = ElementTree.fromstring(
        line_chart(LineSeries(((0.0, 1.0), (1.0, 2.0)), keys=keys), label="keys", from_zero=True)
    )
    heights = [float(root.get("viewBox").split()[3]) for root in (plain, named)]
    assert heights[1] - heights[0] == LEGEND_HEIGHT
    below = [(text.get("x"), text.text) for text in named.iter("text") if float(text.get("y")) > heights[0]]
    assert below == [("22.0", "each step"), ("110.0", "running mean"), ("225.0", "rows held back")]
    assert len(list(named.iter("circle"))) == 1
