// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Why a transfer ended before its file was sent, beside a ClientError, the error of the file and
// the cause of the context.
var (
	ErrTimeout = errors.New("no answer")
	ErrGone    = errors.New("client is gone") // its port is closed
)

// Transfer is a socket between a client and the address it asked, for one request. But for Repeats
// its methods are for one goroutine.
type Transfer struct {
	request  *Request
	conn     *net.UDPConn
	raw      syscall.RawConn
	running  *atomic.Int32 // of the listener
	answered atomic.Int64  // when the first answer was read, in ns of Unix time; 0: never yet
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

// Close closes the socket.
func (t *Transfer) Close() error { return t.conn.Close() }

// Send negotiates the options that the client asked for and sends the file. When ctx is done it
// ends without another packet. If only the last acknowledgement is missing when the client falls
// silent or ctx is done, the file counts as sent (not if no other came before: nobody may be there).
// The errors are a *ClientError, ErrTimeout, ErrGone, the cause of ctx, what the file's methods
// return, and those of the socket; the client is told of none.
func (t *Transfer) Send(ctx context.Context, f File) (Progress, error) {
	t.running.Add(1)
	defer t.running.Add(-1)
	s := t.sender(ctx, f)
	stop := context.AfterFunc(ctx, s.wakeUp)
	defer stop()
	err := s.run()
	t.answered.CompareAndSwap(0, time.Now().UnixNano()) // an ERROR is an answer too
	if s.lastOut && s.retry.answered && lostTouch(ctx, err) {
		err = nil
		s.window.base = s.window.last + 1
	}
	return Progress{s.window.acknowledged(), s.retry.answered}, err
}

// lostTouch reports whether a transfer ended for want of an answer.
func lostTouch(ctx context.Context, err error) bool {
	return errors.Is(err, ErrTimeout) || errors.Is(err, ErrGone) || ctx.Err() != nil && err == context.Cause(ctx)
}

// noteAnswer takes down the time of the first acknowledgement.
func (t *Transfer) noteAnswer() { t.answered.Store(time.Now().UnixNano()) }
