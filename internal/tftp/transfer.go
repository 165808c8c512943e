// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Why a transfer ended before its file was sent, beside a ClientError, the error of the file and
// the cause of the context.
var (
	ErrTimeout = errors.New("no answer")
	ErrGone    = errors.New("client is gone") // its port is closed
)

// Transfer is a socket between a client and the address it asked, for one request. But for Close
// and Repeats its methods are for one goroutine.
type Transfer struct {
	request  *Request
	conn     *net.UDPConn
	raw      syscall.RawConn
	running  *atomic.Int32 // transfers of the listener that send
	answered atomic.Int64  // when the first acknowledgement was read, in ns of Unix time; 0: never yet
}

// Progress is how far a transfer came.
type Progress struct {
	Bytes    int64 // of the file that the client has; in netascii with what that adds
	Answered bool  // the client has acknowledged something
}

// Repeats reports whether a request is the transfer's own once more, sent before the client can
// have known of an answer: it has then nothing to ask for anew.
func (t *Transfer) Repeats(r *Request) bool {
	if r.Client != t.request.Client || r.packet != t.request.packet {
		return false
	}
	answered := t.answered.Load()
	return answered == 0 || r.received.UnixNano() < answered
}

// Refuse sends an ERROR packet.
func (t *Transfer) Refuse(why *Refusal) { _, _ = t.conn.Write(why.packet()) }

// Close closes the socket. Send, if it runs, ends without another packet.
func (t *Transfer) Close() error { return t.conn.Close() }

// Send negotiates the options that the client asked for and sends the file. If only the last
// acknowledgement is missing when the client falls silent or ctx is done, the file counts as sent.
// The errors are a *ClientError, ErrTimeout, ErrGone, the cause of ctx, what the file's methods
// return, and those of the socket; the client is told of none.
func (t *Transfer) Send(ctx context.Context, f File) (Progress, error) {
	t.running.Add(1)
	defer t.running.Add(-1)
	s := t.sender(f)
	stop := context.AfterFunc(ctx, func() { t.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := s.run(ctx)
	if s.lastOut && lostTouch(ctx, err) {
		err = nil
		s.window.base = s.window.last + 1
	}
	return Progress{s.window.acknowledged(), s.retry.answered}, err
}

// lostTouch reports whether a transfer ended for want of an answer.
func lostTouch(ctx context.Context, err error) bool {
	return errors.Is(err, ErrTimeout) || errors.Is(err, ErrGone) || ctx.Err() != nil && err == context.Cause(ctx)
}

// sender is a transfer that runs.
type sender struct {
	*Transfer
	window   *window
	retry    retry
	source   io.Reader
	last     func() error // nil once it was called
	lastOut  bool         // the last block was sent
	segments segments
	timer    time.Time // what the socket's deadline is set to: never after retry.deadline

	receive func(fd uintptr) bool // receiveFrom, made a function value once
	wait    bool                  // for a packet, if none is there
	answer  [516]byte             // the last packet received; an ERROR may have some text
	n       int                   // bytes of that
	err     error                 // in its place
}

func (t *Transfer) sender(f File) *sender {
	p := t.request.negotiate(f.Size, t.largestBlock(f.MaxBlock))
	source, most := f.reader(t.request.Netascii)
	s := &sender{
		Transfer: t,
		window:   newWindow(p, most),
		retry:    retry{timeout: p.timeout},
		source:   source,
		last:     f.Last,
		segments: segments{raw: t.raw, size: headerSize + p.block},
	}
	s.receive = s.receiveFrom
	return s
}

// run sends one window after another.
func (s *sender) run(ctx context.Context) error {
	for {
		if err := s.read(); err != nil {
			return err
		}
		switch next, err := s.exchange(ctx); {
		case err != nil:
			return err
		case next == done:
			return nil
		}
	}
}

// read reads what the window lacks of the file.
func (s *sender) read() error {
	if room := s.window.room(); len(room) > 0 {
		n, err := fill(s.source, room)
		if err != nil {
			return err
		}
		s.window.put(n)
	}
	if s.window.hasLast() && s.last != nil {
		last := s.last
		s.last = nil
		return last()
	}
	return nil
}

// exchange sends the window until an acknowledgement moves it.
func (s *sender) exchange(ctx context.Context) (progress, error) {
	s.retry.begin(time.Now())
	for {
		if err := s.ended(ctx, s.send()); err != nil {
			return stale, err
		}
		s.lastOut = s.lastOut || s.window.hasLast()
		next, err := s.await(ctx)
		switch {
		case err == errSilence:
			if !s.retry.repeat(time.Now()) {
				return stale, ErrTimeout
			}
		case err != nil || next != again:
			return next, err
		default:
			s.retry.restart(time.Now())
		}
	}
}

// send sends the packets of the window. One that gets lost here is as good as lost on its way.
func (s *sender) send() error {
	p, each := s.window.packets()
	if len(p) > each {
		var err error
		if p, err = s.segments.send(p); err != nil {
			return err
		}
	}
	for len(p) > 0 {
		n := min(each, len(p))
		if _, err := s.conn.Write(p[:n]); err != nil && !passing(err) {
			return err
		}
		p = p[n:]
	}
	return nil
}

// errSilence says that the deadline has passed without an answer.
var errSilence = errors.New("silence")

// await waits for an acknowledgement that counts.
func (s *sender) await(ctx context.Context) (progress, error) {
	if s.timer.IsZero() || s.timer.After(s.retry.deadline) {
		s.setTimer(s.retry.deadline)
	}
	for {
		err := s.packet(ctx)
		if err != nil {
			return stale, err
		}
		block, ok, err := parseAnswer(s.answer[:s.n])
		if err != nil {
			return stale, err
		}
		if !ok {
			continue
		}
		if next := s.window.ack(block); next != stale {
			s.noteAnswer()
			return next, nil
		}
	}
}

// noteAnswer takes down the time of the first acknowledgement.
func (s *sender) noteAnswer() {
	if !s.retry.answered {
		s.retry.answered = true
		s.answered.Store(time.Now().UnixNano())
	}
}

// packet receives a packet. A deadline of the socket is not moved with each one sent: it is looked
// at when it has passed.
func (s *sender) packet(ctx context.Context) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		s.wait = true
		err := s.receiveOne()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return s.ended(ctx, err)
		}
		now := time.Now()
		if now.Before(s.retry.deadline) {
			s.setTimer(s.retry.deadline)
			continue
		}
		// An answer may be there all the same, if this process had to wait.
		s.setTimer(now.Add(patience))
		s.wait = false
		if err = s.receiveOne(); err == unix.EAGAIN {
			return errSilence
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return s.ended(ctx, err)
		}
	}
}

// ended returns the error of a transfer for that of its socket.
func (s *sender) ended(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case passing(err): // an ICMP message
		s.n = 0
		return nil
	case errors.Is(err, unix.ECONNREFUSED):
		return ErrGone
	}
	return err
}

func (s *sender) setTimer(at time.Time) {
	s.timer = at
	_ = s.conn.SetReadDeadline(at) // fails on a closed socket only, and so does what follows
}

// receiveOne receives a packet from the socket.
func (s *sender) receiveOne() error {
	if err := s.raw.Read(s.receive); err != nil {
		return err
	}
	return s.err
}

// few transfers at a time may spin, so many times, while they wait for a packet: parking a
// goroutine and waking it up again takes longer than a client on the same switch.
const (
	few   = 4
	spins = 10
)

// receiveFrom is what a syscall.RawConn calls to read: it reports false to be called again when the
// socket is readable.
func (s *sender) receiveFrom(fd uintptr) bool {
	for i := 0; ; i++ {
		s.n, s.err = unix.Read(int(fd), s.answer[:])
		switch {
		case s.err == unix.EINTR:
		case s.err != unix.EAGAIN || !s.wait:
			return true
		case i == spins || s.running.Load() > few:
			return false
		default:
			runtime.Gosched()
		}
	}
}

// passing reports whether an error of the socket may pass like a lost packet.
func passing(err error) bool {
	for _, e := range []error{
		unix.EMSGSIZE, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENETDOWN, unix.EHOSTDOWN, unix.EPERM, unix.ENOBUFS,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
