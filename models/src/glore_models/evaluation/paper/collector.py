"""Makes the records of one set and one student, phase by phase.

```
<phases>/drafts.jsonl    greedy drafts                        student
<phases>/samples.jsonl   samples of each question             student
<phases>/sorm.jsonl      step scores, each different text     SORM
<phases>/orm.jsonl       the same                             ORM
<phases>/rollouts.jsonl  rollouts of prefixes of wrong drafts student
<phases>/global.jsonl    global refinements of the drafts     global refiner
<phases>/local.jsonl     local ones, by first error           local refiner
<phases>/made_with.json  which models and settings each file comes from
<phases>/made_on.json    which machines the rows of each file come from
```
A local refinement depends on the draft and its first error alone, so critiques that name
the same step share one, and other thresholds ask only for what is new.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from glore.formats.prompts import (
    continuation_prompt,
    global_refiner_prompt,
    local_refiner_prompt,
    student_prompt,
)
from glore.formats.steps import prefix_before, split_steps
from glore_models.data.problems import Problem
from glore_models.data.resume import resume_map
from glore_models.data.rollouts import is_right
from glore_models.data.run_folder import COMPARED
from glore_models.evaluation.paper.phases import (
    Clock,
    Generated,
    Ports,
    ProblemPrompt,
    ScoredText,
    Scorer,
    TimedRollouts,
    continued,
    generate,
    read_scores,
    rollouts_at_once,
    score,
    step_labels,
    whole_solutions,
    with_compared,
    with_scores,
)
from glore_models.evaluation.paper.records import (
    Record,
    named_error,
    ranked,
    true_error,
)
from glore_models.evaluation.provenance import HardwareLog, Provenance
from glore_models.sampling.port import SamplingParams


@dataclass(frozen=True, slots=True)
class CollectPlan:
    """How much is collected, and with which settings.

    The first `labelled` questions get labels for the steps of their drafts: those of a right
    draft are all good, those of a wrong one follow from `rollouts` of every prefix.
    `first_error` and `orm_first_error` are the thresholds of the two learned critiques.
    """

    labelled: int
    first_error: float
    orm_first_error: float
    samples: SamplingParams = SamplingParams(3, 0.7, 256)  # noqa: RUF009 - frozen
    rollouts: SamplingParams = SamplingParams(8, 0.8, 256)  # noqa: RUF009
    greedy: SamplingParams = SamplingParams(1, 0.0, 256)  # noqa: RUF009


class Collector:
    """The phases of one set and one student in the folder `phases`."""

    def __init__(
        self,
        set_: str,
        student: str,
        problems: Sequence[Problem],
        ports: Ports,
        plan: CollectPlan,
        phases: Path,
        *,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.set = set_
        self.student = student
        self.problems = problems
        self.ports = ports
        self.plan = plan
        self.folder = phases
        self.clock = clock
        self.stamps = Provenance(phases)
        self.made_on = HardwareLog(phases)
        self.questions = {problem.id: problem.question for problem in problems}

    def run(self) -> list[Record]:
        """Do what is not done yet, phase by phase, and join it: a record per problem, in order.

        Raises OtherModelsError when the folder holds rows of other models or settings.
        """
        records = self._scored(self._sampled(self._drafts()), ("sorm", "orm"), drafts=True)
        refined = self._locally(self._globally(self._labelled(records)))
        return self._compared(self._scored(refined, ("sorm", "orm"), drafts=False))

    def _drafts(self) -> list[Record]:
        prompts = [ProblemPrompt(p.id, 0, student_prompt(p.question)) for p in self.problems]
        self._stamp("drafts.jsonl", "student", drawing=self.plan.greedy)
        rows = self._generate("drafts", prompts)
        return [
            Record(
                set=self.set,
                student=self.student,
                problem=problem.id,
                question=problem.question,
                answer=problem.answer,
                draft=whole_solutions(rows[problem.id, 0], problem.answer)[0],
                samples=(),
                global_refinement=None,
                local_sorm=None,
                local_orm=None,
                local_oracle=None,
                labels=None,
                source=problem.source,
            )
            for problem in self.problems
        ]

    def _sampled(self, records: list[Record]) -> list[Record]:
        prompts = [ProblemPrompt(r.problem, 0, student_prompt(r.question)) for r in records]
        self._stamp("samples.jsonl", "student", drawing=self.plan.samples)
        rows = generate(
            self.folder / "samples.jsonl",
            prompts,
            self.ports.student,
            self.plan.samples,
            title=self._title("samples"),
            load=partial(self._ready, "samples", "student"),
            clock=self.clock,
        )
        return [replace(r, samples=whole_solutions(rows[r.problem, 0], r.answer)) for r in records]

    def _labelled(self, records: list[Record]) -> list[Record]:
        """The first of the records with labels; a right draft needs no rollout for them."""
        chosen = [r for r in records[: self.plan.labelled] if split_steps(r.draft.text)]
        prefixes = [
            (record, steps_before)
            for record in chosen
            if not record.draft.right
            for steps_before in range(1, len(split_steps(record.draft.text)))
        ]
        self._stamp("rollouts.jsonl", "student", drawing=self.plan.rollouts)
        rows = resume_map(
            self.folder / "rollouts.jsonl",
            TimedRollouts,
            prefixes,
            self._roll_out,
            item_key=lambda item: (item[0].problem, item[1]),
            row_key=lambda row: (row.problem, row.kept),
            chunk=rollouts_at_once(self.ports.student, self.plan.rollouts.n),
            title=self._title("rollouts"),
            load=partial(self._ready, "rollouts", "student"),
        )
        labels = {record.problem: step_labels(record, rows) for record in chosen}
        return [replace(r, labels=labels.get(r.problem)) for r in records]

    def _roll_out(self, part: Sequence[tuple[Record, int]]) -> list[TimedRollouts]:
        prefixes = [prefix_before(record.draft.text, steps_before) for record, steps_before in part]
        prompts = [
            continuation_prompt(record.question, prefix)
            for (record, _), prefix in zip(part, prefixes, strict=True)
        ]
        started = self.clock()
        drawn = self.ports.student.sample(prompts, **asdict(self.plan.rollouts))
        tokens = [sum(rollout.tokens for rollout in rollouts) for rollouts in drawn]
        per_token = (self.clock() - started) / max(1, sum(tokens))
        return [
            TimedRollouts(
                problem=record.problem,
                question=record.question,
                answer=record.answer,
                solution=record.draft.text,
                kept=steps_before,
                continuations=tuple(rollout.text for rollout in rollouts),
                right=tuple(is_right(prefix + rollout.text, record.answer) for rollout in rollouts),
                tokens=count,
                seconds=per_token * count,
            )
            for (record, steps_before), prefix, rollouts, count in zip(
                part, prefixes, drawn, tokens, strict=True
            )
        ]

    def _globally(self, records: list[Record]) -> list[Record]:
        prompts = [
            ProblemPrompt(r.problem, 0, global_refiner_prompt(r.question, r.draft.text))
            for r in records
            if split_steps(r.draft.text)
        ]
        self._stamp("global.jsonl", "global_refiner", "student", drawing=self.plan.greedy)
        rows = self._generate("global", prompts)
        refined = {key[0]: row for key, row in rows.items() if row.texts[0].strip()}
        return [
            replace(r, global_refinement=whole_solutions(refined[r.problem], r.answer)[0])
            if r.problem in refined
            else r
            for r in records
        ]

    def _locally(self, records: list[Record]) -> list[Record]:
        """All three critiques; one refinement for each different first error of a draft."""
        errors = [
            {
                "sorm": named_error(record.draft.sorm, self.plan.first_error),
                "orm": named_error(record.draft.orm, self.plan.orm_first_error),
                "oracle": true_error(record.labels),
            }
            for record in records
        ]
        prompts = [
            ProblemPrompt(r.problem, index, local_refiner_prompt(r.question, r.draft.text, index))
            for r, named in zip(records, errors, strict=True)
            for index in sorted({index for index in named.values() if index is not None})
        ]
        self._stamp("local.jsonl", "local_refiner", "student", drawing=self.plan.greedy)
        rows = self._generate("local", prompts)
        joined = []
        for record, named in zip(records, errors, strict=True):
            refined = {
                critique: continued(record, index, rows[record.problem, index])
                for critique, index in named.items()
                if index is not None
            }
            joined.append(
                replace(
                    record,
                    local_sorm=refined.get("sorm"),
                    local_orm=refined.get("orm"),
                    local_oracle=refined.get("oracle"),
                )
            )
        return joined

    def _scored(self, records: list[Record], roles: Iterable[str], *, drafts: bool) -> list[Record]:
        """The drafts with scores; or all that is ranked: samples and two refinements too."""
        solutions = [
            (record.problem, record.question, written.text)
            for record in records
            for written in (ranked(record)[:1] if drafts else ranked(record)[1:])
        ]
        for role in roles:
            port = self.ports.sorm if role == "sorm" else self.ports.orm
            step = f"{role} of {'drafts' if drafts else 'candidates'}"
            rows = self._score(role, port, solutions, step)
            records = [with_scores(record, role, rows) for record in records]
        return records

    def _compared(self, records: list[Record]) -> list[Record]:
        """The drafts with the scores for table A alone: of a model that is gone, what it said."""
        drafts = [(record.problem, record.question, record.draft.text) for record in records]
        for role in COMPARED:
            port = self.ports.compared.get(role)
            rows = (
                self._score(role, port, drafts, f"{role} of drafts")
                if port
                else read_scores(self.folder / f"{role}.jsonl")
            )
            records = [with_compared(record, role, rows) for record in records]
        return records

    def _score(
        self, role: str, port: Scorer, solutions: Sequence[tuple[str, str, str]], step: str
    ) -> dict[tuple[str, str], ScoredText]:
        self._stamp(f"{role}.jsonl", role, "student")
        return score(
            self.folder / f"{role}.jsonl",
            solutions,
            port,
            title=self._title(step),
            load=partial(self._ready, step, role),
            clock=self.clock,
        )

    def _generate(
        self, phase: str, prompts: list[ProblemPrompt]
    ) -> dict[tuple[str, int], Generated]:
        role, port = {
            "drafts": ("student", self.ports.student),
            "global": ("global_refiner", self.ports.global_refiner),
            "local": ("local_refiner", self.ports.local_refiner),
        }[phase]
        return generate(
            self.folder / f"{phase}.jsonl",
            prompts,
            port,
            self.plan.greedy,
            title=self._title(phase),
            load=partial(self._ready, phase, role),
            clock=self.clock,
        )

    def _ready(self, step: str, role: str) -> None:
        """Called once in a step, before its first work."""
        self.ports.load(role)
        self.made_on.note(f"{step.split(maxsplit=1)[0]}.jsonl", self.ports.machine())

    def _stamp(self, file: str, *roles: str, drawing: SamplingParams | None = None) -> None:
        made_with: dict[str, Any] = {role: self.ports.identities[role] for role in roles}
        if drawing is not None:
            made_with["drawing"] = asdict(drawing)
        self.stamps.check(file, made_with)

    def _title(self, phase: str) -> str:
        return f"{self.student}/{self.set} {phase}"
