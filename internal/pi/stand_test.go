// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"nobodd/internal/testimg"
)

// The stand-ins: files that are small, with headers that are right.

func arm64Image(version string, pages int) []byte { return testimg.ARM64Image(version, pages) }
func banner(version string) string                { return testimg.Banner(version) }
func gz(data []byte) []byte                       { return testimg.Gzip(data) }
func dtb(chip string) []byte                      { return testimg.DeviceTree(chip) }

// zImage is a 32-bit kernel that unpacks itself.
func zImage(version string) []byte {
	p := make([]byte, 2048)
	binary.LittleEndian.PutUint32(p[0x24:], 0x016f2818)
	copy(p[100:], "\x1f\x8b\x08\x00 looks like gzip and is none")
	return append(append(p, gz([]byte(banner(version)))...), "trailer"...)
}

// zboot is an EFI zboot image.
func zboot() []byte {
	p := make([]byte, 1024)
	copy(p, "MZ\x00\x00zimg")
	copy(p[56:], "ARM\x64")
	return p
}

// files makes a boot partition of texts and of the files in each more.
func files(text map[string]string, more ...map[string][]byte) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, data := range text {
		fsys[name] = &fstest.MapFile{Data: []byte(data)}
	}
	for _, m := range more {
		for name, data := range m {
			fsys[name] = &fstest.MapFile{Data: data}
		}
	}
	return fsys
}

// blobs are files of which only the names count.
func blobs(names ...string) map[string][]byte {
	m := map[string][]byte{}
	for _, name := range names {
		m[name] = []byte(name)
	}
	return m
}

// trees are device trees below dir.
func trees(dir string, names ...string) map[string][]byte {
	m := map[string][]byte{}
	for _, name := range names {
		m[dir+name] = dtb(name[:7])
	}
	return m
}

// without is fsys without some files.
func without(fsys fstest.MapFS, names ...string) fstest.MapFS {
	fsys = maps.Clone(fsys)
	for _, name := range names {
		delete(fsys, name)
	}
	return fsys
}

// with is fsys with one more file, or another.
func with(fsys fstest.MapFS, name, data string) fstest.MapFS {
	fsys = maps.Clone(fsys)
	fsys[name] = &fstest.MapFile{Data: []byte(data)}
	return fsys
}

// firmware is what raspi-firmware puts into every boot partition.
var firmware = blobs("bootcode.bin", "start.elf", "fixup.dat", "start_x.elf", "fixup_x.dat", "start_db.elf",
	"fixup_db.dat", "start_cd.elf", "fixup_cd.dat",
	"start4.elf", "fixup4.dat", "start4x.elf", "fixup4x.dat", "start4db.elf", "fixup4db.dat", "start4cd.elf", "fixup4cd.dat")

var dtbs3 = []string{"bcm2710-rpi-2-b.dtb", "bcm2710-rpi-3-b.dtb", "bcm2710-rpi-3-b-plus.dtb", "bcm2710-rpi-cm3.dtb"}
var dtbs4 = []string{"bcm2711-rpi-4-b.dtb", "bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4.dtb"}
var dtbs5 = []string{"bcm2712-rpi-5-b.dtb", "bcm2712-rpi-500.dtb", "bcm2712-rpi-cm5-cm5io.dtb",
	"bcm2712-rpi-cm5l-cm5io.dtb"}

const preparedLine = "ip=dhcp nbdroot=192.168.0.4/jammy root=/dev/nbd0p2 console=tty1 rootfstype=ext4 rootwait " +
	"fixrtc\n"
const preparedDracut = "ip=dhcp nbdroot=192.168.0.4/resolute netroot=nbd:192.168.0.4:resolute root=/dev/nbd0p2 " +
	"console=tty1 rootwait\n"

var d0 = blobs("overlays/bcm2712d0.dtbo", "overlays/vc4-kms-v3d.dtbo", "overlays/vc4-kms-v3d-pi5.dtbo",
	"overlays/dwc2.dtbo", "overlays/README")

// The boot partitions, each as nobodd-prep leaves it.

// ubuntu2204 is Ubuntu 22.04, which does not know the Pi 5.
func ubuntu2204() fstest.MapFS {
	return files(map[string]string{
		"config.txt": "[all]\nkernel=vmlinuz\ncmdline=cmdline.txt\ninitramfs initrd.img " +
			"followkernel\n\n[pi4]\nmax_framebuffers=2\narm_boost=1\n\n" +
			"[all]\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\n\n[cm4]\ndtoverlay=dwc2,dr_mode=host\n\n[all]\n# " +
			"Config settings specific to arm64\narm_64bit=1\ndtoverlay=dwc2\n",
		"cmdline.txt": preparedLine,
		"user-data":   "#cloud-config\n",
	}, firmware, trees("", dtbs3...), trees("", dtbs4...), d0,
		map[string][]byte{"vmlinuz": gz(arm64Image("5.15.0-1044-raspi", 1)),
			"initrd.img": initramfsTools("5.15.0-1044-raspi")})
}

// ubuntu2404 is Ubuntu 24.04.
func ubuntu2404() fstest.MapFS {
	fsys := files(map[string]string{
		"config.txt": "[all]\nkernel=vmlinuz\ncmdline=cmdline.txt\ninitramfs initrd.img " +
			"followkernel\n\n[pi4]\nmax_framebuffers=2\narm_boost=1\n\n" +
			"[all]\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\ndisable_fw_kms_setup=1\n\n[pi3+]\ndtoverlay=vc4-kms-v3d,cma-128\n\n[pi02]\ndtoverlay=vc4-kms-v3d,cma-128\n\n" +
			"[all]\narm_64bit=1\n\n[cm4]\ndtoverlay=dwc2,dr_mode=host\n\n[all]\n",
		"cmdline.txt": preparedLine,
	}, firmware, trees("", dtbs3...), trees("", dtbs4...), trees("", dtbs5...), d0,
		map[string][]byte{"vmlinuz": gz(arm64Image("6.8.0-1013-raspi", 1)),
			"initrd.img": initramfsTools("6.8.0-1013-raspi")})
	return fsys
}

// ubuntu2604 is Ubuntu 26.04, which keeps its files in current/ and makes its initramfs with dracut.
func ubuntu2604() fstest.MapFS {
	overlays := map[string][]byte{}
	for name := range d0 {
		overlays["current/"+name] = []byte(name)
	}
	return files(map[string]string{
		"config.txt": "[all]\nkernel=vmlinuz\ncmdline=cmdline.txt\ninitramfs initrd.img " +
			"followkernel\nos_prefix=current/\n\n[tryboot]\nos_prefix=new/\n\n" +
			"[all]\narm_64bit=1\ndtoverlay=vc4-kms-v3d\n\n[cm4]\ndtoverlay=dwc2,dr_mode=host\n\n[all]\n",
		"current/cmdline.txt": preparedDracut,
		"current/state":       "good\n",
	}, firmware, trees("current/", dtbs3...), trees("current/", dtbs4...), trees("current/", dtbs5...), overlays,
		map[string][]byte{"current/vmlinuz": gz(arm64Image("7.0.0-1003-raspi", 1)),
			"current/initrd.img": dracutInitramfs("7.0.0-1003-raspi")})
}

// raspios is Raspberry Pi OS, 64 bits: bookworm, and trixie with the same names.
func raspios(version string) fstest.MapFS {
	return files(map[string]string{
		"config.txt": "# For more options and information see\n# http://rptl.io/configtxt\n# Some settings may " +
			"impact device functionality. See link above for details\n\n" +
			"dtparam=audio=on\ncamera_auto_detect=1\ndisplay_auto_detect=1\nauto_initramfs=1\ndtoverlay=vc4-kms-v3d\nmax_framebuffers=2\n" +
			"disable_fw_kms_setup=1\narm_64bit=1\ndisable_overscan=1\narm_boost=1\n\n[cm4]\notg_mode=1\n\n[cm5]\ndtoverlay=dwc2,dr_mode=host\n\n[all]\n",
		"cmdline.txt": preparedLine,
	}, firmware, trees("", dtbs3...), trees("", dtbs4...), trees("", dtbs5...), d0,
		map[string][]byte{
			"kernel8.img":     gz(arm64Image(version+"-rpi-v8", 1)),
			"kernel_2712.img": gz(arm64Image(version+"-rpi-2712", 2)),
			"initramfs8":      initramfsTools(version + "-rpi-v8"),
			"initramfs_2712":  initramfsTools(version + "-rpi-2712"),
		})
}

// raspios32 is Raspberry Pi OS, 32 bits, of the time before the 64-bit kernel came with it.
func raspios32() fstest.MapFS {
	return files(map[string]string{
		"config.txt":  "dtparam=audio=on\nauto_initramfs=1\n[pi4]\narm_boost=1\n[all]\n",
		"cmdline.txt": preparedLine,
	}, firmware, trees("", dtbs3...), trees("", dtbs4...),
		map[string][]byte{
			"kernel7.img": zImage("6.1.0-rpi7-rpi-v7"), "kernel7l.img": zImage("6.1.0-rpi7-rpi-v7l"),
			"initramfs7": initramfsTools("6.1.0-rpi7-rpi-v7"), "initramfs7l": initramfsTools("6.1.0-rpi7-rpi-v7l"),
		})
}

// debian is Debian for the Raspberry Pi, with the kernel and the device trees of Linux itself.
func debian() fstest.MapFS {
	const v = "6.1.0-13-arm64"
	return files(map[string]string{
		"config.txt": "arm_64bit=1\nenable_uart=1\nupstream_kernel=1\nkernel=vmlinuz-" + v + "\n" +
			"# For details on the initramfs directive, see\n# " +
			"https://www.raspberrypi.org/forums/viewtopic.php?f=63&t=10532\ninitramfs initrd.img-" + v + "\n",
		"cmdline.txt": preparedLine,
	}, firmware, trees("", "bcm2837-rpi-3-b.dtb", "bcm2837-rpi-3-b-plus.dtb", "bcm2837-rpi-cm3-io3.dtb", "bcm2711-rpi-4-b.dtb",
		"bcm2711-rpi-400.dtb", "bcm2711-rpi-cm4-io.dtb"),
		map[string][]byte{"vmlinuz-" + v: arm64Image(v, 1), "initrd.img-" + v: initramfsTools(v)})
}

// libreelec is LibreELEC, whose kernel holds its own initramfs.
func libreelec() fstest.MapFS {
	return files(map[string]string{
		"config.txt":       "[all]\n################################################################################\ninclude distroconfig.txt\n[all]\nkernel=kernel.img\n",
		"distroconfig.txt": "gpu_mem=128\ndtoverlay=vc4-kms-v3d,noaudio\narm_64bit=1\n[pi4]\ndtoverlay=rpivid-v4l2\n[all]\nforce_turbo=0\n",
		"cmdline.txt":      "boot=UUID=0211-1200 disk=UUID=8b3a quiet console=tty0\n",
	}, blobs("start4.elf", "fixup4.dat", "start4x.elf", "fixup4x.dat", "overlays/vc4-kms-v3d.dtbo", "overlays/rpivid-v4l2.dtbo", "SYSTEM"), trees("", dtbs4...),
		map[string][]byte{"kernel.img": arm64Image("6.12.17", 1)})
}

// openwrt is OpenWrt for bcm2711.
func openwrt() fstest.MapFS {
	return files(map[string]string{
		"config.txt":       "include distroconfig.txt\ninclude userconfig.txt\n",
		"distroconfig.txt": "[all]\nkernel=kernel8.img\narm_64bit=1\n",
		"cmdline.txt": "console=serial0,115200 console=tty1 root=PARTUUID=abcdef01-02 " +
			"rootfstype=squashfs,ext4 rootwait\n",
	}, blobs("start4.elf", "fixup4.dat"), trees("", dtbs4...), map[string][]byte{"kernel8.img": gz(arm64Image("6.6.86", 1))})
}

// check runs the checks of a model, with a root partition 2.
func check(t *testing.T, fsys fstest.MapFS, model string) *Report {
	t.Helper()
	rep, err := New(fsys, Options{Disk: Disk{Root: 2}}).Check(t.Context(), FindModel(model))
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// lines are the findings of a report from warnings on, as "STATUS CHECK: TEXT".
func lines(rep *Report, least Status) string {
	var b strings.Builder
	for _, f := range rep.Findings {
		if f.Status >= least && !f.Detail {
			fmt.Fprintf(&b, "%v %s: %s\n", f.Status, f.Check, f.Text)
		}
	}
	return b.String()
}

// newBomb is a gzip of head and of n mebibytes of zeros, without its end. The piece that stands for
// one mebibyte is the same each time.
func newBomb(head []byte, n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(head)
	var begin, end int
	for range 2 {
		begin = end
		z.Write(make([]byte, 1<<20))
		z.Flush()
		end = b.Len()
	}
	return append(b.Bytes()[:begin:begin], bytes.Repeat(b.Bytes()[begin:end], n)...)
}

// counting is a file system that counts how often a file is opened.
type counting struct {
	fstest.MapFS
	opened map[string]int
}

func (c *counting) Open(name string) (fs.File, error) {
	c.opened[name]++
	return c.MapFS.Open(name)
}
