// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"math"
	"syscall"

	"nobodd/internal/fat"
	"nobodd/internal/partition"
)

// Plan is a change of an image's size and table. Commands know it by this name; they do
// not import package partition.
type Plan = partition.Plan

// ErrFixedSize says that the image is a block device and keeps its size.
var ErrFixedSize = errors.New("a block device cannot change its size (--grow alone works)")

// Resizable reports whether the size of the image can change.
func (im *Image) Resizable() bool {
	_, ok := im.st.(truncater)
	return ok
}

// PlanResize works out and checks how the image becomes size bytes long, rounded up to
// whole sectors unless that is its size already, and how partition grow (0 for none)
// extends to its end. Nothing is written. Errors are causes to be printed after the address.
func (im *Image) PlanResize(size int64, grow int) (*Plan, error) {
	if size != im.size && !im.Resizable() {
		return nil, ErrFixedSize
	}
	l, err := im.readLayout()
	if err != nil {
		return nil, err
	}
	if size != im.size {
		sector := im.SectorSize()
		if size > math.MaxInt64-sector {
			return nil, errors.New("the size is too large")
		}
		size = (size + sector - 1) / sector * sector
	}
	if l.table == nil && grow != 0 {
		return nil, errBare(grow)
	}
	if l.table == nil && size < im.size {
		if v, err := fat.Open(im.section(0, size), size); err != nil || v.Size() > size {
			return nil, fmt.Errorf("cannot shrink to %d bytes: the FAT file system is larger", size)
		}
	}
	return partition.NewPlan(im.st, im.size, l.table, size, grow)
}

// Resize carries out a plan of PlanResize. The image must be open for writing and
// unchanged since. If a step fails the image is put back as it was.
func (im *Image) Resize(p *Plan) error {
	err := p.Apply(disk{im.st})
	im.layout = nil
	size, serr := im.st.Size()
	if serr != nil {
		return errors.Join(err, serr)
	}
	im.size = size
	return err
}

// disk is the whole image as package partition changes it.
type disk struct{ Storage }

// Truncate changes the size of the image; what it gains is a hole.
func (d disk) Truncate(size int64) error {
	t, ok := d.Storage.(truncater)
	if !ok {
		return ErrFixedSize
	}
	err := t.Truncate(size)
	if errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("%w: its file system, or ulimit -f, takes no file of %d bytes (FAT32: less than 4 GiB)",
			err, size)
	}
	return err
}
