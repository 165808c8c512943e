// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The load client must be able to fail, or a benchmark says nothing about right bytes.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	want := noise(7, 300*blockSize)
	if err := os.WriteFile(filepath.Join(dir, "file"), want, 0o666); err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &server{addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)}
	go serveBare(s.addr.String(), dir)
	if err := s.ready(); err != nil {
		t.Fatal(err)
	}
	if took, err := load(s.addr, "file", want, 8); err != nil || took <= 0 {
		t.Errorf("8 clients: %v, %v", took, err)
	}
	other := append([]byte{}, want...)
	other[200*blockSize]++
	for _, tt := range []struct {
		name, file string
		want       []byte
		err        string
	}{
		{"another byte", "file", other, "wrong bytes"},
		{"a longer file", "file", want[:len(want)-1], "wrong bytes"},
		{"a shorter file", "file", append(want[:len(want):len(want)], 1), "the file ends too early"},
		{"no file", "nonesuch", want, "error 1"},
	} {
		if _, err := load(s.addr, tt.file, tt.want, 2); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}
