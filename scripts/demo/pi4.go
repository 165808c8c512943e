// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// step is one request of a bootloader.
type step struct {
	name string
	does int
}

const (
	reads  = iota // the whole file
	probes        // asks for its size and breaks off
	misses        // asks for what an OS image does not have
)

// sequence is what a Pi 4 asks for, below its serial number: first the bootloader in its
// EEPROM, then start4.elf by what config.txt says.
var sequence = []step{
	{"start4.elf", probes},
	{"config.txt", reads},
	{"vl805.sig", misses},
	{"pieeprom.sig", misses},
	{"recover4.elf", misses},
	{"recovery.elf", misses},
	{"start4.elf", reads},
	{"fixup4.dat", reads},
	{"config.txt", probes},
	{"config.txt", reads},
	{"config.txt", probes},
	{"config.txt", reads},
	{"initrd.img", probes},
	{"initrd.img", reads},
	{"bcm2711-rpi-4-b.dtb", reads},
	{"overlays/overlay_map.dtb", reads},
	{"config.txt", reads},
	{"overlays/vc4-kms-v3d-pi4.dtbo", reads},
	{"overlays/dwc2.dtbo", reads},
	{"cmdline.txt", reads},
	{"vmlinuz", probes},
	{"vmlinuz", reads},
}

// boot plays the sequence and leaves each file read in dir.
func boot(c client, serial, dir string) error {
	start := time.Now()
	var files, probed, missed int
	var total int64
	for _, s := range sequence {
		name := serial + "/" + s.name
		switch s.does {
		case probes:
			size, err := c.probe(name)
			if err != nil {
				return err
			}
			probed++
			fmt.Printf("  %-38s %8d bytes there\n", name, size)
		case misses:
			_, err := c.get(name)
			if err == nil {
				return errors.New(name + ": there, though no OS image has it")
			} else if !missing(err) {
				return err
			}
			missed++
			fmt.Printf("  %-38s %8s\n", name, "not there")
		case reads:
			data, err := c.get(name)
			if err != nil {
				return err
			}
			if err := save(filepath.Join(dir, s.name), data); err != nil {
				return err
			}
			files++
			total += int64(len(data))
			fmt.Printf("  %-38s %8d bytes\n", name, len(data))
		}
	}
	fmt.Printf("%d files read (%d bytes), %d probed, %d not there, in %.2f s\n",
		files, total, probed, missed, time.Since(start).Seconds())
	return nil
}

func save(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}
