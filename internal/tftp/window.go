// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import "encoding/binary"

// window is the state of a transfer: the blocks that the client has not acknowledged, as packets
// that are ready to be sent, and what an acknowledgement makes of them. It does no I/O: its user
// fills room with the bytes of the file as they come, sends packets, and passes on what the client
// acknowledges.
//
// Blocks are counted from 1 without an end; on the wire their numbers are 16 bits wide and wrap to
// 0. The OACK is block 0, alone in its window.
type window struct {
	block int    // bytes of a block
	slot  int    // bytes of a packet that holds a whole block
	size  int64  // blocks a window
	oack  []byte // nil if there is none

	buf   []byte // packets in a row, in slots; but for the last of the file they are full
	first int64  // block in the first slot
	base  int64  // first block not acknowledged
	ready int64  // first block that is not in buf yet
	last  int64  // last block of the file; 0 as long as it was not read
	tail  int    // bytes of that
	again bool   // the packets were sent again for the acknowledgement of the block before base
}

// bufferSize is how many bytes of packets a window holds ready at least, so that a file is not
// read block by block.
const bufferSize = 16 << 10

// newWindow returns the window of a transfer, before its first packet. fileSize may be any number;
// a buffer need not be larger than the file.
func newWindow(p params, fileSize int64) *window {
	w := &window{block: p.block, slot: headerSize + p.block, size: int64(p.window), oack: p.oack}
	w.first, w.base, w.ready = 1, 1, 1
	if w.oack != nil {
		w.base = 0
	}
	windows := max(bufferSize/(w.slot*p.window), 1)
	slots := min(int64(windows*p.window), fileSize/int64(p.block)+1)
	w.buf = make([]byte, int(slots)*w.slot)
	return w
}

// end returns the block after the window.
func (w *window) end() int64 {
	switch {
	case w.base == 0:
		return 1
	case w.last > 0:
		return min(w.base+w.size, w.last+1)
	}
	return w.base + w.size
}

// room returns where the next bytes of the file belong, as many as fit; nothing if all packets of
// the window are there. It must be filled, by put, before anything else is done.
func (w *window) room() []byte {
	if w.base == 0 || w.last > 0 || w.ready >= w.end() {
		return nil
	}
	kept := copy(w.buf, w.buf[w.at(w.base):w.at(w.ready)]) / w.slot
	w.first = w.base
	// After the room for their headers, so that put only ever moves blocks towards the front.
	free := len(w.buf)/w.slot - kept
	return w.buf[kept*w.slot+free*headerSize:]
}

// at returns where the packet of a block begins in buf.
func (w *window) at(block int64) int { return int(block-w.first) * w.slot }

// put makes packets of the first n bytes in room. The file ends there if n bytes do not fill it.
func (w *window) put(n int) {
	start := w.at(w.ready)
	free := (len(w.buf) - start) / w.slot
	data := w.buf[start+free*headerSize:]
	ended := n < len(data)
	for data = data[:n]; len(data) >= w.block; data = data[w.block:] {
		w.packet(data[:w.block])
	}
	if ended {
		w.last, w.tail = w.ready, len(data)
		w.packet(data)
	}
}

// packet makes the packet of the next block.
func (w *window) packet(data []byte) {
	p := w.buf[w.at(w.ready):]
	copy(p[headerSize:], data)
	binary.BigEndian.PutUint16(p, opData)
	binary.BigEndian.PutUint16(p[2:], uint16(w.ready))
	w.ready++
}

// packets returns the packets of the window in a row, and how long each of them is but the last,
// which may be shorter.
func (w *window) packets() (p []byte, each int) {
	if w.base == 0 {
		return w.oack, len(w.oack)
	}
	from, to := w.at(w.base), w.at(w.end())
	if w.hasLast() {
		to -= w.block - w.tail
	}
	return w.buf[from:to], w.slot
}

// hasLast reports whether the last block of the file is in the window.
func (w *window) hasLast() bool { return w.last > 0 && w.end() == w.last+1 }

// progress is what an acknowledgement makes of a window.
type progress int

const (
	stale progress = iota // nothing: it is an old one, or of a block never sent
	again                 // the same packets are to be sent once more
	moved                 // the next packets are to be sent
	done                  // the client has the whole file
)

// ack takes an acknowledgement. One of the block before the window means, in a transfer by windows
// (in others it is one that came twice), that the first block was lost; one inside the window that
// the block after it was. RFC 7440, section 4.
func (w *window) ack(n uint16) progress {
	passed := int64(n - uint16(w.base-1)) // blocks of the window
	switch {
	case passed == 0 && w.size > 1 && w.base > 0 && !w.again:
		w.again = true
		return again
	case passed == 0 || passed > w.end()-w.base:
		return stale
	}
	w.base += passed
	w.again = false
	if w.last > 0 && w.base > w.last {
		return done
	}
	return moved
}

// acknowledged returns how many bytes of the file the client has.
func (w *window) acknowledged() int64 {
	if w.last > 0 && w.base > w.last {
		return (w.last-1)*int64(w.block) + int64(w.tail)
	}
	return max(w.base-1, 0) * int64(w.block)
}
