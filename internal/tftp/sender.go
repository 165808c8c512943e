// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// sender is a transfer that runs: the loop around a window, and the only place that waits.
type sender struct {
	*Transfer
	ctx      context.Context
	window   *window
	retry    retry
	source   io.Reader
	last     func() error // nil once it was called
	lastOut  bool         // the last block was sent
	segments segments
	fd       uintptr   // of the socket
	answer   [516]byte // a packet from the client; an ERROR may have some text
	most     int32     // transfers at once that may look for packets; see near
	vain     int       // times in a row that looks were in vain
	rest     int       // packets to be taken before they are worth another try

	timer time.Time // what the socket's deadline is set to: never after retry.deadline, unless late
	late  bool      // retry.deadline has passed; what is here yet counts, then it is too late
	begun bool
	over  bool // the transfer has ended, with err
	err   error
}

func (t *Transfer) sender(ctx context.Context, f File) *sender {
	p := t.request.negotiate(f.Size, t.largestBlock(f.MaxBlock))
	source, most := f.reader(t.request.Netascii)
	return &sender{
		Transfer: t,
		ctx:      ctx,
		window:   newWindow(p, most),
		retry:    retry{timeout: p.timeout},
		source:   source,
		last:     f.Last,
		segments: segments{raw: t.raw, size: headerSize + p.block},
		most:     int32(runtime.GOMAXPROCS(0) / 2),
	}
}

// run sends window after window until the transfer is over.
func (s *sender) run() error {
	step := s.step
	for !s.over {
		err := s.raw.Read(step)
		switch {
		case s.over:
		case s.ctx.Err() != nil:
			s.finish(context.Cause(s.ctx))
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.checkTime(time.Now())
		default:
			s.finish(err)
		}
	}
	return s.err
}

// finish ends the transfer.
func (s *sender) finish(err error) { s.over, s.err = true, err }

// step is called first, and then whenever a packet may have come. It reports whether the transfer is
// over; see syscall.RawConn. It takes the packets that are here. But in lock step the answer to an
// acknowledgement is as good as always all there is to do, and to look for another packet would cost as
// much as half of the answer: unless the client is near, the next one waits for its turn, or for the
// deadline.
func (s *sender) step(fd uintptr) (over bool) {
	s.fd = fd
	if !s.begun {
		s.begun = true
		s.advance()
	}
	for first := true; !s.over; first = false {
		n, err := s.receive(first)
		switch {
		case err == unix.EAGAIN && !s.late:
			return false
		case err == unix.EAGAIN:
			s.repeat()
		case err != nil:
			s.socketError(err)
		case s.take(s.answer[:n]) && first && s.window.size == 1 && !s.near():
			return s.over
		}
	}
	return true
}

// looks is how many times to look for the packet of a client that is near: to sleep and to be woken
// costs more. When it was missed as often in a row, it is not looked for during the next rest packets.
const (
	looks = 20
	rest  = 50 * looks
)

// receive receives a packet; the error is EAGAIN if there is none. Where an answer to the last one was
// just sent, the client is given the moment that it needs if it is near.
func (s *sender) receive(first bool) (n int, err error) {
	if first || !s.near() {
		s.rest = max(s.rest-1, 0)
		return receive(s.fd, s.answer[:])
	}
	for range looks {
		if n, err = receive(s.fd, s.answer[:]); err != unix.EAGAIN {
			s.vain = 0
			return n, err
		}
	}
	if s.vain++; s.vain == looks {
		s.vain, s.rest = 0, rest
	}
	return n, err
}

// near reports whether the client may answer before it were worth while to sleep: in lock step, on this
// machine or on the next one, unless it was found not to do so. Half of the processors may be spent so; the
// clients need the others.
func (s *sender) near() bool {
	return s.window.size == 1 && s.rest == 0 && s.running.Load() <= s.most
}

// take takes a packet and reports whether something was sent in answer.
func (s *sender) take(p []byte) (answered bool) {
	block, ok, err := parseAnswer(p)
	if err != nil {
		s.finish(err)
	}
	if !ok {
		return false
	}
	next := s.window.ack(block)
	if next != stale && !s.retry.answered {
		s.retry.answered = true
		s.noteAnswer()
	}
	switch next {
	case stale:
		return false
	case done:
		s.finish(nil)
	case again:
		s.retry.restart(time.Now())
		s.send()
	case moved:
		s.advance()
	}
	return true
}

// advance sends the next window.
func (s *sender) advance() {
	if err := s.read(); err != nil {
		s.finish(err)
		return
	}
	s.retry.begin(time.Now())
	s.send()
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

// repeat sends the window once more, or gives up.
func (s *sender) repeat() {
	if !s.retry.repeat(time.Now()) {
		s.finish(ErrTimeout)
		return
	}
	s.send()
}

// send sends the packets of the window. One that gets lost here is as good as lost on its way.
func (s *sender) send() {
	s.late = false
	if s.timer.IsZero() || s.timer.After(s.retry.deadline) {
		s.setTimer(s.retry.deadline)
	}
	if s.ctx.Err() != nil {
		s.finish(context.Cause(s.ctx))
		return
	}
	switch err := s.transmit(); {
	case err != nil:
		s.socketError(err)
	case s.window.hasLast():
		s.lastOut = true
	}
}

// transmit sends the packets of the window, one after another. The error is the first that is not
// that of a lost packet, else that of the last packet.
func (s *sender) transmit() (err error) {
	p, each := s.window.packets()
	if len(p) > each {
		p, err = s.segments.send(p)
	}
	for len(p) > 0 && (err == nil || passing(err)) {
		n := min(each, len(p))
		if err = transmit(s.fd, p[:n]); err == unix.EAGAIN { // its buffer is full
			_, err = s.conn.Write(p[:n])
		}
		p = p[n:]
	}
	return err
}

// checkTime finds out what a deadline of the socket that has passed means. The deadline is not moved
// with each packet that is sent, so it is often an old one. If it is not, a packet may be here all
// the same, as when this process had to wait: step looks once more.
func (s *sender) checkTime(now time.Time) {
	if s.late = !now.Before(s.retry.deadline); s.late {
		s.setTimer(now.Add(patience))
	} else {
		s.setTimer(s.retry.deadline)
	}
}

func (s *sender) setTimer(at time.Time) {
	s.timer = at
	_ = s.conn.SetReadDeadline(at) // fails on a closed socket only, and so does what follows
	if s.ctx.Err() != nil {
		s.wakeUp() // once more, in case that the deadline of another call was overwritten
	}
}

// wakeUp has step return, from any goroutine.
func (s *sender) wakeUp() { _ = s.conn.SetReadDeadline(time.Unix(1, 0)) }

// socketError ends the transfer if the error is not one that may pass like a lost packet: an ICMP
// message, or a local condition.
func (s *sender) socketError(err error) {
	switch {
	case passing(err):
	case errors.Is(err, unix.ECONNREFUSED):
		s.finish(ErrGone)
	default:
		s.finish(err)
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
