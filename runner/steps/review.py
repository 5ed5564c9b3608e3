"""PR → readiness: what the forge says at this moment. Nothing is remembered, nothing is assumed."""

from __future__ import annotations

from runner.errors import ForgeError
from runner.model import CiStatus, Noun, PullRequest, Readiness, Review, Run, RunStatus, Verdict
from runner.steps import memory
from runner.steps.house import House, pull_of

_LONGEST_FEEDBACK = 20_000
_REVISIONS = 3


class Next(Noun):
    """What a proposed run is to do now, and what it is answering."""

    do: str
    why: str
    feedback: str = ""
    heard: tuple[str, ...] = ()


def look(house: House, run_id: str) -> Next:
    """Read the pull request and say what comes next: land, revise, close or wait.

    Raises:
        ForgeError: the forge cannot be read; the run stays as it is.
    """
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    pull = house.forge.pull(repo, number)
    if pull.state == "closed":
        return Next(do="close", why="the pull request was closed without being merged")
    if pull.state == "merged" and not _is_ours(run, pull):
        return Next(do="close", why=f"somebody merged another commit than the judged {run.head_sha}")
    ready = readiness(house, run_id)
    if ready.verdict is Verdict.PASSED:
        return Next(do="land", why="; ".join(ready.reasons))
    news = _unheard(house, run, pull)
    if news and len(run.heard) < _REVISIONS and pull.head_sha == run.head_sha and pull.state == "open":
        keys, text = zip(*news, strict=True)
        return Next(do="revise", why=text[0].splitlines()[0][:200], feedback="\n\n".join(text), heard=keys)
    return Next(do="wait", why="; ".join(ready.reasons))


def readiness(house: House, run_id: str) -> Readiness:
    """Whether the pull request may land now: the judged commit, CI green on it, approvals of it.

    Raises:
        ForgeError: the forge cannot be read.
    """
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    pull = house.forge.pull(repo, number)
    head = run.head_sha or ""
    needed = house.policy(run).land.approvals + (
        1 if run.proposed and any(f.review for f in run.proposed.findings) else 0
    )
    if pull.state == "merged" and _is_ours(run, pull):
        return Readiness(verdict=Verdict.PASSED, reasons=("it is merged already",), head_sha=head)
    if pull.state != "open":
        return Readiness(verdict=Verdict.FAILED, reasons=(f"the pull request is {pull.state}",), head_sha=head)
    if pull.head_sha != head:
        reason = f"the head is {pull.head_sha[:12]}, but {head[:12]} is what was judged"
        return Readiness(verdict=Verdict.INCONCLUSIVE, reasons=(reason,), head_sha=head)
    ci = house.forge.ci(repo, head)
    standing = _standing(house.forge.reviews(repo, number), pull.author)
    approvals = sum(1 for r in standing.values() if r.state == "approved" and r.commit_sha == head)
    against = [r.author for r in standing.values() if r.state == "changes_requested"]
    reasons, verdicts = [f"CI: {ci.summary}"], [ci.verdict]
    reasons.append(f"{approvals} of {needed} approvals of {head[:12]}")
    verdicts.append(Verdict.PASSED if approvals >= needed else Verdict.INCONCLUSIVE)
    if against:
        reasons.append(f"changes requested by {', '.join(against)}")
        verdicts.append(Verdict.FAILED)
    if pull.mergeable is False:
        reasons.append("it conflicts with the base branch")
        verdicts.append(Verdict.FAILED)
    return Readiness(verdict=Verdict.worst(verdicts), reasons=tuple(reasons), head_sha=head, approvals=approvals)


def _standing(reviews: tuple[Review, ...], author: str) -> dict[str, Review]:
    """The word of each person that counts: write access, not the author, the latest that is more than a remark."""
    return {r.author: r for r in reviews if r.can_write and r.author != author and r.state != "commented"}


def _unheard(house: House, run: Run, pull: PullRequest) -> list[tuple[str, str]]:
    """Reviews, red CI and conflicts that no revision has answered yet, each with the key that marks it heard."""
    news = []
    for review in house.forge.reviews(pull.repo, pull.number):
        key = f"review:{review.id}"
        wants = review.state == "changes_requested" and review.can_write and review.author != pull.author
        if wants and key not in run.heard:
            said = review.body or "changes were requested without a word of explanation"
            news.append((key, f"Review by {review.author}:\n{said}"[:_LONGEST_FEEDBACK]))
    ci: CiStatus = house.forge.ci(pull.repo, pull.head_sha)
    key = f"ci:{pull.head_sha}"
    if ci.verdict is Verdict.FAILED and key not in run.heard:
        news.append((key, "CI failed:\n" + "\n".join(ci.failures or (ci.summary,))[:_LONGEST_FEEDBACK]))
    key = f"conflict:{pull.head_sha}"
    if pull.mergeable is False and key not in run.heard:
        news.append((key, "The base branch moved, and the change conflicts with it."))
    return news


def _is_ours(run: Run, pull: PullRequest) -> bool:
    return pull.head_sha == run.head_sha


def close(house: House, run_id: str, why: str) -> None:
    """A person decided otherwise: the run ends.

    Raises:
        ForgeError: the run has no pull request.
    """
    run = house.store.run(run_id)
    if run.pull is None:
        raise ForgeError(f"run {run_id} has no pull request")
    memory.remember_end(house, run, "closed", why)
    house.store.note(run_id, "closed", "review", why, verdict=Verdict.FAILED)
    house.store.finish(run_id, RunStatus.CLOSED, why)
