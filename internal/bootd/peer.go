// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pin/tftp/v3"
)

const (
	patience = 700 * time.Millisecond // for an answer; a Pi 3 gives up after about a second
	maxSends = 6                      // of one packet
)

var (
	errTimeout    = errors.New("no answer")
	errGone       = errors.New("client is gone")
	errSuperseded = errors.New("client asked for something else")
	errDone       = errors.New("transfer is over")
)

// clientError is an ERROR packet from the client.
type clientError struct {
	code uint16
	text string
}

func (e *clientError) Error() string {
	return fmt.Sprintf("client said %q (%d)", shown(e.text), e.code)
}

// peer is the client of one transfer as pin/tftp sees it: a net.PacketConn on which one
// request comes, and each packet sent is acknowledged. Behind that it has a socket
// connected to the client, sends each packet until it is answered, and lets no other
// packet through.
//
// The library does the same itself. But it does so on sockets of its own, from which a
// reply may leave by another address than the request came to, and which cannot be told
// when to stop; it answers a client that breaks off with an ERROR; and in the mode that
// takes any net.PacketConn it panics if an answer arrives while it gives up waiting for it.
type peer struct {
	conn      *net.UDPConn
	request   []byte
	answer    []byte      // buffer for packets from the client
	reads     int         // calls of ReadFrom
	acked     chan uint16 // the answered block, for the library; one at most, so that a send never waits
	done      chan struct{}
	cancelled atomic.Pointer[error]
	server    *tftp.Server
	block     uint16 // sent last
	opening   bool   // the client has not acknowledged anything yet
	failure   error  // why the transfer ended early, if not for the file
}

func newPeer(conn *net.UDPConn) *peer {
	return &peer{
		conn:    conn,
		answer:  make([]byte, 576),
		acked:   make(chan uint16, 1),
		done:    make(chan struct{}),
		opening: true,
	}
}

// send transfers size bytes of r as req asks for it and gives the number of bytes sent,
// with what netascii adds.
func (p *peer) send(req request, r io.Reader, size int64) (n int64, err error) {
	handler := func(_ string, to io.ReaderFrom) error {
		defer close(p.done)
		defer p.tellPanic(&err)
		defer recovered(&err)
		n, err = to.ReadFrom(r)
		return err
	}
	p.request = req.forLibrary(size)
	p.server = tftp.NewServer(handler, nil)
	p.server.EnableSinglePort()             // with a PacketConn of ours
	p.server.SetBlockSizeNegotiation(false) // it knows no MTU there
	p.server.SetBlockSize(req.blksize)      // no effect at 512 and below
	p.server.SetTimeout(time.Hour)          // WriteTo looks after that
	if serr := p.server.Serve(p); err == nil {
		err = serr
	}
	if p.failure != nil {
		err = p.failure
	}
	return n, err
}

// panicError is a panic that was caught.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("internal error: %v", e.value) }

// recovered turns a panic into an error.
func recovered(err *error) {
	if v := recover(); v != nil {
		*err = &panicError{v, debug.Stack()}
	}
}

// tellPanic tells the client of an error that the library does not know of.
func (p *peer) tellPanic(err *error) {
	if errors.As(*err, new(*panicError)) {
		p.refuse(*err)
	}
}

// cancel ends the transfer, now or when it begins. errStopping is told to the client.
func (p *peer) cancel(why error) {
	p.cancelled.Store(&why)
	p.conn.SetReadDeadline(time.Unix(1, 0))
}

// WriteTo sends a packet of the library and waits until the client has answered it.
func (p *peer) WriteTo(b []byte, _ net.Addr) (int, error) {
	switch binary.BigEndian.Uint16(b) {
	case opError:
		p.sayWhy()
		return len(b), nil
	case opOAck:
		p.block = 0
		b = bytes.Replace(b, []byte("tsize\x00"+zeroSize+"\x00"), []byte("tsize\x000\x00"), 1)
	default:
		p.block = binary.BigEndian.Uint16(b[2:])
	}
	if p.failure = p.exchange(b); p.failure != nil {
		return 0, p.failure
	}
	p.opening = false
	p.acked <- p.block
	return len(b), nil
}

// refuse tells the client why it gets no more, if the library does not.
func (p *peer) refuse(err error) {
	p.failure = err
	if why := p.cancelled.Load(); why != nil {
		p.failure = *why
	}
	p.sayWhy()
}

// sayWhy tells the client why it gets no more, unless it was the client that ended it. What
// is wrong with an image, and the library's own texts, are not for the client.
func (p *peer) sayWhy() {
	why := errUnreadable
	switch {
	case errors.As(p.failure, &why):
	case errors.As(p.failure, new(*panicError)):
		why = errServer
	case p.clientEnded():
		return
	}
	p.conn.Write(why.packet())
}

func (p *peer) clientEnded() bool {
	var said *clientError
	for _, err := range []error{errTimeout, errGone, errSuperseded} {
		if errors.Is(p.failure, err) {
			return true
		}
	}
	return errors.As(p.failure, &said)
}

// exchange sends b until it is acknowledged. Its errors are none that the library would
// try again after (net.Error).
func (p *peer) exchange(b []byte) error {
	for range maxSends {
		if why := p.cancelled.Load(); why != nil {
			return *why
		}
		if _, err := p.conn.Write(b); err != nil && !passing(err) {
			return socketError(err)
		}
		answered, err := p.await()
		if answered || err != nil {
			return err
		}
	}
	return errTimeout
}

// await waits for the acknowledgement of the last packet and tells whether it came in time.
// An older one, sent twice, must not make us send anything twice.
func (p *peer) await() (answered bool, err error) {
	p.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		if why := p.cancelled.Load(); why != nil {
			return false, *why
		}
		n, err := p.conn.Read(p.answer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			if p.cancelled.Load() != nil {
				continue
			}
			return false, nil
		case err != nil && !passing(err):
			return false, socketError(err)
		case n < 4:
			continue
		}
		op, arg := binary.BigEndian.Uint16(p.answer), binary.BigEndian.Uint16(p.answer[2:])
		if op == opAck && arg == p.block {
			return true, nil
		}
		if op == opError {
			text, _, _ := bytes.Cut(p.answer[4:n], []byte{0})
			return false, &clientError{arg, string(text)}
		}
	}
}

// passing tells whether an error of the socket may pass like a lost packet.
func passing(err error) bool {
	for _, e := range []error{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.EPERM, syscall.ENOBUFS} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func socketError(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errGone
	}
	return fmt.Errorf("socket: %w", err)
}

// somebody stands for the client: the library makes a text of its address for each packet.
var somebody = &net.UDPAddr{Port: 1}

// ReadFrom gives the library the request, then the acknowledgement of each packet once.
func (p *peer) ReadFrom(b []byte) (int, net.Addr, error) {
	if p.reads++; p.reads == 1 {
		return copy(b, p.request), somebody, nil
	}
	if p.reads == 2 {
		// The library makes a buffer of the block size for each packet that it receives.
		p.server.SetBlockSize(minBlockSize + 1)
	}
	select {
	case block := <-p.acked:
		n := copy(b, []byte{0, opAck, byte(block >> 8), byte(block)})
		return n, somebody, nil
	case <-p.done:
		p.server.Shutdown()
		return 0, nil, errDone
	}
}

// LocalAddr is an address that the library can read, which not all are.
func (p *peer) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4zero} }

// Close does nothing: the socket is not the library's.
func (p *peer) Close() error { return nil }

// SetDeadline does nothing: ReadFrom always comes to an end.
func (p *peer) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (p *peer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (p *peer) SetWriteDeadline(time.Time) error { return nil }
