// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shown is what was negotiated, as text: of the OACK its options.
func (p params) shown() string {
	s := fmt.Sprintf("%d x %d", p.window, p.block)
	if p.timeout > 0 {
		s += fmt.Sprintf(" every %v", p.timeout)
	}
	if p.oack != nil {
		s += ":"
		for i, field := range strings.Split(strings.TrimSuffix(string(p.oack[2:]), "\x00"), "\x00") {
			s += []string{" ", "="}[i%2] + field
		}
	}
	return s
}

func TestNegotiate(t *testing.T) {
	for _, tt := range []struct {
		options string // comma between them
		fits    int
		want    string
	}{
		{"", 1468, "1 x 512"},
		{"", 100, "1 x 512"}, // nothing was asked for that could be bounded
		{"tsize 0", 1468, "1 x 512: tsize=3000"},
		{"tsize 77", 1468, "1 x 512: tsize=3000"},
		{"blksize 1468", 1468, "1 x 1468: blksize=1468"},
		{"blksize 1468", 1448, "1 x 1448: blksize=1448"},
		{"blksize 1468", 8, "1 x 8: blksize=8"},
		{"blksize 1468", 3, "1 x 8: blksize=8"}, // RFC 2348 knows no smaller one
		{"blksize 8", 1468, "1 x 8: blksize=8"},
		{"blksize 300", 1468, "1 x 300: blksize=300"},
		{"blksize 70000", 100000, "1 x 65464: blksize=65464"},
		{"tsize 0,blksize 1024", 1468, "1 x 1024: tsize=3000 blksize=1024"},
		{"blksize 1024,tsize 0", 1468, "1 x 1024: blksize=1024 tsize=3000"},
		{"timeout 3", 1468, "1 x 512 every 3s: timeout=3"},
		{"timeout 256", 1468, "1 x 512"},
		{"utimeout 10000", 1468, "1 x 512 every 10ms: utimeout=10000"},
		{"timeout 3,utimeout 20000", 1468, "1 x 512 every 20ms: timeout=3 utimeout=20000"},
		{"utimeout 20000,timeout 3", 1468, "1 x 512 every 3s: utimeout=20000 timeout=3"},
		{"windowsize 1", 1468, "1 x 512: windowsize=1"},
		{"windowsize 4", 1468, "4 x 512: windowsize=4"},
		{"windowsize 65535", 1468, "64 x 512: windowsize=64"},
		{"windowsize 64,blksize 1468", 1468, "64 x 1468: windowsize=64 blksize=1468"}, // 93952 bytes
		{"blksize 2048,windowsize 64", 9000, "64 x 2048: blksize=2048 windowsize=64"}, // 128 KiB
		{"windowsize 64,blksize 2049", 9000, "63 x 2049: windowsize=63 blksize=2049"},
		{"windowsize 8,blksize 65464", 65464, "2 x 65464: windowsize=2 blksize=65464"},
		{"rollover 0,multicast ,x y", 1468, "1 x 512"},
	} {
		var r Request
		var options []string
		if tt.options != "" {
			options = strings.Split(tt.options, ",")
		}
		if err := r.parse(rrq("x", "octet", options...)); err != nil {
			t.Fatal(err)
		}
		if got := r.negotiate(3000, tt.fits).shown(); got != tt.want {
			t.Errorf("%s within %d: %s, want %s", tt.options, tt.fits, got, tt.want)
		}
	}
}

// FuzzNegotiate: whatever is asked for, the terms are within bounds, and the OACK holds nothing but
// them and answers to what was asked for.
func FuzzNegotiate(f *testing.F) {
	f.Add("blksize 1468,tsize 0", int64(2250656), 1468)
	f.Add("windowsize 65535,BLKSIZE 8,timeout 1,utimeout 99999", int64(0), 8)
	f.Add("blksize 65464,windowsize 2,blksize 7", int64(1)<<32-1, 65464)
	f.Add("", int64(1), 512)
	f.Fuzz(func(t *testing.T, asked string, size int64, fits int) {
		fits, size = max(fits, 8), max(size, 0)
		var r Request
		if r.parse(rrq("x", "octet", strings.Split(asked, ",")...)) != nil {
			return
		}
		p := r.negotiate(size, fits)
		if p.block < 8 || p.block > 65464 || p.block > max(fits, 512) {
			t.Errorf("blocks of %d bytes, %d fit", p.block, fits)
		}
		if p.window < 1 || p.window > 64 || p.window > 1 && p.window*p.block > 128<<10 {
			t.Errorf("a window of %d blocks of %d bytes", p.window, p.block)
		}
		if p.timeout < 0 || p.timeout > 0 && p.timeout < 10*time.Millisecond || p.timeout > 255*time.Second {
			t.Errorf("a timeout of %v", p.timeout)
		}
		checkOACK(t, &r, p, size)
	})
}

func checkOACK(t *testing.T, r *Request, p params, size int64) {
	if len(r.options) == 0 {
		if p.oack != nil || p.block != 512 || p.window != 1 || p.timeout != 0 {
			t.Errorf("nothing was asked for, and it is %s", p.shown())
		}
		return
	}
	if op := binary.BigEndian.Uint16(p.oack); op != opOAck || len(p.oack) > 512 {
		t.Errorf("OACK %q", p.oack)
	}
	fields := strings.Split(strings.TrimSuffix(string(p.oack[2:]), "\x00"), "\x00")
	if len(fields) != 2*len(r.options) {
		t.Fatalf("%d options were asked for, acknowledged are %q", len(r.options), fields)
	}
	for i, o := range r.options {
		want := map[string]int64{"blksize": int64(p.block), "tsize": size, "windowsize": int64(p.window)}
		value, known := want[o.name]
		if !known {
			value = o.value // of the timeouts
		}
		if fields[2*i] != o.name || fields[2*i+1] != strconv.FormatInt(value, 10) {
			t.Errorf("option %v is acknowledged as %q, want %d", o, fields[2*i:2*i+2], value)
		}
	}
}
