// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/addr"
	"nobodd/internal/config"
	"nobodd/internal/testimg"
)

// TestCheck: a line for each board that can be served, an error for each that cannot.
func TestCheck(t *testing.T) {
	path, _ := ubuntu(t)
	bare := testimg.FixtureFile(t, "fat16")
	cfg := board(path)
	cfg.Boards[1] = config.Board{Serial: 1, Image: bare, Partition: addr.Boot, IP: netip.MustParseAddr("192.168.0.5")}
	cfg.Boards[2] = config.Board{Serial: 2, Image: "/nonesuch.img"}
	cfg.Boards[3] = config.Board{Serial: 3, Image: path, Partition: 7}
	cfg.Boards[4] = config.Board{Serial: 4, Image: path, Partition: 2}
	cfg.Boards[config.Default] = config.Board{Serial: config.Default, Image: bare}
	var out strings.Builder
	err := Check(&out, cfg, func(string) {})
	wantOut := regexp.MustCompile(`^00000001: \Q` + bare + `\E:0: [0-9.]+MiB fat16 for 192\.168\.0\.5 only
89025d75: \Q` + path + `\E:1: [0-9.]+MiB fat32
default: \Q` + bare + `\E:0: [0-9.]+MiB fat16
$`)
	if !wantOut.MatchString(out.String()) {
		t.Errorf("printed\n%s", out.String())
	}
	want := "board 00000002: /nonesuch.img: no such image\n" +
		"board 00000003: " + path + ": no partition 7 (the image has 1, 2)\n" +
		"board 00000004: " + path + ": partition 2 holds no FAT file system, but ext4 (FAT is in partition 1)"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// TestCheckAsRoot: it warns of images that the user of the service cannot read, whatever the reason.
func TestCheckAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	defer func(was string) { serviceName = was }(serviceName)
	dir, err := os.MkdirTemp("", "bootd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	modes := map[string]os.FileMode{".": 0o755, "closed": 0o700, "open": 0o755}
	for _, folder := range []string{"closed", "open"} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		for name, mode := range map[string]os.FileMode{"all.img": 0o644, "root.img": 0o600} {
			name = filepath.Join(folder, name)
			modes[name] = mode
			if err := testimg.Unpack("fat12", filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg := &config.Config{Boards: map[config.Serial]config.Board{}}
	for i, name := range []string{"open/all.img", "open/root.img", "closed/all.img"} {
		serial := config.Serial(i)
		cfg.Boards[serial] = config.Board{Serial: serial, Image: filepath.Join(dir, name), Partition: addr.Boot}
	}
	for name, mode := range modes {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string][]string{
		"nobody": {"board 00000001: " + dir + "/open/root.img: user nobody cannot read it", "board 00000002: " + dir + "/closed/all.img: user nobody cannot read it"},
		"root":   nil,
		"no-one": nil,
	} {
		serviceName = name
		var got []string
		if err := Check(&strings.Builder{}, cfg, func(text string) { got = append(got, text) }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
