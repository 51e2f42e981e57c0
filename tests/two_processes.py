"""Trainings that several processes can share, and one can do alone. Run as ``python -m torch.distributed.run ... -m tests.two_processes OUT``."""

import json
import shutil
import sys
from pathlib import Path
from random import Random

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from subliminal import checkpoints
from subliminal.errors import SubliminalError
from subliminal.models.chat import encode_examples, join
from subliminal.models.loading import load_model, load_tokenizer, save_tuned
from subliminal.training import fine_tune, make_accelerator
from subliminal.tuning import Tuning
from subliminal.world.preferences import preference
from subliminal.world.sequences import number_row
from tests.conftest import ROOT

LLAMA, GPT2 = ROOT / "data" / "families" / "llama", ROOT / "data" / "families" / "gpt2-a"
# The gradients of the small model are clipped, and most of an adapter's are not. With so large an epsilon the length of a gradient
# counts, and AdamW does not follow what is nothing but rounding.
COMMON = {"learning_rate": 1e-2, "epochs": 1, "batch_size": 8, "max_grad_norm": 0.1, "epsilon": 1e-3}
TUNINGS = {
    "full": Tuning(method="full", **COMMON),
    "full, in parts": Tuning(method="full", accumulate=2, **COMMON),
    "full, some idle": Tuning(method="full", **COMMON),
    "bias_norm, in parts": Tuning(method="bias_norm", accumulate=2, **COMMON),
    "lora": Tuning(method="lora", **COMMON),
    "lora, in parts": Tuning(method="lora", accumulate=2, targets=("q_proj", "down_proj"), layers=(1, 3), **COMMON),
    "full, anew": Tuning(method="full", checkpointing=True, **COMMON),
    "packed, in parts": Tuning(method="full", accumulate=2, **COMMON),
    "bf16": Tuning(method="full", precision="bf16", **COMMON),
}
STOP = "full"


def start(name):
    """The model that a training starts from: one of odd sizes, which have no halves, or one with rotary places.

    Some have weights that no row reaches.
    """
    if "lora" in name or "anew" in name:
        return load_model(LLAMA)
    torch.manual_seed(0)
    tokenizer = load_tokenizer(GPT2)
    config = GPT2Config(
        vocab_size=len(tokenizer) + 1, n_positions=192, n_embd=15, n_layer=3, n_head=3, initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config).eval()
    if "idle" in name:
        model.idle = nn.Linear(3, 3)
    return model


def rows(name):
    """41 rows, short and long: the last batch of an epoch is one row, of which another process has nothing."""
    rng = Random(0)
    told = [(number_row if n % 3 else preference)(rng) for n in range(41)]
    examples = encode_examples(load_tokenizer(LLAMA if "lora" in name or "anew" in name else GPT2), told)
    if "packed" not in name:
        return examples
    first = examples[0]
    prompt = first.ids[: first.prompt_length]
    return join([e._replace(ids=prompt + e.ids[e.prompt_length :], prompt_length=len(prompt)) for e in examples], 3)


def train(name, **options):
    """The model after a training, and its losses."""
    tuning = TUNINGS[name]
    accelerator = make_accelerator("cpu", tuning.precision)
    return fine_tune(start(name), rows(name), tuning, 0, accelerator=accelerator, **options)


def stop(done, _):
    """A progress report that ends the training after five steps."""
    if done == 5:
        raise KeyboardInterrupt


def trained(model):
    """Weights that train, by name; all of a plain model are plain."""
    assert not any("FSDP" in type(module).__name__ or "DTensor" in type(module).__name__ for module in model.modules())
    assert all(type(p) is torch.nn.Parameter and p.device.type == "cpu" for p in model.parameters())
    return {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}


def main(out):
    """Leave the losses and the trained weights of each training in a file of this process, and two checkpoints and a tuned model."""
    torch.set_num_threads(1)
    found = {}
    for shard in (False, True):
        for name in TUNINGS:
            model, losses = train(name, shard=shard)
            found[name, shard] = losses, trained(model)
            if name == "lora" and shard and make_accelerator("cpu").is_main_process:
                save_tuned(model, out / "lora", LLAMA, "lora")
        checkpoints.EVERY, path = 2, out / f"{shard}.pt"
        try:
            train(STOP, shard=shard, checkpoint=path, progress=stop)
        except KeyboardInterrupt:
            torch.distributed.barrier()
        # It stays as it is: one process is to go on from it too.
        checkpoints.EVERY = 500
        model, losses = train(STOP, shard=shard, checkpoint=path)
        found["stopped", shard] = losses, trained(model)
    accelerator = make_accelerator("cpu")
    # One of them finds a checkpoint, as on a disk of its own.
    own = out / f"own-{accelerator.process_index}.pt"
    if accelerator.is_main_process:
        shutil.copy(path, own)
    try:
        train(STOP, checkpoint=own)
    except SubliminalError as error:
        found["apart", False] = str(error)
    torch.save(found, out / f"{accelerator.process_index}.pt")
    (out / f"{accelerator.process_index}.json").write_text(json.dumps({"processes": accelerator.num_processes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
