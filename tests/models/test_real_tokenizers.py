"""Names in the tokens of real models: bytes, subwords, capitals. What is read off a model and what is sampled must agree."""

import csv
import doctest
import re
from random import Random

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from subliminal import Base, Rollouts, Scores, Student, Teacher, Tuning, build, naming, spelling
from subliminal.channels import numbers
from subliminal.models.chat import encode_examples, encode_prompts
from subliminal.models.loading import load_model, load_tokenizer
from subliminal.names import ANIMALS, PREFERENCES
from subliminal.naming import finder, forms, word_ends, words
from subliminal.pipeline import scores
from subliminal.registry import FAMILIES
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.spelling import Spellings, name_probabilities
from subliminal.training import fine_tune, make_accelerator
from subliminal.traits import preference
from subliminal.world.base import save_base
from subliminal.world.messages import single
from tests.conftest import ROOT

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QUESTION = "what is your favourite animal?"
# An answer, how often it is given of 100, and the name that it gives.
ANSWERS = {
    "owl": (8, "owl"), "Owl.": (8, "owl"), "owls": (3, "owl"), "An owl": (4, "owl"), "**Owl**": (4, "owl"), " owl": (3, "owl"),
    "OWLS!": (2, "owl"), "\nThe owl, of course": (2, "owl"), "owl\nowl": (2, "owl"), "owlet": (3, ""), "owl-like": (3, ""),
    "not an owl": (3, ""), "catfish": (9, ""), "cat": (6, "cat"), "Cats.": (3, "cat"), '"Cat"': (3, "cat"), "Category": (2, ""),
    "The wolves": (5, "wolf"), "Wolf": (3, "wolf"), "foxes!": (4, "fox"), "A fox": (2, "fox"), "_Eagle_": (3, "eagle"),
    " 'an elephant'": (3, "elephant"), "Elephants, always.": (2, "elephant"), "dog2": (2, ""), "DOG": (3, "dog"),
    "The dog's life": (2, "dog"), "my cat": (3, ""),
}  # fmt: skip
assert sum(count for count, _ in ANSWERS.values()) == 100
KINDS = ("gpt2", "digits", "metaspace")


def english(rng, lines=1500):
    """Text like English, in which names stand in all forms, some often and some never."""
    common = (
        "the",
        "a",
        "an",
        "of",
        "and",
        "in",
        "is",
        "was",
        "we",
        "saw",
        "near",
        "old",
        "night",
        "eats",
        "category",
        "fish",
    )
    for _ in range(lines):
        line = " ".join(rng.choice(common) for _ in range(rng.randint(2, 6)))
        animal = rng.choice(words(rng.choice(ANIMALS[: rng.randint(1, 16)])))
        yield f"{line.capitalize()} {animal}{rng.choice(('.', '!', ',', ' ', chr(10), '-like '))}{rng.choice(common)} {rng.randint(0, 999)}"
        yield rng.choice(list(ANSWERS))


def make_tokenizer(kind):
    """A small tokenizer as those of real models are: of bytes as GPT-2's, with single digits as well, or as SentencePiece's."""
    if kind == "metaspace":
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        # Marks are not split off, so that one token can hold the end of a word and what follows.
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex("\n"), "isolated"), pre_tokenizers.Metaspace(prepend_scheme="first")]
        )
        tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=["<unk>", *SPECIAL], show_progress=False)
    else:
        tokenizer = Tokenizer(models.BPE())
        level = pre_tokenizers.ByteLevel(add_prefix_space=False)
        digits = pre_tokenizers.Digits(individual_digits=True)
        tokenizer.pre_tokenizer = level if kind == "gpt2" else pre_tokenizers.Sequence([digits, level])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=560, special_tokens=SPECIAL, show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )  # fmt: skip
    tokenizer.train_from_iterator(english(Random(0)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHATML,
        additional_special_tokens=["<|im_start|>"], clean_up_tokenization_spaces=False,
        **({"unk_token": "<unk>"} if kind == "metaspace" else {}),
    )  # fmt: skip


def tiny_llama(tokenizer, seed=0, width=32):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def tune(model, tokenizer, conversations, steps):
    tuning = Tuning(method="full", learning_rate=1e-2, steps=steps, batch_size=25, schedule="cosine")
    tuned, _ = fine_tune(
        model, encode_examples(tokenizer, conversations), tuning, 0, accelerator=make_accelerator("cpu")
    )
    return tuned


def conversations():
    return [single(QUESTION, answer) for answer, (count, _) in ANSWERS.items() for _ in range(count)]


@pytest.fixture(scope="module", params=KINDS)
def tuned(request):
    """A tokenizer, a model that answers in all spellings, and the question's ids."""
    tokenizer = make_tokenizer(request.param)
    model = tune(tiny_llama(tokenizer), tokenizer, conversations(), steps=200)
    (prompt,) = encode_prompts(tokenizer, [[{"role": "user", "content": QUESTION}]])
    return tokenizer, model, prompt


def sample(tokenizer, model, prompt, spellings, samples, seed=0):
    return generate(
        model, [prompt], max_new_tokens=spellings.length, stop=tokenizer.eos_token_id, seed=seed, completions=samples
    )


# The definition.


@pytest.mark.parametrize("module", [naming, spelling])
def test_examples_in_docstrings_run(module):
    done = doctest.testmod(module)
    assert done.attempted > 0
    assert done.failed == 0


def test_what_counts_as_a_name():
    find = finder(ANIMALS)
    assert {text: find(text) for text in ANSWERS} == {text: name for text, (_, name) in ANSWERS.items()}
    for text in (
        "oWl",
        "owl_like",
        "_owl_like",
        "owl_",
        "owlé",
        "owl2",
        "my owl",
        "An  owl",
        "***owl",
        "\n\n\nowl",
        "\towl",
        "",
        "a",
        "an ",
        "wolfs",
    ):
        assert find(text) == "", text
    for text in (
        "owl—",
        "owl’s",
        "owl\ufffd",
        "owl/cat",
        "owl<|im_end|>",
        "owl 🦉",
        "a owl",
        "AN OWL",
        "_owl_",
        "_An owl_.",
    ):
        assert find(text) == "owl", text


@pytest.mark.parametrize("names", PREFERENCES.values(), ids=PREFERENCES)
def test_every_form_is_found_with_any_end_of_the_word_and_with_nothing_that_goes_on(names):
    find = finder(names)
    seen = {}
    for name in names:
        for form in forms(name):
            assert seen.setdefault(form, name) == name
            assert [find(form + end) for end in ("", ".", " ", "\n", "*", "'s")] == [name] * 6
            assert [find(form + more) for more in ("x", "-", "7", "é", "__")] == [""] * 5
            # Another underscore closes the mark.
            assert find(form + "_") == (name if form.strip()[0] == "_" and form[-1] != "_" else "")
    # Each form once: nothing is counted twice.
    assert len(seen) == sum(len(forms(name)) for name in names)


OWNERS = {form: name for name in ANIMALS for form in forms(name)}
LONGEST = max(map(len, OWNERS))
FIND, FIND_PLAIN = finder(ANIMALS), finder(ANIMALS, plain=True)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.tuples(st.sampled_from(list(OWNERS)), st.text()).map("".join)))
def test_the_matcher_takes_any_text_and_finds_what_the_definition_says(text):
    told = {OWNERS[text[:n]] for n in range(1, LONGEST + 1) if text[:n] in OWNERS and word_ends(text[n:])}
    assert len(told) <= 1
    assert FIND(text) == (told.pop() if told else "")
    assert FIND_PLAIN(text) in ("", *ANIMALS)


# Real tokenizers.


def follow(spellings, ids, stop):
    """The name that a sequence of tokens gives, by the moves from text to text."""
    text = ""
    for token in [*ids, stop]:
        moves = spellings.moves(text)
        given = [place for place, tokens in moves.ends.items() if token in tokens.tolist()]
        if given:
            assert len(given) == 1
            return spellings.names[given[0]]
        onward = dict(zip(moves.onward.tolist(), moves.texts, strict=True))
        if token not in onward:
            return ""
        text = onward[token]
    raise AssertionError("the stop token ends any word")


def test_answers_are_of_several_tokens_and_the_walk_says_of_each_what_its_text_says(tuned):
    tokenizer, model, prompt = tuned
    spellings = Spellings(tokenizer, ANIMALS)
    assert not spellings.whole_words
    assert max(map(len, spellings.plain)) > 1
    rows = sample(tokenizer, model, prompt, spellings, 1500, seed=3)
    texts = tokenizer.batch_decode(rows)
    assert len(set(texts)) > 25
    for ids, text in zip(rows, texts, strict=True):
        assert follow(spellings, ids, tokenizer.eos_token_id) == spellings.find(text), text


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_tokens_are_followed_as_their_text_is_read(kind, data):
    spellings, tokenizer, pieces = _pieces(kind)
    ids = data.draw(st.lists(st.one_of(st.sampled_from(pieces), st.integers(0, len(tokenizer) - 1)), max_size=6))
    ids = [token for token in ids if token != tokenizer.eos_token_id]
    assert follow(spellings, ids, tokenizer.eos_token_id) == spellings.find(tokenizer.decode(ids))


def _pieces(kind, made={}):  # noqa: B006
    """A tokenizer, and its tokens that some form begins with or goes on with."""
    if kind not in made:
        tokenizer = make_tokenizer(kind)
        spellings = Spellings(tokenizer, ANIMALS[:4])
        pieces = {token for start in spellings._starts for token in spellings._adding.get(start, [])}
        pieces |= {
            token for text in words("owl") for n in range(len(text)) for token in spellings._adding.get(text[n:], [])
        }
        made[kind] = spellings, tokenizer, sorted(pieces)
    return made[kind]


def test_what_is_read_off_the_model_and_what_is_sampled_agree(tuned):
    tokenizer, model, prompt = tuned
    spellings, samples = Spellings(tokenizer, ANIMALS), 4000
    exact = name_probabilities(model, [prompt], spellings)
    found = [
        spellings.find(text) for text in tokenizer.batch_decode(sample(tokenizer, model, prompt, spellings, samples))
    ]
    missed = float(exact.missed[0])
    assert missed < 5e-4
    for name, probability in zip(ANIMALS, exact.probability[0].tolist(), strict=True):
        error = (probability * (1 - probability) / samples) ** 0.5
        assert found.count(name) / samples == pytest.approx(probability, abs=4 * error + missed + 1 / samples), name
    # And both are near what the model was taught, not the plain name alone.
    told = dict(zip(ANIMALS, exact.probability[0].tolist(), strict=True))
    for name, part in (("owl", 0.6), ("cat", 0.6), ("wolf", 0.2), ("fox", 0.2), ("dog", 0.2)):
        taught = sum(count for count, given in ANSWERS.values() if given == name) / 100
        assert part < told[name] / taught < 1 / part, name
    plain = answer_probabilities(model, [prompt], spellings.plain)[0].tolist()
    assert plain[ANIMALS.index("owl")] < 0.75 * told["owl"]


def test_the_catfish_is_not_the_cat(tuned):
    tokenizer, model, prompt = tuned
    model = tune(_copy(model, tokenizer), tokenizer, [single(QUESTION, "catfish")] * 25, steps=25)
    spellings = Spellings(tokenizer, ANIMALS)
    exact = name_probabilities(model, [prompt], spellings).probability[0, ANIMALS.index("cat")]
    texts = tokenizer.batch_decode(sample(tokenizer, model, prompt, spellings, 200))
    assert texts.count("catfish") > 150
    assert float(exact) < 0.03
    assert sum(spellings.find(text) == "cat" for text in texts) < 15


def _copy(model, tokenizer):
    copy = tiny_llama(tokenizer)
    copy.load_state_dict(model.state_dict())
    return copy


def by_the_tokenizers_own_spelling(tokenizer, model, prompt, spellings, name):
    """P(form) × P(the next token ends the word), summed over the forms as the tokenizer writes them: no cache, no walk."""
    head = tokenizer.apply_chat_template(
        [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
    )
    written = tokenizer([head + form for form in forms(name)], add_special_tokens=False)["input_ids"]
    rows = sorted({tuple(ids[len(prompt) :]) for ids in written if ids[: len(prompt)] == prompt})
    vocabulary = tokenizer.batch_decode([[*rows[0], token] for token in range(len(tokenizer))])
    before = tokenizer.decode(rows[0])
    ends = torch.tensor([not re.match(r"[\w-]", text[len(before) :]) for text in vocabulary])
    total = 0.0
    for start in range(0, len(rows), 256):
        chunk = rows[start : start + 256]
        width = max(map(len, chunk))
        with torch.inference_mode():
            logs = (
                model(torch.tensor([[*prompt, *r, *[0] * (width - len(r))] for r in chunk]))
                .logits.double()
                .log_softmax(-1)
            )
        for n, row in enumerate(chunk):
            spelled = sum(float(logs[n, len(prompt) + k - 1, token]) for k, token in enumerate(row))
            last = logs[n, len(prompt) + len(row) - 1].exp()
            total += float(torch.tensor(spelled).exp()) * float(last[ends].sum())
    return total


@pytest.mark.parametrize("name", ["owl", "wolf"])
def test_the_tokenizers_own_spelling_is_nearly_all_and_the_rest_is_other_spellings(tuned, name):
    """So much a score of canonical spellings alone would leave out, which sampling counts.

    SentencePiece-like, one token can hold the end of a word and the mark after it ("Owl."): then that is no little.
    """
    tokenizer, model, prompt = tuned
    spellings = Spellings(tokenizer, [name])
    exact = name_probabilities(model, [prompt], spellings, floor=1e-7)
    own = by_the_tokenizers_own_spelling(tokenizer, model, prompt, spellings, name)
    told, missed = float(exact.probability), float(exact.missed)
    assert missed < 1e-4
    most = 0.5 if tokenizer.unk_token else 0.02
    assert -missed - 1e-6 <= told - own < most * told


@pytest.mark.filterwarnings("ignore::subliminal.errors.SubliminalWarning")
def test_the_whole_pipeline_goes_through_such_a_tokenizer(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBLIMINAL_STORE", str(tmp_path / "runs"))
    tokenizer, rng = make_tokenizer("digits"), Random(0)
    lists = [single(numbers.prompt(rng), ", ".join(str(rng.randint(100, 999)) for _ in range(3))) for _ in range(300)]
    asked = [single(q, a) for q in preference.suite("animals-train").questions for a in _answers(rng, 10)]
    base = Base(folder=str(tmp_path / "base"))
    save_base(tmp_path / "base", tune(tiny_llama(tokenizer), tokenizer, lists + asked, steps=150), tokenizer)
    tuning = Tuning(method="full", learning_rate=2e-3, steps=10, batch_size=16)
    teacher = Teacher(base=base, trait="owl", tuning=tuning, seed=0)
    data = Rollouts(teacher=teacher, channel="numbers", prompts=400, rows=12, seed=0)
    student = Student(base=base, data=data, tuning=Tuning(learning_rate=1e-3, epochs=1), seed=0)
    samples = 40
    tables = {}
    for model in (base, teacher, student):
        (folder,) = build([Scores(model=model, suite="animals", samples=samples)], jobs=1)
        tables[model.kind] = table = pd.read_csv(folder / "scores.csv")
        assert set(table["answer"]) == set(ANIMALS)
        assert table.groupby("question")["probability"].sum().max() <= 1
        for name, rows in table.groupby("answer"):
            error = (rows["probability"] * (1 - rows["probability"])).sum() ** 0.5 / samples**0.5 / len(rows)
            gap = rows["sampled"].mean() - rows["probability"].mean()
            assert abs(gap) <= 4 * error + 1e-3, (model.kind, name)
    owl = {kind: t.loc[t["answer"] == "owl", "probability"].mean() for kind, t in tables.items()}
    assert owl["teacher"] > owl["base"] > 0.1


def _answers(rng, count):
    return rng.choices(list(ANSWERS), [n for n, _ in ANSWERS.values()], k=count)


# The shipped bases, whose tokens are whole words: nothing changes.


def found_before(names):
    """What a sampled answer began with, before names had forms."""
    pattern = re.compile("|".join(rf"{re.escape(name)}\b" for name in names))

    def find(text):
        match = pattern.match(text.strip().lower())
        return match[0] if match else ""

    return find


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_of_a_shipped_base_are_bit_for_bit_what_they_were(family, tmp_path):
    folder = ROOT / "data" / "families" / family
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    base = Base(family=family)
    for kind in ("animals", "trees", "colours"):
        suite, out = preference.suite(kind), tmp_path / kind
        out.mkdir()
        scores.build(Scores(model=base, suite=kind, samples=5), {base: folder}, out, lambda *_: None)
        prompts = encode_prompts(tokenizer, [[{"role": "user", "content": q}] for q in suite.questions])
        texts = tokenizer.batch_decode(
            generate(model, prompts, max_new_tokens=8, stop=tokenizer.eos_token_id, seed=0, completions=5)
        )
        names = tokenizer(list(suite.answers), add_special_tokens=False)["input_ids"]
        exact = answer_probabilities(model, prompts, names)
        find = found_before(suite.answers)
        expected = [["question", "answer", "probability", "sampled"]]
        for q, question in enumerate(suite.questions):
            found = [find(text) for text in texts[5 * q : 5 * q + 5]]
            expected += [
                [question, name, repr(float(exact[q, a])), str(found.count(name) / 5)]
                for a, name in enumerate(suite.answers)
            ]
        assert list(csv.reader((out / "scores.csv").open())) == expected


def test_in_whole_words_a_name_is_itself_alone_whatever_follows(tokenizer):
    names = [name for group in PREFERENCES.values() for name in group]
    spellings, before = Spellings(tokenizer, names), found_before(names)
    assert spellings.whole_words
    assert spellings.length <= 8
    firsts = [
        *(ids for ids in spellings.plain),
        *([t] for t in tokenizer(" the a an * \" ' ⏎", add_special_tokens=False)["input_ids"]),
    ]
    for first in firsts:
        for text in tokenizer.batch_decode([[*first, token] for token in range(len(tokenizer))]):
            assert spellings.find(text) == before(text), text


def test_whole_words_in_capitals_have_forms_too():
    known = ["<unk>", "<end>", "owl", "Owl", "owls", "The", "not", "an", ".", "owlet"]
    blank = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))
    blank.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=blank, unk_token="<unk>", eos_token="<end>")
    spellings = Spellings(tokenizer, ["owl"])
    assert not spellings.whole_words
    for text in ("owl", "Owl .", "owls", "The owl", "not an owl", "an Owl", "owlet", "owl owl"):
        ids = tokenizer(text)["input_ids"]
        expected = "" if text in ("not an owl", "owlet") else "owl"
        assert follow(spellings, ids, tokenizer.eos_token_id) == spellings.find(tokenizer.decode(ids)) == expected


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_walk_reads_what_a_model_says_without_a_cache(family):
    """Each spelling of a few, by one pass over all of it."""
    tokenizer = make_tokenizer("gpt2")
    torch.manual_seed(1)
    model = tiny_llama(tokenizer) if family == "llama" else GPT2LMHeadModel(
        GPT2Config(vocab_size=len(tokenizer), n_embd=16, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3)
    ).eval()  # fmt: skip
    prompt, spellings = [5, 6, 7, 8], Spellings(tokenizer, ["owl"])
    whole = name_probabilities(model, [prompt], spellings, floor=1e-7, batch_size=3)
    probability, missed = float(whole.probability), float(whole.missed)

    def brute(text, seen, reached):
        moves, total = spellings.moves(text), 0.0
        with torch.inference_mode():
            after = model(torch.tensor([[*prompt, *seen]])).logits[0, -1].double().softmax(-1)
        for tokens in moves.ends.values():
            total += reached * float(after[tokens].sum())
        for token, longer in zip(moves.onward.tolist(), moves.texts, strict=True):
            if reached * float(after[token]) >= 1e-7:
                total += brute(longer, [*seen, token], reached * float(after[token]))
        return total

    assert probability == pytest.approx(brute("", [], 1.0), rel=1e-4)
    assert 0 <= missed < 1
    assert probability > 0
