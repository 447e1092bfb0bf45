"""A strategy as it is named on the command line."""

from typing import get_args

from glore.commands.errors import WrongArgumentError
from glore_client import Strategy


def strategy_named(name: str) -> Strategy:
    """The strategy of this name. Raises WrongArgumentError."""
    names: tuple[Strategy, ...] = get_args(Strategy)
    for strategy in names:
        if strategy == name:
            return strategy
    message = f"no strategy {name!r}; the strategies are {', '.join(names)}"
    raise WrongArgumentError(message)


def strategies_named(names: str) -> tuple[Strategy, ...]:
    """Those of these names, separated by commas. Raises WrongArgumentError."""
    return tuple(strategy_named(name.strip()) for name in names.split(",") if name.strip())
