"""The gateway: a question in, one refined answer out. Free of torch, vLLM and transformers."""
