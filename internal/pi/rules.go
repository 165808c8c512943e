// SPDX-License-Identifier: GPL-3.0-or-later

package pi

// RuleID names a rule of Rules.
type RuleID string

// Rule is one thing that is known of the firmware, of the kernel or of an initramfs.
type Rule struct {
	ID     RuleID
	Says   string
	Source string // where it is from: a file or an issue of a public repository (owner/name: ...)
}

// Rules is all that the checks go by. Where a source is an issue, the answer of the
// firmware's maintainers there counts, or what boards were seen to do.
var Rules = []Rule{
	// Firmware.
	{"bootcode", "the ROM of a Pi 2 v1.2, 3, 3+ and CM3 fetches bootcode.bin from the root, without any prefix",
		"raspberrypi/documentation: computers/raspberry-pi/boot-net.adoc"},
	{"startFiles",
		"bootcode.bin loads start.elf and fixup.dat, a Pi 4's EEPROM start4.elf and fixup4.dat; start_x=1 and " +
			"start_debug=1 choose others, " +
			"on a Pi 4 the ones with a 4 where they are there; a Pi 5 has its firmware in the EEPROM",
		"raspberrypi/documentation: computers/config_txt/boot.adoc; raspberrypi/rpi-eeprom: " +
			"firmware-2711/release-notes.md, 2019-07"},
	{"cutDown",
		"gpu_mem=16, or any value below 32, chooses start_cd.elf or start4cd.elf, unless start_x or start_file " +
			"says otherwise",
		"raspberrypi/linux#503; raspberrypi/documentation#3233; pftf/RPi4#58"},
	{"fixupPair", "without the fixup file of the same release the board has less memory than it could",
		"raspberrypi/firmware#1307, #1341"},
	{"prefixProbe",
		"a board looks for its files below its serial number once it found start.elf there (Pi 4: start4.elf " +
			"or start.elf, newer EEPROMs config.txt)",
		"raspberrypi/firmware#754, #1809; raspberrypi/rpi-eeprom#74"},
	{"configNeeded", "a Pi 5 boots from what has a config.txt that is not empty",
		"raspberrypi/documentation: computers/config_txt/what_is_config_txt.adoc"},

	// config.txt.
	{"lineLimit", "what stands past character 98 of a line is not read",
		"raspberrypi/documentation: computers/config_txt/what_is_config_txt.adoc"},
	{"lineBreak", "the rest of a line that is too long was seen to count as a line of its own",
		"raspberrypi/firmware#1669"},
	{"sizeLimit", "what stands past byte 4096 of a netbooted config.txt is not read",
		"raspberrypi/firmware#1012, #1575, #1848"},
	{"filterModels",
		"model filters, and which boards see those of another: [pi3+] sees [pi3], [pi400] and [cm4] see [pi4], " +
			"[pi500] and [cm5] see [pi5]",
		"raspberrypi/documentation: computers/config_txt/conditional.adoc; raspberrypi/firmware#1242; " +
			"raspberrypi/rpi-eeprom: firmware-2712/release-notes.md, 2024-06-04"},
	{"boardTypes", "[board-type=N] compares the type in the board's revision code",
		"raspberrypi/documentation: computers/raspberry-pi/revision-codes.adoc"},
	{"filterKinds",
		"filters of one kind replace each other, those of different kinds add up, [all] resets them; [tryboot] " +
			"is true for one boot after a request only",
		"raspberrypi/documentation: computers/config_txt/conditional.adoc"},
	{"filterUnknown", "whether a filter by monitor, GPIO or boot variable matches is known to the board alone",
		"raspberrypi/documentation: computers/config_txt/conditional.adoc; raspberrypi/rpi-eeprom: " +
			"firmware-2712/release-notes.md, 2025-03-10"},
	{"include", "include FILE inserts a file",
		"raspberrypi/documentation: computers/config_txt/what_is_config_txt.adoc; raspberrypi/firmware#414"},
	{"earlySettings",
		"start_x, start_debug, start_file, fixup_file and gpu_mem are read before files are included, so only " +
			"config.txt itself sets them",
		"raspberrypi/firmware#1332, #1641, #1810"},
	{"spaces", "spaces beside an equals sign are not passed over",
		"ubuntu.com: hardware/docs/boards/how-to/special_hardware/rpi-config-txt"},

	// Prefixes.
	{"osPrefix",
		"os_prefix stands in front of kernel, device tree, initramfs, command line and overlays, and is " +
			"ignored where kernel or device tree are missing below it; " +
			"a name with a leading slash goes without", "raspberrypi/documentation: computers/config_txt/boot.adoc"},
	{"overlayReadme", "overlays are looked for below os_prefix only if a file called README is there",
		"raspberrypi/documentation: computers/config_txt/boot.adoc; home-assistant/operating-system#3079"},
	{"cmdlinePrefix", "a command line that is missing below os_prefix is taken from the name without it",
		"raspberrypi/linux#7319"},
	{"upstreamKernel",
		"upstream_kernel=1 sets os_prefix to upstream/ if it is not set, and asks for the device trees of " +
			"Linux itself first",
		"raspberrypi/documentation: computers/config_txt/boot.adoc; raspberrypi/firmware#1660; " +
			"raspberrypi/linux#2147"},

	// Kernel.
	{"kernelNames",
		"without kernel= a Pi 2, 3, 3+ and CM3 load kernel7.img, or kernel8.img with arm_64bit=1 or where " +
			"there is no other; a Pi 4 kernel8.img, or kernel7l.img with arm_64bit=0; " +
			"a Pi 5 kernel_2712.img, else kernel8.img",
		"raspberrypi/documentation: computers/config_txt/boot.adoc; raspberrypi/firmware#1193; " +
			"raspberrypi/linux#7627"},
	{"arm64Default", "arm_64bit is 1 on a Pi 4 and 0 on older boards unless it is set; a Pi 5 knows 64 bits only",
		"raspberrypi/documentation#2881"},
	{"kernelWidth",
		"kernel= with one of the usual names sets arm_64bit to what the name says, if it is not set " +
			"itself", "raspberrypi/documentation: computers/config_txt/boot.adoc"},
	{"kernelFormat", "a 64-bit kernel is an Image, plain or packed by gzip; a 32-bit one unpacks itself",
		"raspberrypi/documentation: computers/config_txt/boot.adoc"},
	{"zboot", "the firmware starts no EFI program, and so no EFI zboot kernel: the cursor blinks for ever",
		"raspberrypi/rpi-eeprom#541"},
	{"kernelLength",
		"an arm64 Image that is an EFI program, too, has a table of its sections, and a zImage says where it ends: a " +
			"file that ends before is started all the same, and says nothing",
		"torvalds/linux: arch/arm64/kernel/efi-header.S, arch/arm/boot/compressed/head.S"},
	{"pages16k", "a kernel for pages of 16 KiB runs on a Pi 5 alone: the processors before it know no such pages",
		"raspberrypi/documentation: computers/config_txt/boot.adoc; mendersoftware/mender-convert#817"},

	// Device tree and overlays.
	{"deviceTrees",
		"each model has its device tree; a 3+, 400, CM4 or 500 makes do with that of the model it is " +
			"like", "raspberrypi/firmware#432, #1660, #1720; procount/pinn#566; raspberrypi/linux#3235"},
	{"osCheck", "a Pi 5 boots only what has a device tree that names its chip, brcm,bcm2712, unless os_check=0",
		"raspberrypi/rpi-eeprom: firmware-2712/release-notes.md, 2025-03-27; raspberrypi/rpi-eeprom#682"},
	{"osCheckCM5", "before 2025-03-27 a CM5 looked for the Pi 5's device tree to find that out",
		"raspberrypi/rpi-eeprom#682"},
	{"d0Overlay",
		"boards of the Pi 5 family with the newer chip (D0) load overlays/bcm2712d0.dtbo too and crash without " +
			"it", "agherzan/meta-raspberrypi#1412; mendersoftware/meta-mender-community#413"},
	{"overlays",
		"dtoverlay=NAME loads NAME.dtbo, or what overlay_map.dtb has instead for the board (NAME-pi4, NAME-pi5)",
		"raspberrypi/documentation: computers/configuration/device-tree.adoc; home-assistant/operating-system#3335"},

	// Initramfs.
	{"initramfs",
		"initramfs FILE[,FILE] [followkernel|ADDRESS] is a directive and takes no equals sign; ramfsfile= is " +
			"the setting", "raspberrypi/firmware#450, #1273, #1318"},
	{"autoInitramfs",
		"auto_initramfs=1 loads the initramfs that is called like the kernel: initramfs8 for " +
			"kernel8.img", "raspberrypi/documentation: computers/config_txt/boot.adoc; raspberrypi/firmware#1965"},
	{"autoInitramfsOld", "before 2025-05-08 a Pi 5 took initramfs_2712 whatever kernel= said",
		"raspberrypi/firmware#1965; raspberrypi/rpi-eeprom: firmware-2712/release-notes.md, 2025-05-08"},
	{"netrootCaller",
		"dracut attaches a root on the network when a script calls netroot: that of network-legacy, " +
			"NetworkManager or connman does, that of systemd-networkd not yet in dracut 059, which Debian 12 has",
		"dracut: modules.d/35network-legacy/ifup.sh, 35network-manager/nm-run.sh, 01systemd-networkd/networkd-run.sh"},
	{"nbdNeeds",
		"the kernel alone mounts no root over NBD: an initramfs with nbd-client, a script that calls it and " +
			"the nbd module does", "nbd-client: README.Debian; dracut: modules.d/95nbd"},
	{"modules", "modules are for one version of the kernel: after an upgrade the initramfs must be made anew",
		"raspberrypi/firmware#608"},
	{"resolver", "an initramfs looks names up only if its C library can and something wrote etc/resolv.conf",
		"nbd-client: README.Debian; LibreELEC/LibreELEC.tv#1764"},

	// Command line.
	{"cmdline",
		"the command line is the first line of cmdline.txt; without a file the firmware makes up one with the " +
			"SD card as root", "raspberrypi/documentation: " +
			"computers/configuration/kernel-command-line-config.adoc; raspberrypi/firmware#948"},
	{"cmdlineLimit", "the firmware passes 1024 characters", "raspberrypi/linux#140"},
	{"rewritten",
		"Debian's raspi-firmware writes config.txt and cmdline.txt anew whenever a kernel or an initramfs is " +
			"installed: root= is ROOTPART of /etc/default/raspi-firmware, and the words of " +
			"/etc/default/raspi-extra-cmdline come last",
		"raspi-firmware (Debian): /etc/kernel/postinst.d/z50-raspi-firmware"},
	{"nbdroot",
		"initramfs-tools reads nbdroot=HOST/EXPORT, and the device from root=/dev/nbd0pN; nbdroot=dhcp takes " +
			"what a DHCP server says", "nbd-client: initramfs-tools/scripts/local-top/nbd"},
	{"boot",
		"boot= on the command line chooses which script of initramfs-tools mounts the root, local, nfs or a live system's; " +
			"only local attaches NBD", "initramfs-tools: init, scripts/local; initramfs-tools(7)"},
	{"netroot", "dracut reads netroot=nbd:HOST:EXPORT, and root=nbd:... before that",
		"dracut: modules.d/95nbd/parse-nbdroot.sh; dracutdevs/dracut#539"},
	{"ip", "the initramfs configures the network as ip= says; off and none leave it as it is",
		"Linux: Documentation/admin-guide/nfs/nfsroot.rst; dracut.cmdline(7)"},

	// TFTP and the rest.
	{"tftpBlocks",
		"65535 blocks is all that the TFTP clients before the EEPROM of 2025-09 count: 512 bytes each on a Pi " +
			"3 and older, 1468 on others", "raspberrypi/rpi-eeprom#375, #720"},
	{"tryNew", "Ubuntu 25.10 and later keep boot files in current/, and a kernel to be tried once, with the " +
		"tryboot flag, in new/", "Ubuntu: flash-kernel, piboot-try(8)"},
}

// RuleOf returns the rule called id, nil if there is none.
func RuleOf(id RuleID) *Rule {
	for i := range Rules {
		if Rules[i].ID == id {
			return &Rules[i]
		}
	}
	return nil
}
