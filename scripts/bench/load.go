// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The load client: many TFTP clients in one thread, so that the servers have most of the
// machine. Each asks with tsize and blksize 1468 from its own port, and compares every byte.

// load is a number of clients that each read the file name, which must be want, at once and by
// windows of some blocks.
type load struct {
	name    string
	want    []byte
	clients int
	window  int
}

const (
	blockSize  = 1468
	resend     = 2 * time.Second        // as a Pi 4 does
	patience   = 150 * time.Second      // for a whole load
	tick       = 200 * time.Millisecond // how often clients look at the clock
	oack, ack  = 6, 4
	data, fail = 3, 5
)

// loader is a client in the middle of its transfer.
type loader struct {
	fd        int
	window    int // blocks; what the server makes of it may be less
	left      int // of them to come before the next acknowledgement
	connected bool
	next      uint16 // block to come
	off       int    // bytes that came
	last      []byte // packet to send again
	sent      time.Time
	asked     time.Time // for the first time
	answered  time.Time // for the first time
}

// run reads the file name from server and returns how long that took.
func (l load) run(server netip.AddrPort, name string) (time.Duration, error) {
	took, _, err := l.runAll(server, slices.Repeat([]string{name}, l.clients))
	return took, err
}

// runAll reads files from server, each by a client of its own. It returns how long that took, and how
// long the client that waited longest had to wait for its first answer.
func (l load) runAll(server netip.AddrPort, names []string) (took, slowest time.Duration, err error) {
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(poll)
	start := time.Now()
	clients := map[int32]*loader{}
	defer func() {
		for _, c := range clients {
			unix.Close(c.fd)
		}
	}()
	var all []*loader
	for _, name := range names {
		c, err := ask(server, name, l.window)
		if err != nil {
			return 0, 0, err
		}
		all = append(all, c)
		clients[int32(c.fd)] = c
		event := &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c.fd)}
		if err := unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, c.fd, event); err != nil {
			return 0, 0, err
		}
	}
	if err := l.serve(poll, clients, server); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", names[0], err)
	}
	took = time.Since(start)
	for _, c := range all {
		slowest = max(slowest, c.answered.Sub(c.asked))
	}
	return took, slowest, nil
}

// serve goes on until all clients have their file. Those that have it are taken out of the map.
func (l load) serve(poll int, clients map[int32]*loader, server netip.AddrPort) error {
	events := make([]unix.EpollEvent, 256)
	packet := make([]byte, 4+blockSize+1)
	start := time.Now()
	for looked := start; len(clients) > 0; {
		count, err := unix.EpollWait(poll, events, int(tick.Milliseconds()))
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(0, count)] {
			c := clients[e.Fd]
			done, err := c.drain(packet, l.want)
			if err != nil {
				return fmt.Errorf("after %d bytes: %w", c.off, err)
			}
			if done {
				unix.Close(c.fd)
				delete(clients, e.Fd)
			}
		}
		now := time.Now()
		if now.Sub(looked) <= tick {
			continue
		}
		looked = now
		if now.Sub(start) > patience {
			return fmt.Errorf("%d of %d transfers did not end", len(clients), l.clients)
		}
		for _, c := range clients {
			if err := c.repeat(server, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// ask opens a socket and sends the request.
func ask(server netip.AddrPort, name string, window int) (*loader, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	request := "\x00\x01" + name + "\x00octet\x00tsize\x000\x00blksize\x001468\x00"
	if window > 1 {
		request += fmt.Sprintf("windowsize\x00%d\x00", window)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	}
	c := &loader{fd: fd, window: window, last: []byte(request), asked: time.Now()}
	if err := c.send(server); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return c, nil
}

// send sends the last packet: to server until the transfer's port is known.
func (c *loader) send(server netip.AddrPort) error {
	c.sent = time.Now()
	if c.connected {
		_, err := unix.Write(c.fd, c.last)
		return err
	}
	return unix.Sendto(c.fd, c.last, 0, &unix.SockaddrInet4{Port: int(server.Port()), Addr: server.Addr().As4()})
}

func (c *loader) repeat(server netip.AddrPort, now time.Time) error {
	if now.Sub(c.sent) < resend {
		return nil
	}
	return c.send(server)
}

// drain takes one packet, or of a window as many as are there; done reports whether the file is
// whole.
func (c *loader) drain(p, want []byte) (done bool, err error) {
	for {
		n, err := c.read(p)
		if err == unix.EAGAIN {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if done, err = c.receive(p[:n], want); done || err != nil || c.window == 1 {
			return done, err
		}
	}
}

func (c *loader) receive(p, want []byte) (done bool, err error) {
	if len(p) < 4 || p[0] != 0 {
		return false, fmt.Errorf("packet of %d bytes", len(p))
	}
	number := binary.BigEndian.Uint16(p[2:])
	switch p[1] {
	case fail:
		return false, fmt.Errorf("error %d: %s", number, bytes.TrimRight(p[4:], "\x00"))
	case oack:
		if c.off > 0 {
			return false, nil
		}
		c.next = 1
		c.agree(string(p[2:]))
		return false, c.ack(0)
	case data:
		return c.block(number, p[4:], want)
	}
	return false, nil
}

// agree reads what the server makes of the window.
func (c *loader) agree(options string) {
	fields := strings.Split(options, "\x00")
	granted := 1
	for i, f := range fields[:len(fields)-1] {
		if f == "windowsize" {
			granted, _ = strconv.Atoi(fields[i+1])
		}
	}
	c.window = granted
}

// block takes a block, and acknowledges it if that is due.
func (c *loader) block(number uint16, block, want []byte) (done bool, err error) {
	if number != c.next { // an old one, whose successor is on the way; or one after a gap
		if c.left == c.window || c.window == 1 {
			return false, nil
		}
		return false, c.ack(c.next - 1)
	}
	if len(block) > len(want)-c.off || !bytes.Equal(block, want[c.off:c.off+len(block)]) {
		return false, errors.New("wrong bytes")
	}
	c.off += len(block)
	c.next++
	c.left--
	done = len(block) < blockSize
	if done && c.off != len(want) {
		return false, errors.New("the file ends too early")
	}
	if done || c.left == 0 {
		return done, c.ack(number)
	}
	return false, nil
}

// read reads a packet. The first one comes from the port of the transfer.
func (c *loader) read(p []byte) (int, error) {
	if c.connected {
		return unix.Read(c.fd, p)
	}
	n, from, err := unix.Recvfrom(c.fd, p, 0)
	if err != nil {
		return n, err
	}
	c.connected, c.answered = true, time.Now()
	return n, unix.Connect(c.fd, from)
}

func (c *loader) ack(number uint16) error {
	c.left = c.window
	c.last = append(c.last[:0], 0, ack, byte(number>>8), byte(number))
	_, err := unix.Write(c.fd, c.last)
	c.sent = time.Now()
	return err
}
