// SPDX-License-Identifier: GPL-3.0-or-later

package man

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

// The examples are run as they stand. In the source of a page, comments right above a block say what
// a reader need not see:
//
//	.\" Setup: COMMAND    runs first; $LIB holds images, see library
//	.\" Needs: PROGRAM    passed over where the program is absent, which it may not be in CI
//	.\" Folded.           the lines of the output are folded for the page
//	.\" File NAME: COMMAND  the block is no commands but what a file holds; COMMAND is run over it
//	.\" Not run: REASON
//
// A block that shows any output shows all of it; "..." at the end of a line stands for the rest of it.
var mark = regexp.MustCompile(`^\.\\" (Setup|Needs|Folded|File \S+|Not run)[:.] ?(.*)$`)

// block is one display of a page.
type block struct {
	page     string
	line     int
	section  string
	marks    map[string][]string
	text     []string // its lines, without mdoc's escapes
	commands []command
}

// command is a command and the lines that the page shows after it.
type command struct {
	text   string
	output []string
}

// blocks returns the displays of a page.
func blocks(t *testing.T, page string) []block {
	var all []block
	section := ""
	marks := map[string][]string{}
	var open *block
	for i, line := range strings.Split(read(t, page), "\n") {
		m := mark.FindStringSubmatch(line)
		switch {
		case open != nil && line == ".Ed":
			open.commands = commands(t, *open)
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text = append(open.text, plain(t, page, line))
		case m != nil:
			marks[m[1]] = append(marks[m[1]], m[2])
		case strings.HasPrefix(line, ".Bd "):
			open = &block{page: page, line: i + 1, section: section, marks: marks}
			marks = map[string][]string{}
		case strings.HasPrefix(line, ".Dl ") && !strings.Contains(line, " Ns "):
			b := block{page: page, line: i + 1, section: section, marks: marks, text: []string{plain(t, page, line[4:])}}
			b.commands = commands(t, b)
			all = append(all, b)
			marks = map[string][]string{}
		case line != ".Pp" && len(marks) > 0:
			t.Errorf("%s, line %d: marks with no block below them: %v", page, i+1, marks)
			marks = map[string][]string{}
		}
		if s, ok := strings.CutPrefix(line, ".Sh "); ok {
			section = s
		}
	}
	return all
}

// plain takes mdoc's escapes out of a line.
func plain(t *testing.T, page, line string) string {
	line = strings.NewReplacer(`\e`, `\`, `\(dq`, `"`, `\&`, "").Replace(line)
	if i := strings.Index(line, `\[`); i >= 0 {
		t.Errorf("%s: %s: an escape that the test does not know", page, line[i:])
	}
	return line
}

var heredoc = regexp.MustCompile(`<<(\w+)`)

// commands returns the commands of a block: those after a prompt, with the lines that continue them.
func commands(t *testing.T, b block) []command {
	var all []command
	more, end := false, ""
	for _, line := range b.text {
		isPrompt := strings.HasPrefix(line, "$ ") || strings.HasPrefix(line, "# ")
		switch {
		case end != "" || more:
			all[len(all)-1].text += "\n" + line
		case isPrompt:
			all = append(all, command{text: line[2:]})
		case len(all) == 0:
			return nil // no commands
		default:
			all[len(all)-1].output = append(all[len(all)-1].output, line)
			continue
		}
		if end != "" {
			if line == end {
				end = ""
			}
			continue
		}
		more = strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|")
		if m := heredoc.FindStringSubmatch(line); m != nil {
			end = m[1]
		}
	}
	if end != "" || more {
		t.Errorf("%s, line %d: a command has no end", b.page, b.line)
	}
	return all
}

// shown reports whether the block shows output.
func (b block) shown() bool {
	for _, c := range b.commands {
		if len(c.output) > 0 {
			return true
		}
	}
	return false
}

// skip reports whether the block is not to be run, here or at all.
func (b block) skip(t *testing.T) bool {
	if b.marks["Not run"] != nil {
		return true
	}
	absent := testimg.Absent(b.marks["Needs"]...)
	if len(absent) > 0 && os.Getenv("CI") != "" {
		t.Errorf("%s, line %d: needs %v, which CI must have", b.page, b.line, absent)
	}
	return len(absent) > 0
}

// file returns the name and the command of a block that is what a file holds.
func (b block) file() (name, command string) {
	for key, values := range b.marks {
		if n, ok := strings.CutPrefix(key, "File "); ok {
			return n, values[0]
		}
	}
	return "", ""
}

// TestExamplesMarked: each block that looks like an example is run, or says why it is not.
func TestExamplesMarked(t *testing.T) {
	run := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			name, _ := b.file()
			reasons := b.marks["Not run"]
			switch {
			case reasons != nil:
				if reasons[0] == "" {
					t.Errorf("%s, line %d: not run, and no reason", page, b.line)
				}
			case len(b.commands) > 0 || name != "":
				run++
			case b.section == "EXAMPLES":
				t.Errorf("%s, line %d: an example that nothing runs", page, b.line)
			}
		}
	}
	if run < 40 {
		t.Errorf("only %d blocks are run", run)
	}
}

// TestExamples runs the examples of each page, one after another in one folder, and compares what
// they print with the page.
func TestExamples(t *testing.T) {
	w := newWorld(t)
	for _, page := range pages(t) {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && slices.Contains(long, page) {
				t.Skip("for the whole tier")
			}
			w.examples(t, blocks(t, page))
		})
	}
}

// long are the pages whose examples prepare image after image.
var long = []string{"nobodd-netboot.7", "nobodd-farm.1"}

// world is what the examples are run in.
type world struct {
	bin string // our commands, and stand-ins for what a test must not run
	lib string // images
}

// stand-ins for programs that would change this machine, or that it may lack. The host is called
// server, as in the articles.
var standIns = map[string]string{
	"apt": "", "chown": "", "systemctl": "", "journalctl": "", "hostname": "echo server",
	"poweroff": "", "reboot": "", "systemd-sysusers": "", "update-initramfs": "", "usermod": "",
	"sudo":     `exec "$@"`,
	"runuser":  `shift 3; exec "$@"`,
	"scp":      `while [ $# -gt 1 ]; do cp "$1" "$ROOT/home/ubuntu/" || exit; shift; done`,
	"dracut":   `cp "$LIB/initrd.img" "$2"`,
	"vcgencmd": `printf '16:00280000\n17:3020000a\n'`,
	"rpi-eeprom-config": `case $1 in
--apply) test "$(grep BOOT_ORDER "$2")" = BOOT_ORDER=0xf21 ;;
*) printf '[all]\nBOOT_UART=0\nBOOT_ORDER=0xf41\n' ;;
esac`,
	"wget": `for url; do :; done
case $url in
https://cdimage.ubuntu.com/releases/24.04/release/) image=boards.img ;;
https://cdimage.ubuntu.com/releases/26.04/release/) image=resolute.img ;;
*) exit 4 ;;
esac
url=${url%/release/}
name=ubuntu-${url##*/}-preinstalled-server-arm64+raspi.img.xz
xz -0 <"$LIB/$image" >"$name" && sha256sum "$name" >SHA256SUMS`,
	"nobodd-tftpd": `case "$*" in
*--config* | *--board*) ;;
*) set -- --config "$ROOT/etc/nobodd/nobodd.conf" "$@" ;;
esac
exec "$BIN/nobodd-tftpd" "$@"`,
	"nobodd-farm": `exec "$SCRIPTS/nobodd-farm" --tftpd-dir "$ROOT/etc/nobodd/conf.d" \
--nbd-dir "$ROOT/etc/nbd-server/conf.d" "$@" 2>/dev/null # it would say whose images these are`,
}

func newWorld(t *testing.T) world {
	w := world{bin: t.TempDir(), lib: t.TempDir()}
	commands := testimg.Commands(t)
	scripts, err := filepath.Abs("../scripts")
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range standIns {
		script := fmt.Sprintf("#!/bin/sh\nBIN='%s' SCRIPTS='%s'\n%s\n", commands, scripts, body)
		if err := os.WriteFile(filepath.Join(w.bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(w.bin, "curl"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", strings.Join([]string{w.bin, commands, scripts, os.Getenv("PATH")}, ":"))
	w.library(t, commands)
	return w
}

const kernel = "6.8.0-1013-raspi"

// library makes the images: jammy.img is one of Ubuntu 22.04 in small, from which no board boots,
// boards.img one from which a Pi 2, 3 and 4 do, resolute.img one for a Pi 5 that keeps its files in
// current/; old.img is an initramfs for another kernel than theirs. The others are what they are called.
func (w world) library(t *testing.T, commands string) {
	for name, fixture := range map[string]string{
		"jammy": "ubuntu", "boards": "ubuntu", "resolute": "ubuntu", "pinn": "pinn", "boot": "fat16-s4",
	} {
		if err := testimg.Unpack(fixture, filepath.Join(w.lib, name+".img")); err != nil {
			t.Fatal(err)
		}
	}
	boards := testimg.BootFiles(kernel, kernel)
	for _, name := range []string{"bootcode.bin", "start.elf", "fixup.dat", "start4.elf", "fixup4.dat",
		"overlays/vc4-kms-v3d.dtbo", "overlays/dwc2.dtbo"} {
		boards[name] = []byte(name)
	}
	for _, name := range []string{"bcm2710-rpi-2-b", "bcm2710-rpi-3-b", "bcm2710-rpi-3-b-plus", "bcm2710-rpi-cm3",
		"bcm2711-rpi-400", "bcm2711-rpi-cm4"} {
		boards[name+".dtb"] = testimg.DeviceTree(name[:7])
	}
	w.put(t, commands, boards, "boards.img:/")

	resolute := testimg.BootFiles(kernel, kernel)
	resolute["bcm2712-rpi-5-b.dtb"] = testimg.DeviceTree("bcm2712")
	for _, name := range []string{"vc4-kms-v3d", "dwc2", "bcm2712d0"} {
		resolute["overlays/"+name+".dtbo"] = []byte(name)
	}
	resolute["cmdline.txt"] = []byte("console=serial0,115200 console=tty1 root=LABEL=writable rootwait\n")
	w.put(t, commands, resolute, "resolute.img:/current")
	w.put(t, commands, map[string][]byte{"config.txt": []byte("[all]\nkernel=vmlinuz\ncmdline=cmdline.txt\n" +
		"initramfs initrd.img followkernel\nos_prefix=current/\n")}, "resolute.img:/")
	for name, modules := range map[string]string{"old.img": "6.8.0-1005-raspi", "initrd.img": kernel} {
		data := testimg.BootFiles(kernel, modules)["initrd.img"]
		if err := os.WriteFile(filepath.Join(w.lib, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// put copies files into a directory of an image of the library.
func (w world) put(t *testing.T, commands string, files map[string][]byte, target string) {
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, "files", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(filepath.Join(commands, "nobodd-cp"), "-r", "--no-sync", "-T", filepath.Join(dir, "files"), target)
	cmd.Dir = w.lib
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// examples runs the blocks of a page by one shell. Paths in /etc, /srv, /boot and /dev/vg0, /dev/sdb and the
// home of ubuntu are those in a folder of the test.
func (w world) examples(t *testing.T, blocks []block) {
	root := t.TempDir()
	os.Chmod(filepath.Dir(root), 0o755) // the daemon warns of what its user cannot read
	for _, dir := range []string{"etc/nobodd/conf.d", "etc/nobodd/exports", "etc/nbd-server/conf.d", "etc/default",
		"etc/dnsmasq.d", "etc/dracut.conf.d", "etc/initramfs-tools/conf.d", "boot/firmware", "home/ubuntu",
		"srv/images", "dev/vg0"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	conf, err := os.ReadFile("../scripts/nobodd.conf")
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "etc/nobodd/nobodd.conf"), conf, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for _, b := range blocks {
		if !b.skip(t) {
			steps = append(steps, b.steps(t, root)...)
		}
	}
	if len(steps) == 0 {
		return
	}
	real := strings.NewReplacer("/etc/", root+"/etc/", "/srv/", root+"/srv/", "/boot/", root+"/boot/",
		"/dev/vg0/", root+"/dev/vg0/", "/dev/sdb", root+"/dev/sdb", "~ubuntu", root+"/home/ubuntu", "6969", freePort(t))
	script := bytes.NewBufferString("exec 2>&1 </dev/null\njobs=\ntrap 'test -z \"$jobs\" || kill $jobs' EXIT\n")
	for _, s := range steps {
		text := real.Replace(s.text)
		if job, ok := strings.CutSuffix(text, " &"); ok {
			text = job + ` >/dev/null 2>&1 & jobs="$jobs $!"`
		}
		fmt.Fprintf(script, "%s\nprintf '@@%%s\\n' $?\n", text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // for an example that never ends
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", script.String())
	cmd.WaitDelay = time.Second
	cmd.Dir = filepath.Join(root, "srv/images")
	cmd.Env = append(os.Environ(), "ROOT="+root, "LIB="+w.lib)
	out, _ := cmd.CombinedOutput() // what fails shows in the output
	printed := strings.SplitAfter(strings.ReplaceAll(string(out), root, ""), "\n")
	for _, s := range steps {
		printed = s.compare(t, printed)
	}
}

// step is a command to run, and what is known of what it prints.
type step struct {
	text   string
	where  string
	want   []string
	exact  bool // want is all that it prints; else it must succeed
	folded bool
}

// steps are what is run for a block.
func (b block) steps(t *testing.T, root string) []step {
	where := fmt.Sprintf("%s, line %d", b.page, b.line)
	var steps []step
	for _, text := range b.marks["Setup"] {
		steps = append(steps, step{text: text, where: where, exact: true})
	}
	if name, check := b.file(); name != "" {
		text := strings.Join(b.text, "\n") + "\n"
		text = strings.NewReplacer("/srv/", root+"/srv/", "/dev/vg0/", root+"/dev/vg0/").Replace(text)
		if err := os.WriteFile(filepath.Join(root, "srv/images", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return append(steps, step{text: check, where: where})
	}
	for _, c := range b.commands {
		steps = append(steps, step{c.text, where, c.output, b.shown(), b.marks["Folded"] != nil})
	}
	return steps
}

// compare takes what the step printed, up to its status, off the output, and returns the rest.
func (s step) compare(t *testing.T, out []string) []string {
	var got []string
	status := "none"
	for i, line := range out {
		line = strings.TrimSuffix(line, "\n")
		if code, ok := strings.CutPrefix(line, "@@"); ok {
			status, out = code, out[i+1:]
			break
		}
		got = append(got, line)
	}
	if status != "0" && (len(s.want) == 0 || status == "none") {
		t.Errorf("%s: %s\nends with status %s:\n%s", s.where, s.text, status, strings.Join(got, "\n"))
	} else if s.exact && !s.same(got) {
		t.Errorf("%s: %s\nprints\n%s\nand not\n%s", s.where, s.text, strings.Join(got, "\n"), strings.Join(s.want, "\n"))
	}
	return out
}

// same reports whether got is what the page shows.
func (s step) same(got []string) bool {
	if s.folded {
		return strings.Join(strings.Fields(strings.Join(got, " ")), " ") ==
			strings.Join(strings.Fields(strings.Join(s.want, " ")), " ")
	}
	if len(got) != len(s.want) {
		return false
	}
	for i, line := range s.want {
		begin, cut := strings.CutSuffix(line, "...")
		if got[i] != line && !(cut && strings.HasPrefix(got[i], begin)) {
			return false
		}
	}
	return true
}

// freePort returns a UDP port that is free at the moment.
func freePort(t *testing.T) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, port, _ := net.SplitHostPort(conn.LocalAddr().String())
	return port
}

// curl stands in for the program of that name: it fetches tftp://HOST:PORT/FILE, and asks again until
// the server, which an example has just started, is there. Spec: RFC 1350, 2 and 5.
func curl(url string) error {
	host, file, _ := strings.Cut(strings.TrimPrefix(url, "tftp://"), "/")
	server, err := net.ResolveUDPAddr("udp4", host)
	if err != nil {
		return err
	}
	conn, err := net.ListenPacket("udp4", "")
	if err != nil {
		return err
	}
	packet, to := []byte("\x00\x01"+file+"\x00octet\x00"), net.Addr(server)
	buf := make([]byte, 516)
	for tries, block := 0, 1; tries < 300; tries++ {
		if _, err := conn.WriteTo(packet, to); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, from, err := conn.ReadFrom(buf)
		if err != nil || n < 4 || int(buf[2])<<8|int(buf[3]) != block {
			continue
		}
		if buf[1] != 3 {
			return fmt.Errorf("%s: %q", file, buf[4:n])
		}
		os.Stdout.Write(buf[4:n])
		packet, to, block = []byte{0, 4, buf[2], buf[3]}, from, block+1
		if n < len(buf) {
			_, err = conn.WriteTo(packet, to)
			return err
		}
	}
	return fmt.Errorf("%s: no answer", url)
}
