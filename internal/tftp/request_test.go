// SPDX-License-Identifier: GPL-3.0-or-later

package tftp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// rrq returns a read request with "name value" options.
func rrq(name, mode string, options ...string) []byte {
	b := "\x00\x01" + name + "\x00" + mode + "\x00"
	for _, o := range options {
		b += strings.Replace(o, " ", "\x00", 1) + "\x00"
	}
	return []byte(b)
}

// shown is what a request asks for, as text.
func (r *Request) shown() string {
	mode := "octet"
	if r.Netascii {
		mode = "netascii"
	}
	s := fmt.Sprintf("%q %s", r.Name, mode)
	for _, o := range r.options {
		s += fmt.Sprintf(" %s=%d", o.name, o.value)
	}
	return s
}

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		in, want string
		wantErr  error
	}{
		{in: "\x00\x01a\x00octet\x00", want: `"a" octet`},
		{in: "\x00\x01a\x00OcTeT\x00", want: `"a" octet`},
		{in: "\x00\x01\x00octet\x00", want: `"" octet`},
		{in: "\x00\x01a b\\c\xff\x00octet\x00", want: `"a b\\c\xff" octet`},
		{in: "\x00\x01a\x00NetASCII\x00", want: `"a" netascii`},
		{in: "\x00\x01a\x00netascii\x00tsize\x000\x00blksize\x0099\x00", want: `"a" netascii blksize=99`},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x001468\x00", want: `"a" octet tsize=0 blksize=1468`},
		{in: "\x00\x01a\x00octet\x00blksize\x001468\x00tsize\x000\x00", want: `"a" octet blksize=1468 tsize=0`},
		{in: "\x00\x01a\x00octet\x00TSIZE\x0077\x00BlkSize\x00512\x00", want: `"a" octet tsize=77 blksize=512`},
		{in: "\x00\x01a\x00octet\x00multicast\x00\x00tsize\x000\x00", want: `"a" octet tsize=0`},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize", want: `"a" octet tsize=0`},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x001468", want: `"a" octet tsize=0`},
		{in: "\x00\x01a\x00octet\x00blksize\x00512\x00tsize\x000\x00blksize\x001024\x00", want: `"a" octet tsize=0 blksize=1024`},
		{in: "\x00\x01a\x00octet\x00timeout\x001\x00utimeout\x0050000\x00timeout\x002\x00", want: `"a" octet utimeout=50000 timeout=2`},
		{in: "\x00\x01a\x00mail\x00", wantErr: ErrMode},
		{in: "\x00\x01a\x00\x00", wantErr: ErrMode},
		{in: "\x00\x01a\x00octet", wantErr: ErrMalformed},
		{in: "\x00\x01a\x00", wantErr: ErrMalformed},
		{in: "\x00\x01a", wantErr: ErrMalformed},
		{in: "\x00\x01", wantErr: ErrMalformed},
		{in: "\x00\x02a\x00octet\x00", wantErr: ErrWrite},
		{in: "\x00\x02", wantErr: ErrWrite},
		{in: "\x00\x03\x00\x01abc", wantErr: ErrNoRequest},
		{in: "\x00\x04\x00\x01", wantErr: ErrNoRequest},
		{in: "\x00\x05\x00\x00Early terminate\x00", wantErr: ErrNoRequest},
		{in: "\x00\x06tsize\x000\x00", wantErr: ErrNoRequest},
		{in: "\x01\x00a\x00octet\x00", wantErr: ErrNoRequest},
		{in: "\x00", wantErr: ErrNoRequest},
		{in: "", wantErr: ErrNoRequest},
	} {
		var r Request
		err := r.parse([]byte(tt.in))
		if !errors.Is(err, tt.wantErr) || err == nil && r.shown() != tt.want {
			t.Errorf("parse(%q) = %s, %v, want %s, %v", tt.in, r.shown(), err, tt.want, tt.wantErr)
		}
	}
}

// TestParseOption: the value of an option, or that it is malformed and thereby not there.
func TestParseOption(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"blksize 7", ""},
		{"blksize 8", "8"},
		{"blksize 65464", "65464"},
		{"blksize 65465", "65464"},
		{"blksize 99999999999999999999", "65464"},
		{"blksize 0512", "512"},
		{"blksize -8", ""},
		{"blksize +8", ""},
		{"blksize 8 ", ""},
		{"blksize 0x200", ""},
		{"blksize many", ""},
		{"blksize ", ""},
		{"tsize 0", "0"},
		{"tsize 99999999999999999999", "9223372036854775807"},
		{"tsize -1", ""},
		{"tsize ", ""},
		{"timeout 0", ""},
		{"timeout 1", "1"},
		{"timeout 255", "255"},
		{"timeout 256", ""},
		{"utimeout 9999", ""},
		{"utimeout 10000", "10000"},
		{"utimeout 255000000", "255000000"},
		{"utimeout 255000001", ""},
		{"windowsize 0", ""},
		{"windowsize 1", "1"},
		{"windowsize 65535", "65535"},
		{"windowsize 65536", "65535"},
		{"rollover 0", ""},
		{" 0", ""},
	} {
		name, value, _ := strings.Cut(tt.in, " ")
		got := ""
		if o, ok := parseOption(name, value); ok {
			got = fmt.Sprint(o.value)
		}
		if got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseAnswer(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"\x00\x04\x00\x01", "1 true <nil>"},
		{"\x00\x04\xff\xfftrailing", "65535 true <nil>"},
		{"\x00\x05\x00\x03disk\nfull\x00more", `0 false client said "disk\nfull" (3)`},
		{"\x00\x05\x00\x00", `0 false client said "" (0)`},
		{"\x00\x05\x00\x00no end", `0 false client said "no end" (0)`},
		{"\x00\x04\x00", "0 false <nil>"},
		{"\x00\x03\x00\x01data", "0 false <nil>"},
		{"\x00\x01a\x00octet\x00", "0 false <nil>"},
		{"\x04\x00\x00\x01", "0 false <nil>"},
		{"", "0 false <nil>"},
	} {
		block, ok, err := parseAnswer([]byte(tt.in))
		if got := fmt.Sprint(block, ok, err); got != tt.want {
			t.Errorf("%q: %s, want %s", tt.in, got, tt.want)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range [][]byte{
		rrq("89025d75/start4.elf", "octet", "tsize 0", "blksize 1468"),
		rrq("//1000000089025D75/../a\\b", "NETASCII", "TSIZE 0", "timeout 1", "utimeout 100000", "windowsize 16"),
		rrq("", ""),
		[]byte("\x00\x02a\x00octet\x00"),
		[]byte("\x00\x05\x00\x00Early terminate\x00"),
		[]byte("\x00\x01a\x00octet"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var r Request
		err := r.parse(p)
		if r.packet != string(p) {
			t.Error("the packet was changed")
		}
		if err != nil {
			if len(r.options) > 0 {
				t.Errorf("%v, and options %v", err, r.options)
			}
			return
		}
		if strings.Contains(r.Name, "\x00") || len(r.Name) > len(p) {
			t.Errorf("name %q", r.Name)
		}
		if len(r.options) > len(bounds) {
			t.Errorf("options %v", r.options)
		}
		if block, ok, err := parseAnswer(p); ok || err != nil {
			t.Errorf("a request that acknowledges block %d or says %v", block, err)
		}
	})
}
