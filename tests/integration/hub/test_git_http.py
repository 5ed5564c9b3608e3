"""Cloning and pushing with the real git."""

from __future__ import annotations

import gc
import secrets
import socket
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.integration.hub.conftest import PATIENCE


def test_anyone_clones_what_is_public(world):
    target = world.work / "anonymous"
    world.git("clone", "--quiet", f"{world.url}/acme/shop.git", str(target))
    assert (target / "shop.py").exists()
    world.git("clone", "--quiet", f"{world.url}/acme/shop", str(world.work / "without-suffix"))


@pytest.mark.parametrize(
    ("login", "words"), [("eve", "403"), (None, "could not read Username"), ("wrong", "Authentication failed")]
)
def test_who_may_not_push(world, login, words):
    tree = world.clone()
    world.git("commit", "--quiet", "--allow-empty", "-m", "Mine", cwd=tree)
    address = f"{world.url}/acme/shop.git"
    if login == "wrong":
        address = address.replace("http://", "http://x:no-token@")
    elif login is not None:
        address = world.remote(login)
    done = world.git("push", address, "HEAD:refs/heads/mine", cwd=tree, check=False)
    assert done.returncode != 0
    assert words in done.stderr


def test_private_is_hidden_from_git_too(world):
    world.hub.create_repo("acme/secret", private=True, collaborators={"ada": "write"})
    for login in (None, "bot"):
        address = f"{world.url}/acme/secret.git" if login is None else world.remote(login).replace("shop", "secret")
        assert world.git("ls-remote", address, check=False).returncode != 0
    assert world.git("ls-remote", world.remote("ada").replace("shop", "secret")).returncode == 0


def test_the_protected_branch_and_pull_refs_take_no_push(world):
    tree = world.clone()
    world.git("commit", "--quiet", "--allow-empty", "-m", "Past everybody", cwd=tree)
    done = world.git("push", "origin", "HEAD:main", cwd=tree, check=False)
    assert done.returncode != 0
    assert "GH006: Protected branch update failed" in done.stderr
    done = world.git("push", "origin", "HEAD:refs/pull/1/head", cwd=tree, check=False)
    assert done.returncode != 0
    assert "hidden ref" in done.stderr


def test_an_empty_repository_takes_its_first_push(world):
    world.hub.create_repo("acme/new", collaborators={"bot": "write"})
    tree = world.clone()
    address = world.remote().replace("shop", "new")
    world.git("push", "--quiet", address, "HEAD:main", cwd=tree)
    assert world.api("bot").get_repo("acme/new").get_branch("main").protected
    assert world.git("push", address, "HEAD:main", "--force", cwd=tree).returncode == 0  # nothing to move
    world.git("commit", "--quiet", "--allow-empty", "-m", "More", cwd=tree)
    assert world.git("push", address, "HEAD:main", cwd=tree, check=False).returncode != 0


def test_the_pull_ref_can_be_fetched_and_big_pushes_pass(world):
    big = secrets.token_hex(2_000_000)  # more than git sends in one piece
    _, sha = world.open(files={"big.txt": big})
    tree = world.clone()
    world.git("fetch", "--quiet", "origin", "refs/pull/1/head", cwd=tree)
    assert world.git("rev-parse", "FETCH_HEAD", cwd=tree).stdout.strip() == sha


@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "in the middle of it"])
def test_who_goes_away_leaves_no_git_behind(world, early):
    sha = world.push("big", {"big.txt": secrets.token_hex(4_000_000)})
    words = f"want {sha}\n".encode()
    body = b"%04x" % (len(words) + 4) + words + b"0000" + b"0009done\n"
    address = urlsplit(f"{world.url}/acme/shop.git/git-upload-pack")
    head = f"POST {address.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    asked = f"{head}Content-Type: application/x-git-upload-pack-request\r\n\r\n".encode() + body
    before = set(psutil.Process().children(recursive=True))  # other tests of this process may have left one running
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(asked)
        if not early:
            assert client.recv(12) == b"HTTP/1.1 200"
    hidden = httpx.get(f"{world.url}/acme/shop.git/config", timeout=PATIENCE)  # and the hub answers on
    assert hidden.status_code == 404
    _, left = psutil.wait_procs(set(psutil.Process().children(recursive=True)) - before, timeout=PATIENCE)
    assert left == []
    gc.collect()  # what was forgotten open would be told now


def test_only_gits_own_addresses_are_served(world):
    assert httpx.get(f"{world.url}/acme/shop.git/config", timeout=PATIENCE).status_code == 404
    assert httpx.get(f"{world.url}/acme/shop.git/info/refs", timeout=PATIENCE).status_code == 403
    assert httpx.get(f"{world.url}/acme/shop.git/info/refs?service=git-evil", timeout=PATIENCE).status_code == 404
    assert httpx.post(f"{world.url}/acme/shop.git/git-upload-archive", timeout=PATIENCE).status_code == 404
    assert httpx.get(f"{world.url}/..%2f..%2fhub.sqlite", timeout=PATIENCE).status_code == 404
