"""Every REST operation of the hub: method, path, who may, handler, GitHub's documentation."""

from __future__ import annotations

from runner.hub.rest import checks, deployments, git, issues, pulls, repos, reviews
from runner.hub.rest.call import Answer, Call, Result, Route


def meta(_call: Call) -> Result:
    """GET /meta."""
    return Answer(200, {"verifiable_password_authentication": False, "domains": {}})


REPO = "/repos/{owner}/{repo}"
PULL = REPO + "/pulls/{number}"
ISSUE = REPO + "/issues/{number}"

# The order matters where a ref with slashes stands before a fixed word: the longer path comes first.
ROUTES: tuple[Route, ...] = (
    Route("GET", "/meta", "anyone", meta, "meta/meta#get-github-meta-information"),
    Route("GET", "/user", "user", repos.me, "users/users#get-the-authenticated-user"),
    Route("GET", "/user/repos", "user", repos.my_repos, "repos/repos#list-repositories-for-the-authenticated-user"),
    Route("GET", "/users/{username}", "anyone", repos.account, "users/users#get-a-user"),
    # repositories
    Route("GET", REPO, "read", repos.repo, "repos/repos#get-a-repository"),
    Route("GET", REPO + "/branches", "read", repos.branches, "branches/branches#list-branches"),
    Route("GET", REPO + "/branches/{branch:path}/protection", "write", repos.protection,
          "branches/branch-protection#get-branch-protection"),
    Route("PUT", REPO + "/branches/{branch:path}/protection", "admin", repos.protect,
          "branches/branch-protection#update-branch-protection"),
    Route("DELETE", REPO + "/branches/{branch:path}/protection", "admin", repos.unprotect,
          "branches/branch-protection#delete-branch-protection"),
    Route("GET", REPO + "/rules/branches/{branch:path}", "read", repos.rules, "repos/rules#get-rules-for-a-branch"),
    Route("GET", REPO + "/branches/{branch:path}", "read", repos.branch, "branches/branches#get-a-branch"),
    Route("GET", REPO + "/collaborators", "write", repos.collaborators,
          "collaborators/collaborators#list-repository-collaborators"),
    Route("GET", REPO + "/collaborators/{username}/permission", "read", repos.permission,
          "collaborators/collaborators#get-repository-permissions-for-a-user"),
    Route("GET", REPO + "/collaborators/{username}", "read", repos.is_collaborator,
          "collaborators/collaborators#check-if-a-user-is-a-repository-collaborator"),
    Route("GET", REPO + "/contents", "read", repos.contents, "repos/contents#get-repository-content"),
    Route("GET", REPO + "/contents/{path:path}", "read", repos.contents, "repos/contents#get-repository-content"),
    Route("GET", REPO + "/compare/{basehead:path}", "read", repos.compare, "commits/commits#compare-two-commits"),
    Route("GET", REPO + "/commits", "read", repos.commits, "commits/commits#list-commits"),
    # checks and statuses of a commit
    Route("GET", REPO + "/commits/{ref:path}/check-runs", "read", checks.for_ref,
          "checks/runs#list-check-runs-for-a-git-reference"),
    Route("GET", REPO + "/commits/{ref:path}/statuses", "read", checks.statuses,
          "commits/statuses#list-commit-statuses-for-a-reference"),
    Route("GET", REPO + "/commits/{ref:path}/status", "read", checks.combined,
          "commits/statuses#get-the-combined-status-for-a-specific-reference"),
    Route("GET", REPO + "/commits/{ref:path}/pulls", "read", repos.commit_pulls,
          "commits/commits#list-pull-requests-associated-with-a-commit"),
    Route("GET", REPO + "/commits/{ref:path}", "read", repos.commit, "commits/commits#get-a-commit"),
    Route("POST", REPO + "/check-runs", "write", checks.create, "checks/runs#create-a-check-run"),
    Route("GET", REPO + "/check-runs/{id}", "read", checks.get, "checks/runs#get-a-check-run"),
    Route("PATCH", REPO + "/check-runs/{id}", "write", checks.update, "checks/runs#update-a-check-run"),
    Route("GET", REPO + "/check-runs/{id}/annotations", "read", checks.notes,
          "checks/runs#list-check-run-annotations"),
    Route("POST", REPO + "/statuses/{sha}", "write", checks.create_status, "commits/statuses#create-a-commit-status"),
    # git database
    Route("GET", REPO + "/git/ref/{ref:path}", "read", git.ref, "git/refs#get-a-reference"),
    Route("GET", REPO + "/git/matching-refs/{ref:path}", "read", git.matching_refs,
          "git/refs#list-matching-references"),
    Route("POST", REPO + "/git/refs", "write", git.create_ref, "git/refs#create-a-reference"),
    Route("PATCH", REPO + "/git/refs/{ref:path}", "write", git.update_ref, "git/refs#update-a-reference"),
    Route("DELETE", REPO + "/git/refs/{ref:path}", "write", git.delete_ref, "git/refs#delete-a-reference"),
    Route("GET", REPO + "/git/commits/{sha}", "read", git.commit, "git/commits#get-a-commit-object"),
    Route("GET", REPO + "/git/trees/{sha:path}", "read", git.tree, "git/trees#get-a-tree"),
    Route("GET", REPO + "/git/blobs/{sha}", "read", git.blob, "git/blobs#get-a-blob"),
    # pull requests
    Route("GET", REPO + "/pulls", "read", pulls.index, "pulls/pulls#list-pull-requests"),
    Route("POST", REPO + "/pulls", "write", pulls.create, "pulls/pulls#create-a-pull-request"),
    Route("GET", PULL, "read", pulls.get, "pulls/pulls#get-a-pull-request"),
    Route("PATCH", PULL, "comment", pulls.update, "pulls/pulls#update-a-pull-request"),
    Route("GET", PULL + "/files", "read", pulls.files, "pulls/pulls#list-pull-requests-files"),
    Route("GET", PULL + "/commits", "read", pulls.commits, "pulls/pulls#list-commits-on-a-pull-request"),
    Route("GET", PULL + "/merge", "read", pulls.is_merged, "pulls/pulls#check-if-a-pull-request-has-been-merged"),
    Route("PUT", PULL + "/merge", "write", pulls.merge, "pulls/pulls#merge-a-pull-request"),
    Route("PUT", PULL + "/update-branch", "write", pulls.update_branch, "pulls/pulls#update-a-pull-request-branch"),
    Route("GET", PULL + "/requested_reviewers", "read", pulls.requested_reviewers,
          "pulls/review-requests#get-all-requested-reviewers-for-a-pull-request"),
    Route("POST", PULL + "/requested_reviewers", "write", pulls.request_reviewers,
          "pulls/review-requests#request-reviewers-for-a-pull-request"),
    Route("GET", PULL + "/reviews", "read", reviews.index, "pulls/reviews#list-reviews-for-a-pull-request"),
    Route("POST", PULL + "/reviews", "comment", reviews.create, "pulls/reviews#create-a-review-for-a-pull-request"),
    Route("GET", PULL + "/reviews/{id}", "read", reviews.get, "pulls/reviews#get-a-review-for-a-pull-request"),
    Route("GET", PULL + "/reviews/{id}/comments", "read", reviews.remarks_of_review,
          "pulls/reviews#list-comments-for-a-pull-request-review"),
    Route("POST", PULL + "/reviews/{id}/events", "comment", reviews.submit,
          "pulls/reviews#submit-a-review-for-a-pull-request"),
    Route("PUT", PULL + "/reviews/{id}/dismissals", "write", reviews.dismiss,
          "pulls/reviews#dismiss-a-review-for-a-pull-request"),
    Route("GET", PULL + "/comments", "read", reviews.remarks,
          "pulls/comments#list-review-comments-on-a-pull-request"),
    Route("POST", PULL + "/comments", "comment", reviews.create_remark,
          "pulls/comments#create-a-review-comment-for-a-pull-request"),
    # issues
    Route("GET", REPO + "/issues", "read", issues.index, "issues/issues#list-repository-issues"),
    Route("POST", REPO + "/issues", "comment", issues.create, "issues/issues#create-an-issue"),
    Route("GET", REPO + "/issues/comments", "read", issues.all_comments,
          "issues/comments#list-issue-comments-for-a-repository"),
    Route("GET", REPO + "/issues/comments/{id}", "read", issues.get_comment, "issues/comments#get-an-issue-comment"),
    Route("PATCH", REPO + "/issues/comments/{id}", "comment", issues.update_comment,
          "issues/comments#update-an-issue-comment"),
    Route("DELETE", REPO + "/issues/comments/{id}", "comment", issues.delete_comment,
          "issues/comments#delete-an-issue-comment"),
    Route("GET", ISSUE, "read", issues.get, "issues/issues#get-an-issue"),
    Route("PATCH", ISSUE, "comment", issues.update, "issues/issues#update-an-issue"),
    Route("GET", ISSUE + "/comments", "read", issues.comments, "issues/comments#list-issue-comments"),
    Route("POST", ISSUE + "/comments", "comment", issues.create_comment, "issues/comments#create-an-issue-comment"),
    Route("GET", ISSUE + "/labels", "read", issues.issue_labels, "issues/labels#list-labels-for-an-issue"),
    Route("POST", ISSUE + "/labels", "write", issues.add_labels, "issues/labels#add-labels-to-an-issue"),
    Route("PUT", ISSUE + "/labels", "write", issues.set_labels, "issues/labels#set-labels-for-an-issue"),
    Route("DELETE", ISSUE + "/labels/{name:path}", "write", issues.remove_label,
          "issues/labels#remove-a-label-from-an-issue"),
    Route("GET", REPO + "/labels", "read", issues.labels, "issues/labels#list-labels-for-a-repository"),
    Route("POST", REPO + "/labels", "write", issues.create_label, "issues/labels#create-a-label"),
    Route("GET", REPO + "/labels/{name:path}", "read", issues.label, "issues/labels#get-a-label"),
    # deployments
    Route("GET", REPO + "/deployments", "read", deployments.index, "deployments/deployments#list-deployments"),
    Route("POST", REPO + "/deployments", "write", deployments.create, "deployments/deployments#create-a-deployment"),
    Route("GET", REPO + "/deployments/{id}", "read", deployments.get, "deployments/deployments#get-a-deployment"),
    Route("DELETE", REPO + "/deployments/{id}", "write", deployments.delete,
          "deployments/deployments#delete-a-deployment"),
    Route("GET", REPO + "/deployments/{id}/statuses", "read", deployments.statuses,
          "deployments/statuses#list-deployment-statuses"),
    Route("POST", REPO + "/deployments/{id}/statuses", "write", deployments.create_status,
          "deployments/statuses#create-a-deployment-status"),
)  # fmt: skip
