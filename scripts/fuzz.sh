#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fuzz.sh TIME [PACKAGE]...: runs each fuzz target of the packages (all of the module by
# default) for TIME, one after another.
set -eu

time=$1
shift
[ $# -gt 0 ] || set -- ./...

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# fuzz runs a target and keeps what it prints. Without a limit on minimizing, one large
# interesting input eats the whole time.
fuzz() {
	rm -f "$tmp/failed"
	{
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package" 2>&1 ||
			: >"$tmp/failed"
	} | tee "$tmp/log"
	[ ! -e "$tmp/failed" ]
}

# ended_late reports whether a run failed at the end of its time and for nothing else: before
# release 1.27, go may take that end for a failure on a busy machine (go.dev/issue/75804). What a
# target itself says stands where that message does, or beside it.
ended_late() {
	[ "$(grep -A 1 '^--- FAIL' "$tmp/log" | tail -n +2)" = '    context deadline exceeded' ] &&
		! grep -q -e 'Failing input' -e panic "$tmp/log"
}

for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@"); do
	targets=$(go test -list '^Fuzz' "$package")
	for target in $(echo "$targets" | grep '^Fuzz' || :); do
		echo "$package $target"
		tries=1
		until fuzz; do
			if ! ended_late || [ $tries = 3 ]; then
				exit 1
			fi
			tries=$((tries + 1))
			echo "no input failed, but go called the end of the time a failure (go.dev/issue/75804): once more"
		done
	done
done
