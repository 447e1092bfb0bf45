"""Sampling from a model: one port, filled by vLLM over HTTP or by transformers in process."""
