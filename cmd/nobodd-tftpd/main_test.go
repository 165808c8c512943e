// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

// asCommand makes the test binary the command.
const asCommand = "NOBODD_TFTPD_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// soon is how long anything may take that happens at once.
const soon = 20 * time.Second

// process is a daemon of its own.
type process struct {
	*testing.T
	cmd   *exec.Cmd
	lines chan string
	ended chan struct{}
}

func command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "XDG_CONFIG_HOME=/nonesuch")
	return cmd
}

// begin starts a daemon that ends with the test.
func begin(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{T: t, cmd: cmd, lines: make(chan string, 10000), ended: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.lines <- s.Text()
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-p.ended
	})
	return p
}

// wait waits for a line of the log.
func (p *process) wait(text string) string {
	p.Helper()
	timeout := time.After(soon)
	for {
		select {
		case line := <-p.lines:
			if strings.Contains(line, text) {
				return line
			}
		case <-timeout:
			p.Fatalf("no %q in the log", text)
		}
	}
}

// listening waits until the daemon listens and returns its port.
func (p *process) listening() int {
	p.Helper()
	line := p.wait("listening on ")
	_, after, _ := strings.Cut(line, "listening on ")
	address, _, _ := strings.Cut(after, ",")
	addr, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		p.Fatal(err)
	}
	return addr.Port
}

func (p *process) signal(s os.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// wantStatus waits for the end. The status of a signal is its negative.
func (p *process) wantStatus(want int) {
	p.Helper()
	select {
	case <-p.ended:
	case <-time.After(soon):
		p.Fatal("the daemon does not end")
	}
	state := p.cmd.ProcessState
	got := state.ExitCode()
	if s := state.Sys().(syscall.WaitStatus); s.Signaled() {
		got = -int(s.Signal())
	}
	if got != want {
		p.Errorf("status %d, want %d", got, want)
	}
}

// ask sends a read request without options and returns the answer and who sent it.
func ask(t *testing.T, conn *net.UDPConn, port int, name string) (answer string, from net.Addr) {
	t.Helper()
	to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
	if _, err := conn.WriteTo([]byte("\x00\x01"+name+"\x00octet\x00"), to); err != nil {
		t.Fatal(err)
	}
	return receive(t, conn)
}

func receive(t *testing.T, conn *net.UDPConn) (string, net.Addr) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(soon))
	buf := make([]byte, 2048)
	n, from, err := conn.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n]), from
}

func client(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

const notFound = "\x00\x05\x00\x01file not found\x00"

// wantServed makes sure that config.txt is served, and acknowledges it.
func wantServed(t *testing.T, port int, name string) {
	t.Helper()
	conn := client(t)
	answer, from := ask(t, conn, port, name)
	if !strings.HasPrefix(answer, "\x00\x03\x00\x01") || len(answer) != 4+498 {
		t.Errorf("%s: answer %.40q of %d bytes", name, answer, len(answer))
	}
	conn.WriteTo([]byte("\x00\x04\x00\x01"), from)
}

func TestExitStatus(t *testing.T) {
	for s, want := range map[os.Signal]int{syscall.SIGTERM: 0, syscall.SIGINT: 2} {
		p := begin(t, command("--listen", "127.0.0.1", "--port", "0"))
		p.listening()
		p.signal(s)
		p.wantStatus(want)
	}
}

// TestSecondSignal ends the daemon at once, in the middle of a transfer.
func TestSecondSignal(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	p := begin(t, command("--listen", "127.0.0.1", "--port", "0", "--board", "89025d75,"+image))
	port := p.listening()
	conn := client(t)
	ask(t, conn, port, "89025d75/start4.elf")
	p.signal(syscall.SIGTERM)
	began := time.Now()
	for closed := false; !closed; { // until it has taken that in
		probe, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		probe.Write([]byte("\x00\x01x\x00octet\x00"))
		probe.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err = probe.Read(make([]byte, 100))
		closed = errors.Is(err, syscall.ECONNREFUSED)
		probe.Close()
	}
	p.signal(syscall.SIGTERM)
	p.wantStatus(-int(syscall.SIGTERM))
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestTermWaits for a transfer.
func TestTermWaits(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	p := begin(t, command("--listen", "127.0.0.1", "--port", "0", "--board", "89025d75,"+image))
	conn := client(t)
	answer, from := ask(t, conn, p.listening(), "89025d75/start4.elf")
	p.signal(syscall.SIGTERM)
	size := 0
	for {
		size += len(answer) - 4
		conn.WriteTo([]byte("\x00\x04"+answer[2:4]), from)
		if len(answer) < 516 {
			break
		}
		answer, from = receive(t, conn)
	}
	if size != 225120 {
		t.Errorf("got %d bytes", size)
	}
	p.wantStatus(0)
}

// TestReload with real files: a board more, then a mistake, then no file at all.
func TestReload(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	conf := filepath.Join(t.TempDir(), "nobodd.conf")
	write := func(text string) {
		if err := os.WriteFile(conf, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	first := "[tftp]\nlisten = 127.0.0.1\nport = 0\n[board:1]\nimage = " + image + "\n"
	write(first)
	p := begin(t, command("--config", conf, "--board", "3,"+image))
	port := p.listening()
	wantServed(t, port, "1/config.txt")
	if answer, _ := ask(t, client(t), port, "2/config.txt"); answer != notFound {
		t.Errorf("answer %q", answer)
	}
	p.wait("[board:00000002]")

	write(first + "[board:2]\nimage = " + image + "\n")
	p.signal(syscall.SIGHUP)
	p.wait("configuration reloaded, 3 boards")
	wantServed(t, port, "2/config.txt")

	write(strings.ReplaceAll(first, "[board:1]", "[board:1]\npartitoin = 1") + "[board:4]\nimage = " + image + "\n[board:5]\nip = x\n")
	p.signal(syscall.SIGHUP)
	p.wait(conf + `:5: unknown key "partitoin" in [board:1] (there are image, partition, ip, prefix and uncached); board 00000001 stays as it was`)
	p.wait(conf + `:10: ip: "x" is not an IP address; board 00000005 is left out`)
	p.wait("configuration reloaded, 3 boards")
	wantServed(t, port, "1/config.txt")
	wantServed(t, port, "4/config.txt")
	if answer, _ := ask(t, client(t), port, "2/config.txt"); answer != notFound {
		t.Errorf("answer %q", answer)
	}

	write(first + "[tftp]\nprot = 1\n")
	p.signal(syscall.SIGHUP)
	p.wait(conf + `:7: unknown key "prot" in [tftp] (there are listen, port, ports, includedir, max-transfers and max-blksize)`)
	p.wait("configuration not reloaded, all stays as it was")
	wantServed(t, port, "4/config.txt")

	if err := os.Remove(conf); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.wait(conf + ": no such file or directory")
	p.wait("configuration not reloaded, all stays as it was")
	wantServed(t, port, "1/config.txt")

	write("[tftp]\nlisten = ::1\nport = 0\n")
	p.signal(syscall.SIGHUP)
	p.wait("a new listen, port or ports in the configuration needs a restart")
	p.wait("configuration reloaded, 1 board")
	wantServed(t, port, "3/config.txt")
	if answer, _ := ask(t, client(t), port, "1/config.txt"); answer != notFound {
		t.Errorf("answer %q", answer)
	}
	p.signal(syscall.SIGTERM)
	p.wantStatus(0)
}

// activated returns a command that finds files from descriptor 3 on, as systemd passes them.
func activated(files []*os.File, args ...string) *exec.Cmd {
	inner := command(args...)
	cmd := exec.Command("sh", append([]string{"-c", fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d exec "$0" "$@"`, len(files)), inner.Path}, args...)...)
	cmd.Env, cmd.ExtraFiles = inner.Env, files
	return cmd
}

// fileOf returns the socket of conn as a file.
func fileOf(t *testing.T, conn interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := conn.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestSystemd: the socket and the request that waits in it; what it must not be.
func TestSystemd(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	for _, listen := range []string{"127.0.0.1", "::"} {
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(listen)})
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		port := socket.LocalAddr().(*net.UDPAddr).Port
		conn := client(t)
		to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}
		if _, err := conn.WriteTo([]byte("\x00\x01"+"89025d75/config.txt\x00octet\x00"), to); err != nil {
			t.Fatal(err)
		}
		p := begin(t, activated([]*os.File{fileOf(t, socket)}, "--listen", "systemd", "--board", "89025d75,"+image))
		if answer, _ := receive(t, conn); len(answer) != 4+498 {
			t.Errorf("%s: answer %.40q of %d bytes", listen, answer, len(answer))
		}
		wantServed(t, port, "89025d75/config.txt")
		p.signal(syscall.SIGTERM)
		conn.Close() // its transfer ends
		p.wantStatus(0)
	}

	udp := client(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, tt := range []struct {
		files []*os.File
		want  string
	}{
		{nil, "systemd passed 0 sockets, and not one: is nobodd-tftpd.socket started?"},
		{[]*os.File{fileOf(t, udp), fileOf(t, udp)}, "systemd passed 2 sockets, and not one: is nobodd-tftpd.socket started?"},
		{[]*os.File{fileOf(t, tcp.(*net.TCPListener))}, "LISTEN_FD_3 is no datagram socket of the internet"},
	} {
		p := begin(t, activated(tt.files, "--listen", "systemd"))
		if line := p.wait("nobodd-tftpd: "); line != "nobodd-tftpd: "+tt.want {
			t.Errorf("got %q, want %q", line, tt.want)
		}
		p.wantStatus(1)
	}
}

// TestStdin: as inetd starts it.
func TestStdin(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	socket := client(t)
	cmd := command("--listen", "stdin", "--board", "89025d75,"+image)
	cmd.Stdin = fileOf(t, socket)
	p := begin(t, cmd)
	wantServed(t, socket.LocalAddr().(*net.UDPAddr).Port, "89025d75/config.txt")
	p.signal(syscall.SIGTERM)
	p.wantStatus(0)

	p = begin(t, command("--listen", "stdin")) // its input is /dev/null
	p.wait("nobodd-tftpd: /dev/stdin is no socket")
	p.wantStatus(1)
}

// TestLogLevels: what -v and -q add and take away.
func TestLogLevels(t *testing.T) {
	image := testimg.FixtureFile(t, "ubuntu")
	for _, tt := range []struct {
		flags []string
		want  string // lines, sorted
	}{
		{nil, "listening read"},
		{[]string{"-v"}, "listening missed read"},
		{[]string{"-q"}, ""},
		{[]string{"-qv"}, "listening missed read"},
		{[]string{"-v", "--quiet"}, ""},
	} {
		socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		cmd := command(append(tt.flags, "--listen", "stdin", "--board", "89025d75,"+image)...)
		cmd.Stdin = fileOf(t, socket)
		cmd.Env = append(cmd.Env, "JOURNAL_STREAM=1:2")
		var log bytes.Buffer
		cmd.Stderr = &log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		port := socket.LocalAddr().(*net.UDPAddr).Port
		wantServed(t, port, "89025d75/config.txt")
		ask(t, client(t), port, "89025d75/vl805.sig")
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		socket.Close()
		var got []string
		for _, line := range strings.Split(log.String(), "\n") {
			switch {
			case strings.HasPrefix(line, "listening on 127.0.0.1:"):
				got = append(got, "listening")
			case strings.HasPrefix(line, "89025d75: config.txt 498B in "):
				got = append(got, "read")
			case strings.HasPrefix(line, "debug: 89025d75: vl805.sig not found "):
				got = append(got, "missed")
			case strings.HasPrefix(line, "stopping, "):
			case line != "":
				got = append(got, line)
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%v: log has %q, want %q", tt.flags, text, tt.want)
		}
	}
}
