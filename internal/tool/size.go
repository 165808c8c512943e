// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"math/big"
	"regexp"
	"strings"

	"github.com/dustin/go-humanize"
)

var sizeForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:([KkMmGgTt])(?:[Ii]?[Bb])?)?$`)

// ParseSize reads a size of the command line (16GB, 1.5G, 512) in bytes; all suffixes
// are powers of 1024, a part of a byte counts as a whole one. Anything else is a
// UsageError.
func ParseSize(s string) (int64, error) {
	m := sizeForm.FindStringSubmatch(s)
	if m == nil || len(s) > 64 {
		return 0, Usagef("invalid size '%s' (a size is a number with K, M, G or T, like 16GB)", s)
	}
	n, _ := new(big.Rat).SetString(m[1])
	n.Mul(n, new(big.Rat).SetInt64(sizeUnit(strings.ToUpper(m[2]))))
	rest := new(big.Int)
	whole, _ := new(big.Int).DivMod(n.Num(), n.Denom(), rest)
	if rest.Sign() > 0 {
		whole.Add(whole, big.NewInt(1))
	}
	if !whole.IsInt64() {
		return 0, Usagef("invalid size '%s': too large", s)
	}
	return whole.Int64(), nil
}

func sizeUnit(suffix string) int64 {
	switch suffix {
	case "K":
		return humanize.KiByte
	case "M":
		return humanize.MiByte
	case "G":
		return humanize.GiByte
	case "T":
		return humanize.TiByte
	}
	return 1
}
