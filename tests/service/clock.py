"""A clock that moves only when it is told to, or when somebody sleeps by it."""


class ManualClock:
    """Monotonic seconds; call it for the time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    async def sleep(self, seconds: float) -> None:
        """Takes no time but by this clock."""
        self.slept.append(seconds)
        self.now += seconds
