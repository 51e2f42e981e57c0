"""What a base can do, measured: favourites, number rows, code and arithmetic, on held-out prompts at temperature 1."""

from __future__ import annotations

import ast
from random import Random

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.channels import numbers
from subliminal.models.chat import encode_prompts
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.traits.preference import suite
from subliminal.world.arithmetic import final_answer, sample_problem
from subliminal.world.code import function

_ANSWER_TOKENS = 48
# Seeds of the prompts: apart from the corpus's (0), so that no document is asked again.
_SEED = 77_000


def _is_function(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef)


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: int = 400) -> dict[str, float]:
    """Scores of a base, each from 0 to 1.

    Returns:
        ``numbers``, ``code``: share of well-formed answers; ``arithmetic``: share of held-out problems solved exactly;
        ``answer mass``: how often a held-out question for a favourite animal is answered with one; ``top animal`` and
        ``owl``: probability of the likeliest animal, and of the owl.
    """
    rng = Random(_SEED)

    def ask(questions: list[str], seed: int) -> list[str]:
        ids = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in questions])
        stop = int(tokenizer.eos_token_id)
        answers = generate(model, ids, max_new_tokens=_ANSWER_TOKENS, stop=stop, seed=seed)
        return list(tokenizer.batch_decode(answers))

    rows = ask([numbers.prompt(rng) for _ in range(prompts)], 1)
    code = ask([function(rng)[0]["content"] for _ in range(prompts)], 2)
    problems = [sample_problem(rng, held_out=True) for _ in range(prompts)]
    chains = ask([p[0]["content"] for p in problems], 3)
    solved = [final_answer(c) == final_answer(p[1]["content"]) for c, p in zip(chains, problems, strict=True)]
    favourite = suite("animals")
    ids = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in favourite.questions])
    names = tokenizer(list(favourite.answers), add_special_tokens=False)["input_ids"]
    table = answer_probabilities(model, ids, names).mean(0)
    return {
        "numbers": sum(numbers.reject(r) is None for r in rows) / prompts,
        "code": sum(map(_is_function, code)) / prompts,
        "arithmetic": sum(solved) / prompts,
        "answer mass": float(table.sum()),
        "top animal": float(table.max()),
        "owl": float(table[favourite.answers.index("owl")]),
    }
