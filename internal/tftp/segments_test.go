// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSegments: all packets of a window go out by few system calls, as they are; and one by one where
// the kernel does not know how.
func TestSegments(t *testing.T) {
	for _, tt := range []struct {
		size, packets, last int // bytes of a packet, packets, bytes of the last
		refused             bool
		left                int // packets left to be sent one by one
	}{
		{12, 64, 12, false, 0},
		{12, 64, 4, false, 0},
		{516, 3, 516, false, 0},
		{1472, 44, 1472, false, 0},
		{1472, 45, 1472, false, 1},
		{1472, 64, 4, false, 0},
		{2052, 64, 100, false, 0},
		{65468, 2, 65468, false, 2}, // no two of them fit into one
		{1472, 64, 1472, true, 64},
	} {
		to, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		to.SetReadBuffer(1 << 20)
		conn, err := net.DialUDP("udp4", nil, to.LocalAddr().(*net.UDPAddr))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if tt.refused { // the kernel wants to make checksums itself
			control(conn, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
		}
		p := noise((tt.packets-1)*tt.size + tt.last)
		s := segments{raw: raw, size: tt.size}
		left, err := s.send(p)
		if want := len(p) - (tt.packets-tt.left)*tt.size; err != nil || s.refused != tt.refused || len(left) != max(want, 0) {
			t.Errorf("%+v: refused %v, %d bytes left, %v", tt, s.refused, len(left), err)
			continue
		}
		buf := make([]byte, 65536)
		for sent := p[:len(p)-len(left)]; len(sent) > 0; {
			n, err := to.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if want := sent[:min(tt.size, len(sent))]; string(buf[:n]) != string(want) {
				t.Fatalf("%+v: a packet of %d bytes, want %d", tt, n, len(want))
			}
			sent = sent[n:]
		}
	}
}
