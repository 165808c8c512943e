// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/config"
)

// soon is how long anything may take that happens at once.
const soon = 20 * time.Second

const serial config.Serial = 0x89025d75

// board returns a configuration with one board.
func board(image string) *config.Config {
	return &config.Config{
		Listen:       "127.0.0.1",
		MaxTransfers: 1000,
		Boards: map[config.Serial]config.Board{
			serial: {Serial: serial, Image: image, Partition: addr.Boot},
		},
	}
}

// Opcodes of RFC 1350 and RFC 2347.
const (
	opData  = 3
	opAck   = 4
	opError = 5
	opOAck  = 6
)

// memory is a file that a test made up.
type memory struct {
	io.ReaderAt
	size   int64
	closed func()
	now    error // of Unchanged
}

func (m *memory) Size() int64 { return m.size }

func (m *memory) Unchanged() error { return m.now }

func (m *memory) Close() error {
	if m.closed != nil {
		m.closed()
	}
	return nil
}

// testServer is a server that runs until the test ends.
type testServer struct {
	*Server
	addr netip.AddrPort
	log  *logs
}

func start(t *testing.T, cfg *config.Config) *testServer {
	t.Helper()
	return startWith(t, cfg, nil)
}

// startWith starts a server that opens files so.
func startWith(t *testing.T, cfg *config.Config, open func(config.Board, string) (file, error)) *testServer {
	t.Helper()
	log := newLogs(t)
	conn, err := Listen(cfg, slog.New(log))
	if err != nil {
		t.Fatal(err)
	}
	s := New(cfg, slog.New(log))
	if open != nil {
		s.open = open
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(conn) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := s.Running(); n != 0 {
			t.Errorf("%d transfers run after Shutdown", n)
		}
	})
	addr := conn.Addr()
	return &testServer{s, netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), log}
}

// serving starts a server whose only board has one file, whatever its name.
func serving(t *testing.T, data []byte) *testServer {
	t.Helper()
	return startWith(t, board("none"), func(config.Board, string) (file, error) {
		return &memory{ReaderAt: bytes.NewReader(data), size: int64(len(data))}, nil
	})
}

// logs is a log that can be waited for.
type logs struct {
	*handler
	level slog.LevelVar
	mu    sync.Mutex
	more  *sync.Cond
	lines []string
}

func newLogs(t *testing.T) *logs {
	l := &logs{}
	l.more = sync.NewCond(&l.mu)
	l.level.Set(slog.LevelDebug)
	l.handler = &handler{w: l, level: &l.level, plain: true}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", l.text())
		}
	})
	return l
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	l.more.Broadcast()
	return len(p), nil
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "")
}

// atOnce is a line as it is where nothing took a tenth of a second, which a busy machine may take.
func atOnce(line string) string { return tenths.ReplaceAllString(line, " in 0.0s") }

var tenths = regexp.MustCompile(` in \d+\.\ds`)

// wait waits for n lines with that text and returns the last of them.
func (l *logs) wait(t *testing.T, n int, text string) string {
	t.Helper()
	return l.waitFor(t, soon, n, text)
}

// waitFor is wait for what takes longer.
func (l *logs) waitFor(t *testing.T, most time.Duration, n int, text string) string {
	t.Helper()
	late := false
	timer := time.AfterFunc(most, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.more.Broadcast()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		found := 0
		for _, line := range l.lines {
			if strings.Contains(line, text) || strings.Contains(atOnce(line), text) {
				if found++; found == n {
					return line
				}
			}
		}
		if late {
			t.Fatalf("%d lines with %q in the log, want %d", found, text, n)
		}
		l.more.Wait()
	}
}

// packet is what a server sent.
type packet struct {
	op   uint16
	arg  uint16 // block or error code
	data string // or the text of an error, or options: name=value,...
}

func (p packet) String() string {
	name := map[uint16]string{opData: "DATA", opError: "ERROR", opOAck: "OACK"}[p.op]
	switch p.op {
	case opData:
		return fmt.Sprintf("%s %d of %d bytes", name, p.arg, len(p.data))
	case opOAck:
		return name + " " + p.data
	}
	return fmt.Sprintf("%s %d %s", name, p.arg, p.data)
}

func parsePacket(b []byte) packet {
	p := packet{op: binary.BigEndian.Uint16(b)}
	switch p.op {
	case opData:
		p.arg, p.data = binary.BigEndian.Uint16(b[2:]), string(b[4:])
	case opError:
		p.arg, p.data = binary.BigEndian.Uint16(b[2:]), string(b[4:len(b)-1])
	case opOAck:
		fields := strings.Split(string(b[2:]), "\x00")
		var options []string
		for i := 0; i+1 < len(fields); i += 2 {
			options = append(options, fields[i]+"="+fields[i+1])
		}
		if len(options) == 2 && options[1] < options[0] { // their order says nothing
			options[0], options[1] = options[1], options[0]
		}
		p.data = strings.Join(options, ",")
	}
	return p
}

// client plays a board.
type client struct {
	testing.TB
	conn   *net.UDPConn
	server netip.AddrPort
	peer   netip.AddrPort // of the last packet received
	buf    [65536]byte
}

func (d *testServer) client(t testing.TB) *client {
	t.Helper()
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{TB: t, conn: conn, server: d.addr}
}

// rrq makes a read request with "name value" options.
func rrq(name, mode string, options ...string) []byte {
	b := "\x00\x01" + name + "\x00" + mode + "\x00"
	for _, o := range options {
		b += strings.Replace(o, " ", "\x00", 1) + "\x00"
	}
	return []byte(b)
}

func (c *client) send(to netip.AddrPort, b []byte) {
	c.Helper()
	if _, err := c.conn.WriteToUDPAddrPort(b, to); err != nil {
		c.Fatal(err)
	}
}

// request asks for a file below the board's serial number.
func (c *client) request(name, mode string, options ...string) {
	c.Helper()
	c.send(c.server, rrq("89025d75/"+name, mode, options...))
}

func (c *client) reply(op, arg uint16, text string) {
	c.Helper()
	b := binary.BigEndian.AppendUint16(nil, op)
	c.send(c.peer, append(binary.BigEndian.AppendUint16(b, arg), text...))
}

func (c *client) ack(block uint16) { c.Helper(); c.reply(opAck, block, "") }

// receive waits for a packet.
func (c *client) receive() packet {
	c.Helper()
	p, ok := c.receiveWithin(soon)
	if !ok {
		c.Fatal("no packet")
	}
	return p
}

func (c *client) receiveWithin(d time.Duration) (packet, bool) {
	c.Helper()
	c.conn.SetReadDeadline(time.Now().Add(d))
	n, from, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
	if os.IsTimeout(err) {
		return packet{}, false
	}
	if err != nil {
		c.Fatal(err)
	}
	c.peer = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return parsePacket(c.buf[:n]), true
}

func (c *client) want(want string) packet {
	c.Helper()
	p := c.receive()
	if p.String() != want {
		c.Fatalf("received %v, want %s", p, want)
	}
	return p
}

// wantNothing leaves packets on their way the time to arrive: the answer to a request that
// was sent later has come before.
func (c *client) wantNothing() {
	c.Helper()
	if p, ok := c.receiveWithin(50 * time.Millisecond); ok {
		c.Fatalf("received %v, want nothing", p)
	}
}

// finish reads the rest of a file, beginning with the block that comes next, and returns it.
// The error is that of an ERROR packet.
func (c *client) finish(blksize int) ([]byte, error) {
	c.Helper()
	var data []byte
	for want := uint16(1); ; {
		p := c.receive()
		switch {
		case p.op == opError:
			return data, fmt.Errorf("%v", p)
		case p.op == opOAck: // again, since this client is slow
			c.ack(0)
			continue
		case p.op != opData:
			c.Fatalf("received %v, want DATA", p)
		}
		if p.arg == want {
			data = append(data, p.data...)
			want++
		}
		c.ack(p.arg)
		if p.arg == want-1 && len(p.data) < blksize {
			return data, nil
		}
	}
}

// get fetches a file as a Pi 4 does, and checks the OACK.
func (c *client) get(name string) ([]byte, error) {
	c.Helper()
	c.request(name, "octet", "tsize 0", "blksize 1468")
	p := c.receive()
	if p.op != opOAck {
		return nil, fmt.Errorf("%v", p)
	}
	c.ack(0)
	data, err := c.finish(1468)
	if err == nil {
		if want := fmt.Sprintf("blksize=1468,tsize=%d", len(data)); p.data != want {
			c.Errorf("%s: OACK %s, want %s", name, p.data, want)
		}
	}
	return data, err
}

// noise returns n bytes that look like nothing.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) | 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}
