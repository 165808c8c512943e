// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
)

func TestParseRequest(t *testing.T) {
	for _, tt := range []struct {
		in      string
		want    request
		wantErr error
	}{
		{in: "\x00\x01a\x00octet\x00", want: request{name: "a"}},
		{in: "\x00\x01a\x00OcTeT\x00", want: request{name: "a"}},
		{in: "\x00\x01\x00octet\x00", want: request{}},
		{in: "\x00\x01a b\\c\x00octet\x00", want: request{name: "a b\\c"}},
		{in: "\x00\x01a\x00netascii\x00tsize\x000\x00", want: request{name: "a", netascii: true}},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x001468\x00", want: request{name: "a", tsize: true, blksize: 1468}},
		{in: "\x00\x01a\x00octet\x00TSIZE\x0077\x00BlkSize\x00512\x00", want: request{name: "a", tsize: true, blksize: 512}},
		{in: "\x00\x01a\x00octet\x00timeout\x001\x00windowsize\x004\x00blksize\x0065464\x00", want: request{name: "a", blksize: 65464}},
		{in: "\x00\x01a\x00octet\x00blksize\x00511\x00", want: request{name: "a"}},
		{in: "\x00\x01a\x00octet\x00blksize\x0065465\x00", want: request{name: "a"}},
		{in: "\x00\x01a\x00octet\x00blksize\x00-1\x00", want: request{name: "a"}},
		{in: "\x00\x01a\x00octet\x00blksize\x00x\x00", want: request{name: "a"}},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize", want: request{name: "a", tsize: true}},
		{in: "\x00\x01a\x00octet\x00tsize\x000\x00blksize\x001468", want: request{name: "a", tsize: true}},
		{in: "\x00\x01a\x00mail\x00", wantErr: errMode},
		{in: "\x00\x01a\x00\x00", wantErr: errMode},
		{in: "\x00\x01a\x00octet", wantErr: errMalformed},
		{in: "\x00\x01a\x00", wantErr: errMalformed},
		{in: "\x00\x01a", wantErr: errMalformed},
		{in: "\x00\x01", wantErr: errMalformed},
		{in: "\x00\x02a\x00octet\x00", wantErr: errReadOnly},
		{in: "\x00\x02", wantErr: errReadOnly},
		{in: "\x00\x03\x00\x01abc", wantErr: errGarbage},
		{in: "\x00\x04\x00\x01", wantErr: errGarbage},
		{in: "\x00\x05\x00\x00Early terminate\x00", wantErr: errGarbage},
		{in: "\x00\x06tsize\x000\x00", wantErr: errGarbage},
		{in: "\x01\x00a\x00octet\x00", wantErr: errGarbage},
		{in: "\x00", wantErr: errGarbage},
		{in: "", wantErr: errGarbage},
	} {
		got, err := parseRequest([]byte(tt.in))
		if got != tt.want || err != tt.wantErr {
			t.Errorf("parseRequest(%q) = %+v, %v, want %+v, %v", tt.in, got, err, tt.want, tt.wantErr)
		}
	}
}

func TestForLibrary(t *testing.T) {
	for _, tt := range []struct {
		in   request
		size int64
		want string
	}{
		{request{name: "x"}, 7, "\x00\x01f\x00octet\x00"},
		{request{netascii: true}, 7, "\x00\x01f\x00netascii\x00"},
		{request{tsize: true, blksize: 1468}, 7, "\x00\x01f\x00octet\x00tsize\x007\x00blksize\x001468\x00"},
		{request{tsize: true}, 0, "\x00\x01f\x00octet\x00tsize\x0000\x00"},
	} {
		if got := string(tt.in.forLibrary(tt.size)); got != tt.want {
			t.Errorf("%+v for the library = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestSplitName(t *testing.T) {
	for _, tt := range []struct {
		in, serial, inside string // serial "" if there is none
	}{
		{"89025d75/config.txt", "89025d75", "config.txt"},
		{"89025D75/overlays/a.dtbo", "89025d75", "overlays/a.dtbo"},
		{"1000000089025d75/a", "89025d75", "a"},
		{"0c8f7e5cbd989ae1/a", "bd989ae1", "a"},
		{"1f/a", "0000001f", "a"},
		{"//89025d75//overlays///a", "89025d75", "overlays/a"},
		{"89025d75/./overlays/../a", "89025d75", "a"},
		{"89025d75/../../../etc/passwd", "89025d75", "etc/passwd"},
		{"89025d75/../12345678/a", "89025d75", "12345678/a"},
		{"89025d75/..\\..\\a", "89025d75", "..\\..\\a"},
		{"89025d75/", "89025d75", "."},
		{"89025d75/..", "89025d75", "."},
		{"89025d75", "", ""},
		{"../89025d75/a", "", ""},
		{"./89025d75/a", "", ""},
		{"/etc/passwd", "", ""},
		{"89025d75\\a", "", ""},
		{"config.txt", "", ""},
		{"00000000089025d75/a", "", ""},
		{"", "", ""},
		{"/", "", ""},
	} {
		serial, inside, ok := splitName(tt.in)
		if ok != (tt.serial != "") || ok && serial.String() != tt.serial || inside != tt.inside {
			t.Errorf("splitName(%q) = %s, %q, %v, want %q, %q", tt.in, serial, inside, ok, tt.serial, tt.inside)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	seeds := [][]byte{
		rrq("89025d75/start4.elf", "octet", "tsize 0", "blksize 1468"),
		rrq("//1000000089025D75/../a\\b", "NETASCII", "TSIZE 0", "timeout 1"),
		rrq("", ""),
		[]byte("\x00\x02a\x00octet\x00"),
		[]byte("\x00\x05\x00\x00Early terminate\x00"),
		[]byte("\x00\x01a\x00octet"),
	}
	if len(seeds) == 0 {
		f.Fatal("no seeds")
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		was := bytes.Clone(p)
		req, err := parseRequest(p)
		if !bytes.Equal(p, was) {
			t.Error("the packet was changed")
		}
		if err != nil {
			return
		}
		if strings.Contains(req.name, "\x00") || len(req.name) > len(p) {
			t.Errorf("name %q", req.name)
		}
		if n := len(req.forLibrary(1<<32 - 1)); n > defaultBlockSize {
			t.Errorf("%d bytes for the library", n)
		}
		checkName(t, req.name)
	})
}

func FuzzSplitName(f *testing.F) {
	for _, seed := range []string{"89025d75/config.txt", "//1000000089025D75/../../etc/passwd", "0/..", "1/\xff\\..", "12345678"} {
		f.Add(seed)
	}
	f.Fuzz(checkName)
}

// checkName makes sure that a name stays below its board's root.
func checkName(t *testing.T, name string) {
	_, inside, ok := splitName(name)
	if !ok {
		return
	}
	for _, element := range strings.Split(inside, "/") {
		if element == ".." || element == "" || element == "." && inside != "." {
			t.Errorf("%q is %q inside", name, inside)
		}
	}
	if !fs.ValidPath(strings.ToValidUTF8(inside, "?")) {
		t.Errorf("%q is %q inside, which io/fs does not know", name, inside)
	}
}
