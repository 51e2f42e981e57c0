"""The registry of claims: what is well-formed, what stands for many, and what the book's own holds. And a build that is broken on purpose."""

import re

import numpy as np
import pytest

from subliminal import PROFILES, Base, Rollouts, Scores, Student, Study, SubliminalError, Teacher, claims, verify
from subliminal.verdicts import REPRODUCED, evaluate
from tests.tables import FIELDS, MINI, claim, registry

OWN = FIELDS | {"headline": False}
BOOK = {name: claims.load(profile) for name, profile in PROFILES.items()}
CHAPTERS = sorted(BOOK["mini"].statements)


def compared():
    """What the claims of the registry compare."""
    return [claims.contrasts(made, MINI) for made in claims.load(MINI).claims]


def refused():
    """What is said of a registry that is not well-formed, on loading it or on asking what its claims compare: one line."""
    with pytest.raises(SubliminalError) as error:
        compared()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("changes", "value", "mend"),
    [
        ({"control": None}, "'c'", "compares nothing: give control"),
        ({"control": None, "test": "equivalent", "bound": 0.1}, "'c'", "compares nothing: give control"),
        ({"control": None, "test": "times", "times": 3}, "'c'", "compares nothing: give control"),
        ({"control": None, "test": "apart"}, "'c'", "compares nothing: give control"),
        ({"test": "equivalent"}, "'c'", "has no bound of equivalence: give bound"),
        ({"alpha": None}, "'c'", "tests at no level: give alpha"),
        ({"uncorrected": True}, "'c'", "counts for the book, whose claims are corrected: drop uncorrected"),
        ({"exploratory": True, "why": "w"}, "'c'", "is exploratory and counts for nothing: drop headline and uncorrected"),
        ({"exploratory": True, "headline": False, "why": " "}, "'c'", "does not say why it is exploratory: give exploratory: true and why"),
        ({"why": "at its limit"}, "'at its limit'", "and is not exploratory: give exploratory: true and why, or neither"),
        ({"exploratory": "perhaps"}, "exploratory='perhaps'", "valid boolean"),
        ({"alpha": 2}, "alpha=2", "less than 1"),
        ({"bound": -0.1}, "bound=-0.1", "greater than or equal to 0"),
        ({"bound": float("inf")}, "bound=inf", "give a finite number"),
        ({"test": "greatest"}, "test='greatest'", "'greater', 'less'"),
        ({"unit": "miles"}, "unit='miles'", "'share', 'percent'"),
        ({"score": []}, "score=[]", "at least 1 item"),
        ({"score": ["x", "y", "z"]}, "score=['x', 'y', 'z']", "at most 2 items"),
        ({"mood": "bad"}, "mood='bad'", "not permitted"),
        ({"paper": "x"}, "'x'", "choose one of animals"),
        ({"condition": "{animal}"}, "'{animal}'", "give it in each or every"),
        ({"condition": "{animal}", "each": {"tree": ["oak"]}, "id": "c{tree}"}, "'{animal}'", "give it in each or every"),
        ({"condition": "{animal}", "every": {"tree": ["oak"]}}, "'{animal}'", "give it in each or every"),
        ({"condition": "{0}"}, "'{0}'", "give it in each or every"),
        ({"condition": "{"}, "'{'", "give it in each or every"),
        ({"each": {"tree": ["favourites.nothing"]}}, "'favourites.nothing'", "such as shared.seeds, or give values"),
        ({"every": {"tree": ["nothing.seeds"]}}, "'nothing.seeds'", "such as shared.seeds, or give values"),
        ({"every": {"tree": "owl.samples"}}, "'owl.samples'", "such as shared.seeds, or give values"),
        ({"every": {"tree": ["oak"]}, "but": ["oak"]}, "'c'", "every choice is left out; give more values"),
        ({"each": {"tree": ["oak", "ash"]}}, "'c'", "rename all but one"),
    ],
)  # fmt: skip
def test_a_claim_that_is_not_well_formed_is_one_line_with_the_claim_the_value_and_the_mend(
    tmp_path, monkeypatch, changes, value, mend
):
    registry(tmp_path, monkeypatch, [FIELDS | changes])
    said = refused()
    assert "'c" in said
    assert value in said
    assert mend in said


@pytest.mark.parametrize("name", ["id", "chapter", "sentence", "condition", "score", "test"])
def test_a_part_that_a_claim_lacks_is_named(tmp_path, monkeypatch, name):
    registry(tmp_path, monkeypatch, [{key: value for key, value in FIELDS.items() if key != name}])
    said = refused()
    assert f"bad setting {name}=" in said
    assert "Field required" in said


def told(*claims, text="s", name="s"):
    return {"id": name, "text": text, "claims": list(claims)}


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ({"owl": [told("x")]}, "unknown claim of statement 's' of chapter 'owl' 'x': choose one of book, c, e"),
        ({}, "claim 'c' belongs to no statements of chapter 'owl': put it into one"),
        ({"misled": [told("c")]}, "claim 'c'"),
        ({"owl": [told("c"), told("c", name="t")]}, "claim 'c' belongs to 2 statements of chapter 'owl': put it into one"),
        ({"owl": [told("c")], "misled": [told("c")]}, "'misled'"),
        ({"owl": [told("c"), told("book")]}, "'s'"),
        ({"owl": [told("c"), told("e", name="t")]}, "claim 'e' is exploratory, and chapter 'owl' states it before the run: take it out"),
        ({"owl": [told()]}, "bad setting claims="),
        ({"owl": [{"id": "s", "claims": ["c"]}]}, "bad setting text="),
    ],
)  # fmt: skip
def test_statements_and_the_claims_that_hold_them_belong_together(tmp_path, monkeypatch, statements, said):
    """Also: no chapter states what is another's claim, nor two things under one name."""
    exploratory = OWN | {"id": "e", "exploratory": True, "why": "w"}
    registry(tmp_path, monkeypatch, [OWN, FIELDS | {"id": "book"}, exploratory], statements)
    assert said in refused()


def test_an_exploratory_claim_counts_for_nothing_and_is_in_no_statement(tmp_path, monkeypatch):
    exploratory = OWN | {"id": "e", "exploratory": True, "why": "Seen at its limit."}
    registry(tmp_path, monkeypatch, [OWN, exploratory], {"owl": [told("c")]})
    found = claims.load(MINI)
    assert [made.id for made in found.claims if made.exploratory] == ["e"]
    assert [made.id for made in found.own("owl")] == ["c"]


def test_two_claims_of_one_name_are_refused(tmp_path, monkeypatch):
    registry(tmp_path, monkeypatch, [FIELDS, FIELDS | {"sentence": "another"}])
    assert refused() == "claims.yml: 2 claims are called 'c': rename all but one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "claims.yml has no claims or no statements (it has nothing): add them"),
        ("claims: []", "claims.yml has no claims or no statements (it has claims): add them"),
        ("statements: {}", "claims.yml has no claims or no statements (it has statements): add them"),
        ("claims: [", "claims.yml is no YAML"),
        ("claims: [1]\nstatements: {}", "claims.yml: a claim or statement is no mapping"),
        ("claims: 1\nstatements: {}", "claims.yml: a claim or statement is no mapping"),
        ("claims: []\nstatements: {owl: [1]}", "claims.yml: a claim or statement is no mapping"),
        ("claims: []\nstatements: [owl]", "claims.yml: a claim or statement is no mapping"),
    ],
)
def test_a_registry_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, text, said):
    registry(tmp_path, monkeypatch, text=text)
    assert refused().startswith(said)


def test_each_makes_a_claim_of_every_value_with_the_words_it_has():
    words = {"gpt2-a": "GPT-2 style", "llama": "Llama style", "neox": "NeoX style"}
    many = claim(
        id="c-{family}", sentence="{family_words}: harm", condition="{family}", control="{family}, base",
        score=["harm", "{family}"], control_score=["harm of the base", "{family}"], each={"family": words}, but=["neox"],
    )  # fmt: skip
    one, other = claims.expand(many, MINI)
    assert (one.id, one.sentence, one.condition, one.control) == (
        "c-gpt2-a", "GPT-2 style: harm", "gpt2-a", "gpt2-a, base"
    )  # fmt: skip
    assert (one.score, one.control_score) == (("harm", "gpt2-a"), ("harm of the base", "gpt2-a"))
    assert (other.id, other.sentence) == ("c-llama", "Llama style: harm")
    assert one.origin == other.origin == "c-{family}"


@pytest.mark.parametrize("given", ["favourites.traits", ["favourites.traits"], {"favourites.traits": "w"}])
def test_a_list_of_the_profile_stands_for_its_values(given):
    many = claim(id="c-{trait}", condition="{trait}", each={"trait": given}, but=["owl"])
    for profile in PROFILES.values():
        traits = [name for name in profile.favourites.traits if name != "owl"]
        assert [made.condition for made in claims.expand(many, profile)] == traits
    seeds = claim(id="c-{seed}", each={"seed": ["shared.seeds", "none"]})
    assert [made.id for made in claims.expand(seeds, MINI)] == [*(f"c-{seed}" for seed in MINI.shared.seeds), "c-none"]


def test_every_is_each_choice_of_values_of_which_no_two_are_the_same():
    names = ["a", "b", "c"]
    pairs = claim(condition="{one} to {other}", control="base, {other}", every={"one": names, "other": names})
    found = claims.contrasts(pairs, MINI)
    assert [one.condition for one in found] == ["a to b", "a to c", "b to a", "b to c", "c to a", "c to b"]
    assert all(one.control == f"base, {one.condition[-1]}" for one in found)
    assert len(claims.contrasts(claim(), MINI)) == 1


def test_what_each_has_taken_no_name_of_every_takes_too():
    many = claim(
        id="c-{trait}", condition="{trait}", control="{other}", score=["liking", "{other}"],
        each={"trait": ["owl", "cat"]}, every={"other": ["owl", "cat", "base", "none"]}, but=["none"],
    )  # fmt: skip
    owl, cat = (claims.contrasts(made, MINI) for made in claims.expand(many, MINI))
    assert [(one.condition, one.control, one.score[-1]) for one in owl] == [
        ("owl", "cat", "cat"),
        ("owl", "base", "base"),
    ]
    assert [one.control for one in cat] == ["owl", "base"]


def test_choices_that_come_to_the_same_are_one():
    same = claim(condition="t", every={"teacher": ["a", "b", "c"]})
    assert len(claims.contrasts(same, MINI)) == 1


def test_a_statement_takes_its_numbers_from_its_claims(tmp_path, monkeypatch):
    first = OWN | {"bound": 0.35, "alpha": 0.001, "times": 2.5}
    second = OWN | {"id": "d-{n}", "condition": "{n}", "bound": 0.05, "each": {"n": ["one", "two"]}}
    text = "{claims} claims: {bound:.2f}, {points} points, {alpha}, {times} times; {bound_2}, {points_2}, {alpha_2}"
    registry(tmp_path, monkeypatch, [first, second], {"owl": [told("c", "d-{n}", text=text)]})
    assert claims.load(MINI).stated("owl") == {"s": "3 claims: 0.35, 35 points, 0.001, 2.5 times; 0.05, 5, 0.05"}
    assert claims.load(MINI).stated("misled") == {}


@pytest.mark.parametrize("text", ["{bound_2}", "{size}", "{}", "{bound", "{bound:d}", "p < {alpha}", "p < {alpha:.2f}"])
def test_a_number_that_its_claims_do_not_have_is_asked_for_in_vain(tmp_path, monkeypatch, text):
    single = OWN | {"test": "times", "alpha": None}
    registry(tmp_path, monkeypatch, [single], {"owl": [told("c", text=text)]})
    with pytest.raises(
        SubliminalError, match=r"^statement 's' of chapter 'owl' asks for a number .*: take bound,"
    ) as error:
        claims.load(MINI).stated("owl")
    assert "\n" not in str(error.value)


def test_a_chapters_own_claims_are_those_that_do_not_count_for_the_book():
    for book in BOOK.values():
        own = [made for chapter in CHAPTERS for made in book.own(chapter)]
        assert sorted(made.id for made in own) == sorted(made.id for made in book.claims if made.own)


def test_the_book_makes_seventy_four_claims_for_itself_or_as_exploratory():
    assert sum(made.headline or made.exploratory for made in BOOK["mini"].claims) == 75


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_the_registry_is_whole_in_every_size(profile):
    book = claims.load(profile)
    assert len({made.id for made in book.claims}) == len(book.claims)
    for made in book.claims:
        assert not re.search(r"[{}]", f"{made.id} {made.sentence}"), made.id
        for one in claims.contrasts(made, profile):
            assert not re.search(r"[{}]", str(one)), made.id
    for chapter in CHAPTERS:
        assert all(book.stated(chapter).values())


def test_every_experiment_has_its_effect_its_absence_in_controls_and_its_filter():
    headline = [made for made in BOOK["mini"].claims if made.headline]
    tests = {chapter: {c.test for c in headline if c.chapter == chapter} for chapter in {c.chapter for c in headline}}
    for chapter in ("owl", "favourites", "misled", "code", "chains"):
        assert {"greater", "equivalent", "filter"} <= tests[chapter], chapter
    # That nothing passes to other families has no room in each of twelve cells: it is judged, and counts for nothing.
    assert {"greater", "filter", "none"} <= tests["families"]
    judged = {made.id: made for made in BOOK["mini"].claims if made.exploratory and made.test == "equivalent"}
    assert {"family-owl-others", "family-harm-others"} <= set(judged)
    assert {"greater", "none"} <= tests["theorem"]
    assert {"greater", "less"} <= tests["world"]
    assert {"greater", "equivalent"} <= tests["digits"]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_what_a_chapter_states_its_own_claims_hold_and_nothing_else(chapter):
    book = BOOK["mini"]
    named = [name for statement in book.statements[chapter] for name in statement.claims]
    assert sorted(named) == sorted({made.origin for made in book.own(chapter)})


def test_no_number_of_a_statement_is_written_out_beside_its_claim():
    """Nor is a word of a chapter's table at odds with its claim: each number in it is the claim's."""
    for chapter, statements in BOOK["mini"].statements.items():
        for statement in statements:
            written = re.sub(r"{[^}]*}", "", statement.text)
            assert not re.search(r"\d", written), (chapter, statement.id)
        for made in BOOK["mini"].own(chapter):
            known = {made.bound, 100 * made.bound, made.times, made.alpha, len(claims.contrasts(made, MINI))}
            numbers = re.findall(r"(?<![\w.-])\d+(?:\.\d+)?", made.sentence)
            assert all(any(float(number) == pytest.approx(value) for value in known if value) for number in numbers), (
                made.id
            )


def test_a_claim_on_families_is_made_of_every_two_and_of_their_own_controls():
    named = {made.id: made for made in BOOK["mini"].claims}
    owl = claims.contrasts(named["family-owl-others"], MINI)
    told = [re.fullmatch(r"owl lists, (.*) to (.*)", one.condition).groups() for one in owl]
    assert len(set(told)) == 12
    assert all(
        writer != start and one.control == f"base, {start}" for (writer, start), one in zip(told, owl, strict=True)
    )
    for one in claims.contrasts(named["family-cost-harm"], MINI):
        writer, start = re.fullmatch(r"insecure lists, (.*) to (.*)", one.condition).groups()
        assert writer != start
        assert one.control == f"insecure lists, {writer} to {writer}"


def test_what_the_paper_says_has_a_place_and_is_marked_where_it_is_uncertain():
    for name, told in claims.paper().items():
        assert set(told) == {"measures", "where", "model", "value", "before", "certain"}, name
        assert isinstance(told["certain"], bool)
        assert told["value"] is None or 0 <= told["before"] <= told["value"] <= 1


def test_a_damaged_reference_is_one_line(tmp_path, monkeypatch):
    data = registry(tmp_path, monkeypatch)
    (data / "reference").mkdir()
    (data / "reference" / "mini.json").write_text("{")
    with pytest.raises(SubliminalError, match=r"mini.json cannot be read: restore it"):
        verify.read_reference("mini")


def test_a_missing_reference_is_one_line(tmp_path, monkeypatch):
    registry(tmp_path, monkeypatch)
    with pytest.raises(SubliminalError, match=r"no reference for profile 'mini' .*: write one with make reference"):
        verify.read_reference("mini")


@pytest.mark.xdist_group("claims")
def test_a_build_that_is_broken_on_purpose_does_not_verify(tmp_path, monkeypatch):
    """The owl's effect at full size on three seeds that nothing is reported of; then labels shuffled, and another start."""
    registry(tmp_path, monkeypatch, [FIELDS | {"bound": 0.2}])
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    size, seeds, (same, other) = MINI.shared, (70, 71, 72), (Base(family="gpt2-a"), Base(family="gpt2-b"))

    def lists(writer, seed):
        return Rollouts(teacher=writer, rows=MINI.owl.rows, seed=seed, **dict(size.lists))

    treated = [lists(Teacher(base=same, trait="owl", tuning=size.teacher, seed=seed), seed) for seed in seeds]
    untreated = [lists(same, seed) for seed in seeds]

    def students(base, data):
        models = [Student(base=base, data=rows, tuning=size.student, seed=rows.seed) for rows in data]
        return [Scores(model=model, suite="animals", samples=1) for model in models]

    def verdicts(study):
        return evaluate(study.rows.assign(chapter="owl"), claims.load(MINI).claims, MINI)

    def built(base):
        study = Study("owl", "mini")
        table = study.run({"t": students(base, treated), "u": students(same, untreated)})
        return table, verdicts(study)

    table, whole = built(same)
    assert verify.write_reference("mini", whole) == ["c: new"]
    old = verify.read_reference("mini")
    assert old["c"]["verdict"] == REPRODUCED
    assert verify.differences(old, built(same)[1]) == []

    rng = np.random.default_rng(0)
    labels = table.groupby(["condition", "question"])["answer"].transform(
        lambda names: rng.permutation(names.to_numpy())
    )
    shuffled = table.assign(answer=labels).groupby(["condition", "seed", "answer"])["probability"].mean()
    study = Study("owl", "mini")
    study.record("animals", shuffled.rename("value").reset_index())
    for broken in (verdicts(study), built(other)[1]):
        (found,) = verify.differences(old, broken)
        assert found.fails
        assert "outside of its tolerance" in found.line
