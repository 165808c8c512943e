// SPDX-License-Identifier: GPL-3.0-or-later

package storytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"nobodd/internal/testimg"
)

// patience bounds each wait for a program of the story.
const patience = 30 * time.Second

func TestMain(m *testing.M) { testimg.Main(m) }

// workshop is the directory of the story, with the programs on PATH.
type workshop struct {
	testing.TB
	dir string
}

func newWorkshop(t *testing.T) *workshop {
	bin := testimg.Commands(t)
	scripts := filepath.Join(testimg.Root(), "scripts")
	t.Setenv("PATH", strings.Join([]string{bin, scripts, os.Getenv("PATH"), "/usr/sbin", "/sbin"}, ":"))
	w := &workshop{t, t.TempDir()}
	for _, dir := range []string{"nobodd/conf.d", "nbd-server/conf.d", "images", "farm"} {
		if err := os.MkdirAll(w.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

func (w *workshop) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.Fatal(err)
	}
}

func (w *workshop) read(name string) string {
	w.Helper()
	data, err := os.ReadFile(w.path(name))
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}

// run runs a command in the directory of the story and returns what it printed.
func (w *workshop) run(name string, args ...string) string {
	w.Helper()
	return w.runFor(patience, name, args...)
}

// runFor is run for a command that may take longer.
func (w *workshop) runFor(patience time.Duration, name string, args ...string) string {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = w.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs a server until the test ends, and shows its log, which is in NAME.log, if the test failed.
func (w *workshop) start(env []string, name string, args ...string) {
	w.Helper()
	log, err := os.OpenFile(w.path(name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		w.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		kill := time.AfterFunc(patience, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer kill.Stop()
		cmd.Wait()
		if w.Failed() {
			w.Logf("%s:\n%s", name, w.read(name+".log"))
		}
	})
}

// startNBD starts nbd-server with the sections in nbd-server/conf.d and connects to one.
func (w *workshop) startNBD(export string) *testimg.NBD {
	w.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	listener.Close()
	w.write("nbd-server/config", fmt.Sprintf("[generic]\nlistenaddr = 127.0.0.1\nport = %d\nincludedir = %s\n",
		address.Port, w.path("nbd-server/conf.d")))
	w.start(nil, "nbd-server", "-d", "-C", w.path("nbd-server/config"), "-p", w.path("nbd-server.pid"))

	var conn net.Conn
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if conn, err = net.Dial("tcp", address.String()); err == nil {
			break
		}
		if time.Now().After(end) {
			w.Fatal(err)
		}
	}
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		w.Fatal(err)
	}
	client, err := testimg.NewNBD(conn, export)
	if err != nil {
		w.Fatal(err)
	}
	return client
}

// startTFTP starts nobodd-tftpd at 127.0.0.1 with the sections in nobodd/conf.d and waits until it
// says that it is ready.
func (w *workshop) startTFTP() *net.UDPAddr {
	w.Helper()
	return w.startTFTPAt(net.IPv4(127, 0, 0, 1))
}

// startTFTPAt is startTFTP at another address.
func (w *workshop) startTFTPAt(ip net.IP) *net.UDPAddr {
	w.Helper()
	free, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
	if err != nil {
		w.Fatal(err)
	}
	address := free.LocalAddr().(*net.UDPAddr)
	free.Close()
	w.write("nobodd/nobodd.conf", "[tftp]\nincludedir = conf.d\n")

	// A directory of its own: the name of a socket has to be short.
	dir, err := os.MkdirTemp("", "story")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { os.RemoveAll(dir) })
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "notify")})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { notify.Close() })
	w.start([]string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify")}, "nobodd-tftpd", "-v", "--config", w.path("nobodd/nobodd.conf"),
		"--listen", ip.String(), "--port", fmt.Sprint(address.Port))
	if err := notify.SetReadDeadline(time.Now().Add(patience)); err != nil {
		w.Fatal(err)
	}
	for buf := make([]byte, 4096); ; {
		n, err := notify.Read(buf)
		if err != nil {
			w.Fatalf("waiting for READY=1: %v", err)
		}
		if strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n") {
			return address
		}
	}
}

func (w *workshop) wantFile(b *board, name, want string) {
	w.Helper()
	got, err := b.fetch(name)
	if err != nil {
		w.Fatal(err)
	}
	if string(got) != want {
		w.Fatalf("%s: got %d bytes %.60q, want %d bytes %.60q", name, len(got), got, len(want), want)
	}
}

func TestStory(t *testing.T) {
	testimg.NeedPeer(t, "nbd-server", "mcopy", "fsck.vfat", "sfdisk")
	w := newWorkshop(t)

	// A template becomes the instance of one board.
	if err := testimg.Unpack("ubuntu", w.path("images/jammy-template.img")); err != nil {
		t.Fatal(err)
	}
	userData := "#cloud-config\npackage_update: true\npackages:\n- avahi-daemon\n- nbd-client\n- linux-modules-extra-raspi\n"
	initrd := strings.Repeat("the initramfs of the board, with nbd-client in it\n", 30000)
	w.write("user-data", userData)
	w.write("initrd.img", initrd)
	w.run("cp", "--sparse=always", "images/jammy-template.img", "images/jammy.img")
	w.run("nobodd-prep", "--copy", "user-data", "--copy", "initrd.img", "--size", "16GB",
		"--nbd-host", "server", "--serial", "1000000089025d75",
		"--tftpd-conf", "nobodd/conf.d/jammy.conf", "--nbd-conf", "nbd-server/conf.d/jammy.conf", "images/jammy.img")
	if got, want := w.read("nobodd/conf.d/jammy.conf"), "[board:89025d75]\nimage = "+w.path("images/jammy.img")+"\npartition = 1\n"; got != want {
		t.Errorf("section for nobodd-tftpd:\n%swant\n%s", got, want)
	}
	if got, want := w.read("nbd-server/conf.d/jammy.conf"), "[jammy]\nexportname = "+w.path("images/jammy.img")+
		"\nflush = true\ntrim = true\n"; got != want {
		t.Errorf("section for nbd-server:\n%swant\n%s", got, want)
	}

	// Both servers run on what nobodd-prep wrote, and the board boots.
	root := w.startNBD("jammy")
	if root.Size != 16<<30 {
		t.Errorf("the board's disk has %d bytes, want 16 GiB", root.Size)
	}
	b := &board{w.startTFTP(), "89025d75"}
	cmdline := "ip=dhcp nbdroot=server/jammy root=/dev/nbd0p2 console=serial0,115200 dwc_otg.lpm_enable=0 " +
		"console=tty1 rootfstype=ext4 rootwait fixrtc quiet splash\n"
	w.wantFile(b, "start4.elf", w.run("nobodd-cat", "images/jammy-template.img:/start4.elf"))
	w.wantFile(b, "cmdline.txt", cmdline)
	w.wantFile(b, "user-data", userData)
	w.wantFile(b, "initrd.img", initrd)
	w.wantFile(b, "vmlinuz", w.run("nobodd-cat", "images/jammy-template.img:/vmlinuz"))
	if _, err := b.fetch("recovery.elf"); !errors.Is(err, errNotThere) {
		t.Errorf("recovery.elf: %v, want %v", err, errNotThere)
	}

	// The board upgrades its kernel: its FAT driver writes to the disk that it has by NBD.
	kernel := strings.Repeat("a new kernel, and a longer one\n", 50000)
	newCmdline := strings.Replace(cmdline, "quiet splash", "panic=10", 1)
	w.upgrade(root, map[string]string{"vmlinuz": kernel, "cmdline.txt": newCmdline})

	// It boots again, and gets the new bytes at once.
	w.wantFile(b, "vmlinuz", kernel)
	w.wantFile(b, "cmdline.txt", newCmdline)
	w.wantFile(b, "initrd.img", initrd)

	if err := root.Close(); err != nil {
		t.Error(err)
	}
	w.wantClean("images/jammy.img")
}

// Both servers find an image by its section, whatever it is called.
func TestStoryOddNames(t *testing.T) {
	testimg.NeedPeer(t, "nbd-server")
	w := newWorkshop(t)
	for i, name := range []string{"100% it's %s.img", `"my" ; #1 = [x].img`, "ä $HOME ~ *.img"} {
		image := "images/" + name
		if err := testimg.Unpack("ubuntu", w.path(image)); err != nil {
			t.Fatal(err)
		}
		export := fmt.Sprint("odd", i)
		w.run("nobodd-prep", "--size", "40M", "--nbd-host", "server", "--nbd-name", export, "--serial", fmt.Sprint(i),
			"--tftpd-conf", "nobodd/conf.d/"+export+".conf", "--nbd-conf", "nbd-server/conf.d/"+export+".conf", image)
		disk := w.startNBD(export)
		if disk.Size != 40<<20 {
			t.Errorf("%s: the board's disk has %d bytes, want 40 MiB", name, disk.Size)
		}
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	}
	tftp := w.startTFTP()
	for i := range 3 {
		b := &board{tftp, fmt.Sprintf("%08x", i)}
		w.wantFile(b, "cmdline.txt", fmt.Sprintf("ip=dhcp nbdroot=server/odd%d root=/dev/nbd0p2 console=serial0,115200 "+
			"dwc_otg.lpm_enable=0 console=tty1 rootfstype=ext4 rootwait fixrtc quiet splash\n", i))
	}
}

// The boot partition of the fixture.
const (
	bootStart = 1 << 20
	bootSize  = 34 << 20
)

// upgrade writes files to the boot partition as a board does, block by block: mtools
// changes a copy of the partition, and the blocks that differ go to the disk.
func (w *workshop) upgrade(disk *testimg.NBD, files map[string]string) {
	w.Helper()
	old := make([]byte, bootSize)
	if _, err := disk.ReadAt(old, bootStart); err != nil {
		w.Fatal(err)
	}
	w.write("boot.vfat", string(old))
	for name, text := range files {
		w.write("upgrade", text)
		w.run("mcopy", "-o", "-i", "boot.vfat", "upgrade", "::/"+name)
	}
	changed := []byte(w.read("boot.vfat"))
	const block = 4096
	for off := 0; off < bootSize; off += block {
		if p := changed[off : off+block]; !bytes.Equal(p, old[off:off+block]) {
			if _, err := disk.WriteAt(p, bootStart+int64(off)); err != nil {
				w.Fatal(err)
			}
		}
	}
	if err := disk.Flush(); err != nil {
		w.Fatal(err)
	}
}

// wantClean lets the standard tools look at the image.
func (w *workshop) wantClean(image string) {
	w.Helper()
	w.run("sfdisk", "--verify", image)
	f, err := os.Open(w.path(image))
	if err != nil {
		w.Fatal(err)
	}
	defer f.Close()
	boot := make([]byte, bootSize)
	if _, err := f.ReadAt(boot, bootStart); err != nil {
		w.Fatal(err)
	}
	w.write("boot.vfat", string(boot))
	w.run("fsck.vfat", "-n", "boot.vfat")
}
