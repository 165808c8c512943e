// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBuffer is how many bytes of requests may wait in the kernel, so that a rack of boards can
// be switched on at once.
const receiveBuffer = 1 << 20

// control calls f with the descriptor of a connection.
func control(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(cerr, err)
}

// freeBind lets a socket be bound to an address that the machine does not have. ip(7)
func freeBind(_, _ string, c syscall.RawConn) error {
	var err error
	cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
	return errors.Join(cerr, err)
}

// both sets an option of a socket for IPv6 and for IPv4. On a socket of one family one of them fails.
func both(fd, option6, value6, option4, value4 int) error {
	err6 := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, option6, value6)
	err4 := unix.SetsockoptInt(fd, unix.IPPROTO_IP, option4, value4)
	if err6 != nil {
		return err4
	}
	return nil
}

// fragment lets packets be fragmented on their way: none carries DF. ip(7), ipv6(7)
func fragment(fd int) error {
	return both(fd, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
}

// receive and transmit read and write a packet by a system call that the Go scheduler is not told of:
// on a socket that does not block it has nothing to do meanwhile, and would start other threads all
// the same.
func receive(fd uintptr, p []byte) (int, error) { return rawIO(unix.SYS_READ, fd, p) }

func transmit(fd uintptr, p []byte) error {
	_, err := rawIO(unix.SYS_WRITE, fd, p)
	return err
}

func rawIO(call, fd uintptr, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// prepare has the kernel say of each packet that comes where it was sent to, and when it came.
func prepare(conn *net.UDPConn) error {
	return control(conn, func(fd int) error {
		if err := errors.Join(fragment(fd), both(fd, unix.IPV6_RECVPKTINFO, 1, unix.IP_PKTINFO, 1)); err != nil {
			return err
		}
		// The rest is worth having, and not needed.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, 1)
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
		}
		return nil
	})
}

// readDetails reads the control messages that came with a packet. The error is ErrBroadcast.
func (r *Request) readDetails(oob []byte) error {
	r.received = time.Now()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	is4 := r.Client.Addr().Is4()
	for _, m := range messages {
		kind, data := [2]int32{m.Header.Level, m.Header.Type}, m.Data
		switch {
		case kind == [2]int32{unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW} && len(data) >= 16:
			// struct __kernel_timespec
			r.received = time.Unix(int64(binary.NativeEndian.Uint64(data)), int64(binary.NativeEndian.Uint64(data[8:])))
		case kind == [2]int32{unix.IPPROTO_IP, unix.IP_PKTINFO} && is4 && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, local address, destination in the header. The local
			// address is 0 in a packet that came before we asked for this information.
			local, dest := netip.AddrFrom4([4]byte(data[4:8])), netip.AddrFrom4([4]byte(data[8:12]))
			if local != dest && !local.IsUnspecified() {
				return ErrBroadcast
			}
			r.server = dest
		case kind == [2]int32{unix.IPPROTO_IPV6, unix.IPV6_PKTINFO} && !is4 && len(data) >= unix.SizeofInet6Pktinfo:
			r.server = netip.AddrFrom16([16]byte(data[:16]))
			if r.server.IsLinkLocalUnicast() { // is one of an interface; a number does for its name
				r.ifindex = binary.NativeEndian.Uint32(data[16:20])
				r.server = r.server.WithZone(strconv.Itoa(int(r.ifindex)))
			}
		}
	}
	if r.server.IsMulticast() {
		return ErrBroadcast
	}
	return nil
}

// sourceMessage is the control message that makes a packet leave from the address that the request
// was sent to.
func (r *Request) sourceMessage() []byte {
	switch {
	case r.server.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: r.server.As4()})
	case r.server.Is6():
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: r.server.As16(), Ifindex: r.ifindex})
	}
	return nil
}

// largestBlock returns the block size whose packets fit into the route's MTU, as far as the kernel
// knows it, and most, unless that is 0.
func (t *Transfer) largestBlock(most int) int {
	level, option := unix.IPPROTO_IP, unix.IP_MTU
	is6 := t.request.Client.Addr().Is6()
	if is6 {
		level, option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	mtu := 0 // if the kernel does not know
	_ = control(t.conn, func(fd int) (err error) {
		mtu, err = unix.GetsockoptInt(fd, level, option)
		return err
	})
	fits := blockWithin(mtu, is6)
	if most > 0 {
		fits = min(fits, most)
	}
	return fits
}

// blockWithin returns the block size whose packets are mtu bytes long, with the headers of IP (20
// or 40 bytes), UDP (8) and TFTP (4): 1468 over Ethernet by IPv4.
func blockWithin(mtu int, is6 bool) int {
	headers := 20 + 8 + headerSize
	if is6 {
		headers = 40 + 8 + headerSize
	}
	return max(mtu-headers, defaultBlockSize)
}
