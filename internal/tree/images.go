// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"nobodd/internal/addr"
	"nobodd/internal/hostfs"
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

func (ims *images) key(path string) string {
	if _, ok := ims.keys[path]; !ok {
		ims.keys[path] = image.Key(path)
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
			errs = append(errs, failureOf(h.path, h.im.Close()))
		}
	}
	return errors.Join(errs...)
}

// holds reports whether p, where fi is (nil: nothing), is one of the images.
func (ims *images) holds(p place, fi fs.FileInfo) bool {
	return p.addr.Kind == addr.Local && fi != nil && len(ims.held) > 0 && ims.held[image.KeyOf(fi)] != nil
}

// find returns the place that a names and what is there, nil if there is nothing. The
// place of what is not there has no key.
func (ims *images) find(a addr.Addr) (p place, fi fs.FileInfo, err error) {
	p.addr = a
	if a.Kind == addr.Local {
		p.tree = host{hostfs.FS{OnSignal: ims.env.OnSignal}}
		fi, err = p.stat()
	} else {
		var v *volume
		if v, err = ims.volume(a); err != nil {
			return p, nil, err
		}
		p.tree = v
		if fi, err = image.Lookup(v.FS, a); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return p, nil, err
	}
	if fi != nil {
		p.key = p.tree.Key("", "", fi)
	}
	return p, fi, nil
}

// expand returns the addresses that a, an operand, stands for: several if its path in an image is a
// pattern. The errors are failures.
func (ims *images) expand(a addr.Addr) ([]addr.Addr, error) {
	if a.Kind != addr.Inside || !isPattern(a.Path) {
		return []addr.Addr{a}, nil
	}
	v, err := ims.volume(a)
	if err != nil {
		return nil, failure(a, err)
	}
	return expand(v, a)
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
		h.volumes[num] = &volume{fsys, num, fmt.Sprintf("%s:%d", key, num)}
	}
	return h.volumes[num], nil
}
