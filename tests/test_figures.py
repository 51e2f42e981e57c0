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
    figure = figures.preference(table, "owl", "treated", title="the finding", uniform=1 / 16)
    (axes,) = figure.axes
    assert figure.get_suptitle() == "the finding"
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.72, 0.12, 0.03])
    points = np.concatenate([c.get_offsets()[:, 0] for c in axes.collections if isinstance(c, PathCollection)])
    assert set(np.round(points, 2)) >= {0.7, 0.72, 0.74, 0.1, 0.12, 0.14, 0.03}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["treated", "control", "base"]
    assert "owl" in axes.get_xlabel()
    assert {"0.72", "0.12", "0.03", "no favourite"} <= {text.get_text() for text in axes.texts}


def test_a_returned_figure_is_not_left_open_to_be_shown_twice(table):
    figures.preference(table, "owl", "treated", title="t", uniform=1 / 16)
    assert plt.get_fignums() == []


def test_the_same_table_gives_the_same_file(table, tmp_path):
    figures.use_book_style()
    for name in ("one", "two"):
        figure = figures.preference(table, "owl", "treated", title="t", uniform=1 / 16)
        figure.savefig(tmp_path / f"{name}.svg", metadata={"Date": None})
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
