// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"io/fs"

	"github.com/urfave/cli/v2"

	"nobodd/internal/addr"
	"nobodd/internal/image"
	"nobodd/internal/pi"
)

// result is what was found in one boot partition.
type result struct {
	address string // of the boot partition, as we document it
	reports []*pi.Report
}

// boots reports whether all models boot, where models were asked for, else whether one does.
func (r result) boots(all bool) bool {
	for _, rep := range r.reports {
		if rep.Boots() != all {
			return !all
		}
	}
	return all
}

var errInside = errors.New("neither an image nor its boot partition (jammy.img: or jammy.img:1:)")

// failure is what went wrong with an operand, or a file that an option names.
func failure(text string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return &addr.Error{Text: text, Err: err}
}

// locate reads an operand: an image, whose boot partition is meant, or that partition.
func locate(text string) (addr.Addr, error) {
	a, err := addr.Parse(text, image.Look)
	if err != nil {
		return a, err
	}
	switch {
	case a.Kind == addr.Inside && a.Path == "/":
	case a.Kind == addr.Whole:
		a.Part = addr.Boot
	case a.Kind == addr.Local:
		a.Image, a.Part = a.Path, addr.Boot
	default:
		return a, failure(text, errInside)
	}
	return a, nil
}

// check checks one boot partition for the models. It takes no lock: like the daemon it only looks.
func check(c *cli.Context, text string, models []*pi.Model, exports *exports) (result, error) {
	a, err := locate(text)
	if err != nil {
		return result{}, err
	}
	im, err := image.Open(a.Image, image.Unlocked, nil)
	if err != nil {
		return result{}, failure(text, err)
	}
	defer im.Close()
	volume, num, err := im.Volume(a.Part)
	if err != nil {
		return result{}, failure(text, err)
	}
	opt := pi.Options{Disk: diskOf(im), NoInitramfs: c.Bool("no-initramfs"), Progress: sayIfSlow(c, text)}
	opt.Disk.InUse = volume.InUse()
	opt.Disk.Boots = otherBoots(im, volume)
	if exports != nil {
		opt.Export = func(name string) (bool, string, string) { return exports.find(name, a.Image) }
	}
	checker := pi.New(volume, opt)
	boot := addr.Addr{Kind: addr.Inside, Image: a.Image, Part: num, Path: "/"}
	res := result{address: boot.String()}
	for _, m := range models {
		rep, err := checker.Check(c.Context, m)
		if err != nil {
			return result{}, failure(text, err)
		}
		res.reports = append(res.reports, rep)
	}
	return res, nil
}

// diskOf returns what there is around the boot partition. A damaged table or partition elsewhere
// does not matter: what was found counts.
func diskOf(im *image.Image) pi.Disk {
	var d pi.Disk
	parts, _ := im.Partitions()
	for _, p := range parts {
		if p.HoldsSystem() && !p.Root {
			d.Systems = append(d.Systems, p.Num)
		}
		if !p.Root {
			continue
		}
		start := p.Start * im.SectorSize()
		d.Root, d.Outside = p.Num, start >= im.Size()
		d.Past = max(0, start+p.Size-im.Size())
		d.Holds = im.Holds(p.Num)
	}
	return d
}

// otherBoots returns the partitions of im that have a config.txt, if volume has none.
func otherBoots(im *image.Image, volume fs.FS) []int {
	if _, err := fs.Stat(volume, "config.txt"); err == nil {
		return nil
	}
	var nums []int
	parts, _ := im.Partitions()
	for _, p := range parts {
		if p.FAT == 0 {
			continue
		}
		if other, _, err := im.Volume(p.Num); err == nil {
			if _, err := fs.Stat(other, "config.txt"); err == nil {
				nums = append(nums, p.Num)
			}
		}
	}
	return nums
}
