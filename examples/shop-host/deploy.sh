#!/bin/sh
# Puts release $AUTOMEND_RELEASE (a commit) of $SHOP_REPO live on 127.0.0.1:$SHOP_PORT. A rollback is the same with
# an older release. It may be killed at any moment and run again; what is live already is left alone.
set -eu
. "$(dirname "$0")/live.sh"
: "${AUTOMEND_RELEASE:?the commit to put live}" "${SHOP_REPO:?the repository}" "${SHOP_PORT:?the port}"
case $AUTOMEND_RELEASE in
*[!0-9a-f]* | "") fail "AUTOMEND_RELEASE is not a commit: $AUTOMEND_RELEASE" ;;
esac
mkdir -p "$SHOP_ROOT/releases"
SHOP_ROOT=$(cd "$SHOP_ROOT" && pwd) # the service starts in another directory

exec 9>"$SHOP_ROOT/lock"
flock 9 # one deploy at a time

release=$SHOP_ROOT/releases/$AUTOMEND_RELEASE
if [ ! -d "$release" ]; then
	say "fetching $AUTOMEND_RELEASE"
	repo=$SHOP_ROOT/repo.git
	[ -d "$repo" ] || git init --quiet --bare "$repo"
	git -C "$repo" cat-file -e "$AUTOMEND_RELEASE^{commit}" 2>/dev/null ||
		git -C "$repo" -c gc.auto=0 -c maintenance.auto=false fetch --quiet "$SHOP_REPO" '+refs/heads/*:refs/heads/*'
	git -C "$repo" cat-file -e "$AUTOMEND_RELEASE^{commit}" 2>/dev/null ||
		fail "$SHOP_REPO has no commit $AUTOMEND_RELEASE on a branch"
	rm -rf "$SHOP_ROOT/releases/.new"
	mkdir "$SHOP_ROOT/releases/.new"
	git -C "$repo" archive --output="$SHOP_ROOT/new.tar" "$AUTOMEND_RELEASE"
	tar -x -C "$SHOP_ROOT/releases/.new" -f "$SHOP_ROOT/new.tar"
	rm "$SHOP_ROOT/new.tar"
	mv "$SHOP_ROOT/releases/.new" "$release"
fi

if [ "$(cat "$SHOP_ROOT/current" 2>/dev/null)" = "$AUTOMEND_RELEASE" ] && running >/dev/null && answers "$AUTOMEND_RELEASE"; then
	say "$AUTOMEND_RELEASE is live already"
	exit 0
fi

say "stopping the old release"
stop

say "starting $AUTOMEND_RELEASE"
# The process writes its own number down before it becomes the service, and holds the lock until then: there is no
# moment in which a service runs that nobody knows of.
PORT=$SHOP_PORT LOG=$SHOP_ROOT/shop.log STOCK=$SHOP_ROOT/stock.sqlite RELEASE=$AUTOMEND_RELEASE \
	PYTHONDONTWRITEBYTECODE=1 SHOP_ROOT=$SHOP_ROOT \
	setsid sh -c '
		cd "$1" &&
		echo "$$ $(sed "s/.*) //" /proc/$$/stat | cut -d " " -f 20)" >"$SHOP_ROOT/pid.new" &&
		mv "$SHOP_ROOT/pid.new" "$SHOP_ROOT/pid" &&
		exec 9>&- &&
		exec "$2" -m shop
	' sh "$release" "$SHOP_PYTHON" </dev/null >"$SHOP_ROOT/console.log" 2>&1 &

tries=200
until answers "$AUTOMEND_RELEASE"; do
	tries=$((tries - 1))
	if [ "$tries" -eq 0 ] || ! alive $!; then
		tail -n 20 "$SHOP_ROOT/console.log" >&2
		stop
		fail "$AUTOMEND_RELEASE does not answer on port $SHOP_PORT"
	fi
	sleep 0.05
done
echo "$AUTOMEND_RELEASE" >"$SHOP_ROOT/current.new"
mv "$SHOP_ROOT/current.new" "$SHOP_ROOT/current"
say "$AUTOMEND_RELEASE is live"
