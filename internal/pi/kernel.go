// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

const (
	maxKernel   = 256 << 20 // bytes of a kernel once it is unpacked
	kernelHead  = 4096      // bytes that tell what a file is
	maxStub     = 1 << 20   // bytes of a zImage before its packed kernel
	maxVersion  = 64        // characters of a version
	scanPiece   = 64 << 10
	bannerStart = "Linux version "
)

// Kernel is what is known of a file that the firmware is to start.
type Kernel struct {
	Format  string // "gzip, arm64", "zImage"; "" if it is none that is known
	Bits    int    // 64, 32, or 0 if that cannot be told
	Pages   int    // the size of its pages in KiB, 0 if it does not say
	Version string // 6.8.0-1013-raspi; "" if it cannot be told
	NBD     bool   // the NBD driver is built in
	Problem string // why the firmware cannot start it
	Fix     string // what to do about Problem
	Rule    RuleID // the rule that Problem goes by
}

// kernelFormat is a kind of file that is taken for a kernel by its first bytes.
type kernelFormat struct {
	off     int
	magic   string
	name    string
	bits    int
	problem string
	fix     string
	rule    RuleID
}

const (
	fixImage  = "use the kernel as it is built for boards without EFI: arch/arm64/boot/Image, plain or packed by gzip"
	fixUnpack = "unpack it, or pack it with gzip instead"
	fixCopy   = "copy the kernel there once more"
)

// kernelFormats are the known ones; the first that fits counts. Specs: Linux,
// Documentation/arch/arm64/booting.rst, Documentation/arch/arm/booting.rst,
// drivers/firmware/efi/libstub/zboot-header.S, Documentation/arch/x86/boot.rst.
var kernelFormats = []kernelFormat{
	{off: 4, magic: "zimg", name: "EFI zboot", problem: "an EFI zboot image, which no Raspberry Pi starts by itself",
		fix: fixImage, rule: "zboot"},
	{off: 56, magic: "ARM\x64", name: "arm64", bits: 64},
	{off: 0x24, magic: "\x18\x28\x6f\x01", name: "zImage", bits: 32},
	{magic: "\x1f\x8b", name: "gzip"},
	{off: 0x202, magic: "HdrS", problem: "a kernel for PCs", fix: "use the kernel of a system for the Raspberry Pi"},
	{magic: "\x7fELF", problem: "an ELF file (vmlinux?), not the image that is made of it", fix: fixImage,
		rule: "kernelFormat"},
	{magic: "MZ", problem: "an EFI program", fix: fixImage, rule: "zboot"},
	{magic: "\x27\x05\x19\x56", problem: "a uImage, which U-Boot loads but no firmware", fix: fixImage,
		rule: "kernelFormat"},
	{magic: "\xd0\x0d\xfe\xed", problem: "a device tree or an image for U-Boot, not a kernel", fix: fixImage,
		rule: "kernelFormat"},
	{magic: "\xfd7zXZ\x00", problem: "packed with xz; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "\x28\xb5\x2f\xfd", problem: "packed with zstd; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "BZh", problem: "packed with bzip2; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "\x02\x21\x4c\x18", problem: "packed with lz4; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "\x04\x22\x4d\x18", problem: "packed with lz4; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "\x5d\x00\x00", problem: "packed with lzma; the firmware unpacks gzip alone", fix: fixUnpack,
		rule: "kernelFormat"},
	{magic: "PK\x03\x04", problem: "a zip archive, not a kernel", fix: fixCopy},
	{magic: "070701", problem: "a cpio archive (an initramfs?), not a kernel", fix: fixCopy},
	{magic: "hsqs", problem: "a squashfs file system, not a kernel", fix: fixCopy},
	{magic: "<", problem: "a web page, not a kernel", fix: fixCopy},
}

// identify returns the format whose magic head has.
func identify(head []byte) (kernelFormat, bool) {
	for _, f := range kernelFormats {
		if len(head) >= f.off+len(f.magic) && string(head[f.off:f.off+len(f.magic)]) == f.magic {
			return f, true
		}
	}
	return kernelFormat{}, false
}

// readKernelFile reads the kernel called name. An error is one of reading it, or ctx's.
func readKernelFile(ctx context.Context, fsys fs.FS, name string) (*Kernel, error) {
	f, err := openFile(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadKernel(ctx, f)
}

// ReadKernel finds out what kind of a kernel r is, reading it to the end where it is packed.
// What is wrong with it is in its Problem; an error is one of r, or ctx's.
func ReadKernel(ctx context.Context, r io.Reader) (*Kernel, error) {
	src := &source{ctx: ctx, r: r}
	k := &Kernel{}
	err := k.read(src, true)
	if src.err != nil {
		return nil, src.err
	}
	if err != nil && k.Problem == "" {
		k.Problem, k.Fix = err.Error(), fixCopy
	}
	return k, nil
}

// read reads a kernel; packed says that it may be packed by gzip.
func (k *Kernel) read(r io.Reader, packed bool) error {
	all := &counter{r: r}
	br := bufio.NewReaderSize(all, scanPiece)
	head, err := br.Peek(kernelHead)
	if len(head) == 0 {
		if err == io.EOF {
			return errors.New("an empty file")
		}
		return err
	}
	f, ok := identify(head)
	switch {
	case !ok:
		return nil
	case f.problem != "":
		k.Problem, k.Fix, k.Rule = f.problem, f.fix, f.rule
		return nil
	case f.name == "gzip" && packed:
		return k.readGzip(br)
	case f.name == "gzip":
		return errors.New("packed by gzip twice")
	}
	k.Format, k.Bits = f.name, f.bits
	start := bytes.Clone(head) // the scan reads over it
	var s scanner
	if f.name == "zImage" {
		err = s.scanPiggy(br)
	} else {
		k.Pages = pageSize(head)
		err = s.scan(br)
	}
	k.Version, k.NBD = s.version, s.nbd
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(br, maxKernel)) // the scan of a zImage may end early
	}
	if k.Problem = cutShort(start, all.n); err == nil && k.Problem != "" {
		k.Fix, k.Rule = fixCopy, "kernelLength"
	}
	return err
}

// readGzip reads a kernel packed by gzip, to its end: the firmware needs all of it.
func (k *Kernel) readGzip(r io.Reader) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("damaged: %w", gzipCause(err))
	}
	z.Multistream(false)
	limited := &io.LimitedReader{R: z, N: maxKernel}
	if err = k.read(limited, false); err == nil {
		_, err = io.Copy(io.Discard, limited) // what is no Image was not read to its end
	}
	switch {
	case limited.N == 0:
		k.Problem, k.Fix = fmt.Sprintf("packed by gzip, and more than %d MiB once unpacked", maxKernel>>20), fixCopy
	case err != nil && k.Problem == "":
		return fmt.Errorf("damaged: %w", gzipCause(err))
	case k.Problem != "":
		k.Problem = "packed by gzip, and in that " + k.Problem
	case k.Format == "zImage": // it unpacks itself, but the firmware does not unpack it first
		k.Format, k.Problem, k.Fix, k.Rule = "gzip, zImage", "a 32-bit kernel packed by gzip, which the "+
			"firmware does not unpack", "unpack it with gunzip", "kernelFormat"
	case k.Format != "":
		k.Format = "gzip, " + k.Format
	}
	return nil
}

// gzipCause words the errors of gzip that do not speak for themselves.
func gzipCause(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends too early")
	}
	return err
}

// pageSize reads the page size in KiB from the header of an arm64 Image, bits 1 and 2 of its flags.
func pageSize(head []byte) int {
	return [...]int{0, 4, 16, 64}[head[24]>>1&3]
}

// scanner looks through a kernel for what it says of itself.
type scanner struct {
	version string // of the banner
	nbd     bool   // the NBD driver is part of the kernel
}

// paramNBD is the name of a parameter of the NBD driver, as it stands in a kernel that has the
// driver built in. Source: Linux, include/linux/moduleparam.h, MODULE_PARAM_PREFIX.
const paramNBD = "nbd.nbds_max\x00"

// scan reads r to its end, but not more than maxKernel bytes.
func (s *scanner) scan(r io.Reader) error {
	const overlap = len(bannerStart) + maxVersion + 1
	buf := make([]byte, overlap+scanPiece)
	kept := 0
	for total := 0; total < maxKernel; {
		n, err := r.Read(buf[kept:])
		total += n
		window := buf[:kept+n]
		if s.version == "" {
			s.version = versionIn(window)
		}
		s.nbd = s.nbd || bytes.Contains(window, []byte(paramNBD))
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		kept = copy(buf, window[max(0, len(window)-overlap):])
	}
	return nil
}

// versionIn returns the version in a banner that stands whole in p: Linux version 6.8.0 (...
func versionIn(p []byte) string {
	for {
		i := bytes.Index(p, []byte(bannerStart))
		if i < 0 {
			return ""
		}
		p = p[i+len(bannerStart):]
		end := bytes.IndexByte(p[:min(len(p), maxVersion)], ' ')
		if end > 0 && isVersion(p[:end]) {
			return string(p[:end])
		}
	}
}

// isVersion reports whether p looks like the version of a kernel.
func isVersion(p []byte) bool {
	if p[0] < '0' || p[0] > '9' || !bytes.Contains(p, []byte(".")) {
		return false
	}
	for _, c := range p {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// scanPiggy scans the kernel that a zImage unpacks, if it is packed by gzip, as Raspberry Pi OS has it.
func (s *scanner) scanPiggy(r io.Reader) error {
	stub, err := io.ReadAll(io.LimitReader(r, maxStub))
	if err != nil {
		return err
	}
	const tries = 16 // what looks like a header may be none
	from := 0
	for range tries {
		i := bytes.Index(stub[from:], []byte("\x1f\x8b\x08\x00"))
		if i < 0 {
			return nil
		}
		from += i + 1
		z, err := gzip.NewReader(io.MultiReader(bytes.NewReader(stub[from-1:]), r))
		if err != nil {
			continue
		}
		z.Multistream(false)
		_ = s.scan(z) // damage shows when it is started, and often follows what is no header
		if s.version != "" {
			return nil
		}
	}
	return nil
}
