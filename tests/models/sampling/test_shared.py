"""Attention over shared prompts against plain attention over a copy for every row."""

import torch

from glore_models.sampling.shared import SharedCache

GROUPS, EACH, SIZE, LAYERS = 2, 3, 8, 2


def plain(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Rows x heads x 1 x size over rows x groups x length x size; keys repeated for the heads."""
    keys, values = (each.repeat_interleave(EACH, 1) for each in (keys, values))
    scores = (query @ keys.transpose(2, 3)) * 0.5
    scores = scores.masked_fill(~seen[:, None, None, :], float("-inf"))
    return (torch.softmax(scores, -1) @ values).transpose(1, 2)


def test_rows_attend_to_their_prompt_and_their_own_text_while_others_leave() -> None:
    torch.manual_seed(0)
    lengths = torch.tensor([5, 2, 4])
    seen = torch.arange(5) >= (5 - lengths)[:, None]
    prompts = [
        (torch.randn(3, GROUPS, 5, SIZE), torch.randn(3, GROUPS, 5, SIZE)) for _ in range(LAYERS)
    ]
    owner = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    cache = SharedCache(list(prompts), seen, owner)
    history: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in range(LAYERS)]
    leaving = {3: [0, 2, 5, 6, 8], 20: [0, 1, 3], 40: [2]}  # the rows kept, by step
    for step in range(50):
        if step in leaving:
            rows = torch.tensor(leaving[step])
            cache.keep(rows)
            owner = owner[rows]
            history = [[(k[rows], v[rows]) for k, v in layer] for layer in history]
        for layer in range(LAYERS):
            new = [torch.randn(len(owner), GROUPS, 1, SIZE) for _ in range(2)]
            query = torch.randn(len(owner), GROUPS * EACH, 1, SIZE)
            own = cache.update(new[0], new[1], layer)
            history[layer].append((new[0], new[1]))
            found = cache.attend(query, *own, layer, 0.5)
            keys, values = (
                torch.cat([prompts[layer][kind][owner], *(h[kind] for h in history[layer])], 2)
                for kind in (0, 1)
            )
            visible = torch.cat([seen[owner], torch.ones(len(owner), step + 1).bool()], 1)
            torch.testing.assert_close(found, plain(query, keys, values, visible))
    assert cache.get_seq_length() == 50
    assert len(cache.prompts[0][0]) == 1  # prompts that nobody goes on from are gone
