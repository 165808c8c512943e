# SPDX-License-Identifier: GPL-3.0-or-later
#
# changelog.awk: the changes in CHANGELOG.md as a Debian changelog has them, in lines of at
# most 79 characters. A change begins with a dash; its other lines are indented.
function flush_change(    line, i, n, words) {
	n = split(change, words, " ")
	line = "  *"
	for (i = 1; i <= n; i++) {
		if (length(line) + 1 + length(words[i]) > 79) {
			print line
			line = "   "
		}
		line = line " " words[i]
	}
	if (n) print line
	change = ""
}
/^- / { flush_change(); change = substr($0, 3); next }
/^  / { change = change $0; next }
{ flush_change() }
END { flush_change() }
