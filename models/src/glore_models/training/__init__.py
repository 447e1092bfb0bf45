"""Training of the adapters: completions for the generators, step labels for the scorers."""
