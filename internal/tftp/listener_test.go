// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// received waits for the next packet of a listener.
func received(t *testing.T, l *Listener) *Request {
	t.Helper()
	r, err := l.Receive()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRepeats: the time that counts is that of the kernel. A request that waited in the socket while
// the first acknowledgement was read is a repetition all the same; one that came after it is not.
func TestRepeats(t *testing.T) {
	s := newServer(t, of(noise(3000)))
	l, _, err := Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.l = l // that accepts only what this test wants
	waitForStamps(t, s)
	c := s.client()
	c.request("octet", "tsize 0")
	first := received(t, l)
	transfer, err := l.Accept(first, Ports{})
	if err != nil {
		t.Fatal(err)
	}
	s.all.Go(func() {
		defer transfer.Close()
		p, err := transfer.Send(s.ctx, s.file)
		s.ended <- ending{p, err}
	})
	c.want("tsize=3000")
	c.request("octet", "tsize 0")
	if !transfer.Repeats(received(t, l)) {
		t.Error("before an acknowledgement: no repetition")
	}
	c.request("octet", "tsize 0")
	c.request("octet", "tsize 1")
	c.ack(0)
	c.want("DATA 1 of 512 bytes")
	c.request("octet", "tsize 0")
	for _, tt := range []struct {
		what string
		want bool
	}{{"one that waited", true}, {"another that waited", false}, {"one that came after", false}} {
		if got := transfer.Repeats(received(t, l)); got != tt.want {
			t.Errorf("%s: a repetition: %v, want %v", tt.what, got, tt.want)
		}
	}
	other := s.client()
	other.request("octet", "tsize 0")
	if transfer.Repeats(received(t, l)) {
		t.Error("the request of another client is a repetition")
	}
}

// TestRepeatsAfterError: a client's ERROR is an answer too, after which it may ask the same anew.
func TestRepeatsAfterError(t *testing.T) {
	s := newServer(t, of(noise(3000)))
	var err error
	if s.l, _, err = Listen(netip.MustParseAddr("127.0.0.1"), 0); err != nil {
		t.Fatal(err)
	}
	waitForStamps(t, s)
	c := s.client()
	c.request("octet", "tsize 0")
	transfer, err := s.l.Accept(received(t, s.l), Ports{})
	if err != nil {
		t.Fatal(err)
	}
	defer transfer.Close()
	s.all.Go(func() {
		p, err := transfer.Send(s.ctx, s.file)
		s.ended <- ending{p, err}
	})
	c.want("tsize=3000")
	c.reply(opError, 0, "Early terminate\x00")
	s.wantEnd(`0 bytes, client said "Early terminate" (0)`)
	c.request("octet", "tsize 0")
	if transfer.Repeats(received(t, s.l)) {
		t.Error("a repetition")
	}
}

// waitForStamps waits until the kernel says when packets came: it begins some time after it is asked
// to, and until then says when they were read.
func waitForStamps(t *testing.T, s *server) {
	t.Helper()
	const wait = 5 * time.Millisecond
	for deadline := time.Now().Add(soon); time.Now().Before(deadline); {
		s.client().request("octet")
		time.Sleep(wait)
		if r := received(t, s.l); time.Since(r.received) >= wait/2 {
			return
		}
	}
	t.Fatal("the kernel does not say when packets came")
}

// TestFreeBind: an address that this machine does not have is listened on all the same.
func TestFreeBind(t *testing.T) {
	for _, addr := range []string{"192.0.2.77", "2001:db8::77"} {
		l, absent, err := Listen(netip.MustParseAddr(addr), 0)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
			continue
		}
		if !absent || l.Addr().Addr().String() != addr {
			t.Errorf("%s: listens on %v, absent %v", addr, l.Addr(), absent)
		}
		l.Close()
	}
}

// TestListenTaken: what is wrong with a port is no reason to try again.
func TestListenTaken(t *testing.T) {
	l, _, err := Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := Listen(netip.MustParseAddr("127.0.0.1"), l.Addr().Port()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port that is taken: %v", err)
	}
}

// TestBroadcast: what was sent to more than this machine is no request.
func TestBroadcast(t *testing.T) {
	for _, listen := range []string{"0.0.0.0", "::"} {
		l, _, err := Listen(netip.MustParseAddr(listen), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for _, to := range []string{"127.255.255.255", "127.0.0.1"} {
			if _, err := conn.WriteToUDPAddrPort(rrq("x", "octet"), netip.AddrPortFrom(netip.MustParseAddr(to), l.Addr().Port())); err != nil {
				t.Fatal(err)
			}
			r, err := l.Receive()
			if want := to != "127.0.0.1"; errors.Is(err, ErrBroadcast) != want || r == nil {
				t.Errorf("listening on %s, sent to %s: %v", listen, to, err)
			}
		}
	}
}

// TestPorts: transfers use the ports of the range, each one, and no other.
func TestPorts(t *testing.T) {
	probe, _, err := Listen(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	low := probe.Addr().Port()&^3 - 4 // three that may be free below
	probe.Close()
	s := newServer(t, of(noise(3000)))
	s.ports = Ports{low, low + 2}
	s.start("127.0.0.1")
	seen := map[uint16]bool{}
	var last *client
	for range 3 {
		last = s.client()
		last.request("octet", "tsize 0")
		last.want("tsize=3000")
		seen[last.peer.Port()] = true
	}
	for port := low; port <= low+2; port++ {
		if !seen[port] {
			t.Errorf("ports used are %v, want %d to %d", seen, low, low+2)
		}
	}
	over := s.client()
	over.request("octet", "tsize 0")
	over.want(fmt.Sprintf("ERROR 0 %v", ErrPorts))
	last.reply(opError, 0, "\x00")
	s.wantEnd(`0 bytes, client said "" (0)`)
	for {
		over.request("octet", "tsize 0") // until the socket is closed
		if p, ok := over.receive(soon); ok && packetText(p) == "tsize=3000" {
			break
		}
	}
	if over.peer.Port() != last.peer.Port() {
		t.Errorf("the port that was given back is %d, used is %d", last.peer.Port(), over.peer.Port())
	}
}
