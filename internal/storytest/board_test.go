// SPDX-License-Identifier: GPL-3.0-or-later

package storytest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// board fetches files as the bootloader of a Raspberry Pi 4 does.
type board struct {
	server *net.UDPAddr
	serial string
}

// errNotThere is the server's answer for a file that it does not have.
var errNotThere = errors.New("file not found")

const (
	opRead  = 1
	opData  = 3
	opAck   = 4
	opError = 5
	opOack  = 6
)

// fetch probes for the size of a file, stops, and then reads it, each time from a new port.
func (b *board) fetch(name string) ([]byte, error) {
	size, err := b.probe(name)
	if err != nil {
		return nil, err
	}
	return b.read(name, size)
}

// probe asks for a file, and stops when it has the size.
func (b *board) probe(name string) (size int, err error) {
	t, size, err := b.request(name)
	if err != nil {
		return 0, err
	}
	defer t.conn.Close()
	return size, t.send(opError, 0, append([]byte("Early terminate"), 0))
}

// read reads a file of the size that probe returned.
func (b *board) read(name string, size int) ([]byte, error) {
	t, again, err := b.request(name)
	if err != nil {
		return nil, err
	}
	defer t.conn.Close()
	if again != size {
		return nil, fmt.Errorf("%s: %d bytes, then %d", name, size, again)
	}
	data, err := t.receive()
	if err == nil && len(data) != size {
		err = fmt.Errorf("%s: got %d bytes of %d", name, len(data), size)
	}
	return data, err
}

// transfer is one end of a TFTP transfer (RFC 1350).
type transfer struct {
	conn *net.UDPConn
	peer *net.UDPAddr
}

const blockSize = 1468

// request asks for a file with the options that a Pi 4 sends, and returns the size that
// the server acknowledged.
func (b *board) request(name string) (*transfer, int, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, 0, err
	}
	t := &transfer{conn, b.server}
	var rrq bytes.Buffer
	rrq.Write([]byte{0, opRead})
	for _, s := range []string{b.serial + "/" + name, "octet", "tsize", "0", "blksize", strconv.Itoa(blockSize)} {
		rrq.WriteString(s)
		rrq.WriteByte(0)
	}
	op, body, err := t.ask(rrq.Bytes())
	if err != nil {
		conn.Close()
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	if op != opOack {
		return nil, 0, fmt.Errorf("%s: packet %d in place of an OACK", name, op)
	}
	options := bytes.Split(bytes.TrimSuffix(body, []byte{0}), []byte{0})
	for i := 0; i+1 < len(options); i += 2 {
		if string(options[i]) == "tsize" {
			size, err := strconv.Atoi(string(options[i+1]))
			return t, size, err
		}
	}
	return nil, 0, fmt.Errorf("%s: no tsize in the OACK", name)
}

// ask sends a request, again every two seconds until something comes, as a Pi 4 does, and
// returns the answer. Many that ask at once may find the server's socket full.
func (t *transfer) ask(rrq []byte) (op uint16, body []byte, err error) {
	for range 5 {
		if _, err := t.conn.WriteToUDP(rrq, t.peer); err != nil {
			return 0, nil, err
		}
		op, body, err = t.readFor(2 * time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return op, body, err
}

func (t *transfer) send(op, number uint16, text []byte) error {
	packet := binary.BigEndian.AppendUint16(nil, op)
	packet = binary.BigEndian.AppendUint16(packet, number)
	_, err := t.conn.WriteToUDP(append(packet, text...), t.peer)
	return err
}

// read returns the next packet of the transfer without its opcode.
func (t *transfer) read() (op uint16, body []byte, err error) {
	return t.readFor(10 * time.Second)
}

func (t *transfer) readFor(patience time.Duration) (op uint16, body []byte, err error) {
	buf := make([]byte, 4+blockSize)
	if err := t.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	n, from, err := t.conn.ReadFromUDP(buf)
	if err != nil {
		return 0, nil, err
	}
	t.peer = from
	if n < 4 {
		return 0, nil, fmt.Errorf("packet of %d bytes", n)
	}
	op = binary.BigEndian.Uint16(buf)
	if op == opError {
		return 0, nil, fmt.Errorf("%w: %s", errNotThere, bytes.TrimRight(buf[4:n], "\x00"))
	}
	return op, buf[2:n], nil
}

// receive takes the blocks that follow an OACK.
func (t *transfer) receive() ([]byte, error) {
	var data []byte
	for number := uint16(0); ; {
		if err := t.send(opAck, number, nil); err != nil {
			return nil, err
		}
		op, body, err := t.read()
		if err != nil {
			return nil, err
		}
		if op != opData || binary.BigEndian.Uint16(body) != number+1 {
			continue // a packet that was sent twice
		}
		number++
		data = append(data, body[2:]...)
		if len(body)-2 < blockSize {
			return data, t.send(opAck, number, nil)
		}
	}
}
