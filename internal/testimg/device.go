// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"
)

var (
	// ErrFault is what a device made by NewFailWrite returns.
	ErrFault = errors.New("injected fault")
	// ErrBounds is what Mem returns for an access that its bytes cannot hold.
	ErrBounds = errors.New("outside the device")
)

// Device is what a volume or a partition table is written on.
type Device interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Mem is a device in memory. Its size is fixed: a write that does not fit whole is
// refused with ErrBounds and changes nothing.
type Mem []byte

// ReadAt reads as io.ReaderAt says.
func (m Mem) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, ErrBounds)
	}
	if off >= int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes all of p or nothing.
func (m Mem) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off > int64(len(m)) || int64(len(p)) > int64(len(m))-off {
		return 0, fmt.Errorf("write of %d bytes at %d: %w", len(p), off, ErrBounds)
	}
	return copy(m[off:], p), nil
}

// Sync does nothing.
func (m Mem) Sync() error { return nil }

// Size returns the size in bytes.
func (m Mem) Size() int64 { return int64(len(m)) }

// Fault is a device that counts what is done with the one below it and, at a given
// write, begins to lose writes. It may be used by several goroutines.
type Fault struct {
	dev    Device
	at     int // number of the first write that is lost; negative: none
	silent bool

	mu sync.Mutex
	// Reads, Writes and Syncs count the calls so far, failed ones too.
	Reads, Writes, Syncs int
	// Hit reports whether a write was lost: the fault lay within what was tested.
	Hit bool
}

// NewCounter returns a device that only counts.
func NewCounter(dev Device) *Fault { return &Fault{dev: dev, at: -1} }

// NewFailWrite returns a device whose write number n (the first is 0) and all later
// writes and syncs fail with ErrFault and change nothing. Reads go on to work.
func NewFailWrite(dev Device, n int) *Fault { return &Fault{dev: dev, at: n} }

// NewStopAt returns a device that stops for good at write number n (the first is 0):
// that write and all later ones change nothing, though every call reports success.
// What it leaves is what a pulled plug leaves.
func NewStopAt(dev Device, n int) *Fault { return &Fault{dev: dev, at: n, silent: true} }

// ReadAt reads from the device below.
func (f *Fault) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Reads++
	return f.dev.ReadAt(p, off)
}

// WriteAt writes to the device below, or loses the write.
func (f *Fault) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.Writes
	f.Writes++
	if f.at < 0 || n < f.at {
		return f.dev.WriteAt(p, off)
	}
	f.Hit = true
	if f.silent {
		return len(p), nil
	}
	return 0, ErrFault
}

// Sync syncs the device below, unless a write was lost before.
func (f *Fault) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Syncs++
	switch {
	case !f.Hit:
		return f.dev.Sync()
	case f.silent:
		return nil
	}
	return ErrFault
}

// Recorder is a device in memory that remembers every write and sync, so that the
// states a power cut could leave can be built afterwards.
type Recorder struct {
	*Paged // the present state
	start  *Paged
	ops    []op
}

// op is a write, or a sync if sync is set.
type op struct {
	off  int64
	data []byte
	sync bool
}

// NewRecorder returns a recorder whose first state is a copy of img.
func NewRecorder(img []byte) *Recorder { return Record(NewPaged(img)) }

// Record returns a recorder whose first state is that of start, which must not be written any more.
func Record(start *Paged) *Recorder { return &Recorder{Paged: start.Clone(), start: start} }

// WriteAt writes and remembers.
func (r *Recorder) WriteAt(p []byte, off int64) (int, error) {
	n, err := r.Paged.WriteAt(p, off)
	if err == nil {
		r.ops = append(r.ops, op{off: off, data: bytes.Clone(p)})
	}
	return n, err
}

// Sync remembers that all writes so far are durable.
func (r *Recorder) Sync() error {
	r.ops = append(r.ops, op{sync: true})
	return nil
}

// Len returns the number of writes and syncs recorded.
func (r *Recorder) Len() int { return len(r.ops) }

// After returns the state after the first n writes and syncs, all of them done in order.
func (r *Recorder) After(n int) *Paged {
	state := r.start.Clone()
	for _, o := range r.ops[:n] {
		must(state.WriteAt(o.data, o.off))
	}
	return state
}

// Torn returns states that a power cut after the first n writes and syncs may leave on a disk
// that reorders: everything up to the last sync is there; each 512-byte sector written after it
// is there or not. It returns all of them if they are no more than most, else most that are
// chosen at random, the same for the same n. Those that were states after n-1 are left out.
func (r *Recorder) Torn(n, most int) iter.Seq[*Paged] {
	synced := n
	for synced > 0 && !r.ops[synced-1].sync {
		synced--
	}
	var sectors []op
	last := 0 // how many of them were written before the last write
	for _, o := range r.ops[synced:n] {
		last = len(sectors)
		sectors = append(sectors, o.sectors()...)
	}
	all := len(sectors) < 20 && 1<<len(sectors) <= most
	rnd := rand.New(rand.NewPCG(0, uint64(n)))
	return func(yield func(*Paged) bool) {
		for i := range most {
			there := uint64(i)
			if all && i == 1<<len(sectors) {
				return
			}
			if all && len(sectors) > 0 && there>>last == 0 {
				continue
			}
			state := r.After(synced)
			writeSome(state, sectors, func(k int) bool { return all && there>>k&1 != 0 || !all && rnd.IntN(2) == 0 })
			if !yield(state) {
				return
			}
		}
	}
}

// writeSome makes those of the writes in state that are chosen by their number.
func writeSome(state *Paged, writes []op, chosen func(k int) bool) {
	for k, o := range writes {
		if chosen(k) {
			must(state.WriteAt(o.data, o.off))
		}
	}
}

// sectors returns the write o as one for each 512-byte sector.
func (o op) sectors() (list []op) {
	for off, end := o.off, o.off+int64(len(o.data)); off < end; {
		next := min(end, off/512*512+512)
		list = append(list, op{off: off, data: o.data[off-o.off : next-o.off]})
		off = next
	}
	return list
}

// must is for a write that was done before.
func must(_ int, err error) {
	if err != nil {
		panic(err)
	}
}
