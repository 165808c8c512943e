// SPDX-License-Identifier: GPL-3.0-or-later

// Package fatcheck is a second reader and checker of FAT, written from Microsoft's "FAT32
// File System Specification" 1.03 alone. It shares nothing with package fat, so that a
// mistake there cannot hide here. It reads whole tables into memory; only tests and the
// development programs below scripts import it.
package fatcheck

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ErrNotFAT says that the boot sector describes no FAT volume that fits the device.
var ErrNotFAT = errors.New("no FAT volume")

// Report is what Check found.
type Report struct {
	Width       int   // 12, 16 or 32
	ClusterSize int64 // bytes
	Clusters    int   // in the data area
	Free        int   // clusters that the FAT shows as free
	Files, Dirs int   // the root directory is not counted
	Dirty       bool  // the volume is marked as in use

	// Damage has one line for each thing that no interrupted write may leave.
	Damage []string

	// Left-overs of an interrupted write, harmless all of them.
	LostClusters   int  // allocated, belonging to nothing
	FreeCountWrong bool // FSInfo's count is not Free; false if it says "unknown"
	HintWrong      bool // FSInfo's next-free hint is outside the volume
	CopiesDiffer   bool // FAT copies differ, but lead to the same tree
}

// Clean reports whether there is neither damage nor a left-over.
func (r *Report) Clean() bool { return r.Harmless() && !r.leftovers() }

// Harmless reports whether there is no damage.
func (r *Report) Harmless() bool { return len(r.Damage) == 0 }

func (r *Report) leftovers() bool {
	return r.LostClusters > 0 || r.FreeCountWrong || r.HintWrong || r.CopiesDiffer
}

// String returns all that was found, one line each, or "clean".
func (r *Report) String() string {
	lines := slices.Clone(r.Damage)
	if r.LostClusters > 0 {
		lines = append(lines, fmt.Sprintf("%d lost clusters", r.LostClusters))
	}
	if r.FreeCountWrong {
		lines = append(lines, "wrong free count")
	}
	if r.HintWrong {
		lines = append(lines, "wrong next-free hint")
	}
	if r.CopiesDiffer {
		lines = append(lines, "FAT copies differ")
	}
	if len(lines) == 0 {
		return "clean"
	}
	return strings.Join(lines, "\n")
}

// Check checks the volume on d, which is size bytes long. A volume that says it is larger
// is checked as far as size goes: a file that needs more is damaged. The error says why it
// could not be checked at all: ErrNotFAT, or an error of d.
func Check(d io.ReaderAt, size int64) (*Report, error) {
	v, err := openVolume(d, size)
	if err != nil {
		return nil, err
	}
	r := &Report{Width: v.width, ClusterSize: v.clusterSize, Clusters: v.clusters}
	var first *walk
	for _, fat := range v.fats {
		if first != nil && slices.Equal(fat, v.fats[0]) {
			continue
		}
		w := v.walk(fat)
		if first == nil {
			first = w
			r.Damage, r.Files, r.Dirs, r.Free, r.LostClusters = w.damage, w.files, w.dirs, w.free(), w.lost()
			continue
		}
		r.CopiesDiffer = true
		r.LostClusters = max(r.LostClusters, w.lost())
		for _, line := range w.damage {
			if !slices.Contains(first.damage, line) {
				r.Damage = append(r.Damage, "second FAT: "+line)
			}
		}
		if !maps.EqualFunc(first.tree, w.tree, item.equal) {
			r.Damage = append(r.Damage, "the FAT copies give different files")
		}
	}
	r.Damage = append(r.Damage, v.reserved()...)
	v.checkInfo(r)
	r.Dirty = v.dirty()
	return r, nil
}

// ReadTree returns the content of every file of the volume on d, which is size bytes
// long, by its path: long names, separated by slashes, no slash in front. A directory
// has a slash at its end and no content. The root is left out. A damaged volume is an
// error.
func ReadTree(d io.ReaderAt, size int64) (map[string][]byte, error) {
	v, err := openVolume(d, size)
	if err != nil {
		return nil, err
	}
	w := v.walk(v.fats[0])
	if len(w.damage) > 0 {
		return nil, fmt.Errorf("damaged: %s", strings.Join(w.damage, "; "))
	}
	tree := make(map[string][]byte, len(w.tree))
	for path, it := range w.tree {
		if it.dir {
			tree[path] = nil
			continue
		}
		data := make([]byte, it.size)
		for rest, i := data, 0; len(rest) > 0; i++ {
			n := min(v.clusterSize, int64(len(rest)))
			if err := v.readFull(rest[:n], v.offset(it.chain[i])); err != nil {
				return nil, err
			}
			rest = rest[n:]
		}
		tree[path] = data
	}
	return tree, nil
}
