"""What can go wrong before and while serving, said so that a person can act on it."""


class ServingError(Exception):
    """Something stands in the way. `way_out` says in one or two lines what to do about it."""

    def __init__(self, *, problem: str, way_out: str) -> None:
        super().__init__(f"{problem}\n{way_out}")
        self.problem = problem
        self.way_out = way_out
