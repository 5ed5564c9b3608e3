#!/bin/sh
# Takes the shop off the net.
set -eu
. "$(dirname "$0")/live.sh"
if [ -d "$SHOP_ROOT" ]; then
	exec 9>"$SHOP_ROOT/lock"
	flock 9
	stop
	rm -f "$SHOP_ROOT/current"
fi
