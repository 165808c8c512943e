#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# fuzz.sh TIME [PACKAGE]...: runs each fuzz target of the packages (all of the module by
# default) for TIME, one after another.
set -eu

time=$1
shift
[ $# -gt 0 ] || set -- ./...

# Without a limit on minimizing, one large interesting input eats the whole time.
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' "$@"); do
	targets=$(go test -list '^Fuzz' "$package")
	for target in $(echo "$targets" | grep '^Fuzz' || :); do
		echo "$package $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$package"
	done
done
