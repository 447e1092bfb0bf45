"""A vLLM server without a model: its shapes, its timing, and faults on demand."""
