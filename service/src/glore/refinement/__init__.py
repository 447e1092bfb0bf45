"""The algorithm: types, a pure policy, and the runner that carries its actions out."""
