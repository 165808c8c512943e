// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nobodd/internal/config"
	"nobodd/internal/testimg"
)

// patience is how long a boot loader in an emulated machine may take. Where nothing else runs it takes
// a few seconds.
const patience = 3 * time.Minute

// uBoot is U-Boot for a PC.
const uBoot = "/usr/lib/u-boot/qemu-x86/u-boot.rom"

// machine is an emulated PC whose memory is a file. Its network is QEMU's: the addresses there stand
// for this machine.
type machine struct {
	*testing.T
	memory string
	stdin  io.Writer
	stdout io.Reader
	said   []byte // on the serial line
	heard  int    // bytes of that
}

// newMachine starts a machine, which runs until the test ends. Args say what it boots and its network.
func newMachine(t *testing.T, megabytes int, args ...string) *machine {
	t.Helper()
	m := &machine{T: t, memory: filepath.Join(t.TempDir(), "memory")}
	cmd := exec.Command("qemu-system-x86_64", append([]string{
		"-accel", "tcg", "-machine", "pc,memory-backend=ram", "-m", fmt.Sprint(megabytes),
		"-object", fmt.Sprintf("memory-backend-file,id=ram,size=%dM,share=on,mem-path=%s", megabytes, m.memory),
		"-display", "none", "-nodefaults", "-serial", "stdio",
	}, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	var err error
	if m.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if m.stdout, err = cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	t.Cleanup(func() {
		late.Stop()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the machine said:\n%s\n%s", m.said, errs.Bytes())
		}
	})
	return m
}

// await waits for a text on the serial line, after the last one that was waited for.
func (m *machine) await(text string) {
	m.Helper()
	buf := make([]byte, 4096)
	for {
		if i := bytes.Index(m.said[m.heard:], []byte(text)); i >= 0 {
			m.heard += i + len(text)
			return
		}
		n, err := m.stdout.Read(buf)
		m.said = append(m.said, buf[:n]...)
		if err != nil {
			m.Fatalf("waiting for %q: %v", text, err)
		}
	}
}

// enter types a line.
func (m *machine) enter(line string) {
	m.Helper()
	if _, err := io.WriteString(m.stdin, line+"\n"); err != nil {
		m.Fatal(err)
	}
}

// content returns what is in the machine's memory.
func (m *machine) content() []byte {
	m.Helper()
	b, err := os.ReadFile(m.memory)
	if err != nil {
		m.Fatal(err)
	}
	return b
}

// TestIPXE: iPXE, by whose script a PC boots, has the files in its memory byte by byte.
func TestIPXE(t *testing.T) {
	testimg.NeedPeer(t, "qemu-system-x86_64")
	path, tree := ubuntu(t)
	names := []string{"initrd.img", "overlays/overlay_map.dtb", "config.txt", "cmdline.txt"}
	script := "#!ipxe\n"
	for i, name := range names { // in the folder of the script
		script += fmt.Sprintf("imgfetch --name %d %s\n", i, name)
	}
	script += "sleep 1000\n"
	d := startWith(t, board(path), func(b config.Board, name string) (file, error) {
		if name == "boot.ipxe" {
			return &memory{ReaderAt: strings.NewReader(script), size: int64(len(script))}, nil
		}
		return openFile(b, name)
	})
	boots := fmt.Sprintf("tftp://10.0.2.2:%d/89025d75/boot.ipxe", d.addr.Port())
	m := newMachine(t, 64, "-boot", "n", "-netdev", "user,id=n,bootfile="+boots, "-device", "virtio-net-pci,netdev=n")
	// The last file is there to say that all before it are.
	d.log.waitFor(t, patience, 1, "file="+names[len(names)-1]+" outcome=sent")
	content := m.content()
	for _, name := range names[:len(names)-1] {
		if !bytes.Contains(content, tree[name]) {
			t.Errorf("%s: its %d bytes are not in the memory", name, len(tree[name]))
		}
	}
}

// TestUBoot: U-Boot has the files where it was told to put them, byte by byte, whatever the block size.
func TestUBoot(t *testing.T) {
	testimg.NeedPeer(t, "qemu-system-x86_64", uBoot)
	path, tree := ubuntu(t)
	cfg := board(path)
	cfg.Listen, cfg.Port = "127.0.69.69", 69 // it asks no other port, and QEMU would answer for its own addresses
	needAddress(t, cfg.Listen, cfg.Port)
	start(t, cfg)
	m := newMachine(t, 128, "-bios", uBoot, "-netdev", "user,id=n", "-device", "e1000,netdev=n")
	m.await("Hit any key to stop autoboot")
	m.enter("")
	const load = 0x2000000
	for _, tt := range []struct {
		block int
		name  string
	}{{1468, "start4.elf"}, {512, "fixup4.dat"}, {1024, "overlays/overlay_map.dtb"}, {1468, "config.txt"}} {
		want := tree[tt.name]
		m.await("=> ")
		m.enter("setenv ipaddr 10.0.2.15; setenv netmask 255.255.255.0; setenv gatewayip 10.0.2.2; setenv serverip " + cfg.Listen)
		m.await("=> ")
		m.enter(fmt.Sprintf("setenv tftpblocksize %d; tftpboot %x 89025d75/%s", tt.block, load, tt.name))
		m.await(fmt.Sprintf("Bytes transferred = %d ", len(want)))
		if got := m.content()[load:][:len(want)]; !bytes.Equal(got, want) {
			t.Errorf("%s by blocks of %d: the memory holds something else", tt.name, tt.block)
		}
	}
}

// needAddress skips the test where it may not listen on an address, which in CI it must.
func needAddress(t *testing.T, addr string, port int) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(addr), uint16(port))))
	switch {
	case err == nil:
		conn.Close()
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}
