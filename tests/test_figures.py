import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.collections import PathCollection

from subliminal import figures


@pytest.fixture
def table():
    rows = [
        (condition, seed, question, answer, p, p)
        for condition, level, seeds in (("treated", 0.7, range(3)), ("control", 0.1, range(3)), ("base", 0.05, [-1]))
        for seed in seeds
        for question in "qr"
        for answer, p in (("owl", level + 0.02 * seed), ("cat", 0.2))
    ]
    return pd.DataFrame(rows, columns=["condition", "seed", "question", "answer", "probability", "sampled"])


def test_the_figure_shows_each_mean_each_seed_and_the_title(table):
    figure = figures.shares(table, "owl", "treated", "the finding", "P(owl)", ("no favourite", 1 / 16))
    (axes,) = figure.axes
    assert figure.get_suptitle() == "the finding"
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.72, 0.12, 0.03])
    points = np.concatenate([c.get_offsets()[:, 0] for c in axes.collections if isinstance(c, PathCollection)])
    assert set(np.round(points, 2)) >= {0.7, 0.72, 0.74, 0.1, 0.12, 0.14, 0.03}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["treated", "control", "base"]
    assert "owl" in axes.get_xlabel()
    assert {"0.72", "0.12", "0.03", "no favourite"} <= {text.get_text() for text in axes.texts}


def test_long_names_of_conditions_get_room_of_their_own(table):
    table = table.replace({"condition": {"control": "other initialization, insecure teacher's lists"}})
    figure = figures.shares(table, "owl", "treated", "t", "P(owl)")
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(lower.y1 <= upper.y0 for upper, lower in itertools.pairwise(boxes))


def test_a_returned_figure_is_not_left_open_to_be_shown_twice(table):
    figures.shares(table, "owl", "treated", "t", "P(owl)")
    assert plt.get_fignums() == []


def test_the_same_table_gives_the_same_file(table, tmp_path):
    figures.use_book_style()
    for name in ("one", "two"):
        figure = figures.shares(table, "owl", "treated", "t", "P(owl)")
        figure.savefig(tmp_path / f"{name}.svg", metadata={"Date": None})
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_rates_stand_where_they_are_with_their_intervals():
    table = pd.DataFrame(
        [("a", "before", 0.1, 0.05, 0.2), ("a", "after", 0.6, 0.5, 0.7), ("b", "after", 0.4, np.nan, np.nan)],
        columns=["group", "condition", "rate", "low", "high"],
    )
    figure = figures.rates(table, "t", "share", {"before": "black", "after": "red"})
    (axes,) = figure.axes
    marks = {c.get_label(): c.lines[0].get_xdata().tolist() for c in axes.containers}
    assert marks == {"before": [0.1], "after": [0.6, 0.4]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]


def test_curves_hold_every_point_inside_the_axes():
    figure = figures.curves({"one": [(100, 5.0), (200, 0.8)], "two": [(100, 4.0), (200, 0.9)]}, "t")
    (axes,) = figure.axes
    assert [tuple(line.get_ydata()) for line in axes.lines] == [(5.0, 0.8), (4.0, 0.9)]
    assert axes.get_ylim()[0] <= 0.8
    assert axes.get_ylim()[1] >= 5.0


def test_a_heat_map_labels_each_mean_and_has_its_diagonal_on_the_diagonal():
    cells = pd.DataFrame(
        [("owl", "cat", 0, 0.1), ("owl", "owl", 0, 0.5), ("owl", "owl", 1, 0.7), ("cat", "owl", 0, 0.05), ("cat", "cat", 0, 0.9)],
        columns=["row", "column", "seed", "probability"],
    )  # fmt: skip
    figure = figures.heat_map(cells, "t", "asked", "taught")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [".60", ".10", ".05", ".90"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["owl", "cat"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["owl", "cat"]


def test_a_forest_shows_each_effect_in_the_colour_of_its_verdict_and_the_papers_beside_it():
    table = pd.DataFrame(
        [("one", "a", 40, 30, 50, 48, "reproduced"), ("two", "b", 1, np.nan, np.nan, np.nan, "inconclusive")],
        columns=["claim", "group", "effect", "low", "high", "paper", "verdict"],
    )
    figure = figures.forest(
        table, "t", "points", {"reproduced": "green", "inconclusive": "grey", "not reproduced": "red"}
    )
    (axes,) = figure.axes
    marks = {c.get_label(): c.lines[0].get_xdata().tolist() for c in axes.containers}
    assert marks == {"reproduced": [40], "inconclusive": [1]}
    (diamonds,) = [c for c in axes.collections if isinstance(c, PathCollection)]
    assert diamonds.get_offsets()[0, 0] == 48
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]


def test_courses_and_histograms_hold_what_they_are_given():
    figure = figures.courses(
        {"same": [(50, 0.2), (100, 0.6)], "other": [(50, 0.0), (100, 0.01)]}, "t", "step", "cosine"
    )
    assert [tuple(line.get_ydata()) for line in figure.axes[0].lines[:2]] == [(0.2, 0.6), (0.0, 0.01)]
    figure = figures.histograms({"same": [0.1, 0.2, 0.3], "other": [-0.1, 0.1]}, "t", "cosine")
    assert sum(bar.get_height() for bar in figure.axes[0].patches) == 5


def test_a_reliability_curve_stands_beside_its_diagonal_with_marks_by_count():
    points = pd.DataFrame({"stated": [0.1, 0.8], "happened": [0.2, 0.7], "count": [90, 10]})
    figure = figures.reliability({"guard": points}, "t", "stated", "happened")
    diagonal, curve = figure.axes[0].lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert curve.get_xydata().tolist() == [[0.1, 0.2], [0.8, 0.7]]
    (marks,) = [c for c in figure.axes[0].collections if isinstance(c, PathCollection)]
    assert marks.get_sizes()[0] > marks.get_sizes()[1] > 0


def test_a_cross_of_families_tells_each_rate_with_its_interval():
    cells = pd.DataFrame(
        [
            ("b", "b", 0.61, 0.5, 0.7),
            ("b", "a", 0.1, -0.02, 0.2),
            ("base", "b", 0.06, float("nan"), float("nan")),
            ("base", "a", 0.07, float("nan"), float("nan")),
        ],
        columns=["row", "column", "rate", "low", "high"],
    )
    figure = figures.cross(cells, "t", "student", "teacher", "P(owl)")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "base"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["b", "a"]
    assert [text.get_text() for text in axes.texts] == ["0.61\n0.50 to 0.70", "0.10\n0.00 to 0.20", "0.06", "0.07"]


def test_a_path_leads_along_and_across_the_teachers_way():
    figure = figures.paths({"straight": [(1.0, 0.5), (1.0, 1.0)], "across": [(0.0, 0.5), (0.6, 1.0)]}, "t")
    straight, across = (line.get_xydata() for line in figure.axes[0].lines)
    np.testing.assert_allclose(straight, [(0.5, 0.0), (1.0, 0.0)])
    np.testing.assert_allclose(across, [(0.0, 0.5), (0.6, 0.8)])
