"""What the models read and write: prompts, steps, the `[BAD]` critique, answers, scores.

Shared with the gateway, so this package is free of torch, transformers and vLLM.
"""
