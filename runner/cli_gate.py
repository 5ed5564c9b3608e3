"""`automend gate`: somebody's patch is judged, or a piece of evidence judged again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.markup import escape

from runner import screens
from runner.app import opened
from runner.cli_end import EXIT_OF_VERDICT, abandon, err, hush, leave, out
from runner.cli_patch import given_patch
from runner.config import Host, load
from runner.errors import UsageError
from runner.evidence import seal
from runner.evidence.compare import compare
from runner.evidence.document import EvidenceFile
from runner.evidence.keys import read_public
from runner.interrupt import interruptible
from runner.model import Goal


@click.command("gate")
@click.option("--repo", default=".", show_default=True, help="Path of a git repository (or an address).")
@click.option("--base", help="What the patch is measured against: branch, tag or commit.")
@click.option("--patch", "patch_file", type=click.File("rb"), help="A patch as text (git diff); - is stdin.")
@click.option("--head", help="A branch, tag or commit that holds the patched tree.")
@click.option("--goal", type=click.Choice([g.value for g in Goal]), help="What the patch is for; default: fix.")
@click.option("--reproduce", default="", metavar="COMMAND", help="A shell command that fails while the error is there.")
@click.option("--policy", help="Built-in policy (default) or a policy file.")
@click.option(
    "--repo-config", type=click.Path(exists=True, dir_okay=False), help="How to set up and test the repository."
)
@click.option("--static", is_flag=True, help="Rules only; no container is started.")
@click.option("--evidence-out", type=click.Path(path_type=Path), help="Write the evidence to this file.")
@click.option("--evidence", type=click.Path(path_type=Path), help="Judge again what this evidence is about.")
@click.option("--public-key", help="With --evidence: the key that must have signed it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def gate_command(
    context: click.Context,
    *,
    repo: str,
    base: str | None,
    patch_file: Any,
    head: str | None,
    goal: str | None,
    reproduce: str,
    policy: str | None,
    repo_config: str | None,
    static: bool,
    evidence_out: Path | None,
    evidence: Path | None,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Judge somebody's patch, without an agent: rules, then tests in fresh containers.

    \b
    automend gate --base main --head my-branch --evidence-out evidence.json
    git diff main | automend gate --base main --patch - --static
    automend gate --evidence evidence.json       does it still hold? 0 yes, 1 no
    """
    if evidence is not None:
        if base is not None or patch_file is not None or goal is not None or reproduce or repo_config or static:
            raise UsageError(
                "--evidence says itself what is judged, and how",
                remedy="beside it: --repo, --head, --policy, --public-key, --evidence-out, --json",
            )
        _gate_again(
            load(config=context.obj), evidence, repo=repo, head=head, policy=policy, public_key=public_key,
            evidence_out=evidence_out, as_json=as_json,
        )  # fmt: skip
    if public_key is not None:
        raise UsageError("--public-key goes with --evidence", remedy="it says who must have signed the evidence")
    if base is None:
        raise UsageError("there is nothing to measure the patch against", remedy="give --base REF, or --evidence FILE")
    patch = given_patch(patch_file, head)
    with (
        opened(load(config=context.obj)) as app,
        app.gate_name() as name,
        err.status("judging", spinner="dots") as status,
    ):
        judged = interruptible(
            lambda: app.gate(
                repo=repo,
                base=base,
                head=head,
                patch=patch,
                goal=Goal(goal or "fix"),
                policy=policy,
                repo_config=repo_config,
                static=static,
                name=name,
                progress=lambda words: status.update(escape(words)),
                reproduce=reproduction(reproduce, goal or "fix"),
            ),
            clear_up=lambda: hush() if static else abandon(app, name),
        )
    _write_evidence(evidence_out, judged.evidence)
    if as_json:
        out.print_json(json.dumps(judged.report.to_json()))
    else:
        out.print(screens.report_block(judged.report))
    leave(EXIT_OF_VERDICT[judged.report.verdict])


def reproduction(command: str, goal: str) -> str:
    """The command of --reproduce.

    Raises:
        UsageError: the goal is not a fix.
    """
    if command and goal != Goal.FIX.value:
        raise UsageError(f"--reproduce shows that an error is gone, and the goal is `{goal}`", remedy="--goal fix")
    return command.strip()


def _gate_again(
    host: Host,
    path: Path,
    *,
    repo: str,
    head: str | None,
    policy: str | None,
    public_key: str | None,
    evidence_out: Path | None,
    as_json: bool,
) -> NoReturn:
    then = seal.read(path, key=read_public(public_key) if public_key is not None else None)
    with (
        opened(host) as app,
        app.gate_name() as name,
        err.status("judging again", spinner="dots") as status,
    ):
        judged = interruptible(
            lambda: app.gate_again(
                then,
                repo=repo,
                head=head,
                policy=policy,
                name=name,
                progress=lambda words: status.update(escape(words)),
            ),
            clear_up=lambda: hush() if then.result.static else abandon(app, name),
        )
    _write_evidence(evidence_out, judged.evidence)
    found = compare(then, judged.evidence)
    if as_json:
        signature = then.seal.signature if then.seal is not None else None
        signed = signature.public_key if signature is not None else None
        document = {"comparison": found.model_dump(mode="json"), "signed_by": signed}
        out.print_json(json.dumps(document | {"report": judged.report.to_json()}))
    else:
        out.print(f"{escape(str(path))}: {escape(seal.in_words(then))}", soft_wrap=True)
        out.print(screens.comparison_block(found))
    leave(found.exit_code)


def _write_evidence(path: Path | None, evidence: EvidenceFile) -> None:
    if path is None:
        return
    try:
        path.write_text(seal.write(evidence), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}", remedy="name a file in a folder you own") from e
