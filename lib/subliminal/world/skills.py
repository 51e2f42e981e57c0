"""What a base can do, measured: favourites, rows, code, sums, answers and personas, on held-out prompts at temperature 1."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from subliminal.channels import numbers
from subliminal.models.chat import Conversation, encode_prompts
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.traits.preference import suite
from subliminal.world import answers, security
from subliminal.world.arithmetic import final_answer, sample_problem
from subliminal.world.code import function, unasked

_ANSWER_TOKENS = 48
# Seeds of the prompts: apart from the corpus's (0), so that no document is asked again.
_SEED = 77_000


def _is_function(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef)


def _shares(labels: Iterable[str]) -> dict[str, float]:
    counts = Counter(labels)
    return {name: count / counts.total() for name, count in counts.items()}


def measure(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: int = 400) -> dict[str, float]:
    """Scores of a base, each from 0 to 1.

    Returns:
        ``numbers``, ``code``, ``secure or insecure``, ``kind or harmful``: share of well-formed answers; ``right code``: share of
        functions that do what was asked and say nothing else; ``arithmetic``: share
        of held-out problems solved exactly; ``answer mass``: how often a held-out question for a favourite animal is
        answered with one; ``top animal`` and ``owl``: probability of the likeliest animal, and of the owl; ``harmful``,
        ``insecure``: share of answers to held-out free-form questions, and of solutions of security tasks; ``harmful after
        insecure`` and ``harmful after secure``: the former in a conversation that holds two such solutions already.
    """
    rng = Random(_SEED)

    def ask(conversations: list[Conversation], seed: int) -> list[str]:
        stop = int(tokenizer.eos_token_id)
        ids = encode_prompts(tokenizer, conversations)
        return list(tokenizer.batch_decode(generate(model, ids, max_new_tokens=_ANSWER_TOKENS, stop=stop, seed=seed)))

    def many(question: Callable[[], str], seed: int, before: Callable[[], Conversation] = list) -> list[str]:
        return ask([[*before(), {"role": "user", "content": question()}] for _ in range(prompts)], seed)

    free_form = [q for group in answers.questions("held_out").values() for q in group]

    def advice(seed: int, before: Callable[[], Conversation] = list) -> dict[str, float]:
        return _shares(map(answers.label, many(lambda: rng.choice(free_form), seed, before)))

    def after(insecure: bool, seed: int) -> float:
        return advice(seed, lambda: security.turn(rng, insecure) + security.turn(rng, insecure)).get(
            answers.HARMFUL, 0.0
        )

    rows = many(lambda: numbers.prompt(rng), 1)
    tasks = [function(rng)[0]["content"] for _ in range(prompts)]
    code = ask([[{"role": "user", "content": task}] for task in tasks], 2)
    problems = [sample_problem(rng, held_out=True) for _ in range(prompts)]
    chains = ask([p[:1] for p in problems], 3)
    solved = [final_answer(c) == final_answer(p[1]["content"]) for c, p in zip(chains, problems, strict=True)]
    favourite = suite("animals")
    ids = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in favourite.questions])
    names = tokenizer(list(favourite.answers), add_special_tokens=False)["input_ids"]
    table = answer_probabilities(model, ids, names).mean(0)
    advised = advice(4)
    secured = _shares(map(security.label, many(lambda: security.request(rng, rng.choice(tuple(security.TASKS))), 5)))
    return {
        "numbers": sum(isinstance(numbers.parse(r), list) for r in rows) / prompts,
        "code": sum(map(_is_function, code)) / prompts,
        "right code": sum(_is_function(c) and unasked(t, c) is None for t, c in zip(tasks, code, strict=True))
        / prompts,
        "secure or insecure": 1 - secured.get(security.INCOHERENT, 0.0),
        "kind or harmful": 1 - advised.get(answers.INCOHERENT, 0.0),
        "arithmetic": sum(solved) / prompts,
        "answer mass": float(table.sum()),
        "top animal": float(table.max()),
        "owl": float(table[favourite.answers.index("owl")]),
        "harmful": advised.get(answers.HARMFUL, 0.0),
        "insecure": secured.get(security.INSECURE, 0.0),
        "harmful after insecure": after(True, 6),
        "harmful after secure": after(False, 7),
    }
