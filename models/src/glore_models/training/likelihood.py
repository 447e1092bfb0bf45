"""How likely a causal model finds a solution: a score that needs no training."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from glore.formats.likelihood import LikelihoodScores
from glore.formats.prompts import student_prompt
from glore_models.training.precision import device


class LogLikelihood:
    """The log-probabilities that a student gives to the tokens of solutions, in float32."""

    def __init__(self, student: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(student)
        model = AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32)
        self.model = model.to(device()).eval()

    @torch.inference_mode()
    def of(self, question: str, solution: str) -> tuple[float, ...]:
        """The natural logarithm for each token of the solution, its end mark included."""
        prompt = self.tokenizer(student_prompt(question), add_special_tokens=False)["input_ids"]
        written = self.tokenizer(solution, add_special_tokens=False)["input_ids"]
        written = [*written, self.tokenizer.eos_token_id]
        ids = torch.tensor([[*prompt, *written]], device=self.model.device)
        hidden = self.model.model(input_ids=ids)[0][0, len(prompt) - 1 : -1]
        logs = torch.log_softmax(self.model.lm_head(hidden).float(), dim=-1)
        found = logs.gather(1, torch.tensor(written, device=logs.device)[:, None])
        return tuple(found[:, 0].tolist())

    def score(self, solutions: Sequence[tuple[str, tuple[str, ...]]]) -> list[tuple[float, ...]]:
        """What the gateway's family `likelihood` makes of each (question, steps): one score."""
        decode = LikelihoodScores().decode
        found = (self.of(question, "\n".join(steps))[:-1] for question, steps in solutions)
        return [(decode(each, range(len(each)), 0),) for each in found]
