// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pin/tftp/v3"

	"nobodd/internal/testimg"
)

const (
	serial    = "89025d75"
	eightSize = 8 << 20
)

// server is a TFTP server under load.
type server struct {
	name   string
	cmd    *exec.Cmd
	addr   netip.AddrPort
	prefix string // of the names it serves
	rates  []float64
}

// benchTFTP compares nobodd-tftpd with tftpd-hpa, and with the least that a server on the
// same library needs.
func benchTFTP(b *bench) error {
	if b.lacks("TFTP", "mkfs.vfat") {
		return nil
	}
	initrd, eight := noise(1, initrdSize), noise(3, eightSize)
	if err := b.tftpFiles(eight); err != nil {
		return err
	}
	servers, err := b.servers()
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	if err != nil {
		return err
	}
	ours := servers[0]
	for _, s := range servers {
		if err := s.ready(); err != nil {
			return err
		}
	}
	descriptors := ours.descriptors()
	for _, load := range []struct {
		clients, rounds int
		warmUp          int // rounds that do not count
		name            string
		want            []byte
	}{
		{1, b.rounds, 1, "initrd.img", initrd},
		{32, b.rounds, 0, "eight.bin", eight},
		{128, (b.rounds + 1) / 2, 0, "eight.bin", eight},
	} {
		for round := range load.warmUp + load.rounds {
			for i := range servers {
				// Which server goes first changes, so that none always has the warmer machine.
				s := servers[(i+round)%len(servers)]
				if err := s.load(load.name, load.want, load.clients, round >= load.warmUp); err != nil {
					return err
				}
			}
		}
		what := fmt.Sprintf("TFTP, %d clients, %s each", load.clients, size(len(load.want)))
		if load.clients == 1 {
			what = "TFTP, one client, 78,601,311 bytes"
		}
		b.compareServers(what, servers)
	}
	if len(testimg.Absent("in.tftpd")) > 0 {
		b.skip("TFTP beside tftpd-hpa", []string{"in.tftpd"})
	}
	b.atMost("nobodd-tftpd: peak memory", ours.peakMiB(), 64, "MiB")
	left := ours.descriptorsSettle(descriptors)
	b.atMost("nobodd-tftpd: descriptors left open by all that", float64(left-descriptors), 0, "")
	return nil
}

func size(n int) string { return strconv.Itoa(n>>20) + " MiB" }

// tftpFiles makes the image that nobodd-tftpd serves, and a directory with the same.
func (b *bench) tftpFiles(eight []byte) error {
	if err := b.initrd(); err != nil {
		return err
	}
	dir := b.path("tftp")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(b.tmp, 0o755); err != nil { // in.tftpd drops its rights
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "eight.bin"), eight, 0o644); err != nil {
		return err
	}
	if err := b.do("cp", "initrd.img", "tftp/initrd.img"); err != nil {
		return err
	}
	if err := b.fat32("tftp.img", 256); err != nil {
		return err
	}
	return b.do(b.tool("nobodd-cp", "tftp/eight.bin", "tftp/initrd.img", "tftp.img:0:/")...)
}

// servers starts all servers that there are, ours first.
func (b *bench) servers() ([]*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	var servers []*server
	start := func(name, prefix string, command func(port string) []string) error {
		s := &server{name: name, prefix: prefix}
		port, err := freePort()
		if err != nil {
			return err
		}
		s.addr = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
		args := command(strconv.Itoa(int(port)))
		s.cmd = exec.Command(args[0], args[1:]...)
		s.cmd.Dir = b.tmp
		servers = append(servers, s)
		return s.cmd.Start()
	}
	err = start("nobodd-tftpd", serial+"/", func(port string) []string {
		return b.tool("nobodd-tftpd", "--listen", "127.0.0.1", "--port", port, "--board", serial+","+b.path("tftp.img"))
	})
	if err != nil {
		return servers, err
	}
	if len(testimg.Absent("in.tftpd")) == 0 {
		err = start("tftpd-hpa", "", func(port string) []string {
			return []string{"in.tftpd", "--foreground", "--address", "127.0.0.1:" + port, "--user", me.Username, "--secure", b.path("tftp")}
		})
		if err != nil {
			return servers, err
		}
	}
	err = start("bare pin/tftp", "", func(port string) []string {
		return []string{self, "-serve", "127.0.0.1:" + port, b.path("tftp")}
	})
	return servers, err
}

func freePort() (uint16, error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return uint16(conn.LocalAddr().(*net.UDPAddr).Port), nil
}

// serveBare is a server of files with pin/tftp and nothing else.
func serveBare(addr, dir string) error {
	s := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		f, err := os.Open(filepath.Join(dir, filepath.Base(name)))
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = to.ReadFrom(f)
		return err
	}, nil)
	return s.ListenAndServe(addr)
}

// ready waits until the server answers, for at most 5 seconds.
func (s *server) ready() error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.addr))
	if err != nil {
		return err
	}
	conn.Close()
	for range 50 {
		if conn, err = net.ListenUDP("udp", nil); err != nil {
			return err
		}
		_, err = conn.WriteTo([]byte("\x00\x01nonesuch\x00octet\x00"), net.UDPAddrFromAddrPort(s.addr))
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			_, _, err = conn.ReadFrom(make([]byte, 600))
		}
		conn.Close()
		if err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer: %w", s.name, err)
}

// load loads the server and notes its throughput in MB/s if it counts.
func (s *server) load(name string, want []byte, clients int, counts bool) error {
	took, err := load(s.addr, s.prefix+name, want, clients)
	if err != nil {
		return fmt.Errorf("%s, %d clients: %w", s.name, clients, err)
	}
	if counts {
		s.rates = append(s.rates, float64(clients*len(want))/1e6/took.Seconds())
	}
	return nil
}

// compareServers adds the rows for the loads measured since the last call.
func (b *bench) compareServers(what string, servers []*server) {
	rate := map[string]float64{}
	for _, s := range servers {
		slices.Sort(s.rates)
		rate[s.name] = s.rates[len(s.rates)/2]
		s.rates = nil
	}
	ours, bare := rate["nobodd-tftpd"], rate["bare pin/tftp"]
	if hpa, ok := rate["tftpd-hpa"]; ok {
		b.against(what, "tftpd-hpa", ours, hpa, -0.9, "MB/s")
		b.against("  the library alone", "tftpd-hpa", bare, hpa, 0, "MB/s")
	}
	b.against("  beside the library alone", "bare pin/tftp", ours, bare, 0, "MB/s")
}

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
}

// peakMiB is the most memory that the server ever had resident.
func (s *server) peakMiB() float64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, ok := strings.CutPrefix(string(line), "VmHWM:"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

func (s *server) descriptors() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(list)
}

// descriptorsSettle gives the number of descriptors once it is down to want, or after 5 s.
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
