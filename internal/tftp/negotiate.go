// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"strconv"
	"time"
)

// A window holds at most so many blocks, and bytes of them.
const (
	maxWindowBlocks = 64
	maxWindowBytes  = 128 << 10
)

// params are the terms of a transfer.
type params struct {
	block   int           // bytes
	window  int           // blocks
	timeout time.Duration // between copies of a packet; 0 if it was not negotiated
	oack    []byte        // the packet that says so; nil if no option was accepted
}

// negotiate settles the terms on which a file of size bytes is sent in blocks of at most fits
// bytes. Only options that were asked for are acknowledged. RFC 2347 to 2349, RFC 7440.
func (r *Request) negotiate(size int64, fits int) params {
	p := params{block: defaultBlockSize, window: 1}
	for _, o := range r.options {
		if o.name == "blksize" {
			p.block = max(min(int(o.value), fits), minBlockSize)
		}
	}
	for _, o := range r.options {
		n := o.value
		switch o.name {
		case "blksize":
			n = int64(p.block)
		case "tsize":
			n = size
		case "timeout":
			p.timeout = time.Duration(n) * time.Second
		case "utimeout":
			p.timeout = time.Duration(n) * time.Microsecond
		case "windowsize":
			p.window = max(min(int(n), maxWindowBlocks, maxWindowBytes/p.block), 1)
			n = int64(p.window)
		}
		p.acknowledge(o.name, n)
	}
	return p
}

// acknowledge adds an option to the OACK.
func (p *params) acknowledge(name string, value int64) {
	if p.oack == nil {
		p.oack = []byte{0, opOAck}
	}
	p.oack = append(append(p.oack, name...), 0)
	p.oack = append(strconv.AppendInt(p.oack, value, 10), 0)
}
