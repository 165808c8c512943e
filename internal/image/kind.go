// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"nobodd/internal/partition"
)

// kind is what an image or a partition holds that is no FAT file system.
type kind struct {
	name   string
	advice string // how to make an image of it, or ""
}

// isDisk reports whether a file of kind k is a whole disk in another format.
func (k kind) isDisk() bool { return k.advice == convert || k.advice == expand }

// convert is the advice for the disks of virtual machines.
const convert = "convert it with qemu-img convert -O raw OLD NEW"

// expand is that for an Android sparse image.
const expand = "convert it with simg2img OLD NEW"

// kernel is a file that begins like a disk, and is none.
var kernel = kind{name: "a Linux kernel"}

// signatures are the bytes by which a kind is known, and where they are. Sources: the
// documentation of each format; off is in bytes.
var signatures = []struct {
	off   int64
	magic string
	kind
}{
	{0, "\xfd7zXZ\x00", kind{"data compressed with xz", "unpack it with xz -dc OLD >NEW"}},
	{0, "\x1f\x8b", kind{"data compressed with gzip", "unpack it with gzip -dc OLD >NEW"}},
	{0, "\x28\xb5\x2f\xfd", kind{"data compressed with zstd", "unpack it with zstd -dc OLD >NEW"}},
	{0, "BZh", kind{"data compressed with bzip2", "unpack it with bzip2 -dc OLD >NEW"}},
	{0, "\x04\x22\x4d\x18", kind{"data compressed with lz4", "unpack it with lz4 -dc OLD >NEW"}},
	{0, "PK\x03\x04", kind{"a zip archive", "unpack it with unzip -p OLD '*.img' >NEW"}}, // other files may be in it
	{0, "7z\xbc\xaf\x27\x1c", kind{"a 7z archive", "unpack it with 7z e OLD"}},
	{257, "ustar", kind{"a tar archive", "unpack it with tar -xf OLD"}},
	{0, "QFI\xfb", kind{"a qcow2 image", convert}},
	{0, "KDMV", kind{"a VMDK image", convert}},
	{0, "# Disk DescriptorFile", kind{"the description of a VMDK image", convert}},
	{0, "conectix", kind{"a VHD image", convert}},
	{0, "vhdxfile", kind{"a VHDX image", convert}},
	{64, "\x7f\x10\xda\xbe", kind{"a VDI image", convert}},
	{0, "\x3a\xff\x26\xed", kind{"an Android sparse image", expand}},
	{0, "partclone-image", kind{"a partclone image", "restore the disk with Clonezilla, it is one partition"}},
	{3, "EXFAT   ", kind{name: "exFAT"}},
	{3, "NTFS    ", kind{name: "NTFS"}},
	{0, "hsqs", kind{name: "squashfs"}},
	{0, "XFSB", kind{name: "XFS"}},
	{0, "LUKS\xba\xbe", kind{name: "LUKS"}},
	{514, "HdrS", kernel},
	{1024, "\x10\x20\xf5\xf2", kind{name: "F2FS"}},
	{1024, "\xe2\xe1\xf5\xe0", kind{name: "EROFS"}},
	{4086, "SWAPSPACE2", kind{name: "swap"}},
	{0x8001, "CD001", kind{name: "an ISO 9660 file system"}},
	{0x10040, "_BHRfS_M", kind{name: "Btrfs"}},
}

// identify returns what r, of size bytes, is by its first bytes; false if it is nothing
// that is known.
func identify(r io.ReaderAt, size int64) (kind, bool) {
	if size == 0 {
		return kind{"an empty file", "get or unpack it anew"}, true
	}
	start := readSome(r, 0, 512)
	for _, s := range signatures {
		if bytes.Equal(readSome(r, s.off, len(s.magic)), []byte(s.magic)) {
			return s.kind, true
		}
	}
	if name := extName(readSome(r, 1024, 104)); name != "" {
		return kind{name: name}, true
	}
	if bytes.Equal(readSome(r, size-512, 8), []byte("conectix")) { // the footer of a fixed one
		return kind{"a VHD image", convert}, true
	}
	text := strings.ToLower(strings.TrimLeft(string(start), "\ufeff \t\r\n"))
	if strings.HasPrefix(text, "<!doctype html") || strings.HasPrefix(text, "<html") {
		return kind{"a web page", "the download went wrong"}, true
	}
	return kind{}, false
}

// readSome reads up to n bytes at off; what cannot be read is left out.
func readSome(r io.ReaderAt, off int64, n int) []byte {
	buf := make([]byte, n)
	n, _ = r.ReadAt(buf, off)
	return buf[:n]
}

// extName returns ext2, ext3 or ext4 if super is the beginning of such a superblock,
// else "". They differ in their features: a journal makes an ext3 of an ext2, and any of
// those that came later an ext4. Source: ext4(5), and struct ext4_super_block.
func extName(super []byte) string {
	const (
		magic   = 0xef53
		journal = 0x4              // compatible features: an ext2 driver may write
		compat3 = 0x2 | 0x4 | 0x10 // incompatible ones that ext3 knows: filetype, recover, meta_bg
		ro3     = 0x1 | 0x2 | 0x4  // read-only ones: sparse_super, large_file, btree_dir
	)
	le := binary.LittleEndian
	if len(super) < 104 || le.Uint16(super[56:]) != magic {
		return ""
	}
	compatible, incompatible, readOnly := le.Uint32(super[92:]), le.Uint32(super[96:]), le.Uint32(super[100:])
	switch {
	case incompatible&^uint32(compat3) != 0 || readOnly&^uint32(ro3) != 0:
		return "ext4"
	case compatible&journal != 0:
		return "ext3"
	}
	return "ext2"
}

// instead adds to err, which says that something is not there, that k is.
func (k kind) instead(err error) error {
	if k.advice == "" {
		return fmt.Errorf("%w, but %s", err, k.name)
	}
	return fmt.Errorf("%w, but %s: %s", err, k.name, k.advice)
}

// Holds returns what partition num holds that is no FAT file system, as "LUKS" or "ext4"; "" if that
// is not known, or there is no such partition.
func (im *Image) Holds(num int) string {
	l, err := im.readLayout()
	if err != nil || l.table == nil {
		return ""
	}
	if p, ok := l.find(num); ok && p.Start < im.size {
		return im.holds(p)
	}
	return ""
}

// holds returns what partition p, which begins inside the image, holds; "" if that is not known.
func (im *Image) holds(p partition.Partition) string {
	size := min(p.Size, im.size-p.Start)
	k, _ := identify(im.section(p.Start, size), size)
	return k.name
}

// notFAT is the error for partition p of t, which holds no FAT file system: what it holds,
// and where the FAT file systems are.
func (im *Image) notFAT(p partition.Partition, t *partition.Table) error {
	text := fmt.Sprintf("partition %d holds no FAT file system", p.Num)
	if name := im.holds(p); name != "" {
		text += ", but " + name
	}
	var nums []string
	for _, q := range addressable(t) {
		if _, err := im.open(q); holdsFAT(err) && len(nums) < partition.MaxNamed {
			nums = append(nums, strconv.Itoa(q.Num))
		}
	}
	if len(nums) > 0 {
		text += fmt.Sprintf(" (FAT is in partition %s)", strings.Join(nums, ", "))
	}
	return errors.New(text)
}

// holdsInstead is the error for an image with table t, none of whose partitions holds a
// FAT file system: what they hold.
func (im *Image) holdsInstead(t *partition.Table) error {
	var held []string
	for _, p := range addressable(t) {
		if name := im.holds(p); name != "" && len(held) < partition.MaxNamed {
			held = append(held, fmt.Sprintf("%d: %s", p.Num, name))
		}
	}
	if len(held) == 0 {
		return errNoBoot
	}
	return fmt.Errorf("%w (partition %s)", errNoBoot, strings.Join(held, ", "))
}
