// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadKernel(t *testing.T) {
	const version = "6.8.0-1013-raspi"
	image := arm64Image(version, 1)
	packed := gz(image)
	at := func(off int, text string) []byte {
		p := make([]byte, 1024)
		copy(p[off:], text)
		return p
	}
	for _, tt := range []struct {
		name string
		data []byte
		want Kernel
	}{
		{"Image", image, Kernel{Format: "arm64", Bits: 64, Pages: 4, Version: version}},
		{"Image with 16 KiB pages", arm64Image(version, 2), Kernel{Format: "arm64", Bits: 64, Pages: 16,
			Version: version}},
		{"Image with 64 KiB pages", arm64Image(version, 3), Kernel{Format: "arm64", Bits: 64, Pages: 64,
			Version: version}},
		{"old Image", arm64Image(version, 0), Kernel{Format: "arm64", Bits: 64, Version: version}},
		{"Image without a banner", image[:4096], Kernel{Format: "arm64", Bits: 64, Pages: 4}},
		{"Image with a header alone", image[:60], Kernel{Format: "arm64", Bits: 64, Pages: 4}},
		{"banner far inside", append(arm64Image("x", 1)[:4096], append(make([]byte, 3*scanPiece-20),
			banner(version)...)...),
			Kernel{Format: "arm64", Bits: 64, Pages: 4, Version: version}},
		{"NBD built in", append(bytes.Clone(image), "x\x00nbd.nbds_max\x00y"...), Kernel{Format: "arm64", Bits: 64,
			Pages: 4, Version: version, NBD: true}},
		{"gzip", packed, Kernel{Format: "gzip, arm64", Bits: 64, Pages: 4, Version: version}},
		{"Image and EFI program", efiImage(version, 9000), Kernel{Format: "arm64", Bits: 64, Pages: 4, Version: version}},
		{"Image and a signature", append(efiImage(version, 9000), make([]byte, 100)...), Kernel{Format: "arm64", Bits: 64,
			Pages: 4, Version: version}},
		{"zImage with a device tree behind", append(measured(zImage(version), 2158), dtb("bcm2711")...),
			Kernel{Format: "zImage", Bits: 32, Version: version}},
		{"gzip and more", append(bytes.Clone(packed), make([]byte, 100)...), Kernel{Format: "gzip, arm64", Bits: 64,
			Pages: 4, Version: version}},
		{"zImage", zImage(version), Kernel{Format: "zImage", Bits: 32, Version: version}},
		{"zImage packed otherwise", zImage(version)[:2048], Kernel{Format: "zImage", Bits: 32}},
		{"other", at(0, "U-Boot 2024.01"), Kernel{}},
		{"short", []byte("x"), Kernel{}},
	} {
		got, err := ReadKernel(t.Context(), iotest.OneByteReader(bytes.NewReader(tt.data)))
		if err != nil || *got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.name, got, err, tt.want)
		}
	}
	for _, tt := range []struct {
		name    string
		data    []byte
		problem string
	}{
		{"empty", nil, "an empty file"},
		{"zboot", zboot(), "an EFI zboot image, which no Raspberry Pi starts by itself"},
		{"packed zboot", gz(zboot()),
			"packed by gzip, and in that an EFI zboot image, which no Raspberry Pi starts by itself"},
		{"EFI program", at(0, "MZ"), "an EFI program"},
		{"PC kernel", at(0x202, "HdrS"), "a kernel for PCs"},
		{"vmlinux", at(0, "\x7fELF"), "an ELF file (vmlinux?), not the image that is made of it"},
		{"uImage", at(0, "\x27\x05\x19\x56"), "a uImage, which U-Boot loads but no firmware"},
		{"device tree", dtb("bcm2711"), "a device tree or an image for U-Boot, not a kernel"},
		{"xz", at(0, "\xfd7zXZ\x00"), "packed with xz; the firmware unpacks gzip alone"},
		{"zstd", at(0, "\x28\xb5\x2f\xfd"), "packed with zstd; the firmware unpacks gzip alone"},
		{"bzip2", at(0, "BZh9"), "packed with bzip2; the firmware unpacks gzip alone"},
		{"lz4", at(0, "\x02\x21\x4c\x18"), "packed with lz4; the firmware unpacks gzip alone"},
		{"lz4 frame", at(0, "\x04\x22\x4d\x18"), "packed with lz4; the firmware unpacks gzip alone"},
		{"lzma", at(0, "\x5d\x00\x00\x80"), "packed with lzma; the firmware unpacks gzip alone"},
		{"zip", at(0, "PK\x03\x04"), "a zip archive, not a kernel"},
		{"cpio", at(0, "070701"), "a cpio archive (an initramfs?), not a kernel"},
		{"squashfs", at(0, "hsqs"), "a squashfs file system, not a kernel"},
		{"web page", at(0, "<!DOCTYPE html>"), "a web page, not a kernel"},
		{"gzip of gzip", gz(packed), "damaged: packed by gzip twice"},
		{"gzip of zImage", gz(zImage(version)), "a 32-bit kernel packed by gzip, which the firmware does not unpack"},
		{"cut gzip", packed[:len(packed)-10], "damaged: it ends too early"},
		{"cut early", packed[:12], "damaged: it ends too early"},
		{"cut header", packed[:5], "damaged: it ends too early"},
		{"cut Image", efiImage(version, 9000)[:8999], "cut short: it has 8999 bytes, and needs 9000"},
		{"cut and packed", gz(efiImage(version, 9000)[:8999]),
			"packed by gzip, and in that cut short: it has 8999 bytes, and needs 9000"},
		{"cut zImage", measured(zImage(version), 5000),
			fmt.Sprintf("cut short: it has %d bytes, and needs 5000", len(zImage(version)))},
		{"damaged gzip", damaged(packed, len(packed)-6), "damaged: gzip: invalid checksum"},
	} {
		got, err := ReadKernel(t.Context(), bytes.NewReader(tt.data))
		if err != nil || got.Problem != tt.problem {
			t.Errorf("%s: %+v, %v; want %s", tt.name, got, err, tt.problem)
		}
		if got != nil && (got.Fix == "" || got.Rule != "" && RuleOf(got.Rule) == nil) {
			t.Errorf("%s: fix %q, rule %q", tt.name, got.Fix, got.Rule)
		}
	}
}

// efiImage is an arm64 Image of that length which is an EFI program, too, and says so.
func efiImage(version string, length uint32) []byte {
	p := append(arm64Image(version, 1), make([]byte, length)...)[:length]
	copy(p, "MZ")
	binary.LittleEndian.PutUint32(p[60:], 64)
	copy(p[64:], "PE\x00\x00")
	binary.LittleEndian.PutUint16(p[64+6:], 2) // sections
	binary.LittleEndian.PutUint16(p[64+20:], 160)
	const text, data = 64 + 24 + 160, 64 + 24 + 160 + 40
	binary.LittleEndian.PutUint32(p[text+16:], 4096)
	binary.LittleEndian.PutUint32(p[text+20:], 4096)
	binary.LittleEndian.PutUint32(p[data+16:], length-8192)
	binary.LittleEndian.PutUint32(p[data+20:], 8192)
	return p
}

// measured is a zImage whose header says that it is of that length.
func measured(p []byte, length uint32) []byte {
	binary.LittleEndian.PutUint32(p[0x2c:], length)
	return p
}

func damaged(p []byte, at int) []byte {
	p = bytes.Clone(p)
	p[at] ^= 0xff
	return p
}

// TestReadKernelErrors: what goes wrong below is no fault of the kernel.
func TestReadKernelErrors(t *testing.T) {
	broken := errors.New("broken disk")
	for _, data := range [][]byte{gz(arm64Image("6.8.0", 1))[:20], arm64Image("6.8.0", 1)[:4096],
		zImage("6.8.0")[:3000], nil} {
		r := io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken))
		if k, err := ReadKernel(t.Context(), r); err != broken {
			t.Errorf("after %d bytes: %+v, %v", len(data), k, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ReadKernel(ctx, bytes.NewReader(gz(arm64Image("6.8.0", 1)))); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// TestKernelBomb: a small file that unpacks to a huge one is found out in little memory.
func TestKernelBomb(t *testing.T) {
	bomb := newBomb(arm64Image("none", 1)[:4096], maxKernel>>20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	k, err := ReadKernel(t.Context(), bytes.NewReader(bomb))
	runtime.ReadMemStats(&after)
	if err != nil || k.Problem != "packed by gzip, and more than 256 MiB once unpacked" {
		t.Errorf("%+v, %v", k, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes were allocated for %d", used, len(bomb))
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestVersions(t *testing.T) {
	for text, want := range map[string]string{
		"Linux version 6.8.0-1013-raspi (x":                        "6.8.0-1013-raspi",
		"Linux version 6.6.31+rpt-rpi-v8 (x":                       "6.6.31+rpt-rpi-v8",
		"Linux version %s (x":                                      "",
		"Linux version 6 (x":                                       "",
		"Linux version 6.8":                                        "",
		"Linux version 6.\x01 x":                                   "",
		"Linux version ":                                           "",
		"Linux version  6.8.0 ":                                    "",
		"Linux version of old, Linux version 6.9.1 y":              "6.9.1",
		"Linux version 6." + strings.Repeat("1", maxVersion) + " ": "",
	} {
		if got := versionIn([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// FuzzKernel: whatever a kernel holds, reading it ends, and says the same again.
func FuzzKernel(f *testing.F) {
	for _, seed := range [][]byte{arm64Image("6.8.0-1", 1), gz(arm64Image("6.8.0-1", 2)), zImage("6.1.0-v7"), zboot(),
		gz(zboot()), dtb("bcm2711"), gz(zImage("6.1"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ReadKernel(t.Context(), bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if k.Problem == "" && k.Format != "" && k.Bits == 0 {
			t.Errorf("%+v has no width", k)
		}
		if k.Version != "" && !isVersion([]byte(k.Version)) {
			t.Errorf("version %q", k.Version)
		}
		again, err := ReadKernel(t.Context(), iotest.HalfReader(bytes.NewReader(data)))
		if err != nil || *again != *k {
			t.Errorf("%+v, then %+v, %v", k, again, err)
		}
	})
}
