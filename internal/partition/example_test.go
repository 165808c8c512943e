// SPDX-License-Identifier: GPL-3.0-or-later

package partition_test

import (
	"fmt"
	"log"
	"os"

	"nobodd/internal/partition"
	"nobodd/internal/testimg"
)

// A disk gets twice its size, and its last partition all that is new.
func Example() {
	f, err := os.CreateTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.Remove(f.Name())
	if err := testimg.Unpack("mbr-gaps", f.Name()); err != nil {
		log.Fatal(err)
	}
	const size = 512 << 10

	table, err := partition.Read(f, size)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range table.Partitions {
		fmt.Printf("%s partition %d of type %s: %d bytes at %d\n", table.Scheme, p.Num, p.Type, p.Size, p.Start)
	}

	plan, err := partition.NewPlan(f, size, table, 2*size, 3)
	if err != nil {
		log.Fatal(err)
	}
	if err := plan.Apply(f); err != nil { // until here nothing was written
		log.Fatal(err)
	}
	grown, _ := plan.After.Find(3)
	fmt.Printf("partition 3 has %d bytes now\n", grown.Size)
	// Output:
	// MBR partition 1 of type 0c: 131072 bytes at 32768
	// MBR partition 3 of type 83: 262144 bytes at 196608
	// partition 3 has 851968 bytes now
}
