from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from sandbox.api import DOOR, TOOLS, WORKSPACE, Limits, SandboxError, Spec
from sandbox.limits import HOME, JOB_UIDS, PATH, RELAY_UID, command_env, create_options, memory_disks, seccomp


def options(spec: Spec | None = None, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": "box", "uid": 20_001, "labels": {"a": "b"}} | more
    return create_options(spec or Spec(image="base"), **given)


def mounts(spec: Spec) -> dict[str, Any]:
    return {mount["Target"]: mount for mount in options(spec)["mounts"]}


def test_seal_is_complete() -> None:
    made = options()
    assert made["network_mode"] == "none"
    assert (made["dns"], made["dns_search"]) == (["127.0.0.1"], ["."])
    assert made["cap_drop"] == ["ALL"]
    assert made["read_only"] is True
    assert made["privileged"] is False
    assert made["init"] is True
    assert made["ipc_mode"] == made["cgroupns"] == "private"
    assert made["user"] == "0:0"
    assert made["entrypoint"] == []
    assert made["healthcheck"] == {"test": ["NONE"]}
    assert made["log_config"]["Type"] == "none"
    assert "no-new-privileges:true" in made["security_opt"]
    assert not {"cap_add", "devices", "volumes", "group_add", "pid_mode", "userns_mode"} & set(made)


def test_seccomp_profile_is_text_and_denies_by_default() -> None:
    [profile] = [o.removeprefix("seccomp=") for o in options()["security_opt"] if o.startswith("seccomp=")]
    rules = json.loads(profile)
    assert rules["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = {name for rule in rules["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for name in rule["names"]}
    assert {"read", "execve", "clone"} <= allowed
    assert not {"ptrace", "bpf", "io_uring_setup", "keyctl", "userfaultfd", "mount", "unshare"} & allowed
    assert profile == seccomp()
    assert {len(each["subArchitectures"]) for each in rules["archMap"]} == {0}


@pytest.mark.parametrize(("call", "argument"), [("mknod", 1), ("mknodat", 2)])
def test_mknod_is_allowed_for_fifos_only(call: str, argument: int) -> None:
    """By its mode: a device, a regular file and a socket have other bits there."""
    [rule] = [rule for rule in json.loads(seccomp())["syscalls"] if call in rule["names"]]
    assert (rule["names"], rule["action"]) == ([call], "SCMP_ACT_ALLOW")
    [condition] = rule["args"]
    assert condition == {
        "index": argument, "op": "SCMP_CMP_MASKED_EQ", "value": stat.S_IFMT(0xFFFF), "valueTwo": stat.S_IFIFO,
    }  # fmt: skip


def test_limits_reach_the_engine() -> None:
    made = options(Spec(image="base", limits=Limits(memory_mb=2048, cpus=1.5, pids=77)))
    assert made["mem_limit"] == made["memswap_limit"] == "2048m"
    assert made["nano_cpus"] == 1_500_000_000
    assert made["pids_limit"] == 77
    assert {u["Name"]: (u["Soft"], u["Hard"]) for u in made["ulimits"]} == {
        "nofile": (4096, 4096), "fsize": (268435456, 268435456), "core": (0, 0), "memlock": (65536, 65536),
        "msgqueue": (0, 0),
    }  # fmt: skip


def test_workspace_is_a_capped_volume_of_the_job() -> None:
    made = mounts(Spec(image="base", limits=Limits(workspace_mb=64, workspace_inodes=99)))
    assert list(made) == [WORKSPACE]
    volume = made[WORKSPACE]
    assert volume["Source"] == "box"
    assert volume["VolumeOptions"]["Labels"] == {"a": "b"}
    assert volume["VolumeOptions"]["DriverConfig"]["Options"] == {
        "type": "tmpfs", "device": "tmpfs",
        "o": "size=64m,nr_inodes=99,uid=20001,gid=20001,mode=0700,nosuid,nodev",
    }  # fmt: skip


def test_home_and_tmp_can_run_programs_but_not_setuid_ones() -> None:
    tmpfs = options(Spec(image="base", limits=Limits(tmp_mb=50)))["tmpfs"]
    assert set(tmpfs) == {"/tmp", HOME, "/run"}
    for place in ("/tmp", HOME):
        assert {"nosuid", "nodev", "exec", "size=50m"} <= set(tmpfs[place].split(","))
    assert {"uid=20001", "mode=0700"} <= set(tmpfs[HOME].split(","))
    assert "noexec" in tmpfs["/run"]


def test_door_is_a_file_and_tools_are_read_only() -> None:
    made = mounts(Spec(image="base", door=Path("/host/run/gateway.sock"), tools="tools-1"))
    assert (made[DOOR]["Source"], made[DOOR]["Type"], made[DOOR]["ReadOnly"]) == (
        "/host/run/gateway.sock", "bind", True,
    )  # fmt: skip
    assert (made[TOOLS]["Source"], made[TOOLS]["Type"], made[TOOLS]["ReadOnly"]) == ("tools-1", "volume", True)


def test_a_door_that_is_relayed_is_no_mount_but_a_folder_that_is_not_the_jobs() -> None:
    plain, relayed = options(), options(Spec(image="base", door=Path("/host/run/gateway.sock")), relayed=True)
    assert relayed["mounts"] == plain["mounts"]
    folder = relayed["tmpfs"].pop("/run/automend")
    assert relayed == plain  # nothing else is different
    assert f"uid={RELAY_UID}," in folder
    assert "mode=0755" in folder
    assert RELAY_UID not in JOB_UIDS


def test_runtime_is_named_only_where_there_is_one() -> None:
    assert "runtime" not in options()
    assert options(runtime="runsc")["runtime"] == "runsc"


@pytest.mark.parametrize("memory", [64, 128, 256, 512, 1024, 2048, 3072, 16384])
def test_disks_always_leave_a_quarter_of_the_memory(memory: int) -> None:
    disks = memory_disks(Limits(memory_mb=memory))
    assert disks.total <= memory - memory // 4


def test_disks_are_as_asked_where_they_fit() -> None:
    disks = memory_disks(Limits())
    assert (disks.workspace, disks.home, disks.tmp) == (1024, 256, 256)


def test_disks_that_cannot_fit_are_refused() -> None:
    with pytest.raises(SandboxError, match="40 MiB of memory") as caught:
        memory_disks(Limits(memory_mb=40))
    assert "memory_mb" in caught.value.remedy


def test_commands_have_a_home_and_the_callers_word_wins() -> None:
    env = command_env({"LANG": "de_DE.UTF-8", "X": "1"})
    assert (env["HOME"], env["PATH"], env["LANG"], env["USER"], env["X"]) == (HOME, PATH, "de_DE.UTF-8", "job", "1")
    assert command_env()["LANG"] == "C.UTF-8"
    assert PATH.startswith("/opt/env/bin:")


def test_job_uids_are_neither_root_nor_beyond_a_user_namespace() -> None:
    assert min(JOB_UIDS) > 1000
    assert max(JOB_UIDS) < 65_534
