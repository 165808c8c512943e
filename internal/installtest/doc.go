// SPDX-License-Identifier: GPL-3.0-or-later

// Package installtest installs what a user installs, by make and as a Debian package,
// below a directory of its own, and looks at what is there. It holds tests only.
package installtest
