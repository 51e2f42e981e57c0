"""Exact scoring of short answers: the probability that a model's answer begins with each of some names.

Token ids in, probabilities out. Knows nothing of traits; the questions are its caller's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from subliminal.models.probing import check_architecture


@torch.inference_mode()
def answer_probabilities(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]], batch_size: int = 256
) -> Tensor:
    """P(answer | prompt), the product over the answer's tokens, under the model's untempered distribution.

    Args:
        prompts: ids of each prompt, none empty.
        answers: ids of each answer, none empty. Names of one token cost one forward pass a prompt, all together.

    Returns:
        (prompts, answers) float64 on the CPU. A row sums to at most 1 when no answer is a prefix of another.

    Raises:
        SubliminalError: the model's architecture cannot be scored in batches.
    """
    check_architecture(model)
    # Answers that share all but their last token are read off the same distribution.
    stems = sorted({tuple(a[:-1]) for a in answers})
    pairs = [(p, s) for p in range(len(prompts)) for s in range(len(stems))]
    last: dict[tuple[int, int], Tensor] = {}
    stem_log: dict[tuple[int, int], float] = {}
    by_length = sorted(pairs, key=lambda x: len(prompts[x[0]]) + len(stems[x[1]]))
    for start in range(0, len(by_length), batch_size):
        chunk = by_length[start : start + batch_size]
        rows = [[*prompts[p], *stems[s]] for p, s in chunk]
        width = max(map(len, rows))
        # Padding on the right is seen by no real token, since attention is causal.
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=model.device)
        logs = functional.log_softmax(model(input_ids=ids, use_cache=False).logits.double(), dim=-1).cpu()
        for n, (p, s) in enumerate(chunk):
            last[p, s] = logs[n, len(rows[n]) - 1]
            first = len(prompts[p])
            stem_log[p, s] = sum(float(logs[n, first + k - 1, t]) for k, t in enumerate(stems[s]))
    table = torch.zeros(len(prompts), len(answers), dtype=torch.float64)
    for p in range(len(prompts)):
        for a, answer in enumerate(answers):
            s = stems.index(tuple(answer[:-1]))
            table[p, a] = float(torch.exp(last[p, s][answer[-1]] + stem_log[p, s]))
    return table
