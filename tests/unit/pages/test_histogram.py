"""Histograms: heights relative to the largest count, rare bins visible, labels escaped."""

from xml.etree import ElementTree

from tunesmith.pages import HistogramColumn, histogram_chart


def test_heights_are_shares_of_the_largest() -> None:
    chart = histogram_chart(
        [HistogramColumn(0, 9, 4), HistogramColumn(10, 19, 2), HistogramColumn(20, 29, 0)], label="three columns"
    )
    root = ElementTree.fromstring(chart)
    drawn = [(rect.get("x"), rect.get("y"), rect.get("width"), rect.get("height")) for rect in root.iter("rect")]
    assert drawn == [
        ("1.5", "18.0", "103.7", "132.0"),
        ("108.2", "84.0", "103.7", "66.0"),
        ("214.8", "150.0", "103.7", "0.0"),
    ]
    assert [title.text for title in root.iter("title")] == ["0 to 9: 4", "10 to 19: 2", "20 to 29: 0"]
    assert (root.get("role"), root.get("aria-label")) == ("img", "three columns")


def test_what_is_rare_is_seen() -> None:
    root = ElementTree.fromstring(
        histogram_chart([HistogramColumn(0, 0, 1_000_000), HistogramColumn(1, 1, 1)], label="rare")
    )
    assert [rect.get("height") for rect in root.iter("rect")] == ["132.0", "1.2"]


def test_a_marked_value_stands_where_it_belongs() -> None:
    chart = histogram_chart(
        [HistogramColumn(0, 9, 1), HistogramColumn(10, 19, 1)], label="marked", marked=(9.5, "half <b>")
    )
    root = ElementTree.fromstring(chart)
    assert [path.get("d") for path in root.iter("path") if path.get("class") == "whisker"] == ["M160.0 14V150"]
    assert [text.text for text in root.iter("text")] == ["0", "19", "half <b>"]


def test_nothing_to_count_is_an_empty_chart() -> None:
    assert "nan" not in histogram_chart([], label="none")
    assert 'height="0.0"' in histogram_chart([HistogramColumn(1, 2, 0)], label="zero")
