// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// TestPublicReports: images like those of people who asked in public why their boards do not boot,
// brought up to date with an initramfs and a command line where theirs had a root elsewhere, so
// that what they asked about is what is left. What is said must be what the answer was.
func TestPublicReports(t *testing.T) {
	noble, pios := ubuntu2404(), raspios("6.6.31+rpt")
	for _, tt := range []struct {
		report string // repository and number of the report
		asked  string // what was seen
		model  string
		fsys   fs.FS
		boots  bool
		want   string // the findings from warnings on
		do     string // part of what is said to do
	}{
		{
			"raspberrypi/rpi-eeprom#541", "a Pi 4 or 400 that netboots Fedora IoT's vmlinuz blinks a cursor " +
				"for ever", "pi400",
			with(noble, "vmlinuz", string(zboot())), false,
			"FAIL kernel: vmlinuz is an EFI zboot image, which no Raspberry Pi starts by " +
				"itself\n", "arch/arm64/boot/Image",
		},
		{
			"raspberrypi/firmware#1575", "a netbooted Pi 4 has no serial console: enable_uart=1 stands at byte " +
				"4096", "pi4",
			with(noble, "config.txt",
				"kernel=vmlinuz\ninitramfs initrd.img followkernel\narm_64bit=1\n\n"+strings.Repeat("#\n",
					2011)+"enable_uart=1\n"), true,
			"warn config: config.txt, line 2016: enable_uart=1 stands past byte 4096, which is as far as a " +
				"board reads when it netboots; take comments out\n", "",
		},
		{
			"raspberrypi/rpi-eeprom#720", "a Pi 5 loads an initrd of 114 MB by TFTP until it gives up", "pi5",
			large{noble, "initrd.img", 114 << 20}, true,
			"warn tftp: initrd.img has 119537664 bytes, and from 96205380 on an EEPROM older than 2025-09 " +
				"cannot load it\n", "update the EEPROM",
		},
		{
			"cdsteinkuehler/br2rauc#8", "a Pi 4 hangs: the boot partition has the CM4's device tree alone", "pi4",
			without(noble, "bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb"), false,
			"FAIL devicetree: bcm2711-rpi-4-b.dtb is missing\n", "copy it there",
		},
		{
			"opencardev/crankshaft#671", "a Pi 5 says that the operating system does not indicate support, and " +
				"with os_check=0 shows nothing", "pi5",
			adding(raspios32(), "os_check=0"), false,
			"FAIL kernel: kernel_2712.img and kernel8.img are missing\nFAIL devicetree: bcm2712-rpi-5-b.dtb is " +
				"missing\n" +
				"warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) " +
				"crash in the kernel\n" +
				"FAIL initramfs: there is none, and the kernel alone mounts no root over " +
				"NBD\n", "use a system that knows this board",
		},
		{
			"raspberrypi/rpi-eeprom#682", "a CM5 refuses a minimal image with the CM5's device tree alone " +
				"until os_check=0", "cm5",
			without(noble, "bcm2712-rpi-5-b.dtb", "bcm2712-rpi-500.dtb"), true,
			"warn devicetree: a CM5 whose EEPROM is older than 2025-03-27 looks for bcm2712-rpi-5-b.dtb, too, " +
				"and boots nothing without\n", "os_check=0",
		},
		{
			"pftf/RPi4#58", "gpu_mem=16 does not work: start4cd.elf and fixup4cd.dat are missing", "pi4",
			adding(without(noble, "start4cd.elf", "fixup4cd.dat", "start_cd.elf", "fixup_cd.dat"),
				"gpu_mem=16"), false,
			"FAIL firmware: start4cd.elf is missing, which gpu_mem=16 in config.txt asks " +
				"for\n", "copy start4cd.elf and fixup4cd.dat",
		},
		{
			"agherzan/meta-raspberrypi#1412", "new Pi 5s crash in the kernel where older ones boot", "pi5",
			without(noble, "overlays/bcm2712d0.dtbo"), true,
			"warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) crash " +
				"in the kernel\n", "copy it there",
		},
		{
			"raspberrypi/linux#7627", "a Pi 4 finds no root once arm_64bit=0 is set, as there is no " +
				"kernel7l.img any more", "pi4",
			edit(pios, "config.txt", "arm_64bit=1", "arm_64bit=0"), false,
			"FAIL kernel: kernel7l.img is missing\nFAIL initramfs: there is none, and the kernel alone mounts " +
				"no root over NBD\n", "take arm_64bit=0 out of config.txt",
		},
		{
			"drtyhlpr/rpi23-gen-image#211", "a Pi 4 hangs early: the image has the firmware of a Pi 3", "pi4",
			without(noble, "start4.elf", "fixup4.dat"), false,
			"FAIL firmware: start4.elf is missing\n", "copy start4.elf and fixup4.dat",
		},
		{
			"raspberrypi/firmware#1965", "with kernel=kernel8.img a Pi 5 loads the wrong initramfs, without " +
				"modules for that kernel", "pi5",
			adding(pios, "kernel=kernel8.img"), true,
			"warn initramfs: an EEPROM older than 2025-05-08 loads initramfs_2712 for kernel8.img, which holds " +
				"no modules for it\n", "initramfs initramfs8 followkernel",
		},
		{
			"home-assistant/operating-system#3079", "an overlay is not found below os_prefix, though it is " +
				"there", "pi5",
			without(ubuntu2604(), "current/overlays/README"), true,
			"warn overlays: overlays/bcm2712d0.dtbo is missing, without which newer boards (stepping D0) crash " +
				"in the kernel\n" +
				"warn overlays: 1 of 1 that config.txt names are missing in overlays/: " +
				"vc4-kms-v3d\n", "only if a file called README is there",
		},
		{
			"dracutdevs/dracut#539", "root=/dev/nbd0 with netroot= boots nothing, root=/dev/nbd0p1 does", "pi4",
			edit(ubuntu2604(), "current/cmdline.txt", "root=/dev/nbd0p2", "root=/dev/nbd0"), false,
			"FAIL root: root=/dev/nbd0 is not where the root of this image is once it is attached: that is " +
				"/dev/nbd0p2\n", "root=/dev/nbd0p2",
		},
		{
			"PiNet/PiNet#12", "no server's address is filled in behind nbdroot=, and the Pi cannot see the " +
				"server", "pi3",
			edit(noble, "cmdline.txt", "nbdroot=192.168.0.4/jammy", "nbdroot="), false,
			"FAIL server: nbdroot= names no server\n", "nobodd-prep",
		},
		{
			"raspberrypi/firmware#1641", "start_x=1 in an included file is ignored", "pi3+",
			with(adding(noble, "include extraconfig.txt"), "extraconfig.txt", "start_x=1\n"), true,
			"warn config: extraconfig.txt, line 1: start_x counts in config.txt itself only, not in a file " +
				"that it includes\n", "",
		},
		{
			"raspberrypi/firmware#948", "config.txt has cmdline= with the kernel's words, which never arrive", "pi3",
			adding(without(noble, "cmdline.txt"),
				`cmdline=dwc_otg.lpm_enable=0 console=tty1 root=UUID="239f"`), false,
			"FAIL cmdline: \"dwc_otg.lpm_enable=0 console=tty1 root=UUID=\\\"239f\\\"\" is missing: the kernel " +
				"would look for its root on an SD card\n", "names a file",
		},
		{
			"HuckleberryLovesYou/Homeassistant-Supervised-on-Raspberry-Pi-5#19", "words that a script adds in " +
				"a line of their own have no effect", "pi5",
			with(noble, "cmdline.txt", preparedLine+"systemd.unified_cgroup_hierarchy=false\n"), true,
			"warn cmdline: cmdline.txt has 2 lines, of which the first is read alone\n", "into one line",
		},
		{
			"raspberrypi/firmware#1292", "a netbooted Pi 3 shows a rainbow and blinks seven times: there is no " +
				"kernel for it", "pi3",
			without(raspios32(), "kernel7.img"), false,
			"FAIL kernel: kernel7.img and kernel8.img are missing\nFAIL initramfs: there is none, and the " +
				"kernel alone mounts no root over NBD\n", "kernel package",
		},
	} {
		rep, err := New(tt.fsys, Options{Disk: Disk{Root: 2}}).Check(t.Context(), FindModel(tt.model))
		if err != nil {
			t.Fatal(err)
		}
		if got := lines(rep, Warn); got != tt.want || rep.Boots() != tt.boots {
			t.Errorf("%s (%s): boots %v\n%swant %v\n%s", tt.report, tt.asked, rep.Boots(), got, tt.boots, tt.want)
		}
		var do []string
		for _, f := range rep.Findings {
			do = append(do, f.Do...)
		}
		if !strings.Contains(strings.Join(do, "\n"), tt.do) {
			t.Errorf("%s: what to do is\n%s\nwithout %q", tt.report, strings.Join(do, "\n"), tt.do)
		}
	}
}

// large is a file system with one file that has a size beyond its data: zeros follow.
type large struct {
	fstest.MapFS
	name string
	size int64
}

func (l large) Open(name string) (fs.File, error) {
	f, err := l.MapFS.Open(name)
	if err != nil || name != l.name {
		return f, err
	}
	return &largeFile{f, l.size}, nil
}

func (l large) Stat(name string) (fs.FileInfo, error) {
	info, err := l.MapFS.Stat(name)
	if err != nil || name != l.name {
		return info, err
	}
	return largeInfo{info, l.size}, nil
}

type largeFile struct {
	fs.File
	size int64
}

func (f *largeFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return largeInfo{info, f.size}, err
}

type largeInfo struct {
	fs.FileInfo
	size int64
}

func (i largeInfo) Size() int64 { return i.size }
