// SPDX-License-Identifier: GPL-3.0-or-later

// Package bootd is the TFTP daemon: it serves each board the files of the boot partition
// in its image. The protocol is package tftp's; who gets what, and what is said of it, is
// decided here.
package bootd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"nobodd/internal/config"
	"nobodd/internal/tftp"
)

// Server serves read requests.
type Server struct {
	log     *slog.Logger
	open    func(config.Board, string) (file, error)
	strange strangers
	tell    teller
	full    sometimes
	refused sync.Map // by path: the images of which it was said that they are not read with O_DIRECT

	mu      sync.Mutex
	cfg     *config.Config
	conn    *tftp.Listener
	running int                          // transfers
	live    map[netip.AddrPort]*transfer // those that were not superseded, by their clients
	stopped bool
	all     sync.WaitGroup // transfers
}

// transfer is one request on its way.
type transfer struct {
	*tftp.Transfer
	request *tftp.Request
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// New makes a server. It writes to log one line a request.
func New(cfg *config.Config, log *slog.Logger) *Server {
	s := &Server{log: log, cfg: cfg, live: map[netip.AddrPort]*transfer{}}
	s.open = s.openFile
	s.tell = teller{log: log, after: quiet}
	return s
}

// openFile opens a file as the function openFile does. It warns once of an image that cannot be read as it is to be.
func (s *Server) openFile(b config.Board, name string) (file, error) {
	f, err := openFile(b, name)
	if err != nil {
		return nil, err
	}
	if f.im.DirectRefused() {
		s.warnRefused(b.Image)
	}
	return f, nil
}

func (s *Server) warnRefused(image string) {
	if _, said := s.refused.LoadOrStore(image, true); !said {
		s.log.Warn(image + ": its file system refuses O_DIRECT: the page cache is emptied before each read")
	}
}

// Configure puts another configuration in force for the requests to come, but for where
// to listen.
func (s *Server) Configure(cfg *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
	s.strange.forget()
}

// Running returns the number of transfers running.
func (s *Server) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Serve answers the requests that come to l until Shutdown, which closes it.
func (s *Server) Serve(l *tftp.Listener) error {
	s.mu.Lock()
	s.conn = l
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return l.Close()
	}
	const patience = 100
	for failed := 0; ; failed++ {
		r, err := l.Receive()
		switch {
		case r != nil:
			failed = 0
			s.accept(r, err)
		case errors.Is(err, net.ErrClosed):
			return nil
		case failed == patience: // before, it is an ICMP message about an earlier answer, say
			return err
		}
	}
}

// accept starts the transfer that a packet asks for, if it is a request without an error.
func (s *Server) accept(r *tftp.Request, err error) {
	var t *transfer
	if err == nil {
		t, err = s.begin(r)
	}
	if err == nil {
		go s.run(t)
		return
	}
	why, ok := refusalOf(err)
	if !ok {
		s.log.Debug("packet ignored", "client", r.Client, "outcome", err)
		return
	}
	s.conn.Refuse(r, why)
	e := event{client: r.Client, file: r.Name, err: why}
	if why == errServer {
		e.err = err
	}
	e.log(s.log)
	if why == errBusy && s.full.now() {
		s.log.Warn("too many transfers: requests are refused", "max-transfers", s.max())
	}
}

// refusalOf returns the answer to a packet that does not become a transfer; not ok if none is due.
func refusalOf(err error) (why *tftp.Refusal, ok bool) {
	switch {
	case errors.Is(err, tftp.ErrNoRequest), errors.Is(err, tftp.ErrBroadcast), errors.Is(err, errRepeated),
		errors.Is(err, errStopping):
		return nil, false
	case errors.Is(err, tftp.ErrWrite):
		return errReadOnly, true
	case errors.Is(err, tftp.ErrMode):
		return errMode, true
	case errors.Is(err, tftp.ErrMalformed):
		return errMalformed, true
	case errors.Is(err, errBusy), errors.Is(err, tftp.ErrPorts):
		return errBusy, true
	}
	return errServer, true // no socket for it
}

var (
	errRepeated   = errors.New("repeated")
	errSuperseded = errors.New("client asked for something else")
)

// begin enters a transfer into the books. A request that a client repeats before it is
// served must not be served twice; another one from the same port means that the client
// has given up the first.
func (s *Server) begin(r *tftp.Request) (*transfer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.live[r.Client]
	switch {
	case s.stopped:
		return nil, errStopping
	case old != nil && old.Repeats(r):
		return nil, errRepeated
	case old != nil:
		delete(s.live, r.Client)
		old.cancel(errSuperseded)
	}
	// What was superseded does not count, within reason: it may hang in a disk.
	if len(s.live) >= s.cfg.MaxTransfers || s.running >= 2*s.cfg.MaxTransfers {
		return nil, errBusy
	}
	conn, err := s.conn.Accept(r, tftp.Ports{Low: uint16(s.cfg.Ports.Low), High: uint16(s.cfg.Ports.High)})
	if err != nil {
		return nil, err
	}
	t := &transfer{Transfer: conn, request: r}
	t.ctx, t.cancel = context.WithCancelCause(context.Background())
	s.running++
	s.all.Add(1)
	s.live[r.Client] = t
	return t, nil
}

// leave takes it out again: a request that follows is a new one.
func (s *Server) leave(t *transfer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live[t.request.Client] == t {
		delete(s.live, t.request.Client)
	}
}

// end frees what a transfer held.
func (s *Server) end(t *transfer) {
	t.Close()
	t.cancel(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.all.Done()
}

func (s *Server) max() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.MaxTransfers
}

// run serves a request from its beginning to its line in the log.
func (s *Server) run(t *transfer) {
	defer s.end(t)
	start := time.Now()
	e := event{client: t.request.Client}
	e.err = s.serve(t, &e)
	s.leave(t) // before the client can know
	if why := answer(e.err); why != nil {
		t.Refuse(why)
	}
	e.took = time.Since(start)
	s.tell.ended(&e)
}

// serve opens the file asked for and sends it.
func (s *Server) serve(t *transfer, e *event) (err error) {
	defer recovered(&err)
	cfg := s.config()
	f, err := s.find(cfg, t.request, e)
	if err != nil {
		return err
	}
	defer f.Close()
	e.size, e.opening = f.Size(), true
	p, err := t.Send(t.ctx, tftp.File{ReaderAt: f, Size: f.Size(), MaxBlock: cfg.MaxBlockSize, Last: f.Unchanged})
	e.bytes, e.opening = p.Bytes, !p.Answered
	if err == io.ErrUnexpectedEOF {
		return errShort
	}
	return err
}

// answer is what a client is told whose transfer ended with err: nothing if that was the
// client's doing. What is wrong with an image is not for the client.
func answer(err error) *tftp.Refusal {
	why := (*tftp.Refusal)(nil)
	switch {
	case err == nil, errors.Is(err, tftp.ErrTimeout), errors.Is(err, tftp.ErrGone), errors.Is(err, errSuperseded),
		errors.As(err, new(*tftp.ClientError)):
		return nil
	case errors.As(err, &why):
		return why
	case errors.As(err, new(*panicError)):
		return errServer
	}
	return errUnreadable
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

func (s *Server) config() *config.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg
}

// farewell is how long a transfer that is broken off may take to tell its client.
const farewell = 100 * time.Millisecond

// Shutdown takes no more requests, waits until the running transfers have ended or ctx
// is done, and breaks off those that are left.
func (s *Server) Shutdown(ctx context.Context) {
	s.mu.Lock()
	s.stopped = true
	if s.conn != nil {
		s.conn.Close()
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.all.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	s.breakOff()
	select {
	case <-ended:
	case <-time.After(farewell): // one hangs in a disk, say
	}
}

func (s *Server) breakOff() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.live {
		t.cancel(errStopping)
	}
}
