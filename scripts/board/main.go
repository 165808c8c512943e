// SPDX-License-Identifier: GPL-3.0-or-later

// Command board plays a part of scripts/board.sh, which see, in a network namespace of its own:
//
//	board cured NBD IMAGE LOGS    a board's life, from its first boot to its second kernel; NBD is the
//	                              server of its root, nbdkit or nbd-server
//	board stranded NBD IMAGE LOGS the same, but the upgrade loses the command line
//	board truth IMAGE LOGS [NAME] what nobodd-check says of images, and what becomes of boards with them;
//	                              NAME is of what they are called, for a few of them alone
//	board farm IMAGE LOGS         two boards at once, one of which is upgraded
//
// IMAGE is what board.sh builds, LOGS the folder for what servers and boards say. What it does is printed
// line by line, with the minutes since it began.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

var began = time.Now()

// say prints a line of progress.
func say(format string, args ...any) {
	since := time.Since(began).Round(time.Second)
	fmt.Printf("board: %2d:%02d %s\n", int(since.Minutes()), int(since.Seconds())%60, fmt.Sprintf(format, args...))
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "board:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	dir, err := os.MkdirTemp("", "nobodd-board-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	switch {
	case len(args) == 4 && (args[0] == "cured" || args[0] == "stranded"):
		return play(dir, args[3], 1, func(l *lab) error { return story(l, args[1], args[0] == "cured", args[2]) })
	case len(args) >= 3 && args[0] == "truth":
		return play(dir, args[2], 1, func(l *lab) error { return truth(l, args[1], args[3:]) })
	case len(args) == 3 && args[0] == "farm":
		return play(dir, args[2], 2, func(l *lab) error { return farm(l, args[1]) })
	}
	return errors.New("wrong usage; see scripts/board.sh")
}

// play makes a lab, plays a part in it, and takes it down.
func play(dir, logs string, boards int, part func(*lab) error) error {
	l, err := newLab(dir, logs, boards)
	if err != nil {
		return err
	}
	defer l.stop()
	return part(l)
}
