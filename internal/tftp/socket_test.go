// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLargestBlock: what fits into the MTU of the route, by IPv4 and IPv6.
func TestLargestBlock(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip("no loopback interface of that name")
	}
	for addr, want := range map[string]int{
		"127.0.0.1": min(lo.MTU, 65535) - 32, // no IPv4 packet is larger
		"::1":       lo.MTU - 52,
	} {
		r := &Request{Client: netip.AddrPortFrom(netip.MustParseAddr(addr), 9)}
		transfer, err := new(Listener).Accept(r, Ports{})
		if err != nil {
			t.Logf("%s: %v", addr, err)
			continue
		}
		defer transfer.Close()
		for most, want := range map[int]int{0: want, 1228: 1228, 100: 100, 1 << 20: want} {
			if got := transfer.largestBlock(most); got != want {
				t.Errorf("largest block to %s is %d, want %d", addr, got, want)
			}
		}
	}
}

func TestBlockWithin(t *testing.T) {
	for _, tt := range []struct {
		mtu  int
		is6  bool
		want int
	}{
		{1500, false, 1468},
		{1500, true, 1448},
		{9000, false, 8968},
		{576, false, 544},
		{500, false, 512}, // in two pieces then
		{0, true, 512},
	} {
		if got := blockWithin(tt.mtu, tt.is6); got != tt.want {
			t.Errorf("block within %d (IPv6: %v) is %d, want %d", tt.mtu, tt.is6, got, tt.want)
		}
	}
}

// TestInherit: only a datagram socket of an inet family will do.
func TestInherit(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[1])
	stream, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	good, err := udp.File()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		f    *os.File
		want string
	}{
		{os.NewFile(uintptr(pair[0]), "/dev/stdin"), "/dev/stdin is no datagram socket of the internet"},
		{os.NewFile(uintptr(stream), "LISTEN_FD_3"), "LISTEN_FD_3 is no datagram socket of the internet"},
		{null, "/dev/null is no socket"},
		{good, ""},
	} {
		l, err := Inherit(tt.f)
		tt.f.Close()
		if err == nil {
			if got := l.Addr().String(); got != udp.LocalAddr().String() {
				t.Errorf("inherited %s, want %s", got, udp.LocalAddr())
			}
			l.Close()
			err = errors.New("")
		}
		if err.Error() != tt.want {
			t.Errorf("%s: got %q, want %q", tt.f.Name(), err, tt.want)
		}
	}
}

// TestWithoutCapabilities: who may do nothing that others may not can serve all the same, on a socket
// of its own and on one that it was passed.
func TestWithoutCapabilities(t *testing.T) {
	data := noise(700)
	passed, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer passed.Close()
	f, err := passed.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, listen := range map[string]func() (*Listener, error){
		"its own": func() (*Listener, error) {
			l, _, err := Listen(netip.MustParseAddr("127.0.0.1"), 0)
			return l, err
		},
		"passed": func() (*Listener, error) { return Inherit(f) },
	} {
		s := newServer(t, of(data))
		ready := make(chan error)
		s.all.Go(func() {
			runtime.LockOSThread() // for good: the thread, which has no rights, ends with this goroutine
			var none [2]unix.CapUserData
			err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
			if err == nil {
				s.l, err = listen()
			}
			ready <- err
			if err == nil {
				s.accept()
			}
		})
		if err := <-ready; err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := s.client()
		c.request("octet", "windowsize 4")
		c.want("windowsize=4")
		c.ack(0)
		if got, why := c.finish(512, 4); why != "" || !bytes.Equal(got, data) {
			t.Errorf("%s: got %d bytes of %d, %s", name, len(got), len(data), why)
		}
	}
}
