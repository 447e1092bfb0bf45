"""What a client reads in an answer of `POST /solve/batch`."""

import httpx2


def lines_of(response: httpx2.Response) -> list[str]:
    """The lines that say something, in their order: a blank one is a sign of life.

    The gateway sends one after 10 s of silence, so on a busy machine any batch may hold some.
    """
    return [line for line in response.text.splitlines() if line]
