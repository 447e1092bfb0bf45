"""A bundle of toy adapters, made by PEFT: random, small, in PEFT's own format."""

import json
from pathlib import Path

import pytest

from glore_models.serving.bundle import ROLES, Bundle

RANKS = dict.fromkeys(ROLES, 4) | {"local_refiner": 12}


@pytest.fixture(scope="session")
def toy_bundle(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """One adapter per role for the toy base, bfloat16, and a head of 2 x 32."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file, save_file
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("bundle")
    for seed, (role, rank) in enumerate(RANKS.items()):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
        adapted = get_peft_model(model, config)
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.05)
        adapted.save_pretrained(folder / role)
        file = folder / role / "adapter_model.safetensors"
        halves = {key: value.to(torch.bfloat16) for key, value in load_file(file).items()}
        save_file(halves, file, metadata={"format": "pt"})
    save_file({"score.weight": torch.randn(2, 32)}, folder / "head.safetensors")
    (folder / "thresholds.json").write_text(json.dumps({"first_error": 0.4}))
    return Bundle(folder)


@pytest.fixture
def paper_bundle(tmp_path: Path) -> Bundle:
    """A bundle whose files have names and no weights: enough for keys and command lines."""
    folder = tmp_path / "bundle"
    for role in ROLES:
        (folder / role).mkdir(parents=True)
        (folder / role / "adapter_config.json").write_text(json.dumps({"r": RANKS[role]}))
        (folder / role / "adapter_model.safetensors").write_bytes(role.encode())
    (folder / "head.safetensors").write_bytes(b"head")
    return Bundle(folder)
