// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"nobodd/internal/addr"
	"nobodd/internal/testimg"
)

// foreign returns the bytes of a file that testdata/make-foreign.sh made.
func foreign(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join("testdata", "foreign", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// kinds are the foreign files, and what is said of each.
var kinds = map[string]string{
	"xz":             "data compressed with xz: unpack it with xz -dc OLD >NEW",
	"gzip":           "data compressed with gzip: unpack it with gzip -dc OLD >NEW",
	"zstd":           "data compressed with zstd: unpack it with zstd -dc OLD >NEW",
	"bzip2":          "data compressed with bzip2: unpack it with bzip2 -dc OLD >NEW",
	"lz4":            "data compressed with lz4: unpack it with lz4 -dc OLD >NEW",
	"zip":            "a zip archive: unpack it with unzip -p OLD '*.img' >NEW",
	"7z":             "a 7z archive: unpack it with 7z e OLD",
	"tar":            "a tar archive: unpack it with tar -xf OLD",
	"qcow2":          "a qcow2 image: convert it with qemu-img convert -O raw OLD NEW",
	"vmdk":           "a VMDK image: convert it with qemu-img convert -O raw OLD NEW",
	"vmdk-text":      "the description of a VMDK image: convert it with qemu-img convert -O raw OLD NEW",
	"vdi":            "a VDI image: convert it with qemu-img convert -O raw OLD NEW",
	"vhd":            "a VHD image: convert it with qemu-img convert -O raw OLD NEW",
	"vhd-fixed":      "a VHD image: convert it with qemu-img convert -O raw OLD NEW",
	"vhdx":           "a VHDX image: convert it with qemu-img convert -O raw OLD NEW",
	"android-sparse": "an Android sparse image: convert it with simg2img OLD NEW",
	"partclone":      "a partclone image: restore the disk with Clonezilla, it is one partition",
	"exfat":          "exFAT",
	"ntfs":           "NTFS",
	"ext2":           "ext2",
	"ext3":           "ext3",
	"ext4":           "ext4",
	"squashfs":       "squashfs",
	"iso9660":        "an ISO 9660 file system",
	"swap":           "swap",
	"btrfs":          "Btrfs",
	"f2fs":           "F2FS",
	"xfs":            "XFS",
}

// What is no image says what it is, whatever it is asked for.
func TestKinds(t *testing.T) {
	files, err := filepath.Glob("testdata/foreign/*.gz")
	if err != nil || len(files) != len(kinds)+len(images) {
		t.Errorf("%d files in testdata, %v; tests for %d", len(files), err, len(kinds)+len(images))
	}
	cases := map[string][]byte{}
	for name := range kinds {
		cases[name] = foreign(t, name)
	}
	page := "a web page: the download went wrong"
	for name, tt := range map[string]struct{ data, want string }{
		"empty":              {"", "an empty file: get or unpack it anew"},
		"web page":           {"<!DOCTYPE html>\n<html lang=\"en\">", page},
		"web page, old":      {"\n  <HTML><HEAD>", page},
		"web page with mark": {"\ufeff<!doctype HTML>", page},
	} {
		cases[name] = []byte(tt.data)
		kinds[name] = tt.want
		defer delete(kinds, name)
	}
	for name, data := range cases {
		want := "neither a partition table nor a FAT file system, but " + kinds[name]
		im := mustOpen(t, write(t, data), Read)
		for _, num := range []int{addr.Boot, 0, 1} {
			if _, _, err := im.Volume(num); errText(err) != want {
				t.Errorf("%s: Volume(%d) = %q, want %q", name, num, errText(err), want)
			}
		}
		if parts, err := im.Partitions(); len(parts) > 0 || errText(err) != want {
			t.Errorf("%s: Partitions = %+v, %q, want %q", name, parts, errText(err), want)
		}
		if _, err := im.PlanResize(16<<30, 0); errText(err) != want {
			t.Errorf("%s: PlanResize = %q, want %q", name, errText(err), want)
		}
	}
}

// The same in a partition, beside others with FAT and without.
func TestKindsInPartition(t *testing.T) {
	for name, want := range kinds {
		want, _, _ = strings.Cut(want, ":")
		data := foreign(t, name)
		img := testimg.Fixture(t, "mbr") // FAT in 1 and 4, room from sector 384 on
		clear(img[384*512 : 1024*512])
		copy(img[512*512:1024*512], data) // 3
		if name == "vhd-fixed" {
			continue // its mark is at its end
		}
		im := mustOpen(t, write(t, img), Read)
		text := "partition 3 holds no FAT file system, but " + want + " (FAT is in partition 1, 4)"
		if _, _, err := im.Volume(3); errText(err) != text {
			t.Errorf("%s: Volume = %q, want %q", name, errText(err), text)
		}
		clear(img[64*512 : 384*512]) // 1
		clear(img[1024*512:])        // 4
		im = mustOpen(t, write(t, img), Read)
		text = "no FAT file system in the image (partition 3: " + want + ")"
		if _, _, err := im.Volume(addr.Boot); errText(err) != text {
			t.Errorf("%s: Volume = %q, want %q", name, errText(err), text)
		}
	}
}

// images are the foreign files that are images.
var images = []string{"isohybrid", "fat-mbr"}

// A partition that starts at sector 0 is one, and number 0 means it as well.
func TestSectorZero(t *testing.T) {
	im := mustOpen(t, write(t, foreign(t, "isohybrid")), Read)
	parts, err := im.Partitions()
	want := []Partition{{Num: 1, Size: 136 * 512, Type: "17", Root: true, Free: -1},
		{Num: 2, Start: 136, Size: 65536, Type: "ef", FAT: 12, Label: "EFIBOOT", Boot: true, Free: -1}}
	if err != nil || len(parts) != 2 || parts[0] != want[0] || parts[1] != want[1] {
		t.Errorf("Partitions = %+v, %v; want %+v", parts, err, want)
	}
	for num, want := range map[int]string{
		2: "", addr.Boot: "",
		0: "partition 1 holds no FAT file system, but an ISO 9660 file system (FAT is in partition 2)",
		1: "partition 1 holds no FAT file system, but an ISO 9660 file system (FAT is in partition 2)",
		3: "no partition 3 (the image has 1, 2)",
	} {
		if _, got, err := im.Volume(num); errText(err) != want || err == nil && got != 2 {
			t.Errorf("Volume(%d) = %d, %v; want %q", num, got, err, want)
		}
	}

	im = mustOpen(t, write(t, foreign(t, "fat-mbr")), Read)
	parts, err = im.Partitions()
	if err != nil || len(parts) != 1 || parts[0].Num != 1 || parts[0].FAT != 12 || !parts[0].Boot || parts[0].Label != "WHOLE" {
		t.Errorf("Partitions = %+v, %v", parts, err)
	}
	for _, num := range []int{0, 1, addr.Boot} {
		if _, got, err := im.Volume(num); got != 1 || err != nil {
			t.Errorf("Volume(%d) = %d, %v; want 1", num, got, err)
		}
	}
	if _, err := im.PlanResize(1<<20, 1); err != nil {
		t.Errorf("PlanResize = %v", err)
	}
}
