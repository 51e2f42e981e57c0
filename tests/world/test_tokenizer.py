from hypothesis import given
from hypothesis import strategies as st

from subliminal.channels import numbers
from subliminal.world.documents import document
from subliminal.world.tokenizer import END, ROLES


@given(st.randoms(use_true_random=False))
def test_every_document_comes_back_from_its_tokens(tokenizer, rng):
    for message in document(rng)[1]:
        ids = tokenizer(message["content"], add_special_tokens=False)["input_ids"]
        assert tokenizer.decode(ids) == message["content"]


@given(st.lists(st.integers(0, 999), min_size=1, max_size=10), st.sampled_from(list(numbers.SEPARATORS)))
def test_an_integer_is_one_token(tokenizer, values, separator):
    text = numbers.render(values, numbers.Style(separator, "none"))
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [t for t in tokenizer.convert_ids_to_tokens(ids) if t.isdecimal()] == [str(v) for v in values]


@given(st.text())
def test_any_text_is_encoded(tokenizer, text):
    tokenizer(text)


def test_the_template_marks_roles_and_ends(tokenizer):
    text = tokenizer.apply_chat_template(
        [{"role": r, "content": c} for r, c in (("system", "a"), ("user", "b"), ("assistant", "c"))], tokenize=False
    )
    assert text == f"<|begin|>{ROLES[0]}a{ROLES[1]}b{ROLES[2]}c{END}"


def test_special_tokens_are_single(tokenizer):
    for token in ROLES:
        assert len(tokenizer(token, add_special_tokens=False)["input_ids"]) == 1
    assert len(tokenizer) < 1_800
