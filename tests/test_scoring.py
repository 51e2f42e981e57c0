import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.scoring import answer_probabilities
from tests.conftest import tiny_model

ids = st.lists(st.integers(0, 900), min_size=1, max_size=9)


def brute_force(model, prompt, answer):
    """One forward pass a token, no batch, no padding."""
    probability, seen = 1.0, list(prompt)
    for token in answer:
        with torch.inference_mode():
            probability *= float(model(input_ids=torch.tensor([seen])).logits[0, -1].double().softmax(-1)[token])
        seen.append(token)
    return probability


@settings(max_examples=25, deadline=None)
@given(prompts=st.lists(ids, min_size=1, max_size=4), answers=st.lists(ids, min_size=1, max_size=4))
def test_exact_scores_equal_a_brute_force_reference(tokenizer, prompts, answers):
    model = tiny_model(tokenizer)
    table = answer_probabilities(model, prompts, answers, batch_size=3)
    assert table.shape == (len(prompts), len(answers))
    for p, prompt in enumerate(prompts):
        for a, answer in enumerate(answers):
            assert float(table[p, a]) == pytest.approx(brute_force(model, prompt, answer), rel=1e-4)


def test_single_token_answers_sum_to_one_over_the_vocabulary(model, tokenizer):
    table = answer_probabilities(model, [[3, 4, 5]], [[t] for t in range(len(tokenizer))])
    assert float(table.sum()) == pytest.approx(1)
