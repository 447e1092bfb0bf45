"""Tiny checkpoints with random weights and tokenizers made here: other people's architectures.

Real in everything but size: the files a hub repository has, names of weights included, so that
vLLM reads them as it would read the real ones.
"""

import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
from transformers import (
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Model,
    Qwen3Config,
    Qwen3ForSequenceClassification,
)

HIDDEN = 64
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SIZES: dict[str, Any] = {
    "hidden_size": HIDDEN,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 32,
    "max_position_embeddings": 2048,
}
_CORPUS = (
    "Tom has 3 boxes with 12 pens each. He gives away 7 pens. How many pens are left?",
    "Tom has 3 x 12 = 36 pens.\nTom has 36 - 7 = 29 pens left.\n#### 29\n",
    "Question: Solve the problem. Solution: the draft, the first wrong step, the final number.",
)


def chat_tokenizer(*specials: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with ChatML's tokens and the `specials`, as Qwen's is.

    Like Qwen's it has one token for a full stop and the newline after it.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(_CORPUS, trainer)
    core.add_tokens([AddedToken(".\n", normalized=False)])
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *specials]
    core.add_special_tokens([AddedToken(mark, special=True) for mark in marks])
    special = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, chat_template=CHATML, **special)


def mistral_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of SentencePiece's kind: BOS, spaces as `▁`, unknown bytes as `<0x..>`."""
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    pieces += [chr(code) for code in range(33, 127)] + ["к", "и", "▁к", "▁ки", "▁+", "▁-"]
    merges = [("▁", "к"), ("▁к", "и"), ("▁", "+"), ("▁", "-")]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    unknown = "<unk>"
    core = Tokenizer(models.BPE(vocabulary, merges, unk_token=unknown, byte_fallback=True))
    core.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    core.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    special = {"unk_token": unknown, "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def save_chat(folder: Path) -> None:
    """A chat model: Qwen2ForCausalLM."""
    tokenizer = chat_tokenizer()
    torch.manual_seed(1)
    model = Qwen2ForCausalLM(_config(Qwen2Config, tokenizer))
    _save(model, tokenizer, folder)


def save_adapter(checkpoint: Path, folder: Path, *, rank: int, seed: int) -> None:
    """A LoRA adapter of a chat model, with random weights that change what it writes."""
    torch.manual_seed(seed)
    model = Qwen2ForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(folder)


def save_qwen_prm(folder: Path) -> None:
    """Qwen2.5-Math-PRM's layout: Qwen2's trunk, `score.0` and `score.2` around a ReLU.

    Its configuration names remote code, as the real one does; the code is not there.
    """
    tokenizer = chat_tokenizer("<extra_0>")
    torch.manual_seed(2)
    trunk = Qwen2Model(_config(Qwen2Config, tokenizer))
    _save(trunk, tokenizer, folder)
    weights = {f"model.{name}": tensor for name, tensor in load_file(_weights(folder)).items()}
    weights["score.0.weight"] = torch.randn(HIDDEN, HIDDEN) / HIDDEN**0.5
    weights["score.0.bias"] = torch.randn(HIDDEN)
    weights["score.2.weight"] = torch.randn(2, HIDDEN) / HIDDEN**0.5
    weights["score.2.bias"] = torch.randn(2)
    weights["lm_head.weight"] = torch.randn(trunk.config.vocab_size, HIDDEN)
    save_file(weights, _weights(folder), metadata={"format": "pt"})
    _change_config(
        folder,
        architectures=["Qwen2ForProcessRewardModel"],
        auto_map={
            "AutoConfig": "configuration_qwen2_rm.Qwen2RMConfig",
            "AutoModel": "modeling_qwen2_rm.Qwen2ForProcessRewardModel",
        },
    )


def save_math_shepherd(folder: Path) -> None:
    """A Mistral causal language model whose tokenizer has ` ки`, ` +` and ` -`."""
    tokenizer = mistral_tokenizer()
    torch.manual_seed(3)
    model = MistralForCausalLM(_config(MistralConfig, tokenizer, sliding_window=None))
    torch.nn.init.normal_(model.lm_head.weight, std=0.3)
    _save(model, tokenizer, folder)


def save_sequence_classifier(folder: Path) -> None:
    """A reward model with one label: Qwen3ForSequenceClassification."""
    tokenizer = chat_tokenizer()
    torch.manual_seed(4)
    model = Qwen3ForSequenceClassification(_config(Qwen3Config, tokenizer, num_labels=1))
    torch.nn.init.normal_(model.score.weight, std=0.3)
    _save(model, tokenizer, folder)


def _config(kind: Any, tokenizer: PreTrainedTokenizerFast, **more: object) -> Any:
    return kind(
        vocab_size=len(tokenizer),
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=0.2,  # larger than usual: the outputs of so few weights should differ
        **_SIZES,
        **more,
    )


def _save(model: Any, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.to(torch.float32).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _weights(folder: Path) -> Path:
    return folder / "model.safetensors"


def _change_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | changes), encoding="utf-8")
