// SPDX-License-Identifier: GPL-3.0-or-later

// Package tftp is the engine of a read-only TFTP server (RFC 1350, 2347 to 2349, 7440): it
// receives requests, negotiates their options and sends files. It knows nothing of boards, images
// or logs, and never speaks unasked: it says why a transfer ended, and its caller decides what the
// client is told.
package tftp

import (
	"encoding/binary"
	"fmt"
)

// Opcodes of RFC 1350, section 5, and RFC 2347.
const (
	opRRQ   = 1
	opWRQ   = 2
	opData  = 3
	opAck   = 4
	opError = 5
	opOAck  = 6
)

// Error codes of RFC 1350, appendix I.
const (
	CodeOther    = 0 // not defined: the text says what it is
	CodeNotFound = 1
	CodeAccess   = 2 // access violation
	CodeIllegal  = 4 // illegal TFTP operation
)

const (
	headerSize       = 4   // bytes before the data of a block
	defaultBlockSize = 512 // RFC 1350
	minBlockSize     = 8   // RFC 2348
	maxBlockSize     = 65464
)

// Refusal is an ERROR packet for a client. Its text says nothing of the server's insides.
type Refusal struct {
	Code uint16
	Text string
}

func (r *Refusal) Error() string { return r.Text }

func (r *Refusal) packet() []byte {
	p := binary.BigEndian.AppendUint16(nil, opError)
	p = binary.BigEndian.AppendUint16(p, r.Code)
	return append(append(p, r.Text...), 0)
}

// ClientError is an ERROR packet from a client, which ends its transfer.
type ClientError struct {
	Code uint16
	Text string // as the client sent it; nothing in it can be relied on
}

func (e *ClientError) Error() string { return fmt.Sprintf("client said %q (%d)", e.Text, e.Code) }

// parseAnswer reads what a client sends during a transfer: the number of the block that it
// acknowledges, or its ERROR. Anything else is not ok.
func parseAnswer(p []byte) (block uint16, ok bool, err error) {
	if len(p) < headerSize {
		return 0, false, nil
	}
	op, arg := binary.BigEndian.Uint16(p), binary.BigEndian.Uint16(p[2:])
	switch op {
	case opAck:
		return arg, true, nil
	case opError:
		text, _, _ := cutString(p[headerSize:])
		return 0, false, &ClientError{arg, text}
	}
	return 0, false, nil
}
