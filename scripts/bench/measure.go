// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"nobodd/internal/testimg"
)

// cost is what one run of a program took.
type cost struct {
	Wall time.Duration
	RSS  int64 // peak, in KiB
}

// program is a command to measure.
type program struct {
	args []string
	pipe bool                          // read its output through a pipe; else it goes to /dev/null
	prep func() error                  // runs before each measurement, untimed; may be nil
	then func(round int, c cost) error // runs after each measurement, untimed; may be nil
}

// turns runs the programs in turns, after one round that does not count, and returns the
// median of each.
func (b *bench) turns(programs ...program) ([]cost, error) {
	costs := make([][]cost, len(programs))
	for round := range b.rounds + 1 {
		for i, p := range programs {
			c, err := b.turn(p, round)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				costs[i] = append(costs[i], c)
			}
		}
	}
	medians := make([]cost, len(programs))
	for i, list := range costs {
		medians[i] = median(list)
	}
	return medians, nil
}

// turn is one program's turn in a round.
func (b *bench) turn(p program, round int) (cost, error) {
	if p.prep != nil {
		if err := p.prep(); err != nil {
			return cost{}, err
		}
	}
	c, err := b.measure(p)
	if err == nil && p.then != nil {
		err = p.then(round, c)
	}
	return c, err
}

// median returns the median time and the highest memory.
func median(list []cost) cost {
	slices.SortFunc(list, func(a, b cost) int { return int(a.Wall - b.Wall) })
	m := cost{Wall: list[len(list)/2].Wall}
	for _, c := range list {
		m.RSS = max(m.RSS, c.RSS)
	}
	return m
}

func (c cost) ms() float64  { return float64(c.Wall.Microseconds()) / 1000 }
func (c cost) mib() float64 { return float64(c.RSS) / 1024 }

// measure runs p once. It does so from a small process of its own: the kernel counts the
// memory of the process that starts a program as the program's until it is loaded.
func (b *bench) measure(p program) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	mode := "null"
	if p.pipe {
		mode = "pipe"
	}
	cmd := exec.Command(self, append([]string{"-measure", mode}, p.args...)...)
	cmd.Dir = b.tmp
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", strings.Join(p.args, " "), err)
	}
	var c cost
	return c, json.Unmarshal(out, &c)
}

// measureMain is that process: mode, then the command.
func measureMain(args []string) {
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Stderr = os.Stderr
	start := time.Now()
	var err error
	if args[0] == "pipe" {
		err = runPiped(cmd)
	} else {
		err = cmd.Run()
	}
	c := cost{Wall: time.Since(start)}
	if err != nil {
		fatal(fmt.Errorf("%s: %w", args[1], err))
	}
	c.RSS = cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
	if err := json.NewEncoder(os.Stdout).Encode(c); err != nil {
		fatal(err)
	}
}

// runPiped runs a command and reads its output through a pipe.
func runPiped(cmd *exec.Cmd) error {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, struct{ io.Reader }{out})
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	return err
}

// tool returns the command line of one of our commands.
func (b *bench) tool(name string, args ...string) []string {
	return append([]string{filepath.Join(b.bin, name)}, args...)
}

// do runs a command that is not measured, in the directory of the images.
func (b *bench) do(args ...string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = b.tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// lacks reports whether a program is missing, and says so in the table.
func (b *bench) lacks(what string, names ...string) bool {
	absent := testimg.Absent(names...)
	if len(absent) > 0 {
		b.skip(what, absent)
	}
	return len(absent) > 0
}

func (b *bench) path(name string) string { return filepath.Join(b.tmp, name) }
