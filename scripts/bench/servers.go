// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nobodd/internal/testimg"
)

// server is a TFTP server under load.
type server struct {
	name   string
	args   []string
	cmd    *exec.Cmd
	group  string // the directory of its control group; "" if it has none
	addr   netip.AddrPort
	prefix string // of the names it serves
	rates  []float64
	gb     float64 // that it has sent since the last row
	cpu    float64 // seconds that it has worked for that
}

// peer says how to start a server.
type peer struct {
	name    string
	program string // that must be installed
	addr    netip.Addr
	port    uint16 // 0 for one that is free
	args    func(addr, port string) []string
}

const ourName, limitName = "nobodd-tftpd", "lock step in C"

// peers are the servers, ours first.
func (b *bench) peers() ([]peer, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	loopback, root := netip.MustParseAddr("127.0.0.1"), b.path("tftp")
	return []peer{
		{ourName, "", loopback, 0, func(addr, port string) []string {
			return b.tool("nobodd-tftpd", "-q", "--listen", addr, "--port", port, "--board", serial+","+b.path("tftp.img"))
		}},
		{"tftpd-hpa", "in.tftpd", loopback, 0, func(addr, port string) []string {
			return []string{"in.tftpd", "--foreground", "--address", addr + ":" + port, "--user", me.Username, "--secure", root}
		}},
		// It knows no other port than 69; on an address of its own it is in nobody's way.
		{"dnsmasq", "dnsmasq", netip.MustParseAddr("127.0.0.69"), 69, func(addr, _ string) []string {
			return []string{"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0", "--bind-interfaces",
				"--listen-address=" + addr, "--user=" + me.Username, "--pid-file=", "--enable-tftp", "--tftp-root=" + root,
				"--tftp-max=1100", "--log-facility=/dev/null"}
		}},
		{"atftpd", "atftpd", loopback, 0, func(addr, port string) []string {
			return []string{"atftpd", "--daemon", "--no-fork", "--bind-address", addr, "--port", port, "--user", me.Username,
				"--group", "root", "--maxthread", "1100", "--logfile", "/dev/null", root}
		}},
		{limitName, "gcc", loopback, 0, func(addr, port string) []string {
			return []string{b.path("lockstep"), addr, port, root}
		}},
	}, nil
}

//go:embed testdata/lockstep.c
var lockstep []byte

// compile makes the lock-step server.
func (b *bench) compile() error {
	if len(testimg.Absent("gcc")) > 0 {
		return nil
	}
	if err := os.WriteFile(b.path("lockstep.c"), lockstep, 0o644); err != nil {
		return err
	}
	return b.do("gcc", "-O2", "-o", "lockstep", "lockstep.c")
}

// servers starts all servers that there are, ours first.
func (b *bench) servers() (servers []*server, err error) {
	if err := b.compile(); err != nil {
		return nil, err
	}
	peers, err := b.peers()
	if err != nil {
		return nil, err
	}
	for _, p := range peers {
		if p.program != "" && len(testimg.Absent(p.program)) > 0 {
			b.skip("TFTP beside "+p.name, []string{p.program})
			continue
		}
		s, err := b.start(p)
		if errors.Is(err, syscall.EACCES) {
			b.skip("TFTP beside "+p.name, []string{"right to use port 69"})
			continue
		}
		if err != nil {
			return servers, err
		}
		if servers = append(servers, s); s.ready() != nil {
			return servers, s.ready()
		}
	}
	return servers, nil
}

func (b *bench) start(p peer) (*server, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.addr, p.port)))
	if err != nil {
		return nil, err
	}
	s := &server{name: p.name, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	conn.Close()
	if p.name == ourName {
		s.prefix = serial + "/"
	}
	s.args = p.args(s.addr.Addr().String(), strconv.Itoa(int(s.addr.Port())))
	return s, s.run(b.tmp)
}

func (s *server) run(dir string) error {
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Dir = dir
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.account()
	return nil
}

// restart starts a server anew that may have died.
func (s *server) restart() error {
	s.stop()
	if err := s.run(s.cmd.Dir); err != nil {
		return err
	}
	return s.ready()
}

// ready waits until the server answers, for at most 5 seconds.
func (s *server) ready() error {
	var err error
	for range 50 {
		if err = s.probe(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer: %w", s.name, err)
}

func (s *server) probe() error {
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.WriteTo([]byte("\x00\x01nonesuch\x00octet\x00"), net.UDPAddrFromAddrPort(s.addr)); err != nil {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	_, _, err = conn.ReadFrom(make([]byte, 600))
	return err
}

// load loads the server, and notes its throughput in MB/s and its work if that counts.
func (s *server) load(l load, counts bool) error {
	before := s.seconds()
	took, err := l.run(s.addr, s.prefix+l.name)
	if err != nil {
		return fmt.Errorf("%s, %d clients: %w", s.name, l.clients, err)
	}
	if counts {
		gb := float64(l.clients*len(l.want)) / 1e9
		s.rates = append(s.rates, gb*1e3/took.Seconds())
		s.gb += gb
		s.cpu += s.seconds() - before
	}
	return nil
}

// rate is the median throughput since the last call.
func (s *server) rate() float64 {
	r := medianOf(s.rates)
	s.rates = nil
	return r
}

// work is the CPU time in milliseconds a GB since the last call.
func (s *server) work() float64 {
	w := s.cpu * 1e3 / s.gb
	s.cpu, s.gb = 0, 0
	return w
}

// seconds is the CPU time that the server and what it has forked have used; 0 if that cannot be
// known.
func (s *server) seconds() float64 {
	if s.group == "" {
		return 0
	}
	if text, err := os.ReadFile(filepath.Join(s.group, "cpuacct.usage")); err == nil { // cgroup v1
		ns, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		return ns / 1e9
	}
	text, err := os.ReadFile(filepath.Join(s.group, "cpu.stat")) // cgroup v2
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "usage_usec ")
	line, _, _ := strings.Cut(rest, "\n")
	us, _ := strconv.ParseFloat(line, 64)
	return us / 1e6
}

// account puts the server into a control group of its own, if that can be had: nothing else counts
// the work of children that nobody waits for, as those of tftpd-hpa.
func (s *server) account() {
	for _, root := range []string{"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"} {
		group := filepath.Join(root, fmt.Sprintf("nobodd-bench-%d", s.cmd.Process.Pid))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Mkdir(group, 0o755) != nil {
			continue
		}
		pid := []byte(strconv.Itoa(s.cmd.Process.Pid))
		if os.WriteFile(filepath.Join(group, "cgroup.procs"), pid, 0) == nil {
			s.group = group
			return
		}
		os.Remove(group)
	}
}

func (s *server) proc() string { return fmt.Sprintf("/proc/%d", s.cmd.Process.Pid) }

// stop ends the server, and what it has forked.
func (s *server) stop() {
	if s.cmd.Process == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		s.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(6 * time.Second):
		s.cmd.Process.Kill()
		<-done
	}
	if s.group != "" {
		os.Remove(s.group)
	}
}

// memory reads a line of proc_pid_status(5), in MiB: VmHWM is the most memory that the server ever
// had resident, VmRSS what it has now.
func (s *server) memory(line string) float64 {
	status, err := os.ReadFile(filepath.Join(s.proc(), "status"))
	if err != nil {
		return 0
	}
	for l := range bytes.Lines(status) {
		if rest, ok := strings.CutPrefix(string(l), line+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func (s *server) descriptors() int {
	list, err := os.ReadDir(filepath.Join(s.proc(), "fd"))
	if err != nil {
		return 0
	}
	return len(list)
}

// descriptorsSettle returns the number of descriptors once it is down to want, or after 5 s.
func (s *server) descriptorsSettle(want int) int {
	n := s.descriptors()
	for range 50 {
		if n <= want {
			break
		}
		time.Sleep(100 * time.Millisecond)
		n = s.descriptors()
	}
	return n
}
