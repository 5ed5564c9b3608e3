"""`automend policy`: which rules there are, which are in force for a repository, and what each says to a patch."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from runner.app import opened
from runner.cli_end import EXIT_OF_VERDICT, out
from runner.cli_patch import given_patch
from runner.config import load
from runner.errors import UsageError
from runner.model import Goal, Verdict
from runner.policy.schema import known, load_policy
from runner.screens import SIGN
from runner.steps import rules


@click.group("policy")
def policy_group() -> None:
    """Look at policies: what a patch may be.

    \b
    automend policy list
    automend policy explain --repo . --base main
    git diff main | automend policy test --base main --patch -
    """


@policy_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def list_command(as_json: bool) -> None:
    """The built-in policies."""
    policies = [(name, load_policy(name)) for name in known()]
    if as_json:
        rows = [{"name": name, "description": p.description, "hash": p.digest} for name, p in policies]
        out.print_json(json.dumps(rows))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, policy in policies:
        table.add_row(f"[bold]{escape(name)}[/]", escape(policy.description))
    out.print(table)


@policy_group.command("explain")
@click.option("--repo", help="A repository, whose base may tighten the policy; without it, the policy alone.")
@click.option("--base", help="Its branch, tag or commit; default: its HEAD.")
@click.option("--policy", help="Built-in policy or a policy file; default: the one in the settings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def explain_command(
    context: click.Context, *, repo: str | None, base: str | None, policy: str | None, as_json: bool
) -> None:
    """Show the policy in force: every key, what it means, and who set it."""
    if base is not None and repo is None:
        raise UsageError("--base goes with --repo", remedy="say which repository it is a branch of")
    with opened(load(config=context.obj)) as app:
        found = rules.in_force(app.house, policy, app.source(repo) if repo is not None else None, base)
    if as_json:
        head = {"name": found.policy.name, "hash": found.policy.digest, "chosen_by": found.chosen}
        out.print_json(json.dumps(head | {"settings": [s.model_dump(mode="json") for s in found.settings]}))
        return
    words = f"[bold]{escape(found.policy.name)}[/] {found.policy.digest[:12]}  [dim]named by {escape(found.chosen)}[/]"
    out.print(words, soft_wrap=True)
    table = Table("key", "value", "what it is", "set by", box=None, padding=(0, 2, 0, 0))
    for setting in found.settings:
        table.add_row(setting.key, escape(_shown(setting.value)), escape(setting.description), escape(setting.source))
    out.print(table)


@policy_group.command("test")
@click.option("--repo", default=".", show_default=True, help="Path of a git repository (or an address).")
@click.option("--base", required=True, help="What the patch is measured against: branch, tag or commit.")
@click.option("--patch", "patch_file", type=click.File("rb"), help="A patch as text (git diff); - is stdin.")
@click.option("--head", help="A branch, tag or commit that holds the patched tree.")
@click.option("--goal", type=click.Choice([g.value for g in Goal]), default="fix", show_default=True)
@click.option("--policy", help="Built-in policy or a policy file; default: the one in the settings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def test_command(
    context: click.Context,
    *,
    repo: str,
    base: str,
    patch_file: Any,
    head: str | None,
    goal: str,
    policy: str | None,
    as_json: bool,
) -> None:
    """Ask every rule about a patch, without a container: what it says, and what would satisfy it.

    Ends like `automend gate --static`: 0 when all rules hold, 1 when one says no.
    """
    patch = given_patch(patch_file, head)
    with opened(load(config=context.obj)) as app:
        source = app.source(repo)
        change = source.change(base, head=head, patch=patch)
        answers = rules.ask(app.house, source, change, goal=Goal(goal), policy=policy)
    verdict = Verdict.worst([answer.verdict for answer in answers])
    if as_json:
        out.print_json(
            json.dumps({"verdict": verdict.value, "rules": [answer.model_dump(mode="json") for answer in answers]})
        )
    else:
        _show(answers)
    context.exit(EXIT_OF_VERDICT[verdict])


def _show(answers: tuple[rules.Answer, ...]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1))
    for answer in answers:
        if not answer.findings:
            table.add_row(SIGN[Verdict.PASSED], answer.rule, "[dim]holds[/]")
        for finding in answer.findings:
            where = f"{finding.path}{f':{finding.line}' if finding.line else ''}: " if finding.path else ""
            said = escape(f"{where}{finding.message}")
            if finding.remedy and finding.verdict is not Verdict.PASSED:
                said += f"\n[dim]→ {escape(finding.remedy)}[/]"
            sign = "[yellow]👁[/]" if finding.review else SIGN[finding.verdict]
            table.add_row(sign, finding.rule, said)
    out.print(table)


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
