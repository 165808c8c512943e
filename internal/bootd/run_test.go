// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/config"
	"nobodd/internal/tftp"
)

// manager plays systemd: it receives what sd_notify sends.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "bootd") // the name of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &manager{t, conn}
}

// want waits for a message that matches.
func (m *manager) want(pattern string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(soon))
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	if err != nil {
		m.t.Fatalf("waiting for %s: %v", pattern, err)
	}
	if !regexp.MustCompile(`^(?:` + pattern + `)\n?$`).Match(buf[:n]) {
		m.t.Fatalf("told %q, want %s", buf[:n], pattern)
	}
}

// running is a daemon with a configuration that a test changes.
type running struct {
	log    *logs
	daemon *Daemon
	reload chan os.Signal
	clock  chan time.Time
	stop   context.CancelFunc
	ended  chan error
	addr   netip.AddrPort

	mu  sync.Mutex
	cfg *config.Config
	err error
}

func runDaemon(t *testing.T, cfg *config.Config) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{log: newLogs(t), reload: make(chan os.Signal, 1), stop: cancel, ended: make(chan error, 1), cfg: cfg}
	r.daemon = &Daemon{Load: r.load, Log: slog.New(r.log), Reload: r.reload}
	if testing.Short() {
		r.clock = make(chan time.Time)
		r.daemon.clock = r.clock
	}
	go func() { r.ended <- r.daemon.Run(ctx) }()
	t.Cleanup(cancel)
	line := r.log.wait(t, 1, "listening on ")
	addr, _, _ := strings.Cut(strings.TrimPrefix(line, "listening on "), ",")
	r.addr = netip.MustParseAddrPort(addr)
	return r
}

// tick lets the time pass after which the status is looked at.
func (r *running) tick() {
	if r.clock != nil {
		r.clock <- time.Time{}
	}
}

// server is the daemon's once it listens.
func (r *running) server() *Server { return r.daemon.server }

func (r *running) load() (*config.Config, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	c := *r.cfg
	return &c, nil
}

func (r *running) set(cfg *config.Config, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg, r.err = cfg, err
	r.reload <- syscall.SIGHUP
}

func (r *running) client(t *testing.T) *client {
	t.Helper()
	return (&testServer{addr: r.addr}).client(t)
}

func (r *running) wantEnd(t *testing.T) {
	t.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(soon):
		t.Fatal("the daemon does not end")
	}
}

// TestManager: the states that systemd is told, and the status.
func TestManager(t *testing.T) {
	m := newManager(t)
	path, tree := ubuntu(t)
	r := runDaemon(t, board(path))
	m.want(`READY=1\nSTATUS=1 board, 0 transfers running`)

	c := r.client(t)
	c.request("config.txt", "octet", "tsize 0")
	c.want(fmt.Sprintf("OACK tsize=%d", len(tree["config.txt"])))
	r.tick()
	m.want(`STATUS=1 board, 1 transfer running`)
	c.reply(opError, 0, "\x00")
	waitIdle(t, r.server())
	r.tick()
	m.want(`STATUS=1 board, 0 transfers running`)

	more := board(path)
	more.Boards[1] = config.Board{Serial: 1, Image: path, Partition: 1}
	more.Files = []string{"nobodd.conf"}
	r.set(more, nil)
	m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+`)
	m.want(`READY=1\nSTATUS=2 boards, 0 transfers running`)

	r.set(nil, errors.New("nobodd.conf:3: no\nnobodd.conf:4: never"))
	m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+`)
	m.want(`READY=1\nSTATUS=2 boards, 0 transfers running; configuration: nobodd\.conf:3: no`)
	r.log.wait(t, 1, "error: nobodd.conf:3: no\n")
	r.log.wait(t, 1, "error: nobodd.conf:4: never\n")
	r.log.wait(t, 1, "error: configuration not reloaded, all stays as it was\n")

	r.set(configured(t, "[board:89025d75]\nimage="+path+"\n[board:2]\nip=x"), nil)
	m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+`)
	m.want(`READY=1\nSTATUS=1 board, 0 transfers running; configuration: /\S+/nobodd\.conf:4: ip: "x" is not an IP address`)
	for i := range maxStrangers + 7 {
		r.server().strange.isNew(fmt.Sprint(i))
	}
	r.tick()
	m.want(`STATUS=1 board, 0 transfers running, 7 strangers after the first 1000; configuration: .*`)
	r.set(more, nil)
	m.want(`RELOADING=1\nMONOTONIC_USEC=[0-9]+`)
	m.want(`READY=1\nSTATUS=2 boards, 0 transfers running`)

	r.stop()
	m.want(`STOPPING=1`)
	r.wantEnd(t)
}

// TestReload: in the middle of 100 transfers, which go on; new boards are there, old ones gone.
func TestReload(t *testing.T) {
	path, tree := ubuntu(t)
	r := runDaemon(t, board(path))
	want := tree["start4.elf"]
	clients, closeAll := (&testServer{addr: r.addr}).clients(t, 100)
	defer closeAll()
	for _, c := range clients {
		c.request("start4.elf", "octet", "tsize 0", "blksize 1468")
		c.want(fmt.Sprintf("OACK blksize=1468,tsize=%d", len(want)))
	}
	after := &config.Config{
		Listen: "::", Port: 69, MaxTransfers: 101,
		Boards: map[config.Serial]config.Board{1: {Serial: 1, Image: path, Partition: 1}},
	}
	r.set(after, nil)
	r.log.wait(t, 1, "warning: a new listen, port or ports in the configuration needs a restart\n")
	r.log.wait(t, 1, "configuration reloaded, 1 board\n")

	c := r.client(t)
	c.request("config.txt", "octet")
	c.want("ERROR 1 file not found")
	c = r.client(t)
	c.wantOnceFree("1/config.txt", "DATA 1 of 498 bytes") // the one before may not be off the books yet
	over := r.client(t)
	over.send(over.server, rrq("1/config.txt", "octet"))
	over.want("ERROR 0 too many transfers")
	c.reply(opError, 0, "\x00")

	r.set(nil, errors.New("nobodd.conf is gone"))
	r.log.wait(t, 1, "error: nobodd.conf is gone\n")
	r.log.wait(t, 1, "error: configuration not reloaded, all stays as it was\n")
	var all sync.WaitGroup
	for _, c := range clients {
		c.ack(0)
		all.Go(func() {
			if got, err := c.finish(1468); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %d bytes of %d, %v", len(got), len(want), err)
			}
		})
	}
	all.Wait()
	c = r.client(t)
	c.wantOnceFree("1/config.txt", "DATA 1 of 498 bytes")
	c.ack(1)

	r.set(&config.Config{Listen: after.Listen, Port: after.Port, MaxTransfers: 1}, nil)
	r.log.wait(t, 1, "warning: no boards in the configuration: there is nothing to serve\n")
	r.stop()
	r.wantEnd(t)
}

// TestMistakesCostWhatTheyConcern: the boards without one are served, and after a reload those with one as before.
func TestMistakesCostWhatTheyConcern(t *testing.T) {
	path, _ := ubuntu(t)
	conf := func(text string) *config.Config {
		return configured(t, "[tftp]\nlisten=127.0.0.1\nport=0\n"+strings.ReplaceAll(text, "IMAGE", path))
	}
	r := runDaemon(t, conf("[board:1]\nimage=IMAGE\nprefix=one\n[board:2]\nimage=IMAGE\nip=127.0.0.\n[board:x]\n"))
	r.log.wait(t, 1, `nobodd.conf:9: ip: "127.0.0." is not an IP address; board 00000002 is left out`+"\n")
	r.log.wait(t, 1, `nobodd.conf:10: [board:x]: "x" is no serial number (1 to 16 hexadecimal digits); that is left out`+"\n")
	want := func(name, want string) {
		t.Helper()
		c := r.client(t)
		c.send(c.server, rrq(name, "octet"))
		c.want(want)
		c.reply(opError, 0, "enough\x00")
	}
	const served, missing = "DATA 1 of 498 bytes", "ERROR 1 file not found"
	want("1/config.txt", served)
	want("2/config.txt", missing)

	r.set(conf("[board:1]\nimage=/none\nport=1\n[board:2]\nimage=IMAGE\nip=127.0.0.2\n[board:3]\nimage=IMAGE\n"), nil)
	r.log.wait(t, 1, `nobodd.conf:6: unknown key "port" in [board:1] (there are image, partition, ip, prefix and uncached); board 00000001 stays as it was`+"\n")
	r.log.wait(t, 1, "configuration reloaded, 3 boards\n")
	want("1/config.txt", served)
	want("one/config.txt", served)
	want("2/config.txt", "ERROR 2 access denied")
	want("3/config.txt", served)

	r.set(conf("[board:1]\nport=1\n[board:2]\nport=1\n"), nil) // both as they were
	r.log.wait(t, 1, "configuration reloaded, 2 boards\n")
	want("one/config.txt", served)
	want("2/config.txt", "ERROR 2 access denied")
	want("3/config.txt", missing)

	gone := conf("[board:9]\nimage=IMAGE\n")
	gone.Files = nil
	r.set(gone, nil)
	r.log.wait(t, 1, "error: none of the configuration files is there any more\n")
	r.log.wait(t, 1, "error: configuration not reloaded, all stays as it was\n")
	want("one/config.txt", served)
	r.stop()
	r.wantEnd(t)
}

// TestRestartIsAskedForOnceAChange of listen, port or ports.
func TestRestartIsAskedForOnceAChange(t *testing.T) {
	r := runDaemon(t, configured(t, "[tftp]\nlisten=127.0.0.1\nport=0\n"))
	warned, reloads := 0, 0
	for _, tt := range []struct {
		listen, port, ports string
		warns               bool
	}{
		{"127.0.0.1", "0", "1000-1001", true},
		{"127.0.0.1", "0", "1000-1001", false},
		{"127.0.0.1", "1", "1000-1001", true},
		{"127.0.0.2", "1", "1000-1001", true},
		{"127.0.0.2", "1", "1000-1001", false},
		{"127.0.0.1", "0", "", false}, // as it is
		{"127.0.0.1", "1", "", true},
	} {
		text := "[tftp]\nlisten=" + tt.listen + "\nport=" + tt.port + "\n"
		if tt.ports != "" {
			text += "ports=" + tt.ports + "\n"
		}
		r.set(configured(t, text), nil)
		reloads++
		r.log.wait(t, reloads, "configuration reloaded, 0 boards\n")
		if tt.warns {
			warned++
		}
		if n := strings.Count(r.log.text(), "warning: a new listen, port or ports in the configuration needs a restart\n"); n != warned {
			t.Errorf("%+v: %d warnings, want %d", tt, n, warned)
		}
	}
}

// wantOnceFree asks until there are not too many transfers.
func (c *client) wantOnceFree(name, want string) {
	c.Helper()
	for {
		c.send(c.server, rrq(name, "octet"))
		switch p := c.receive(); p.String() {
		case "ERROR 0 too many transfers":
		case want:
			return
		default:
			c.Fatalf("received %v, want %s", p, want)
		}
	}
}

// TestStopWaits: no new requests, but the transfer that runs comes to its end.
func TestStopWaits(t *testing.T) {
	path, tree := ubuntu(t)
	r := runDaemon(t, board(path))
	want := tree["start4.elf"]
	c := r.client(t)
	c.request("start4.elf", "octet", "tsize 0", "blksize 1468")
	c.want(fmt.Sprintf("OACK blksize=1468,tsize=%d", len(want)))
	r.stop()
	other := r.client(t)
	for { // until the socket is closed
		other.request("config.txt", "octet")
		if _, ok := other.receiveWithin(50 * time.Millisecond); !ok {
			break
		}
	}
	c.ack(0)
	if got, err := c.finish(1468); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes of %d, %v", len(got), len(want), err)
	}
	r.wantEnd(t)
	if free, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(r.addr)); err != nil {
		t.Errorf("the port is not free: %v", err)
	} else {
		free.Close()
	}
}

// TestStopDoesNotWaitForever: a client that keeps silent is told after 5 seconds.
func TestStopDoesNotWaitForever(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 5 seconds")
	}
	t.Parallel()
	path, tree := ubuntu(t)
	r := runDaemon(t, board(path))
	c := r.client(t)
	c.request("start4.elf", "octet", "blksize 1468")
	c.want("OACK blksize=1468")
	began := time.Now()
	r.stop()
	keep := true
	for block := uint16(0); keep; { // slowly, so that the transfer goes on all the time
		c.ack(block)
		p := c.receive()
		switch {
		case p.op == opError:
			if p.String() != "ERROR 0 server is stopping" {
				t.Errorf("received %v", p)
			}
			keep = false
		case p.op == opData && p.arg == block+1:
			if block++; int(block)*1468 > len(tree["start4.elf"])-3000 {
				t.Fatal("the file was too short for this test")
			}
			if q, ok := c.receiveWithin(300 * time.Millisecond); ok && q.op == opError {
				keep = false
			}
		}
	}
	r.wantEnd(t)
	if took := time.Since(began); took < 4*time.Second || took > 7*time.Second {
		t.Errorf("it took %v", took)
	}
	r.log.wait(t, 1, "warning: 89025d75: start4.elf refused: server is stopping")
}

func TestRunErrors(t *testing.T) {
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).Port
	t.Setenv("LISTEN_PID", fmt.Sprint(os.Getpid()))
	for _, tt := range []struct {
		cfg     config.Config
		err     error
		want    string
		sockets string
	}{
		{err: errors.New("nobodd.conf:3: no"), want: "nobodd.conf:3: no"},
		{cfg: config.Config{Listen: "127.0.0.1", Port: port}, want: fmt.Sprintf(
			"UDP port %d: address already in use: ss -ulnp 'sport = %[1]d' shows by which program", port)},
		{cfg: config.Config{Listen: "systemd"}, want: "systemd passed 0 sockets, and not one: is nobodd-tftpd.socket started?"},
		{cfg: config.Config{Listen: "systemd"}, sockets: "x", want: "systemd passed 0 sockets, and not one: is nobodd-tftpd.socket started?"},
	} {
		t.Setenv("LISTEN_FDS", tt.sockets)
		d := Daemon{Load: func() (*config.Config, error) { return &tt.cfg, tt.err }, Log: slog.New(newLogs(t))}
		if err := d.Run(context.Background()); err == nil || err.Error() != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.cfg, err, tt.want)
		}
	}
}

// TestExplain: what is said of a port that may not be had.
func TestExplain(t *testing.T) {
	err := explain(&net.OpError{Op: "listen", Err: os.NewSyscallError("bind", syscall.EACCES)}, 69)
	const want = "UDP port 69: permission denied: below 1024 are those of root, and of systemd's socket; --port takes another"
	if err == nil || err.Error() != want || !errors.Is(err, syscall.EACCES) {
		t.Errorf("got %v, want %s", err, want)
	}
	if err := explain(nil, 69); err != nil {
		t.Error(err)
	}
}

// TestListenFamilies: which families an address stands for.
func TestListenFamilies(t *testing.T) {
	for _, tt := range []struct {
		listen   string
		by4, by6 bool
	}{
		{"::", true, true},
		{"0.0.0.0", true, false},
		{"::1", false, true},
		{"127.0.0.1", true, false},
		{"::ffff:127.0.0.1", true, false},
	} {
		cfg := board("none")
		cfg.Listen = tt.listen
		d := startWith(t, cfg, func(config.Board, string) (file, error) { return nil, errNotFound })
		for host, want := range map[string]bool{"127.0.0.1": tt.by4, "::1": tt.by6} {
			if !want {
				continue
			}
			c := d.client(t)
			c.server = netip.AddrPortFrom(netip.MustParseAddr(host), d.addr.Port())
			c.request("x", "octet")
			c.want("ERROR 1 file not found")
		}
		if got := d.addr.Addr().Is6(); got != tt.by6 {
			t.Errorf("%s: an IPv6 socket: %v", tt.listen, got)
		}
	}
}

func TestNewLog(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name   string
		stream func(f *os.File) string
		want   string
	}{
		{"a terminal", func(*os.File) string { return "" }, `^\d{4}-\d\d-\d\dT\S+ one k=v\n\d{4}-\d\d-\d\dT\S+ warning: two\\nlines k="a b"\n$`},
		{"another stream", func(*os.File) string { return "1:2" }, `^one k=v\nwarning: two\\nlines k="a b"\n$`},
		{"the journal", stream, `^<6>one k=v\n<4>two\\nlines k="a b"\n$`},
	} {
		f, err := os.Create(filepath.Join(dir, tt.name))
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("JOURNAL_STREAM", tt.stream(f))
		log := NewLog(f, slog.LevelInfo)
		log.Info("one", "k", "v")
		log.Debug("not this")
		log.Warn("two\nlines", "k", "a b")
		f.Close()
		got, err := os.ReadFile(f.Name())
		if err != nil || !regexp.MustCompile(tt.want).Match(got) {
			t.Errorf("%s: %q, %v, want %s", tt.name, got, err, tt.want)
		}
	}
}

func stream(f *os.File) string {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}

// TestStory: what the log of a boot looks like.
func TestStory(t *testing.T) {
	e := event{
		client: netip.MustParseAddrPort("192.168.0.5:49152"), board: "89025d75", file: "start4.elf",
		bytes: 2250656, size: 2250656, took: 312 * time.Millisecond,
	}
	log := newLogs(t)
	e.log(slog.New(log))
	want := "89025d75: start4.elf 2.1MiB in 0.3s client=192.168.0.5:49152 board=89025d75 file=start4.elf outcome=sent bytes=2250656 seconds=0.312 rate=6.9MiB/s\n"
	if log.text() != want {
		t.Errorf("got  %swant %s", log.text(), want)
	}
	e.err = &tftp.ClientError{Code: 3, Text: "disk\nfull"}
	e.log(slog.New(log))
	log.wait(t, 1, `89025d75: start4.elf after 2.1MiB in 0.3s: client said "disk\nfull" (3) client=`)
}
