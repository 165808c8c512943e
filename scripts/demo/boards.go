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

// pi4 is what a Pi 4 asks for, below its serial number: first the bootloader in its
// EEPROM, then start4.elf by what config.txt says.
var pi4 = []step{
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

// pi3 is what bootcode.bin and then start.elf ask for on a Pi 3.
var pi3 = []step{
	{"start.elf", probes},
	{"autoboot.txt", misses},
	{"config.txt", reads},
	{"recovery.elf", misses},
	{"start.elf", reads},
	{"fixup.dat", reads},
	{"config.txt", reads},
	{"dt-blob.bin", misses},
	{"bootcfg.txt", misses},
	{"bcm2710-rpi-3-b.dtb", reads},
	{"overlays/overlay_map.dtb", reads},
	{"overlays/dwc2.dtbo", reads},
	{"cmdline.txt", reads},
	{"kernel8.img", reads},
	{"kernel7.img", misses},
}

// bootPi4 boots a Pi 4, which asks for large blocks.
func bootPi4(server, serial, dir string) error {
	return boot(client{server: server, tsize: true, blksize: 1468}, serial+"/", pi4, dir)
}

// bootPi3 boots a Pi 3 without an SD card at address. Its ROM knows no options and no serial number;
// what that loads asks for sizes, and blocks stay small.
func bootPi3(server, serial, dir, address string) error {
	c := client{server: server, from: address}
	if err := boot(c, "", []step{{"bootcode.bin", reads}}, dir); err != nil {
		return err
	}
	c.tsize = true
	return boot(c, serial+"/", pi3, dir)
}

// boot plays a sequence of requests and leaves each file read in dir.
func boot(c client, prefix string, sequence []step, dir string) error {
	start := time.Now()
	var files, probed, missed int
	var total int64
	for _, s := range sequence {
		name := prefix + s.name
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
	fmt.Printf("files read: %d (%d bytes), probed: %d, not there: %d, in %.2f s\n",
		files, total, probed, missed, time.Since(start).Seconds())
	return nil
}

func save(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}
