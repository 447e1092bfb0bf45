"""The families by name, as settings and presets choose them for each role."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, assert_never

from glore.formats.chat import ChatPrompts
from glore.formats.likelihood import LikelihoodScores
from glore.formats.math_shepherd import MathShepherdScores
from glore.formats.qwen_prm import QwenPrmScores
from glore.formats.scores import NewlineScores, ScoreFormat
from glore.formats.sequence_scores import SequenceScores
from glore.formats.writing import PromptFormat, TrainedPrompts

WriterFamily: TypeAlias = Literal["trained", "chat"]
StepFamily: TypeAlias = Literal["newline", "qwen_prm", "math_shepherd"]
OutcomeFamily: TypeAlias = Literal["newline", "qwen_prm", "math_shepherd", "sequence", "likelihood"]
OutcomeFormat: TypeAlias = ScoreFormat | SequenceScores | LikelihoodScores

PROMPTS: Mapping[WriterFamily, PromptFormat] = MappingProxyType(
    {"trained": TrainedPrompts(), "chat": ChatPrompts()}
)


def step_scores(family: StepFamily, column: int) -> ScoreFormat:
    """The format of a stepwise family; `column` matters to this project's own head only."""
    match family:
        case "newline":
            return NewlineScores(column)
        case "qwen_prm":
            return QwenPrmScores()
        case "math_shepherd":
            return MathShepherdScores()
        case _:
            assert_never(family)


def outcome_scores(family: OutcomeFamily, column: int) -> OutcomeFormat:
    """The format of an ORM: of whole solutions, or stepwise, where the last step's score counts."""
    match family:
        case "sequence":
            return SequenceScores()
        case "likelihood":
            return LikelihoodScores()
        case _:
            return step_scores(family, column)
