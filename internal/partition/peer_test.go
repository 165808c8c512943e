// SPDX-License-Identifier: GPL-3.0-or-later

package partition

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"nobodd/internal/testimg"
)

// sfdiskTable is what sfdisk --json prints.
type sfdiskTable struct {
	PartitionTable struct {
		Label      string
		Partitions []struct {
			Node, Type, Name string
			Start, Size      int64
		}
	}
}

// readBySfdisk returns sfdisk's view of the table, without extended partitions.
func readBySfdisk(t *testing.T, path string) (label string, parts []Partition) {
	t.Helper()
	out, err := exec.Command("sfdisk", "--json", path).Output()
	if err != nil {
		t.Fatalf("sfdisk: %v", err)
	}
	var table sfdiskTable
	if err := json.Unmarshal(out, &table); err != nil {
		t.Fatal(err)
	}
	for _, p := range table.PartitionTable.Partitions {
		q := Partition{Start: p.Start * 512, Size: p.Size * 512, Type: p.Type, Name: p.Name}
		if _, err := fmt.Sscanf(strings.TrimPrefix(p.Node, path), "%d", &q.Num); err != nil {
			t.Fatalf("node %q: %v", p.Node, err)
		}
		switch {
		case p.Type == "5" || p.Type == "f" || p.Type == "85":
			continue
		case len(p.Type) == 1:
			q.Type = "0" + p.Type
		}
		parts = append(parts, q)
	}
	return table.PartitionTable.Label, parts
}

// compare requires Read to see what sfdisk sees.
func compare(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	label, want := readBySfdisk(t, path)
	got, err := Read(f, fi.Size())
	if err != nil || got.Damage != nil {
		t.Fatalf("Read = %+v, %v", got, err)
	}
	if scheme := map[string]Scheme{"dos": MBR, "gpt": GPT}[label]; got.Scheme != scheme {
		t.Errorf("scheme %v, sfdisk says %s", got.Scheme, label)
	}
	if g, w := fmt.Sprint(got.Partitions), fmt.Sprint(want); g != w {
		t.Errorf("got\n%s\nsfdisk has\n%s", g, w)
	}
}

// newDisk makes an empty file of 64 MiB.
func newDisk(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "d.img")
	if err := testimg.WriteSparse(path, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 64<<20); err != nil {
		t.Fatal(err)
	}
	return path
}

// Tables that sfdisk made, of random layout, are read as it reads them itself.
func TestReadPeerSfdisk(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk")
	for seed := range uint64(12) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		label, types := "dos", []string{"c", "83", "82", "e", "0b"}
		if seed%3 == 0 {
			label, types = "gpt", []string{linuxGUID, espGUID}
		}
		script := fmt.Sprintf("label: %s\n", label)
		start := int64(2048)
		add := func(num int, sectors int64, typ string) {
			script += fmt.Sprintf("%d: start=%d size=%d type=%s\n", num, start, sectors, typ)
		}
		for num := 1; num <= 3; num++ {
			if rnd.IntN(3) == 0 {
				continue
			}
			sectors := 1 + rnd.Int64N(10000)
			add(num, sectors, types[rnd.IntN(len(types))])
			start += sectors + rnd.Int64N(3)*1000
		}
		if label == "dos" {
			add(4, 131072-start-1, []string{"5", "f", "85"}[rnd.IntN(3)])
			for num := 5; num < 5+rnd.IntN(6); num++ {
				start += 63 + rnd.Int64N(2000)
				sectors := 1 + rnd.Int64N(8000)
				add(num, sectors, types[rnd.IntN(len(types))])
				start += sectors
			}
		}
		path := newDisk(t)
		cmd := exec.Command("sfdisk", "--quiet", path)
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("seed %d: sfdisk: %v\n%s\n%s", seed, err, out, script)
		}
		compare(t, path)
	}
}

// Tables that other tools made.
func TestReadPeers(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk", "sgdisk", "parted")
	for name, args := range map[string][]string{
		"sgdisk":          {"sgdisk", "-n", "1:2048:+8M", "-t", "1:0700", "-n", "7:0:+1M", "-c", "7:a name", "-n", "3:0:0"},
		"sgdisk, entries": {"sgdisk", "-S", "256", "-n", "200:2048:+8M"},
		"sgdisk, hybrid":  {"sgdisk", "-n", "1:2048:+8M", "-t", "1:0700", "-n", "2:0:0", "-h", "1"},
		"sgdisk, moved":   {"sgdisk", "-n", "1:4096:+8M", "-j", "1024"},
		"parted, gpt":     {"parted", "-s", "DISK", "mklabel", "gpt", "mkpart", "boot", "fat32", "1MiB", "9MiB", "mkpart", "root", "ext4", "9MiB", "100%"},
		"parted, msdos": {"parted", "-s", "DISK", "mklabel", "msdos", "mkpart", "primary", "fat32", "1MiB", "9MiB", "mkpart", "extended", "9MiB", "100%",
			"mkpart", "logical", "ext4", "10MiB", "20MiB", "mkpart", "logical", "linux-swap", "21MiB", "30MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			path := newDisk(t)
			hasDisk := false
			for i, arg := range args {
				if arg == "DISK" {
					args[i], hasDisk = path, true
				}
			}
			if !hasDisk {
				args = append(args, path)
			}
			if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", args[0], err, out)
			}
			compare(t, path)
		})
	}
}

// Read agrees with sfdisk on the fixtures with 512-byte sectors.
func TestReadPeerFixtures(t *testing.T) {
	testimg.NeedPeer(t, "sfdisk")
	for _, name := range []string{"mbr", "mbr-gaps", "mbr-logical-5", "mbr-logical-85", "mbr-logical-f", "pinn", "gpt", "hybrid", "ubuntu"} {
		t.Run(name, func(t *testing.T) { compare(t, testimg.FixtureFile(t, name)) })
	}
}
