# What is live, for the scripts beside this file; read with `.`, not run.
#
# SHOP_ROOT   where releases, database, log and notes are kept (needed)
# SHOP_PORT   the port on 127.0.0.1 (needed by deploy.sh)
# SHOP_REPO   address or path of the repository (needed by deploy.sh)
# SHOP_PYTHON the interpreter, python3 by default
# shellcheck shell=sh

: "${SHOP_ROOT:?set SHOP_ROOT to the directory that the shop lives in}"
SHOP_PYTHON=${SHOP_PYTHON:-python3}

say() { echo "$*"; }
fail() {
	echo "$*" >&2
	exit 1
}

# What /proc tells of a process from its state on; nothing where there is none.
stat_of() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null; }

# Whether a process is there and not merely waiting to be counted as dead.
alive() { case $(stat_of "$1") in "" | Z*) return 1 ;; esac }

# The number of the service's process, if it runs. The start time tells it from another with the same number.
running() {
	read -r pid start 2>/dev/null <"$SHOP_ROOT/pid" || return 1
	[ -n "$start" ] && [ "$(stat_of "$pid" | cut -d ' ' -f 20)" = "$start" ] && alive "$pid" && echo "$pid"
}

stop() {
	pid=$(running) || return 0
	kill -TERM "$pid" 2>/dev/null || return 0
	tries=300
	while running >/dev/null; do
		tries=$((tries - 1))
		[ "$tries" -ne 220 ] || kill -KILL "$pid" 2>/dev/null || return 0
		[ "$tries" -gt 0 ] || fail "process $pid does not stop"
		sleep 0.05
	done
}

# Whether /health says that this release is there, and well.
answers() {
	"$SHOP_PYTHON" -I - "$SHOP_PORT" "$1" 2>/dev/null <<-'PY'
		import json, sys, urllib.request
		direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
		with direct.open(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=2) as answer:
		    sys.exit(json.load(answer)["release"] != sys.argv[2])
	PY
}
