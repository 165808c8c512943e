// SPDX-License-Identifier: GPL-3.0-or-later

package testimg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
)

// NBD is the root device of a board: an export of an NBD server. It implements
// io.ReaderAt and io.WriterAt. See the NBD protocol, "Fixed newstyle negotiation" and
// "Transmission phase" (simple replies).
type NBD struct {
	conn net.Conn
	Size int64 // bytes
}

const (
	nbdOption  = 0x49484156454f5054 // "IHAVEOPT"
	nbdRequest = 0x25609513
	nbdReply   = 0x67446698
)

const (
	nbdRead = iota
	nbdWrite
	nbdDisconnect
	nbdFlush
)

// NewNBD negotiates for the export on conn.
func NewNBD(conn net.Conn, export string) (*NBD, error) {
	var hello struct {
		Magic, Option uint64
		Flags         uint16
	}
	if err := binary.Read(conn, binary.BigEndian, &hello); err != nil {
		return nil, err
	}
	if hello.Option != nbdOption || hello.Flags&3 != 3 {
		return nil, fmt.Errorf("no fixed newstyle NBD server: %+v", hello)
	}
	var choice bytes.Buffer
	put(&choice, uint32(3), uint64(nbdOption), uint32(1), uint32(len(export)), []byte(export))
	if _, err := conn.Write(choice.Bytes()); err != nil {
		return nil, err
	}
	var info struct {
		Size  int64
		Flags uint16
	}
	if err := binary.Read(conn, binary.BigEndian, &info); err != nil {
		return nil, fmt.Errorf("export %s: %w", export, err)
	}
	return &NBD{conn, info.Size}, nil
}

func put(w io.Writer, values ...any) {
	for _, v := range values {
		binary.Write(w, binary.BigEndian, v) // to a buffer: no error
	}
}

// do sends a request and reads the reply, into p if it is a read.
func (c *NBD) do(kind uint16, off int64, p []byte) error {
	var request bytes.Buffer
	put(&request, uint32(nbdRequest), uint16(0), kind, uint64(0), off, uint32(len(p)))
	if kind == nbdWrite {
		request.Write(p)
	}
	if _, err := c.conn.Write(request.Bytes()); err != nil {
		return err
	}
	if kind == nbdDisconnect {
		return nil
	}
	var reply struct {
		Magic, Error uint32
		Handle       uint64
	}
	if err := binary.Read(c.conn, binary.BigEndian, &reply); err != nil {
		return err
	}
	if reply.Magic != nbdReply || reply.Error != 0 {
		return fmt.Errorf("NBD reply %+v", reply)
	}
	if kind == nbdRead {
		_, err := io.ReadFull(c.conn, p)
		return err
	}
	return nil
}

func (c *NBD) ReadAt(p []byte, off int64) (int, error) {
	if err := c.do(nbdRead, off, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (c *NBD) WriteAt(p []byte, off int64) (int, error) {
	if err := c.do(nbdWrite, off, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush makes the server write to disk what it was sent.
func (c *NBD) Flush() error { return c.do(nbdFlush, 0, nil) }

// Close takes leave of the server.
func (c *NBD) Close() error {
	if err := c.do(nbdDisconnect, 0, nil); err != nil {
		return err
	}
	return c.conn.Close()
}
