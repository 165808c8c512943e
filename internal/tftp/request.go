// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxRequest is how many bytes of a request are read. RFC 2347 allows 512.
const maxRequest = 2048

// What a packet to the listening socket may be instead of a read request. Those of the second
// group are to be refused; to the others no answer is due.
var (
	ErrNoRequest = errors.New("no request")
	ErrBroadcast = errors.New("sent to a broadcast address") // RFC 1123, 4.2.3.5

	ErrWrite     = errors.New("write request")
	ErrMode      = errors.New("unknown transfer mode")
	ErrMalformed = errors.New("malformed request")
)

// Request is a read request.
type Request struct {
	Name     string         // of the file, as the client sent it; anything but NUL may be in it
	Netascii bool           // or octet
	Client   netip.AddrPort // an IPv4 address on an IPv6 socket too

	options  []option   // those that are known and well formed; the later of two of one name
	packet   string     // as it came
	server   netip.Addr // where it was sent to; the zero Addr if the kernel did not say
	ifindex  uint32     // of the interface that server is an address of; 0 if it is one of the machine
	received time.Time  // by the kernel
}

// option is an option of RFC 2347 as the client asked for it.
type option struct {
	name  string // in lower case
	value int64
}

// parse reads a packet into r. The error is ErrNoRequest, ErrWrite, ErrMode or ErrMalformed.
// RFC 1350, section 5; RFC 2347.
func (r *Request) parse(p []byte) error {
	r.packet = string(p)
	if len(p) < 2 {
		return ErrNoRequest
	}
	switch binary.BigEndian.Uint16(p) {
	case opWRQ:
		return ErrWrite
	case opRRQ:
	default:
		return ErrNoRequest
	}
	name, rest, ok := cutString(p[2:])
	mode, rest, ok2 := cutString(rest)
	if !ok || !ok2 {
		return ErrMalformed
	}
	r.Name = name
	switch strings.ToLower(mode) {
	case "octet":
	case "netascii":
		r.Netascii = true
	default:
		return ErrMode
	}
	r.parseOptions(rest)
	return nil
}

// parseOptions reads pairs of a name and a value. What is left over at the end is ignored.
func (r *Request) parseOptions(p []byte) {
	for {
		name, rest, ok := cutString(p)
		value, rest, ok2 := cutString(rest)
		if !ok || !ok2 {
			return
		}
		p = rest
		o, ok := parseOption(strings.ToLower(name), value)
		if !ok || o.name == "tsize" && r.Netascii { // that size is not known before all is read
			continue
		}
		for i := range r.options {
			if r.options[i].name == o.name {
				r.options = append(r.options[:i], r.options[i+1:]...)
				break
			}
		}
		r.options = append(r.options, o)
	}
}

// bounds are the values of the known options: a smaller one is malformed, and so is a larger one
// unless larger means as much as possible.
var bounds = map[string]struct {
	least, most int64
	clamped     bool
}{
	"blksize":    {minBlockSize, maxBlockSize, true}, // RFC 2348
	"tsize":      {0, math.MaxInt64, true},           // RFC 2349; the client's value says nothing
	"timeout":    {1, 255, false},                    // seconds: RFC 2349
	"utimeout":   {10_000, 255_000_000, false},       // microseconds, as in tftp-hpa
	"windowsize": {1, math.MaxUint16, true},          // RFC 7440
}

func parseOption(name, value string) (o option, ok bool) {
	b, ok := bounds[name]
	if !ok || value == "" || strings.Trim(value, "0123456789") != "" {
		return option{}, false
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil { // out of range
		n = math.MaxInt64
	}
	if n > b.most && b.clamped {
		n = b.most
	}
	return option{name, n}, b.least <= n && n <= b.most
}

// cutString takes a string that ends with a NUL off the front of p.
func cutString(p []byte) (s string, rest []byte, ok bool) {
	before, rest, ok := bytes.Cut(p, []byte{0})
	return string(before), rest, ok
}
