// SPDX-License-Identifier: GPL-3.0-or-later

package config

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"nobodd/internal/addr"
)

// write makes the files of NAME to TEXT below a new directory, and returns that.
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

// show prints a configuration for comparison, its directory replaced by DIR. What has its default value in
// most of the tests is left out then.
func show(c *Config, dir string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d %d", c.Listen, c.Port, c.MaxTransfers)
	if c.Ports != (PortRange{}) {
		fmt.Fprintf(&b, " ports=%d-%d", c.Ports.Low, c.Ports.High)
	}
	if c.MaxBlockSize != 0 {
		fmt.Fprintf(&b, " blksize=%d", c.MaxBlockSize)
	}
	for _, board := range c.Sorted() {
		fmt.Fprintf(&b, "; %s %s %d", board.Serial, strings.Replace(board.Image, dir, "DIR", 1), board.Partition)
		if board.IP.IsValid() {
			fmt.Fprintf(&b, " %s", board.IP)
		}
		if board.Prefix != nil {
			fmt.Fprintf(&b, " %q", board.Prefix)
		}
		if board.Uncached != UncachedAuto {
			fmt.Fprintf(&b, " uncached=%d", board.Uncached)
		}
	}
	return b.String()
}

// mistakes prints the mistakes, each in a line, the directory left out; in front of it what it costs.
func mistakes(c *Config, dir string) string {
	var b strings.Builder
	for _, m := range c.Mistakes {
		scope := map[Scope]string{Everything: "all", OneBoard: m.Board.String(), OneSection: "section"}[m.Scope]
		fmt.Fprintf(&b, "%s: %s\n", scope, strings.ReplaceAll(m.Error(), dir+"/", ""))
	}
	return strings.TrimSuffix(b.String(), "\n")
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
		{"all of tftp", map[string]string{"main.conf": "[tftp]\nlisten = 192.168.0.4\nport = tftp\nmax-transfers = 7\nincludedir = none\n" +
			"ports = 49152 - 49999\nmax-blksize = 1228"}, "192.168.0.4 69 7 ports=49152-49999 blksize=1228"},
		{"the smallest of all", map[string]string{"main.conf": "[tftp]\nport = 0\nmax-transfers = 1\nports = 1-1\nmax-blksize = 8"}, ":: 0 1 ports=1-1 blksize=8"},
		{"the largest of all", map[string]string{"main.conf": "[tftp]\nport = 65535\nports = 65535-65535\nmax-blksize = 65465"}, ":: 65535 1000 ports=65535-65535 blksize=65465"},
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
			"conf.d/b.conf":   "[board:1]\nimage=rel\n",
			"conf.d/a.conf":   "[board:1]\nimage=/a\npartition=3\n[board:2]\nimage=../c",
			"conf.d/c.txt":    "[nonsense",
			"conf.d/.d.conf":  "[nonsense",
			"conf.d/e.conf/x": "",
		}, ":: 1 1000; 00000001 DIR/conf.d/rel 3 fe80::1; 00000002 DIR/conf.d/../c -1"},
		{"default", map[string]string{"main.conf": "[board:default]\nimage=/d\n[board:ffffffff]\nimage=/f\n[board:default]\npartition=2\nuncached=yes"},
			":: 69 1000; ffffffff /f -1; default /d 2 uncached=1"},
		{"uncached", map[string]string{"main.conf": "[board:1]\nimage=/a\nuncached=auto\n[board:2]\nimage=/a\nuncached=Yes\n[board:3]\nimage=/a\nuncached=no"},
			":: 69 1000; 00000001 /a -1; 00000002 /a -1 uncached=1; 00000003 /a -1 uncached=2"},
		{"prefix", map[string]string{"main.conf": "[board:1]\nimage=/a\nprefix = DC-A6-32-01-02-03, lab/Pi//one/ ,x\ty,,x\n[board:2]\nimage=/a\nprefix=dc:a6:32:01:02:04 dc:a6"},
			`:: 69 1000; 00000001 /a -1 ["dc-a6-32-01-02-03" "lab/pi/one" "x" "y"]; 00000002 /a -1 ["dc-a6-32-01-02-04" "dc:a6"]`},
		{"a prefix replaces an earlier one, which claims nothing then", map[string]string{
			"main.conf": "[board:1]\nimage=/a\nprefix=x y\n[board:2]\nimage=/b\nprefix=x\n[board:1]\nprefix=z"},
			`:: 69 1000; 00000001 /a -1 ["z"]; 00000002 /b -1 ["x"]`},
		{"a prefix that is another's serial number, or longer", map[string]string{
			"main.conf": "[board:1]\nimage=/a\nprefix=00000002 lab\n[board:2]\nimage=/b\nprefix=lab/b"},
			`:: 69 1000; 00000001 /a -1 ["00000002" "lab"]; 00000002 /b -1 ["lab/b"]`},
		{"a serial number, whole and cut", map[string]string{
			"main.conf": "[board:1000000089025d75]\nimage=/a\n[board:89025d75]\nimage=/b\n[board:0000000089025d75]\npartition=1\n[board:1000000089025D75]\nimage=/c"},
			":: 69 1000; 89025d75 /c 1"},
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
			if len(c.Mistakes) > 0 || len(c.LeftOut) > 0 || len(c.Warnings) > 0 {
				t.Errorf("mistakes %v, left out %v, warnings %q", c.Mistakes, c.LeftOut, c.Warnings)
			}
		})
	}
}

// TestKeys: the keys that a mistake is told to choose from are all of them, and known.
func TestKeys(t *testing.T) {
	for section, keys := range map[string]string{"tftp": tftpKeys, "board:7": boardKeys, "board:default": defaultKeys} {
		for _, key := range strings.Fields(strings.NewReplacer(",", "", " and ", " ").Replace(keys)) {
			dir := write(t, map[string]string{"f": "[" + section + "]\n" + key + " = 8\n"})
			c, _ := Load(filepath.Join(dir, "f"))
			if got := mistakes(c, dir); strings.Contains(got, "unknown key") {
				t.Error(got)
			}
		}
	}
}

// TestMistakes: what each of them costs, and what it says. The board 8 is right.
func TestMistakes(t *testing.T) {
	const noSerial = `is no serial number (1 to 16 hexadecimal digits)`
	for _, tt := range []struct {
		text string // of the main file
		want string
	}{
		{"[tftp]\n\nlisen = ::\n", `all: f:3: unknown key "lisen" in [tftp] (there are listen, port, ports, includedir, max-transfers and max-blksize)`},
		{"[TFTP]\nport = 69", `all: f:1: unknown section [TFTP] (there are [tftp], [board:SERIAL] and [board:default])`},
		{"[nbd]\nx\ny = z\n[tftp]\nport = x\n", "all: f:1: unknown section [nbd] (there are [tftp], [board:SERIAL] and [board:default])\nall: f:5: port: \"x\" is neither a port number nor a service"},
		{"[tftp\nx\n", `all: f:1: no ] at the end of "[tftp"`},
		{"[]\n", `all: f:1: unknown section [] (there are [tftp], [board:SERIAL] and [board:default])`},
		{"[tftp]\nlisten\n", `all: f:2: "listen" is no key = value`},
		{"port = 69\n", `all: f:1: "port = 69" stands before the first section`},
		{"[tftp]\nlisten = eth0\n", `all: f:2: listen: "eth0" is neither an IP address nor stdin nor systemd`},
		{"[tftp]\nlisten =\n", `all: f:2: listen: "" is neither an IP address nor stdin nor systemd`},
		{"[tftp]\nport = 65536\n", `all: f:2: port: "65536" is not a port from 0 to 65535`},
		{"[tftp]\nport = -1\n", `all: f:2: port: "-1" is neither a port number nor a service`},
		{"[tftp]\nport =\n", `all: f:2: port: "" is neither a port number nor a service`},
		{"[tftp]\nmax-transfers = 0\n", `all: f:2: max-transfers: "0" is not a number from 1 to 1048576`},
		{"[tftp]\nmax-blksize = 7\n", `all: f:2: max-blksize: "7" is not a number from 8 to 1048576`},
		{"[tftp]\nmax-blksize = 1k\n", `all: f:2: max-blksize: "1k" is not a number from 8 to 1048576`},
		{"[tftp]\nports = 1000\n", `all: f:2: ports: "1000" is not LOW-HIGH, two ports from 1 to 65535`},
		{"[tftp]\nports = 2-1\n", `all: f:2: ports: "2-1" is not LOW-HIGH, two ports from 1 to 65535`},
		{"[tftp]\nports = 0-65535\n", `all: f:2: ports: "0-65535" is not LOW-HIGH, two ports from 1 to 65535`},
		{"[tftp]\nports = 1-65536\n", `all: f:2: ports: "1-65536" is not LOW-HIGH, two ports from 1 to 65535`},
		{"[tftp]\nincludedir =\n", `all: f:2: includedir: no value`},
		{"[tftp]\nincludedir = /dev/null\n", `all: f:2: includedir: open /dev/null: not a directory`},
		{"[tftp]\nport = " + strings.Repeat("1", 70000), `all: f:2: line too long`},
		{strings.Repeat("1", 70000), `all: f:1: line too long`},

		{"[board:]\nimage = x\n", `section: f:1: [board:]: "" ` + noSerial},
		{"[board:0x1]\nimage = x\n", `section: f:1: [board:0x1]: "0x1" ` + noSerial},
		{"[board:Default]\nimage = x\n", `section: f:1: [board:Default]: "Default" ` + noSerial},
		{"[board:12345678123456781]\n", `section: f:1: [board:12345678123456781]: "12345678123456781" ` + noSerial},

		{"[board:1\nimage = x\n", `00000001: f:1: no ] at the end of "[board:1"`},
		{"[board:1] x\nimage = x\n", `00000001: f:1: no ] at the end of "[board:1] x"`},
		{"[board:1]\nimage = x\nlisten = ::\n", `00000001: f:3: unknown key "listen" in [board:1] (there are image, partition, ip, prefix and uncached)`},
		{"[board:1]\nimage = x\nlisten\n", `00000001: f:3: "listen" is no key = value`},
		{"[board:1]\nimage = x\nip=" + strings.Repeat("1", 70000), `00000001: f:3: line too long`},
		{"[board:1]\nimage =\n", "00000001: f:2: image: no value"},
		{"[board:1]\nimage = ~no-such-user/x\n", "00000001: f:2: image: \"~no-such-user/x\": no user no-such-user"},
		{"[board:1]\nimage = x\npartition = 1000\n", `00000001: f:3: partition: "1000" is not a partition number from 0 to 999`},
		{"[board:1]\nimage = x\npartition = boot\n", `00000001: f:3: partition: "boot" is not a partition number from 0 to 999`},
		{"[board:1]\nimage = x\nip = 1.2.3\n", `00000001: f:3: ip: "1.2.3" is not an IP address`},
		{"[board:1]\nimage = x\nuncached = maybe\n", `00000001: f:3: uncached: "maybe" is not auto, yes or no`},
		{"[board:1]\nimage = x\nprefix = , \n", `00000001: f:3: prefix: no value`},
		{"[board:1]\nimage = x\nprefix = a /\n", `00000001: f:3: prefix: "/" is no beginning of a path`},
		{"[board:1]\nimage = x\nprefix = a/../b\n", `00000001: f:3: prefix: "a/../b" is no beginning of a path`},
		{"[board:1]\nimage = x\n[board:1]\nip = 1\n[board:1]\nip = 1.1.1.1\n", `00000001: f:4: ip: "1" is not an IP address`},
		{"[board:2]\nip = ::1\n[board:1]\nip = ::1\n\n[board:2]\n", "00000001: f:3: board 00000001 has no image: add image = PATH to its section\n00000002: f:6: board 00000002 has no image: add image = PATH to its section"},
		{"[board:default]\nimage = x\nip = ::1\nprefix = a\n", "default: f:3: unknown key \"ip\" in [board:default] (there are image, partition and uncached)\ndefault: f:4: unknown key \"prefix\" in [board:default] (there are image, partition and uncached)"},
		{"[board:default]\n", "default: f:1: board default has no image: add image = PATH to its section"},
		{"[board:1000000000000001]\nimage=/a\n[board:1]\nimage=/b\n[board:2000000000000001]\nimage=/c\n",
			"00000001: f:5: [board:2000000000000001]: 2000000000000001 and 1000000000000001 are both board 00000001 to a bootloader"},

		// A word belongs to the line that is read first, but to none of a board that is left out.
		{"[board:2]\nimage=/b\nprefix=x z\n[board:1]\nimage=/a\nprefix=y X\n", `00000001: f:6: prefix: "x" is already that of board 00000002`},
		{"[board:2]\nimage=/b\nprefix=x\nport=1\n[board:1]\nprefix=x\nimage=/a\n", `00000002: f:4: unknown key "port" in [board:2] (there are image, partition, ip, prefix and uncached)`},
		{"[board:1]\nimage=/a\nprefix=x\n[board:2]\nport=1\nimage=/b\nprefix=x\n", "00000002: f:5: unknown key \"port\" in [board:2] (there are image, partition, ip, prefix and uncached)\n" +
			`00000002: f:7: prefix: "x" is already that of board 00000001`},
		{"[board:1]\nimage=/a\nprefix=x\n[board:2]\nimage=/b\nprefix=x y\n[board:3]\nimage=/c\nprefix=y\n", `00000002: f:6: prefix: "x" is already that of board 00000001`},
	} {
		dir := write(t, map[string]string{"f": tt.text + "\n[board:8]\nimage=/8\nprefix=8\n"})
		c, err := Load(filepath.Join(dir, "f"))
		if got := mistakes(c, dir); got != tt.want {
			t.Errorf("%.60q:\ngot\n%s\nwant\n%s", tt.text, got, tt.want)
		}
		if all := strings.HasPrefix(tt.want, "all"); all != (err != nil) {
			t.Errorf("%.60q: error %v", tt.text, err)
		} else if all && strings.ReplaceAll(err.Error(), dir+"/", "") != strings.ReplaceAll(tt.want, "all: ", "") {
			t.Errorf("%.60q: error\n%v", tt.text, err)
		}
		if c.Boards[8].Image != "/8" {
			t.Errorf("%.60q: board 8 is not as it was written: %+v", tt.text, c.Boards)
		}
		for _, m := range c.Mistakes {
			if _, there := c.Boards[m.Board]; m.Scope == OneBoard && (there || !c.LeftOut[m.Board]) {
				t.Errorf("%.60q: board %s is not left out", tt.text, m.Board)
			}
		}
	}
}

// TestMistakesInIncludedFiles: they never concern everything.
func TestMistakesInIncludedFiles(t *testing.T) {
	for _, tt := range []struct {
		text string // of the included file
		want string
	}{
		{"[tftp]\nport = 1\nincludedir = e", `section: d/f.conf:1: [tftp] in a file that is included; its place is the main file`},
		{"[nbd]\nx = y\n", `section: d/f.conf:1: unknown section [nbd] (there are [tftp], [board:SERIAL] and [board:default])`},
		{"[tftp\n", `section: d/f.conf:1: no ] at the end of "[tftp"`},
		{"x = y\n", `section: d/f.conf:1: "x = y" stands before the first section`},
		{"x\n", `section: d/f.conf:1: "x" is no key = value`},
		{strings.Repeat("1", 70000), `section: d/f.conf:1: line too long`},
		{"[board:x]\nport = y\n", `section: d/f.conf:1: [board:x]: "x" is no serial number (1 to 16 hexadecimal digits)`},
		{"[board:1]\npartition = y\n", `00000001: d/f.conf:2: partition: "y" is not a partition number from 0 to 999`},
		{"[board:1\n", `00000001: d/f.conf:1: no ] at the end of "[board:1"`},
		{"[board:8]\nport = y\n[board:7]\nimage=/7", `00000008: d/f.conf:2: unknown key "port" in [board:8] (there are image, partition, ip, prefix and uncached)`},
	} {
		dir := write(t, map[string]string{
			"main.conf": "[tftp]\nport = 7\nincludedir = d\n[board:1]\nimage=/1\n[board:8]\nimage=/8\n",
			"d/f.conf":  tt.text,
			"d/g.conf":  "[board:7]\nimage=/7",
		})
		c, err := Load(filepath.Join(dir, "main.conf"))
		if got := mistakes(c, dir); got != tt.want || err != nil {
			t.Errorf("%.60q: error %v, got\n%s\nwant\n%s", tt.text, err, got, tt.want)
		}
		if c.Port != 7 || c.Boards[7].Image != "/7" || c.Boards[1].Image != "/1" && !c.LeftOut[1] {
			t.Errorf("%.60q: the rest is %s", tt.text, show(c, dir))
		}
	}
}

func TestLoadFilesThatCannotBeRead(t *testing.T) {
	dir := write(t, map[string]string{
		"main.conf":   "[tftp]\nincludedir=d\n",
		"d/good.conf": "[board:1]\nimage=/1\n",
	})
	if err := os.Symlink("nowhere", filepath.Join(dir, "d/a.conf")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/", filepath.Join(dir, "d/b.conf")); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "d/c.conf")
	if err := os.WriteFile(large, []byte("[board:2]\nimage=/2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxFile+1); err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "main.conf"))
	want := "section: d/a.conf: no such file or directory\nsection: d/b.conf: is a directory\nsection: d/c.conf: larger than 16777216 bytes"
	if got := mistakes(c, dir); got != want || err != nil {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, got, want)
	}
	if got, want := show(c, dir), ":: 69 1000; 00000001 /1 -1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	_, err = Load(filepath.Join(dir, "none"))
	if want := dir + "/none: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("--config of no file: %v, want %s", err, want)
	}
}

func TestUsualFileNames(t *testing.T) {
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
		var got []string
		for i, f := range usualFiles(func(k string) string { return tt.env[k] }) {
			got = append(got, f.path)
			if f.own != (i == 2) {
				t.Errorf("%s: own is %v", f.path, f.own)
			}
		}
		if !slices.Equal(got, want) {
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
	if want := []string{dir + "/nobodd/nobodd.conf"}; !slices.Equal(c.Files, want) {
		t.Errorf("files %q, want %q", c.Files, want)
	}

	other := write(t, map[string]string{"f": "[board:2]\nimage = /y\n"})
	c, err = Load(other + "/f") // that one alone
	if got, want := show(c, other), ":: 69 1000; 00000002 /y -1"; err != nil || got != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}

// TestOrderOfUsualFiles: the later one wins, and one that is not there is none.
func TestOrderOfUsualFiles(t *testing.T) {
	dir := write(t, map[string]string{"a": "[tftp]\nport=1\n[board:1]\nimage=/a\nip=::1", "b": "[tftp]\nport=2\n[board:1]\nimage=/b"})
	l := &loader{drafts: map[Serial]*draft{}}
	l.readUsual([]usualFile{{path: dir + "/a"}, {path: dir + "/none"}, {path: dir + "/a/below"}, {path: dir + "/b"}})
	l.finish()
	if got, want := show(&l.cfg, dir), " 2 0; 00000001 /b -1 ::1"; got != want || len(l.cfg.Mistakes) > 0 {
		t.Errorf("got  %s, %v\nwant %s", got, l.cfg.Mistakes, want)
	}
}

// TestOwnFileThatMayNotBeRead: a daemon that runs as another user passes over it, but not over another file.
func TestOwnFileThatMayNotBeRead(t *testing.T) {
	if os.Getuid() == 0 {
		asNobody(t)
		return
	}
	dir := write(t, map[string]string{"f": "[board:1]\nimage=/a"})
	file := filepath.Join(dir, "f")
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	for _, own := range []bool{true, false} {
		l := &loader{drafts: map[Serial]*draft{}}
		l.readUsual([]usualFile{{file, own}})
		warning := strings.Join(l.cfg.Warnings, "")
		if want := file + ": permission denied; passed over"; own && (warning != want || l.err() != nil) {
			t.Errorf("warning %q, error %v, want %q", warning, l.err(), want)
		}
		if want := file + ": permission denied"; !own && (warning != "" || l.err() == nil || l.err().Error() != want) {
			t.Errorf("warning %q, error %v, want %q", warning, l.err(), want)
		}
	}
}

// asNobody runs the test again in a process without root's rights.
func asNobody(t *testing.T) {
	t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "config")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "test")
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
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
		if err == nil && got >= Default {
			t.Errorf("ParseSerial(%q) = %d", tt.in, got)
		}
		if err == nil && got.String() != tt.want || err != nil && tt.want != "" {
			t.Errorf("ParseSerial(%q) = %s, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func TestIsMAC(t *testing.T) {
	for in, want := range map[string]bool{
		"dc-a6-32-01-02-03": true, "DC-A6-32-01-02-03": true,
		"dc:a6:32:01:02:03": false, "dca6.3201.0203": false, "dc-a6-32-01-02": false, "dc-a6-32-01-02-0g": false,
		"dc-a6-32-01-02-03-04-05": false, "dca632010203": false, "": false,
	} {
		if got := IsMAC(in); got != want {
			t.Errorf("IsMAC(%q) = %v", in, got)
		}
	}
}

func TestParseBoards(t *testing.T) {
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
		{in: "89025d75,/a.img", want: Board{Serial: 0x89025d75, Image: "/a.img", Partition: addr.Boot}},
		{in: "1000000089025D75,a.img,2", want: Board{Serial: 0x89025d75, Image: cwd + "/a.img", Partition: 2, whole: 0x1000000089025d75}},
		{in: "1,/a,0,192.168.0.5", want: Board{Serial: 1, Image: "/a", IP: ip}},
		{in: "1,/a,,::ffff:192.168.0.5", want: Board{Serial: 1, Image: "/a", Partition: addr.Boot, IP: ip}},
		{in: "1,~" + me.Username + "/a,", want: Board{Serial: 1, Image: filepath.Join(me.HomeDir, "a"), Partition: addr.Boot}},
		{in: "1", wantErr: `"1" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "", wantErr: `"" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "1,a,1,::1,x", wantErr: `"1,a,1,::1,x" is not SERIAL,IMAGE[,PART[,IP]]`},
		{in: "x,a", wantErr: `"x" is no serial number (1 to 16 hexadecimal digits)`},
		{in: "default,a", wantErr: `"default" is no serial number (1 to 16 hexadecimal digits)`},
		{in: "1,", wantErr: `"1,": image: no value`},
		{in: "1,a,b", wantErr: `"1,a,b": partition: "b" is not a partition number from 0 to 999`},
		{in: "1,a,1,b", wantErr: `"1,a,1,b": ip: "b" is not an IP address`},
	} {
		list, err := ParseBoards([]string{tt.in})
		if tt.wantErr != "" {
			if err == nil || err.Error() != tt.wantErr {
				t.Errorf("ParseBoards(%q) = %v, want %s", tt.in, err, tt.wantErr)
			}
		} else if err != nil || !reflect.DeepEqual(list, []Board{tt.want}) {
			t.Errorf("ParseBoards(%q) = %+v, %v, want %+v", tt.in, list, err, tt.want)
		}
	}
	_, err = ParseBoards([]string{"1000000000000001,/a", "1,/b", "2000000000000001,/a"})
	if want := "1000000000000001 and 2000000000000001 are both board 00000001 to a bootloader"; err == nil || err.Error() != want {
		t.Errorf("two serial numbers of one board: %v, want %s", err, want)
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
			boards, err := ParseBoards(tt.boards)
			if err != nil {
				t.Fatal(err)
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

// TestBoardsWithMistakes: --board does not bring back a board that a mistake keeps out.
func TestBoardsWithMistakes(t *testing.T) {
	dir := write(t, map[string]string{"f": "[board:1]\nimage=/a\nip=192.168.0.\n[board:1000000000000002]\nimage=/a\n"})
	boards, err := ParseBoards([]string{"1,/a,1,192.168.0.5", "2000000000000002,/b", "3,/c"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Load(filepath.Join(dir, "f"), boards...)
	want := "00000001: f:3: ip: \"192.168.0.\" is not an IP address\n" +
		"00000002: --board: 2000000000000002 and 1000000000000002 are both board 00000002 to a bootloader"
	if got := mistakes(c, dir); got != want || err != nil {
		t.Errorf("error %v, got\n%s\nwant\n%s", err, got, want)
	}
	if got, want := show(c, dir), ":: 69 1000; 00000003 /c -1"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestKeep: a board with a mistake stays as it was, whole, but for words that are another's now.
func TestKeep(t *testing.T) {
	dir := write(t, map[string]string{
		"old": "[board:1]\nimage=/a\nip=::1\nprefix=x y\n[board:2]\nimage=/b\n[board:3]\nimage=/c\n[board:default]\nimage=/d",
		"new": "[board:1]\nimage=/new\nip=:\n[board:2]\nimage=/new\nprefix=y\n[board:4]\n[board:default]\nip=::1",
	})
	old, err := Load(dir + "/old")
	if err != nil {
		t.Fatal(err)
	}
	before := show(old, dir)
	c, err := Load(dir + "/new")
	if err != nil {
		t.Fatal(err)
	}
	c.Keep(old)
	want := `:: 69 1000; 00000001 /a -1 ::1 ["x"]; 00000002 /new -1 ["y"]; default /d -1`
	if got := show(c, dir); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := show(old, dir); got != before {
		t.Errorf("the old one became %s", got)
	}
}

// TestSample: what the sample configuration says in comments is right, and it and the manual page know every key.
func TestSample(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	sample := regexp.MustCompile(`(?m)^#(\[|[a-z-]+ = )`).ReplaceAllString(read("scripts/nobodd.conf"), "$1")
	dir := write(t, map[string]string{"nobodd.conf": sample})
	c, err := Load(filepath.Join(dir, "nobodd.conf"))
	want := `:: 69 1000 ports=49152-49999 blksize=1228; 89025d75 /srv/images/jammy.img 1 192.168.0.5 ["dc-a6-32-01-02-03"]; default /srv/images/installer.img -1`
	if got := show(c, dir); err != nil || len(c.Mistakes) > 0 || got != want {
		t.Errorf("%v, mistakes %v\ngot  %s\nwant %s", err, c.Mistakes, got, want)
	}
	page := read("man/nobodd.conf.5")
	for _, key := range strings.Fields("listen port ports includedir max-transfers max-blksize image partition ip prefix uncached") {
		if !strings.Contains(page, "\n.It Cm "+key+"\n") {
			t.Errorf("the manual page does not describe %s", key)
		}
		if !strings.Contains(sample, "\n"+key+" = ") {
			t.Errorf("the sample has no %s", key)
		}
	}
}

func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"[tftp]\nlisten = ::\nport = 69\nincludedir = x\nmax-transfers = 5\nports = 1-2\nmax-blksize = 1468\n",
		"[board:1000000089025d75]\nimage = ~/jammy.img\npartition = 1\nip = 192.168.0.5\nprefix = dc-a6-32-01-02-03 lab/a\n[board:default]\nimage = x\nuncached = yes",
		"\ufeff; c\n[board:1]\nimage: a\nprefix:x\n[board:2]\nimage=b\nprefix=x\n[board:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := Load(file)
		if err != nil && len(c.Mistakes) == 0 {
			t.Fatalf("no mistakes, but the error %v", err)
		}
		words := map[string]bool{}
		for serial, b := range c.Boards {
			if b.Serial != serial || serial > Default || !filepath.IsAbs(b.Image) || b.Partition < addr.Boot || b.Partition > addr.MaxPart || b.IP.Is4In6() || c.LeftOut[serial] {
				t.Errorf("board %s: %+v", serial, b)
			}
			for _, word := range b.Prefix {
				if word == "" || words[word] || strings.Trim(word, "/") != word || word != strings.ToLower(word) {
					t.Errorf("board %s: the word %q", serial, word)
				}
				words[word] = true
			}
		}
		for _, m := range c.Mistakes {
			if strings.Contains(m.Text, "\n") || !strings.HasPrefix(m.Error(), file) || m.Scope == Everything && err == nil || m.Scope == OneBoard && !c.LeftOut[m.Board] {
				t.Errorf("the mistake %q of scope %d, error %v", m.Error(), m.Scope, err)
			}
		}
	})
}
