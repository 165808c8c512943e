// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"nobodd/internal/config"
)

// TestOptions: only what was asked for is in the OACK, in any spelling, and only what fits.
func TestOptions(t *testing.T) {
	d := serving(t, noise(3000))
	for _, tt := range []struct {
		mode    string
		options []string
		want    string
	}{
		{"octet", nil, "DATA 1 of 512 bytes"},
		{"OCTET", []string{"tsize 0"}, "OACK tsize=3000"},
		{"octet", []string{"tsize 0", "blksize 1468"}, "OACK blksize=1468,tsize=3000"},
		{"octet", []string{"TSIZE 0", "BlkSize 1024"}, "OACK blksize=1024,tsize=3000"},
		{"octet", []string{"tsize 99"}, "OACK tsize=3000"},
		{"octet", []string{"blksize 1468"}, "OACK blksize=1468"},
		{"octet", []string{"blksize 65464"}, "OACK blksize=65464"},
		{"octet", []string{"blksize 512"}, "OACK blksize=512"},
		{"octet", []string{"blksize 8"}, "OACK blksize=8"},
		{"octet", []string{"blksize 7"}, "DATA 1 of 512 bytes"},
		{"octet", []string{"blksize 65465"}, "OACK blksize=65464"},
		{"octet", []string{"blksize many", "tsize 0"}, "OACK tsize=3000"},
		{"octet", []string{"timeout 256", "windowsize 0", "multicast "}, "DATA 1 of 512 bytes"},
		{"octet", []string{"windowsize 16", "TimeOut 3"}, "OACK timeout=3,windowsize=16"},
		{"netascii", []string{"tsize 0"}, "DATA 1 of 512 bytes"},
		{"NetASCII", []string{"tsize 0", "blksize 600"}, "OACK blksize=600"},
		{"mail", nil, "ERROR 4 unknown transfer mode"},
	} {
		t.Run(strings.Join(append([]string{tt.mode}, tt.options...), " "), func(t *testing.T) {
			c := d.client(t)
			c.request("x", tt.mode, tt.options...)
			c.want(tt.want)
			c.reply(opError, 0, "enough\x00")
		})
	}
}

// TestSizes: whole, with a last block that may be empty, whatever the block size.
func TestSizes(t *testing.T) {
	for _, n := range []int{0, 1, 511, 512, 513, 1024, 1468, 2936, 100000} {
		data := noise(n)
		d := serving(t, data)
		c := d.client(t)
		got, err := c.get("x")
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes by blocks of 1468: got %d, %v", n, len(got), err)
		}
		c = d.client(t)
		c.request("x", "octet")
		if got, err = c.finish(512); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes by blocks of 512: got %d, %v", n, len(got), err)
		}
		c = d.client(t)
		c.request("x", "octet", "blksize 65464")
		c.want("OACK blksize=65464")
		c.ack(0)
		if got, err = c.finish(65464); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes by blocks of 65464: got %d, %v", n, len(got), err)
		}
	}
}

func TestNetascii(t *testing.T) {
	d := serving(t, []byte(strings.Repeat("one\ntwo\r\n\r", 100)))
	c := d.client(t)
	c.request("cmdline.txt", "netascii", "tsize 0")
	got, err := c.finish(512)
	if want := strings.Repeat("one\r\ntwo\r\x00\r\n\r\x00", 100); err != nil || string(got) != want {
		t.Errorf("got %q, %v", got, err)
	}
	d.log.wait(t, 1, "outcome=sent bytes=1400")
}

// TestProbe: the size is asked for, the transfer broken off, and nothing is said to that.
func TestProbe(t *testing.T) {
	d := serving(t, noise(3000))
	c := d.client(t)
	for n := 1; n <= 3; n++ {
		c.request("start4.elf", "octet", "tsize 0", "blksize 1468")
		c.want("OACK blksize=1468,tsize=3000")
		c.reply(opError, 0, "Early terminate\x00")
		line := d.log.wait(t, n, "outcome=probed")
		if want := "debug: 89025d75: start4.elf probed: 2.9KiB client="; !strings.HasPrefix(line, want) {
			t.Errorf("log: %q, want %q", line, want)
		}
	}
	c.wantNothing()
}

// TestRepeatedRequest: a client that asks again from the same port is not served twice, until it
// has acknowledged something: then it means to begin anew.
func TestRepeatedRequest(t *testing.T) {
	d := serving(t, noise(3000))
	c := d.client(t)
	for range 3 { // within a few milliseconds
		c.request("x", "octet", "tsize 0")
	}
	c.want("OACK tsize=3000")
	tid := c.peer
	c.request("x", "octet", "tsize 0")
	d.log.wait(t, 3, "outcome=repeated")
	if n := d.Running(); n != 1 {
		t.Errorf("%d transfers, want 1", n)
	}
	c.ack(0)
	c.want("DATA 1 of 512 bytes")
	if c.peer != tid {
		t.Errorf("DATA came from %v, the OACK from %v", c.peer, tid)
	}
	c.ack(1)
	c.want("DATA 2 of 512 bytes")
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=3000")
	if c.peer == tid {
		t.Errorf("the new start came from %v as well", c.peer)
	}
	d.log.wait(t, 1, "x after 512B in 0.0s: client asked for something else")
	c.ack(0)
	if got, err := c.finish(512); err != nil || len(got) != 3000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	d.log.wait(t, 1, "outcome=sent")
	c.wantNothing()
}

// TestOtherRequestFromThePort: a client that asks for something else has given up what it
// asked for first.
func TestOtherRequestFromThePort(t *testing.T) {
	d := serving(t, noise(3000))
	c := d.client(t)
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=3000")
	c.request("y", "octet", "blksize 1000")
	c.want("OACK blksize=1000")
	d.log.wait(t, 1, "x after 0B in 0.0s: client asked for something else")
	c.ack(0)
	if got, err := c.finish(1000); err != nil || len(got) != 3000 {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	d.log.wait(t, 1, "outcome=sent")
	if n := strings.Count(d.log.text(), "file=x"); n != 1 {
		t.Errorf("%d lines for x, want 1", n)
	}
}

// TestRetransmission: an unanswered packet comes again after 0.7 s, six times in all, and
// then nothing.
func TestRetransmission(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 4 seconds")
	}
	t.Parallel()
	d := serving(t, noise(100))
	var clients sync.WaitGroup
	for _, options := range [][]string{{"tsize 0"}, nil} {
		c := d.client(t)
		c.request("x", "octet", options...)
		clients.Go(func() { wantSixTimes(c) })
	}
	clients.Wait()
	d.log.wait(t, 1, "warning: 89025d75: x after 0B in ")
	d.log.wait(t, 2, ": no answer client=127.0.0.1:")
	d.log.wait(t, 2, "outcome=timeout")
}

func wantSixTimes(c *client) {
	first, _ := c.receiveWithin(soon)
	began := time.Now()
	last, shortest := began, soon
	for n := 2; n <= 6; n++ {
		p, ok := c.receiveWithin(soon)
		if !ok || p != first {
			c.Errorf("packet %d is %v, the first was %v", n, p, first)
			return
		}
		shortest = min(shortest, time.Since(last))
		last = time.Now()
	}
	// A busy machine may be late, never early.
	if total := last.Sub(began); total < 5*700*time.Millisecond-400*time.Millisecond || shortest > time.Second {
		c.Errorf("six packets took %v, the shortest wait was %v", total, shortest)
	}
	if p, ok := c.receiveWithin(time.Second); ok {
		c.Errorf("then received %v, want nothing", p)
	}
}

// TestErrors: fixed texts, the codes of RFC 1350.
func TestErrors(t *testing.T) {
	cfg := board("none")
	cfg.Boards[1] = config.Board{Serial: 1, IP: netip.MustParseAddr("192.0.2.1")}
	cfg.Boards[2] = config.Board{Serial: 2, IP: netip.MustParseAddr("127.0.0.1")}
	d := startWith(t, cfg, func(_ config.Board, name string) (file, error) {
		switch name {
		case "none":
			return nil, errNotFound
		case ".":
			return nil, errNotFile
		case "damaged":
			return nil, &failure{"/srv/jammy.img", errors.New("damaged file system: /srv")}
		case "panic":
			panic("/srv")
		case "short":
			return &memory{ReaderAt: io.NewSectionReader(zeros{}, 0, 700), size: 1000}, nil
		case "unreadable":
			return &memory{ReaderAt: badReader{}, size: 1000}, nil
		}
		return &memory{ReaderAt: zeros{}, size: 1000}, nil
	})
	for _, tt := range []struct{ request, want, log string }{
		{string(rrq("89025d75/none", "octet", "tsize 0")), "ERROR 1 file not found", "debug: 89025d75: none not found client="},
		{string(rrq("none", "octet")), "ERROR 1 file not found", "debug: 00000002: none not found client="},
		{string(rrq("89025d75/", "octet")), "ERROR 2 not a file", "warning: 89025d75: . refused: not a file client="},
		{string(rrq("1/x", "octet")), "ERROR 2 access denied", "warning: 00000001: x refused: access denied client=127.0.0.1:"},
		{string(rrq("2/x", "octet", "tsize 0")), "OACK tsize=1000", ""},
		{string(rrq("89025d75/damaged", "octet", "tsize 0")), "ERROR 0 cannot read file", "error: 89025d75: damaged after 0B in 0.0s: /srv/jammy.img: damaged file system: /srv client="},
		{string(rrq("89025d75/short", "octet", "blksize 1400")), "OACK blksize=1400", ""},
		{string(rrq("89025d75/panic", "octet")), "ERROR 0 server error", "error: 89025d75: panic after 0B in 0.0s: internal error: /srv client="},
		{"\x00\x02x\x00octet\x00", "ERROR 2 read-only server", `warning: -: "" refused: read-only server client=127.0.0.1:`},
		{"\x00\x01x", "ERROR 4 malformed request", `warning: -: "" refused: malformed request client=127.0.0.1:`},
		{string(rrq("89025d75/"+strings.Repeat("x", 3000), "octet")), "ERROR 4 malformed request", ""},
	} {
		c := d.client(t)
		c.send(c.server, []byte(tt.request))
		c.want(tt.want)
		if tt.log != "" {
			d.log.wait(t, 1, tt.log)
		}
		c.reply(opError, 0, "\x00")
	}
	for _, name := range []string{"short", "unreadable"} {
		c := d.client(t)
		c.request(name, "octet", "tsize 0")
		c.want("OACK tsize=1000")
		c.ack(0)
		c.want("ERROR 0 cannot read file")
		d.log.wait(t, 1, "error: 89025d75: "+name+" after 0B in ")
	}
}

type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

type badReader struct{}

func (badReader) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

// TestPanicWhileSending ends that transfer and nothing else.
func TestPanicWhileSending(t *testing.T) {
	d := startWith(t, board("none"), func(config.Board, string) (file, error) {
		return &memory{ReaderAt: panicReader{}, size: 1000}, nil
	})
	c := d.client(t)
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=1000")
	c.ack(0)
	c.want("ERROR 0 server error")
	d.log.wait(t, 1, "internal error: out of cheese")
	c.request("x", "octet", "tsize 0")
	c.want("OACK tsize=1000")
}

type panicReader struct{}

func (panicReader) ReadAt([]byte, int64) (int, error) { panic("out of cheese") }

// TestUnaskedPackets: what is no request gets no answer.
func TestUnaskedPackets(t *testing.T) {
	d := serving(t, noise(10))
	c := d.client(t)
	for _, b := range []string{"", "\x00", "\x00\x03\x00\x01x", "\x00\x04\x00\x01", "\x00\x05\x00\x00Early terminate\x00", "\x00\x06tsize\x000\x00", "GET / HTTP/1.0\r\n\r\n"} {
		c.send(c.server, []byte(b))
	}
	d.log.wait(t, 7, "packet ignored")
	c.wantNothing()
}

// TestIP: a client is who it is on any socket.
func TestIP(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "::"} {
		cfg := board("none")
		cfg.Listen = listen
		cfg.Boards[1] = config.Board{Serial: 1, IP: netip.MustParseAddr("127.0.0.1")}
		cfg.Boards[2] = config.Board{Serial: 2, IP: netip.MustParseAddr("127.0.0.2")}
		d := startWith(t, cfg, func(config.Board, string) (file, error) {
			return &memory{ReaderAt: zeros{}, size: 1}, nil
		})
		for _, tt := range []struct{ from, name, want string }{
			{"127.0.0.1", "1/x", "DATA 1 of 1 bytes"},
			{"127.0.0.1", "2/x", "ERROR 2 access denied"},
			{"127.0.0.2", "1/x", "ERROR 2 access denied"},
			{"127.0.0.2", "2/x", "DATA 1 of 1 bytes"},
			{"127.0.0.2", "89025d75/x", "DATA 1 of 1 bytes"},
		} {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(tt.from)})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := &client{TB: t, conn: conn, server: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), d.addr.Port())}
			c.send(c.server, rrq(tt.name, "octet"))
			c.want(tt.want)
		}
	}
}

// TestReplyAddress: replies come from the address that was asked.
func TestReplyAddress(t *testing.T) {
	for _, listen := range []string{"0.0.0.0", "::"} {
		cfg := board("none")
		cfg.Listen = listen
		cfg.MaxTransfers = 1
		d := startWith(t, cfg, func(config.Board, string) (file, error) {
			return &memory{ReaderAt: zeros{}, size: 1}, nil
		})
		addrs := []string{"127.0.0.1", "127.0.0.77"}
		if listen == "::" {
			addrs = append(addrs, "::1")
			addrs = append(addrs, linkLocal(t)...)
		}
		for i, addr := range addrs {
			ip := netip.MustParseAddr(addr)
			c := d.client(t)
			c.server = netip.AddrPortFrom(ip, d.addr.Port())
			c.request("x", "octet", "blksize 1468")
			c.want("OACK blksize=1468")
			if c.peer.Addr() != ip {
				t.Errorf("listening on %s: %s was asked, %s replied", listen, ip, c.peer.Addr())
			}
			refused := d.client(t) // by the listening socket
			refused.server = c.server
			refused.request("x", "octet")
			refused.want("ERROR 0 too many transfers")
			if refused.peer.Addr() != ip {
				t.Errorf("listening on %s: %s was asked, %s refused", listen, ip, refused.peer.Addr())
			}
			c.reply(opError, 0, "\x00")
			d.log.wait(t, i+1, "outcome=probed")
			waitIdle(t, d)
		}
	}
}

// linkLocal returns an IPv6 link-local address of this machine, if it has one.
func linkLocal(t *testing.T) []string {
	t.Helper()
	ifis, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range ifis {
		addrs, err := ifi.Addrs()
		if err != nil || ifi.Flags&net.FlagUp == 0 {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				return []string{p.Addr().WithZone(ifi.Name).String()}
			}
		}
	}
	return nil
}

// waitIdle waits until no transfer runs.
func waitIdle(t *testing.T, d interface{ Running() int }) {
	t.Helper()
	waitRunning(t, d, 0)
}

// waitRunning waits until no more than n transfers run.
func waitRunning(t *testing.T, d interface{ Running() int }, n int) {
	t.Helper()
	for deadline := time.Now().Add(soon); d.Running() > n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d transfers still run, want %d", d.Running(), n)
		}
	}
}

// TestMaxTransfers: over the limit there is an ERROR at once, and it ends with the others.
func TestMaxTransfers(t *testing.T) {
	opened := 0
	var mu sync.Mutex
	cfg := board("none")
	cfg.MaxTransfers = 2
	d := startWith(t, cfg, func(config.Board, string) (file, error) {
		mu.Lock()
		defer mu.Unlock()
		opened++
		return &memory{ReaderAt: zeros{}, size: 1}, nil
	})
	a, b, over := d.client(t), d.client(t), d.client(t)
	a.request("x", "octet", "tsize 0")
	a.want("OACK tsize=1")
	b.request("x", "octet", "tsize 0")
	b.want("OACK tsize=1")
	for range 3 {
		over.request("x", "octet", "tsize 0")
		over.want("ERROR 0 too many transfers")
	}
	b.request("x", "octet", "tsize 0") // its second one, not a third transfer
	a.ack(0)
	a.want("DATA 1 of 1 bytes")
	a.ack(1)
	d.log.wait(t, 1, "outcome=sent")
	if n := strings.Count(d.log.text(), "warning: too many transfers"); n != 1 {
		t.Errorf("the log says it %d times, want once", n)
	}
	mu.Lock()
	defer mu.Unlock()
	if opened != 2 {
		t.Errorf("%d files were opened, want 2", opened)
	}
}
