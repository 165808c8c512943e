// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is the address of this machine on the boards' network.
const server = "10.77.0.1"

// lab is a network with servers and boards on it.
type lab struct {
	dir     string // of images and configurations, gone afterwards
	logs    string // of what servers and boards say
	running []*exec.Cmd
	tftpd   *os.Process
	boards  []*emulated
}

// path returns the path of a file in the lab.
func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// newLab makes the network, for that many boards, and starts what all parts need of servers: dnsmasq
// and nobodd-tftpd.
func newLab(dir, logs string, boards int) (*lab, error) {
	l := &lab{dir: dir, logs: logs}
	commands := [][]string{
		{"ip", "link", "set", "lo", "up"},
		{"ip", "link", "add", "lan", "type", "bridge"},
		{"ip", "address", "add", server + "/24", "dev", "lan"},
		{"ip", "link", "set", "lan", "up"},
	}
	for i := range boards {
		tap := fmt.Sprintf("tap%d", i)
		commands = append(commands, []string{"ip", "tuntap", "add", "dev", tap, "mode", "tap"},
			[]string{"ip", "link", "set", tap, "master", "lan", "up"})
	}
	for _, c := range commands {
		if _, err := l.do(c...); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{"conf.d", "nbd.d", "exports"} {
		if err := os.MkdirAll(l.path(d), 0o755); err != nil {
			return nil, err
		}
	}
	conf := "[tftp]\nlisten = " + server + "\nincludedir = conf.d\n"
	if err := os.WriteFile(l.path("nobodd.conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	// The name is for what nobodd-check says of names; no other is known here.
	if err := l.start("dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
		"--interface=lan", "--bind-interfaces", "--dhcp-range=10.77.0.50,10.77.0.99,1h", "--dhcp-authoritative",
		"--address=/server.example/"+server, "--user=root", "--pid-file=", "--dhcp-leasefile="+l.path("leases")); err != nil {
		return nil, err
	}
	return l, nil
}

// do runs a command in the lab's folder and returns what it prints.
func (l *lab) do(args ...string) (string, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = l.dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String(), nil
}

// start starts a server, whose words go to a log of that name.
func (l *lab) start(name string, args ...string) error {
	log, err := os.OpenFile(filepath.Join(l.logs, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = l.dir, log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	l.running = append(l.running, cmd)
	return nil
}

// serve starts nobodd-tftpd, and the NBD server of that name, for the boards that were prepared.
func (l *lab) serve(nbd string) error {
	if err := l.start("nobodd-tftpd", "nobodd-tftpd", "--config", "nobodd.conf"); err != nil {
		return err
	}
	l.tftpd = l.running[len(l.running)-1].Process
	if nbd == "nbdkit" {
		if err := l.start(nbd, "nbdkit", "--foreground", "--ipaddr", server, "file", "dir="+l.path("exports")); err != nil {
			return err
		}
		return reached("10809")
	}
	conf := "[generic]\nlistenaddr = " + server + "\nincludedir = " + l.path("nbd.d") + "\nallowlist = true\n"
	if err := os.WriteFile(l.path("nbd.conf"), []byte(conf), 0o644); err != nil {
		return err
	}
	// In the foreground it serves one client and ends. As a daemon it ends with the process namespace.
	if _, err := l.do("nbd-server", "-C", l.path("nbd.conf"), "-p", l.path("nbd.pid")); err != nil {
		return err
	}
	return reached("10809")
}

// reached waits until a server listens on the TCP port.
func reached(port string) error {
	var err error
	for range 100 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", net.JoinHostPort(server, port)); err == nil {
			return conn.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// reload has nobodd-tftpd read its configuration again, and waits until it serves
// the board.
func (l *lab) reload(serial string) error {
	if err := l.tftpd.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	var err error
	for range 100 {
		if _, err = l.served(serial, "config.txt"); err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

// stop ends the servers and switches the boards off.
func (l *lab) stop() {
	for _, b := range l.boards {
		b.switchOff()
	}
	for _, cmd := range l.running {
		cmd.Process.Kill()
		cmd.Wait()
	}
	l.boards, l.running = nil, nil
}

// power switches on a board with the serial number at the tap device of that number.
func (l *lab) power(name, serial string, number int) (*emulated, error) {
	b, err := switchOn(serial, number, filepath.Join(l.logs, name+".serial.log"))
	if err == nil {
		l.boards = append(l.boards, b)
	}
	return b, err
}

// prepare has nobodd-prep make a copy of the image ready for a board. Further options may follow.
func (l *lab) prepare(template, name, serial string, options ...string) error {
	if _, err := l.do("cp", "--reflink=auto", "--sparse=always", template, name+".img"); err != nil {
		return err
	}
	args := []string{"nobodd-prep", "--size", "4GB", "--nbd-host", server, "--serial", serial,
		"--tftpd-conf", "conf.d/" + name + ".conf", "--nbd-conf", "nbd.d/" + name + ".conf", "--nbd-link", "exports"}
	_, err := l.do(append(append(args, options...), name+".img")...)
	return err
}

// served returns a file of a board's as nobodd-tftpd serves it now.
func (l *lab) served(serial, name string) (string, error) {
	return l.do("curl", "--silent", "--show-error", "--max-time", "60", "tftp://"+server+"/"+serial+"/"+name)
}

// check returns the first FAIL that nobodd-check has for a board's image, "" if it finds that all is well.
func (l *lab) check(image string) (string, error) {
	out, err := l.do("nobodd-check", "-q", "-m", "pi4", image)
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		return "", err
	}
	_, fail, _ := strings.Cut(out, "FAIL ")
	fail, _, _ = strings.Cut(strings.TrimSpace(fail), "\n")
	if (fail == "") != (err == nil) {
		return "", fmt.Errorf("nobodd-check says %q, and %v", out, err)
	}
	return fail, nil
}
