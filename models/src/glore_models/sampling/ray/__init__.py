"""Sampling on Ray Data: the same port, its prompts spread over workers before vLLM engines.

`ledger` (pure) says what is owed and counts everything once, `workers` runs on Ray's nodes,
`sampler` is the adapter of the port, `cluster` starts or joins a Ray and leaves nothing behind.
"""
