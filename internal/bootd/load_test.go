// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// baseline is what a process uses when it has nothing to do.
type baseline struct {
	descriptors, goroutines int
	heap                    uint64
}

// needDescriptors skips the test where the system does not give as many.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < n {
		t.Skipf("needs %d descriptors, may open %d (%v)", n, limit.Cur, err)
	}
}

func measure(t *testing.T) baseline {
	t.Helper()
	runtime.GC()
	runtime.GC() // what finalizers and pools let go
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return baseline{len(descriptors(t)), runtime.NumGoroutine(), m.HeapAlloc}
}

// wantBack waits for what ends just after a transfer, and compares.
func (b baseline) wantBack(t *testing.T) {
	t.Helper()
	const slack = 4 << 20 // the log, and what the runtime keeps of 1,000 goroutines
	var now baseline
	for range 100 {
		now = measure(t)
		if now.descriptors <= b.descriptors && now.goroutines <= b.goroutines && now.heap < b.heap+slack {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("before: %+v, after: %+v", b, now)
}

// clients opens n sockets that live until the function returned is called.
func (d *testServer) clients(t *testing.T, n int) ([]*client, func()) {
	t.Helper()
	list := make([]*client, n)
	for i := range list {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		list[i] = &client{TB: t, conn: conn, server: d.addr}
	}
	return list, func() {
		for _, c := range list {
			c.conn.Close()
		}
	}
}

// TestThousandTransfers: with the limit at 1,000 they all run at once, the next one gets
// an ERROR, and everything is given back.
func TestThousandTransfers(t *testing.T) {
	const n = 1000
	needDescriptors(t, 4*n)
	path, tree := ubuntu(t)
	want := tree["fixup4.dat"]
	d := start(t, board(path))
	if _, err := d.client(t).get("config.txt"); err != nil { // what is set up once
		t.Fatal(err)
	}
	before := measure(t)
	clients, closeAll := d.clients(t, n+1)
	over := clients[n]
	clients = clients[:n]
	for _, c := range clients {
		c.request("fixup4.dat", "octet", "tsize 0", "blksize 1468")
		c.want(fmt.Sprintf("OACK blksize=1468,tsize=%d", len(want)))
	}
	if got := d.Running(); got != n {
		t.Errorf("%d transfers run, want %d", got, n)
	}
	over.request("fixup4.dat", "octet", "tsize 0", "blksize 1468")
	over.want("ERROR 0 too many transfers")
	for _, c := range clients {
		c.ack(0)
	}
	for _, c := range clients {
		if got, err := c.finish(1468); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("got %d bytes of %d, %v", len(got), len(want), err)
		}
	}
	waitIdle(t, d)
	over.request("fixup4.dat", "octet")
	if got, err := over.finish(512); err != nil || !bytes.Equal(got, want) {
		t.Errorf("after the rush: got %d bytes of %d, %v", len(got), len(want), err)
	}
	closeAll()
	clients, over = nil, nil
	before.wantBack(t)
}

// TestProbesLeakNothing: 2,000 transfers that clients break off, some without a word.
func TestProbesLeakNothing(t *testing.T) {
	const n, atOnce = 2000, 50
	needDescriptors(t, 4*atOnce)
	path, _ := ubuntu(t)
	d := start(t, board(path))
	if _, err := d.client(t).get("config.txt"); err != nil {
		t.Fatal(err)
	}
	before := measure(t)
	for range n / atOnce {
		clients, closeAll := d.clients(t, atOnce)
		for i, c := range clients {
			name := "start4.elf"
			if i%5 == 0 {
				name = "vl805.sig"
			}
			c.request(name, "octet", "tsize 0", "blksize 1468")
		}
		for _, c := range clients {
			if p := c.receive(); p.op == opOAck {
				c.reply(opError, 0, "Early terminate\x00")
			}
		}
		closeAll()
		waitIdle(t, d) // a port may come again, and must not look like the same client
	}
	before.wantBack(t)
}

// TestGarbage: 20,000 datagrams of nothing during a transfer.
func TestGarbage(t *testing.T) {
	data := noise(2 << 20)
	d := serving(t, data)
	d.log.level.Set(slog.LevelError)
	before := measure(t)
	clients, closeAll := d.clients(t, 4)
	attackers, c, other := clients[:2], clients[2], clients[3]
	done := make(chan struct{})
	c.request("x", "octet", "blksize 1468")
	c.want("OACK blksize=1468")
	transfer := c.peer
	go func() {
		defer close(done)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range 20000 {
			b := make([]byte, r.IntN(2000))
			for j := range b {
				b[j] = byte(r.Uint32())
			}
			if len(b) > 2 && i%4 == 0 {
				b[0], b[1] = 0, byte(i/4%8) // an opcode, or nearly
			}
			to := d.addr
			if i%2 == 1 {
				to = transfer
			}
			attackers[i%2].conn.WriteToUDPAddrPort(b, to)
		}
	}()
	c.ack(0)
	got, err := c.finish(1468)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(data), err)
	}
	<-done
	if got, err := other.get("y"); err != nil || !bytes.Equal(got, data) {
		t.Errorf("after the garbage: got %d bytes of %d, %v", len(got), len(data), err)
	}
	waitIdle(t, d)
	closeAll()
	before.wantBack(t)
}

// lossy is a network between clients and a server that loses packets, the same for each
// client in each run.
type lossy struct {
	t      *testing.T
	conn   *net.UDPConn // for the clients
	server netip.AddrPort
	lines  map[netip.AddrPort]*line
}

// line is a client's way to the server.
type line struct {
	conn *net.UDPConn
	mu   sync.Mutex
	peer netip.AddrPort // the server's address in use
	out  *rand.Rand     // to the server
	in   *rand.Rand
}

func newLossy(t *testing.T, server netip.AddrPort) *lossy {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{t, conn, server, map[netip.AddrPort]*line{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.relay()
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
	return l
}

func (l *lossy) addr() netip.AddrPort { return l.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func lost(r *rand.Rand) bool { return r.IntN(10) == 0 }

func (l *lossy) relay() {
	buf := make([]byte, 4096)
	for {
		n, from, err := l.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			for _, way := range l.lines {
				way.conn.Close()
			}
			return
		}
		way := l.lines[from]
		if way == nil {
			conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				l.t.Error(err)
				return
			}
			seed := uint64(len(l.lines))
			way = &line{conn: conn, peer: l.server, out: rand.New(rand.NewPCG(seed, 1)), in: rand.New(rand.NewPCG(seed, 2))}
			l.lines[from] = way
			go l.back(way, from)
		}
		if !lost(way.out) {
			way.mu.Lock()
			peer := way.peer
			way.mu.Unlock()
			way.conn.WriteToUDPAddrPort(buf[:n], peer)
		}
	}
}

// back carries what the server sends.
func (l *lossy) back(way *line, client netip.AddrPort) {
	buf := make([]byte, 4096)
	for {
		n, from, err := way.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		way.mu.Lock()
		way.peer = from
		way.mu.Unlock()
		if !lost(way.in) {
			l.conn.WriteToUDPAddrPort(buf[:n], client)
		}
	}
}

// TestLoss: with one packet in ten lost in each direction every transfer completes.
func TestLoss(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 seconds")
	}
	t.Parallel()
	const n = 40
	data := noise(8 * 1468)
	d := serving(t, data)
	network := newLossy(t, d.addr)
	clients, closeAll := d.clients(t, n)
	var all sync.WaitGroup
	for i, c := range clients {
		c.server = network.addr()
		all.Go(func() {
			if err := c.insist(data); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	all.Wait()
	d.log.wait(t, n, "outcome=sent")
	closeAll()
}

// insist fetches a file as a patient board does: it repeats its request until there is
// an answer, and acknowledges what comes, the last block too if it comes again.
func (c *client) insist(want []byte) error {
	request := rrq("89025d75/x", "octet", "blksize 1468")
	var got []byte
	block, begun := uint16(0), false
	for range 1000 {
		if !begun {
			c.conn.WriteToUDPAddrPort(request, c.server)
		}
		complete := begun && len(got) == len(want) && block == uint16(len(want)/1468+1)
		patience := 2 * time.Second
		if complete {
			patience = 3 * time.Second // the acknowledgement of the last block may be lost
		}
		c.conn.SetReadDeadline(time.Now().Add(patience))
		n, from, err := c.conn.ReadFromUDPAddrPort(c.buf[:])
		switch {
		case os.IsTimeout(err) && complete:
			if !bytes.Equal(got, want) {
				return fmt.Errorf("wrong content")
			}
			return nil
		case os.IsTimeout(err):
			continue
		case err != nil:
			return err
		}
		begun = true
		p := parsePacket(c.buf[:n])
		if p.op == opError {
			return fmt.Errorf("%v", p)
		}
		if p.op == opData && p.arg == block+1 {
			got = append(got, p.data...)
			block++
		}
		ack := []byte{0, opAck, byte(block >> 8), byte(block)}
		c.conn.WriteToUDPAddrPort(ack, from)
	}
	return fmt.Errorf("no end after %d bytes", len(got))
}

// TestManyBoards: 100 boards boot at once from one image.
func TestManyBoards(t *testing.T) {
	needDescriptors(t, 1000)
	path, tree := ubuntu(t)
	d := start(t, board(path))
	var all sync.WaitGroup
	clients, closeAll := d.clients(t, 100)
	for i, c := range clients {
		all.Go(func() {
			name := []string{"start4.elf", "fixup4.dat", "bcm2711-rpi-4-b.dtb", "config.txt"}[i%4]
			c.request(name, "octet", "blksize 1468")
			p, _ := c.receiveWithin(soon)
			if p.op != opOAck {
				t.Errorf("received %v, want OACK", p)
				return
			}
			c.ack(0)
			if got, err := c.finish(1468); err != nil || !bytes.Equal(got, tree[name]) {
				t.Errorf("%s: got %d bytes of %d, %v", name, len(got), len(tree[name]), err)
			}
		})
	}
	all.Wait()
	closeAll()
}
