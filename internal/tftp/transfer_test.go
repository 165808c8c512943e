// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// soon is how long anything may take that happens at once.
const soon = 20 * time.Second

// ending is how a transfer ended.
type ending struct {
	Progress
	err error
}

func (e ending) String() string { return fmt.Sprintf("%d bytes, %v", e.Bytes, e.err) }

// server sends one file to whoever asks, whatever its name.
type server struct {
	t      *testing.T
	l      *Listener
	ports  Ports
	file   File
	ctx    context.Context
	cancel context.CancelCauseFunc
	ended  chan ending
	all    sync.WaitGroup
}

func serve(t *testing.T, addr string, file File) *server {
	t.Helper()
	s := newServer(t, file)
	s.start(addr)
	return s
}

func newServer(t *testing.T, file File) *server {
	s := &server{t: t, file: file, ended: make(chan ending, 1000)}
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	t.Cleanup(func() {
		s.cancel(errStop)
		if s.l != nil {
			s.l.Close()
		}
		s.all.Wait()
	})
	return s
}

// start listens and accepts in the network namespace of the caller.
func (s *server) start(addr string) {
	s.t.Helper()
	l, absent, err := Listen(netip.MustParseAddr(addr), 0)
	if err != nil || absent {
		s.t.Fatalf("Listen: %v, the address is absent: %v", err, absent)
	}
	s.l = l
	s.all.Go(s.accept)
}

var errStop = errors.New("the test is over")

func (s *server) accept() {
	for {
		r, err := s.l.Receive()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, ErrBroadcast):
			continue
		case err != nil:
			s.l.Refuse(r, &Refusal{CodeIllegal, err.Error()})
			continue
		}
		t, err := s.l.Accept(r, s.ports)
		if err != nil {
			s.l.Refuse(r, &Refusal{CodeOther, err.Error()})
			continue
		}
		s.all.Go(func() {
			defer t.Close()
			p, err := t.Send(s.ctx, s.file)
			s.ended <- ending{p, err}
		})
	}
}

// wantEnd waits for the end of a transfer.
func (s *server) wantEnd(want string) {
	s.t.Helper()
	select {
	case e := <-s.ended:
		if e.String() != want {
			s.t.Errorf("ended with %v, want %s", e, want)
		}
	case <-time.After(soon):
		s.t.Fatalf("a transfer does not end: want %s", want)
	}
}

// of returns a file that holds data.
func of(data []byte) File { return File{ReaderAt: bytes.NewReader(data), Size: int64(len(data))} }

// client plays a board.
type client struct {
	*testing.T
	conn   *net.UDPConn
	server netip.AddrPort
	peer   netip.AddrPort // of the last packet received
	buf    [65536]byte
}

func (s *server) client() *client {
	s.t.Helper()
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	at := s.l.Addr()
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), at.Port())
	}
	return &client{T: s.t, conn: conn, server: at}
}

func (c *client) send(to netip.AddrPort, b []byte) {
	c.Helper()
	if _, err := c.conn.WriteToUDPAddrPort(b, to); err != nil {
		c.Fatal(err)
	}
}

func (c *client) request(mode string, options ...string) {
	c.Helper()
	c.send(c.server, rrq("x", mode, options...))
}

func (c *client) reply(op, arg uint16, text string) {
	c.Helper()
	b := binary.BigEndian.AppendUint16(nil, op)
	c.send(c.peer, append(binary.BigEndian.AppendUint16(b, arg), text...))
}

func (c *client) ack(block uint16) { c.Helper(); c.reply(opAck, block, "") }

// receive waits for a packet.
func (c *client) receive(within time.Duration) (p []byte, ok bool) {
	c.Helper()
	c.conn.SetReadDeadline(time.Now().Add(within))
	n, from, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
	if os.IsTimeout(err) {
		return nil, false
	}
	if err != nil {
		c.Fatal(err)
	}
	c.peer = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	return c.buf[:n], true
}

// packetText is a packet as text.
func packetText(p []byte) string {
	op, arg := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	switch op {
	case opData:
		return fmt.Sprintf("DATA %d of %d bytes", arg, len(p)-headerSize)
	case opError:
		return fmt.Sprintf("ERROR %d %s", arg, strings.TrimSuffix(string(p[4:]), "\x00"))
	}
	return params{window: 1, oack: p}.shown()[len("1 x 0: "):]
}

func (c *client) want(want string) {
	c.Helper()
	p, ok := c.receive(soon)
	if !ok {
		c.Fatalf("no packet, want %s", want)
	}
	if got := packetText(p); got != want {
		c.Fatalf("received %s, want %s", got, want)
	}
}

// wantNothing waits for packets that are on their way.
func (c *client) wantNothing() {
	c.Helper()
	if p, ok := c.receive(50 * time.Millisecond); ok {
		c.Fatalf("received %s, want nothing", packetText(p))
	}
}

// finish reads the rest of a file by windows and returns it, or the ERROR that ended it.
func (c *client) finish(block, window int) (data []byte, refused string) {
	c.Helper()
	for next, left := uint16(1), window; ; {
		p, ok := c.receive(soon)
		if !ok {
			c.Fatalf("no packet after %d bytes", len(data))
		}
		switch op, n := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:]); {
		case op == opError:
			return data, packetText(p)
		case op != opData || n != next:
			continue
		}
		data = append(data, p[headerSize:]...)
		next++
		left--
		if ended := len(p) < headerSize+block; ended || left == 0 {
			c.ack(next - 1)
			left = window
			if ended {
				return data, ""
			}
		}
	}
}

// TestSizes: whole, with a last block that may be empty, whatever the size of blocks and windows.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 1024, 1468, 2936, 100000} {
		data := noise(n)
		s := serve(t, "127.0.0.1", of(data))
		for _, block := range []int{0, 8, 512, 1468, 65464} {
			for _, window := range []int{0, 1, 2, 3, 16, 64} {
				if block == 8 && n > 3000 {
					continue
				}
				c := s.client()
				var options []string
				if block > 0 {
					options = append(options, fmt.Sprint("blksize ", block))
				}
				if window > 0 {
					options = append(options, fmt.Sprint("windowsize ", window))
				}
				c.request("octet", options...)
				size, blocks := 512, 1
				if options != nil {
					p, _ := c.receive(soon)
					size, blocks = terms(t, p)
					c.ack(0)
				}
				if got, why := c.finish(size, blocks); why != "" || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, blksize %d, windowsize %d: got %d, %s", n, block, window, len(got), why)
				}
				s.wantEnd(fmt.Sprintf("%d bytes, <nil>", n))
			}
		}
	}
}

// terms reads the block size and the window from an OACK.
func terms(t *testing.T, p []byte) (block, window int) {
	t.Helper()
	block, window = 512, 1
	for _, option := range strings.Fields(packetText(p)) {
		name, value, _ := strings.Cut(option, "=")
		switch name {
		case "blksize":
			fmt.Sscan(value, &block)
		case "windowsize":
			fmt.Sscan(value, &window)
		default:
			t.Fatalf("received %s", packetText(p))
		}
	}
	return block, window
}

func TestNetascii(t *testing.T) {
	s := serve(t, "127.0.0.1", of([]byte(strings.Repeat("one\ntwo\r\n\r", 1000))))
	want := strings.Repeat("one\r\ntwo\r\x00\r\n\r\x00", 1000)
	for _, window := range []int{1, 5} {
		c := s.client()
		c.request("netascii", "tsize 0", fmt.Sprint("windowsize ", window))
		c.want(fmt.Sprint("windowsize=", window))
		c.ack(0)
		if got, why := c.finish(512, window); why != "" || string(got) != want {
			t.Errorf("got %d bytes of %d, %s", len(got), len(want), why)
		}
		s.wantEnd(fmt.Sprintf("%d bytes, <nil>", len(want)))
	}
}

// TestNetasciiSizes: a file that grows to twice its size, and ends anywhere in a block.
func TestNetasciiSizes(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 511, 512, 16383, 16384, 40000} {
		s := serve(t, "127.0.0.1", of(bytes.Repeat([]byte{'\n'}, n)))
		c := s.client()
		c.request("netascii", "windowsize 64")
		c.want("windowsize=64")
		c.ack(0)
		if got, why := c.finish(512, 64); why != "" || string(got) != strings.Repeat("\r\n", n) {
			t.Errorf("%d: got %d bytes, %s", n, len(got), why)
		}
	}
}

// TestErrors: what ends a transfer, and that the client is told nothing.
func TestErrors(t *testing.T) {
	badSector := errors.New("input/output error")
	changed := errors.New("changed")
	for _, tt := range []struct {
		name string
		file File
		want string
	}{
		{"short", File{ReaderAt: bytes.NewReader(make([]byte, 700)), Size: 1000}, "0 bytes, unexpected EOF"},
		{"unreadable", File{ReaderAt: failing{badSector}, Size: 1000}, "0 bytes, input/output error"},
		{"changed", File{ReaderAt: bytes.NewReader(make([]byte, 1000)), Size: 1000, Last: func() error { return changed }}, "512 bytes, changed"},
	} {
		s := serve(t, "127.0.0.1", tt.file)
		c := s.client()
		c.request("octet", "tsize 0")
		c.want("tsize=1000")
		c.ack(0)
		if tt.name == "changed" {
			c.want("DATA 1 of 512 bytes")
			c.ack(1)
		}
		s.wantEnd(tt.want)
		c.wantNothing()
	}
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

// TestClientErrors: a client that breaks off, or vanishes.
func TestClientErrors(t *testing.T) {
	t.Parallel()
	s := serve(t, "127.0.0.1", of(noise(3000)))
	c := s.client()
	c.request("octet", "tsize 0")
	c.want("tsize=3000")
	c.reply(opError, 0, "Early terminate\x00")
	s.wantEnd(`0 bytes, client said "Early terminate" (0)`)
	c.wantNothing()

	c = s.client()
	c.request("octet", "utimeout 200000")
	c.wantSoon("utimeout=200000")
	c.ack(0)
	c.wantSoon("DATA 1 of 512 bytes")
	c.ack(1)
	c.wantSoon("DATA 2 of 512 bytes")
	c.conn.Close()
	s.wantEnd("512 bytes, client is gone")
}

// TestSocketErrors: what is no more than a lost packet, and what ends a transfer.
func TestSocketErrors(t *testing.T) {
	for err, want := range map[syscall.Errno]error{
		unix.EMSGSIZE: nil, unix.EHOSTUNREACH: nil, unix.ENETUNREACH: nil, unix.ENETDOWN: nil, unix.EPERM: nil, unix.ENOBUFS: nil,
		unix.ECONNREFUSED: ErrGone, unix.EBADF: unix.EBADF,
	} {
		var s sender
		s.socketError(&net.OpError{Op: "write", Err: os.NewSyscallError("sendmsg", err)})
		if s.over != (want != nil) || !errors.Is(s.err, want) {
			t.Errorf("%v: the transfer is over: %v, with %v; want %v", err, s.over, s.err, want)
		}
	}
}

// TestLast: the hook runs once, after the file was read and before its last block goes out.
func TestLast(t *testing.T) {
	for _, n := range []int{0, 511, 512, 20 * 512, 20*512 + 1} {
		for _, window := range []int{1, 3, 64} {
			calls := make(chan int64, 10)
			counter := &counting{ReaderAt: bytes.NewReader(noise(n))}
			s := serve(t, "127.0.0.1", File{ReaderAt: counter, Size: int64(n), Last: func() error {
				calls <- counter.n
				return nil
			}})
			c := s.client()
			c.request("octet", fmt.Sprint("windowsize ", window))
			c.want(fmt.Sprint("windowsize=", window))
			before := (n / 512 / window) * window // blocks before the last window
			c.ack(0)
			for block := range before {
				c.want(fmt.Sprintf("DATA %d of 512 bytes", block+1))
				if (block+1)%window == 0 {
					if len(calls) > 0 {
						t.Fatalf("%d bytes by windows of %d: asked before block %d was acknowledged", n, window, block+1)
					}
					c.ack(uint16(block + 1))
				}
			}
			if read := <-calls; read != int64(n) {
				t.Errorf("%d bytes by windows of %d: asked after %d bytes", n, window, read)
			}
			again := before // in the last window an acknowledgement may be of a block inside
			for block := before; block <= n/512; block++ {
				if _, ok := c.receive(soon); !ok {
					t.Fatal("no packet")
				}
				if block == n/512 && again == before && block > before {
					again = block
					c.ack(uint16(block))
					block--
				}
			}
			c.ack(uint16(n/512 + 1))
			s.wantEnd(fmt.Sprintf("%d bytes, <nil>", n))
			if len(calls) > 0 {
				t.Errorf("%d bytes by windows of %d: asked again", n, window)
			}
		}
	}
}

// counting counts the bytes that are read.
type counting struct {
	io.ReaderAt
	n int64
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.n += int64(n)
	return n, err
}

// TestEachPacketOnce: an answer that comes twice, late or from elsewhere makes nothing be sent again.
func TestEachPacketOnce(t *testing.T) {
	s := serve(t, "127.0.0.1", of(noise(3000)))
	c, other := s.client(), s.client()
	c.request("octet", "tsize 0", "blksize 1000")
	c.want("tsize=3000 blksize=1000")
	other.peer = c.peer
	other.ack(0)
	c.reply(opAck, 1, "")
	c.reply(opData, 0, "data")
	c.reply(7, 0, "")
	c.send(c.peer, []byte{0, opAck})
	c.ack(0)
	c.want("DATA 1 of 1000 bytes")
	c.ack(0)
	c.ack(1)
	c.ack(1)
	c.want("DATA 2 of 1000 bytes")
	c.ack(1)
	c.ack(2)
	c.ack(1)
	c.want("DATA 3 of 1000 bytes")
	c.ack(3)
	c.want("DATA 4 of 0 bytes")
	c.ack(4)
	s.wantEnd("3000 bytes, <nil>")
	c.wantNothing()
	other.wantNothing()
}

// TestCancel: a transfer ends at once with the cause of its context, and the socket can still be
// used to say so. If only the last acknowledgement is missing, the file counts as sent.
func TestCancel(t *testing.T) {
	s := serve(t, "127.0.0.1", of(noise(1000)))
	a, b, c := s.client(), s.client(), s.client()
	a.request("octet", "tsize 0")
	a.want("tsize=1000")
	b.request("octet")
	b.want("DATA 1 of 512 bytes")
	b.ack(1)
	b.want("DATA 2 of 488 bytes")
	s.cancel(errStop)
	got := map[string]bool{(<-s.ended).String(): true, (<-s.ended).String(): true}
	if !got["0 bytes, the test is over"] || !got["1000 bytes, <nil>"] {
		t.Errorf("ended with %v", got)
	}
	c.request("octet", "tsize 0") // of which Send may still send the first packet, and no more
	s.wantEnd("0 bytes, the test is over")
}

// TestCancelUnanswered: a file of one block counts as sent if its client was ever there, and only then.
func TestCancelUnanswered(t *testing.T) {
	s := serve(t, "127.0.0.1", of(noise(100)))
	c := s.client()
	c.request("octet")
	c.want("DATA 1 of 100 bytes")
	s.cancel(errStop)
	s.wantEnd("0 bytes, the test is over")
}

// TestCancelBeforeSending: what was read when the context ended is not sent.
func TestCancelBeforeSending(t *testing.T) {
	s := newServer(t, of(noise(700)))
	s.file.Last = func() error {
		s.cancel(errStop)
		return nil
	}
	s.start("127.0.0.1")
	c := s.client()
	c.request("octet", "windowsize 2")
	c.want("windowsize=2")
	c.ack(0)
	s.wantEnd("0 bytes, the test is over")
	c.wantNothing()
}
