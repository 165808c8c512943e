// SPDX-License-Identifier: GPL-3.0-or-later

// Command demo does what scripts/demo.sh cannot do in a shell:
//
//	demo unpack FIXTURE FILE     unpacks a test image
//	demo boot DIR KERNEL MODULES writes stand-ins for a kernel, its device tree, and an
//	                             initramfs with modules for that kernel or another
//	demo port                    prints a UDP port of the loopback that is free now
//	demo wait SERVER             waits until a TFTP server answers
//	demo get SERVER NAME         fetches one file to standard output
//	demo pi4 SERVER SERIAL DIR   fetches into DIR what a Pi 4 fetches, in its order
//	demo pi3 SERVER SERIAL DIR ADDRESS
//	                             the same for a Pi 3 without an SD card, which has ADDRESS
//
// SERVER is HOST:PORT.
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"nobodd/internal/testimg"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("missing command")
	}
	command, args := args[0], args[1:]
	switch {
	case command == "unpack" && len(args) == 2:
		return testimg.Unpack(args[0], args[1])
	case command == "boot" && len(args) == 3:
		return writeBoot(args[0], args[1], args[2])
	case command == "port" && len(args) == 0:
		return printPort()
	case command == "wait" && len(args) == 1:
		return wait(args[0])
	case command == "get" && len(args) == 2:
		data, err := client{server: args[0], tsize: true, blksize: 1468}.get(args[1])
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(data)
		return err
	case command == "pi4" && len(args) == 3:
		return bootPi4(args[0], args[1], args[2])
	case command == "pi3" && len(args) == 4:
		return bootPi3(args[0], args[1], args[2], args[3])
	}
	return fmt.Errorf("%s: unknown command or wrong operands", command)
}

func writeBoot(dir, kernel, modules string) error {
	for name, data := range testimg.BootFiles(kernel, modules) {
		if err := save(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

func printPort() error {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Println(conn.LocalAddr().(*net.UDPAddr).Port)
	return nil
}

// wait asks for a file that cannot be there until any answer comes, for at most 5 seconds.
func wait(server string) error {
	c := client{server: server, patience: 50 * time.Millisecond}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		_, err := c.get("no such file")
		var refused *tftpError
		if err == nil || errors.As(err, &refused) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s does not answer", server)
}
