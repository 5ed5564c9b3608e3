#!/bin/sh
# Prints the release that was put live last, or nothing. If it crashed since, it is still the one to go back to.
set -eu
. "$(dirname "$0")/live.sh"
if [ -f "$SHOP_ROOT/current" ]; then
	cat "$SHOP_ROOT/current"
fi
