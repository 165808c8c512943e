// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nobodd/internal/fat"
	"nobodd/internal/fatcheck"
	"nobodd/internal/testimg"
)

// model is what a volume should hold, as fatcheck.ReadTree returns it.
type model map[string][]byte

// find returns the path of name as the model spells it; "" if it is not there.
func (m model) find(name string) string {
	for p := range m {
		if strings.EqualFold(strings.TrimSuffix(p, "/"), name) {
			return p
		}
	}
	return ""
}

// spell returns name with its directories as the model spells them; ok is false if one is not there.
func (m model) spell(name string) (string, bool) {
	dir, base := path.Split(name)
	if dir == "" {
		return base, true
	}
	p := m.find(strings.TrimSuffix(dir, "/"))
	return p + base, strings.HasSuffix(p, "/")
}

// choices turns the bytes of a fuzzer, or of a seed, into numbers. It ends when they do.
type choices struct{ data []byte }

func (c *choices) n(max int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	if max > 256 && len(c.data) > 0 {
		b = b<<8 | int(c.data[0])
		c.data = c.data[1:]
	}
	return b % max
}

var modelNames = []string{
	"a", "B.TXT", "b.txt", "Mixed.Case", "lower.TXT", "UPPER.txt", "config.txt", "with space", "a.b.c", ".dot",
	"a name that takes some more than one entry", "a name that takes some more than one Entry, too",
	"überlänge.größe", "日本語", "\U0001F600 smile", "+plus[1]", strings.Repeat("long ", 50) + "end", "Straße", "STRAßE",
	"nine4567.9", "12345678.123", "0123456789012", "01234567890123", strings.Repeat("x", 26), strings.Repeat("y", 255),
}

func (c *choices) name(depth int) string {
	name := modelNames[c.n(len(modelNames))]
	if depth > 0 && c.n(3) == 0 {
		return c.name(depth-1) + "/" + name
	}
	return name
}

// existing returns the path of something in the model, the same for the same choices.
func (c *choices) existing(m model) string {
	if len(m) == 0 {
		return "nothing"
	}
	p := slices.Sorted(maps.Keys(m))[c.n(len(m))]
	p = strings.TrimSuffix(p, "/")
	if c.n(4) == 0 {
		p = strings.ToUpper(p)
	}
	return p
}

// step plans the changes of one Tx and makes them in m.
func (c *choices) step(t *testing.T, tx *fat.Tx, m model) error {
	touched := map[string]bool{}
	for range 1 + c.n(4) {
		var name string
		if c.n(2) == 0 {
			name = c.existing(m)
		} else {
			name = c.name(2)
		}
		key := strings.ToUpper(name)
		if touched[key] {
			continue
		}
		touched[key] = true
		switch kind := c.n(10); kind {
		case 8, 9:
			if len(touched) == 1 { // a Tx of its own
				c.rename(t, tx, m, name, c.name(2))
				return nil
			}
		case 0, 1:
			if len(touched) == 1 { // a Tx of its own
				return c.remove(t, tx, m, name, kind == 1)
			}
		case 2, 3:
			c.mkdir(t, tx, m, name)
		default:
			c.write(t, tx, m, name)
		}
	}
	return nil
}

// agree compares whether a plan was accepted with what the model says.
func agree(t *testing.T, what, name string, err error, ok bool) {
	t.Helper()
	if (err == nil) != ok {
		t.Errorf("%s %q: %v, the model has %v", what, name, err, ok)
	}
}

func (c *choices) write(t *testing.T, tx *fat.Tx, m model, name string) {
	sizes := []int{0, 1, 511, 512, 513, 2048, 5000, 20000, 60000}
	data := pattern(sizes[c.n(len(sizes))], byte(c.n(256)))
	err := tx.WriteFile(name, source(data))
	full, ok := m.spell(name)
	old := m.find(name)
	if old != "" {
		full, ok = old, !strings.HasSuffix(old, "/")
	}
	agree(t, "write", name, err, ok)
	if err == nil {
		m[full] = data
	}
}

func (c *choices) mkdir(t *testing.T, tx *fat.Tx, m model, name string) {
	err := tx.Mkdir(name, now)
	full, ok := m.spell(name)
	old := m.find(name)
	if old != "" {
		ok = strings.HasSuffix(old, "/")
	}
	agree(t, "mkdir", name, err, ok)
	if err == nil && old == "" {
		m[full+"/"] = nil
	}
}

func (c *choices) rename(t *testing.T, tx *fat.Tx, m model, name, to string) {
	if c.n(3) == 0 {
		to = c.existing(m)
	}
	err := tx.Rename(name, to, func(err error) {
		if err != nil {
			t.Errorf("rename %q to %q: %v", name, to, err)
		}
	})
	from, target := strings.TrimSuffix(m.find(name), "/"), m.find(to)
	full, ok := m.spell(to)
	isDir := strings.HasSuffix(m.find(name), "/")
	switch {
	case from == "":
		ok = false
	case target == m.find(name): // another spelling
	case target != "":
		full = strings.TrimSuffix(target, "/")
		ok = strings.HasSuffix(target, "/") == isDir && len(below(m, full)) == 1
	}
	if isDir && (full == from || strings.HasPrefix(full, from+"/")) && target != m.find(name) {
		ok = false
	}
	agree(t, "rename "+name, to, err, ok)
	if err == nil {
		move{from: from, to: full}.want(m)
	}
}

func (c *choices) remove(t *testing.T, tx *fat.Tx, m model, name string, all bool) error {
	old := m.find(name)
	empty := true
	for p := range m {
		empty = empty && !(strings.HasSuffix(old, "/") && strings.HasPrefix(p, old) && p != old)
	}
	err := tx.Remove(name)
	if all && err != nil {
		err = tx.RemoveAll(name)
	}
	agree(t, "remove", name, err, old != "" && (all || empty))
	if err == nil {
		dropTree(m, strings.TrimSuffix(old, "/"))
	}
	return nil
}

// play makes random changes to the fixture, some of them cut, and has step compare the volume with the model after
// each.
func play(t *testing.T, fixture string, c *choices, steps int, step func(t *testing.T, dev *testimg.Paged, m model, clean bool)) {
	dev := testimg.NewPaged(testimg.Fixture(t, fixture))
	tree, err := fatcheck.ReadTree(dev, dev.Size())
	if err != nil {
		t.Fatal(err)
	}
	m, clean := model(tree), true
	for i := 0; i < steps && len(c.data) > 0 && !t.Failed(); i++ {
		before, next := maps.Clone(m), maps.Clone(m)
		rec := testimg.Record(dev)
		opt := fat.TxOptions{NoSync: true, InPlace: c.n(4) == 0}
		cut := c.n(8) == 0 && !opt.InPlace
		err := change(rec, dev.Size(), opt, func(tx *fat.Tx) error { return c.step(t, tx, next) })
		switch {
		case errors.As(err, new(*fat.NoSpaceError)) || err != nil && strings.Contains(err.Error(), "directory is full: "):
			next = m
			if rec.Len() > 0 {
				t.Errorf("step %d: %v, but something was written", i, err)
			}
		case err != nil:
			t.Fatalf("step %d: %v", i, err)
		}
		if cut && rec.Len() > 0 {
			n := c.n(rec.Len() + 1)
			dev = rec.After(n)
			if err := judge(dev, before, next); err != nil {
				t.Errorf("step %d, cut after %d of %d writes: %v", i, n, rec.Len(), err)
			}
			if m, err = fatcheck.ReadTree(dev, dev.Size()); err != nil {
				t.Fatal(err)
			}
			clean = clean && n == rec.Len()
			continue
		}
		m, dev = next, rec.Paged
		step(t, dev, m, clean)
	}
}

// judgeModel is the judgement of the readers in Go.
func judgeModel(t *testing.T, dev *testimg.Paged, m model, clean bool) {
	t.Helper()
	if clean {
		checkDevice(t, dev, m)
	} else if err := judge(dev, m, m); err != nil {
		t.Error(err)
	}
	got, err := readTree(mustOpenDevice(t, dev))
	if err != nil {
		t.Fatal(err)
	}
	diffTrees(t, got, m)
}

func randomBytes(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

var modelVolumes = []string{"fat12", "fat12-s128", "fat16", "fat32", "fat32-one", "fat32-active", "fat32-4k", "names"}

func TestModel(t *testing.T) {
	for seed := range uint64(3) {
		for _, name := range modelVolumes {
			t.Run(fmt.Sprintf("%s-%d", name, seed), func(t *testing.T) {
				play(t, name, &choices{randomBytes(seed, 4000)}, 40, judgeModel)
			})
		}
	}
}

// The same with mtools and fsck.vfat as judges of every step.
func TestModelPeers(t *testing.T) {
	testimg.NeedPeer(t, "fsck.vfat", "mcopy")
	for _, name := range []string{"fat12", "fat16", "fat32"} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "disk.img")
			play(t, name, &choices{randomBytes(99, 4000)}, 25, func(t *testing.T, dev *testimg.Paged, m model, clean bool) {
				if err := os.WriteFile(file, dev.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
				if err := fsck(file, clean); err != nil {
					t.Error(err)
				}
				if len(m) > 0 && name != "fat32" { // mtools refuses a FAT32 volume of few clusters
					compareMtools(t, file, mtoolsNames(m))
				}
			})
		})
	}
}

// mtoolsNames returns the names that mtools has for those of m: of a character beyond 16 bits it makes two.
func mtoolsNames(m model) map[string][]byte {
	names := map[string][]byte{}
	for p, data := range m {
		names[strings.ReplaceAll(p, "\U0001F600", "__")] = data
	}
	return names
}

func FuzzModel(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(byte(seed), randomBytes(seed+100, 400))
	}
	f.Fuzz(func(t *testing.T, volume byte, data []byte) {
		small := []string{"fat12", "fat32-one", "names"}
		play(t, small[int(volume)%len(small)], &choices{data}, 12, judgeModel)
	})
}
