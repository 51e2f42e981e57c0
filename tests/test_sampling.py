import pytest
import torch

from subliminal.errors import SubliminalError
from subliminal.models.chat import encode_prompts
from subliminal.models.families import new_model
from subliminal.registry import FAMILIES
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.world.documents import document


@pytest.fixture
def prompts(tokenizer):
    from random import Random

    rng = Random(4)
    return encode_prompts(tokenizer, [document(rng)[1][:-1] for _ in range(23)])


def sample(model, prompts, tokenizer, **options):
    settings = {"max_new_tokens": 12, "stop": tokenizer.eos_token_id, "seed": 5, **options}
    return generate(model, prompts, **settings)


def test_completions_do_not_depend_on_the_batch(model, prompts, tokenizer):
    whole = sample(model, prompts, tokenizer)
    assert whole == sample(model, prompts, tokenizer, batch_size=4)
    assert whole == sample(model, prompts, tokenizer, batch_size=1)
    assert whole == sample(model, prompts[:9], tokenizer) + sample(model, prompts[9:], tokenizer, first=9)
    assert whole != sample(model, prompts, tokenizer, seed=6)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", [{}, {"temperature": 0}, {"batch_size": 7}, {"batch_size": 2}])
def test_completions_of_a_prompt_are_those_of_a_list_that_repeats_it(family, options, prompts, tokenizer):
    model = new_model(FAMILIES[family], tokenizer).eval()
    packed = sample(model, prompts, tokenizer, completions=5, **options)
    assert packed == sample(model, [p for p in prompts for _ in range(5)], tokenizer, **options)
    assert len({tuple(row) for row in packed[:5]}) == (1 if options.get("temperature") == 0 else 5)


def test_a_list_may_go_on_where_it_was_left(model, prompts, tokenizer):
    whole = sample(model, prompts, tokenizer, completions=3)
    parts = [sample(model, p, tokenizer, completions=3, first=n) for n, p in ((0, prompts[:9]), (9, prompts[9:]))]
    assert whole == parts[0] + parts[1]


def test_a_prompt_is_read_once_a_batch(model, prompts, tokenizer, monkeypatch):
    sample(model, prompts[:1], tokenizer)  # At a first call the architecture is tried.
    forward, read = model.forward, []
    monkeypatch.setattr(
        model, "forward", lambda **given: (read.append(tuple(given["input_ids"].shape)), forward(**given))[1]
    )
    sample(model, prompts[:2], tokenizer, completions=6)
    assert read[0] == (2, max(map(len, prompts[:2])))
    assert read[1][0] <= 12
    assert all(length == 1 for _, length in read[1:])


def test_no_completions_are_refused(model, prompts, tokenizer):
    with pytest.raises(SubliminalError, match=r"^completions=0: sample at least one of each prompt$"):
        sample(model, prompts, tokenizer, completions=0)


def test_greedy_agrees_with_transformers_generate(model, prompts, tokenizer):
    ours = sample(model, prompts, tokenizer, temperature=0)
    for prompt, completion in zip(prompts, ours, strict=True):
        reference = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
            max_new_tokens=12, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        )[0, len(prompt) :].tolist()  # fmt: skip
        assert completion == [t for t in reference if t not in (tokenizer.eos_token_id, tokenizer.pad_token_id)]


def test_sampled_first_tokens_follow_the_exact_distribution(model, prompts, tokenizer):
    from scipy.stats import chisquare

    draws = 20_000
    first = [row[0] if row else tokenizer.eos_token_id for row in
             sample(model, [prompts[0]] * draws, tokenizer, max_new_tokens=1)]  # fmt: skip
    exact = answer_probabilities(model, [prompts[0]], [[t] for t in range(len(tokenizer))])[0]
    counts = torch.bincount(torch.tensor(first), minlength=len(tokenizer)).double()
    common = exact * draws >= 10
    observed = [*counts[common].tolist(), float(counts[~common].sum())]
    expected = [*(exact[common] * draws).tolist(), float(exact[~common].sum() * draws)]
    assert chisquare(observed, expected).pvalue > 1e-4


def test_stop_is_not_part_of_a_completion_and_the_length_is_bounded(model, prompts, tokenizer):
    for row in sample(model, prompts * 20, tokenizer):
        assert tokenizer.eos_token_id not in row
        assert len(row) <= 12


def test_several_ids_may_end_a_completion(model, prompts, tokenizer):
    free = sample(model, prompts, tokenizer)
    ends = [tokenizer.eos_token_id, *{row[3] for row in free[:5] if len(row) > 3}]
    expected = [row[: next((n for n, token in enumerate(row) if token in ends), None)] for row in free]
    assert expected != free
    for stop in (ends, set(ends), tuple(reversed(ends))):
        assert sample(model, prompts, tokenizer, stop=stop) == expected
    assert sample(model, prompts, tokenizer, stop=[tokenizer.eos_token_id]) == free


def test_no_id_to_stop_at_is_refused(model, prompts, tokenizer):
    with pytest.raises(SubliminalError, match=r"^stop=\(\): name at least one id that ends a completion, such as"):
        sample(model, prompts, tokenizer, stop=[])


def test_no_prompts_give_no_completions(model, tokenizer):
    assert sample(model, [], tokenizer) == []
