// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"nobodd/internal/tftp"
)

// The load client must be able to fail, or a benchmark says nothing about right bytes.
func TestLoad(t *testing.T) {
	want := noise(7, 300*blockSize)
	addr := serveFile(t, "file", want)
	for _, l := range []load{{"", want, 8, 1}, {"", want, 2, 16}} {
		if took, err := l.run(addr, "file"); err != nil || took <= 0 {
			t.Errorf("%d clients by windows of %d: %v, %v", l.clients, l.window, took, err)
		}
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
		for _, window := range []int{1, 16} {
			if _, err := (load{"", tt.want, 2, window}).run(addr, tt.file); err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
			}
		}
	}
}

// serveFile starts a server of one file.
func serveFile(t *testing.T, name string, data []byte) netip.AddrPort {
	t.Helper()
	l, _, err := tftp.Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			r, err := l.Receive()
			if err != nil {
				return
			}
			if r.Name != name {
				l.Refuse(r, &tftp.Refusal{Code: tftp.CodeNotFound, Text: "none"})
				continue
			}
			transfer, err := l.Accept(r, tftp.Ports{})
			if err != nil {
				t.Error(err)
				return
			}
			go func() {
				defer transfer.Close()
				transfer.Send(context.Background(), tftp.File{ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
			}()
		}
	}()
	return l.Addr()
}
