"""Reviews of pull requests and comments on their lines."""

from __future__ import annotations

from typing import Any

from runner.hub import lines, merging, pulls
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, invalid, malformed, not_found
from runner.hub.store import Pull, Review, ReviewComment

EVENTS = ("APPROVE", "REQUEST_CHANGES", "COMMENT")


def _show(call: Call, review: Review) -> dict[str, Any]:
    site, links, repo = call.site, call.links, call.repo
    page = f"{links.pull_page(repo, review.number)}#pullrequestreview-{review.id}"
    pull = links.pull(repo, review.number)
    out: dict[str, Any] = {
        "id": review.id,
        "node_id": shapes.node("PRR", review.id),
        "user": shapes.user(site, links, review.author),
        "body": review.body,
        "state": review.state,
        "html_url": page,
        "pull_request_url": pull,
        "author_association": shapes.association(site, repo, review.author),
        "_links": {"html": {"href": page}, "pull_request": {"href": pull}},
        "commit_id": review.commit,
    }
    if review.submitted is not None:
        out["submitted_at"] = review.submitted
    return out


def index(call: Call) -> Result:
    """GET …/reviews; a review that is not submitted is seen by its author only."""
    pull = call.pull()
    me = call.caller.login if call.caller is not None else None
    found = call.site.store.find(Review, repo=call.repo.id, parent=pull.number)
    return Listing([r for r in found if r.state != "PENDING" or r.author == me], lambda r: _show(call, r))


def _review(call: Call) -> Review:
    found = call.record(Review)
    if found.number != call.pull().number:
        raise not_found()
    return found


def get(call: Call) -> Result:
    """GET …/reviews/{review_id}."""
    return Answer(200, _show(call, _review(call)))


def create(call: Call) -> Result:
    """POST …/reviews."""
    pull = call.pull()
    event = call.text("event")
    if event is not None and event not in EVENTS:
        raise ApiError(422, "Unprocessable Entity", ["Variable $event of type PullRequestReviewEvent was invalid"])
    remarks = call.array("comments") or []
    body = call.text("body", "") or ""
    if event == "COMMENT" and not body.strip() and not remarks:
        raise ApiError(422, "Unprocessable Entity", ["Review Body can't be blank"])
    with call.site.store.transaction():
        made = pulls.review(
            call.site, call.repo, pull, call.user, event=event, body=body, commit=call.text("commit_id")
        )
        for remark in remarks:
            if not isinstance(remark, dict):
                raise malformed("comments", "an array of objects")
            inner = Call(
                call.site, call.links, call.user, path=call.path, query=call.query, body=remark, accept=call.accept
            )
            _remark(inner, pull, made)
        if call.user.login in pull.requested_reviewers:
            pull.requested_reviewers.remove(call.user.login)
            call.site.store.save(pull)
    merging.auto_merge(call.site, call.repo, pull.head_sha)
    return Answer(200, _show(call, made))


def submit(call: Call) -> Result:
    """POST …/reviews/{review_id}/events."""
    review, pull = _review(call), call.pull()
    event = call.choice("event", EVENTS, "PullRequestReview")
    if review.state != "PENDING" or review.author != call.user.login or event is None:
        raise ApiError(422, "Unprocessable Entity", ["Can not submit this review"])
    with call.site.store.transaction():
        body = call.text("body", review.body) or ""
        made = pulls.review(call.site, call.repo, pull, call.user, event=event, body=body, commit=review.commit)
        call.site.store.delete(review)
        for remark in call.site.store.find(ReviewComment, repo=call.repo.id, parent=pull.number):
            if remark.review == review.id:
                remark.review = made.id
                call.site.store.save(remark)
    merging.auto_merge(call.site, call.repo, pull.head_sha)
    return Answer(200, _show(call, made))


def dismiss(call: Call) -> Result:
    """PUT …/reviews/{review_id}/dismissals."""
    review = _review(call)
    message = call.needed("message", "PullRequestReview")
    if review.state not in ("APPROVED", "CHANGES_REQUESTED"):
        raise ApiError(422, "Unprocessable Entity", ["Can not dismiss a review that is not approving or requesting"])
    review.state, review.dismissed_because = "DISMISSED", message
    with call.site.store.transaction():
        call.site.store.save(review)
        pulls.touch(call.site, call.repo, review.number)
    return Answer(200, _show(call, review))


# ── comments on lines ────────────────────────────────────────────────────────────────────────────────────────


def _show_remark(call: Call, remark: ReviewComment) -> dict[str, Any]:
    site, links, repo = call.site, call.links, call.repo
    url = f"{links.repo(repo)}/pulls/comments/{remark.id}"
    page = f"{links.pull_page(repo, remark.number)}#discussion_r{remark.id}"
    pull = links.pull(repo, remark.number)
    out: dict[str, Any] = {
        "url": url,
        "pull_request_review_id": remark.review,
        "id": remark.id,
        "node_id": shapes.node("PRRC", remark.id),
        "diff_hunk": remark.hunk,
        "path": remark.path,
        "commit_id": remark.commit,
        "original_commit_id": remark.commit,
        "user": shapes.user(site, links, remark.author),
        "body": remark.body,
        "created_at": remark.created,
        "updated_at": remark.updated,
        "html_url": page,
        "pull_request_url": pull,
        "author_association": shapes.association(site, repo, remark.author),
        "_links": {"self": {"href": url}, "html": {"href": page}, "pull_request": {"href": pull}},
        "start_line": remark.start_line,
        "original_start_line": remark.start_line,
        "start_side": remark.start_side,
        "side": remark.side,
        "subject_type": remark.subject,
    }
    if remark.position is not None:
        out |= {"position": remark.position, "original_position": remark.position}
    if remark.line is not None:
        out |= {"line": remark.line, "original_line": remark.line}
    if remark.reply_to is not None:
        out["in_reply_to_id"] = remark.reply_to
    return out


def remarks(call: Call) -> Result:
    """GET …/pulls/{pull_number}/comments."""
    found = call.site.store.find(ReviewComment, repo=call.repo.id, parent=call.pull().number)
    since = call.query.get("since", "")
    shown = _visible(call, [r for r in found if r.updated >= since])
    if call.query.get("direction") == "desc":
        shown.reverse()
    return Listing(shown, lambda r: _show_remark(call, r))


def remarks_of_review(call: Call) -> Result:
    """GET …/reviews/{review_id}/comments."""
    review = _review(call)
    found = call.site.store.find(ReviewComment, repo=call.repo.id, parent=review.number)
    return Listing([r for r in found if r.review == review.id], lambda r: _show_remark(call, r))


def _visible(call: Call, found: list[ReviewComment]) -> list[ReviewComment]:
    waiting = {r.id for r in call.site.store.find(Review, repo=call.repo.id) if r.state == "PENDING"}
    return [r for r in found if r.review not in waiting]


def create_remark(call: Call) -> Result:
    """POST …/pulls/{pull_number}/comments."""
    pull = call.pull()
    reply_to = call.integer("in_reply_to")
    with call.site.store.transaction():
        review = pulls.review(call.site, call.repo, pull, call.user, event="COMMENT", body="")
        made = _reply(call, pull, review, reply_to) if reply_to is not None else _remark(call, pull, review)
    return Answer(201, _show_remark(call, made))


def reply(call: Call) -> Result:
    """POST …/pulls/{pull_number}/comments/{comment_id}/replies."""
    pull = call.pull()
    with call.site.store.transaction():
        review = pulls.review(call.site, call.repo, pull, call.user, event="COMMENT", body="")
        made = _reply(call, pull, review, call.record(ReviewComment).id)
    return Answer(201, _show_remark(call, made))


def _reply(call: Call, pull: Pull, review: Review, reply_to: int) -> ReviewComment:
    first = call.site.store.get(ReviewComment, reply_to, repo=call.repo.id)
    if first is None or first.number != pull.number:
        raise invalid("PullRequestReviewComment", "invalid", field="in_reply_to")
    made = ReviewComment(
        repo=call.repo.id,
        number=pull.number,
        review=review.id,
        author=call.user.login,
        body=call.needed("body", "PullRequestReviewComment"),
        path=first.path,
        commit=first.commit,
        hunk=first.hunk,
        position=first.position,
        line=first.line,
        side=first.side,
        subject=first.subject,
        reply_to=first.reply_to or first.id,
    )
    return call.site.store.insert(made)


def _remark(call: Call, pull: Pull, review: Review) -> ReviewComment:
    resource = "PullRequestReviewComment"
    path = call.needed("path", resource)
    body = call.needed("body", resource)
    side = call.choice("side", ("LEFT", "RIGHT"), resource, "RIGHT") or "RIGHT"
    start_side = call.choice("start_side", ("LEFT", "RIGHT"), resource)
    subject = call.choice("subject_type", ("line", "file"), resource, "line") or "line"
    found = next((f for f in pulls.span(call.site, call.repo, pull).files if f.path == path), None)
    if found is None:
        raise invalid(resource, "invalid", field="path")
    line, position, hunk = call.integer("line"), call.integer("position"), ""
    if subject == "line":
        place = lines.locate(found.patch or "", line=line, side=side, position=position)
        if place is None:
            words = "pull_request_review_thread.line must be part of the diff"
            raise invalid(resource, "custom", field="line", message=words)
        line, side, position, hunk = place.line, place.side, place.position, place.hunk
    made = ReviewComment(
        repo=call.repo.id,
        number=pull.number,
        review=review.id,
        author=call.user.login,
        body=body,
        path=path,
        commit=call.text("commit_id") or review.commit,
        hunk=hunk,
        position=position,
        line=line,
        side=side,
        start_line=call.integer("start_line"),
        start_side=start_side,
        subject=subject,
    )
    return call.site.store.insert(made)
