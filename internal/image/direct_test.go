// SPDX-License-Identifier: GPL-3.0-or-later

package image

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"nobodd/internal/addr"
	"nobodd/internal/testimg"
)

// strictFile is a rawFile that reads with O_DIRECT as a device does, and remembers a page
// cache that is stale: what it holds stays what it was until it is dropped.
type strictFile struct {
	data    []byte // as another host writes it
	cache   map[int64][]byte
	align   int64
	refuses string // "open" or "read"
	direct  bool
	reads   int
	mu      sync.Mutex
}

func (s *strictFile) setDirect(on bool) error {
	if on && s.refuses == "open" {
		return unix.EINVAL
	}
	s.direct = on
	return nil
}

func (s *strictFile) drop(off, n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := int64(os.Getpagesize())
	for at := (off + page - 1) / page * page; at+page <= off+n; at += page { // whole pages only
		delete(s.cache, at)
	}
	return nil
}

func (s *strictFile) pread(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.direct {
		if len(p) > 256<<10 {
			return 0, unix.E2BIG
		}
		if s.refuses == "read" || off%s.align != 0 || int64(len(p))%s.align != 0 || !isAligned(p, s.align) {
			return 0, unix.EINVAL
		}
		return copy(p, s.data[min(off, int64(len(s.data))):]), nil
	}
	page := int64(os.Getpagesize())
	at := off / page * page
	if s.cache[at] == nil {
		start := min(at, int64(len(s.data)))
		s.cache[at] = bytes.Clone(s.data[start:min(at+page, int64(len(s.data)))])
	}
	return copy(p, s.cache[at][min(off-at, int64(len(s.cache[at]))):]), nil
}

// Whatever is asked for, what the storage holds now is returned, and with O_DIRECT only
// what is aligned is read.
func TestUncached(t *testing.T) {
	for _, tt := range []struct {
		refuses   string
		align     int64
		wantAlign bool
	}{{"", 512, true}, {"", 4096, true}, {"open", 4096, false}, {"read", 4096, false}} {
		t.Run(fmt.Sprint(tt.refuses, tt.align), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(1, 2))
			file := &strictFile{data: make([]byte, 300<<10+700), cache: map[int64][]byte{}, align: tt.align, refuses: tt.refuses}
			u := newUncached(memory{nil, 0}, file, tt.align)
			for range 300 {
				n, off := rnd.IntN(3000), rnd.Int64N(int64(len(file.data))+100)
				if rnd.IntN(4) == 0 {
					n, off = rnd.IntN(299<<10), off/tt.align*tt.align
				}
				for i := range 20 {
					file.data[rnd.IntN(len(file.data))] = byte(i)
				}
				buf := alignedBytes(n + 8)[rnd.IntN(2)*8:][:n]
				got, err := u.ReadAt(buf, off)
				want := file.data[min(off, int64(len(file.data))):]
				short := n > len(want)
				want = want[:min(n, len(want))]
				if !bytes.Equal(buf[:got], want) || short != (err == io.EOF) || err != nil && err != io.EOF {
					t.Fatalf("ReadAt of %d at %d = %d, %v; want %d, the same bytes: %v", n, off, got, err, len(want), bytes.Equal(buf[:got], want))
				}
			}
			if u.refused.Load() == tt.wantAlign || file.direct != tt.wantAlign {
				t.Errorf("O_DIRECT refused: %v, on: %v", u.refused.Load(), file.direct)
			}
		})
	}
}

// A small file takes one read, though its end is not aligned.
func TestUncachedSmall(t *testing.T) {
	file := &strictFile{data: bytes.Repeat([]byte("0123456789"), 1000), align: 512}
	u := newUncached(memory{nil, 0}, file, 512)
	buf := alignedBytes(2000)
	if n, err := u.ReadAt(buf, 4096); n != 2000 || err != nil || !bytes.Equal(buf, file.data[4096:6096]) || file.reads != 1 {
		t.Errorf("ReadAt = %d, %v, in %d reads; want 2000 in one", n, err, file.reads)
	}
}

// An error of the storage is one, and comes with what was read before it.
func TestUncachedError(t *testing.T) {
	u := newUncached(memory{nil, 0}, failingFile{}, 512)
	buf := alignedBytes(1024)
	if n, err := u.ReadAt(buf, 512); n != 512 || err != unix.EIO {
		t.Errorf("ReadAt = %d, %v; want 512, EIO", n, err)
	}
}

// failingFile has a bad sector at byte 1024.
type failingFile struct{}

func (failingFile) pread(p []byte, off int64) (int, error) {
	if off >= 1024 {
		return 0, unix.EIO
	}
	return min(len(p), int(1024-off)), nil
}
func (failingFile) drop(off, n int64) error { return nil }
func (failingFile) setDirect(bool) error    { return nil }

// Reading ahead returns the bytes that are there, in few reads, and none twice.
func TestReadAhead(t *testing.T) {
	data := make([]byte, 700<<10+33)
	for i := range data {
		data[i] = byte(i * 7 >> 3)
	}
	for _, uncachedImage := range []bool{true, false} {
		file := &strictFile{data: data, align: 512}
		im := &Image{st: memory{nil, 0}}
		if uncachedImage {
			im.st = newUncached(memory{nil, 0}, file, 512)
		}
		counter := &countingReader{ReaderAt: bytes.NewReader(data)}
		a := im.ReadAhead(counter)
		got, err := io.ReadAll(io.NewSectionReader(steps{a, 1468}, 0, int64(len(data))))
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("uncached: %v: %d bytes, %v", uncachedImage, len(got), err)
		}
		if few := counter.reads <= 4; few != uncachedImage {
			t.Errorf("uncached: %v: %d reads", uncachedImage, counter.reads)
		}
		before := counter.reads
		buf := make([]byte, 10)
		for range 3 {
			if _, err := a.ReadAt(buf, 100); err != nil || !bytes.Equal(buf, data[100:110]) {
				t.Error(err)
			}
		}
		if counter.reads != before+3 {
			t.Errorf("uncached: %v: %d reads of the same bytes, want 3", uncachedImage, counter.reads-before)
		}
		if n, err := a.ReadAt(buf, int64(len(data))-4); n != 4 || err != io.EOF {
			t.Errorf("ReadAt at the end = %d, %v", n, err)
		}
		if n, err := a.ReadAt(buf, int64(len(data))); n != 0 || err != io.EOF {
			t.Errorf("ReadAt past the end = %d, %v", n, err)
		}
		a.Close()
	}
	if aheadMemory.taken != 0 {
		t.Errorf("%d bytes are still taken", aheadMemory.taken)
	}
}

// steps asks for n bytes at most.
type steps struct {
	r io.ReaderAt
	n int
}

func (s steps) ReadAt(p []byte, off int64) (int, error) { return s.r.ReadAt(p[:min(s.n, len(p))], off) }

type countingReader struct {
	io.ReaderAt
	reads int
}

func (c *countingReader) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, off)
}

// However many read ahead, the memory for it stays within its limit, and when many do
// each has a small piece after a while.
func TestReadAheadBudget(t *testing.T) {
	var b budget
	sizes := make([]int, 1000)
	for round := range 5 {
		for i := range sizes {
			sizes[i] = b.resize(sizes[i])
			if round == 0 && i == 0 && sizes[i] != largePiece {
				t.Errorf("a lone reader has %d bytes", sizes[i])
			}
			if b.taken > aheadLimit {
				t.Fatalf("%d bytes are taken", b.taken)
			}
		}
	}
	for i, size := range sizes {
		if size < smallPiece {
			t.Fatalf("reader %d of %d has %d bytes", i, len(sizes), size)
		}
		b.free(size)
	}
	if b.taken != 0 {
		t.Errorf("%d bytes are still taken", b.taken)
	}
}

// A block device is read as it is, though the page cache of this machine, kept alive by
// another process, has other bytes; so is a file if it is to be; and a writer finds what
// is there. The file below the device stands for what other hosts share.
func TestSharedDevice(t *testing.T) {
	path := testimg.FixtureFile(t, "fat16")
	loop := testimg.LoopDevice(t, path, 512)
	other, err := os.Open(loop) // keeps the page cache of the device
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	stale := make([]byte, 2355200)
	if _, err := io.ReadFull(other, stale); err != nil {
		t.Fatal(err)
	}
	label := func(mode Mode, cache Cache) string {
		t.Helper()
		im, err := OpenCache(loop, mode, cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer im.Close()
		if im.DirectRefused() {
			t.Error("the device refuses O_DIRECT")
		}
		v, _, err := im.Volume(addr.Boot)
		if err != nil {
			t.Fatal(err)
		}
		return v.Label()
	}
	relabel := func(name string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		at := bytes.LastIndex(stale, []byte("BOOT16     "))
		if _, err := f.WriteAt([]byte(name), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if got := label(Read, CacheAuto); got != "BOOT16" {
		t.Fatalf("label %q", got)
	}
	relabel("CHANGED1")
	if got := label(Read, CacheAlways); got != "BOOT16" {
		t.Errorf("through the page cache the label is %q: this test proves nothing", got)
	}
	for _, mode := range []Mode{Read, Unlocked} {
		if got := label(mode, CacheAuto); got != "CHANGED1" {
			t.Errorf("mode %d: label %q, want the new one", mode, got)
		}
	}
	relabel("CHANGED2")
	if got := label(Write, CacheAuto); got != "CHANGED2" {
		t.Errorf("a writer finds the label %q, want the new one", got)
	}
}

// What is opened how is read past the page cache.
func TestCacheChoice(t *testing.T) {
	path := testimg.FixtureFile(t, "fat12")
	for _, tt := range []struct {
		mode  Mode
		cache Cache
		want  bool
	}{
		{Read, CacheAuto, false}, {Unlocked, CacheAuto, false}, {Unlocked, CacheAlways, false},
		{Unlocked, CacheNever, true}, {Write, CacheNever, false},
	} {
		im, err := OpenCache(path, tt.mode, tt.cache, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := im.st.(*uncached); got != tt.want {
			t.Errorf("mode %d, cache %d: past the page cache: %v", tt.mode, tt.cache, got)
		}
		v, _, err := im.Volume(0)
		if err != nil || v.Label() != "SMALL12" {
			t.Errorf("mode %d, cache %d: %v, %v", tt.mode, tt.cache, v, err)
		}
		im.Close()
	}
}
