// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener is the socket that requests come to. Receive is for one goroutine, the other methods
// are for any.
type Listener struct {
	conn    *net.UDPConn
	buf     []byte
	oob     []byte
	running atomic.Int32 // transfers that send
}

// Listen opens a socket on an address, which "::" extends to IPv4, and a port, which may be 0 for a
// free one. Where this machine does not have the address yet, it is listened on all the same, and
// absent is true.
func Listen(addr netip.Addr, port uint16) (l *Listener, absent bool, err error) {
	network, at := "udp4", netip.AddrPortFrom(addr.Unmap(), port).String()
	switch {
	case addr == netip.IPv6Unspecified():
		network, at = "udp", fmt.Sprintf(":%d", port) // IPv4 too, and alone where IPv6 is off
	case addr.Unmap().Is6():
		network = "udp6"
	}
	var lc net.ListenConfig
	conn, err := lc.ListenPacket(context.Background(), network, at)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		lc.Control = freeBind
		conn, err = lc.ListenPacket(context.Background(), network, at)
		absent = true
	}
	if err != nil {
		return nil, false, err
	}
	l, err = newListener(conn.(*net.UDPConn))
	return l, absent, err
}

// Inherit takes over a socket from another program. It must be of datagrams and of an inet family.
// The caller may close f.
func Inherit(f *os.File) (*Listener, error) {
	kind, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, fmt.Errorf("%s is no socket", f.Name())
	}
	family, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || kind != unix.SOCK_DGRAM || family != unix.AF_INET && family != unix.AF_INET6 {
		return nil, fmt.Errorf("%s is no datagram socket of the internet", f.Name())
	}
	conn, err := net.FilePacketConn(f)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("%s is no UDP socket", f.Name())
	}
	return newListener(udp)
}

func newListener(conn *net.UDPConn) (*Listener, error) {
	l := &Listener{conn: conn, buf: make([]byte, maxRequest), oob: make([]byte, 256)}
	if err := prepare(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

// Addr returns where the socket listens.
func (l *Listener) Addr() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// Close closes the socket; a Receive that waits ends. The transfers go on.
func (l *Listener) Close() error { return l.conn.Close() }

// Receive waits for a packet. If the error is ErrNoRequest, ErrBroadcast, ErrWrite, ErrMode or
// ErrMalformed, the request says at least who sent it; any other one is the socket's.
func (l *Listener) Receive() (*Request, error) {
	n, oobn, _, from, err := l.conn.ReadMsgUDPAddrPort(l.buf, l.oob)
	if err != nil {
		return nil, err
	}
	r := &Request{Client: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	if err := r.readDetails(l.oob[:oobn]); err != nil {
		return r, err
	}
	return r, r.parse(l.buf[:n])
}

// Refuse answers a request that does not become a transfer: one packet from the address that was
// asked, and nothing is kept.
func (l *Listener) Refuse(r *Request, why *Refusal) {
	to := r.Client
	if l.conn.LocalAddr().(*net.UDPAddr).IP.To4() == nil {
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()).WithZone(to.Addr().Zone()), to.Port())
	}
	_, _, _ = l.conn.WriteMsgUDPAddrPort(why.packet(), r.sourceMessage(), to)
}

// Ports are those that transfers may use, both ends included. The zero value leaves the choice to
// the kernel.
type Ports struct{ Low, High uint16 }

// ErrPorts says that all ports are in use.
var ErrPorts = errors.New("no port is free")

// Accept opens the socket of a transfer: from the address that the request was sent to, to the
// client and nobody else.
func (l *Listener) Accept(r *Request, ports Ports) (*Transfer, error) {
	conn, err := r.dial(ports)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Transfer{request: r, conn: conn, raw: raw, running: &l.running}, nil
}

// dial tries the ports, beginning with any of them.
func (r *Request) dial(ports Ports) (*net.UDPConn, error) {
	n := int(ports.High) - int(ports.Low) + 1
	start := rand.IntN(n)
	for i := range n {
		port := int(ports.Low) + (start+i)%n
		conn, err := r.dialFrom(uint16(port))
		if ports == (Ports{}) || !errors.Is(err, unix.EADDRINUSE) {
			return conn, err
		}
	}
	return nil, ErrPorts
}

func (r *Request) dialFrom(port uint16) (*net.UDPConn, error) {
	network, from := "udp4", netip.IPv4Unspecified()
	if r.Client.Addr().Is6() {
		network, from = "udp6", netip.IPv6Unspecified()
	}
	if r.server.IsValid() {
		from = r.server
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) { err = fragment(int(fd)) })
		return errors.Join(cerr, err)
	}}
	return d.DialUDP(context.Background(), network, netip.AddrPortFrom(from, port), r.Client)
}
