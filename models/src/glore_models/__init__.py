"""The five models: what they read and write, how they are made, measured and served."""
