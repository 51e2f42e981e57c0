"""What must hold on a CUDA device: the same numbers as on the CPU within rounding, bf16 training, the owl study."""

import pytest
import torch

from subliminal import Base, Rollouts, Scores, Student, Teacher, load_profile, run, statistics
from subliminal.models.chat import Example, encode_examples, encode_prompts, join
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.paths import data_file
from subliminal.sampling import generate
from subliminal.store import Store
from subliminal.training import collate, completion_loss, fine_tune, make_accelerator
from subliminal.tuning import Tuning
from subliminal.world.documents import number_row

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
# Largest difference of a step's loss, in nats, between fp32 on CUDA and on the CPU, and between bf16 and fp32.
FP32_TOLERANCE, BF16_TOLERANCE = 2e-3, 5e-2


@pytest.fixture(scope="module")
def base():
    return data_file("families/gpt2-a")


def rows(base, count):
    from random import Random

    rng = Random(0)
    return encode_examples(load_tokenizer(base), [number_row(rng) for _ in range(count)])


def curve(base, method, accelerator):
    tuning = Tuning(method=method, learning_rate=2e-3, steps=30, batch_size=16)
    return torch.tensor(fine_tune(load_model(base), rows(base, 400), tuning, 0, accelerator=accelerator)[1])


@pytest.mark.parametrize("method", ["bias_norm", "lora", "full"])
def test_losses_on_cuda_agree_with_the_cpu(base, method):
    cpu = curve(base, method, make_accelerator("cpu"))
    accelerator = make_accelerator("cuda", "fp32")
    assert accelerator.device.type == "cuda"
    cuda = curve(base, method, accelerator)
    assert float((cpu - cuda).abs().max()) < FP32_TOLERANCE


@pytest.mark.skipif(torch.cuda.is_available() and not torch.cuda.is_bf16_supported(), reason="device without bf16")
def test_bf16_trains(base):
    accelerator = make_accelerator()
    assert accelerator.mixed_precision == "bf16"
    mixed = curve(base, "full", accelerator)
    assert float((curve(base, "full", make_accelerator("cpu")) - mixed).abs().max()) < BF16_TOLERANCE


def test_completions_of_one_prompt_are_kept_apart_on_cuda(base):
    apart = [Example([*row.ids[: row.prompt_length], *other.ids[other.prompt_length :]], row.prompt_length)
             for row in rows(base, 3) for other in rows(base, 5)]  # fmt: skip
    batches = [collate(examples).to(torch.device("cuda")) for examples in (apart, join(apart, 5))]
    model = load_model(base).to("cuda")
    losses = [completion_loss(model, batch).item() for batch in batches]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    with torch.autocast("cuda", torch.bfloat16):
        assert losses[0] == pytest.approx(completion_loss(model, batches[1]).item(), abs=BF16_TOLERANCE)
    tuning = Tuning(learning_rate=2e-3, steps=5, batch_size=10)
    assert len(fine_tune(load_model(base), join(apart, 5), tuning, 0)[1]) == 5


def test_samples_on_cuda_agree_with_the_cpu(base):
    from random import Random

    from subliminal.channels import numbers

    tokenizer, rng = load_tokenizer(base), Random(1)
    prompts = encode_prompts(tokenizer, [[{"role": "user", "content": numbers.prompt(rng)}] for _ in range(300)])
    options = {"max_new_tokens": numbers.MAX_NEW_TOKENS, "stop": tokenizer.eos_token_id, "seed": 2}
    cpu = generate(load_model(base), prompts, **options)
    cuda = generate(load_model(base).to("cuda"), prompts, **options)
    # A draw within rounding of a boundary may fall on the other side, and the rest of that row then differs.
    assert sum(a == b for a, b in zip(cpu, cuda, strict=True)) >= 0.97 * len(prompts)


def test_the_owl_study_runs(tmp_path):
    shared, same = load_profile("mini").shared, Base(family="gpt2-a")
    teacher = Teacher(base=same, trait="owl", tuning=shared.teacher, seed=0)
    sources = {"treated": teacher, "untreated": same}
    study = {}
    for name, writer in sources.items():
        data = Rollouts(teacher=writer, channel="numbers", prompts=7_500, rows=5_000, seed=0)
        student = Student(base=same, data=data, tuning=shared.student, seed=0)
        study[name] = [Scores(model=student, suite="animals", samples=load_profile("smoke").owl.samples)]
    table = run(study, store=Store(tmp_path / "runs"))
    seeds = statistics.per_seed(table, "owl").set_index("condition")["probability"]
    assert seeds["treated"] > 0.3 > 0.15 > seeds["untreated"]
