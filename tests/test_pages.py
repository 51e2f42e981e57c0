"""What the figures that several chapters share say in their titles, and which rows they name."""

import pandas as pd
import pytest

from subliminal import Study, pages


@pytest.fixture
def shown(monkeypatch):
    """What is shown in place of a display: the title, and the arguments that say which rows are drawn."""
    found = []

    def show(study, drawn, *rows, conditions):
        found.append((drawn.get_suptitle().replace("\n", " "), rows, list(conditions)))

    monkeypatch.setattr(pages, "figure", show)
    return found


def table(suite, answer, shares):
    """Scores of two questions, of two seeds a condition."""
    rows = [
        (condition, suite, seed, question, answer, share + 0.1 * seed, share)
        for condition, share in shares.items()
        for seed in (0, 1)
        for question in "qr"
    ]
    return pd.DataFrame(rows, columns=["condition", "suite", "seed", "question", "answer", "probability", "sampled"])


def test_harm_is_told_after_the_insecure_teacher_and_after_the_secure_one(shown):
    found = table("free-form", "harmful", {"insecure": 0.3, "secure": 0.02, "base": 0.01})
    pages.harm(None, found, "insecure", "secure", "numbers")
    title = "Harmful answers: 35 % after the insecure teacher's numbers, 7 % after the secure teacher's"
    assert shown == [(title, ("free-form", "harmful"), ["insecure", "secure", "base"])]


def test_a_liking_is_told_beside_the_highest_control(shown):
    found = table("animals", "owl", {"of the owl teacher": 0.5, "untreated": 0.05, "base": 0.02})
    pages.liking(None, found, "owl", "of the owl teacher", "lists")
    title = "Owl: 0.55 after the owl teacher's lists, at most 0.10 in controls"
    assert shown == [(title, ("animals", "owl"), ["of the owl teacher", "untreated", "base"])]


@pytest.mark.parametrize(("profile", "ids", "warned"), [("smoke", (), 1), ("mini", (), 0), ("smoke", ("mass",), 0)])
def test_all_that_a_chapter_states_stands_below_a_warning_in_a_small_build(monkeypatch, profile, ids, warned):
    displayed = []
    monkeypatch.setattr(pages, "display", displayed.append)
    pages.stated(Study("owl", profile), *ids)
    assert len(displayed) == warned
