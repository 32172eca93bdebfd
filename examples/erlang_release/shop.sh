#!/bin/sh
# Runs the release in the foreground; SIGTERM drains and stops it.
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
version=$(ls "$root/releases")
SHOP_ROOT=$root
export SHOP_ROOT
exec erl -noshell -noinput -mode embedded -start_epmd false -boot_var SHOP_ROOT "$root" \
	-boot "$root/releases/$version/shop" -config "$root/releases/$version/sys" "$@"
