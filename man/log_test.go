// SPDX-License-Identifier: GPL-3.0-or-later

package man

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

// unlike are lines of the log that a short test cannot bring about, by words in them.
var unlike = regexp.MustCompile(`outcome=(aborted|timeout|changed)|permission denied|^fetched `)

var (
	logItem = regexp.MustCompile(`(?m)^\.It Ql "(.*)"$`)
	digits  = regexp.MustCompile(`[0-9.]+`)
)

// TestLog: what the pages show of the daemon's log is what it prints.
func TestLog(t *testing.T) {
	logged := daemonLog(t, "89025d75/cmdline.txt", "1234abcd/start4.elf", "aaaa0001/config.txt", "bd989ae1/config.txt",
		"dc-a6-32-01-02-03/config.txt", "bootcode.bin")

	_, section, found := strings.Cut(read(t, "nobodd-netboot.7"), ".Ss The log of nobodd-tftpd\n")
	section, _, ended := strings.Cut(section, "\n.Ss ")
	items := logItem.FindAllStringSubmatch(section, -1)
	if !found || !ended || len(items) < 5 {
		t.Fatalf("nobodd-netboot.7 has %d lines of the log", len(items))
	}
	client := strings.NewReplacer("192.168.0.53", "127.0.0.1", "192.168.0.55", "127.0.0.1")
	for _, item := range items {
		if want := client.Replace(item[1]); !unlike.MatchString(want) && !strings.Contains(logged, want) {
			t.Errorf("nobodd-netboot.7 shows %s\nwhich is not in\n%s", want, logged)
		}
	}

	_, shown, _ := strings.Cut(read(t, "nobodd-tftpd.8"), ".Ss Log\n")
	_, shown, _ = strings.Cut(shown, "\n.Bd -literal -offset indent\n")
	shown, _, ended = strings.Cut(shown, "\n.Ed\n")
	want := digits.ReplaceAllString(strings.Join(strings.Fields(shown), " "), "N")
	if !ended || !strings.Contains(digits.ReplaceAllString(logged, "N"), want) {
		t.Errorf("nobodd-tftpd.8 shows %s\nwhich is not in\n%s", want, logged)
	}
}

// daemonLog returns what the daemon logs when these files are asked for, one after another.
func daemonLog(t *testing.T, files ...string) string {
	dir := t.TempDir()
	if err := testimg.Unpack("ubuntu", filepath.Join(dir, "jammy.img")); err != nil {
		t.Fatal(err)
	}
	conf := "[tftp]\nlisten = 127.0.0.1\nport = 0\n" +
		"[board:89025d75]\nimage = jammy.img\n" +
		"[board:1234abcd]\nimage = gone.img\n" +
		"[board:aaaa0001]\nimage = jammy.img\nip = 192.0.2.1\n"
	path := filepath.Join(dir, "nobodd.conf")
	if err := os.WriteFile(path, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(testimg.Commands(t), "nobodd-tftpd"), "--config", path)
	cmd.Env = append(os.Environ(), "JOURNAL_STREAM=0:0")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	lines := bufio.NewReader(stderr)
	first, _ := lines.ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(first)
	for _, file := range files {
		ask(t, address, file)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(lines)
	if err != nil {
		t.Fatal(err)
	}
	return first + string(rest)
}

// ask asks for a file of at most one block until the server answers, and acknowledges that.
func ask(t *testing.T, address, file string) {
	server, err := net.ResolveUDPAddr("udp4", address)
	if err != nil {
		t.Fatal(err)
	}
	from, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if _, err := from.WriteTo([]byte("\x00\x01"+file+"\x00octet\x00"), server); err != nil {
		t.Fatal(err)
	}
	from.SetReadDeadline(time.Now().Add(time.Minute))
	buf := make([]byte, 1000)
	n, peer, err := from.ReadFrom(buf)
	if err != nil || n < 4 {
		t.Fatalf("%s: %d bytes, %v", file, n, err)
	}
	if buf[1] == 3 { // DATA
		if _, err := from.WriteTo([]byte{0, 4, 0, 1}, peer); err != nil {
			t.Fatal(err)
		}
	}
}
