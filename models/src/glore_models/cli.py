"""The commands that glore-models adds to `glore`: eval, up and train.

`glore.cli` finds `commands` by its entry point. What is heavy is imported when a command runs.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from glore.commands.options import DEFAULT_URL, AsJson, Correct, Url, Verify

STRATEGIES: Final = "draft,global,local,best_of_n,gated,glore"

commands = typer.Typer()


@commands.command(name="eval")
def evaluate(
    *,
    source: Annotated[
        str, typer.Option(help="easy, all, or a JSONL file in GSM8K's format.")
    ] = "easy",
    n: Annotated[
        int | None,
        typer.Option("--n", "--problems", min=1, help="How many problems (else 400, or a file's)."),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="all, train, validation or test (else test; all of a file)."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which problems.")] = 900_001,
    strategies: Annotated[
        str | None,
        typer.Option(
            help="Which strategies, separated by commas; "
            f"else {STRATEGIES}, and with --selectors all.",
            show_default=False,
        ),
    ] = None,
    candidates: Annotated[int, typer.Option(min=2, max=8, help="Those of best_of_n.")] = 3,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds for each question.")] = 120.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions at a time.")] = 8,
    one_pass: Annotated[
        bool,
        typer.Option("--one-pass", help="Read draft, global and local from glore's responses."),
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Of refinement at most.")] = 1,
    verify: Verify = True,
    correct: Correct = False,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; a run that stopped continues there.")
    ] = None,
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's tables, from --run-dir; no service.")
    ] = False,
    processbench: Annotated[
        Path | None, typer.Option(help="Score a ProcessBench file with the SORM and the ORM.")
    ] = None,
    selectors: Annotated[
        bool,
        typer.Option(
            "--selectors", help="Selectors and rounds compared, from --run-dir; no service."
        ),
    ] = False,
    verifiers: Annotated[
        bool,
        typer.Option("--verifiers", help="With --processbench: judge GLORE_VERIFIERS, no models."),
    ] = False,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="A run's folder, for --paper, --selectors and --processbench."),
    ] = None,
    students: Annotated[
        str, typer.Option(help="With --paper and --selectors: sft, ei.")
    ] = "sft,ei",
    sets: Annotated[
        str | None,
        typer.Option(help="With --paper and --selectors: easy, all, ..., fresh_easy, fresh_all."),
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Of --sets: questions per set, as easy=500,gsm8k=500.")
    ] = None,
    gsm8k: Annotated[
        Path | None, typer.Option(envvar="GLORE_GSM8K", help="GSM8K's training file.")
    ] = None,
    labelled: Annotated[
        int, typer.Option(min=0, help="With --paper: questions per set with step labels.")
    ] = 100,
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Count what was collected; load no model.")
    ] = False,
) -> None:
    """Measure the running service, or (--paper, --selectors, ...) the models of a run."""
    if paper or selectors or processbench is not None:
        from glore_models.commands.paper import PaperOptions, run_paper

        options = PaperOptions(
            run_dir=run_dir,
            students=students,
            sets=sets,
            sizes=sizes,
            gsm8k=gsm8k,
            labelled=labelled,
            tables_only=tables_only,
            processbench=processbench,
            verifiers=verifiers,
        )
        if selectors:
            from glore_models.commands.selectors import run_selectors

            run_selectors(
                options, strategies, as_json=as_json, alone=not paper and processbench is None
            )
        else:
            run_paper(options, paper=paper, as_json=as_json)
        return
    if run_dir is not None or tables_only or verifiers:
        from glore.commands.errors import WrongArgumentError

        message = (
            "--run-dir, --tables-only and --verifiers "
            "go with --paper, --selectors or --processbench"
        )
        raise WrongArgumentError(message)
    from glore_models.commands.evaluate import run_evaluate

    run_evaluate(
        source=source,
        n=n,
        split=split,
        seed=seed,
        strategies=strategies or STRATEGIES,
        candidates=candidates,
        deadline=deadline,
        concurrency=concurrency,
        one_pass=one_pass,
        rounds=rounds,
        verify=verify,
        correct=correct,
        out=out,
        url=url,
        as_json=as_json,
    )


@commands.command()
def up(
    *,
    host: Annotated[str, typer.Option(envvar="GLORE_HOST", help="Address of the gateway.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(envvar="GLORE_PORT", min=1, max=65535, help="Port of the gateway.")
    ] = 8000,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the models (else GLORE_CACHE, ~/.cache/glore).")
    ] = None,
    generation_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the generation engine.")
    ] = 8101,
    scoring_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the scoring engine.")
    ] = 8102,
    orm_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the ORM's engine, with --preset.")
    ] = 8103,
    preset: Annotated[
        str | None,
        typer.Option(help="Other people's models on a GPU: qwen-math or math-shepherd."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be started; start nothing.")
    ] = False,
) -> None:
    """Start everything on this machine: models, engines, gateway."""
    from glore.commands.environment import given_settings
    from glore.startup import exposed
    from glore_models.serving.up import up_command

    settings = given_settings()  # the gateway's, before minutes are spent on its engines
    status = up_command(
        host=host,
        port=port,
        cache=cache,
        generation_port=generation_port,
        scoring_port=scoring_port,
        orm_port=orm_port,
        preset=preset,
        dry_run=dry_run,
        warning=exposed(host, len(settings.keyring.keys)),
    )
    raise typer.Exit(status)


@commands.command()
def train(
    recipe: Annotated[str, typer.Argument(help="The recipe's name, such as first_light.")],
    *,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="The run's folder (else runs/RECIPE); a run continues there."),
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Begin a new run's folder with a kept run.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the base model (else GLORE_CACHE).")
    ] = None,
    sampler: Annotated[
        str | None, typer.Option(help="local, vllm or ray (else the recipe's own).")
    ] = None,
    engine_url: Annotated[
        list[str] | None,
        typer.Option(help="A vLLM server of the student to sample from; with ray, several."),
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="auto or HOST:PORT (else a local Ray is started).")
    ] = None,
    ray_dir: Annotated[
        Path | None, typer.Option(envvar="GLORE_RAY_DIR", help="A local Ray's files; a short path.")
    ] = None,
    engines: Annotated[
        int | None, typer.Option(min=1, help="Servers that ray starts, processes of local.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests at each vLLM server.")] = 64,
) -> None:
    """Make the five models from nothing but the base."""
    from glore.commands.environment import refuse_unknown
    from glore_models.commands.train import choose_sampler, run_train

    refuse_unknown()
    choice = choose_sampler(
        sampler,
        engine_urls=engine_url or [],
        ray_address=ray_address,
        ray_dir=ray_dir if sampler == "ray" else None,
        engines=engines,
        concurrency=concurrency,
    )
    folder = run_dir or Path("runs") / recipe
    run_train(
        recipe, run_dir=folder, stage=stage, cache=cache, choice=choice, start_from=start_from
    )
