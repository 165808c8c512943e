// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Patience with a board that is silent, on a machine that is busy.
const (
	aMoment = 5 * time.Minute // for what says what it does
	anHour  = time.Hour       // for mkinitramfs
)

const firmware = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"

// emulated is a board in QEMU that was switched on.
type emulated struct {
	serial string
	cmd    *exec.Cmd
	*console
}

// switchOn starts QEMU with U-Boot and a network card at the tap device of that number. What the
// board says goes to log.
func switchOn(serial string, number int, log string) (*emulated, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	// U-Boot takes the first byte of the address for all of them.
	mac := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%02x:", 0x52+4*number), 6), ":")
	nic := "virtio-net-pci,netdev=lan,romfile=,mac=" + mac
	cmd := exec.Command("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a57", "-smp", "2", "-m", "1024",
		"-accel", "tcg,thread=multi", "-display", "none", "-monitor", "none", "-serial", "stdio", "-bios", firmware,
		"-netdev", fmt.Sprintf("tap,id=lan,ifname=tap%d,script=no,downscript=no", number), "-device", nic,
		"-device", "virtio-rng-pci")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		w.CloseWithError(cmd.Wait())
	}()
	return &emulated{serial: serial, cmd: cmd, console: newConsole(in, out, file)}, nil
}

// switchOff pulls the plug.
func (b *emulated) switchOff() {
	b.cmd.Process.Kill()
	for range b.heard {
	}
}

// Addresses in the memory of QEMU's "virt" machine, which begins at 0x40000000: those that U-Boot sets
// itself for the kernel and the initramfs leave too little between them for some kernels.
const (
	textAddr      = 0x46000000
	kernelAddr    = 0x48000000
	initramfsAddr = 0x50000000
)

var (
	autoboot = regexp.MustCompile(`Hit any key to stop autoboot`)
	prompt   = regexp.MustCompile(`(?m)^=> $`)
	size     = regexp.MustCompile(`Bytes transferred = (\d+)`)
	dumped   = regexp.MustCompile(`(?m)^[0-9a-f]{8}: ((?:[0-9a-f]{2} )+)`)
)

// netboot does at U-Boot's prompt what the firmware of a Pi does by itself, up to the kernel's
// start: an address by DHCP, config.txt, what that names, and the command line.
func (b *emulated) netboot() error {
	if _, _, _, err := b.expect(aMoment, autoboot); err != nil {
		return err
	}
	if err := b.send(""); err != nil {
		return err
	}
	if _, _, _, err := b.expect(aMoment, prompt); err != nil {
		return err
	}
	if _, err := b.run("setenv autoload no; dhcp", aMoment); err != nil {
		return err
	}
	config, err := b.text("config.txt")
	if err != nil {
		return err
	}
	cmdline, err := b.text("cmdline.txt")
	if err != nil {
		return err
	}
	kernel, initramfs := named(config)
	if _, err := b.load(kernelAddr, kernel); err != nil {
		return err
	}
	ramdisk := "-" // none, as for a Pi's firmware that finds no such file
	if initramfs != "" {
		n, err := b.load(initramfsAddr, initramfs)
		if err == nil {
			ramdisk = fmt.Sprintf("%x:%x", initramfsAddr, n)
		} else if !strings.Contains(err.Error(), "TFTP error") {
			return err
		}
	}
	line, _, _ := strings.Cut(cmdline, "\n")
	if _, err := b.run("setenv bootargs '"+line+"'", aMoment); err != nil {
		return err
	}
	return b.send(fmt.Sprintf("booti %x %s $fdtcontroladdr", kernelAddr, ramdisk))
}

// load has U-Boot fetch the file of that name to addr, and returns its size. On a machine that is too busy for
// board and server both to be in time, U-Boot gives up: that is said, and tried again.
func (b *emulated) load(addr int, name string) (int, error) {
	command := fmt.Sprintf("tftpboot %x %s/%s", addr, b.serial, name)
	out, err := b.run(command, aMoment)
	for range 3 {
		if err == nil || !strings.Contains(out, "Retry count exceeded") {
			break
		}
		say("U-Boot gave up on %s, and is to try again", name)
		out, err = b.run(command, aMoment)
	}
	if err != nil {
		return 0, err
	}
	m := size.FindStringSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("U-Boot does not say how large %s is:\n%s", name, out)
	}
	return strconv.Atoi(m[1])
}

// text returns a file that U-Boot has fetched, read out of the board's memory.
func (b *emulated) text(name string) (string, error) {
	n, err := b.load(textAddr, name)
	if err != nil {
		return "", err
	}
	out, err := b.run(fmt.Sprintf("md.b %x %x", textAddr, n), aMoment)
	if err != nil {
		return "", err
	}
	var text []byte
	for _, m := range dumped.FindAllStringSubmatch(out, -1) {
		for hex := range strings.FieldsSeq(m[1]) {
			c, err := strconv.ParseUint(hex, 16, 8)
			if err != nil {
				return "", err
			}
			text = append(text, byte(c))
		}
	}
	if len(text) != n {
		return "", fmt.Errorf("%s has %d bytes, and U-Boot shows %d", name, n, len(text))
	}
	return string(text), nil
}

// named returns the kernel and the initramfs that a config.txt of Debian's names; it knows no
// more of that file than Debian writes.
func named(config string) (kernel, initramfs string) {
	for line := range strings.Lines(config) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "kernel="); ok {
			kernel = name
		}
		if name, ok := strings.CutPrefix(line, "initramfs "); ok {
			initramfs, _, _ = strings.Cut(name, " ")
		}
	}
	return kernel, initramfs
}

const loginPrompt = "login prompt"

// ends are the ways in which a boot ends: at the login prompt, or stuck.
var ends = []struct {
	pattern *regexp.Regexp
	what    string
}{
	{regexp.MustCompile(`\blogin: `), loginPrompt},
	{regexp.MustCompile(`ALERT! +[^\r\n]* does not exist`), "stuck in the initramfs: no root device"},
	{regexp.MustCompile(`\(initramfs\) `), "stuck in the initramfs"},
	{regexp.MustCompile(`Kernel panic - not syncing: ([^\r\n]*)`), "kernel panic"},
	{regexp.MustCompile(`Waiting for root device [^\r\n]*`), "no initramfs: the kernel waits for its root"},
	{regexp.MustCompile(`(?i)Entering emergency mode|emergency shell`), "stuck in the emergency shell"},
	{regexp.MustCompile(`Starting kernel \.\.\.[^\r\n]*\s+U-Boot `), "reset by the kernel"},
	{regexp.MustCompile(`"Synchronous Abort" handler`), "crash where the kernel starts"},
	{regexp.MustCompile(`Bad Linux ARM64 Image magic`), "not started by U-Boot"},
}

// boot switches nothing on: it netboots the board that is at U-Boot, and returns where that ends.
func (b *emulated) boot() (string, error) {
	if err := b.netboot(); err != nil {
		return "", err
	}
	return b.end()
}

// end waits for the end of a boot, and returns what it is. Silence is one, too.
func (b *emulated) end() (string, error) {
	patterns := make([]*regexp.Regexp, len(ends))
	for i, end := range ends {
		patterns[i] = end.pattern
	}
	i, m, _, err := b.expect(aMoment, patterns...)
	if errors.Is(err, errSilent) {
		return "silent", nil
	}
	if err != nil {
		return "", err
	}
	if len(m) > 1 {
		return ends[i].what + ": " + m[1], nil
	}
	return ends[i].what, nil
}

var shell = regexp.MustCompile(`board# $`)

// login logs root in, who has no password, to a shell that says no more than it must.
func (b *emulated) login() error {
	if err := b.send("root"); err != nil {
		return err
	}
	if _, _, _, err := b.expect(aMoment, regexp.MustCompile(`# $`)); err != nil {
		return err
	}
	if err := b.send("exec env TERM=dumb PS1=board'# ' dash"); err != nil { // which is echoed, and no prompt
		return err
	}
	if _, _, _, err := b.expect(aMoment, shell); err != nil {
		return err
	}
	_, err := b.run("dmesg -n 1", aMoment)
	return err
}
