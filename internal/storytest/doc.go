// SPDX-License-Identifier: GPL-3.0-or-later

// Package storytest plays the story that the project is for, with real parts: an image
// is prepared, nbd-server and nobodd-tftpd serve it, and a board boots from it, upgrades
// its kernel through NBD, and boots the new one. It holds tests only.
package storytest
