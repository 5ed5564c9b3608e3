"""Verdict → pull request: the judged tree becomes a commit, a branch and a PR that carries its evidence."""

from __future__ import annotations

from runner import messages
from runner.errors import Refused
from runner.git.diff import diff_text
from runner.model import PullRequest, Report, Run, Verdict
from runner.steps import memory
from runner.steps.canary import refuse_leaks
from runner.steps.house import House, base_of, pull_of, tree_of
from runner.steps.record import sealed_in_words

_AUTHOR = ("automend", "automend@users.noreply.github.com")


def push(house: House, run_id: str) -> str:
    """Commit exactly the tree that was judged, and push it to the run's own branch. The same run, the same commit.

    Raises:
        Refused: the last verdict is not a pass, or somebody else wrote to the branch.
        GitError: the git server failed.
    """
    run = house.store.run(run_id)
    base = base_of(run)
    report = passed(run)
    mirror = house.mirror(base.remote)
    auth = house.auth(base.forge)
    before = run.pull.head_sha if run.pull is not None else None
    parents = [base.sha]
    if before is not None:  # a revision: a commit on top, joined with the base where that moved
        mirror.fetch(base.remote, ref=tree_of(run.branch, "the branch"), auth=auth)
        parents = [before] if mirror.is_ancestor(base.sha, before) else [before, base.sha]
    commit = mirror.commit(
        report.patch.head_tree,
        parents=parents,
        message=_commit_message(run, report),
        author=_AUTHOR,
        when=int(run.created.timestamp()),
    )
    mirror.keep(f"runs/{run.id}/head-{commit[:12]}", commit)
    mirror.push(base.remote, commit=commit, branch=tree_of(run.branch, "the branch"), auth=auth, expected=before)
    house.store.update(run_id, head_sha=commit, proposed=report)
    return commit


def summarize(house: House, run_id: str) -> str:
    """What was wrong, what changed and why: by a model where one answers, else from the evidence alone.

    Raises:
        Refused: the words carry what was planted for an agent to find.
    """
    run = house.store.run(run_id)
    report = passed(run)
    base = base_of(run)
    mirror = house.mirror(base.remote)
    diff = diff_text(mirror, report.patch.base_tree, report.patch.head_tree, limit_bytes=100_000)
    words = house.summarizer.summarize(run, report, diff) or messages.template_summary(run, report)
    refuse_leaks(house, run, f"{words}\n{messages.title(run)}")
    house.store.update(run_id, summary=words)
    return words


def open_pull(house: House, run_id: str) -> PullRequest:
    """Open the pull request, or find the one that an earlier try of this step opened.

    Raises:
        ForgeError: the forge failed.
    """
    run = house.store.run(run_id)
    base = base_of(run)
    if base.forge is None:
        raise Refused("there is no forge to open a pull request on")
    report = passed(run)
    pull = house.forge.open_pull(
        base.forge,
        branch=tree_of(run.branch, "the branch"),
        base=base.ref,
        title=messages.title(run),
        body=messages.body(
            run,
            report,
            evidence=sealed_in_words(house, run_id, report),
            neighbours=memory.neighbours(house, run, report),
        ),
    )
    house.store.update(run_id, pull=pull)
    return pull


def withdraw(house: House, run_id: str) -> None:
    """Take the branch back that no pull request came of; nothing where there is none, or somebody wrote to it.

    Raises:
        AutomendError: the git server or the forge failed.
    """
    run = house.store.run(run_id)
    if run.pull is not None or run.head_sha is None or run.branch is None:
        return
    base = base_of(run)
    auth = house.auth(base.forge)
    house.mirror(base.remote).withdraw(base.remote, commit=run.head_sha, branch=run.branch, auth=auth)
    house.store.update(run_id, head_sha=None)


def answer(house: House, run_id: str) -> PullRequest:
    """Say under the pull request what a revision changed, and bring its evidence up to date."""
    run = house.store.run(run_id)
    pull = open_pull(house, run_id)
    repo, number = pull_of(house.store.run(run_id))
    house.forge.comment(
        repo, number, marker=f"<!-- automend:revised-{(run.head_sha or '')[:12]}:{run.id} -->",
        body=messages.revised(run, passed(run)),
    )  # fmt: skip
    return pull


def say_not_revised(house: House, run_id: str) -> None:
    """Say under the pull request that an answer was tried, and why none was good enough."""
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    marker = messages.MARKER.format(kind=f"not-revised-{run.round}", run=run.id)
    house.forge.comment(repo, number, marker=marker, body=messages.not_revised(run, marker))


def passed(run: Run) -> Report:
    """The run's report, which must be a pass: nothing else is ever pushed.

    Raises:
        Refused: it is not.
    """
    if run.report is None or run.report.verdict is not Verdict.PASSED:
        raise Refused("only a patch that passed the gate is pushed")
    return run.report


def _commit_message(run: Run, report: Report) -> str:
    evidence = report.evidence
    return (
        f"{messages.title(run)}\n\n"
        f"Judged by automend: {report.verdict.value}, policy {evidence.policy} ({evidence.policy_hash[:12]}).\n\n"
        f"Automend-Run: {run.id}\n"
    )
