// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nobodd/internal/addr"
	"nobodd/internal/config"
	"nobodd/internal/fatcheck"
	"nobodd/internal/image"
	"nobodd/internal/testimg"
)

// ubuntu unpacks the image that looks like Ubuntu's and returns its boot partition's files.
func ubuntu(t testing.TB) (path string, tree map[string][]byte) {
	t.Helper()
	path = testimg.FixtureFile(t, "ubuntu")
	im, err := image.Open(path, image.Read, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	parts, err := im.Partitions()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := parts[0]
	tree, err = fatcheck.ReadTree(io.NewSectionReader(f, p.Start*im.SectorSize(), p.Size), p.Size)
	if err != nil {
		t.Fatal(err)
	}
	return path, tree
}

// TestBootSequences: each board finds what is there, in its way of asking.
func TestBootSequences(t *testing.T) {
	path, tree := ubuntu(t)
	d := start(t, board(path))
	for _, tt := range []struct {
		pi      string
		options []string
		// a name alone is read, ?NAME is probed first, -NAME is not there
		asks string
	}{
		{"Pi 3", nil, "-bootcode.bin"},
		{"Pi 3", []string{"tsize 0"}, "-start.elf -autoboot.txt config.txt -recovery.elf -start.elf -fixup.dat config.txt -dt-blob.bin " +
			"-bootcfg.txt -bcm2710-rpi-3-b.dtb cmdline.txt -kernel8.img -kernel7.img"},
		{"Pi 4", []string{"tsize 0", "blksize 1024"}, "?start4.elf config.txt -vl805.sig -pieeprom.sig -recover4.elf -recovery.elf " +
			"start4.elf fixup4.dat ?config.txt ?config.txt initrd.img bcm2711-rpi-4-b.dtb overlays/overlay_map.dtb cmdline.txt vmlinuz"},
		{"Pi 5", []string{"tsize 0", "blksize 1468"}, "config.txt initrd.img -bcm2712-rpi-5-b.dtb overlays/overlay_map.dtb config.txt cmdline.txt -kernel_2712.img vmlinuz"},
	} {
		for _, ask := range strings.Fields(tt.asks) {
			name := strings.TrimLeft(ask, "?-")
			data, there := tree[name]
			if there == (ask[0] == '-') {
				t.Fatalf("%s in the image: %v", name, there)
			}
			fetch(t, d, tt.pi, ask, name, data, tt.options)
		}
	}
}

func fetch(t *testing.T, d *testServer, pi, ask, name string, data []byte, options []string) {
	t.Helper()
	oack, blksize := "OACK", 512
	for _, o := range options {
		fmt.Sscanf(o, "blksize %d", &blksize)
	}
	if blksize != 512 {
		oack += fmt.Sprintf(" blksize=%d,tsize=%d", blksize, len(data))
	} else {
		oack += fmt.Sprintf(" tsize=%d", len(data))
	}
	for range strings.Count(ask, "?") {
		c := d.client(t)
		c.request(name, "octet", options...)
		c.want(oack)
		c.reply(opError, 0, "Early terminate\x00")
	}
	c := d.client(t)
	c.request(name, "octet", options...)
	if ask[0] == '-' {
		c.want("ERROR 1 file not found")
		return
	}
	if len(options) > 0 {
		c.want(oack)
		c.ack(0)
	}
	if got, err := c.finish(blksize); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%s: %s: got %d bytes of %d, %v", pi, name, len(got), len(data), err)
	}
}

// TestNames: a file is found by any case and any spelling of its path, and nothing outside.
func TestNames(t *testing.T) {
	path, tree := ubuntu(t)
	secret := filepath.Join(filepath.Dir(path), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o666); err != nil {
		t.Fatal(err)
	}
	d := start(t, board(path))
	config := tree["config.txt"]
	for _, tt := range []struct {
		name string
		want []byte // nil for not found
	}{
		{"89025d75/config.txt", config},
		{"/89025D75//CONFIG.TXT", config},
		{"1000000089025d75/Config.txt", config},
		{"0000000089025d75/overlays/../config.txt", config},
		{"89025d75/../../config.txt", config},
		{"89025d75/overlays/overlay_map.dtb", tree["overlays/overlay_map.dtb"]},
		{"89025d75/OVERLA~1/x", nil},
		{"89025d75/config.txt/x", nil},
		{"89025d75/no/config.txt", nil},
		{"89025d75/../secret", nil},
		{"89025d75/" + secret, nil},
		{"89025d75/../../../../../../../../etc/passwd", nil},
		{"89025d75/..\\secret", nil},
		{"89025d75/overlays\\overlay_map.dtb", nil},
		{"89025d75/config.txt\xff", nil},
		{"89025d75/" + strings.Repeat("x/", 900) + "y", nil},
		{"89025d75/" + strings.Repeat("x", 1900), nil},
		{"9025d75/config.txt", nil},
		{"config.txt", nil},
		{secret, nil},
	} {
		c := d.client(t)
		c.send(c.server, rrq(tt.name, "octet"))
		got, err := c.finish(512)
		switch {
		case tt.want == nil && (err == nil || err.Error() != "ERROR 1 file not found"):
			t.Errorf("%.60s: got %d bytes, %v, want not found", tt.name, len(got), err)
		case tt.want != nil && (err != nil || !bytes.Equal(got, tt.want)):
			t.Errorf("%.60s: got %d bytes, %v", tt.name, len(got), err)
		}
	}
	c := d.client(t)
	c.send(c.server, rrq("89025d75/overlays", "octet"))
	c.want("ERROR 2 not a file")
}

// TestCoherent: what is written into the image is served at the next request, and so is
// another image of its name; between requests the image is not even open.
func TestCoherent(t *testing.T) {
	testimg.NeedPeer(t, "mcopy", "mdel")
	path, _ := ubuntu(t)
	d := start(t, board(path))
	offset := fmt.Sprintf("%s@@%d", path, bootOffset(t, path))
	for n := range 5 {
		want := noise(1000 + n*70000)
		file := filepath.Join(t.TempDir(), "new.bin")
		if err := os.WriteFile(file, want, 0o666); err != nil {
			t.Fatal(err)
		}
		run(t, "mcopy", "-o", "-i", offset, file, "::/new.bin")
		if got, err := d.client(t).get("new.bin"); err != nil || !bytes.Equal(got, want) {
			t.Errorf("version %d: got %d bytes of %d, %v", n, len(got), len(want), err)
		}
		waitIdle(t, d)
		if isOpen(t, path) {
			t.Fatal("the image is open between requests")
		}
	}
	run(t, "mdel", "-i", offset, "::/new.bin")
	if _, err := d.client(t).get("new.bin"); err == nil || err.Error() != "ERROR 1 file not found" {
		t.Errorf("removed: %v", err)
	}

	other := testimg.FixtureFile(t, "fat16")
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client(t).get("README.TXT"); err != nil {
		t.Errorf("from the image that replaced it: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := d.client(t).get("README.TXT"); err == nil || err.Error() != "ERROR 0 cannot read file" {
		t.Errorf("from an image that vanished: %v", err)
	}
	d.log.wait(t, 1, "error: 89025d75: README.TXT after 0B in 0.0s: "+path+": no such image client=")
}

func bootOffset(t *testing.T, path string) int64 {
	t.Helper()
	im, err := image.Open(path, image.Unlocked, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	parts, err := im.Partitions()
	if err != nil {
		t.Fatal(err)
	}
	return parts[0].Start * im.SectorSize()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MTOOLS_SKIP_CHECK=1", "MTOOLSRC=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// isOpen reports whether this process has a descriptor of the file.
func isOpen(t *testing.T, path string) bool {
	t.Helper()
	for _, fd := range descriptors(t) {
		if to, err := os.Readlink(fd); err == nil && to == path {
			return true
		}
	}
	return false
}

func descriptors(t *testing.T) []string {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// TestFaults: an image that changes under a transfer ends that transfer at most.
func TestFaults(t *testing.T) {
	path, tree := ubuntu(t)
	other, _ := ubuntu(t)
	cfg := board(path)
	cfg.Boards[2] = config.Board{Serial: 2, Image: other, Partition: 1}
	d := start(t, cfg)
	want := tree["initrd.img"]

	begin := func() *client {
		c := d.client(t)
		c.request("initrd.img", "octet", "tsize 0", "blksize 1468")
		c.want(fmt.Sprintf("OACK blksize=1468,tsize=%d", len(want)))
		c.ack(0)
		c.want("DATA 1 of 1468 bytes")
		return c
	}
	healthy := func() {
		t.Helper()
		c := d.client(t)
		c.send(c.server, rrq("2/initrd.img", "octet"))
		if got, err := c.finish(512); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the other board got %d bytes, %v", len(got), err)
		}
	}

	c := begin() // the old image, which is still whole
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := testimg.Unpack("fat16", path); err != nil {
		t.Fatal(err)
	}
	c.ack(1)
	got, err := c.finish1(2, 1468)
	if err != nil || !bytes.Equal(got, want[1468:]) {
		t.Errorf("replaced: got %d bytes, %v", len(got), err)
	}
	if err := os.Rename(path+".old", path); err != nil {
		t.Fatal(err)
	}

	c = begin()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	c.ack(1)
	if _, err := c.finish1(2, 1468); err == nil || err.Error() != "ERROR 0 cannot read file" {
		t.Errorf("truncated: %v", err)
	}
	d.log.wait(t, 1, "error: 89025d75: initrd.img after ")
	healthy()
	if _, err := d.client(t).get("config.txt"); err == nil || err.Error() != "ERROR 0 cannot read file" {
		t.Errorf("from a truncated image: %v", err)
	}
	healthy()
	waitIdle(t, d)
	if isOpen(t, path) {
		t.Error("the image is still open")
	}
}

// finish1 is finish from another block.
func (c *client) finish1(from uint16, blksize int) ([]byte, error) {
	c.Helper()
	var data []byte
	for want := from; ; want++ {
		p := c.receive()
		for p.op == opData && p.arg == want-1 { // again, since this client is slow
			p = c.receive()
		}
		if p.op == opError {
			return data, fmt.Errorf("%v", p)
		}
		if p.op != opData || p.arg != want {
			c.Fatalf("received %v, want DATA %d", p, want)
		}
		data = append(data, p.data...)
		c.ack(want)
		if len(p.data) < blksize {
			return data, nil
		}
	}
}

// TestDamage: found before the OACK, told to the log alone, and no harm to other files.
func TestDamage(t *testing.T) {
	img := testimg.Fixture(t, "fat16")
	at := bytes.Index(img, []byte("CONFIG  TXT"))
	if at < 0 {
		t.Fatal("no config.txt in the image")
	}
	binary.LittleEndian.PutUint32(img[at+28:], 100000) // its size
	path := filepath.Join(t.TempDir(), "damaged.img")
	if err := testimg.WriteSparse(path, img); err != nil {
		t.Fatal(err)
	}
	d := start(t, board(path))
	if _, err := d.client(t).get("config.txt"); err == nil || err.Error() != "ERROR 0 cannot read file" {
		t.Errorf("a file whose chain is too short: %v", err)
	}
	line := d.log.wait(t, 1, "outcome=failed")
	if !strings.HasPrefix(atOnce(line), "error: 89025d75: config.txt after 0B in 0.0s: "+path+": config.txt: damaged file system: the size of 100000 bytes needs ") {
		t.Errorf("log: %s", line)
	}
	if _, err := d.client(t).get("README.TXT"); err != nil {
		t.Errorf("the file beside it: %v", err)
	}
}

// TestEmptyFile: its size is 0, and that is said.
func TestEmptyFile(t *testing.T) {
	d := start(t, board(testimg.FixtureFile(t, "fat12")))
	for _, tt := range []struct {
		options []string
		want    string
	}{
		{[]string{"tsize 0"}, "OACK tsize=0"},
		{[]string{"tsize 0", "blksize 1468"}, "OACK blksize=1468,tsize=0"},
	} {
		c := d.client(t)
		c.request("empty", "octet", tt.options...)
		c.want(tt.want)
		c.ack(0)
		c.want("DATA 1 of 0 bytes")
		c.ack(1)
	}
}

// TestImages: boot partitions of all kinds; a board may name another one.
func TestImages(t *testing.T) {
	for _, tt := range []struct {
		fixture   string
		partition int
		name      string // "" for an error
	}{
		{"fat32", addr.Boot, "config.txt"},
		{"fat32", 0, "config.txt"},
		{"fat32", 1, ""},
		{"gpt", addr.Boot, "config.txt"},
		{"gpt4k", addr.Boot, "config.txt"},
		{"mbr", addr.Boot, "config.txt"},
		{"mbr", 1, "config.txt"},
		{"mbr", 99, ""},
		{"ubuntu", 2, ""},
	} {
		cfg := board(testimg.FixtureFile(t, tt.fixture))
		b := cfg.Boards[serial]
		b.Partition = tt.partition
		cfg.Boards[serial] = b
		d := start(t, cfg)
		name := tt.name
		if name == "" {
			name = "config.txt"
		}
		_, err := d.client(t).get(name)
		if tt.name != "" && err != nil || tt.name == "" && (err == nil || err.Error() != "ERROR 0 cannot read file") {
			t.Errorf("%s, partition %d: %v", tt.fixture, tt.partition, err)
		}
	}
}

// TestLocked: neither the daemon nor its --check waits for the lock that a tool holds while it writes.
func TestLocked(t *testing.T) {
	path, tree := ubuntu(t)
	im, err := image.Open(path, image.Write, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer im.Close()
	d := start(t, board(path))
	if got, err := d.client(t).get("config.txt"); err != nil || !bytes.Equal(got, tree["config.txt"]) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	checked := make(chan error, 1)
	go func() { checked <- Check(io.Discard, board(path), func(string) {}) }()
	select {
	case err := <-checked:
		if err != nil {
			t.Errorf("Check: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("Check waits for the lock")
	}
}

// TestLogNames: nothing in a name can fake a line of the log or reach a terminal.
func TestLogNames(t *testing.T) {
	d := start(t, board("none"))
	c := d.client(t)
	c.request("a\n89025d75: \x1b[31m\xff b", "octet")
	c.want("ERROR 0 cannot read file")
	d.log.wait(t, 1, `error: 89025d75: "a\n89025d75: \x1b[31m\xff b" after`)
	d.log.wait(t, 1, ` file="a\n89025d75: \x1b[31m\xff b" `)
}

// TestRealClients: tftp-hpa, atftp, curl and busybox get the same bytes.
func TestRealClients(t *testing.T) {
	testimg.NeedPeer(t, "tftp", "atftp", "curl", "busybox")
	path, tree := ubuntu(t)
	cfg := board(path)
	cfg.Listen = "::"
	d := start(t, cfg)
	port := fmt.Sprint(d.addr.Port())
	for _, name := range []string{"initrd.img", "config.txt", "overlays/overlay_map.dtb"} {
		for _, command := range []string{
			"tftp -4 -m binary 127.0.0.1 PORT -c get FILE OUT",
			"tftp -6 -m binary ::1 PORT -c get FILE OUT",
			"tftp -4 -m binary localhost PORT -c get FILE OUT",
			"atftp -g -r FILE -l OUT 127.0.0.1 PORT",
			"atftp --option tsize,0 --option blksize,1468 -g -r FILE -l OUT 127.0.0.1 PORT",
			"atftp --option blksize,1468 --option windowsize,16 -g -r FILE -l OUT 127.0.0.1 PORT",
			"atftp --option windowsize,4 --option timeout,3 -g -r FILE -l OUT ::1 PORT",
			"busybox tftp -g -r FILE -l OUT 127.0.0.1 PORT",
			"busybox tftp -b 1468 -g -r FILE -l OUT 127.0.0.1 PORT",
			"curl -sS --max-time 20 -o OUT tftp://127.0.0.1:PORT/FILE",
			"curl -sS --max-time 20 --tftp-blksize 1468 -o OUT tftp://[::1]:PORT//FILE",
			"curl -sS --max-time 20 --tftp-no-options -o OUT tftp://127.0.0.1:PORT/FILE",
		} {
			out := filepath.Join(t.TempDir(), "out")
			r := strings.NewReplacer("PORT", port, "FILE", "89025d75/"+name, "OUT", out, ",", " ")
			var args []string
			for _, field := range strings.Fields(command) {
				args = append(args, r.Replace(field))
			}
			run(t, args[0], args[1:]...)
			got, err := os.ReadFile(out)
			if err != nil || !bytes.Equal(got, tree[name]) {
				t.Errorf("%s of %s: got %d bytes of %d, %v", command, name, len(got), len(tree[name]), err)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "out")
	run(t, "tftp", "-4", "-m", "ascii", "127.0.0.1", port, "-c", "get", "89025d75/cmdline.txt", out)
	if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, tree["cmdline.txt"]) {
		t.Errorf("netascii: got %q, %v", got, err)
	}
}
