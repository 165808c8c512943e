// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

// TestPaged compares clones of clones with plain slices after random writes and changes of size.
func TestPaged(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	img := make([]byte, 3*pageSize+100)
	for i := range img {
		img[i] = byte(rnd.Uint32())
	}
	devices, plain := []*Paged{NewPaged(img)}, [][]byte{bytes.Clone(img)}
	for step := range 2000 {
		i := rnd.IntN(len(devices))
		d, want := devices[i], plain[i]
		switch rnd.IntN(4) {
		case 0:
			devices, plain = append(devices, d.Clone()), append(plain, bytes.Clone(want))
			if len(devices) > 8 {
				devices, plain = devices[1:], plain[1:]
			}
			continue
		case 1:
			size := rnd.IntN(5 * pageSize)
			if err := d.Truncate(int64(size)); err != nil {
				t.Fatal(err)
			}
			plain[i] = append(bytes.Clone(want[:min(size, len(want))]), make([]byte, max(0, size-len(want)))...)
		default:
			p := bytes.Repeat([]byte{byte(step) | 1}, rnd.IntN(2*pageSize))
			off := rnd.IntN(len(want) + 10)
			n, err := d.WriteAt(p, int64(off))
			if off+len(p) > len(want) {
				if n != 0 || !errors.Is(err, ErrBounds) {
					t.Fatalf("write of %d bytes at %d of %d = %d, %v; want ErrBounds", len(p), off, len(want), n, err)
				}
			} else if copy(want[off:], p); n != len(p) || err != nil {
				t.Fatalf("write of %d bytes at %d = %d, %v", len(p), off, n, err)
			}
		}
		for i, d := range devices {
			if got := d.Bytes(); !bytes.Equal(got, plain[i]) || d.Size() != int64(len(got)) {
				t.Fatalf("step %d: device %d is not what was written", step, i)
			}
		}
	}
	if !bytes.Equal(zeroPage[:], make([]byte, pageSize)) {
		t.Error("the zero page was written to")
	}
}

func TestPagedReadAt(t *testing.T) {
	img := bytes.Repeat([]byte("0123456789"), pageSize/4)
	d := NewPaged(img)
	for _, tt := range []struct{ off, length int }{
		{0, len(img)}, {pageSize - 3, 6}, {pageSize, pageSize}, {len(img) - 5, 10}, {len(img), 1}, {len(img) + 9, 1}, {5, 0},
	} {
		p, q := make([]byte, tt.length), make([]byte, tt.length)
		n, err := d.ReadAt(p, int64(tt.off))
		m, want := Mem(img).ReadAt(q, int64(tt.off))
		if tt.length == 0 {
			want = nil
		}
		if n != m || err != want || !bytes.Equal(p, q) {
			t.Errorf("read of %d bytes at %d = %d, %v; want %d, %v", tt.length, tt.off, n, err, m, want)
		}
	}
	if _, err := d.ReadAt(make([]byte, 1), -1); !errors.Is(err, ErrBounds) {
		t.Errorf("read at -1: %v", err)
	}
	if got, err := io.ReadAll(io.NewSectionReader(d, 0, d.Size())); err != nil || !bytes.Equal(got, img) {
		t.Errorf("ReadAll: %v", err)
	}
}

func TestPagedEqual(t *testing.T) {
	img := bytes.Repeat([]byte{7}, 2*pageSize)
	a := NewPaged(img)
	b := a.Clone()
	if !a.Equal(b) || !a.Equal(NewPaged(img)) || a.Equal(NewPaged(img[1:])) {
		t.Error("Equal is wrong about devices of the same bytes")
	}
	must(b.WriteAt([]byte{8}, pageSize+5))
	for _, tt := range []struct {
		start, end int64
		want       bool
	}{
		{0, 2 * pageSize, false}, {0, pageSize + 5, true}, {pageSize + 6, 2 * pageSize, true},
		{pageSize + 5, pageSize + 6, false}, {pageSize - 1, 2*pageSize + 1, false}, {-1, 1, false},
	} {
		if got := a.EqualRange(b, tt.start, tt.end); got != tt.want {
			t.Errorf("EqualRange(%d, %d) = %v", tt.start, tt.end, got)
		}
	}
	if a.Equal(b) || b.Equal(a) {
		t.Error("Equal does not see a changed byte")
	}
}
