"""`tocsin apply` and `tocsin export`: a stack's configuration from a file, and back."""

from pathlib import Path
from typing import Annotated

import typer

from cli.api import Api, Json, Refused, escaped
from cli.declared import document
from cli.declared.document import Declared, Wrong
from cli.declared.kinds import KINDS
from cli.declared.plan import Change, Step, plan
from cli.operating import FAILED, Operator, operates
from cli.reading import Unreadable, text_of

NOTHING = "nothing to do"
SHOWN_ONCE = ("routing_key", "secret")
"""What the answer to a creation has and no later one."""


@operates(
    "tocsin apply -f config.yaml --dry-run",
    "tocsin apply -f config.yaml",
    "tocsin export | tocsin apply -f -",
)
def apply(
    operator: Operator,
    file: Annotated[
        Path, typer.Option("--file", "-f", help="YAML or JSON; - is standard input.", allow_dash=True)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what the file's sections do not name.")
    ] = False,
) -> None:
    """Make the stack as a file says: people, teams, schedules, policies, rules, integrations, ways to reach people, targets.

    What the file does not name is left alone. Doing it twice changes nothing the second time.
    """
    wanted = _read(file)
    steps = plan(_current(operator.api), wanted, prune=prune)
    for step in steps:
        if not operator.out.as_json:
            typer.echo(step)
    refused = any(step.change is Change.REFUSE for step in steps)
    done: list[Json] = []
    try:
        for step in () if dry_run or refused else steps:
            done.append(_do(operator.api, step))  # noqa: PERF401
    finally:  # what was done before a refusal is said too: routing keys are shown once
        answer = {"plan": [step.json() for step in steps], "applied": done}
        operator.out.show(answer, summary(steps, done, dry_run=dry_run))
    if refused and not dry_run:
        raise typer.Exit(FAILED)


@operates("tocsin export > config.yaml", "tocsin export --json")
def export(operator: Operator) -> None:
    """Print the stack's configuration as `tocsin apply` takes it, without routing keys and secrets."""
    found = _current(operator.api)
    declared: Declared = {kind.section: [kind.normal(one) for one in found[kind.section]] for kind in KINDS}
    if operator.out.as_json:
        operator.out.show(declared)
    else:
        typer.echo(document.write(declared), nl=False)


def summary(steps: list[Step], done: list[Json], *, dry_run: bool) -> str:
    """What was done, in the last line."""
    if not steps:
        return NOTHING
    if dry_run:
        return f"{len(steps)} changes planned"
    keys = [
        f"{name.replace('_', ' ')} of {one['id']}: {one[name]}"
        for one in done
        for name in SHOWN_ONCE
        if name in one
    ]
    return "\n".join([*keys, f"{len(done)} of {len(steps)} changes made"])


def _read(file: Path) -> Declared:
    try:
        return document.read(text_of(file))
    except Unreadable as error:
        raise typer.BadParameter(str(error), param_hint="--file") from None
    except Wrong as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="--file") from None


def _current(api: Api) -> dict[str, list[Json]]:
    """Everything of the stack that can be declared, by section."""
    return {kind.section: list(api.each(kind.path, kind.listed or kind.section)) for kind in KINDS}


def _do(api: Api, step: Step) -> Json:
    """Does one step; the answer names it and has what the server made and nobody sees again, such as a routing key."""
    kind, path = step.kind, f"{step.kind.path}/{escaped(step.name)}"
    said = step.json()
    try:
        match step.change:
            case Change.CREATE:
                made = api.post(kind.path, step.wanted)
                said |= {
                    name: made[name] for name in SHOWN_ONCE if made.get(name) and name not in step.wanted
                }
            case Change.UPDATE:
                body = {name: step.wanted[name] for name in step.fields if name in step.wanted}
                api.patch(path, body, list(step.fields))
            case Change.DELETE:
                api.delete(path)
    except Refused as error:
        raise Refused({**error.error, "message": f"{kind.one} {step.name}: {error}"}) from None
    return said
