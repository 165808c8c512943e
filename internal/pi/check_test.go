// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// edit is fsys with a text in a file replaced by another.
func edit(fsys fstest.MapFS, name, old, text string) fstest.MapFS {
	data := string(fsys[name].Data)
	if !strings.Contains(data, old) {
		panic(name + " has no " + old)
	}
	return with(fsys, name, strings.ReplaceAll(data, old, text))
}

// adding is fsys with lines added to config.txt.
func adding(fsys fstest.MapFS, lines ...string) fstest.MapFS {
	return with(fsys, "config.txt", string(fsys["config.txt"].Data)+"[all]\n"+strings.Join(lines, "\n")+"\n")
}

// generated is Debian with the comment that raspi-firmware puts into its config.txt, and a command line.
func generated(cmdline string) fstest.MapFS {
	fsys := debian()
	fsys = with(fsys, "config.txt", "# Do not modify this file!\n#\n# If you need to set boot-time parameters, do so "+
		"via the\n# /etc/default/raspi-firmware, /etc/default/raspi-firmware-custom or\n"+
		"# /etc/default/raspi-extra-cmdline files.\n\n"+string(fsys["config.txt"].Data))
	return with(fsys, "cmdline.txt", cmdline)
}

// TestRewriting: the advice has the words that are to be kept.
func TestRewriting(t *testing.T) {
	for line, want := range map[string]string{
		preparedLine: "on the board, write ip=dhcp nbdroot=192.168.0.4/jammy into /etc/default/raspi-extra-cmdline|" +
			"and ROOTPART=/dev/nbd0p2 into /etc/default/raspi-firmware, and run update-initramfs -u",
		"ip=10.0.0.2:::::eth0 nbdroot=h/x root=/dev/nbd0p2\n": "on the board, write ip=10.0.0.2:::::eth0 " +
			"nbdroot=h/x into /etc/default/raspi-extra-cmdline|and ROOTPART=/dev/nbd0p2 into " +
			"/etc/default/raspi-firmware, and run update-initramfs -u",
		"ip=off root=x\n": "on the board, write ip=dhcp nbdroot=HOST/EXPORT into /etc/default/raspi-extra-cmdline|" +
			"and ROOTPART=/dev/nbd0p2 into /etc/default/raspi-firmware, and run update-initramfs -u",
	} {
		got := ""
		for _, f := range check(t, generated(line), "pi4").Findings {
			if f.Rule == "rewritten" {
				got = strings.Join(f.Do, "|")
			}
		}
		if got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// TestChecks: what the checks say of one thing that is wrong or odd, from warnings on.
func TestChecks(t *testing.T) {
	noble := ubuntu2404()
	pios := raspios("6.12.47+rpt")
	for _, tt := range []struct {
		name  string
		model string
		fsys  fstest.MapFS
		want  string
	}{
		// Firmware.
		{"no bootcode.bin", "pi3", without(noble, "bootcode.bin"),
			"FAIL firmware: bootcode.bin is missing, the first file that the board asks for\n"},
		{"no bootcode.bin", "pi4", without(noble, "bootcode.bin"), ""},
		{"no start.elf", "pi3+", without(noble, "start.elf"), "FAIL firmware: start.elf is missing\n"},
		{"no start.elf", "pi4", without(noble, "start.elf"), ""},
		{"no start4.elf", "pi4", without(noble, "start4.elf"), "FAIL firmware: start4.elf is missing\n"},
		{"no firmware", "pi5", without(noble, "bootcode.bin", "start.elf", "start4.elf"), ""},
		{"no fixup.dat", "pi3", without(noble, "fixup.dat"),
			"warn firmware: fixup.dat is missing: without it the board has less memory\n"},
		{"no fixup4.dat", "cm4", without(noble, "fixup4.dat"),
			"warn firmware: fixup4.dat is missing: without it the board has less memory\n"},
		{"start_x", "pi3", adding(without(noble, "start_x.elf"), "start_x=1"),
			"FAIL firmware: start_x.elf is missing, which start_x=1 in config.txt asks for\n"},
		{"start_x", "pi4", adding(without(noble, "start4x.elf"), "start_x=1"), ""}, // start_x.elf takes its place
		{"start_x", "pi4", adding(without(noble, "start4x.elf", "start_x.elf"), "start_x=1"),
			"FAIL firmware: start4x.elf is missing, which start_x=1 in config.txt asks for\n"},
		{"start_x=0", "pi4", adding(without(noble, "start4x.elf", "start_x.elf"), "start_x=0"), ""},
		{"start_debug", "pi4", adding(without(noble, "start4db.elf", "start_db.elf"), "start_debug=1"),
			"FAIL firmware: start4db.elf is missing, which start_debug=1 in config.txt asks for\n"},
		{"gpu_mem", "pi4", adding(without(noble, "start4cd.elf", "start_cd.elf"), "gpu_mem=16"),
			"FAIL firmware: start4cd.elf is missing, which gpu_mem=16 in config.txt asks for\n"},
		{"gpu_mem", "pi3", adding(without(noble, "start_cd.elf"), "gpu_mem=16"),
			"FAIL firmware: start_cd.elf is missing, which gpu_mem=16 in config.txt asks for\n"},
		{"gpu_mem, large", "pi4", adding(without(noble, "start4cd.elf", "start_cd.elf"), "gpu_mem=128"), ""},
		{"gpu_mem and start_x", "pi4", adding(without(noble, "start4cd.elf", "start_cd.elf"), "gpu_mem=16",
			"start_x=1"), ""},
		{"start_file", "pi4", adding(noble, "start_file=my.elf"),
			"FAIL firmware: my.elf is missing, which start_file=my.elf in config.txt asks for\n"},
		{"fixup_file", "pi4", adding(noble, "fixup_file=my.dat"),
			"warn firmware: my.dat is missing: without it the board has less memory\n"},
		{"probe", "pi4", adding(without(noble, "start4.elf", "start.elf"), "gpu_mem=16"),
			"warn firmware: start4.elf is missing too, by which boards find the files below their serial number\n"},
		{"probe", "pi3", adding(without(noble, "start.elf"), "start_x=1"),
			"warn firmware: start.elf is missing too, by which boards find the files below their serial number\n"},

		// config.txt.
		{"no config.txt", "pi5", without(pios, "config.txt"),
			"FAIL config: there is no config.txt, without which a Pi 5 looks no further\nFAIL initramfs: there " +
				"is none, and the kernel alone mounts no root over NBD\n"},
		{"empty config.txt", "cm5", with(pios, "config.txt", ""),
			"FAIL config: there is no config.txt, without which a Pi 5 looks no further\nFAIL initramfs: there " +
				"is none, and the kernel alone mounts no root over NBD\n"},
		{"no config.txt", "pi4", without(pios, "config.txt"),
			"FAIL initramfs: there is none, and the kernel alone mounts no root over NBD\n"},
		{"a warning", "pi4", adding(noble, "initrd=x"),
			"warn config: config.txt, line 29: the firmware knows no initrd: write initramfs FILE followkernel\n"},
		{"an equals sign", "pi4", edit(noble, "config.txt", "initramfs ", "initramfs="),
			"warn config: config.txt, line 4: initramfs takes no equals sign: firmware may not read this line; " +
				"write initramfs initrd.img followkernel\n"},

		// Kernel.
		{"no kernel", "pi4", without(noble, "vmlinuz"), "FAIL kernel: vmlinuz is missing, which config.txt names\n"},
		{"no kernel", "pi5", without(pios, "kernel8.img", "kernel_2712.img"),
			"FAIL kernel: kernel_2712.img and kernel8.img are missing\nFAIL initramfs: there is none, and the " +
				"kernel alone mounts no root over NBD\n"},
		{"kernel8.img", "pi5", without(pios, "kernel_2712.img", "initramfs_2712"), ""},
		{"arm_64bit=1", "pi3", without(pios, "kernel8.img"),
			"FAIL kernel: kernel8.img is missing\nFAIL initramfs: there is none, and the kernel alone mounts " +
				"no root over NBD\n"},
		{"arm_64bit=0", "pi4", edit(pios, "config.txt", "arm_64bit=1", "arm_64bit=0"),
			"FAIL kernel: kernel7l.img is missing\nFAIL initramfs: there is none, and the kernel alone mounts " +
				"no root over NBD\n"},
		{"arm_64bit=0", "pi5", edit(pios, "config.txt", "arm_64bit=1", "arm_64bit=0"), ""},
		{"no arm_64bit", "pi3", edit(pios, "config.txt", "arm_64bit=1\n", ""), ""}, // kernel8.img is the only one
		{"a kernel for PCs", "pi4", with(noble, "vmlinuz", strings.Repeat("\x00", 0x202)+"HdrS"),
			"FAIL kernel: vmlinuz is a kernel for PCs\n"},
		{"U-Boot", "pi4", with(noble, "vmlinuz", "U-Boot"),
			"warn kernel: vmlinuz is no Linux kernel that is known here (U-Boot?): whatever it starts is not " +
				"checked\n"},
		{"64 bits", "pi3", edit(noble, "config.txt", "arm_64bit=1", ""),
			"FAIL kernel: vmlinuz is a 64-bit kernel (gzip, arm64), but the board starts it in 32 bits\n"},
		{"64 bits", "pi4", edit(noble, "config.txt", "arm_64bit=1", ""), ""},
		{"32 bits", "pi4", with(raspios32(), "kernel8.img", string(zImage("6.1.0-v7"))),
			"FAIL kernel: kernel8.img is a 32-bit kernel (zImage), but the board starts it in 64 bits\n" +
				"FAIL initramfs: there is none: auto_initramfs=1 looks for initramfs8, which is missing\n"},
		{"32 bits", "pi5", adding(with(with(noble, "vmlinuz", string(zImage("6.8.0-v7"))), "initrd.img",
			string(initramfsTools("6.8.0-v7"))), "arm_64bit=0"),
			"FAIL kernel: vmlinuz is a 32-bit kernel (zImage), but the board starts it in 64 bits\n"},
		{"64 bits by its name", "pi3", edit(pios, "config.txt", "arm_64bit=1", "kernel=kernel8.img"), ""},
		{"64 bits in spite of its name", "pi3", adding(with(noble, "kernel7.img",
			string(arm64Image("6.8.0-1013-raspi", 1))), "kernel=kernel7.img"), ""},
		{"32 bits by its name", "pi4", edit(raspios32(), "config.txt", "[all]", "[all]\nkernel=kernel7l.img"), ""},
		{"16 KiB", "pi4", adding(pios, "kernel=kernel_2712.img"),
			"FAIL kernel: kernel_2712.img (gzip, arm64, 6.12.47+rpt-rpi-2712) is for pages of 16 KiB, which " +
				"only a Pi 5 has\n"},
		{"a folder", "pi4", with(without(noble, "vmlinuz"), "vmlinuz/x", ""),
			"FAIL kernel: vmlinuz is missing, which config.txt names\n"},

		// Prefixes.
		{"os_prefix without a kernel", "pi4", without(ubuntu2604(), "current/vmlinuz"),
			"warn config: os_prefix=current/ is ignored, as kernel or device tree are missing there\nFAIL " +
				"kernel: vmlinuz is missing, which config.txt names\n" +
				"FAIL devicetree: bcm2711-rpi-4-b.dtb is missing\nwarn overlays: 1 of 1 that config.txt names " +
				"are missing in overlays/: vc4-kms-v3d\n" +
				"FAIL initramfs: initrd.img, which config.txt names, is missing\nFAIL cmdline: cmdline.txt is " +
				"missing: the kernel would look for its root on an SD card\n"},
		{"os_prefix that is a part of a name", "pi4", adding(files(map[string]string{
			"config.txt": "", "test-cmdline.txt": preparedLine,
		}, firmware, map[string][]byte{"test-kernel8.img": arm64Image("6.8.0",
			1), "test-bcm2711-rpi-4-b.dtb": dtb("bcm2711"), "test-i": initramfsTools("6.8.0")}),
			"os_prefix=test-", "initramfs i followkernel"), ""},
		{"a command line below the prefix is missing", "pi4", with(without(ubuntu2604(), "current/cmdline.txt"),
			"cmdline.txt", preparedDracut), ""},
		{"names with a slash", "pi4", adding(with(with(ubuntu2604(), "k", string(arm64Image("7.0.0-1003-raspi", 1))),
			"c", preparedDracut), "kernel=/k", "cmdline=/c"), ""},
		{"upstream_kernel", "pi3", adding(with(noble, "bcm2837-rpi-3-b.dtb", string(dtb("bcm2837"))),
			"upstream_kernel=1"), ""},
		{"upstream_kernel without it", "pi3", adding(noble, "upstream_kernel=1"),
			"warn devicetree: bcm2710-rpi-3-b.dtb, as bcm2837-rpi-3-b.dtb is missing: some devices may not work\n"},

		// Device tree and overlays.
		{"no device tree", "pi4", without(noble, dtbs4...), "FAIL devicetree: bcm2711-rpi-4-b.dtb is missing\n"},
		{"that of a Pi 4", "pi400", without(noble, "bcm2711-rpi-400.dtb"),
			"warn devicetree: bcm2711-rpi-4-b.dtb, as bcm2711-rpi-400.dtb is missing: some devices may not work\n"},
		{"that of a Pi 4", "cm4", without(noble, "bcm2711-rpi-cm4.dtb"),
			"warn devicetree: bcm2711-rpi-4-b.dtb, as bcm2711-rpi-cm4.dtb is missing: some devices may not work\n"},
		{"that of a Pi 3", "pi3+", without(noble, "bcm2710-rpi-3-b-plus.dtb"),
			"warn devicetree: bcm2710-rpi-3-b.dtb, as bcm2710-rpi-3-b-plus.dtb is missing: some devices may " +
				"not work\n"},
		{"that of a CM5 Lite", "cm5", without(noble, "bcm2712-rpi-cm5-cm5io.dtb"), ""},
		{"no device tree wanted", "pi4", adding(noble, "device_tree="),
			"FAIL devicetree: config.txt, line 29: device_tree= keeps it away, without which no kernel of " +
				"today starts\n"},
		{"another device tree", "pi4", adding(with(noble, "my.dtb", string(dtb("bcm2711"))), "device_tree=my.dtb"),
			""},
		{"another device tree", "pi4", adding(noble, "device_tree=my.dtb"), "FAIL devicetree: my.dtb is missing\n"},
		{"no device tree at all", "pi4", with(noble, "bcm2711-rpi-4-b.dtb", "hello"),
			"FAIL devicetree: bcm2711-rpi-4-b.dtb is no device tree\n"},
		{"a cut device tree", "pi4", with(noble, "bcm2711-rpi-4-b.dtb", string(dtb("bcm2711")[:40])),
			"FAIL devicetree: bcm2711-rpi-4-b.dtb is a device tree that is cut off\n"},
		{"a device tree of another chip", "pi5", with(noble, "bcm2712-rpi-5-b.dtb", string(dtb("bcm2711"))),
			"FAIL devicetree: bcm2712-rpi-5-b.dtb is not for this board: it names no bcm2712, so that the " +
				"board stops there\n"},
		{"os_check=0", "pi5", adding(with(noble, "bcm2712-rpi-5-b.dtb", string(dtb("bcm2711"))), "os_check=0"), ""},
		{"no Pi 5", "cm5", without(noble, "bcm2712-rpi-5-b.dtb"),
			"warn devicetree: a CM5 whose EEPROM is older than 2025-03-27 looks for bcm2712-rpi-5-b.dtb, too, " +
				"and boots nothing without\n"},
		{"no D0", "pi5", without(noble, "overlays/bcm2712d0.dtbo"),
			"warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) crash " +
				"in the kernel\n"},
		{"no D0", "pi4", without(noble, "overlays/bcm2712d0.dtbo"), ""},
		{"no overlay", "pi4", adding(noble, "dtoverlay=a", "dtoverlay=b,x=y"),
			"warn overlays: 2 of 3 that config.txt names are missing in overlays/: a, b\n"},
		{"many overlays", "pi4", adding(noble,
			"dtoverlay=a\ndtoverlay=b\ndtoverlay=c\ndtoverlay=d\ndtoverlay=e\ndtoverlay=f\ndtoverlay=g"),
			"warn overlays: 7 of 8 that config.txt names are missing in overlays/: a, b, c, d, e, ...\n"},
		{"an overlay for the Pi 5", "pi5", without(noble, "overlays/vc4-kms-v3d.dtbo"), ""},
		{"overlay_prefix", "pi4", adding(with(noble, "mine/vc4-kms-v3d.dtbo", ""), "overlay_prefix=mine/"), ""},
		{"no README", "pi5", without(ubuntu2604(), "current/overlays/README"),
			"warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) crash " +
				"in the kernel\n" +
				"warn overlays: 1 of 1 that config.txt names are missing in overlays/: vc4-kms-v3d\n"},

		// Initramfs.
		{"no initramfs", "pi4", without(noble, "initrd.img"),
			"FAIL initramfs: initrd.img, which config.txt names, is missing\n"},
		{"no initramfs named", "pi4", edit(noble, "config.txt", "initramfs initrd.img followkernel", ""),
			"FAIL initramfs: there is none, and the kernel alone mounts no root over NBD\n"},
		{"one of two", "pi4", edit(noble, "config.txt", "initrd.img", "initrd.img,more.img"),
			"FAIL initramfs: more.img, which config.txt names, is missing\n"},
		{"auto_initramfs", "pi4", without(pios, "initramfs8"),
			"FAIL initramfs: there is none: auto_initramfs=1 looks for initramfs8, which is missing\n"},
		{"auto_initramfs", "pi5", without(pios, "initramfs_2712"),
			"FAIL initramfs: there is none: auto_initramfs=1 looks for initramfs_2712, which is missing\n"},
		{"dracut without a module", "pi4", with(ubuntu2604(), "current/initrd.img",
			string(lacking(dracutEntries("7.0.0-1003-raspi"),
				"usr/lib/modules/7.0.0-1003-raspi/kernel/drivers/block/nbd.ko.zst"))),
			"FAIL nbd: the initramfs has no nbd module among those for 7.0.0-1003-raspi\n"},

		// Command line.
		{"no command line", "pi4", without(noble, "cmdline.txt"),
			"FAIL cmdline: cmdline.txt is missing: the kernel would look for its root on an SD card\n"},
		{"words for a name", "pi4", adding(noble, "cmdline=console=tty1 root=/dev/mmcblk0p2"),
			"FAIL cmdline: \"console=tty1 root=/dev/mmcblk0p2\" is missing: the kernel would look for its root " +
				"on an SD card\n"},
		{"several lines", "pi4", with(noble, "cmdline.txt", preparedLine+"quiet\n"),
			"warn cmdline: cmdline.txt has 2 lines, of which the first is read alone\n"},
		{"an empty first line", "pi4", with(noble, "cmdline.txt", " \r\n"+preparedLine),
			"warn cmdline: cmdline.txt begins with an empty line, which alone is read\n" +
				"FAIL server: cmdline.txt names no NBD server, neither as nbdroot= nor as netroot=\n" +
				"FAIL root: cmdline.txt has no root=\n" +
				"warn ip: cmdline.txt has no ip=: the initramfs may configure no network\n"},
		{"a long line", "pi4", with(noble, "cmdline.txt", strings.TrimSpace(preparedLine)+strings.Repeat(" x", 500)),
			"warn cmdline: cmdline.txt has 1095 characters, of which 1024 are passed on\n"},
		{"a byte order mark", "pi4", with(noble, "cmdline.txt", "\ufeff"+preparedLine),
			"warn cmdline: cmdline.txt begins with a byte order mark, which spoils its first word\nwarn ip: " +
				"cmdline.txt has no ip=: the initramfs may configure no network\n"},
		{"UTF-16", "pi4", with(noble, "cmdline.txt", "\xff\xfei\x00p\x00=\x00d\x00h\x00c\x00p\x00\n\x00"),
			"warn cmdline: cmdline.txt holds NUL bytes, as text in UTF-16 does: the kernel reads up to the first\n" +
				"FAIL server: cmdline.txt names no NBD server, neither as nbdroot= nor as netroot=\n" +
				"FAIL root: cmdline.txt has no root=\n" +
				"warn ip: cmdline.txt has no ip=: the initramfs may configure no network\n"},
		{"NULs at the end", "pi4", with(noble, "cmdline.txt", strings.TrimSpace(preparedLine)+"\x00\x00"),
			"warn cmdline: cmdline.txt holds NUL bytes, as text in UTF-16 does: the kernel reads up to the first\n"},
		{"a live system", "pi4", edit(noble, "cmdline.txt", "fixrtc", "boot=live"),
			"warn server: boot=live has the initramfs look for the root elsewhere than on NBD\n"},
		{"boot=local", "pi4", edit(noble, "cmdline.txt", "fixrtc", "boot=local"), ""},
		{"no server", "pi4", edit(noble, "cmdline.txt", "nbdroot=192.168.0.4/jammy ", ""),
			"FAIL server: cmdline.txt names no NBD server, neither as nbdroot= nor as netroot=\n"},
		{"no host", "pi4", edit(noble, "cmdline.txt", "192.168.0.4/", "/"),
			"FAIL server: nbdroot=/jammy names no server\n"},
		{"dhcp", "pi4", edit(noble, "cmdline.txt", "nbdroot=192.168.0.4/jammy", "nbdroot=dhcp"),
			"warn server: nbdroot=dhcp takes server and export from the DHCP option root-path; nothing that " +
				"nobodd sets up sends it\n"},
		{"no root=", "pi4", edit(noble, "cmdline.txt", " root=/dev/nbd0p2", ""),
			"FAIL root: cmdline.txt has no root=\n"},
		{"another root=", "pi4", edit(noble, "cmdline.txt", "root=/dev/nbd0p2", "root=LABEL=writable"),
			"FAIL root: root=LABEL=writable is not where the root of this image is once it is attached: that " +
				"is /dev/nbd0p2\n"},
		{"the whole disk", "pi4", edit(noble, "cmdline.txt", "root=/dev/nbd0p2", "root=/dev/nbd0"),
			"FAIL root: root=/dev/nbd0 is not where the root of this image is once it is attached: that is " +
				"/dev/nbd0p2\n"},
		{"another partition", "pi4", edit(noble, "cmdline.txt", "nbd0p2", "nbd0p3"),
			"FAIL root: root=/dev/nbd0p3 is not where the root of this image is once it is attached: that is " +
				"/dev/nbd0p2\n"},
		{"the last root= counts", "pi4", edit(noble, "cmdline.txt", "fixrtc", "root=/dev/mmcblk0p2"),
			"FAIL root: root=/dev/mmcblk0p2 is not where the root of this image is once it is attached: that " +
				"is /dev/nbd0p2\n"},
		{"no ip=", "pi4", edit(noble, "cmdline.txt", "ip=dhcp ", ""),
			"warn ip: cmdline.txt has no ip=: the initramfs may configure no network\n"},
		{"ip=off", "pi4", edit(noble, "cmdline.txt", "ip=dhcp", "ip=off"),
			"FAIL ip: ip=off leaves the board without an address\n"},
		{"ip=none", "pi4", edit(noble, "cmdline.txt", "ip=dhcp", "ip=none"),
			"FAIL ip: ip=none leaves the board without an address\n"},

		// What raspi-firmware will write anew, and what it wrote.
		{"raspi-firmware", "pi4", generated(preparedLine),
			"warn cmdline: the system's raspi-firmware writes cmdline.txt anew at each upgrade of a kernel, " +
				"without what the root on the network needs\n"},
		{"raspi-firmware, with the words", "pi4", generated("console=tty0 root=/dev/nbd0p2 rw fsck.repair=yes " +
			"net.ifnames=0  rootwait ip=dhcp nbdroot=192.168.0.4/pi\n"), ""},
		{"raspi-firmware, without them", "pi4", generated("console=tty0 root=LABEL=RASPIROOT rw rootwait\n"),
			"FAIL server: cmdline.txt names no NBD server, neither as nbdroot= nor as netroot=\n" +
				"FAIL root: root=LABEL=RASPIROOT is not where the root of this image is once it is attached: that " +
				"is /dev/nbd0p2\n" +
				"warn ip: cmdline.txt has no ip=: the initramfs may configure no network\n" +
				"warn cmdline: the system's raspi-firmware writes cmdline.txt anew at each upgrade of a kernel, " +
				"without what the root on the network needs\n"},

		// The rest.
		{"new", "pi4", with(ubuntu2604(), "new/vmlinuz", ""),
			"warn new: new/ holds boot files that wait to be tried; the board boots the others\n"},
		{"new with a state", "pi4", with(with(ubuntu2604(), "new/cmdline.txt", ""), "new/state", "unknown\n"),
			"warn new: new/ holds boot files that wait to be tried; the board boots the others (its state is " +
				"unknown)\n"},
		{"new without files", "pi4", with(ubuntu2604(), "new/state", "bad\n"), ""},
	} {
		if got := lines(check(t, tt.fsys, tt.model), Warn); got != tt.want {
			t.Errorf("%s (%s):\n%swant\n%s", tt.name, tt.model, got, tt.want)
		}
	}
}

// TestOtherPartitions: an image may hold more systems than the first, and a boot menu before them.
func TestOtherPartitions(t *testing.T) {
	advice := func(fsys fstest.MapFS, disk Disk) (text, do string) {
		rep, err := New(fsys, Options{Disk: disk}).Check(t.Context(), FindModel("pi4"))
		if err != nil {
			t.Fatal(err)
		}
		f := rep.FirstFailure()
		return f.Text, f.Do[len(f.Do)-1]
	}
	menu := fstest.MapFS{"autoboot.txt": {Data: []byte("[all]\nboot_partition=6\n")}}
	text, do := advice(menu, Disk{Root: 5, Boots: []int{6, 8}})
	if text != "start4.elf is missing; config.txt is in partition 6, 8" ||
		do != "or name the boot partition that is meant, as in IMAGE:6:" {
		t.Errorf("%s: %s", text, do)
	}
	if text, _ := advice(menu, Disk{Root: 5}); text != "start4.elf is missing" {
		t.Errorf("without another: %s", text)
	}
	other := edit(ubuntu2404(), "cmdline.txt", "nbd0p2", "nbd0p9")
	if _, do := advice(other, Disk{Root: 5, Systems: []int{7, 9}}); do != "unless partition 9 is the root that is meant: then the board finds it" {
		t.Errorf("another system: %s", do)
	}
	if _, do := advice(other, Disk{Root: 5, Systems: []int{7}}); do != "run nobodd-prep, which writes root=/dev/nbd0p5" {
		t.Errorf("a root that is none: %s", do)
	}
}

// TestDisk: what is said of the image around the boot partition.
func TestDisk(t *testing.T) {
	for _, tt := range []struct {
		disk Disk
		want string
	}{
		{Disk{Root: 2}, ""},
		{Disk{}, "FAIL root: the image has no root partition\n"},
		{Disk{Root: 3},
			"FAIL root: root=/dev/nbd0p2 is not where the root of this image is once it is attached: that is " +
				"/dev/nbd0p3\n"},
		{Disk{Root: 2, Boots: []int{6, 8}}, ""},
		{Disk{Root: 2, Holds: "ext4"}, ""},
		{Disk{Root: 2, Holds: "LUKS"},
			"warn root: partition 2, the root, holds LUKS, which cannot be mounted as it is\n"},
		{Disk{Root: 2, Past: 4096}, "warn root: partition 2, the root, ends 4096 bytes past the end of the image\n"},
		{Disk{Root: 2, Past: 4096, Outside: true},
			"FAIL root: partition 2, the root, lies past the end of the image, which is cut off\n"},
		{Disk{Root: 2, InUse: true},
			"info use: the file system is in use, or was not unmounted: a board may be running from it, and " +
				"change it\n"},
	} {
		rep, err := New(ubuntu2404(), Options{Disk: tt.disk}).Check(t.Context(), FindModel("pi4"))
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(rep, Info); got != tt.want {
			t.Errorf("%+v:\n%swant\n%s", tt.disk, got, tt.want)
		}
	}
}

func TestExport(t *testing.T) {
	for _, right := range []bool{true, false} {
		asked := ""
		opt := Options{Disk: Disk{Root: 2}, Export: func(name string) (bool, string,
			string) {
			asked = name
			return right, "found", "do"
		}}
		rep, err := New(ubuntu2404(), opt).Check(t.Context(), FindModel("pi4"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "", false: "warn export: found\n"}[right]
		if got := lines(rep, Warn); asked != "jammy" || got != want {
			t.Errorf("asked for %q: %s", asked, got)
		}
	}
}

// TestFailuresSayWhatToDo: under each failure stands what to do, and its rule is one of the table.
func TestFailuresSayWhatToDo(t *testing.T) {
	for name, fsys := range map[string]fstest.MapFS{
		"nothing": files(nil), "Ubuntu 22.04": ubuntu2204(), "LibreELEC": libreelec(), "OpenWrt": openwrt(),
		"bad kernel": with(ubuntu2404(), "vmlinuz", "<html>"), "no words": with(ubuntu2404(), "cmdline.txt", ""),
		"bad tree": with(ubuntu2404(), "bcm2711-rpi-4-b.dtb", "x"),
	} {
		for _, m := range Models {
			for _, f := range check(t, fsys, m.Name).Findings {
				if f.Status == Fail && len(f.Do) == 0 {
					t.Errorf("%s, %s: nothing to do about %s: %s", name, m.Name, f.Check, f.Text)
				}
				if f.Rule != "" && RuleOf(f.Rule) == nil {
					t.Errorf("%s: no rule %s", f.Check, f.Rule)
				}
				for _, line := range append([]string{f.Text}, f.Do...) {
					if line == "" || strings.ContainsAny(line, "\n\t") || strings.Contains(line, "%!") ||
						strings.HasSuffix(line, ".") {
						t.Errorf("%s: %q", f.Check, line)
					}
				}
			}
		}
	}
}

// TestRules: each rule has a name of its own, says something, and names its source.
func TestRules(t *testing.T) {
	seen := map[RuleID]bool{}
	for _, r := range Rules {
		if seen[r.ID] || r.Says == "" || !strings.ContainsAny(r.Source, ":#(") {
			t.Errorf("rule %q says %q by %q", r.ID, r.Says, r.Source)
		}
		seen[r.ID] = true
	}
}

func TestModels(t *testing.T) {
	if got := strings.Join(ModelNames(), " "); got != "pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5" {
		t.Errorf("models are %s", got)
	}
	if FindModel("PI3+") != Models[2] || FindModel("pi6") != nil || FindModel("") != nil {
		t.Error("FindModel")
	}
}

func TestReport(t *testing.T) {
	rep := check(t, libreelec(), "pi4")
	f := rep.FirstFailure()
	if rep.Boots() || f == nil || f.Check != "initramfs" || rep.Count(Fail) != 3 {
		t.Errorf("%+v\n%s", f, lines(rep, OK))
	}
	rep = check(t, ubuntu2404(), "pi4")
	if !rep.Boots() || rep.FirstFailure() != nil {
		t.Error(lines(rep, OK))
	}
	if i := slices.IndexFunc(rep.Findings, func(f Finding) bool { return f.Detail }); i < 0 ||
		rep.Findings[i].Status != Info {
		t.Errorf("nothing was passed over: %s", fmt.Sprint(rep.Findings))
	}
}
