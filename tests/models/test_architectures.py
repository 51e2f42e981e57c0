"""Every causal language model of ``transformers`` that can be made small: it agrees with itself, or is refused in one line.

Windows, chunks and experts are small enough for a prompt to exceed them. Weights are wider than at a usual start, so that places and
tokens matter to what is written.
"""

from __future__ import annotations

import dataclasses
from copy import deepcopy

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from subliminal.errors import SubliminalError
from subliminal.models.chat import Example
from subliminal.models.loading import load_model, save_tuned
from subliminal.models.probing import check_architecture
from subliminal.sampling import generate
from subliminal.scoring import answer_probabilities
from subliminal.training import fine_tune, make_accelerator
from subliminal.tuning import Tuning

# peft and transformers warn of settings that are none of ours.
pytestmark = pytest.mark.filterwarnings("ignore")
TOKENS, STOPS, NEW = 64, (2, 5), 6
PROMPTS = [[9, 11, 6], [7, 3, 8, 21, 33, 6, 63, 4, 9, 12, 14, 15], [40, 41], [6, 22, 9, 30, 12, 8, 17]]
ANSWERS = [[3], [4, 9], [4, 6, 7]]
# Sizes in all spellings; a config gets those it has a field for.
SIZES = {
    "vocab_size": TOKENS, "vocab_size_per_layer_input": TOKENS, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "hidden_size": 32, "n_embd": 32, "d_model": 32, "word_embed_proj_dim": 32, "embedding_size": 32,
    "num_hidden_layers": 2, "n_layer": 2, "n_layers": 2, "num_layers": 2, "decoder_layers": 2, "encoder_layers": 2,
    "num_attention_heads": 4, "n_head": 4, "n_heads": 4, "attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_attention_heads": 4, "num_key_value_heads": 2,
    "head_dim": 8, "rotary_dim": 4, "query_pre_attn_scalar": 8, "hidden_size_per_layer_input": 8,
    "intermediate_size": 48, "n_inner": 48, "ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_ffn_dim": 48, "dff": 48,
    "max_position_embeddings": 64, "n_positions": 64, "max_seq_len": 64, "sliding_window": 4, "window_size": 4, "local_attention": 8,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "moe_num_experts": 4, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "moe_k": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16,
    "expert_ffn_hidden_size": 16, "ffn_hidden_size": 48, "first_k_dense_replace": 1, "n_group": 1, "topk_group": 1,
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8,
    "state_size": 8, "mamba_d_state": 8,
}  # fmt: skip
# Attention with one latent for keys and values: each head has its own of both.
LATENT = {"num_key_value_heads": 4}
SLIDING_AND_FULL = {"layer_types": ["sliding_attention", "full_attention"]}
DECODER = {"is_decoder": True}
TEXT = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "head_dim",
        "intermediate_size", "max_position_embeddings", "sliding_window")  # fmt: skip

# What is set beside the sizes. A second word tells two kinds of one architecture apart.
AGREE = {
    "afmoe": {}, "apertus": {}, "arcee": {}, "aria_text": {}, "axk1": LATENT, "beam": {}, "bert": DECODER, "bert-generation": DECODER,
    "big_bird": {**DECODER, "attention_type": "original_full"}, "biogpt": {}, "bitnet": {}, "bloom": {}, "codegen": {}, "cohere": {},
    "cohere2": SLIDING_AND_FULL, "cohere2_moe": {}, "ctrl": {}, "cwm": {},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
             "ffn_config": {"ffn_hidden_size": 16, "moe_num_experts": 4, "moe_top_k": 2, "hidden_size": 32}},
    "deepseek_v2": LATENT, "deepseek_v3": LATENT, "diffllama": {}, "doge": {"keep_window_size": 4}, "dots1": {}, "electra": DECODER,
    "ernie": DECODER, "ernie4_5": {}, "ernie4_5_moe": {}, "exaone4": SLIDING_AND_FULL, "exaone_moe": {}, "falcon": {},
    "falcon alibi": {"alibi": True}, "falcon new": {"new_decoder_architecture": True, "num_kv_heads": 2}, "flex_olmo": {}, "flint": {},
    "gemma": {}, "gemma2": {}, "gemma3_text": SLIDING_AND_FULL,
    "gemma3": {"text_config": {**{key: SIZES[key] for key in TEXT}, **SLIDING_AND_FULL}, "mm_tokens_per_image": 4,
               "vision_config": {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                                 "image_size": 28, "patch_size": 14}},
    "gemma3n_text": {"num_hidden_layers": 4, "num_kv_shared_layers": 2, "layer_types": SLIDING_AND_FULL["layer_types"] * 2,
                     "laurel_rank": 8, "activation_sparsity_pattern": [0.0] * 4},
    "gemma4_text": {"global_head_dim": 8}, "gemma4_unified_text": {"global_head_dim": 8}, "glm": {}, "glm4": {}, "glm4_moe": {},
    "glm4_moe_lite": LATENT, "gpt2": {}, "gpt_bigcode": {}, "gpt_bigcode heads": {"multi_query": False},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]}, "gpt_neox": {}, "gpt_neox_japanese": {}, "gpt_oss": {}, "gptj": {},
    "granite": {}, "granite_swa": {}, "granitemoe": {}, "granitemoe_swa": {},
    "granitemoehybrid attention": {"layer_types": ["full_attention"] * 2, "mamba_n_heads": 4, "mamba_d_head": 16},
    "granitemoeshared": {}, "helium": {}, "hunyuan_v1_dense": {}, "hunyuan_v1_moe": {}, "hy_v3": {}, "hyperclovax": {},
    "internlm3": {}, "iquestcoder": {}, "jais2": {}, "jetmoe": {}, "kolibri1": {},
    "lfm2 attention": {"layer_types": ["full_attention"] * 2}, "llama": {},
    "longcat_flash": {**LATENT, "moe_topk": 2, "zero_expert_num": 2},
    "megatron-bert": DECODER, "mellum": SLIDING_AND_FULL, "mimo_v2_flash": {}, "minicpm3": LATENT, "minimax_m2": {},
    "minimax_m3_vl_text": {"dense_intermediate_size": 16, "shared_intermediate_size": 16}, "ministral": {}, "ministral3": {}, "mistral": {}, "mixtral": {}, "modernbert-decoder": {}, "mpt": {},
    "nanochat": {}, "nemotron": {}, "olmo": {}, "olmo2": {}, "olmo3": SLIDING_AND_FULL, "olmoe": {}, "opt": {},
    "opt post": {"do_layer_norm_before": False, "word_embed_proj_dim": 16}, "persimmon": {}, "phi": {}, "phi3": {},
    "qwen2": {}, "qwen2_moe": {}, "qwen3": {}, "qwen3_moe": {}, "rembert": DECODER, "seed_oss": {}, "smollm3": {}, "solar_open": {},
    "stablelm": {}, "starcoder2": {}, "vaultgemma": {}, "xglm": {},
}  # fmt: skip


# What looks at pictures, and here sees none; what balances experts; what starts at zero behind a zero.
WITHOUT_GRADIENT = ("vision", "multi_modal", "correction_bias", "expert_bias", "altup", "per_layer")
# Architectures without biases and norms.
NO_VECTORS = {"nanochat", "olmo"}
STATE, MORE, NO_CACHE = "carries a state from token to token", "keeps more than keys and values", "keeps no cache"
AHEAD, PADDED = "lets tokens see what follows them", "reads a prompt otherwise where it is padded"
NOT_TEXT = "cannot leave out logits"
ROUTER = "has routers that LoRA takes for linear layers"
HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
INDEX = {"index_topk": 4, "index_n_heads": 2, "index_head_dim": 16}
HEADS = {"mamba_n_heads": 4, "mamba_d_head": 16}
LINEAR = {"linear_num_value_heads": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
REFUSED = {
    "axk2": (MORE, {**LATENT, **INDEX}), "bailing_hybrid": (STATE, LATENT), "bamba": (STATE, {**HEADS, "attn_layer_indices": [1]}),
    "bart": (PADDED, {}), "bert": (AHEAD, {}), "bigbird_pegasus": (PADDED, {}), "blenderbot": (PADDED, {}),
    "blenderbot-small": (PADDED, {}), "camembert": (PADDED, DECODER), "cpmant": ("cannot be run on token ids", {}),
    "data2vec-text": (PADDED, DECODER), "deepseek_v32": (MORE, {**LATENT, **INDEX}), "deepseek_v4": (MORE, {}),
    "doge": ("routes each token to experts by the tokens that follow it", {"is_moe": True}),
    "dots3_note_text": (MORE, {**LATENT, **INDEX}), "falcon_h1": (STATE, {}), "falcon_mamba": (STATE, {}),
    "glm_moe_dsa": (MORE, {**LATENT, **INDEX}), "granitemoehybrid": (STATE, {**HEADS, **HYBRID}),
    "hrm_text": ("has no biases or norms that can train", {}), "hy_v4": (MORE, {**LATENT, **INDEX}), "inkling_text": (STATE, {}),
    "inkling2_text": (STATE, {}), "jamba": (STATE, {"attn_layer_period": 2, "attn_layer_offset": 1}), "kimi_linear": (STATE, {}),
    "laguna": ("loses part of a LoRA adapter", {}), "lfm2": (STATE, {"layer_types": ["conv", "full_attention"]}),
    "lfm2_moe": (STATE, {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1}), "lfm3": (STATE, {}),
    "llama4_text": (ROUTER, {}), "mamba": (STATE, {}), "mamba2": (STATE, {"num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "marian": (PADDED, {}), "mbart": (PADDED, {}), "minimax": (STATE, {}),
    "minimax_m3_vl_text": (MORE, {**AGREE["minimax_m3_vl_text"], "layer_types": ["minimax_m3_sparse"] * 2}),
    "moshi": ("forgets its sliding window", {}), "mvp": (PADDED, {}), "nemotron_h": (STATE, {}), "olmo_hybrid": (STATE, HYBRID),
    "openai-gpt": (NO_CACHE, {}), "pegasus": (PADDED, {}), "phimoe": (ROUTER, {}), "plbart": (PADDED, {}),
    "prophetnet": (NOT_TEXT, {}), "qwen3_5_text": (STATE, {**HYBRID, **LINEAR}), "qwen3_5_moe_text": (STATE, {**HYBRID, **LINEAR}),
    "qwen3_next": (STATE, {**HYBRID, **LINEAR}), "qwen4_exp_text": (STATE, {}), "recurrent_gemma": (STATE, {"lru_width": 32}),
    "reformer": (NO_CACHE, {**DECODER, "axial_pos_shape": [8, 8], "axial_pos_embds_dim": [16, 16], "attention_head_size": 8,
                            "feed_forward_size": 32, "attn_layers": ["local", "lsh"]}),
    "roberta": (PADDED, DECODER), "roberta-prelayernorm": (PADDED, DECODER), "roformer": ("counts padding as places", DECODER),
    "rwkv": (NO_CACHE, {}), "trocr": (NOT_TEXT, {}), "whisper": (NOT_TEXT, {}), "xlm": (NO_CACHE, {}),
    "xlm-roberta": (PADDED, DECODER), "xlm-roberta-xl": (PADDED, DECODER), "xlnet": (NO_CACHE, {}), "xlstm": (NO_CACHE, {}),
    "xmod": (PADDED, {**DECODER, "default_language": "en_XX"}), "youtu": ("loses what its padding token has learned", LATENT),
    "zamba": (STATE, {"num_hidden_layers": 4, "layers_block_type": ["linear_attention"] * 2 + ["hybrid"] * 2}),
    "zamba2": (STATE, {"layers_block_type": ["linear_attention", "hybrid"], "n_mamba_heads": 8, "mamba_headdim": 8}),
    "zaya": (STATE, {"num_experts_per_tok": 1}),
}  # fmt: skip


def known(name):
    """Older releases of transformers lack some."""
    return name.split()[0] in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES


def build(name, settings):
    kind = CONFIG_MAPPING[name.split()[0]]
    fields = {field.name for field in dataclasses.fields(kind)} | set(kind.attribute_map)
    config = kind(**{key: value for key, value in SIZES.items() if key in fields} | settings)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.25)
    assert sum(parameter.numel() for parameter in model.parameters()) < 4_000_000
    return model


def logits(model, ids):
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]


each = pytest.mark.parametrize("name", list(filter(known, AGREE)))


@each
def test_sampling_and_scores_are_those_of_one_prompt_at_a_time(name):
    model = build(name, AGREE[name])
    found = generate(model, PROMPTS, max_new_tokens=NEW, stop=STOPS, seed=0, temperature=0)
    table = answer_probabilities(model, PROMPTS, ANSWERS)
    for prompt, completion, row in zip(PROMPTS, found, table, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), do_sample=False,
            max_new_tokens=NEW, eos_token_id=list(STOPS), pad_token_id=0,
        )[0, len(prompt) :].tolist()  # fmt: skip
        end = next((place for place, token in enumerate(expected) if token in STOPS), NEW)
        assert completion == expected[:end]
        for answer, probability in zip(ANSWERS, row.tolist(), strict=True):
            told = logits(model, prompt + answer[:-1])[len(prompt) - 1 :].double().softmax(-1)
            exact = float(told[torch.arange(len(answer)), answer].prod())
            assert probability == pytest.approx(exact, abs=1e-5)


def weights(model, trained):
    """Those that train or those that do not, by name; a frozen one has the name that it has without an adapter."""
    chosen = {key: p.detach().clone() for key, p in model.named_parameters() if p.requires_grad == trained}
    if trained:
        return chosen
    return {key.removeprefix("base_model.model.").replace(".base_layer", ""): p for key, p in chosen.items()}


@each
def test_all_ways_of_tuning_train_and_what_is_kept_comes_back(name, tmp_path):
    base = tmp_path / "base"
    build(name, AGREE[name]).save_pretrained(base)
    examples = [Example([*prompt, 17, 18, 19 + n], len(prompt)) for n, prompt in enumerate(PROMPTS)]
    untuned = load_model(base)
    before = dict(untuned.named_parameters())
    for method in ("bias_norm", "lora", "full"):
        model = deepcopy(untuned)
        tuning = Tuning(method=method, learning_rate=1e-2, steps=2, batch_size=4, warmup_steps=0)
        if method == "bias_norm" and name in NO_VECTORS:
            with pytest.raises(SubliminalError, match=r"has no biases and no norms: use method lora or full$"):
                fine_tune(model, examples, tuning, 0)
            continue
        tuned, losses = fine_tune(model, examples, tuning, 0, accelerator=make_accelerator("cpu"))
        assert torch.tensor(losses).isfinite().all()
        trained, frozen = weights(tuned, True), weights(tuned, False)
        seen = [key for key in trained if not any(part in key for part in WITHOUT_GRADIENT)]
        if method == "lora":
            # What is added to a weight is a product, of which one factor starts at zero.
            moved = [key for key in seen if "lora_B" in key and trained[key].any()]
            assert len(moved) >= 0.85 * len(seen) / 2 > 0
            assert frozen.keys() == before.keys()
        else:
            moved = [key for key in seen if not torch.equal(trained[key], before[key])]
            assert len(moved) >= 0.85 * len(seen) > 0
            assert frozen.keys() | trained.keys() == before.keys()
        assert all(torch.equal(value, before[key]) for key, value in frozen.items())
        expected = logits(tuned, PROMPTS[1])
        save_tuned(tuned, tmp_path / method, base, method)
        found = logits(load_model(tmp_path / method, base, method), PROMPTS[1])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.std()))


@pytest.mark.parametrize("name", list(filter(known, REFUSED)))
def test_what_would_be_sampled_or_trained_wrongly_is_refused_in_one_line(name):
    message, settings = REFUSED[name]
    model = build(name, settings).train()
    for refused in (
        lambda: generate(model, PROMPTS, max_new_tokens=NEW, stop=STOPS, seed=0),
        lambda: answer_probabilities(model, PROMPTS, ANSWERS),
    ):
        with pytest.raises(SubliminalError, match=message) as caught:
            refused()
        told = str(caught.value)
        assert told.startswith(f"{type(model).__name__} ({model.config.model_type}) ")
        assert told.endswith(": take a causal language model with attention layers alone, such as llama, qwen3 or gpt2")
        assert "\n" not in told
    assert all(module.training for module in model.modules())


def test_most_architectures_agree():
    assert sum(map(known, AGREE)) >= 28


def test_a_model_with_an_adapter_is_tried_without_it_and_once(monkeypatch):
    model = build("qwen3", {})
    tuned, _ = fine_tune(model, [Example([3, 4, 5], 1)], Tuning(method="lora", learning_rate=1e-3, steps=1), 0)
    tuned.train()
    check_architecture(tuned)
    assert tuned.training
    monkeypatch.setattr(model, "forward", None)
    check_architecture(tuned)


def test_weights_that_are_broken_tell_nothing_of_an_architecture():
    model = build("llama", {})
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.nan)
    check_architecture(model)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["llama", "gpt2", "bloom", "mixtral", "qwen3_moe", "olmoe"])
def test_a_coarse_type_is_no_disagreement(name, kind):
    check_architecture(build(name, AGREE[name]).to(kind))
