// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"syscall"

	"nobodd/internal/addr"
	"nobodd/internal/image"
)

// images are the images of one command, each open once and locked.
type images struct {
	env  Env
	keys map[string]string // by path, as want found them: Open may open what took its place
	held map[string]*held  // by key
}

func newImages(env Env) *images {
	return &images{env: env, keys: map[string]string{}, held: map[string]*held{}}
}

// held is one of them.
type held struct {
	path    string // as its first address has it
	mode    image.Mode
	im      *image.Image
	err     error           // why it is not open
	volumes map[int]*volume // by partition number
}

// fileKey is the key of a file or directory of this machine, and of an image in it:
// device nodes of one block device are one image.
func fileKey(fi fs.FileInfo) string {
	st := fi.Sys().(*syscall.Stat_t)
	if isBlock(fi) {
		return fmt.Sprintf("block %d", st.Rdev)
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// imageKey is the key of the image at path, the path itself if there is none.
func imageKey(path string) string {
	fi, err := os.Stat(path)
	if err != nil {
		return path
	}
	return fileKey(fi)
}

func (ims *images) key(path string) string {
	if _, ok := ims.keys[path]; !ok {
		ims.keys[path] = imageKey(path)
	}
	return ims.keys[path]
}

// want notes that the image of a, if it is in one, is to be opened in mode. Write
// includes Read.
func (ims *images) want(a addr.Addr, mode image.Mode) {
	if a.Kind != addr.Inside {
		return
	}
	key := ims.key(a.Image)
	h := ims.held[key]
	if h == nil {
		h = &held{path: a.Image, mode: mode, volumes: map[int]*volume{}}
		ims.held[key] = h
	}
	if mode == image.Write {
		h.mode = mode
	}
}

// open opens and locks all wanted images, in the one order that all commands have, so
// that no two of them wait for each other.
func (ims *images) open() {
	for _, key := range slices.Sorted(maps.Keys(ims.held)) {
		h := ims.held[key]
		h.im, h.err = image.Open(h.path, h.mode, ims.env.Waiting(h.path))
	}
}

func (ims *images) close() error {
	var errs []error
	for _, h := range ims.held {
		if h.im != nil {
			errs = append(errs, h.im.Close())
		}
	}
	return errors.Join(errs...)
}

// isHeld tells whether key is that of an open image.
func (ims *images) isHeld(key string) bool { return ims.held[key] != nil }

// place gives the place that a names, without its key.
func (ims *images) place(a addr.Addr) (place, error) {
	if a.Kind == addr.Local {
		return place{tree: local{}, name: a.Path, addr: a}, nil
	}
	v, err := ims.volume(a)
	return place{tree: v, name: a.Name(), addr: a}, err
}

// volume opens the volume that a is in.
func (ims *images) volume(a addr.Addr) (*volume, error) {
	key := ims.key(a.Image)
	h := ims.held[key]
	if h == nil { // the image came or went since want
		return nil, image.ErrNoImage
	}
	if h.err != nil {
		return nil, h.err
	}
	fsys, num, err := h.im.Volume(a.Part)
	if err != nil {
		return nil, err
	}
	if h.volumes[num] == nil {
		h.volumes[num] = &volume{fsys, fmt.Sprintf("%s:%d", key, num)}
	}
	return h.volumes[num], nil
}
