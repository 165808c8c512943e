// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"math"
	"testing"

	"nobodd/internal/image"
	"nobodd/internal/testimg"
)

// device is an image that keeps its size, as a block device does.
type device struct{ testimg.Mem }

func (d device) Size() (int64, error) { return int64(len(d.Mem)), nil }
func (device) Close() error           { return nil }

// Any SIZE is refused for a block device, also the one that it has; --grow alone is not.
func TestFixedSize(t *testing.T) {
	img := testimg.Fixture(t, "mbr")
	im, err := image.New(device{img}, image.Write)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(img))
	for _, r := range []request{
		{hasSize: true, size: size}, {hasSize: true, size: 2 * size}, {hasSize: true, size: 1}, {hasSize: true, plus: true},
		{hasSize: true, size: size, grow: "last"},
	} {
		if _, err := plan(im, r); err != image.ErrFixedSize {
			t.Errorf("%+v: %v, want %v", r, err, image.ErrFixedSize)
		}
	}
	ch, err := plan(im, request{grow: "last"})
	if err != nil || !ch.plan.Changes() || ch.plan.NewSize != size {
		t.Errorf("--grow alone: %+v, %v", ch, err)
	}
}

func TestNewSize(t *testing.T) {
	const present = 1000
	for _, tt := range []struct {
		r    request
		want int64
	}{
		{request{}, present},
		{request{shrink: true}, present},
		{request{hasSize: true, size: 5000}, 5000},
		{request{hasSize: true, size: 10}, present},
		{request{hasSize: true, size: 10, shrink: true}, 10},
		{request{hasSize: true, size: 0, shrink: true}, 0},
		{request{hasSize: true, size: 0, plus: true, shrink: true}, present},
		{request{hasSize: true, size: 10, plus: true}, present + 10},
		{request{hasSize: true, size: math.MaxInt64 - present, plus: true}, math.MaxInt64},
		{request{hasSize: true, size: math.MaxInt64, plus: true}, math.MaxInt64},
	} {
		if got := tt.r.newSize(present); got != tt.want {
			t.Errorf("%+v: newSize = %d, want %d", tt.r, got, tt.want)
		}
	}
}

func TestGrowNumber(t *testing.T) {
	parts := []image.Partition{{Num: 1, Start: 900, Size: 50 * 512}, {Num: 2, Start: 10, Size: 100 * 512, Root: true}, {Num: 5, Start: 500, Size: 512}}
	bare := []image.Partition{{Num: 0, Size: 1 << 20, Boot: true}}
	for _, tt := range []struct {
		parts []image.Partition
		grow  string
		want  int
		err   string
	}{
		{parts, "", 0, ""},
		{parts, "5", 5, ""},
		{parts, "7", 7, ""}, // for PlanResize to refuse
		{parts, "last", 1, ""},
		{parts, "root", 2, ""},
		{parts[:1], "root", 0, "the image has no root partition"},
		{nil, "last", 0, "there is no partition to grow: the partition table is empty"},
		{nil, "root", 0, "the image has no root partition"},
		{bare, "", 0, ""},
		{bare, "last", 0, "there is no partition to grow: the image is one FAT file system without a partition table"},
		{bare, "1", 0, "there is no partition to grow: the image is one FAT file system without a partition table"},
	} {
		got, err := growNumber(tt.parts, 512, tt.grow)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != tt.want || text != tt.err {
			t.Errorf("growNumber(%d partitions, %q) = %d, %q; want %d, %q", len(tt.parts), tt.grow, got, text, tt.want, tt.err)
		}
	}
}
