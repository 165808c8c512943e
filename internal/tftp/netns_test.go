// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"nobodd/internal/testimg"
)

// network is a client, a router and a server, each in a network namespace of its own:
// 10.9.1.2 - 10.9.1.1, 10.9.2.1 - 10.9.2.2, and the same with fd09:1:: and fd09:2::. The router's
// link to the client has another MTU.
type network struct {
	*testing.T
	client, router, server string // names of the namespaces
}

var networks atomic.Int32

func newNetwork(t *testing.T, mtu int) *network {
	t.Helper()
	if testing.Short() {
		t.Skip("needs more than Go")
	}
	testimg.NeedPeer(t, "ip", "nft", "sysctl")
	id := fmt.Sprintf("tftp%d-%d", os.Getpid(), networks.Add(1))
	n := &network{T: t, client: id + "c", router: id + "r", server: id + "s"}
	for _, ns := range []string{n.client, n.router, n.server} {
		if out, err := exec.Command("ip", "netns", "add", ns).CombinedOutput(); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("cannot make network namespaces, which CI must: %s", out)
			}
			t.Skipf("cannot make network namespaces: %s", out)
		}
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		n.in(ns, "ip link set lo up")
	}
	n.run("ip link add v1 netns %s type veth peer name v0 netns %s", n.router, n.client)
	n.run("ip link add v2 netns %s type veth peer name v0 netns %s", n.router, n.server)
	for _, link := range []struct {
		ns, name string
		net, mtu int
		host     int
	}{{n.client, "v0", 1, mtu, 2}, {n.router, "v1", 1, mtu, 1}, {n.router, "v2", 2, 1500, 1}, {n.server, "v0", 2, 1500, 2}} {
		n.in(link.ns, "ip addr add 10.9.%d.%d/24 broadcast + dev %s", link.net, link.host, link.name)
		n.in(link.ns, "ip addr add fd09:%d::%d/64 dev %s nodad", link.net, link.host, link.name)
		n.in(link.ns, "ip link set %s mtu %d up", link.name, link.mtu)
	}
	n.in(n.router, "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	n.in(n.client, "ip route add default via 10.9.1.1")
	n.in(n.client, "ip route add default via fd09:1::1")
	n.in(n.server, "ip route add default via 10.9.2.1")
	n.in(n.server, "ip route add default via fd09:2::1")
	return n
}

func (n *network) run(format string, args ...any) {
	n.Helper()
	fields := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(fields[0], fields[1:]...).CombinedOutput(); err != nil {
		n.Fatalf("%s: %v\n%s", strings.Join(fields, " "), err, out)
	}
}

func (n *network) in(ns, format string, args ...any) {
	n.Helper()
	n.run("ip netns exec "+ns+" "+format, args...)
}

// filter has a namespace drop what matches an nft expression and arrives there, or passes through.
func (n *network) filter(ns, match string) {
	n.Helper()
	n.in(ns, "nft add table inet t")
	for _, hook := range []string{"input", "forward"} {
		n.in(ns, "nft add chain inet t %s { type filter hook %[1]s priority 0 ; }", hook)
		n.in(ns, "nft add rule inet t %s %s drop", hook, match)
	}
}

// do calls f in a namespace. Sockets that f opens belong there for good.
func (n *network) do(ns string, f func()) {
	n.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with this goroutine
		fd, err := os.Open(filepath.Join("/run/netns", ns))
		if err == nil {
			err = unix.Setns(int(fd.Fd()), unix.CLONE_NEWNET)
			fd.Close()
		}
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		n.Fatal(err)
	}
}

// serve starts a server of a file. Its transfers open their sockets in the goroutine that accepts.
func (n *network) serve(addr string, file File) *server {
	n.Helper()
	s := newServer(n.T, file)
	ready := make(chan error)
	s.all.Go(func() {
		n.do(n.server, func() {
			var err error
			s.l, _, err = Listen(netip.MustParseAddr(addr), 6969)
			ready <- err
			if err == nil {
				s.accept()
			}
		})
	})
	if err := <-ready; err != nil {
		n.Fatal(err)
	}
	return s
}

func (n *network) asks(s *server, addr string) *client {
	n.Helper()
	c := &client{T: n.T, server: netip.AddrPortFrom(netip.MustParseAddr(addr), 6969)}
	n.do(n.client, func() {
		var err error
		if c.conn, err = net.ListenUDP("udp", nil); err != nil {
			n.Error(err)
		}
	})
	if c.conn == nil {
		n.FailNow()
	}
	n.Cleanup(func() { c.conn.Close() })
	return c
}

// TestRouter: a router on the way has an MTU of 1400. By IPv4 it breaks packets up, even if it may
// not say so; by IPv6 it says so, and where that is filtered smaller blocks help.
func TestRouter(t *testing.T) {
	const packetTooBig = "icmpv6 type packet-too-big"
	for _, tt := range []struct {
		name     string
		filtered string // at the server
		addr     string
		maxBlock int
		block    int
		window   int
	}{
		{"IPv4", "", "10.9.2.2", 0, 1468, 1},
		{"IPv4, ICMP filtered", "icmp type destination-unreachable", "10.9.2.2", 0, 1468, 1},
		{"IPv4 by windows", "", "10.9.2.2", 0, 1468, 16},
		{"IPv6", "", "fd09:2::2", 0, 1448, 1},
		{"IPv6 by windows", "", "fd09:2::2", 0, 1448, 16},
		{"IPv6, Packet Too Big filtered", packetTooBig, "fd09:2::2", 1228, 1228, 1},
		{"IPv6, Packet Too Big filtered, by windows", packetTooBig, "fd09:2::2", 1228, 1228, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 1400)
			if tt.filtered != "" {
				n.filter(n.server, tt.filtered)
			}
			data := noise(100 * 1468)
			file := of(data)
			file.MaxBlock = tt.maxBlock
			s := n.serve("::", file)
			for range 2 { // the second transfer knows the route
				c := n.asks(s, tt.addr)
				c.request("octet", "blksize 1468", fmt.Sprint("windowsize ", tt.window))
				p, ok := c.receive(soon)
				if !ok {
					t.Fatal("no OACK")
				}
				block, window := terms(t, p)
				if block > tt.block || window != tt.window || c.peer.Addr().String() != tt.addr {
					t.Errorf("received %s from %v, want blksize=%d at most", packetText(p), c.peer, tt.block)
				}
				c.ack(0)
				if got, why := c.finish(block, window); why != "" || !bytes.Equal(got, data) {
					t.Errorf("got %d bytes of %d, %s", len(got), len(data), why)
				}
			}
		})
	}
}

// TestFragmentsAllowed: no IPv4 packet carries DF, those of the listening socket neither.
func TestFragmentsAllowed(t *testing.T) {
	n := newNetwork(t, 1500)
	n.filter(n.router, "ip saddr 10.9.2.2 ip frag-off & 0x4000 != 0")
	s := n.serve("::", of(noise(3000)))
	c := n.asks(s, "10.9.2.2")
	c.request("octet", "blksize 1468")
	c.want("blksize=1468")
	c.ack(0)
	if got, why := c.finish(1468, 1); why != "" || len(got) != 3000 {
		t.Errorf("got %d bytes, %s", len(got), why)
	}
	c.request("mail")
	c.want("ERROR 4 unknown transfer mode")
}

// TestLosses: with one packet in ten lost in each direction by the router every window completes.
func TestLosses(t *testing.T) {
	n := newNetwork(t, 1500)
	n.filter(n.router, "udp dport >= 1 numgen random mod 10 0")
	data := noise(60000)
	s := n.serve("::", of(data))
	for _, addr := range []string{"10.9.2.2", "fd09:2::2"} {
		for _, window := range []int{1, 2, 4, 16, 64} {
			c := n.asks(s, addr)
			t.Run(fmt.Sprintf("%s by %d", addr, window), func(t *testing.T) {
				c.T = t
				if got := c.insist(512, window); !bytes.Equal(got, data) {
					t.Errorf("got %d bytes of %d", len(got), len(data))
				}
			})
		}
	}
}

// TestRouteComesBack: a transfer outlives that its packets cannot be sent for a while.
func TestRouteComesBack(t *testing.T) {
	n := newNetwork(t, 1500)
	data := noise(20 * 512)
	s := n.serve("::", of(data))
	for _, tt := range []struct {
		family, addr, router string
		window               int
	}{{"-4", "10.9.2.2", "10.9.2.1", 1}, {"-6", "fd09:2::2", "fd09:2::1", 4}} {
		c := n.asks(s, tt.addr)
		c.request("octet", fmt.Sprint("windowsize ", tt.window))
		c.want(fmt.Sprint("windowsize=", tt.window))
		n.in(n.server, "ip %s route del default", tt.family)
		c.ack(0)
		c.receive(100 * time.Millisecond) // nothing, or the OACK once more
		n.in(n.server, "ip %s route add default via %s", tt.family, tt.router)
		if got, why := c.finish(512, tt.window); why != "" || !bytes.Equal(got, data) {
			t.Errorf("%s: got %d bytes of %d, %s", tt.addr, len(got), len(data), why)
		}
		s.wantEnd(fmt.Sprintf("%d bytes, <nil>", len(data)))
	}
}

// TestAddressComes: an address is listened on before the machine has it.
func TestAddressComes(t *testing.T) {
	n := newNetwork(t, 1500)
	for _, addr := range []string{"10.9.2.77", "fd09:2::77"} {
		s := n.serve(addr, of(noise(700)))
		n.in(n.server, "ip addr add %s dev v0", addr)
		c := n.asks(s, addr)
		for { // until the router knows that it is there
			c.request("octet", "tsize 0")
			if p, ok := c.receive(time.Second); ok && packetText(p) == "tsize=700" {
				break
			}
		}
		c.reply(opError, 0, "\x00")
		s.wantEnd(`0 bytes, client said "" (0)`)
		s.l.Close()
	}
}

// TestBroadcastAddress: nothing is answered that was sent to all of the network.
func TestBroadcastAddress(t *testing.T) {
	n := newNetwork(t, 1500)
	n.in(n.router, "sysctl -qw net.ipv4.conf.all.bc_forwarding=1 net.ipv4.conf.v1.bc_forwarding=1")
	s := n.serve("::", of(noise(700)))
	all := n.asks(s, "10.9.2.255")
	all.request("octet", "tsize 0")
	all.wantNothing()
	one := n.asks(s, "10.9.2.2")
	one.request("octet", "tsize 0")
	one.want("tsize=700")
	one.reply(opError, 0, "\x00")
	s.wantEnd(`0 bytes, client said "" (0)`)
}
