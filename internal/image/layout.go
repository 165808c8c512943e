// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"

	"nobodd/internal/addr"
	"nobodd/internal/fat"
	"nobodd/internal/partition"
)

// Partition is a partition and what was found in it.
type Partition struct {
	Num   int    // 0 for a bare FAT image
	Start int64  // in sectors of SectorSize
	Size  int64  // in bytes
	Type  string // as partition.Partition has it; "" for a bare FAT image
	FAT   int    // 12, 16, 32, or 0 if there is no FAT file system
	Label string // FAT volume label, else the GPT name
	Boot  bool   // the boot partition
	Root  bool   // the root partition

	// What Measure finds out of a FAT file system.
	Free  int64 // in bytes; -1 if it is not known
	InUse bool  // it may be mounted
}

// Use returns what the partition is for: "boot", "root" or "".
func (p Partition) Use() string {
	switch {
	case p.Boot:
		return "boot"
	case p.Root:
		return "root"
	}
	return ""
}

// HoldsSystem reports whether the partition could hold a root, be it the root partition or not.
func (p Partition) HoldsSystem() bool {
	return p.FAT == 0 && partition.Partition{Type: p.Type}.HoldsSystem()
}

// FS returns the kind of its FAT file system, "fat12", "fat16" or "fat32", or "".
func (p Partition) FS() string {
	if p.FAT == 0 {
		return ""
	}
	return "fat" + strconv.Itoa(p.FAT)
}

var (
	// errNothing says that the image is none that the tools can work with.
	errNothing = errors.New("neither a partition table nor a FAT file system")
	// errNoBoot says that no partition holds a FAT file system.
	errNoBoot = errors.New("no FAT file system in the image")
)

// layout is what an image consists of: partitions, or one bare FAT file system.
type layout struct {
	table *partition.Table // nil for a bare FAT image
}

func (im *Image) readLayout() (*layout, error) {
	if im.layout != nil {
		return im.layout, nil
	}
	table, err := im.readTable()
	if err != nil && !errors.Is(err, partition.ErrNoTable) {
		return nil, err
	}
	if err == nil && (len(table.Partitions) > 0 || table.Damage != nil) {
		im.layout = &layout{table}
		return im.layout, nil
	}
	if _, fatErr := im.openBare(); fatErr == nil {
		im.layout = &layout{}
		return im.layout, nil
	} else if !errors.Is(fatErr, fat.ErrNotFAT) {
		return nil, fatErr
	}
	if k, ok := identify(im.st, im.size); ok { // which may look like an empty table
		return nil, k.instead(errNothing)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: is it an OS image, unpacked and whole?", errNothing)
	}
	im.layout = &layout{table}
	return im.layout, nil
}

// readTable reads the partition table. A block device knows the sector size that an
// MBR counts in. A file's MBR counts in 512 bytes, unless no FAT file system is found
// so and one is found with 2048 or 4096.
func (im *Image) readTable() (*partition.Table, error) {
	if d, ok := im.st.(sectored); ok {
		if unit, err := d.SectorSize(); err == nil {
			return partition.ReadUnit(im.st, im.size, unit)
		}
	}
	table, err := partition.Read(im.st, im.size)
	if err != nil || table.Scheme != partition.MBR || im.findFAT(table) {
		return table, err
	}
	for _, unit := range []int64{2048, 4096} {
		large, err := partition.ReadUnit(im.st, im.size, unit)
		if err == nil && im.findFAT(large) {
			return large, nil
		}
	}
	return table, nil
}

func (im *Image) findFAT(t *partition.Table) bool {
	for _, p := range addressable(t) {
		if _, err := im.open(p); err == nil {
			return true
		}
	}
	return false
}

// addressable are the partitions that an address can name.
func addressable(t *partition.Table) []partition.Partition {
	for i, p := range t.Partitions {
		if p.Num > addr.MaxPart {
			return t.Partitions[:i]
		}
	}
	return t.Partitions
}

// SectorSize returns the number of bytes that Partition.Start counts in.
func (im *Image) SectorSize() int64 {
	if l, err := im.readLayout(); err == nil && l.table != nil {
		return l.table.SectorSize
	}
	return 512
}

// Partitions returns the partitions by number; a bare FAT image has one, number 0.
// Beside an error of a damaged table or volume it returns those that were found.
func (im *Image) Partitions() ([]Partition, error) {
	l, err := im.readLayout()
	if err != nil {
		return nil, err
	}
	if l.table == nil {
		v, err := im.openBare()
		if err != nil {
			return nil, err
		}
		return []Partition{{Size: im.size, FAT: v.Width(), Label: v.Label(), Boot: true, Free: -1}}, nil
	}
	errs := []error{l.table.Damage}
	var list []Partition
	var hasBoot, hasRoot bool
	for _, p := range addressable(l.table) {
		start := p.Start / l.table.SectorSize
		q := Partition{Num: p.Num, Start: start, Size: p.Size, Type: p.Type, Label: p.Name, Free: -1}
		v, err := im.open(p)
		switch {
		case err == nil:
			q.FAT = v.Width()
			q.Label = cmp.Or(v.Label(), q.Label)
		case !errors.Is(err, fat.ErrNotFAT) && !errors.Is(err, errPastEnd):
			errs = append(errs, fmt.Errorf("partition %d: %w", p.Num, err))
		}
		q.Boot = !hasBoot && holdsFAT(err)
		q.Root = !hasRoot && !holdsFAT(err) && p.HoldsSystem()
		hasBoot, hasRoot = hasBoot || q.Boot, hasRoot || q.Root
		list = append(list, q)
	}
	return list, errors.Join(errs...)
}

// Measure fills in Free and InUse of those of parts that hold a FAT file system. It reads
// their allocation tables. The error joins one for each that cannot be read.
func (im *Image) Measure(parts []Partition) error {
	var errs []error
	for i := range parts {
		p := &parts[i]
		if p.FAT == 0 {
			continue
		}
		v, _, err := im.Volume(p.Num)
		if err == nil {
			p.InUse = v.InUse()
			p.Free, err = v.Free()
		}
		if err != nil {
			p.Free = -1
			errs = append(errs, fmt.Errorf("partition %d: %w", p.Num, err))
		}
	}
	return errors.Join(errs...)
}

// holdsFAT reports whether a volume whose opening returned err is a FAT file system,
// a damaged one included: that does not make another one the boot partition.
func holdsFAT(err error) bool { return err == nil || errors.Is(err, fat.ErrCorrupt) }

// Volume opens the FAT volume of partition num, or of the boot partition if num is
// addr.Boot, and returns it with its number. It can be written if the image was opened
// with Write. The table is read, and one sector of each partition up to the one asked for.
//
// Errors are causes to be printed after the address: "no partition 7 (the image has 1, 2)",
// "partition 2 holds no FAT file system", "no FAT file system in the image", "neither a
// partition table nor a FAT file system".
func (im *Image) Volume(num int) (*fat.FS, int, error) {
	l, err := im.readLayout()
	if err != nil {
		return nil, 0, err
	}
	switch {
	case l.table == nil && (num == addr.Boot || num == 0):
		v, err := im.openBare()
		return v, 0, err
	case l.table == nil:
		return nil, 0, errBare(num)
	case num == addr.Boot:
		return im.bootVolume(l.table)
	}
	p, ok := l.find(num)
	if !ok {
		return nil, 0, withDamage(l.table.Missing(num), l.table)
	}
	v, err := im.open(p)
	switch {
	case errors.Is(err, fat.ErrNotFAT):
		return nil, 0, im.notFAT(p, l.table)
	case errors.Is(err, errPastEnd):
		return nil, 0, fmt.Errorf("partition %d %w", num, err)
	}
	return v, p.Num, err
}

// find returns partition num. Number 0 is the one that starts at sector 0, if there is one.
func (l *layout) find(num int) (partition.Partition, bool) {
	for _, p := range l.table.Partitions {
		if p.Num == num || num == 0 && p.Start == 0 {
			return p, true
		}
	}
	return partition.Partition{}, false
}

// bootVolume opens the first volume that is a FAT file system.
func (im *Image) bootVolume(t *partition.Table) (*fat.FS, int, error) {
	none := errNoBoot
	for _, p := range addressable(t) {
		v, err := im.open(p)
		switch {
		case err == nil:
			return v, p.Num, nil
		case errors.Is(err, errPastEnd):
			none = fmt.Errorf("%w: partition %d %w", errNoBoot, p.Num, err)
		case !errors.Is(err, fat.ErrNotFAT):
			return nil, 0, fmt.Errorf("partition %d: %w", p.Num, err)
		}
	}
	if none == errNoBoot {
		none = im.holdsInstead(t)
	}
	return nil, 0, withDamage(none, t)
}

// errBare is the error for partition num of an image that is one FAT file system.
func errBare(num int) error {
	return fmt.Errorf("no partition %d (the image is one FAT file system without a partition table, number 0)", num)
}

// withDamage adds to err why a partition may be missing.
func withDamage(err error, t *partition.Table) error {
	if t.Damage == nil {
		return err
	}
	return fmt.Errorf("%w: %w", err, t.Damage)
}

// errPastEnd says that a truncated image has nothing of a partition.
var errPastEnd = errors.New("starts past the end of the image, which is truncated: get or unpack it anew")

// openBare opens the FAT volume that the whole image is.
func (im *Image) openBare() (*fat.FS, error) {
	return fat.Open(im.section(0, im.size), im.size)
}

// open opens the FAT volume of p, of which the image may hold only the beginning.
func (im *Image) open(p partition.Partition) (*fat.FS, error) {
	if p.Start >= im.size {
		return nil, errPastEnd
	}
	size := min(p.Size, im.size-p.Start)
	return fat.Open(im.section(p.Start, size), size)
}

// section returns the bytes of the image that a volume may read, and may write if the
// image is open for that.
func (im *Image) section(off, size int64) io.ReaderAt {
	s := section{im.st, off, size}
	if im.mode == Write {
		return &writableSection{s}
	}
	return &s
}
