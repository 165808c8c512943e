// SPDX-License-Identifier: GPL-3.0-or-later

package bootd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"nobodd/internal/addr"
	"nobodd/internal/config"
	"nobodd/internal/testimg"
)

// TestUnchanged: every change of the entry or the chain but the date of last access is noticed, in the
// image that was opened.
func TestUnchanged(t *testing.T) {
	const name = "config.txt"
	raw := testimg.Fixture(t, "fat16")
	entry := bytes.Index(raw, []byte("CONFIG  TXT"))
	if entry < 0 {
		t.Fatal("no config.txt in the image")
	}
	replace := func(t *testing.T, path string) {
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		if err := testimg.Unpack("ubuntu", path); err != nil {
			t.Fatal(err)
		}
	}
	type change struct {
		name string
		do   func(t *testing.T, path string)
		want error
	}
	changes := []change{
		{"nothing", func(*testing.T, string) {}, nil},
		{"another image of its name", replace, nil},
		{"the image is removed", func(t *testing.T, path string) { os.Remove(path) }, nil},
		{"the entry is deleted", poke(entry, 0xe5), errChanged},
		{"it is a directory", poke(entry+11, 0x10), errChanged},
		{"the boot sector is gone", poke(0, make([]byte, 512)...), errChanged},
		{"the root directory is damaged", poke(11, 0, 0), errChanged},
	}
	for off := 11; off < 32; off++ {
		c := change{fmt.Sprintf("byte %d of the entry", off), poke(entry+off, raw[entry+off]^0x20), errChanged}
		if off == 18 || off == 19 {
			c.want = nil // of the date of last access
		}
		changes = append(changes, c)
	}
	for _, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.img")
			if err := os.WriteFile(path, raw, 0o666); err != nil {
				t.Fatal(err)
			}
			f, err := openFile(config.Board{Image: path, Partition: addr.Boot}, name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tt.do(t, path)
			if err := f.Unchanged(); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// poke overwrites bytes of an image.
func poke(off int, b ...byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(b, int64(off)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnchangedChain: the same entry over other clusters.
func TestUnchangedChain(t *testing.T) {
	path, tree := ubuntu(t)
	f, err := openFile(config.Board{Image: path, Partition: addr.Boot}, "initrd.img")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Unchanged(); err != nil {
		t.Fatal(err)
	}
	swapClusters(t, path, bytes.Clone(tree["initrd.img"][:64]))
	if err := f.Unchanged(); !errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
}

// swapClusters moves the second cluster of the file that begins with start, in the FAT32 boot partition of the
// image, to the last one of the volume. What they hold stays.
func swapClusters(t *testing.T, path string, start []byte) {
	t.Helper()
	at := bootOffset(t, path)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	vol := raw[at:]
	le := binary.LittleEndian
	sector := int64(le.Uint16(vol[11:]))
	cluster := sector * int64(vol[13])
	table := sector * int64(le.Uint16(vol[14:]))
	data := table + int64(vol[16])*sector*int64(le.Uint32(vol[36:]))
	found := int64(bytes.Index(vol[data:], start))
	first, last := found/cluster+2, (int64(le.Uint32(vol[32:]))*sector-data)/cluster+1
	if found < 0 || le.Uint32(vol[table+first*4:]) != uint32(first+1) || le.Uint32(vol[table+last*4:]) != 0 {
		t.Fatalf("the chain of cluster %d is not as this test wants it", first)
	}
	for link, to := range map[int64]int64{first: last, last: first + 2, first + 1: 0} {
		poke(int(at+table+link*4), le.AppendUint32(nil, uint32(to))...)(t, path)
	}
}

// TestUnreadable: a device that fails is no change.
func TestUnreadable(t *testing.T) {
	path, _ := ubuntu(t)
	f, err := openFile(config.Board{Image: path, Partition: addr.Boot}, "initrd.img")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	var failed *failure
	if err := f.Unchanged(); !errors.As(err, &failed) || errors.Is(err, errChanged) {
		t.Errorf("got %v", err)
	}
}

// TestChanged: a file that changes while it is sent ends in an ERROR, is logged as changed and never as
// sent; the last block that was read does not go out.
func TestChanged(t *testing.T) {
	for _, size := range []int{0, 700, 1024} { // an empty file, and one whose last block is empty
		d := startWith(t, board("none"), func(config.Board, string) (file, error) {
			return &memory{ReaderAt: zeros{}, size: int64(size), now: errChanged}, nil
		})
		c := d.client(t)
		c.request("x", "octet")
		got, err := c.finish(512)
		if err == nil || err.Error() != "ERROR 0 file changed" || len(got) != size/512*512 {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		d.log.wait(t, 1, "warning: 89025d75: x after ")
		d.log.wait(t, 1, ": it changed while it was sent client=")
		d.log.wait(t, 1, "outcome=changed")
		if bytes.Contains([]byte(d.log.text()), []byte("outcome=sent")) {
			t.Error("the log calls it sent")
		}
	}
}

// TestChangedImage: the same with a file that is written over in the middle of its transfer, and one that is not.
func TestChangedImage(t *testing.T) {
	path, tree := ubuntu(t)
	d := start(t, board(path))
	want := tree["initrd.img"]
	for _, changes := range []bool{true, false} {
		c := d.client(t)
		c.request("initrd.img", "octet", "tsize 0", "blksize 1468")
		c.want(fmt.Sprintf("OACK blksize=1468,tsize=%d", len(want)))
		c.ack(0)
		c.want("DATA 1 of 1468 bytes")
		if changes {
			swapClusters(t, path, bytes.Clone(want[:64]))
		}
		c.ack(1)
		got, err := c.finish1(2, 1468)
		switch {
		case changes && (err == nil || err.Error() != "ERROR 0 file changed"):
			t.Errorf("changed: got %d bytes, %v", len(got), err)
		case !changes && err != nil:
			t.Errorf("unchanged: got %d bytes, %v", len(got), err)
		}
	}
	d.log.wait(t, 1, "outcome=changed")
	d.log.wait(t, 1, "outcome=sent")
}
