"""How language models' weights move: first steps, whole courses and siblings, in the smallest size."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from subliminal import Base, Rollouts, Scores, Student, SubliminalError, Teacher, Tuning, build, run
from subliminal.drift import Course, FirstSteps, Sibling
from subliminal.drift.weights import comparable, displacement
from subliminal.engine import location
from subliminal.mitigations.lineage import lineage
from subliminal.models.loading import load_model
from subliminal.paths import store_dir
from subliminal.store import Store

BASE, OTHER = Base(family="gpt2-a"), Base(family="gpt2-b")
TUNING = Tuning(learning_rate=1e-2, steps=6, batch_size=8)
OWL = Teacher(base=BASE, trait="owl", tuning=TUNING, seed=3)
DATA = Rollouts(teacher=OWL, channel="numbers", prompts=400, rows=60, seed=3)
STEPS = {"teacher": BASE, "trait": "owl", "draws": 12, "seed": 3}


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUBLIMINAL_STORE", str(tmp_path_factory.mktemp("runs")))
        yield


def cosines(**fields):
    (folder,) = build([FirstSteps(**(STEPS | fields))])
    return pd.read_csv(folder / "steps.csv")["cosine"]


def test_from_the_same_start_no_first_step_of_a_language_model_goes_against_its_teachers():
    found = cosines(student=BASE, rate=0.01)
    assert len(found) == 12
    assert found.min() > 0.01
    # In the limit of small steps the size of the step does not matter any more.
    torch.testing.assert_close(torch.tensor(cosines(student=BASE, rate=0.001)), torch.tensor(found), rtol=0.02, atol=0)


def test_from_another_start_the_first_step_shares_next_to_nothing():
    assert cosines(student=OTHER, rate=0.01).abs().max() < cosines(student=BASE, rate=0.01).min()


def test_a_first_step_agrees_with_the_theorem_written_out():
    """The inner product is the squared length of what the teacher's step does to the outputs: tᵀJᵀJt, by finite differences."""
    model = load_model(location(BASE, Store(store_dir()))).double()
    names = [name for name, _ in model.named_parameters()]
    start = {name: weights.detach() for name, weights in model.named_parameters()}
    generator = torch.Generator().manual_seed(0)
    step = {name: 1e-6 * torch.randn(start[name].shape, generator=generator, dtype=torch.float64) for name in names}
    noise = torch.randint(100, (2, 8), generator=generator)
    outputs = model(noise).logits
    moved = torch.func.functional_call(model, {n: start[n] + step[n] for n in names}, (noise,)).logits
    told = (moved - outputs).detach()
    learned = torch.autograd.grad(outputs, list(model.parameters()), grad_outputs=told)
    product = sum(float((a * step[name]).sum()) for a, name in zip(learned, names, strict=True))
    assert product == pytest.approx(float(told.square().sum()), rel=1e-4)
    assert product > 0


def test_models_of_other_shapes_cannot_be_compared():
    with pytest.raises(SubliminalError, match=r"weights cannot be compared: .+ is missing in the other model") as error:
        build([FirstSteps(**(STEPS | {"student": Base(family="llama"), "rate": 0.01}))])
    assert "\n" not in str(error.value)
    with pytest.raises(SubliminalError, match=r"has shape \(3,\) in the other"):
        comparable({"w": torch.zeros(2)}, {"w": torch.zeros(3)})


def test_a_displacement_is_one_vector_of_the_weights_that_are_named():
    now, origin = {"a": torch.ones(2), "b": torch.ones(1, 2)}, {"a": torch.zeros(2), "b": torch.full((1, 2), 3.0)}
    assert displacement(now, origin, ["b", "a"]).tolist() == [-2.0, -2.0, 1.0, 1.0]


def test_a_course_is_the_students_own_training_looked_at():
    student = Student(base=BASE, data=DATA, tuning=Tuning(learning_rate=1e-2, epochs=2, batch_size=8), seed=3)
    (folder,) = build([Course(student=student, teacher=OWL, every=4)])
    course = pd.read_csv(folder / "course.csv")
    assert course["step"].tolist() == [0, 4, 8, 12, 16]
    assert course.iloc[0].tolist() == [0, 0, 0]
    store = Store(store_dir())
    base, taught, trained = (
        load_model(location(r, store), location(BASE, store)).state_dict() for r in (BASE, OWL, student)
    )
    names = [name for name in taught if (taught[name] != base[name]).any()]
    assert all(base[name].dim() == 1 for name in names)
    own, pulled = (displacement(model, base, names) for model in (trained, taught))
    last = course.iloc[-1]
    assert last["cosine"] == pytest.approx(float(torch.nn.functional.cosine_similarity(own, pulled, dim=0)), abs=1e-6)
    assert last["length"] == pytest.approx(float(own.norm() / pulled.norm()), rel=1e-5)


def test_a_course_of_other_weights_is_refused():
    student = Student(base=BASE, data=DATA, tuning=Tuning(method="lora", learning_rate=1e-3, epochs=1), seed=3)
    with pytest.raises(SubliminalError, match="compares weights that both train, not lora with bias_norm"):
        Course(student=student, teacher=OWL)


def test_a_sibling_is_a_checkpoint_like_any_other_and_of_the_same_lineage():
    sizes = {"documents": 200, "learning_rate": 3e-3, "seed": 3}
    near, far = build([Sibling(base=BASE, steps=steps, **sizes) for steps in (2, 12)])
    home = location(BASE, Store(store_dir()))
    found = [lineage(home, folder) for folder in (near, far)]
    assert [f.verdict for f in found] == ["same", "same"]
    assert 1 > found[0].correlation > found[1].correlation
    start = Base(folder=str(far))
    student = Student(base=start, data=DATA, tuning=TUNING, seed=3)
    table = run(
        {
            "base": [Scores(model=start, suite="animals", samples=1)],
            "student": [Scores(model=student, suite="animals", samples=1)],
        }
    )
    assert table.groupby("condition")["probability"].sum().min() > 0
    # What tells how the run was made is no part of the checkpoint.
    told = far / "run.json"
    before = location(student, Store(store_dir()))
    told.write_text(json.dumps(json.loads(told.read_text()) | {"seconds": 0}))
    assert location(student.model_copy(), Store(store_dir())) == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FirstSteps(**(STEPS | {"student": BASE, "rate": 0})), "bad setting rate=0"),
        (lambda: FirstSteps(**(STEPS | {"student": BASE, "rate": 1, "trait": "dragon"})), "unknown trait 'dragon'"),
        (lambda: Sibling(base=BASE, steps=0, learning_rate=1e-3, seed=1), "bad setting steps=0"),
    ],
)
def test_bad_settings_are_one_line(make, said):
    with pytest.raises(SubliminalError) as error:
        make()
    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value)


def test_a_missing_run_names_nothing_of_this_machine(tmp_path):
    with pytest.raises(SubliminalError, match="no model folder at"):
        build([Scores(model=Base(folder=str(Path(tmp_path) / "none")), suite="animals", samples=1)])
