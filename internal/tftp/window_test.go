// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// noise returns n bytes that repeat nothing soon.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(n) | 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// windowOf returns a window and a function that reads what it lacks of data.
func windowOf(p params, data []byte) (*window, func()) {
	w := newWindow(p, int64(len(data)))
	rest := bytes.NewReader(data)
	return w, func() {
		if room := w.room(); len(room) > 0 {
			n, _ := fill(rest, room)
			w.put(n)
		}
	}
}

// shown is the packets of a window, as text: an OACK, or from which block to which, and how many
// bytes the last has if it ends the file.
func (w *window) shown() string {
	p, each := w.packets()
	if binary.BigEndian.Uint16(p) == opOAck {
		return "OACK"
	}
	var blocks []string
	for len(p) > 0 {
		n := min(each, len(p))
		text := fmt.Sprint(binary.BigEndian.Uint16(p[2:]))
		if n < each {
			text += fmt.Sprintf("/%d", n-headerSize)
		}
		blocks = append(blocks, text)
		p = p[n:]
	}
	return strings.Join(blocks, " ")
}

// TestWindow: what is sent after which acknowledgements. A step is "ACK: PACKETS", where PACKETS
// may be "-" for nothing to be sent, "=" for the same again, or "done".
func TestWindow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		blocks int // whole ones; 3 bytes follow
		window int
		oack   bool
		first  string
		steps  string
	}{
		{"lock step", 2, 1, false, "1", "1: 2, 2: 3/3, 3: done"},
		{"one block", 0, 1, false, "1/3", "1: done"},
		{"options", 1, 1, true, "OACK", "0: 1, 1: 2/3, 2: done"},
		{"nothing but the OACK is out", 9, 4, true, "OACK", "1: -, 65535: -, 4: -, 0: 1 2 3 4"},
		{"a window", 5, 4, true, "OACK", "0: 1 2 3 4, 4: 5 6/3, 6: done"},
		{"a window that ends with the file", 3, 4, true, "OACK", "0: 1 2 3 4/3, 4: done"},
		{"doubled acknowledgements in lock step", 3, 1, true, "OACK", "0: 1, 0: -, 0: -, 1: 2, 1: -, 0: -, 2: 3"},
		{"stale and future ones", 9, 1, false, "1", "0: -, 2: -, 65535: -, 1: 2, 0: -, 1: -, 3: -, 2: 3"},
		{"the first block was lost", 9, 4, true, "OACK", "0: 1 2 3 4, 0: =, 0: -, 4: 5 6 7 8, 4: =, 4: -, 0: -, 8: 9 10/3, 8: =, 10: done"},
		{"a block inside was lost", 9, 4, true, "OACK", "0: 1 2 3 4, 2: 3 4 5 6, 2: =, 2: -, 1: -, 3: 4 5 6 7, 7: 8 9 10/3, 9: 10/3, 10: done"},
		{"past the window", 99, 4, true, "OACK", "0: 1 2 3 4, 5: -, 8: -, 4: 5 6 7 8, 9: -"},
		{"past the end", 2, 4, true, "OACK", "0: 1 2 3/3, 4: -, 3: done"},
	} {
		p := params{block: 8, window: tt.window}
		if tt.oack {
			p.oack = []byte{0, opOAck, 'x', 0, '1', 0}
		}
		w, read := windowOf(p, noise(tt.blocks*8+3))
		read()
		shown := w.shown()
		if shown != tt.first {
			t.Errorf("%s: first %s, want %s", tt.name, shown, tt.first)
		}
		for _, step := range strings.Split(tt.steps, ", ") {
			var n uint16
			number, want, _ := strings.Cut(step, ": ")
			fmt.Sscan(number, &n)
			got := map[progress]string{stale: "-", again: "=", done: "done"}[w.ack(n)]
			if got == "" {
				read()
				got = w.shown()
				shown = got
			} else if got == "=" && w.shown() != shown {
				t.Errorf("%s: again %s, were %s", tt.name, w.shown(), shown)
			}
			if got != want {
				t.Errorf("%s: ACK %d: %s, want %s", tt.name, n, got, want)
				break
			}
		}
	}
}

// TestRollover: after block 65535 comes block 0, by windows too, and a window may hold both.
func TestRollover(t *testing.T) {
	for _, size := range []int{1, 4, 7, 64} {
		data := noise(70000 * 8)
		w, read := windowOf(params{block: 8, window: size}, data)
		for block := 0; ; {
			read()
			p, each := w.packets()
			if n := len(p) / each; n > size {
				t.Fatalf("window %d: %d packets", size, n)
			}
			for ; len(p) > 0; p = p[min(each, len(p)):] {
				block++
				if got := binary.BigEndian.Uint16(p[2:]); got != uint16(block) {
					t.Fatalf("window %d: block %d instead of %d", size, got, uint16(block))
				}
				if want := data[min((block-1)*8, len(data)):min(block*8, len(data))]; !bytes.Equal(p[4:min(each, len(p))], want) {
					t.Fatalf("window %d: block %d is %q, want %q", size, block, p[4:min(each, len(p))], want)
				}
			}
			if w.ack(uint16(block)) == done {
				if block != 70001 {
					t.Errorf("window %d: done after block %d", size, block)
				}
				break
			}
		}
	}
}

// receiver is a client of a window: it keeps what comes in order, as RFC 7440 has it.
type receiver struct {
	data  []byte
	next  int64 // block
	ended bool
}

func (r *receiver) packet(t *testing.T, p []byte, block int) {
	if r.ended || binary.BigEndian.Uint16(p[2:]) != uint16(r.next) {
		return
	}
	r.data = append(r.data, p[headerSize:]...)
	r.next++
	r.ended = len(p) < headerSize+block
}

// FuzzWindow: under any sequence of acknowledgements, of losses and copies, never more than a window
// is outstanding, nothing past the end of the file is sent, each block always with the same bytes,
// and a client that keeps what comes in order has the file when the window says so.
func FuzzWindow(f *testing.F) {
	f.Add(uint16(8), uint8(1), false, uint32(100), []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	f.Add(uint16(16), uint8(4), true, uint32(16*9), []byte{0, 4, 4, 4, 6, 9, 10})
	f.Add(uint16(512), uint8(64), true, uint32(70000), []byte{0, 64, 63, 63, 200, 1, 0x80, 0xff})
	f.Add(uint16(8), uint8(7), true, uint32(600000), []byte{0, 0, 7, 7, 7})
	f.Fuzz(func(t *testing.T, block uint16, size uint8, options bool, length uint32, acks []byte) {
		p := params{block: 8 + int(block)%1500, window: 1 + int(size)%maxWindowBlocks}
		if options {
			p.oack = []byte{0, opOAck}
		}
		data := noise(int(length % 1_000_000))
		w, read := windowOf(p, data)
		client := receiver{next: 1}
		r := rand.New(rand.NewPCG(uint64(len(acks)), uint64(length)))
		for _, a := range acks {
			read()
			checkPackets(t, w, p, data)
			deliver(t, w, p, &client, r.Uint64())
			before := *w
			// Mostly what the client has, or near the window; anything at times.
			n := uint16(client.next-1) + uint16(int8(a)>>3)*uint16(a&1)
			if a == 0x80 {
				n = uint16(r.Uint32())
			}
			next := w.ack(n)
			checkAck(t, &before, w, n, next)
			if next == done {
				if w.base == client.next && !(client.ended && bytes.Equal(client.data, data)) {
					t.Fatalf("the client has %d bytes of %d", len(client.data), len(data))
				}
				return
			}
			if w.base > client.next { // a client that lies of what it has deserves no better
				client = receiver{data: data[:min(int64(len(data)), (w.base-1)*int64(p.block))], next: w.base}
			}
		}
	})
}

// checkPackets compares the packets of a window with the file.
func checkPackets(t *testing.T, w *window, p params, data []byte) {
	packets, each := w.packets()
	if w.base == 0 {
		if !bytes.Equal(packets, p.oack) {
			t.Fatalf("OACK %q, want %q", packets, p.oack)
		}
		return
	}
	if len(packets) == 0 || len(packets) > p.window*each || each != headerSize+p.block {
		t.Fatalf("%d bytes in packets of %d, a window is %d", len(packets), each, p.window)
	}
	for block := w.base; len(packets) > 0; block++ {
		off := int(block-1) * p.block
		if off > len(data) {
			t.Fatalf("block %d is past the end", block)
		}
		want := data[off:min(off+p.block, len(data))]
		got := packets[:min(each, len(packets))]
		if op, n := binary.BigEndian.Uint16(got), binary.BigEndian.Uint16(got[2:]); op != opData || n != uint16(block) {
			t.Fatalf("block %d has opcode %d and number %d", block, op, n)
		}
		if !bytes.Equal(got[headerSize:], want) {
			t.Fatalf("block %d holds other bytes", block)
		}
		packets = packets[len(got):]
		if len(got) < each && len(packets) > 0 {
			t.Fatalf("a packet follows the last, which is block %d", block)
		}
	}
}

// deliver passes the packets to the client, but for those that which loses.
func deliver(t *testing.T, w *window, p params, client *receiver, which uint64) {
	packets, each := w.packets()
	if w.base == 0 {
		return
	}
	for i := 0; len(packets) > 0; i++ {
		got := packets[:min(each, len(packets))]
		if which>>(i%64)&3 != 0 {
			client.packet(t, got, p.block)
		}
		packets = packets[len(got):]
	}
}

// checkAck compares what an acknowledgement did with what it says.
func checkAck(t *testing.T, before, w *window, n uint16, next progress) {
	passed := w.base - before.base
	outstanding := before.end() - before.base
	switch {
	case passed < 0 || passed > outstanding:
		t.Fatalf("of %d blocks outstanding %d were acknowledged", outstanding, passed)
	case passed > 0 && uint16(w.base-1) != n:
		t.Fatalf("ACK %d acknowledged blocks up to %d", n, w.base-1)
	case (next == moved || next == done) != (passed > 0):
		t.Fatalf("%d blocks were acknowledged, and that is %v", passed, next)
	case next == again && (before.again || w.size == 1 || n != uint16(w.base-1)):
		t.Fatalf("ACK %d of a window at %d sends it again: before %v", n, w.base, before.again)
	case next == done && (w.last == 0 || w.base != w.last+1):
		t.Fatalf("done at block %d, the last is %d", w.base-1, w.last)
	}
}
