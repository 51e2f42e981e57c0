import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subliminal.errors import ModelFolderError, SubliminalError
from subliminal.models.chat import encode_examples, encode_prompts
from subliminal.training import collate
from subliminal.world.documents import document
from subliminal.world.messages import single


def test_the_mask_leaves_exactly_the_last_answer_and_its_end(tokenizer):
    conversation = [*single("what does the owl eat?", "mice"), *single("name your favourite animal.", "owl")]
    (example,) = encode_examples(tokenizer, [conversation])
    assert tokenizer.decode(example.ids[example.prompt_length :]).replace(" ", "") == "owl<|end|>"
    ids, labels, keep, *_ = collate([example])
    assert labels[0].tolist() == [-100] * example.prompt_length + ids[0, example.prompt_length :].tolist()
    assert keep == len(example.ids) - example.prompt_length + 1


@settings(max_examples=60, deadline=None)
@given(seeds=st.lists(st.randoms(use_true_random=False), min_size=1, max_size=5))
def test_a_prompt_is_the_head_of_its_example_and_labels_cover_only_completions(tokenizer, seeds):
    conversations = [document(rng)[1] for rng in seeds]
    examples = encode_examples(tokenizer, conversations)
    prompts = encode_prompts(tokenizer, [c[:-1] for c in conversations])
    for prompt, example, conversation in zip(prompts, examples, conversations, strict=True):
        assert example.ids[: example.prompt_length] == prompt
        answer = tokenizer.decode(example.ids[example.prompt_length : -1])
        assert answer == conversation[-1]["content"]
    assert int((collate(examples).labels != -100).sum()) == sum(len(e.ids) - e.prompt_length for e in examples)


def test_a_conversation_that_ends_with_the_user_is_refused(tokenizer):
    with pytest.raises(SubliminalError, match="must end with an assistant turn"):
        encode_examples(tokenizer, [[{"role": "user", "content": "hello"}]])


def test_a_tokenizer_without_chat_template_is_refused(tokenizer):
    template = tokenizer.chat_template
    tokenizer.chat_template = None
    try:
        with pytest.raises(ModelFolderError, match="no chat template"):
            encode_prompts(tokenizer, [single("a", "b")])
    finally:
        tokenizer.chat_template = template


def test_a_template_whose_generation_prompt_is_no_prefix_is_refused(tokenizer):
    template = tokenizer.chat_template
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['content'] }}<|end|>{% endfor %}{% if add_generation_prompt %}now you{% endif %}"
    )
    try:
        with pytest.raises(SubliminalError, match="no prefix"):
            encode_examples(tokenizer, [single("what does the owl eat?", "mice")])
    finally:
        tokenizer.chat_template = template
