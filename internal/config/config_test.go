// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/addr"
)

// write makes the files, "NAME\nTEXT", below a directory and gives it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// show prints a configuration for comparison, its directory replaced by DIR.
func show(c *Config, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %d", c.Listen, c.Port, c.MaxTransfers)
	for _, board := range c.Sorted() {
		fmt.Fprintf(&b, "; %s %s %d", board.Serial, strings.Replace(board.Image, dir, "DIR", 1), board.Partition)
		if board.IP.IsValid() {
			fmt.Fprintf(&b, " %s", board.IP)
		}
	}
	return b.String()
}

func TestLoad(t *testing.T) {
	t.Setenv("HOME", "/home/pi")
	for _, tt := range []struct {
		name  string
		files map[string]string // main.conf is the one that is loaded
		want  string
	}{
		{"empty", map[string]string{"main.conf": ""}, ":: 69 1000"},
		{"comments", map[string]string{"main.conf": "\ufeff# a\r\n; b\r\n\r\n  [tftp]  \r\n port = 6969 \r\n"}, ":: 6969 1000"},
		{"all of tftp", map[string]string{"main.conf": "[tftp]\nlisten = 192.168.0.4\nport = tftp\nmax-transfers = 7\nincludedir = none"}, "192.168.0.4 69 7"},
		{"systemd", map[string]string{"main.conf": "[tftp]\nlisten: systemd\nPort:0"}, "systemd 0 1000"},
		{"stdin", map[string]string{"main.conf": "[tftp]\nlisten=stdin\n[tftp]\nport=1\n"}, "stdin 1 1000"},
		{"as nobodd-prep writes it", map[string]string{"main.conf": "[board:89025d75]\nimage = /srv/jammy.img\npartition = 1\n"},
			":: 69 1000; 89025d75 /srv/jammy.img 1"},
		{"paths", map[string]string{"main.conf": "[board:1]\nimage=a b#1.img ; no comment\n[board:2]\nimage=~/x.img\n[board:3]\nimage=../y\n[board:4]\nimage=/a,b\n[board:5]\nimage=\"q\"\n"},
			":: 69 1000; 00000001 DIR/a b#1.img ; no comment -1; 00000002 /home/pi/x.img -1; 00000003 DIR/../y -1; 00000004 /a,b -1; 00000005 DIR/\"q\" -1"},
		{"a board's sections merge", map[string]string{"main.conf": "[board:89025D75]\nimage=/a\nip=::ffff:192.168.0.5\n[board:1000000089025d75]\nimage=/b\npartition=0\n[board:89025d75]\npartition=5"},
			":: 69 1000; 89025d75 /b 5 192.168.0.5"},
		{"included", map[string]string{
			"main.conf":       "[tftp]\nincludedir = conf.d\nport=1\n[board:1]\nimage=/m\nip=fe80::1",
			"conf.d/b.conf":   "[board:1]\nimage=rel\n[tftp]\nport=2",
			"conf.d/a.conf":   "[board:1]\nimage=/a\npartition=3\n[board:2]\nimage=../c",
			"conf.d/c.txt":    "[nonsense",
			"conf.d/.d.conf":  "[nonsense",
			"conf.d/e.conf/x": "",
		}, ":: 2 1000; 00000001 DIR/conf.d/rel 3 fe80::1; 00000002 DIR/conf.d/../c -1"},
		{"the last includedir holds, after all main values", map[string]string{
			"main.conf": "[tftp]\nincludedir = a\nincludedir = b\n[board:1]\nimage=/m\n",
			"a/x.conf":  "[nonsense]",
			"b/x.conf":  "[board:1]\nimage=/b",
		}, ":: 69 1000; 00000001 /b -1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, tt.files)
			c, err := Load(filepath.Join(dir, "main.conf"))
			if err != nil {
				t.Fatal(err)
			}
			if got := show(c, dir); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	for _, tt := range []struct {
		text string
		want string // F is the file
	}{
		{"[tftp]\n\nlisen = ::\n", `F:3: unknown key "lisen" in [tftp]`},
		{"[TFTP]\nport = 69", `F:1: unknown section [TFTP]`},
		{"[nbd]\nx\ny = z\n[tftp]\nport = x\n", "F:1: unknown section [nbd]\nF:5: port: \"x\" is neither a port number nor a service"},
		{"[tftp\n", `F:1: no ] at the end of "[tftp"`},
		{"[tftp]\nlisten\n", `F:2: "listen" is no key = value`},
		{"port = 69\n", `F:1: "port = 69" stands before the first section`},
		{"[tftp]\nlisten = eth0\n", `F:2: listen: "eth0" is neither an IP address nor stdin nor systemd`},
		{"[tftp]\nlisten =\n", `F:2: listen: "" is neither an IP address nor stdin nor systemd`},
		{"[tftp]\nport = 65536\n", `F:2: port: "65536" is not a port from 0 to 65535`},
		{"[tftp]\nport = -1\n", `F:2: port: "-1" is neither a port number nor a service`},
		{"[tftp]\nport =\n", `F:2: port: "" is neither a port number nor a service`},
		{"[tftp]\nmax-transfers = 0\n", `F:2: max-transfers: "0" is not a number from 1 to 1048576`},
		{"[tftp]\nincludedir =\n", `F:2: includedir: no value`},
		{"[tftp]\nincludedir = /dev/null\n", `F:2: includedir: open /dev/null: not a directory`},
		{"[board:]\nimage = x\n", `F:1: [board:]: "" is no serial number (1 to 16 hexadecimal digits)`},
		{"[board:0x1]\nimage = x\n", `F:1: [board:0x1]: "0x1" is no serial number (1 to 16 hexadecimal digits)`},
		{"[board:12345678123456781]\n", `F:1: [board:12345678123456781]: "12345678123456781" is no serial number (1 to 16 hexadecimal digits)`},
		{"[board:1]\nimage =\n", "F:2: image: no value\nF:1: board 00000001 has no image"},
		{"[board:1]\nimage = ~no-such-user/x\n", "F:2: image: \"~no-such-user/x\": no user no-such-user\nF:1: board 00000001 has no image"},
		{"[board:1]\nimage = x\npartition = 1000\n", `F:3: partition: "1000" is not a partition number from 0 to 999`},
		{"[board:1]\nimage = x\npartition = boot\n", `F:3: partition: "boot" is not a partition number from 0 to 999`},
		{"[board:1]\nimage = x\nip = 1.2.3\n", `F:3: ip: "1.2.3" is not an IP address`},
		{"[board:2]\nip = ::1\n[board:1]\nip = ::1\n\n[board:2]\n", "F:3: board 00000001 has no image\nF:6: board 00000002 has no image"},
		{"[tftp]\nport = " + strings.Repeat("1", 70000), `F:2: line too long`},
	} {
		dir := write(t, map[string]string{"f": tt.text})
		file := filepath.Join(dir, "f")
		want := strings.ReplaceAll(tt.want, "F:", file+":")
		if _, err := Load(file); err == nil || err.Error() != want {
			t.Errorf("%.40q:\ngot  %v\nwant %s", tt.text, err, want)
		}
	}
}

func TestLoadFilesThatCannotBeRead(t *testing.T) {
	dir := write(t, map[string]string{
		"main.conf":  "[tftp]\nincludedir=d\n",
		"d/bad.conf": "[tftp]\nincludedir=e\n",
	})
	if err := os.Symlink("nowhere", filepath.Join(dir, "d/a.conf")); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("open %s/d/a.conf: no such file or directory\n%[1]s/d/bad.conf:2: includedir: a file that is included cannot include others", dir)
	if _, err := Load(filepath.Join(dir, "main.conf")); err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := Load(filepath.Join(dir, "none")); !os.IsNotExist(err) && (err == nil || !strings.HasSuffix(err.Error(), "none: no such file or directory")) {
		t.Errorf("--config of no file: %v", err)
	}
}

func TestFiles(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		last string // "" for none
	}{
		{map[string]string{"HOME": "/home/pi"}, "/home/pi/.config/nobodd/nobodd.conf"},
		{map[string]string{"HOME": "/home/pi", "XDG_CONFIG_HOME": "/xdg"}, "/xdg/nobodd/nobodd.conf"},
		{map[string]string{"HOME": "/home/pi", "XDG_CONFIG_HOME": "rel"}, "/home/pi/.config/nobodd/nobodd.conf"},
		{map[string]string{"XDG_CONFIG_HOME": "/xdg"}, "/xdg/nobodd/nobodd.conf"},
		{nil, ""},
	} {
		want := []string{"/etc/nobodd/nobodd.conf", "/usr/local/etc/nobodd/nobodd.conf"}
		if tt.last != "" {
			want = append(want, tt.last)
		}
		if got := files(func(k string) string { return tt.env[k] }); !slices.Equal(got, want) {
			t.Errorf("files with %v = %v, want %v", tt.env, got, want)
		}
	}
}

func TestUsualFiles(t *testing.T) {
	dir := write(t, map[string]string{"nobodd/nobodd.conf": "[tftp]\nport = 7\n[board:1]\nimage = x\n"})
	t.Setenv("XDG_CONFIG_HOME", dir)
	c, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Port, 7; got != want {
		t.Errorf("port %d, want %d", got, want)
	}
	if got, want := c.Boards[1].Image, dir+"/nobodd/x"; got != want {
		t.Errorf("image %s, want %s", got, want)
	}
}

func TestParseSerial(t *testing.T) {
	for _, tt := range []struct {
		in, want string // want "" for an error
	}{
		{"89025d75", "89025d75"},
		{"89025D75", "89025d75"},
		{"1000000089025d75", "89025d75"},
		{"0c8f7e5cbd989ae1", "bd989ae1"},
		{"00000000bd989ae1", "bd989ae1"},
		{"1f", "0000001f"},
		{"0", "00000000"},
		{"", ""},
		{"0x1f", ""},
		{"+1f", ""},
		{"-1", ""},
		{"1_0", ""},
		{" 1", ""},
		{"start4.elf", ""},
		{"00000000bd989ae10", ""},
	} {
		got, err := ParseSerial(tt.in)
		if err == nil && got.String() != tt.want || err != nil && tt.want != "" {
			t.Errorf("ParseSerial(%q) = %s, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestParseBoard(t *testing.T) {
	cwd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	ip := netip.MustParseAddr("192.168.0.5")
	for _, tt := range []struct {
		in      string
		want    Board
		wantErr string
	}{
		{in: "89025d75,/a.img", want: Board{0x89025d75, "/a.img", addr.Boot, netip.Addr{}}},
		{in: "1000000089025D75,a.img,2", want: Board{0x89025d75, cwd + "/a.img", 2, netip.Addr{}}},
		{in: "1,/a,0,192.168.0.5", want: Board{1, "/a", 0, ip}},
		{in: "1,/a,,::ffff:192.168.0.5", want: Board{1, "/a", addr.Boot, ip}},
		{in: "1,~" + me.Username + "/a,", want: Board{1, filepath.Join(me.HomeDir, "a"), addr.Boot, netip.Addr{}}},
		{in: "1", wantErr: `"1" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "", wantErr: `"" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "1,a,1,::1,x", wantErr: `"1,a,1,::1,x" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "x,a", wantErr: `"x" is no serial number (1 to 16 hexadecimal digits)`},
		{in: "1,", wantErr: `"1,": image: no value`},
		{in: "1,a,b", wantErr: `"1,a,b": partition: "b" is not a partition number from 0 to 999`},
		{in: "1,a,1,b", wantErr: `"1,a,1,b": ip: "b" is not an IP address`},
	} {
		got, err := ParseBoard(tt.in)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != tt.want || text != tt.wantErr {
			t.Errorf("ParseBoard(%q) = %v, %q, want %v, %q", tt.in, got, text, tt.want, tt.wantErr)
		}
	}
}

// TestLoadBoards loads boards from a file and the command line at once.
func TestLoadBoards(t *testing.T) {
	dir := write(t, map[string]string{"main.conf": "[board:1]\nimage=/a\npartition=5\nip=192.168.0.5\n[board:2]\nip=192.168.0.6\n"})
	for _, tt := range []struct {
		name   string
		boards []string
		want   string
	}{
		{"a new one, an image for one without", []string{"3,/c,0", "2,/b"},
			":: 69 1000; 00000001 /a 5 192.168.0.5; 00000002 /b -1 192.168.0.6; 00000003 /c 0"},
		{"the image alone", []string{"2,/b", "1,/x"},
			":: 69 1000; 00000001 /x 5 192.168.0.5; 00000002 /b -1 192.168.0.6"},
		{"all of it, the last time", []string{"2,/b,1,::1", "1,/x,,::2", "1,/y,2"},
			":: 69 1000; 00000001 /y 2 ::2; 00000002 /b 1 ::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var boards []Board
			for _, s := range tt.boards {
				b, err := ParseBoard(s)
				if err != nil {
					t.Fatal(err)
				}
				boards = append(boards, b)
			}
			c, err := Load(filepath.Join(dir, "main.conf"), boards...)
			if err != nil {
				t.Fatal(err)
			}
			if got := show(c, dir); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"[tftp]\nlisten = ::\nport = 69\nincludedir = x\nmax-transfers = 5\n",
		"[board:1000000089025d75]\nimage = ~/jammy.img\npartition = 1\nip = 192.168.0.5\n",
		"\ufeff; c\n[board:1]\nimage: a\n[board:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if (c == nil) == (err == nil) {
			t.Fatalf("Load gave %v and %v", c, err)
		}
		if err != nil {
			return
		}
		for serial, b := range c.Boards {
			if b.Serial != serial || !filepath.IsAbs(b.Image) || b.Partition < addr.Boot || b.Partition > addr.MaxPart || b.IP.Is4In6() {
				t.Errorf("board %s: %+v", serial, b)
			}
		}
	})
}
