#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
#
# shell-files.sh: prints the names of all shell scripts of the project, one a line: what
# begins with a shell's #! line.
set -eu

cd "$(dirname "$0")/.."
find . \( -name .git -o -name bin -o -name dist -o -name '*.gz' \) -prune -o -type f -print | sort |
	while read -r file; do
		if head -n 1 "$file" | grep -Eq '^#!.*[/ ](ba|da)?sh( |$)'; then echo "$file"; fi
	done
