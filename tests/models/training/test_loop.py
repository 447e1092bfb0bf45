"""The loop's checkpoint: what it is refused for, and that it moves between machines."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from glore_models.training import loop
from glore_models.training.batching import Encoded
from glore_models.training.loop import LoopConfig, LoopReport, train

EXAMPLES = [Encoded((i, i + 1), (-100, i % 2)) for i in range(60)]
CONFIG = LoopConfig(epochs=2, batch_tokens=2, rate=1e-2)


def run(checkpoint: Path, examples: list[Encoded], *begun: object) -> LoopReport:
    """One parameter is drawn to the mean of the targets."""
    torch.manual_seed(0)
    model = nn.Linear(1, 1)

    def loss_of(batch: list[Encoded]) -> torch.Tensor:
        wanted = torch.tensor([[float(example.targets[-1])] for example in batch])
        return functional.mse_loss(model(torch.ones_like(wanted)), wanted)

    return train(model, examples, loss_of, CONFIG, checkpoint=checkpoint, name="toy", begun=begun)


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Path]:
    """Trains until the first checkpoint is written."""

    def until_first_save() -> Path:
        save = loop._save

        def stop(path: Path, **state: object) -> None:
            save(path, **state)
            raise KeyboardInterrupt

        monkeypatch.setattr(loop, "_CHECKPOINT_SECONDS", 0.0)
        monkeypatch.setattr(loop, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "toy.checkpoint", EXAMPLES, 4)
        monkeypatch.setattr(loop, "_save", save)
        return tmp_path / "toy.checkpoint"

    return until_first_save


def test_a_checkpoint_of_other_examples_or_another_beginning_is_refused(
    killed: Callable[[], Path],
) -> None:
    checkpoint = killed()
    others = [*EXAMPLES[:-1], Encoded((59, 60), (-100, 0))]  # as many, one label changed
    for examples, rank in ((others, 4), (EXAMPLES[::-1], 4), (EXAMPLES, 8)):
        with pytest.raises(ValueError, match="another configuration or on other examples"):
            run(checkpoint, examples, rank)
    assert run(checkpoint, EXAMPLES, 4).steps == 120


def test_a_checkpoint_from_a_gpu_goes_on_without_one(
    killed: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = run(tmp_path / "whole.checkpoint", EXAMPLES, 4)
    # what torch writes beside a tensor of a GPU
    monkeypatch.setattr(torch.serialization, "location_tag", lambda _storage: "cuda:0")
    checkpoint = killed()
    monkeypatch.undo()
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="map_location"):
            torch.load(checkpoint, weights_only=True)
    resumed = run(checkpoint, EXAMPLES, 4)
    assert [step for step, _ in resumed.losses] == [step for step, _ in whole.losses]
    losses = [loss for _, loss in whole.losses]
    assert [loss for _, loss in resumed.losses] == pytest.approx(losses)
