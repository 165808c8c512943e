// SPDX-License-Identifier: GPL-3.0-or-later

package pi

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// The limits of an initramfs, all its archives together.
const (
	maxUnpacked = 2 << 30 // bytes once unpacked
	maxEntries  = 1_000_000
)

// ErrTooLarge is the error of an initramfs that exceeds the limits once it is unpacked.
var ErrTooLarge = errors.New("more than 2 GiB or 1,000,000 entries once unpacked")

// A DamageError says where and why the kernel cannot unpack an initramfs to its end.
type DamageError struct {
	Archive Archive // the archive that is damaged; without a Format if there is none at that place
	Reason  string  // one line, as in "ends early"
}

func (e *DamageError) Error() string {
	if e.Archive.Format == "" {
		return fmt.Sprintf("byte %d: %s", e.Archive.Offset, e.Reason)
	}
	return fmt.Sprintf("the %s archive at byte %d: %s", e.Archive.Format, e.Archive.Offset, e.Reason)
}

// An UnreadError is about an archive that the kernel may well unpack, but this package
// does not: by its method or by the memory it asks for.
type UnreadError struct {
	Archive Archive
	Reason  string // one line, as in "lzo is not known here"
}

func (e *UnreadError) Error() string {
	return fmt.Sprintf("the %s archive at byte %d: %s", e.Archive.Format, e.Archive.Offset, e.Reason)
}

// Archive is one link of the chain that an initramfs is.
type Archive struct {
	Offset   int64  // in the file, in bytes
	Format   string // "cpio", if it is not compressed; else gzip, bzip2, lzma, xz, lzo, lz4, zstd
	Packed   int64  // bytes of the file
	Unpacked int64  // bytes
	Entries  int    // trailers are not counted
}

// Initramfs is what was found in one.
type Initramfs struct {
	Generator string // "initramfs-tools", "dracut", or "" if neither left its traces
	Evidence  string // the name inside that shows the generator
	Archives  []Archive
	Entries   int   // of all archives
	Unpacked  int64 // bytes, of all archives
	// Junk is the offset of bytes in the file that begin no archive, after at least one
	// that does, and -1 if there are none; inside a compressed archive it is about there.
	// The kernel stops, prints "Initramfs unpacking failed", and boots with what came before.
	Junk int64

	Client  *Client  // the NBD client; nil if there is none
	Scripts []string // what calls the client in the way of the generator, sorted
	Online  []string // what calls dracut's netroot, which calls the scripts when the network is up; sorted
	Modules []Modules
	Network Network
	Resolver
}

// Client is an NBD client inside an initramfs.
type Client struct {
	Name    string // as in "usr/sbin/nbd-client"
	Program string // the name of what it is a link to, as in "usr/bin/busybox"; else Name
	Machine string // what it runs on: "arm", "arm64", "x86-64", another, or "" if it is no ELF file or a hard link
}

// Modules is what an initramfs holds for one version of the kernel.
type Modules struct {
	Version string // as in "6.8.0-1013-raspi"
	NBD     string // the name of nbd.ko, or "" if there is none
	Builtin bool   // nbd is part of the kernel, by modules.builtin
	Count   int    // modules in all
}

// Has reports whether a kernel of that version has NBD with these modules.
func (m Modules) Has() bool { return m.NBD != "" || m.Builtin }

// Network is what inside an initramfs can configure a network.
type Network struct {
	Programs []string // names, as in "usr/bin/ipconfig"; sorted
	IP       string   // an ip= that its own configuration sets, which that of the command line overrides
}

// ModulesFor returns what there is for one version of the kernel.
func (in *Initramfs) ModulesFor(version string) (Modules, bool) {
	for _, m := range in.Modules {
		if m.Version == version {
			return m, true
		}
	}
	return Modules{}, false
}

// InitramfsOptions are the options of ReadInitramfs; its zero value is ready for use.
type InitramfsOptions struct {
	// Progress is called as an archive begins and whenever more of the file was read.
	Progress func(Progress)
}

// Progress is how far ReadInitramfs is.
type Progress struct {
	Format string // of the archive that is being read; xz, lzma and bzip2 are slow
	Read   int64  // bytes of the file
}

// ReadInitramfs reads an initramfs to its end: a chain of cpio archives ("newc" or
// "crc"), plain or compressed, with zeros between. It keeps only what bears on a root
// over NBD, in bounded memory.
//
// It returns what it found even with an error. The error is a *DamageError if the kernel
// cannot unpack it all, ErrTooLarge past the limits, an *UnreadError if this package
// cannot look inside, else that of r or of ctx.
//
// Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst and
// init/initramfs.c, for what the kernel makes of padding and of junk.
func ReadInitramfs(ctx context.Context, r io.Reader, opt InitramfsOptions) (*Initramfs, error) {
	c := newChain(ctx, r, opt)
	err := c.read()
	in := c.in
	in.Entries, in.Unpacked = c.entries, c.unpacked
	c.names.facts(in)
	return in, err
}
