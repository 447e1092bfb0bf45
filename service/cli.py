"""`glore`: the command. What each subcommand does lies in `service.commands`.

Everything heavier than the option parser is imported when a subcommand runs, so that
`glore --help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from service.terminal import visible

DEFAULT_URL = "http://127.0.0.1:8000"
_OURS = ("service", "models", "glore_client")
_STARTS = ("serve", "up", "train")  # they refuse a variable that is unknown


class OneLineErrors(TyperGroup):
    """Says what is wrong in one line on standard error; statuses: `service.commands.errors`."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line and exit with its status."""
        kwargs["standalone_mode"] = False
        try:
            status = super().main(*args, **kwargs)
        except typer.TyperException as error:
            text = visible(" ".join(error.format_message().split())).rstrip(".")
            context = getattr(error, "ctx", None)
            hint = f" (see {context.command_path} --help)" if context else ""
            typer.echo(f"glore: {text}{hint}", err=True)
            sys.exit(error.exit_code)
        except typer.Abort:
            sys.exit(1)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in _OURS:
                raise
            from service.installation import missing

            typer.echo(f"glore: this needs {missing(error.name or 'a package')}", err=True)
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)


main = typer.Typer(
    cls=OneLineErrors,
    help="Refinement as a service: find the first wrong step, refine, rerank (after GLoRe).",
    add_completion=False,
    pretty_exceptions_enable=False,
)

Url = Annotated[str, typer.Option(envvar="GLORE_URL", help="Where the gateway is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]
Verify = Annotated[
    bool, typer.Option("--verify/--no-verify", help="Whether verifiers check the candidates.")
]
Correct = Annotated[bool, typer.Option("--correct", help="Refine locally from a corrected step.")]


@main.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)
    ours = any(name.upper().startswith("GLORE_") for name in os.environ)
    if ours and context.invoked_subcommand not in _STARTS:
        from service.commands.environment import warn_of_unknown

        warn_of_unknown()


@main.command()
def ask(
    question: Annotated[
        str, typer.Argument(help="The question, in quotes; - reads it from standard input.")
    ],
    *,
    strategy: Annotated[
        str | None,
        typer.Option(help="glore, gated, adaptive, ... (else the gateway's choice)."),
    ] = None,
    url: Url = DEFAULT_URL,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds the gateway may take.")] = 60.0,
    temperature: Annotated[float | None, typer.Option(min=0.0, max=2.0)] = None,
    n: Annotated[int | None, typer.Option(min=2, max=8, help="Candidates of best_of_n.")] = None,
    max_engine_calls: Annotated[
        int | None, typer.Option(min=1, help="Of the whole question.")
    ] = None,
    max_generated_tokens: Annotated[
        int | None, typer.Option(min=1, help="Of the whole question.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Of refinement at most (else 1).")
    ] = None,
    verify: Verify = True,
    correct: Correct = False,
    as_json: AsJson = False,
) -> None:
    """Ask the running service one question and watch it being refined.

    Ends with 0: answered; 1: no answer; 2: wrongly asked; 3: not now, try later; 130: interrupted.
    """
    from service.commands.ask import AskOptions, run_ask

    options = AskOptions(
        strategy=strategy,
        url=url,
        deadline=deadline,
        temperature=temperature,
        n=n,
        max_engine_calls=max_engine_calls,
        max_generated_tokens=max_generated_tokens,
        rounds=rounds,
        verify=verify,
        correct=correct,
        as_json=as_json,
    )
    run_ask(question, options)


@main.command(name="eval")
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
        str, typer.Option(help="Which strategies, separated by commas.")
    ] = "draft,global,local,best_of_n,gated,glore",
    candidates: Annotated[int, typer.Option(min=2, max=8, help="Those of best_of_n.")] = 3,
    deadline: Annotated[float, typer.Option(min=0.1, help="Seconds for each question.")] = 120.0,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions asked at a time.")] = 8,
    one_pass: Annotated[
        bool,
        typer.Option("--one-pass", help="Read draft, global and local from glore's responses."),
    ] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Of refinement at most.")] = 1,
    verify: Verify = True,
    correct: Correct = False,
    out: Annotated[
        Path | None, typer.Option(help="The run's folder; a run that stopped goes on there.")
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
        from service.commands.paper import PaperOptions, run_paper

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
            from service.commands.selectors import run_selectors

            run_selectors(options, as_json=as_json, alone=not paper and processbench is None)
        else:
            run_paper(options, paper=paper, as_json=as_json)
        return
    if run_dir is not None or tables_only or verifiers:
        from service.commands.errors import WrongArgumentError

        message = (
            "--run-dir, --tables-only and --verifiers "
            "go with --paper, --selectors or --processbench"
        )
        raise WrongArgumentError(message)
    from service.commands.evaluate import run_evaluate

    run_evaluate(
        source=source,
        n=n,
        split=split,
        seed=seed,
        strategies=strategies,
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


@main.command()
def status(*, url: Url = DEFAULT_URL) -> None:
    """Say whether the running service can answer, and what to do where it cannot.

    Ends with 0: ready; 3: it answers, without one of its engines; 1: not ready, or not there.
    """
    from service.commands.status import run_status

    run_status(url)


@main.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is; the log names it.")],
) -> None:
    """Make an API key of the gateway, and the line of it for GLORE_API_KEYS_FILE."""
    from service.commands.key import run_key

    typer.echo(run_key(name))


@main.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address (else GLORE_HOST).")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port (else GLORE_PORT).")
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Print the settings, ask engines and store; serve nothing."),
    ] = False,
) -> None:
    """Run the gateway alone, before engines that run elsewhere (GLORE_... settings).

    With --check it ends with 0: all is there; 1: something is not; 2: a setting is wrong.
    """
    if check:
        from service.commands.check import run_check

        run_check(host=host, port=port)
        return
    from service.commands.serve import run_serve

    run_serve(host=host, port=port)


@main.command()
def up(
    *,
    host: Annotated[str, typer.Option(envvar="GLORE_HOST", help="Address of the gateway.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(envvar="GLORE_PORT", min=1, max=65535)] = 8000,
    cache: Annotated[
        Path | None, typer.Option(help="Folder of the models (else GLORE_CACHE, ~/.cache/glore).")
    ] = None,
    generation_port: Annotated[int, typer.Option(min=1, max=65535)] = 8101,
    scoring_port: Annotated[int, typer.Option(min=1, max=65535)] = 8102,
    orm_port: Annotated[int, typer.Option(min=1, max=65535, help="With --preset.")] = 8103,
    preset: Annotated[
        str | None,
        typer.Option(help="Other people's models on a GPU: qwen-math or math-shepherd."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be started; start nothing.")
    ] = False,
) -> None:
    """Start everything on this machine: models, engines, gateway."""
    from models.serving.up import up_command
    from service.commands.environment import given_settings
    from service.startup import exposed

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


@main.command()
def train(
    recipe: Annotated[str, typer.Argument(help="The recipe's name, such as first_light.")],
    *,
    run_dir: Annotated[
        Path | None, typer.Option(help="The run's folder (else runs/RECIPE); done stages are kept.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Begin a new run's folder with a run that was kept.")
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
    from service.commands.environment import refuse_unknown
    from service.commands.train import choose_sampler, run_train

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


if __name__ == "__main__":
    main()
