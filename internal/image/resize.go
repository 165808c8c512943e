// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"nobodd/internal/fat"
	"nobodd/internal/partition"
)

// Partitions that Resize.Grow can name besides numbers.
const (
	GrowNone = 0
	GrowLast = -1 // the partition that lies last in the image
	GrowRoot = -2 // the root partition
)

// Resize says what is to become of an image.
type Resize struct {
	KeepSize bool  // Size does not count
	Size     int64 // bytes; rounded up to whole sectors
	Relative bool  // Size is added to the present one
	Shrink   bool  // allow a smaller size; else an image that is large enough keeps its own
	Grow     int   // number of the partition to extend to the end, or GrowNone, GrowLast, GrowRoot
}

// ErrDevice: the size of a block device cannot be changed.
var ErrDevice = errors.New("a block device cannot change its size (--grow alone works)")

// Plan is a change of an image that was worked out and checked, and can be made.
type Plan struct {
	OldSize, NewSize int64       // of the image in bytes
	Scheme           string      // of its table: "MBR", "GPT", or "none"
	SectorSize       int64       // bytes
	Before, After    []Partition // as Partitions lists them

	plan *partition.Plan
}

// Changes tells whether the plan does anything.
func (p *Plan) Changes() bool { return p.plan.Changes() }

// PlanResize works out and checks a change of the image, of its table and of one
// partition's entry in it. Nothing is written. Errors are causes to be printed after
// the address.
func (im *Image) PlanResize(r Resize) (*Plan, error) {
	if im.block && !r.KeepSize {
		return nil, ErrDevice
	}
	l, err := im.readLayout()
	if err != nil {
		return nil, err
	}
	size, err := im.newSize(r)
	if err != nil {
		return nil, err
	}
	grow, err := im.growNumber(l, r.Grow)
	if err != nil {
		return nil, err
	}
	if l.table == nil && size < im.size {
		if _, err := fat.Open(im.section(0, size), size); err != nil {
			return nil, fmt.Errorf("cannot shrink to %d bytes: the FAT file system is larger", size)
		}
	}
	plan, err := partition.NewPlan(im.f, im.size, l.table, size, grow)
	if err != nil {
		return nil, cause(err)
	}
	return im.describe(l, plan), nil
}

// describe makes a Plan of plan.
func (im *Image) describe(l *layout, plan *partition.Plan) *Plan {
	parts, _ := im.Partitions() // a damaged volume is no obstacle
	p := &Plan{
		OldSize:    plan.OldSize,
		NewSize:    plan.NewSize,
		Scheme:     "none",
		SectorSize: im.SectorSize(),
		Before:     parts,
		After:      slices.Clone(parts),
		plan:       plan,
	}
	if l.table == nil {
		p.After[0].Size = plan.NewSize
		return p
	}
	p.Scheme = l.table.Scheme.String()
	for i := range p.After {
		p.After[i].Size = plan.After.Partitions[i].Size
	}
	return p
}

// newSize gives the size in bytes that the image is to have.
func (im *Image) newSize(r Resize) (int64, error) {
	size := r.Size
	if r.Relative {
		if size > math.MaxInt64-im.size {
			return 0, errTooLarge
		}
		size += im.size
	}
	if r.KeepSize || size == im.size || size < im.size && !r.Shrink {
		return im.size, nil
	}
	sector := im.SectorSize()
	if size > math.MaxInt64-sector {
		return 0, errTooLarge
	}
	return (size + sector - 1) / sector * sector, nil
}

var errTooLarge = errors.New("the size is too large")

// growNumber gives the number of the partition that grow means, 0 for none.
func (im *Image) growNumber(l *layout, grow int) (int, error) {
	switch {
	case grow == GrowNone:
		return 0, nil
	case l.table == nil:
		return 0, errors.New("there is no partition to grow: the image is one FAT file system without a partition table")
	case grow == GrowLast:
		last, ok := l.table.Last()
		if !ok {
			return 0, errors.New("there is no partition to grow: the partition table is empty")
		}
		return last.Num, nil
	case grow == GrowRoot:
		parts, _ := im.Partitions() // damage is found by the plan
		for _, p := range parts {
			if p.Root {
				return p.Num, nil
			}
		}
		return 0, errors.New("the image has no root partition")
	}
	return grow, nil
}

// Resize carries out a plan of PlanResize. The image must be open for writing and
// unchanged since. If a step fails the image is put back as it was.
func (im *Image) Resize(p *Plan) error {
	err := p.plan.Apply(&disk{device{section{im.f, 0, max(p.OldSize, p.NewSize)}}})
	im.layout = nil
	if merr := im.measure(); err == nil {
		err = merr
	}
	return err
}

// disk is the whole image as partition wants it to change.
type disk struct{ device }

// Truncate changes the size of the image; what it gains is a hole.
func (d *disk) Truncate(size int64) error { return ioCause(d.f.Truncate(size)) }
