// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Opcodes of RFC 1350 and RFC 2347.
const (
	opData  = 3
	opAck   = 4
	opError = 5
	opOAck  = 6
)

// client reads files as a Raspberry Pi's bootloader does: octet mode, each request from a new port,
// the request repeated while nothing comes.
type client struct {
	server   string
	from     string        // its own address; "" for any
	tsize    bool          // asks for the size
	blksize  int           // asks for blocks of so many bytes; 0: takes 512
	patience time.Duration // how long to wait for a packet before asking again; 0: 2 s
}

// tftpError is an ERROR packet of the server.
type tftpError struct {
	code uint16
	text string
}

func (e *tftpError) Error() string { return fmt.Sprintf("server says %d: %s", e.code, e.text) }

// missing reports whether err says that there is no such file.
func missing(err error) bool {
	var e *tftpError
	return errors.As(err, &e) && e.code == 1
}

// transfer is one request that was answered.
type transfer struct {
	conn     *net.UDPConn
	peer     net.Addr
	patience time.Duration
	block    int    // bytes
	size     int64  // of the file; -1 if the client did not ask
	first    []byte // its first block, if it came without an OACK
}

// probe asks for a file, and breaks off when its size is known.
func (c client) probe(name string) (int64, error) {
	t, err := c.request(name)
	if err != nil {
		return 0, err
	}
	defer t.conn.Close()
	return t.size, t.send(packet(opError, 0, "Early terminate\x00"))
}

// get fetches a file whole.
func (c client) get(name string) ([]byte, error) {
	t, err := c.request(name)
	if err != nil {
		return nil, err
	}
	defer t.conn.Close()
	var data []byte
	for block := uint16(1); ; block++ {
		part, err := t.data(block)
		if err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", name, block, err)
		}
		data = append(data, part...)
		if len(part) < t.block {
			break
		}
	}
	if t.size >= 0 && int64(len(data)) != t.size {
		return nil, fmt.Errorf("%s: %d bytes came, %d were announced", name, len(data), t.size)
	}
	return data, t.send(packet(opAck, uint16(len(data)/t.block+1), ""))
}

// request sends a read request until it is answered.
func (c client) request(name string) (*transfer, error) {
	server, err := net.ResolveUDPAddr("udp", c.server)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(c.from)})
	if err != nil {
		return nil, err
	}
	t := &transfer{conn: conn, peer: server, patience: c.patience, block: 512, size: -1}
	if t.patience == 0 {
		t.patience = 2 * time.Second
	}
	if err := c.begin(t, name); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

func (c client) begin(t *transfer, name string) error {
	asked := map[string]string{}
	rrq := "\x00\x01" + name + "\x00octet\x00"
	if c.tsize {
		asked["tsize"] = "0"
		rrq += "tsize\x000\x00"
	}
	if c.blksize > 0 {
		asked["blksize"] = strconv.Itoa(c.blksize)
		rrq += "blksize\x00" + asked["blksize"] + "\x00"
	}
	answer, err := t.ask([]byte(rrq), func(p []byte) bool {
		return p[1] == opOAck && len(asked) > 0 || p[1] == opData && len(asked) == 0 && binary.BigEndian.Uint16(p[2:]) == 1
	})
	switch {
	case err != nil:
		return err
	case len(asked) > 0:
		return t.agree(answer[2:], asked)
	}
	t.first = answer[4:]
	return nil
}

// agree reads an OACK and demands the options that were asked for, and no other.
func (t *transfer) agree(p []byte, asked map[string]string) (err error) {
	fields := strings.Split(strings.TrimSuffix(string(p), "\x00"), "\x00")
	if len(fields) != 2*len(asked) {
		return fmt.Errorf("unexpected options %q", fields)
	}
	for i := 0; i < len(fields); i += 2 {
		switch name, value := strings.ToLower(fields[i]), fields[i+1]; {
		case name == "tsize" && asked[name] != "":
			t.size, err = strconv.ParseInt(value, 10, 64)
		case name == "blksize" && asked[name] == value:
			t.block, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unexpected options %q", fields)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// data acknowledges the block before n and waits for n.
func (t *transfer) data(n uint16) ([]byte, error) {
	if first := t.first; first != nil && n == 1 {
		return first, nil
	}
	p, err := t.ask(packet(opAck, n-1, ""), func(p []byte) bool {
		return p[1] == opData && binary.BigEndian.Uint16(p[2:]) == n
	})
	if err != nil {
		return nil, err
	}
	return p[4:], nil
}

// ask sends a packet until an answer that fits comes, five times at most.
func (t *transfer) ask(p []byte, fits func([]byte) bool) ([]byte, error) {
	for range 5 {
		if err := t.send(p); err != nil {
			return nil, err
		}
		answer, err := t.receive(fits)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return answer, err
		}
	}
	return nil, errors.New("no answer")
}

// receive waits for a packet that fits; what comes from the first port that answered
// counts alone.
func (t *transfer) receive(fits func([]byte) bool) ([]byte, error) {
	if err := t.conn.SetReadDeadline(time.Now().Add(t.patience)); err != nil {
		return nil, err
	}
	p := make([]byte, 4+1468+1)
	for {
		n, from, err := t.conn.ReadFrom(p)
		if err != nil {
			return nil, err
		}
		switch {
		case n < 4 || p[0] != 0:
		case p[1] == opError:
			return nil, &tftpError{binary.BigEndian.Uint16(p[2:]), strings.TrimRight(string(p[4:n]), "\x00")}
		case fits(p[:n]):
			t.peer = from
			return p[:n], nil
		}
	}
}

func (t *transfer) send(p []byte) error {
	_, err := t.conn.WriteTo(p, t.peer)
	return err
}

func packet(op byte, number uint16, rest string) []byte {
	return append([]byte{0, op, byte(number >> 8), byte(number)}, rest...)
}
