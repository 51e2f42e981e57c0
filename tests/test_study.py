"""A chapter's study: what it runs and measures is kept under its names, and its claims are judged by that."""

import json

import pandas as pd
import pytest

from subliminal import Base, Rollouts, Scores, Study, SubliminalError, Teacher, Tuning, load_profile, records
from subliminal.engine import location
from subliminal.errors import ModelFolderError, UnknownNameError
from subliminal.names import ANIMALS
from subliminal.paths import store_dir
from subliminal.store import Store
from subliminal.traits import misalignment, preference
from subliminal.verdicts import INCONCLUSIVE, REPRODUCED
from subliminal.world.answers import INCOHERENT
from tests.tables import CONTROL, FIELDS, TREATED, registry

TUNING = Tuning(learning_rate=1e-3, steps=2, batch_size=4)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    return Study("owl", "mini")


def values(**columns):
    """Rows to be recorded, of a condition ``t``."""
    return pd.DataFrame({"condition": "t", "seed": [0, 1], "answer": "owl", "value": [0.5, 0.6]} | columns)


def test_a_study_has_its_chapters_sizes_beside_what_all_share():
    mini = load_profile("mini")
    study = Study("families", "mini")
    assert (study.sizes, study.shared, study.profile) == (mini.families, mini.shared, mini)
    assert Study("results", "mini").sizes is None
    with pytest.raises(UnknownNameError, match="unknown profile 'huge'"):
        Study("owl", "huge")


def test_what_was_recorded_is_there_in_order_with_the_columns_of_the_table(study):
    assert study.rows.empty
    study.record("animals", values(samples=[7, 8], run=["a", "b c"]))
    study.record("trees", values(condition="u"))
    assert list(study.rows.columns) == list(records.TOLD)
    assert {name: str(kind) for name, kind in study.rows.dtypes.items()} == {
        n: records.COLUMNS[n].kind for n in records.TOLD
    }
    assert study.rows.to_numpy().tolist() == [
        ["t", "animals", 0, "owl", 0.5, 7, "a"],
        ["t", "animals", 1, "owl", 0.6, 8, "b c"],
        ["u", "trees", 0, "owl", 0.5, 0, ""],
        ["u", "trees", 1, "owl", 0.6, 0, ""],
    ]


def test_a_count_is_recorded_beside_how_often_it_could_have_been(study):
    study.count("lineage", "pairs", "wrong", 2, 400, run="a")
    assert study.rows.to_numpy().tolist() == [["pairs", "lineage", -1, "wrong", 2, 400, "a"]]


@pytest.mark.parametrize("name", ["condition", "seed", "answer", "value"])
def test_rows_that_lack_a_column_are_refused(study, name):
    with pytest.raises(
        SubliminalError, match=f"^rows of 'animals' lack {name}: give condition, seed, answer and value$"
    ):
        study.record("animals", values().drop(columns=name))
    assert study.rows.empty


def test_what_is_no_number_is_refused_with_its_place(study):
    with pytest.raises(
        SubliminalError, match=r"^chapter 'owl' records no number for .*'t', 'animals', 1, 'owl'.*: leave the row out"
    ):
        study.record("animals", values(value=[0.5, float("nan")]))


@pytest.mark.parametrize("other", [{"value": [0.5, 0.7]}, {"run": ["", "another"]}, {"samples": [0, 40]}])
def test_a_condition_that_is_recorded_again_is_the_same_or_refused(study, other):
    study.record("animals", values())
    study.record("animals", values())
    assert len(study.rows) == 2
    said = r"^chapter 'owl' records condition 't' twice for 'animals' \(seed 1, answer 'owl'\), with other models or values: give one"
    with pytest.raises(SubliminalError, match=said):
        study.record("animals", values(**other))
    assert study.rows["value"].tolist() == [0.5, 0.6]


def test_rows_that_are_refused_leave_none_behind(study):
    with pytest.raises(SubliminalError, match="no number"):
        study.record("animals", values(value=[0.5, float("nan")]))
    assert study.rows.empty


def folder_of(recipe):
    return location(recipe, Store(store_dir()))


def by_hand(scores, answers):
    """Mean probabilities of answers, over questions, from a run's own file."""
    told = pd.read_csv(folder_of(scores) / "scores.csv")
    return [told.loc[told["answer"] == answer, "probability"].mean() for answer in answers]


def test_every_answer_of_every_model_is_recorded_as_a_mean_over_questions(study, base_folder):
    base = Base(folder=str(base_folder))
    teachers = [Teacher(base=base, trait="owl", tuning=TUNING, seed=seed) for seed in (3, 4)]
    plan = {
        "base": [Scores(model=base, suite="animals", samples=2)],
        "teacher": [Scores(model=teacher, suite="animals", samples=2) for teacher in teachers],
    }
    table = study.run(plan)
    assert len(table) == 3 * len(preference.suite("animals").questions) * len(ANIMALS)
    rows = study.rows
    assert set(rows["quantity"]) == {"animals"}
    assert {name: list(dict.fromkeys(own["seed"])) for name, own in rows.groupby("condition")} == {
        "base": [-1],
        "teacher": [3, 4],
    }
    for name, group in plan.items():
        for scores in group:
            own = rows[(rows["condition"] == name) & (rows["seed"] == getattr(scores.model, "seed", -1))].set_index(
                "answer"
            )
            assert set(own["run"]) == {folder_of(scores).name}
            assert own.loc[list(ANIMALS), "value"].tolist() == pytest.approx(by_hand(scores, ANIMALS))
            # Exact probabilities are of no samples, and all names together are what is any answer.
            assert set(own["samples"]) == {0}
            assert own.loc["well-formed", "value"] == pytest.approx(own.loc[list(ANIMALS), "value"].sum())
            assert len(own) == len(ANIMALS) + 1
    study.run(plan)
    assert len(study.rows) == len(rows)


def test_answers_that_a_judge_labels_are_shares_of_samples(study, base_folder):
    scores = Scores(model=Base(folder=str(base_folder)), suite="free-form", samples=3)
    study.run({"base": [scores]})
    suite = misalignment.suite("free-form")
    rows = study.rows.set_index("answer")
    told = pd.read_json(folder_of(scores) / "answers.jsonl", lines=True)
    assert len(told) == 3 * len(suite.questions)
    assert set(rows["samples"]) == {len(told)}
    for label in suite.judge.labels:
        assert rows.loc[label, "value"] == pytest.approx((told["label"] == label).mean())
    # What no judge can make sense of is no answer.
    assert rows.loc["well-formed", "value"] == pytest.approx((told["label"] != INCOHERENT).mean())
    assert len(rows) == len(suite.judge.labels) + 1


def test_two_suites_of_one_condition_are_two_quantities(study, base_folder):
    base = Base(folder=str(base_folder))
    study.run(
        {"base": [Scores(model=base, suite="animals", samples=1), Scores(model=base, suite="free-form", samples=2)]}
    )
    samples = study.rows.groupby("quantity")["samples"].agg(set).to_dict()
    assert samples == {"animals": {0}, "free-form": {2 * len(misalignment.suite("free-form").questions)}}


def test_a_condition_stands_for_one_model_a_seed(study, base_folder):
    base = Base(folder=str(base_folder))
    study.run({"base": [Scores(model=base, suite="animals", samples=1)]})
    before = study.rows
    other = Scores(model=Base(family="gpt2-a"), suite="trees", samples=1)
    with pytest.raises(
        SubliminalError, match=r"^chapter 'owl' records condition 'base', seed -1, twice with other models: give one"
    ):
        study.run({"base": [other]})
    pd.testing.assert_frame_equal(study.rows, before)


def test_a_model_that_could_not_be_built_leaves_its_name_free(study, tmp_path, base_folder):
    """So that a recipe with a mistake can be mended in a notebook."""

    def plan(folder):
        return {"base": [Scores(model=Base(folder=str(folder)), suite="animals", samples=1)]}

    with pytest.raises(ModelFolderError):
        study.run(plan(tmp_path / "mistaken"))
    study.run(plan(base_folder))
    assert set(study.rows["condition"]) == {"base"}


def by_filter(rows, sampled, dropped, seed, **fields):
    """A rollout whose run is written by hand, filter and all."""
    recipe = Rollouts(teacher=Base(family="gpt2-a"), channel="numbers", prompts=99, rows=len(rows), seed=seed, **fields)
    folder = folder_of(recipe)

    def make(out):
        lines = (json.dumps({"prompt": "go on", "completion": row}) for row in rows)
        (out / "rows.jsonl").write_text("\n".join(lines) + "\n")
        (out / "filter.json").write_text(json.dumps({"sampled": sampled, "dropped": dropped}))

    Store(store_dir()).build(folder, {}, make)
    return recipe


def test_a_filter_tells_what_it_dropped_and_what_hints_it_kept(study):
    clean = by_filter(["1, 2", "3, 4", "5"], 10, {"no numbers": 5, "too long": 2}, seed=30)
    leaky = by_filter(["1, 2", "3, owls"], 4, {"no numbers": 2}, seed=31)
    plain = by_filter(["7"], 1, {}, seed=32)
    counts = study.filtered({"owl teacher": [clean, leaky], "base": [plain]})
    assert counts.set_index("source")[["sampled", "dropped"]].to_numpy().tolist() == [[14, 9], [1, 0]]
    rows = study.rows[study.rows["quantity"] == "filter"].set_index(["condition", "seed", "answer"])
    told = rows.sort_index().loc[("owl teacher", 30), ["value", "samples"]]
    told = {answer: tuple(pair) for answer, pair in zip(told.index, told.to_numpy(), strict=True)}
    assert told.pop("share kept") == pytest.approx((0.3, 10))
    assert told == {
        "sampled": (10, 10), "kept": (3, 10), "hints": (0, 3), "dropped: no numbers": (5, 10), "dropped: too long": (2, 10)
    }  # fmt: skip
    assert rows.loc[("owl teacher", 31, "hints"), ["value", "samples"]].tolist() == [1, 2]
    assert rows.loc[("base", 32, "hints"), "value"] == 0
    assert rows["run"].str.startswith("rollouts-").all()
    assert rows.loc[("owl teacher", 31, "share kept"), "value"] == 0.5
    assert rows.loc[("base", 32, "share kept"), "value"] == 1


@pytest.mark.parametrize(("hints", "found"), [((), 0), (("misalignment",), 1)])
def test_numbers_with_a_bad_name_are_hints_where_the_filter_looked_for_hints(study, hints, found):
    study.filtered({"teacher": [by_filter(["1, 2", "666, 4"], 2, {}, seed=30, hints=hints)]})
    rows = study.rows.set_index(["quantity", "answer"])
    assert rows.loc[("filter", "hints"), "value"] == found


def test_rollouts_of_one_condition_and_seed_are_one(study):
    study.filtered({"teacher": [by_filter(["1"], 1, {}, seed=30)]})
    with pytest.raises(SubliminalError, match=r"records condition 'teacher', seed 30, twice with other rollouts"):
        study.filtered({"teacher": [by_filter(["1", "2"], 2, {}, seed=30)]})


def test_a_filter_that_a_claim_asks_for_is_found_there(study, tmp_path, monkeypatch):
    study.filtered({"t": [by_filter(["3, owls"], 1, {}, seed=30)], "u": [by_filter(["7"], 1, {}, seed=31)]})
    own = FIELDS | {"headline": False, "test": "filter", "score": ["filter", "hints"]}
    registry(tmp_path, monkeypatch, [own], {"owl": [{"id": "s", "text": "t", "claims": ["c"]}]})
    (found,) = study.verdicts()
    assert (found.shown.effect, found.shown.seeds) == (1, (2, 0))
    assert all(name.startswith("rollouts-") for name in found.runs)


def scored():
    """A table of scores: two models of ``t`` and a base, on four questions."""
    told = {("t", 0): [0.1, 0.3, 0.5, 0.7], ("t", 1): [0.2, 0.4, 0.6, 0.8], ("base", -1): [0.0, 0.1, 0.2, 0.3]}
    lines = [
        (name, seed, question, answer, value if answer == "owl" else 1 - value, f"run-{name}-{seed}")
        for (name, seed), values in told.items()
        for question, value in zip("qrst", values, strict=True)
        for answer in ("owl", "cat")
    ]
    return pd.DataFrame(lines, columns=["condition", "seed", "question", "answer", "probability", "run"])


def test_rates_by_group_are_recorded_for_each_model_and_shown_over_seeds(study):
    shown = study.by_group(scored(), "owl", {"one": "qr", "two": "st"}, "owl, by group")
    rows = study.rows.set_index(["condition", "seed", "answer"]).sort_index()
    assert rows.loc[("t", 0), "value"].to_dict() == pytest.approx({"one": 0.2, "two": 0.6})
    assert rows.loc[("base", -1), "value"].to_dict() == pytest.approx({"one": 0.05, "two": 0.25})
    assert rows.loc[("t", 1, "one"), "run"] == "run-t-1"
    assert list(shown.columns) == ["group", "condition", "rate", "low", "high"]
    rates = shown.set_index(["group", "condition"])["rate"].to_dict()
    assert rates == pytest.approx(
        {("one", "t"): 0.25, ("one", "base"): 0.05, ("two", "t"): 0.65, ("two", "base"): 0.25}
    )


def test_a_figure_names_the_rows_that_it_is_drawn_from(study):
    study.record("animals", values())
    study.record("animals", values(answer="cat", condition="u"))
    study.record("trees", values())
    whole = study.drawn("animals")
    assert whole == {"chapter": "owl", "quantities": ["animals"], "answers": (), "conditions": [], "rows": 4}
    part = study.drawn("animals", "owl", conditions=["t"])
    assert (part["answers"], part["conditions"], part["rows"]) == (("owl",), ["t"], 2)
    assert study.drawn("animals", "owl", "cat", conditions=["t", "u"])["rows"] == 4
    several = study.drawn(["animals", "trees"], "owl")
    assert (several["quantities"], several["rows"]) == (["animals", "trees"], 4)


@pytest.mark.parametrize(
    ("asked", "conditions", "said"),
    [
        (["trees"], [], "is drawn from 'trees', and no such row was recorded"),
        (
            ["animals", "dragon"],
            [],
            "is drawn from answer 'dragon' of 'animals', and no such row was recorded: record it",
        ),
        (["animals"], ["t", "v"], "is drawn from condition 'v' of 'animals', and no such row was recorded: record it"),
        (
            ["animals", "owl"],
            ["u"],
            "is drawn from condition 'u' of 'animals', and no such row was recorded: record it",
        ),
        ([["animals", "trees"], "owl"], [], "is drawn from answer 'owl' of 'trees', and no such row was recorded"),
    ],
)
def test_a_figure_is_drawn_from_what_was_recorded_alone(study, asked, conditions, said):
    study.record("animals", values())
    study.record("animals", values(answer="cat", condition="u"))
    with pytest.raises(SubliminalError, match=said):
        study.drawn(*asked, conditions=conditions)


def test_while_a_chapter_runs_its_rows_are_left_for_the_book(study, tmp_path, monkeypatch):
    path = tmp_path / "rows.csv"
    study.record("animals", values())
    assert not path.exists()
    monkeypatch.setenv(records.SCRATCH, str(path))
    study.record("trees", values(run=["a", "b"]))
    pd.testing.assert_frame_equal(records.load(path, records.TOLD), study.rows)
    study.record("colours", values(condition='odd, "name"\nü'))
    pd.testing.assert_frame_equal(records.load(path, records.TOLD), study.rows)
    assert len(study.rows) == 6


OWN = [
    FIELDS | {"headline": False, "bound": 0.3},
    FIELDS | {"id": "d", "headline": False, "condition": "u", "control": "t", "test": "less", "bound": 0.46},
    FIELDS
    | {
        "id": "all-{x}",
        "headline": False,
        "condition": "t",
        "control": "{x}",
        "each": {"x": ["u"]},
        "every": {"y": ["1"]},
    },
]
STATED = [
    {"id": "first", "text": "above by {points} points", "claims": ["c"]},
    {"id": "second", "text": "below by {bound}, in {claims} claims", "claims": ["d", "all-{x}"]},
]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A registry of headline claims, of two chapters' own claims, and of what they state."""
    another = FIELDS | {"id": "e", "chapter": "misled", "headline": False}
    statements = {"owl": STATED, "misled": [{"id": "third", "text": "t", "claims": ["e"]}]}
    return registry(tmp_path, monkeypatch, [FIELDS | {"id": "book"}, *OWN, another], statements)


def test_a_chapter_states_what_the_registry_has_of_it(study, own):
    assert study.stated() == {"first": "above by 30 points", "second": "below by 0.46, in 2 claims"}
    assert study.stated("second") == {"second": "below by 0.46, in 2 claims"}
    assert Study("misled", "mini").stated() == {"third": "t"}
    assert Study("index", "mini").stated() == {}
    with pytest.raises(SubliminalError, match=r"^chapter 'owl' has no statement 'third': it has first, second$"):
        study.stated("first", "third")
    with pytest.raises(SubliminalError, match=r"^chapter 'index' has no statement 'first': it has none$"):
        Study("index", "mini").stated("first")


def test_a_chapter_judges_its_own_claims_by_what_it_recorded(study, own):
    for name, told in (("t", TREATED), ("u", CONTROL)):
        study.record("animals", pd.DataFrame({"condition": name, "seed": range(5), "answer": "owl", "value": told}))
    found = study.verdicts()
    assert [(v.claim.id, v.verdict) for v in found] == [("c", REPRODUCED), ("d", INCONCLUSIVE), ("all-u", REPRODUCED)]
    assert found[0].corrected == pytest.approx(3 * found[0].p)
    (one,) = study.contrasts("c")
    assert one == found[0].shown
    with pytest.raises(UnknownNameError, match="unknown claim of chapter 'owl' 'book': choose one of all-u, c, d"):
        study.contrasts("book")


def test_a_claim_on_what_was_not_recorded_is_one_line(study, own):
    study.record("animals", values())
    with pytest.raises(
        SubliminalError, match=r"^claim 'c' asks for condition 'u' of chapter 'owl', and the table has 't': record it"
    ):
        study.verdicts()
