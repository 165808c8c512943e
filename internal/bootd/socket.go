// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"nobodd/internal/config"
)

// receiveBuffer is how many bytes of requests may wait in the kernel, so that a rack of
// boards can be switched on at once.
const receiveBuffer = 1 << 20

// Listen opens the socket that the configuration asks for.
func Listen(cfg *config.Config) (*net.UDPConn, error) {
	switch cfg.Listen {
	case config.Stdin:
		return inherit(os.Stdin)
	case config.Systemd:
		files := activation.Files(true)
		if len(files) != 1 {
			return nil, fmt.Errorf("systemd passed %d sockets, and not one", len(files))
		}
		defer files[0].Close()
		return inherit(files[0])
	}
	ip, err := netip.ParseAddr(cfg.Listen)
	if err != nil {
		return nil, err
	}
	network, host := "udp4", cfg.Listen
	switch {
	case ip == netip.IPv6Unspecified():
		network, host = "udp", "" // IPv4 too, and alone where IPv6 is off
	case ip.Is6() && !ip.Is4In6():
		network = "udp6"
	}
	addr, err := net.ResolveUDPAddr(network, net.JoinHostPort(host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, err
	}
	return net.ListenUDP(network, addr)
}

// inherit makes sure that a socket from another program is what it ought to be.
func inherit(f *os.File) (*net.UDPConn, error) {
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
	return udp, nil
}

// listener receives requests with the address that each was sent to.
type listener struct {
	*net.UDPConn
	oob []byte
}

// route is the way that a request came, and its answers go back.
type route struct {
	client netip.AddrPort
	server netip.Addr // the zero Addr if the kernel did not say
}

func newListener(conn *net.UDPConn) (*listener, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var errs [2]error
	err = raw.Control(func(fd uintptr) {
		errs[0] = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		errs[1] = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	})
	if err == nil && errs[0] != nil && errs[1] != nil { // one fails on a socket of one family
		err = errs[1]
	}
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(receiveBuffer) // the kernel may give less
	return &listener{conn, make([]byte, 256)}, nil
}

// errBroadcast says that a request was not sent to this machine alone. RFC 1123, 4.2.3.5
// wants no answer to that.
var errBroadcast = errors.New("sent to a broadcast address")

// receive gives a packet, cut to the length of buf, and its way.
func (l *listener) receive(buf []byte) (int, route, error) {
	n, oobn, _, from, err := l.ReadMsgUDPAddrPort(buf, l.oob)
	if err != nil {
		return 0, route{}, err
	}
	r := route{client: netip.AddrPortFrom(from.Addr().Unmap(), from.Port())}
	r.server, err = destination(l.oob[:oobn], r.client.Addr())
	return n, r, err
}

// destination reads from the control messages which address a packet was sent to.
func destination(oob []byte, client netip.Addr) (netip.Addr, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return netip.Addr{}, nil
	}
	for _, m := range messages {
		switch {
		case client.Is4() && m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, local address, destination in the header. The local
			// address is 0 in a packet that came before we asked for this information.
			local, dest := netip.AddrFrom4([4]byte(m.Data[4:8])), netip.AddrFrom4([4]byte(m.Data[8:12]))
			if dest.IsMulticast() || local != dest && !local.IsUnspecified() {
				return netip.Addr{}, errBroadcast
			}
			return dest, nil
		case client.Is6() && m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			dest := netip.AddrFrom16([16]byte(m.Data[:16]))
			if dest.IsMulticast() {
				return netip.Addr{}, errBroadcast
			}
			if dest.IsLinkLocalUnicast() {
				dest = dest.WithZone(zone(m.Data[16:20]))
			}
			return dest, nil
		}
	}
	return netip.Addr{}, nil
}

// zone names the interface of a struct in6_pktinfo.
func zone(index []byte) string {
	i := int(binary.NativeEndian.Uint32(index))
	if ifi, err := net.InterfaceByIndex(i); err == nil {
		return ifi.Name
	}
	return strconv.Itoa(i)
}

// refuse answers a request from the listening socket itself: one packet and nothing kept.
func (l *listener) refuse(r route, why *refusal) {
	var oob []byte
	if ip := r.server.AsSlice(); r.server.Is4() {
		oob = (&ipv4.ControlMessage{Src: ip}).Marshal()
	} else if r.server.Is6() {
		oob = (&ipv6.ControlMessage{Src: ip}).Marshal()
	}
	to := r.client
	if l.is6() {
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()).WithZone(to.Addr().Zone()), to.Port())
	}
	_, _, _ = l.WriteMsgUDPAddrPort(why.packet(), oob, to)
}

func (l *listener) is6() bool { return l.LocalAddr().(*net.UDPAddr).IP.To4() == nil }

// dial opens a socket for one transfer: from the address that the request was sent to, to
// the client and nobody else.
func (r route) dial() (*net.UDPConn, error) {
	network, local := "udp4", (*net.UDPAddr)(nil)
	if r.client.Addr().Is6() {
		network = "udp6"
	}
	if r.server.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(r.server, 0))
	}
	return net.DialUDP(network, local, net.UDPAddrFromAddrPort(r.client))
}

// largestBlock gives the block size whose packets fit into the route's MTU.
func (r route) largestBlock(conn *net.UDPConn) int {
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	if r.client.Addr().Is6() {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return defaultBlockSize
	}
	mtu := 0 // if the kernel does not tell
	_ = raw.Control(func(fd uintptr) { mtu, _ = unix.GetsockoptInt(int(fd), level, option) })
	return blockWithin(mtu, r.client.Addr().Is6())
}

// blockWithin gives the block size whose packets are mtu bytes long, with the headers of
// IP (20 or 40 bytes), UDP (8) and TFTP (4): 1468 over Ethernet by IPv4.
func blockWithin(mtu int, is6 bool) int {
	headers := 20 + 8 + 4
	if is6 {
		headers = 40 + 8 + 4
	}
	return max(mtu-headers, defaultBlockSize)
}
