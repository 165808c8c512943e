// SPDX-License-Identifier: GPL-3.0-or-later

// Command path plays a board on the network of a machine that scripts/path/run.sh has set up:
//
//	path offer                           asks for boot servers as a Pi's bootloader does, and
//	                                     prints who answers
//	path use SERVER EXPORT               attaches the export as a disk, and writes, flushes and
//	                                     reads back until SIGTERM
//	path verify SERVER EXPORT            looks for what use has written
//	path upgrade SERVER EXPORT NAME FILE writes FILE as NAME to the boot partition, through NBD
//
// SERVER is an address. What a board fetches by TFTP is for scripts/demo to fetch.
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "path:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("missing command")
	}
	command, args := args[0], args[1:]
	switch {
	case command == "offer" && len(args) == 0:
		return offer()
	case command == "use" && len(args) == 2:
		return use(args[0], args[1])
	case command == "verify" && len(args) == 2:
		return verify(args[0], args[1])
	case command == "upgrade" && len(args) == 4:
		return upgrade(args[0], args[1], args[2], args[3])
	}
	return fmt.Errorf("%s: unknown command or wrong operands", command)
}
