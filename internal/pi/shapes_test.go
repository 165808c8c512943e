// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"testing"
	"testing/fstest"
)

// TestSystems checks boot partitions like those of the usual systems, prepared by nobodd-prep, for
// every model: "" boots without a warning.
func TestSystems(t *testing.T) {
	const (
		no5   = "FAIL devicetree: bcm2712-rpi-5-b.dtb is missing\n"
		no500 = "FAIL devicetree: bcm2712-rpi-500.dtb is missing\n"
		noD0  = "warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) " +
			"crash in the kernel\n"
		noCM5 = "FAIL devicetree: bcm2712-rpi-cm5-cm5io.dtb is missing\n"

		// Systems that nobodd-prep did not touch, and that have no NBD client.
		alone = "FAIL initramfs: there is none, and the kernel alone mounts no root over NBD\n" +
			"FAIL server: cmdline.txt names no NBD server, neither as nbdroot= nor as netroot=\n"
		elec = "warn config: distroconfig.txt, line 1: gpu_mem counts in config.txt itself only, not in a file " +
			"that it includes\n" +
			alone + "FAIL root: cmdline.txt has no root=\nwarn ip: cmdline.txt has no ip=: the initramfs may " +
			"configure no network\n"
		wrt = alone +
			"FAIL root: root=PARTUUID=abcdef01-02 is not where the root of this image is once it is attached: " +
			"that is /dev/nbd0p2\n" +
			"warn ip: cmdline.txt has no ip=: the initramfs may configure no network\n"
	)
	type want map[string]string // by model; those that are not there boot without a warning
	for _, tt := range []struct {
		name string
		fsys fstest.MapFS
		want want
	}{
		{"Ubuntu 22.04", ubuntu2204(), want{"pi5": no5, "pi500": no500, "cm5": noCM5}},
		{"Ubuntu 24.04", ubuntu2404(), want{}},
		{"Ubuntu 26.04", ubuntu2604(), want{}},
		{"Raspberry Pi OS bookworm", raspios("6.6.31+rpt"), want{}},
		{"Raspberry Pi OS trixie", raspios("6.12.47+rpt"), want{}},
		{"Debian bookworm", debian(), want{
			"pi2": "FAIL devicetree: bcm2837-rpi-2-b.dtb is missing\n",
			"pi5": no5 + noD0, "pi500": no500 + noD0, "cm5": noCM5 + noD0,
		}},
		{"Raspberry Pi OS bookworm, 32 bits", raspios32(), nil},
		{"LibreELEC for the Pi 4", libreelec(), want{"pi4": elec, "pi400": elec, "cm4": elec}},
		{"OpenWrt for the Pi 4", openwrt(), want{"pi4": wrt, "pi400": wrt, "cm4": wrt}},
	} {
		for _, m := range Models {
			forPi4 := !exists(tt.fsys, "bootcode.bin") && tt.want[m.Name] == ""
			if forPi4 || tt.want == nil && m.gen == eeprom2712 {
				continue // the system is for other models
			}
			rep := check(t, tt.fsys, m.Name)
			if got := lines(rep, Warn); got != tt.want[m.Name] {
				t.Errorf("%s as a %s:\n%swant\n%s", tt.name, m.Name, got, tt.want[m.Name])
			}
		}
	}
}
