"""One training in as many processes as torchrun starts. Run as ``torchrun ... -m tests.two_processes OUT METHOD ACCUMULATE``."""

import json
import os
import sys
from pathlib import Path

import torch


def main(out, method, accumulate):
    """Leave the losses and the trained weights' sums of this process in the folder ``out``."""
    from subliminal.models.loading import load_tokenizer
    from subliminal.training import fine_tune, make_accelerator
    from subliminal.tuning import Tuning
    from tests.conftest import ROOT, tiny_model
    from tests.test_training import examples_of, preference

    torch.set_num_threads(1)
    tokenizer = load_tokenizer(ROOT / "data" / "families" / "gpt2-a")
    accelerator = make_accelerator("cpu")

    tuning = Tuning(method=method, learning_rate=1e-2, epochs=1, batch_size=8, accumulate=int(accumulate))
    # The last batch of an epoch has one row: the other process has none of it.
    tuned, losses = fine_tune(
        tiny_model(tokenizer), examples_of(tokenizer, preference, 41), tuning, 0, accelerator=accelerator
    )
    weights = {name: p.detach().double().sum().item() for name, p in tuned.named_parameters() if p.requires_grad}
    told = {"losses": losses, "weights": weights, "processes": accelerator.num_processes}
    Path(out, f"{os.environ.get('RANK', 0)}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
