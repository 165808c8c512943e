// SPDX-License-Identifier: GPL-3.0-or-later

// Package scripttest runs the scripts in testdata against the built commands and
// against scripts/. Each testdata/*.txtar is one script in the language of testscript
// (github.com/rogpeppe/go-internal/testscript), with these commands added:
//
//	exits STATUS COMMAND [ARG]...   run it; it must end with this exit status
//	fixture NAME [FILE]             unpack an image of internal/testimg to FILE (NAME.img)
//	bootfiles DIR KERNEL MODULES    write kernel, device tree and initramfs of a Pi 4 to DIR,
//	                                the modules for another version of the kernel or the same
//	peer PROGRAM...                 skip the script in the short tier (go test -short), or
//	                                where a program is absent; in CI that fails
//	fsckclean FILE [NUM]            fsck.vfat -n has nothing to say about the file, or
//	                                about its partition NUM; no check in the short tier, or
//	                                where fsck.vfat or sfdisk is absent, but in CI
//	poke FILE TEXT OFFSET HEX       overwrite what stands OFFSET bytes after the first TEXT
//	poke FILE TEXT OFFSET from TEXT OFFSET
//	                                the same with the two bytes that stand elsewhere
//
// The time zone is not UTC, so that a local time that slips out is noticed.
package scripttest
