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

// blockSize is what a Pi 4 asks for.
const blockSize = 1468

// Opcodes of RFC 1350 and RFC 2347.
const (
	opRRQ   = 1
	opData  = 3
	opAck   = 4
	opError = 5
	opOAck  = 6
)

// client reads files as a Raspberry Pi's bootloader does: octet mode, tsize and blksize,
// each request from a new port, the request repeated while nothing comes.
type client struct {
	server   string
	patience time.Duration // how long to wait for a packet before asking again; 0: 2 s
}

// tftpError is an ERROR packet of the server.
type tftpError struct {
	code uint16
	text string
}

func (e *tftpError) Error() string { return fmt.Sprintf("server says %d: %s", e.code, e.text) }

// missing tells whether err says that there is no such file.
func missing(err error) bool {
	var e *tftpError
	return errors.As(err, &e) && e.code == 1
}

// transfer is one request that was answered with an OACK.
type transfer struct {
	conn     *net.UDPConn
	peer     net.Addr
	patience time.Duration
	size     int64
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
		part, err := t.block(block)
		if err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", name, block, err)
		}
		data = append(data, part...)
		if len(part) < blockSize {
			break
		}
	}
	if int64(len(data)) != t.size {
		return nil, fmt.Errorf("%s: %d bytes came, %d were announced", name, len(data), t.size)
	}
	return data, t.send(packet(opAck, uint16(len(data)/blockSize+1), ""))
}

// request sends a read request until it is answered.
func (c client) request(name string) (*transfer, error) {
	server, err := net.ResolveUDPAddr("udp", c.server)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	t := &transfer{conn: conn, peer: server, patience: c.patience}
	if t.patience == 0 {
		t.patience = 2 * time.Second
	}
	rrq := append([]byte{0, opRRQ}, strings.Join([]string{name, "octet", "tsize", "0", "blksize", strconv.Itoa(blockSize), ""}, "\x00")...)
	answer, err := t.ask(rrq, func(p []byte) bool { return p[1] == opOAck })
	if err == nil {
		t.size, err = options(answer[2:])
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// options reads an OACK and demands both options that were asked for, and no other.
func options(p []byte) (size int64, err error) {
	fields := strings.Split(strings.TrimSuffix(string(p), "\x00"), "\x00")
	got := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		got[strings.ToLower(fields[i])] = fields[i+1]
	}
	if len(got) != 2 || got["blksize"] != strconv.Itoa(blockSize) {
		return 0, fmt.Errorf("unexpected options %q", fields)
	}
	return strconv.ParseInt(got["tsize"], 10, 64)
}

// block acknowledges the block before n and waits for n.
func (t *transfer) block(n uint16) ([]byte, error) {
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
	p := make([]byte, 4+blockSize+1)
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
