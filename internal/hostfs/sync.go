// SPDX-License-Identifier: GPL-3.0-or-later

package hostfs

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"nobodd/internal/fat"
)

// checkSpace compares what the files need with what each file system has.
func (t *Tx) checkSpace() error {
	type fsys struct {
		stat unix.Statfs_t
		need int64
	}
	all := map[uint64]*fsys{}
	for _, f := range t.files {
		dir := t.existing(Dir(f.name))
		dev, err := device(dir)
		if err != nil {
			continue // staging says why
		}
		if all[dev] == nil {
			all[dev] = &fsys{}
			if err := unix.Statfs(dir, &all[dev].stat); err != nil {
				continue
			}
		}
		block := max(all[dev].stat.Bsize, 1)
		all[dev].need += (cmp.Or(f.src.Stored, f.src.Size) + block - 1) / block * block
	}
	for _, fsys := range all {
		if free := available(&fsys.stat); fsys.stat.Blocks > 0 && fsys.need > free {
			return &fat.NoSpaceError{Need: fsys.need, Free: free}
		}
	}
	return nil
}

// available returns the free space of a file system in bytes, for this user.
func available(s *unix.Statfs_t) int64 {
	if os.Geteuid() == 0 {
		return int64(s.Bfree) * s.Bsize
	}
	return int64(s.Bavail) * s.Bsize
}

// device returns the number of the device that dir is on.
func device(dir string) (uint64, error) {
	fi, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	return uint64(fi.Sys().(*syscall.Stat_t).Dev), nil
}

// existing returns the lowest directory that holds dir and is not to be made yet.
func (t *Tx) existing(dir string) string {
	for t.mkdir[dir] || t.mkdir[dir+"/"] {
		dir = Dir(dir)
	}
	return dir
}

// sync makes several staged files durable at once; a single one was synced as it was
// written.
func (t *Tx) sync() error {
	if t.opt.NoSync || len(t.files) == 1 {
		return nil
	}
	return syncFilesystems(t.directories(t.staged()))
}

// syncDirs makes the renames and the new directories durable.
func (t *Tx) syncDirs(staged []*newFile) error {
	if t.opt.NoSync {
		return nil
	}
	dirs := t.directories(staged)
	if len(dirs) == 1 && len(t.made) == 0 {
		return syncDir(dirs[0])
	}
	return syncFilesystems(dirs)
}

// directories returns those in which something was made.
func (t *Tx) directories(staged []*newFile) []string {
	seen := map[string]bool{}
	var dirs []string
	add := func(dir string) {
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	for _, f := range staged {
		add(Dir(f.name))
	}
	for _, dir := range t.made {
		add(Dir(strings.TrimRight(dir, "/")))
	}
	return dirs
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// syncFilesystems syncs the file systems that hold dirs, with at most two calls
// however many they are.
func syncFilesystems(dirs []string) error {
	one := map[uint64]string{}
	for _, dir := range dirs {
		dev, err := device(dir)
		if err != nil {
			return err
		}
		one[dev] = dir
	}
	if len(one) > 2 {
		unix.Sync()
		return nil
	}
	for _, dir := range one {
		if err := syncfs(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncfs syncs the file system that dir is on.
func syncfs(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return &fs.PathError{Op: "syncfs", Path: dir, Err: err}
	}
	return nil
}
