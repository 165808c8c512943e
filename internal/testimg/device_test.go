// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestMem(t *testing.T) {
	m := Mem("0123456789")
	if n, err := m.WriteAt([]byte("ab"), 8); n != 2 || err != nil {
		t.Errorf("write at the end = %d, %v", n, err)
	}
	for _, off := range []int64{9, 10, 11, -1} {
		if n, err := m.WriteAt([]byte("xy"), off); n != 0 || !errors.Is(err, ErrBounds) {
			t.Errorf("write of 2 bytes at %d of 10 = %d, %v; want ErrBounds", off, n, err)
		}
	}
	p := make([]byte, 4)
	if n, err := m.ReadAt(p, 7); n != 3 || err != io.EOF || string(p[:n]) != "7ab" {
		t.Errorf("read over the end = %d %q, %v", n, p[:n], err)
	}
	if n, err := m.ReadAt(p, 10); n != 0 || err != io.EOF {
		t.Errorf("read at the end = %d, %v", n, err)
	}
	if _, err := m.ReadAt(p, -1); !errors.Is(err, ErrBounds) {
		t.Errorf("read at -1: %v", err)
	}
}

// write calls WriteAt for bytes 0, 1, 2 … and Sync after each, and returns what they return.
func write(d Device, n int) (errs []error) {
	for i := range n {
		_, err := d.WriteAt([]byte{'x'}, int64(i))
		errs = append(errs, err, d.Sync())
	}
	return errs
}

func TestFault(t *testing.T) {
	for _, tt := range []struct {
		name   string
		make   func(Device) *Fault
		want   string
		failed int // how many of the 8 calls return ErrFault
		hit    bool
	}{
		{"counter", NewCounter, "xxxx....", 0, false},
		{"fail at 2", func(d Device) *Fault { return NewFailWrite(d, 2) }, "xx......", 4, true},
		{"fail at 0", func(d Device) *Fault { return NewFailWrite(d, 0) }, "........", 8, true},
		{"fail beyond", func(d Device) *Fault { return NewFailWrite(d, 4) }, "xxxx....", 0, false},
		{"stop at 2", func(d Device) *Fault { return NewStopAt(d, 2) }, "xx......", 0, true},
		{"stop at 0", func(d Device) *Fault { return NewStopAt(d, 0) }, "........", 0, true},
		{"stop beyond", func(d Device) *Fault { return NewStopAt(d, 4) }, "xxxx....", 0, false},
	} {
		m := Mem("........")
		f := tt.make(m)
		failed := 0
		for _, err := range write(f, 4) {
			if errors.Is(err, ErrFault) {
				failed++
			} else if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		p := make([]byte, 8)
		if n, err := f.ReadAt(p, 0); n != 8 || err != nil {
			t.Errorf("%s: reading afterwards = %d, %v", tt.name, n, err)
		}
		if string(m) != tt.want || string(p) != tt.want || failed != tt.failed || f.Hit != tt.hit {
			t.Errorf("%s: left %q, read %q, %d failed, hit %v; want %q, %d, %v", tt.name, m, p, failed, f.Hit, tt.want, tt.failed, tt.hit)
		}
		if f.Writes != 4 || f.Syncs != 4 || f.Reads != 1 {
			t.Errorf("%s: counted %d writes, %d syncs, %d reads", tt.name, f.Writes, f.Syncs, f.Reads)
		}
	}
}

func TestRecorder(t *testing.T) {
	start := make([]byte, 2048)
	r := NewRecorder(start)
	ones, twos := bytes.Repeat([]byte{1}, 1024), bytes.Repeat([]byte{2}, 1024)
	for _, step := range []func() error{
		func() error { _, err := r.WriteAt(ones, 0); return err },
		r.Sync,
		func() error { _, err := r.WriteAt(twos, 512); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.WriteAt(ones, 2000); !errors.Is(err, ErrBounds) || r.Len() != 3 {
		t.Errorf("a refused write gave %v and left %d steps; want 3", err, r.Len())
	}
	// Sectors of each state: 0, 1 or 2.
	sectors := func(d *Paged) string {
		m := d.Bytes()
		return string([]byte{'0' + m[0], '0' + m[512], '0' + m[1024], '0' + m[1536]})
	}
	for n, want := range []string{"0000", "1100", "1100", "1220"} {
		if got := sectors(r.After(n)); got != want {
			t.Errorf("after %d steps: %s, want %s", n, got, want)
		}
	}
	if got := sectors(r.Paged); got != "1220" {
		t.Errorf("now: %s", got)
	}
	torn := func(n, most int) (states []string) {
		for state := range r.Torn(n, most) {
			states = append(states, sectors(state))
		}
		slices.Sort(states)
		return states
	}
	for _, tt := range []struct {
		n, most int
		want    []string
	}{
		{0, 4, []string{"0000"}},
		{1, 4, []string{"0100", "1000", "1100"}}, // 0000 is a state after none
		{2, 4, []string{"1100"}},
		{3, 4, []string{"1120", "1200", "1220"}},
		{3, 9, []string{"1120", "1200", "1220"}},
	} {
		if got := torn(tt.n, tt.most); !slices.Equal(got, tt.want) {
			t.Errorf("a cut after %d left %q, want %q", tt.n, got, tt.want)
		}
	}
	if got := torn(3, 3); len(got) != 3 || !slices.Equal(got, torn(3, 3)) { // not all that there may be
		t.Errorf("cuts left %q", got)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	for _, off := range []int64{0, 512} { // two writes
		if _, err := r.WriteAt(make([]byte, 512), off); err != nil {
			t.Fatal(err)
		}
	}
	if got := torn(6, 4); !slices.Equal(got, []string{"0020", "1020"}) {
		t.Errorf("a cut after two writes left %q", got)
	}
}

// verdict records what needPeer decides.
type verdict struct{ fatal, skip bool }

func (v *verdict) Helper()               {}
func (v *verdict) Fatalf(string, ...any) { v.fatal = true }
func (v *verdict) Skipf(string, ...any)  { v.skip = true }

func TestNeedPeer(t *testing.T) {
	for _, tt := range []struct {
		ci    bool
		names []string
		want  verdict
	}{
		{false, []string{"sh"}, verdict{}},
		{true, []string{"sh"}, verdict{}},
		{true, nil, verdict{}},
		{false, []string{"sh", "no-such-program"}, verdict{skip: true}},
		{true, []string{"no-such-program", "sh"}, verdict{fatal: true}},
	} {
		var got verdict
		needPeer(&got, tt.ci, tt.names...)
		if got != tt.want {
			t.Errorf("CI %v, %v: %+v, want %+v", tt.ci, tt.names, got, tt.want)
		}
	}
}
