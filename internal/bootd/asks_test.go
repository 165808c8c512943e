// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"nobodd/internal/config"
)

// configured reads a configuration as text.
func configured(t testing.TB, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nobodd.conf")
	writeFile(t, file, text)
	cfg, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const (
	withoutDefault = `
[board:89025d75]
image = /a
prefix = dc-a6-32-01-02-03, lab, lab/one
[board:0c8f7e5cbd989ae1]
image = /b
ip = 192.168.0.5
prefix = 89025D75/two 1234
[board:1234]
image = /c
ip = 192.168.0.6
[board:11111111]
image = /d
ip = 192.168.0.7
[board:22222222]
image = /d
ip = 192.168.0.7
[board:3]
image = /d
ip = fe80::1
`
	withDefault = withoutDefault + "[board:default]\nimage = /z\n"
)

// TestResolve: which board asks, and for what.
func TestResolve(t *testing.T) {
	const a, b, c, stranger = "89025d75", "bd989ae1", "00001234", "192.168.0.99"
	without, with := configured(t, withoutDefault), configured(t, withDefault)
	for _, tt := range []struct {
		client, name string
		board, who   string // board "" for none
		path         string
	}{
		// A serial number, in any spelling.
		{stranger, "89025d75/config.txt", a, a, "config.txt"},
		{stranger, "89025D75/overlays/a.dtbo", a, a, "overlays/a.dtbo"},
		{stranger, "1000000089025d75/A", a, a, "A"},
		{stranger, "0c8f7e5cbd989ae1/a", b, b, "a"},
		{stranger, "00000000bd989ae1/a", b, b, "a"},
		{stranger, "3/a", "00000003", "00000003", "a"},
		{stranger, "//89025d75//overlays///a", a, a, "overlays/a"},
		{stranger, "89025d75/./overlays/../a", a, a, "a"},
		{stranger, "89025d75/../../../etc/passwd", a, a, "etc/passwd"},
		{stranger, "89025d75/../12345678/a", a, a, "12345678/a"},
		{stranger, "89025d75/..\\..\\a", a, a, "..\\..\\a"},
		{stranger, "89025d75/", a, a, "."},
		{stranger, "89025d75/..", a, a, "."},
		{stranger, "89025d75", a, a, "."},

		// A word of prefix, the longest that fits, before a serial number of the same spelling.
		{stranger, "dc-a6-32-01-02-03/config.txt", a, a, "config.txt"},
		{stranger, "/DC-A6-32-01-02-03//config.txt", a, a, "config.txt"},
		{stranger, "lab/config.txt", a, a, "config.txt"},
		{stranger, "Lab/One/Config.txt", a, a, "Config.txt"},
		{stranger, "lab/onetwo", a, a, "onetwo"},
		{stranger, "lab", a, a, "."},
		{stranger, "lab/../../x", a, a, "x"},
		{stranger, "89025d75/two/x", b, b, "x"},
		{stranger, "89025d75/twox", a, a, "twox"},
		{stranger, "1234/x", b, b, "x"},
		{stranger, "00001234/x", c, c, "x"},
		{stranger, "labs/x", "", "", "labs/x"},

		// The client's address, for what begins with no serial number or MAC address.
		{"192.168.0.5", "bootcode.bin", b, b, "bootcode.bin"},
		{"192.168.0.6", "//overlays/../start.elf", c, c, "start.elf"},
		{"192.168.0.6", "nothing/start.elf", c, c, "nothing/start.elf"},
		{"192.168.0.6", "../start.elf", c, c, "start.elf"},
		{"192.168.0.6", "./89025d75/a", c, c, "89025d75/a"},
		{"192.168.0.6", "", c, c, "."},
		{"192.168.0.6", "lab/x", a, a, "x"},
		{"192.168.0.6", "89025d75/x", a, a, "x"},
		{"192.168.0.6", "deadbeef/x", "", "deadbeef", "x"},
		{"192.168.0.6", "dc-a6-32-01-02-04/x", "", "dc-a6-32-01-02-04", "x"},
		{"192.168.0.7", "bootcode.bin", "", "", "bootcode.bin"},
		{"fe80::1%eth0", "bootcode.bin", "00000003", "00000003", "bootcode.bin"},
		{"fe80::2%eth0", "bootcode.bin", "", "", "bootcode.bin"},

		// Nobody.
		{stranger, "../89025d75/a", "", "", "89025d75/a"},
		{stranger, "/etc/passwd", "", "", "etc/passwd"},
		{stranger, "89025d75\\a", "", "", "89025d75\\a"},
		{stranger, "00000000089025d75/a", "", "", "00000000089025d75/a"},
		{stranger, "config.txt", "", "", "config.txt"},
		{stranger, "DEAD/x", "", "0000dead", "x"},
		{stranger, "DC-A6-32-01-02-04/x", "", "dc-a6-32-01-02-04", "x"},
		{stranger, "dc:a6:32:01:02:04/x", "", "", "dc:a6:32:01:02:04/x"},
		{stranger, "", "", "", "."},
		{stranger, "/", "", "", "."},
	} {
		for _, fallback := range []bool{false, true} {
			want := asked{who: tt.who, path: tt.path}
			board, found := tt.board, tt.board != ""
			cfg := without
			if fallback {
				cfg = with
			}
			if fallback && !found { // a serial number or MAC address is taken off, and nothing else
				board, found = "default", true
				if tt.who == "" {
					want.who = "default"
				}
			}
			got, ok := resolve(cfg, netip.MustParseAddr(tt.client), tt.name)
			name := ""
			if ok {
				name = got.board.Serial.String()
			}
			if ok != found || name != board || got.who != want.who || got.path != want.path {
				t.Errorf("%s asks for %q (default: %v): board %q, who %q, path %q; want %q, %q, %q",
					tt.client, tt.name, fallback, name, got.who, got.path, board, want.who, want.path)
			}
		}
	}
}

// FuzzResolve: whatever is asked for lies below the root of a board.
func FuzzResolve(f *testing.F) {
	cfg := configured(f, withDefault)
	for _, seed := range []string{"89025d75/config.txt", "//1000000089025D75/../../etc/passwd", "0/..", "1/\xff\\..", "12345678", "lab/one/../x", "dc-a6-32-01-02-03/./\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		ask, ok := resolve(cfg, netip.MustParseAddr("192.168.0.6"), name)
		if !ok {
			t.Fatalf("%q: there is a default", name)
		}
		for _, element := range strings.Split(ask.path, "/") {
			if element == ".." || element == "" || element == "." && ask.path != "." {
				t.Errorf("%q is %q inside", name, ask.path)
			}
		}
		if !fs.ValidPath(strings.ToValidUTF8(ask.path, "?")) {
			t.Errorf("%q is %q inside, which io/fs does not know", name, ask.path)
		}
	})
}

// TestStrange: what was asked, by whom, and what to add.
func TestStrange(t *testing.T) {
	cfg := configured(t, withoutDefault+"[board:4]\nip = x\n")
	for _, tt := range []struct{ client, name, want string }{
		{"192.168.0.99", "BEEF/start4.elf", "no board 0000beef in the configuration (192.168.0.99 asked for BEEF/start4.elf); " +
			"to serve it add [board:0000beef] with image = /path/to/its/image.img"},
		{"192.168.0.99", "4/x y", `board 00000004 is left out for a mistake in its configuration (192.168.0.99 asked for "4/x y")`},
		{"fe80::9%eth0", "DC-A6-32-01-02-04/start4.elf", "no board with the prefix dc-a6-32-01-02-04 (fe80::9%eth0 asked for DC-A6-32-01-02-04/start4.elf); " +
			"to serve it add prefix = dc-a6-32-01-02-04 to its section"},
		{"192.168.0.99", "bootcode.bin", "192.168.0.99 asked for bootcode.bin without a serial number; to serve it add ip = 192.168.0.99 to the section of its board"},
		{"192.168.0.7", "bootcode.bin", "192.168.0.7 asked for bootcode.bin without a serial number, and the boards 11111111 and 22222222 both have ip = 192.168.0.7"},
		{"192.168.0.99", "\n" + strings.Repeat("x", 400), `192.168.0.99 asked for "\n` + strings.Repeat("x", 299) + `..." without a serial number; to serve it add ip = 192.168.0.99 to the section of its board`},
	} {
		client := netip.MustParseAddr(tt.client)
		ask, ok := resolve(cfg, client, tt.name)
		if got := strange(cfg, client, ask.who, tt.name); ok || got != tt.want {
			t.Errorf("%q, found: %v\ngot  %s\nwant %s", tt.name, ok, got, tt.want)
		}
	}
}

// TestStrangers: an attacker cannot make us remember or log without end, and what is not remembered is counted.
func TestStrangers(t *testing.T) {
	var s strangers
	first := 0
	for range 2 {
		for i := range 3 * maxStrangers {
			if s.isNew(fmt.Sprint(i)) {
				first++
			}
		}
	}
	if first != maxStrangers || s.unknown() != 4*maxStrangers {
		t.Errorf("%d were new and %d others, want %d and %d", first, s.unknown(), maxStrangers, 4*maxStrangers)
	}
	s.forget()
	if !s.isNew("0") || s.isNew("0") || s.unknown() != 0 {
		t.Error("they were not forgotten")
	}
}

// TestUnknownBoards: each stranger is logged once, in one record, until the configuration is read again.
func TestUnknownBoards(t *testing.T) {
	d := serving(t, nil)
	ask := func() {
		for _, name := range []string{"bd989ae1/config.txt", "0c8f7e5cbd989ae1/start.elf", "DC-A6-32-01-02-04/x", "dc-a6-32-01-02-04/y", "bootcode.bin", "config.txt"} {
			c := d.client(t)
			c.send(c.server, rrq(name, "octet"))
			c.want("ERROR 1 file not found")
		}
		waitIdle(t, d)
	}
	warnings := func() (list []string) {
		for line := range strings.Lines(d.log.text()) {
			if strings.HasPrefix(line, "warning: ") {
				list = append(list, line)
			}
		}
		return list
	}
	ask()
	ask()
	want := []string{"warning: no board bd989ae1 in the configuration (127.0.0.1 asked for bd989ae1/config.txt); ",
		"warning: no board with the prefix dc-a6-32-01-02-04 (127.0.0.1 asked for DC-A6-32-01-02-04/x); ",
		"warning: 127.0.0.1 asked for bootcode.bin without a serial number; "}
	for round := range 2 {
		got := warnings()
		if len(got) != (round+1)*len(want) {
			t.Fatalf("got %q, want %d lines", got, (round+1)*len(want))
		}
		for i, line := range got {
			if !strings.HasPrefix(line, want[i%len(want)]) {
				t.Errorf("got %s, want %s", line, want[i%len(want)])
			}
		}
		d.Configure(board("none"))
		ask()
	}
}

// TestBoardsByOtherMeans: prefix, address and default lead to the image, over the network.
func TestBoardsByOtherMeans(t *testing.T) {
	path, tree := ubuntu(t)
	other := filepath.Join(t.TempDir(), "none.img")
	for _, tt := range []struct {
		section string // added to those of two boards whose images are not there
		name    string
		want    string // the board of the log line; "" for not found
	}{
		{"[board:5]\nimage = IMAGE\nprefix = dc-a6-32-01-02-03", "DC-A6-32-01-02-03/cmdline.txt", "00000005"},
		{"[board:5]\nimage = IMAGE\nprefix = lab/pi", "lab/pi/cmdline.txt", "00000005"},
		{"[board:5]\nimage = IMAGE\nip = 127.0.0.1", "cmdline.txt", "00000005"},
		{"[board:5]\nimage = IMAGE\nip = 127.0.0.1\n[board:6]\nimage = IMAGE\nip=127.0.0.1", "cmdline.txt", ""},
		{"[board:default]\nimage = IMAGE", "cmdline.txt", "default"},
		{"[board:default]\nimage = IMAGE", "12345678/cmdline.txt", "12345678"},
		{"[board:default]\nimage = IMAGE", "dc-a6-32-01-02-03/cmdline.txt", "dc-a6-32-01-02-03"},
		{"[board:default]\nimage = IMAGE", "lab/cmdline.txt", ""},
	} {
		cfg := configured(t, fmt.Sprintf("[tftp]\nlisten=127.0.0.1\nport=0\n[board:1]\nimage=%s\n[board:2]\nimage=%[1]s\nip=192.0.2.1\n%s",
			other, strings.ReplaceAll(tt.section, "IMAGE", path)))
		d := start(t, cfg)
		c := d.client(t)
		c.send(c.server, rrq(tt.name, "octet"))
		got, err := c.finish(512)
		switch {
		case tt.want == "" && (err == nil || err.Error() != "ERROR 1 file not found"):
			t.Errorf("%s: %s: got %d bytes, %v", tt.section, tt.name, len(got), err)
		case tt.want != "" && (err != nil || string(got) != string(tree["cmdline.txt"])):
			t.Errorf("%s: %s: got %q, %v", tt.section, tt.name, got, err)
		case tt.want != "":
			d.log.wait(t, 1, " board="+tt.want+" file=cmdline.txt outcome=sent ")
		}
	}
}

// TestLimitsOfTheConfiguration: ports and max-blksize hold for each transfer, and a reload changes max-blksize.
func TestLimitsOfTheConfiguration(t *testing.T) {
	port := freePort(t)
	text := fmt.Sprintf("[tftp]\nlisten=127.0.0.1\nport=0\nports=%d-%[1]d\nmax-blksize=1000\n[board:89025d75]\nimage=/none\n", port)
	d := startWith(t, configured(t, text), func(config.Board, string) (file, error) {
		return &memory{ReaderAt: zeros{}, size: 3000}, nil
	})
	c, other := d.client(t), d.client(t)
	c.request("x", "octet", "blksize 1468")
	c.want("OACK blksize=1000")
	if c.peer.Port() != port {
		t.Errorf("the reply came from port %d, want %d", c.peer.Port(), port)
	}
	other.request("x", "octet")
	other.want("ERROR 0 too many transfers")
	c.reply(opError, 0, "enough\x00")
	waitIdle(t, d)
	d.Configure(configured(t, strings.Replace(text, "max-blksize=1000", "max-blksize=8", 1)))
	c = d.client(t)
	c.request("x", "octet", "blksize 1468")
	c.want("OACK blksize=8")
	if c.peer.Port() != port {
		t.Errorf("the reply came from port %d, want %d", c.peer.Port(), port)
	}
}

// freePort returns a UDP port of the loopback that nobody uses now.
func freePort(t *testing.T) uint16 {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}
