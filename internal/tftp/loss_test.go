// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// relay carries packets between one client and a server, but for those that it loses, and carries
// some twice.
type relay struct {
	front, back *net.UDPConn // to the client, to the server
	mu          sync.Mutex
	client      netip.AddrPort
	server      netip.AddrPort
	random      *rand.Rand
}

func newRelay(t *testing.T, server netip.AddrPort, seed uint64) *relay {
	t.Helper()
	r := &relay{server: server, random: rand.New(rand.NewPCG(seed, 1))}
	var all sync.WaitGroup
	t.Cleanup(all.Wait)
	for _, conn := range []**net.UDPConn{&r.front, &r.back} {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		*conn = c
		t.Cleanup(func() { c.Close() })
	}
	all.Go(func() { r.carry(r.front, r.back, &r.client, &r.server) })
	all.Go(func() { r.carry(r.back, r.front, &r.server, &r.client) })
	return r
}

// carry takes down where packets come from, which is where the others go to.
func (r *relay) carry(in, out *net.UDPConn, from, to *netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, at, err := in.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		r.mu.Lock()
		*from = at
		dest, dice := *to, r.random.IntN(100)
		r.mu.Unlock()
		if dice >= 10 { // one in ten is lost
			out.WriteToUDPAddrPort(buf[:n], dest)
		}
		if dice >= 95 { // one in twenty comes twice
			out.WriteToUDPAddrPort(buf[:n], dest)
		}
	}
}

// TestLoss: with packets lost and doubled in both directions a transfer completes, whatever the
// window, and past block 65535 too.
func TestLoss(t *testing.T) {
	windows, sizes := []int{1, 2, 3, 4, 7, 16, 33, 64}, []int{1, 100}
	if testing.Short() {
		windows, sizes = []int{1, 64}, []int{1, 20}
	}
	for _, window := range windows {
		for _, blocks := range sizes {
			t.Run(fmt.Sprintf("%d by %d", blocks, window), func(t *testing.T) {
				t.Parallel()
				data := noise(blocks*512 + 5)
				s := serve(t, "127.0.0.1", of(data))
				c := s.client()
				c.server = newRelay(t, s.l.Addr(), uint64(1000*window+blocks)).front.LocalAddr().(*net.UDPAddr).AddrPort()
				if got := c.insist(512, window); !bytes.Equal(got, data) {
					t.Errorf("got %d bytes of %d", len(got), len(data))
				}
			})
		}
	}
}

// insist fetches a file over a bad network as RFC 7440 has it: it repeats its request until there is
// an answer, acknowledges what it has when a window is full or a block is missing or nothing comes,
// and the last block as often as it comes again.
func (c *client) insist(block, window int) (data []byte) {
	c.Helper()
	request := rrq("x", "octet", fmt.Sprint("windowsize ", window), "utimeout 100000")
	var next, left uint16
	ended := false
	acknowledge := func() {
		left = uint16(window)
		c.ack(next - 1)
	}
	for quiet := 0; quiet < 100 && !(ended && quiet == 10); {
		if next == 0 {
			c.send(c.server, request)
		}
		p, ok := c.receive(30 * time.Millisecond)
		switch {
		case !ok:
			quiet++
			if next > 0 && !ended {
				acknowledge()
			}
			continue
		case binary.BigEndian.Uint16(p) == opOAck:
			if next <= 1 {
				next = 1
				acknowledge()
			}
		case binary.BigEndian.Uint16(p) != opData:
			c.Fatalf("received %s", packetText(p))
		case ended:
			acknowledge()
			continue
		case binary.BigEndian.Uint16(p[2:]) == next && next > 0:
			data = append(data, p[headerSize:]...)
			next++
			left--
			ended = len(p) < headerSize+block
			if ended || left == 0 {
				acknowledge()
			}
		case left < uint16(window):
			acknowledge()
		}
		quiet = 0
	}
	return data
}

// TestManyBlocks: after block 65535 comes block 0, by windows too.
func TestManyBlocks(t *testing.T) {
	windows := []int{1, 4, 64}
	if testing.Short() {
		windows = []int{64}
	}
	data := noise(65600*8 + 3)
	s := serve(t, "127.0.0.1", of(data))
	for _, window := range windows {
		c := s.client()
		c.request("octet", "blksize 8", fmt.Sprint("windowsize ", window))
		c.want(fmt.Sprint("blksize=8 windowsize=", window))
		c.ack(0)
		if got, why := c.finish(8, window); why != "" || !bytes.Equal(got, data) {
			t.Errorf("windows of %d: got %d bytes of %d, %s", window, len(got), len(data), why)
		}
		s.wantEnd(fmt.Sprintf("%d bytes, <nil>", len(data)))
	}
}

// TestTimeouts: an unanswered packet or window comes six times in all, as often as was negotiated.
func TestTimeouts(t *testing.T) {
	for _, window := range []int{1, 4} {
		t.Run(fmt.Sprint("windowsize ", window), func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1", of(noise(5000)))
			c := s.client()
			c.request("octet", "utimeout 10000", fmt.Sprint("windowsize ", window))
			for range 6 {
				c.want(fmt.Sprint("utimeout=10000 windowsize=", window))
			}
			s.wantEnd("0 bytes, no answer")
			c.request("octet", "utimeout 50000", fmt.Sprint("windowsize ", window))
			c.wantSoon(fmt.Sprint("utimeout=50000 windowsize=", window))
			began := time.Now()
			c.ack(0)
			c.wantSoon("DATA 1 of 512 bytes")
			for n := 1; n < 6*window; n++ {
				c.want(fmt.Sprintf("DATA %d of 512 bytes", n%window+1))
			}
			s.wantEnd("0 bytes, no answer")
			if took := time.Since(began); took < 6*50*time.Millisecond {
				t.Errorf("it took %v", took)
			}
			c.wantNothing()
		})
	}
}

// wantSoon waits for a packet, after copies of those before that come where this client is late.
func (c *client) wantSoon(want string) {
	c.Helper()
	for {
		p, ok := c.receive(soon)
		if !ok {
			c.Fatalf("no packet, want %s", want)
		}
		if packetText(p) == want {
			return
		}
	}
}

// TestLastAcknowledgement: if only that is missing, the file is sent; not if none came at all.
func TestLastAcknowledgement(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(c *client)
		want string
	}{
		{"silent", func(c *client) {
			c.request("octet", "utimeout 50000", "windowsize 2")
			c.wantSoon("utimeout=50000 windowsize=2")
			c.ack(0)
		}, "700 bytes, <nil>"},
		{"gone", func(c *client) {
			c.request("octet", "utimeout 200000")
			c.wantSoon("utimeout=200000")
			c.ack(0)
			c.wantSoon("DATA 1 of 512 bytes")
			c.ack(1)
			c.wantSoon("DATA 2 of 188 bytes")
			c.conn.Close()
		}, "700 bytes, <nil>"},
		{"never there", func(c *client) {
			c.request("octet", "utimeout 10000", "blksize 1000")
			c.wantSoon("utimeout=10000 blksize=1000")
		}, "0 bytes, no answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1", of(noise(700)))
			tt.play(s.client())
			s.wantEnd(tt.want)
		})
	}
}

// TestSilentClient: one that says nothing for 5 or 10 seconds and then repeats its last
// acknowledgement is served.
func TestSilentClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 10 seconds")
	}
	data := noise(5000)
	for _, tt := range []struct {
		silent time.Duration
		window int
	}{{5 * time.Second, 1}, {10 * time.Second, 1}, {5 * time.Second, 4}, {10 * time.Second, 4}} {
		t.Run(fmt.Sprintf("%v, windowsize %d", tt.silent, tt.window), func(t *testing.T) {
			t.Parallel()
			s := serve(t, "127.0.0.1", of(data))
			c := s.client()
			c.request("octet", fmt.Sprint("windowsize ", tt.window))
			c.want(fmt.Sprint("windowsize=", tt.window))
			c.ack(0)
			time.Sleep(tt.silent) // not a word of what comes meanwhile
			c.ack(0)
			if got, why := c.finish(512, tt.window); why != "" || !bytes.Equal(got, data) {
				t.Errorf("got %d bytes of %d, %s", len(got), len(data), why)
			}
		})
	}
}
