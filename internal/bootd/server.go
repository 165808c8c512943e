// SPDX-License-Identifier: GPL-3.0-or-later

// Package bootd is the TFTP daemon: it serves each board the files of the boot partition
// in its image. The transfers are pin/tftp's; what reaches the library, and from which
// socket it is answered, is decided here.
package bootd

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"nobodd/internal/config"
)

// Server serves read requests.
type Server struct {
	log     *slog.Logger
	open    func(config.Board, string) (file, error)
	strange strangers
	full    sometimes

	mu      sync.Mutex
	cfg     *config.Config
	conn    *listener
	running int // transfers
	most    int // of them since none ran
	procs   processors
	live    map[route]*transfer
	stopped bool
	all     sync.WaitGroup // transfers
}

// transfer is one request on its way.
type transfer struct {
	route  route
	packet string // of the request
	req    request

	mu   sync.Mutex
	peer *peer // nil before there is a socket
	why  error // cancelled before that
}

// New makes a server. It writes to log one line a request.
func New(cfg *config.Config, log *slog.Logger) *Server {
	return &Server{log: log, open: openFile, cfg: cfg, live: map[route]*transfer{}}
}

// Configure puts another configuration in force for the requests to come, but for where
// to listen.
func (s *Server) Configure(cfg *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// Running is the number of transfers running.
func (s *Server) Running() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}

// Serve answers the requests that come to conn until Shutdown, which closes it.
func (s *Server) Serve(conn *net.UDPConn) error {
	l, err := newListener(conn)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.conn = l
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		return conn.Close()
	}
	const patience = 100
	buf := make([]byte, maxRequest)
	for failed := 0; ; {
		n, r, err := l.receive(buf)
		switch {
		case err == nil:
			failed = 0
			s.accept(r, buf[:n])
		case errors.Is(err, errBroadcast):
			s.log.Debug("request to a broadcast address ignored", "client", r.client)
		case s.isStopped():
			return nil
		case failed == patience:
			return err
		default: // an ICMP message about an earlier answer, say
			failed++
		}
	}
}

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// accept starts the transfer that a packet asks for.
func (s *Server) accept(r route, packet []byte) {
	req, err := parseRequest(packet)
	why := (*refusal)(nil)
	switch {
	case errors.As(err, &why):
		s.refuse(r, req, why)
		return
	case err != nil:
		s.log.Debug("packet ignored", "client", r.client, "bytes", len(packet))
		return
	}
	t := &transfer{route: r, packet: string(packet), req: req}
	switch err := s.begin(t); err {
	case nil:
		go s.run(t)
	case errBusy:
		s.refuse(r, req, errBusy)
		if s.full.now() {
			s.log.Warn("too many transfers: requests are refused", "max-transfers", s.max())
		}
	default:
		s.log.Debug("request ignored", "client", r.client, "outcome", err)
	}
}

// refuse answers a request that does not become a transfer.
func (s *Server) refuse(r route, req request, why *refusal) {
	s.conn.refuse(r, why)
	e := event{client: r.client, file: req.name, err: why}
	e.log(s.log)
}

var errRepeated = errors.New("repeated")

// begin enters a transfer into the books. A request that a client repeats before it is
// served must not be served twice; another one from the same port means that the client
// has given up the first.
func (s *Server) begin(t *transfer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.live[t.route]
	switch {
	case s.stopped:
		return errStopping
	case old != nil && old.packet == t.packet:
		return errRepeated
	case s.running >= s.cfg.MaxTransfers:
		return errBusy
	case old != nil:
		old.cancel(errSuperseded)
	}
	s.running++
	s.most = max(s.most, s.running)
	s.procs.fit(s.running)
	s.all.Add(1)
	s.live[t.route] = t
	return nil
}

// rush is a number of transfers at once whose memory is worth giving back.
const rush = 100

// end takes it out again.
func (s *Server) end(t *transfer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running--; s.running == 0 {
		if s.most >= rush {
			go debug.FreeOSMemory()
		}
		s.most = 0
	}
	s.procs.fit(s.running)
	if s.live[t.route] == t {
		delete(s.live, t.route)
	}
	s.all.Done()
}

func (s *Server) max() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cfg.MaxTransfers
}

// cancel ends the transfer.
func (t *transfer) cancel(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why == nil {
		t.why = why
	}
	if t.peer != nil {
		t.peer.cancel(t.why)
	}
}

// has gives the transfer its peer.
func (t *transfer) has(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peer = p
	if t.why != nil {
		p.cancel(t.why)
	}
}

// run serves a request from its beginning to its line in the log.
func (s *Server) run(t *transfer) {
	defer s.end(t)
	start := time.Now()
	e := event{client: t.route.client}
	e.bytes, e.size, e.err = s.serve(t, &e)
	e.took = time.Since(start)
	e.log(s.log)
}

// serve opens the file asked for and sends it. It gives the bytes sent and the file's size.
func (s *Server) serve(t *transfer, e *event) (sent, size int64, err error) {
	defer recovered(&err)
	conn, err := t.route.dial()
	if err != nil {
		s.conn.refuse(t.route, errServer)
		return 0, 0, err
	}
	defer conn.Close()
	p := newPeer(conn)
	t.has(p)
	f, err := s.find(t, e)
	if err != nil {
		p.refuse(err)
		return 0, 0, err
	}
	defer f.Close()
	req := t.req
	req.blksize = min(req.blksize, t.route.largestBlock(conn))
	r := readers.Get().(*bufio.Reader)
	r.Reset(&exactly{f, f.Size()})
	sent, err = p.send(req, r, f.Size())
	r.Reset(nil)
	readers.Put(r)
	e.opening = p.opening
	return sent, f.Size(), err
}

// find opens the file that t asks for, if its client may have it.
func (s *Server) find(t *transfer, e *event) (f file, err error) {
	defer recovered(&err)
	e.file = t.req.name
	serial, name, ok := splitName(t.req.name)
	if !ok {
		return nil, errNotFound
	}
	e.board, e.file = serial.String(), name
	board, ok := s.board(serial)
	if !ok {
		if s.strange.firstSeen(serial) {
			s.log.Warn(unknownBoard(serial, t.route.client.Addr()))
		}
		return nil, errNotFound
	}
	if board.IP.IsValid() && !sameClient(board.IP, t.route.client.Addr()) {
		return nil, errForbidden
	}
	return s.open(board, name)
}

func (s *Server) board(serial config.Serial) (config.Board, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, ok := s.cfg.Boards[serial]
	return b, ok
}

// sameClient compares addresses. A link-local one without a zone is meant on any.
func sameClient(want, got netip.Addr) bool {
	return want == got || want.Zone() == "" && want == got.WithZone("")
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
