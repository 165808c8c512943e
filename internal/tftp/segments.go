// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"encoding/binary"
	"errors"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// One call sends at most so many packets, and bytes of them: the kernel's UDP_MAX_SEGMENTS when
// it learned this, and what an IPv4 packet holds after its headers.
const (
	maxSegments     = 64
	maxSegmentBytes = 65507
)

// segments sends many packets by one system call (UDP_SEGMENT, Linux 4.18). Where that does not
// work, as over a route whose MTU a packet does not fit into, it sends nothing from then on.
type segments struct {
	raw     syscall.RawConn
	size    int // bytes of a packet; the last one may have fewer
	refused bool
	control []byte // the control message with the size
}

// send sends packets from the beginning of p and returns those that are left to be sent one by one.
// The error is that of the socket.
func (s *segments) send(p []byte) (left []byte, err error) {
	most := min(maxSegments, maxSegmentBytes/s.size) * s.size
	if most <= s.size {
		return p, nil
	}
	for len(p) > s.size && !s.refused {
		n := min(most, len(p))
		err := s.sendOnce(p[:n])
		switch {
		case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIO) || errors.Is(err, unix.EMSGSIZE):
			s.refused = true
			return p, nil
		case err != nil && !passing(err):
			return p, err
		}
		p = p[n:]
	}
	return p, nil
}

func (s *segments) sendOnce(p []byte) error {
	if s.control == nil {
		s.control = segmentSize(uint16(s.size))
	}
	var err error
	werr := s.raw.Write(func(fd uintptr) bool {
		_, err = unix.SendmsgN(int(fd), p, s.control, nil, 0)
		return err != unix.EAGAIN
	})
	if werr != nil {
		return werr
	}
	return err
}

// segmentSize returns the control message that udp(7) calls UDP_SEGMENT.
func segmentSize(n uint16) []byte {
	b := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(b[unix.CmsgLen(0):], n)
	return b
}
