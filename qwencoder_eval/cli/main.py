"""`qceval`: the group, and the one place where errors become one line and an exit code.

Commands are imported when they are used, so that --help and a listing stay quick.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys

import click

from .. import __version__
from ..errors import QcevalError

COMMANDS = {
    "run": "generate and score",
    "score": "score outputs made elsewhere",
    "check": "do the reference solutions pass here?",
    "reproduce": "a published table, cell by cell: theirs, ours, and why not",
    "show-prompt": "the exact prompt, before any GPU time is spent",
    "list": "benchmarks: version, rows, languages, data here or not",
    "report": "a leaderboard of runs: a page, Markdown, CSV or LaTeX",
    "compare": "two runs, paired by problem; --gate fails on a regression",
    "nightly": "models on benchmarks every night, against a baseline",
    "decontaminate": "which problems a corpus has seen, and the corpus without them",
    "data": "list, pull and verify benchmark data",
    "runs": "list, show, export and prune runs",
    "history": "the scores of a model, or of its checkpoints, over time",
    "sandbox": "build, list and test sandboxes",
    "doctor": "what this machine can do, and what is missing",
}
MODULES = {
    "show-prompt": "show_prompt",
    "list": "listing",
}


class Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{MODULES.get(cmd_name, cmd_name)}", __package__)
        command: click.Command = getattr(module, cmd_name.replace("-", "_") + "_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="qceval")
def cli() -> None:
    """Evaluate code language models: generate, run in a sandbox, score.

    Example: qceval run --bench humaneval
    """


def in_plugin(error: Exception) -> str | None:
    """File and line where a benchmark's own code raised this, or None where no benchmark had a part in it."""
    found, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_globals.get("__name__", "").startswith("qceval_plugin_"):
            found = f"{step.tb_frame.f_code.co_filename}:{step.tb_lineno}"
        step = step.tb_next
    return found


def main() -> None:
    """Exit codes: 0 done, 1 a gate or check failed, 2 bad usage or input, 3 infrastructure."""
    gc.set_threshold(50_000, 20, 20)  # rows and modules live to the end; looking through them takes a tenth of the time
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        where = context.command_path if context else "qceval"
        click.echo(f"qceval: {' '.join(error.format_message().split()).rstrip('.')}; see {where} --help", err=True)
        status = 2
    except QcevalError as error:
        click.echo(f"qceval: {' '.join(str(error).split())}", err=True)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("qceval: interrupted; the same command continues where this one stopped", err=True)
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except MemoryError:
        click.echo("qceval: out of memory; use fewer --workers", err=True)
        status = 3
    except Exception as error:
        if os.environ.get("QCEVAL_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        if where := in_plugin(error):
            click.echo(f"qceval: {where}: {said}; correct the benchmark, QCEVAL_DEBUG=1 shows more", err=True)
            status = 2
        else:
            click.echo(f"qceval: a fault of its own: {said}; QCEVAL_DEBUG=1 shows where, please report it", err=True)
            status = 3
    if "torch" not in sys.modules:  # some of its libraries count at the end what was not collected, and say so
        gc.freeze()  # nothing is left to find for the collections of an interpreter that ends
    sys.exit(status if isinstance(status, int) else 0)
