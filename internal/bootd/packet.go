// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
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

const (
	defaultBlockSize = 512
	minBlockSize     = 512   // pin/tftp's; RFC 2348 allows 8
	maxBlockSize     = 65464 // RFC 2348
	maxRequest       = 2048  // bytes; RFC 2347 allows 512
)

// refusal is an ERROR packet for a client. Its text is fixed: it tells nothing of the server.
type refusal struct {
	code uint16 // RFC 1350, appendix
	text string
}

func (r *refusal) Error() string { return r.text }

func (r *refusal) packet() []byte {
	p := binary.BigEndian.AppendUint16(nil, opError)
	p = binary.BigEndian.AppendUint16(p, r.code)
	return append(append(p, r.text...), 0)
}

var (
	errUnreadable = &refusal{0, "cannot read file"}
	errBusy       = &refusal{0, "too many transfers"}
	errStopping   = &refusal{0, "server is stopping"}
	errServer     = &refusal{0, "server error"}
	errNotFound   = &refusal{1, "file not found"}
	errNotFile    = &refusal{2, "not a file"}
	errForbidden  = &refusal{2, "access denied"}
	errReadOnly   = &refusal{2, "read-only server"}
	errMalformed  = &refusal{4, "malformed request"}
	errMode       = &refusal{4, "unknown transfer mode"}
)

// errGarbage says that a packet is no request. It gets no answer.
var errGarbage = errors.New("no request")

// request is a read request.
type request struct {
	name     string
	netascii bool
	tsize    bool // the client wants to know the size
	blksize  int  // as asked for; 0 if it was not, or in a way that is to be ignored
}

// parseRequest reads a packet that came to the listening socket. The error is a *refusal
// to send or errGarbage. RFC 1350, section 5; RFC 2347 to 2349.
func parseRequest(p []byte) (request, error) {
	if len(p) < 2 {
		return request{}, errGarbage
	}
	switch binary.BigEndian.Uint16(p) {
	case opWRQ:
		return request{}, errReadOnly
	case opRRQ:
	default:
		return request{}, errGarbage
	}
	name, rest, ok := cutString(p[2:])
	if !ok {
		return request{}, errMalformed
	}
	mode, rest, ok := cutString(rest)
	if !ok {
		return request{}, errMalformed
	}
	req := request{name: name}
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		req.netascii = true
	default:
		return request{}, errMode
	}
	req.parseOptions(rest)
	return req, nil
}

// parseOptions reads the options that are known. What is left over at the end is ignored.
func (r *request) parseOptions(p []byte) {
	for {
		name, rest, ok := cutString(p)
		value, rest, ok2 := cutString(rest)
		if !ok || !ok2 {
			return
		}
		p = rest
		switch strings.ToLower(name) {
		case "tsize":
			r.tsize = !r.netascii // the size in netascii is not known before all is read
		case "blksize":
			if n, err := strconv.ParseUint(value, 10, 16); err == nil && minBlockSize <= n && n <= maxBlockSize {
				r.blksize = int(n)
			}
		}
	}
}

// cutString takes a string that ends with a NUL off the front of p.
func cutString(p []byte) (s string, rest []byte, ok bool) {
	before, rest, ok := bytes.Cut(p, []byte{0})
	return string(before), rest, ok
}

// forLibrary gives the request as pin/tftp is to see it: the options in lower case, since
// the library knows them only so; none that it must not answer; tsize with the size,
// since the library sends back a value that is not zero, and 0 for an empty file not at
// all (see peer.WriteTo).
func (r request) forLibrary(size int64) []byte {
	fields := []string{"f", "octet"}
	if r.netascii {
		fields[1] = "netascii"
	}
	if r.tsize {
		value := strconv.FormatInt(size, 10)
		if size == 0 {
			value = zeroSize
		}
		fields = append(fields, "tsize", value)
	}
	if r.blksize != 0 {
		fields = append(fields, "blksize", strconv.Itoa(r.blksize))
	}
	return []byte("\x00\x01" + strings.Join(fields, "\x00") + "\x00")
}

// zeroSize is a tsize of 0 that pin/tftp does not take for a question.
const zeroSize = "00"
