// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"nobodd/internal/partition"
	"nobodd/internal/testimg"
)

// What use writes: blocks in a part of the disk where nothing else is.
const (
	blockSize  = 64 << 10
	blockCount = 256
	firstBlock = 1 << 30 // bytes
)

func attach(server, export string) (*testimg.NBD, error) {
	conn, err := net.Dial("tcp", net.JoinHostPort(server, "10809"))
	if err != nil {
		return nil, err
	}
	return testimg.NewNBD(conn, export)
}

// block returns what block n of the export holds after a round.
func block(export string, round, n int) []byte {
	seed := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", export, round, n))
	p := make([]byte, blockSize)
	rand.NewChaCha8(seed).Read(p)
	return p
}

// use works with a disk until SIGTERM. Its last round is 0, which verify knows.
func use(server, export string) error {
	disk, err := attach(server, export)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	fmt.Printf("%s: attached, %d bytes\n", export, disk.Size)
	rounds := 1
	for ; ctx.Err() == nil; rounds++ {
		if err := useRound(disk, export, rounds); err != nil {
			return err
		}
	}
	if err := useRound(disk, export, 0); err != nil {
		return err
	}
	fmt.Printf("%s: %d times %d MiB written, flushed and read back\n", export, rounds, blockCount*blockSize>>20)
	return disk.Close()
}

func useRound(disk *testimg.NBD, export string, round int) error {
	for n := range blockCount {
		if _, err := disk.WriteAt(block(export, round, n), firstBlock+int64(n)*blockSize); err != nil {
			return fmt.Errorf("%s: %w", export, err)
		}
	}
	if err := disk.Flush(); err != nil {
		return fmt.Errorf("%s: %w", export, err)
	}
	return compare(disk, export, round)
}

func compare(disk *testimg.NBD, export string, round int) error {
	p := make([]byte, blockSize)
	for n := range blockCount {
		if _, err := disk.ReadAt(p, firstBlock+int64(n)*blockSize); err != nil {
			return fmt.Errorf("%s: %w", export, err)
		}
		if !bytes.Equal(p, block(export, round, n)) {
			return fmt.Errorf("%s: block %d is not what was written to it", export, n)
		}
	}
	return nil
}

// verify looks for what the last round of use has written.
func verify(server, export string) error {
	disk, err := attach(server, export)
	if err != nil {
		return err
	}
	if err := compare(disk, export, 0); err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes, and all that was written is there\n", export, disk.Size)
	return disk.Close()
}

// upgrade replaces a file in the boot partition as the system on a board does: in blocks of
// the disk, behind the server's back.
func upgrade(server, export, name, file string) error {
	disk, err := attach(server, export)
	if err != nil {
		return err
	}
	table, err := partition.Read(disk, disk.Size)
	if err != nil {
		return err
	}
	if len(table.Partitions) == 0 {
		return fmt.Errorf("%s: no partitions", export)
	}
	boot := table.Partitions[0]
	old := make([]byte, boot.Size)
	for off := 0; off < len(old); off += blockSize {
		if _, err := disk.ReadAt(old[off:min(off+blockSize, len(old))], boot.Start+int64(off)); err != nil {
			return err
		}
	}
	changed, err := replace(old, name, file)
	if err != nil {
		return err
	}
	for off := 0; off < len(old); off += 4096 {
		end := min(off+4096, len(old))
		if bytes.Equal(old[off:end], changed[off:end]) {
			continue
		}
		if _, err := disk.WriteAt(changed[off:end], boot.Start+int64(off)); err != nil {
			return err
		}
	}
	if err := disk.Flush(); err != nil {
		return err
	}
	return disk.Close()
}

// replace returns the FAT file system in volume with file as name in its root.
func replace(volume []byte, name, file string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "path")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	image := filepath.Join(dir, "boot.vfat")
	if err := os.WriteFile(image, volume, 0o600); err != nil {
		return nil, err
	}
	out, err := exec.Command("nobodd-cp", file, image+":0:/"+name).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("nobodd-cp: %w\n%s", err, out)
	}
	f, err := os.Open(image)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
