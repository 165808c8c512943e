// SPDX-License-Identifier: GPL-3.0-or-later

package fat_test

import (
	"fmt"
	"io"
	"io/fs"
	"log"
	"strings"
	"time"

	"nobodd/internal/fat"
	"nobodd/internal/testimg"
)

// A volume is read as any other file system of io/fs, and written by a Tx: what is planned in one
// happens at its Commit, each file whole or not at all.
func Example() {
	disk, err := testimg.Bytes("fat16") // any fat.Device
	if err != nil {
		log.Fatal(err)
	}
	vol, err := fat.Open(testimg.Mem(disk), int64(len(disk)))
	if err != nil {
		log.Fatal(err)
	}
	tx, err := vol.Begin(fat.TxOptions{Now: time.Date(2024, 10, 23, 13, 41, 0, 0, time.UTC)})
	if err != nil {
		log.Fatal(err) // the volume is in use, or cannot be written
	}
	text := "dtoverlay=disable-bt\n"
	if err := tx.WriteFile("config.txt", fat.Source{
		Size: int64(len(text)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}); err != nil {
		log.Fatal(err) // no such directory, a name that FAT cannot hold, …
	}
	if err := tx.Remove("readme.txt"); err != nil {
		log.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		log.Fatal(err) // no space, an error of the disk, …
	}
	got, err := fs.ReadFile(vol, "CONFIG.TXT")
	fmt.Printf("%s%v\n", got, err)
	_, err = vol.Stat("readme.txt")
	fmt.Println(err)
	// Output:
	// dtoverlay=disable-bt
	// <nil>
	// stat readme.txt: no such file or directory
}
