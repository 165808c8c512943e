// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	serial    = "89025d75"
	eightSize = 8 << 20
	twoSize   = 2 << 20
	smallSize = 150_000
)

// stage is a load that all servers take in turns, and what is asked of ours.
type stage struct {
	load
	warmUp bool               // there is a round that does not count
	speed  map[string]float64 // the least that our throughput may be, relative to a peer's
	work   map[string]float64 // the most that our CPU time a GB may be
	peak   float64            // the most that may be resident, in MiB; 0 for any
}

// benchTFTP compares nobodd-tftpd with tftpd-hpa, dnsmasq and atftpd, and with the least that a
// server in lock step can do.
func benchTFTP(b *bench) error {
	if b.lacks("TFTP", "mkfs.vfat") {
		return nil
	}
	initrd, eight, two, small := noise(1, initrdSize), noise(3, eightSize), noise(5, twoSize), noise(4, smallSize)
	if err := b.tftpFiles(map[string][]byte{"eight.bin": eight, "two.bin": two, "small.bin": small}); err != nil {
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
	descriptors := ours.descriptors()
	speed := map[string]float64{"tftpd-hpa": 1, "dnsmasq": 1, limitName: 0.9}
	work := map[string]float64{"tftpd-hpa": 1, "dnsmasq": 1.1}
	for _, st := range []stage{
		{load: load{"initrd.img", initrd, 1, 1}, warmUp: true, speed: speed, work: map[string]float64{"tftpd-hpa": 1}},
		{load: load{"eight.bin", eight, 32, 1}, speed: speed, work: work},
		{load: load{"two.bin", two, 128, 1}, speed: speed, work: work, peak: 32},
		{load: load{"small.bin", small, 1000, 1}, speed: map[string]float64{"dnsmasq": 1, "atftpd": 1}, peak: 64},
		{load: load{"initrd.img", initrd, 1, 4}, speed: map[string]float64{"atftpd": 1}},
		{load: load{"initrd.img", initrd, 1, 16}, speed: map[string]float64{"atftpd": 2}},
		{load: load{"initrd.img", initrd, 1, 64}, speed: map[string]float64{"atftpd": 2}},
	} {
		if err := b.runStage(st, servers); err != nil {
			return err
		}
	}
	left := ours.descriptorsSettle(descriptors)
	b.atMost("nobodd-tftpd: descriptors left open by all that", float64(left-descriptors), 0, "")
	return nil
}

// runStage loads the servers of a stage in turns and adds its rows.
func (b *bench) runStage(st stage, all []*server) error {
	servers := all[:1:1]
	for _, s := range all[1:] {
		if st.speed[s.name] > 0 {
			servers = append(servers, s)
		}
	}
	failed, err := b.takeTurns(st, servers)
	if err != nil {
		return err
	}
	ours := servers[0]
	rate, work := ours.rate(), ours.work()
	for _, s := range servers[1:] {
		if err := failed[s.name]; err != nil {
			b.rows = append(b.rows, row{what: st.String(), ours: format(rate, "MB/s"), peer: s.name, verdict: "the peer failed: " + err.Error()})
			continue
		}
		b.against(st.String(), s.name, rate, s.rate(), -st.speed[s.name], "MB/s")
		theirs := s.work()
		if bar := st.work[s.name]; bar > 0 && theirs > 0 {
			b.against("  CPU time a GB", s.name, work, theirs, bar, "ms")
		}
	}
	if st.peak > 0 {
		b.atMost("  peak memory", ours.memory("VmHWM"), st.peak, "MiB")
	}
	return nil
}

// takeTurns loads the servers in turns. A peer that fails is left alone from then on; if ours does, that
// is an error.
func (b *bench) takeTurns(st stage, servers []*server) (failed map[string]error, err error) {
	first := 0
	if st.warmUp {
		first = -1
	}
	failed = map[string]error{}
	for round := first; round < b.rounds; round++ {
		for i := range servers {
			// Which server goes first changes, so that none always has the warmer machine.
			s := servers[(i+round+1)%len(servers)]
			if failed[s.name] != nil {
				continue
			}
			err := s.load(st.load, round >= 0)
			if err != nil && s != servers[0] {
				failed[s.name] = err
				s.rates, s.gb, s.cpu = nil, 0, 0
				err = s.restart()
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return failed, nil
}

// String is the name of the stage in the table.
func (st stage) String() string {
	clients := "one client"
	if st.clients > 1 {
		clients = fmt.Sprintf("%d clients", st.clients)
	}
	s := fmt.Sprintf("TFTP, %s, %d bytes each", clients, len(st.want))
	if st.window > 1 {
		s += fmt.Sprintf(", windowsize %d", st.window)
	}
	return s
}

// tftpFiles makes the image that nobodd-tftpd serves, and a directory with the same.
func (b *bench) tftpFiles(files map[string][]byte) error {
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
	names := []string{"tftp/initrd.img"}
	for name, data := range files {
		names = append(names, "tftp/"+name)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	if err := b.do("cp", "initrd.img", "tftp/initrd.img"); err != nil {
		return err
	}
	if err := b.fat32("tftp.img", 256); err != nil {
		return err
	}
	return b.do(b.tool("nobodd-cp", append(names, "tftp.img:0:/")...)...)
}
