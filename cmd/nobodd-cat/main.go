// SPDX-License-Identifier: GPL-3.0-or-later

// Command nobodd-cat writes files one after another to standard output, or into a
// file of this machine or of a disk image.
package main

import (
	"io"
	"os"

	"github.com/urfave/cli/v2"

	"nobodd/internal/tool"
	"nobodd/internal/tree"
)

func main() { tool.Main(app()) }

func app() *cli.App {
	return &cli.App{
		Name:      "nobodd-cat",
		Usage:     "write files, of this machine or inside disk images, one after another",
		UsageText: "nobodd-cat [-o ADDRESS] [ADDRESS]...",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"},
				Usage: "replace the file at `ADDRESS` once all input was read"},
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "show no progress on a terminal"},
			&cli.BoolFlag{Name: "force", Aliases: []string{"f"}, Usage: "write to a file system in use too"},
			&cli.BoolFlag{Name: "no-sync", Usage: "leave it to the kernel when the data gets to the disk"},
			&cli.BoolFlag{Name: "in-place", Usage: "free the old file first if the new one does not fit beside it"},
		},
		Description: `Without an ADDRESS, or where it is -, standard input is read. IMAGE:N:/PATH is a
place in partition N of a disk image, IMAGE:/PATH one in its boot partition.`,
		Action: run,
	}
}

func run(c *cli.Context) error {
	operands := c.Args().Slice()
	if len(operands) == 0 {
		operands = []string{"-"}
	}
	env := tool.EnvOf(c)
	if !c.IsSet("output") && tool.IsTerminal(os.Stdout) { // progress would stand between the lines
		env = env.Quiet()
	}
	in := &input{
		env:    env,
		report: func(err error) { tool.Report(c, err) },
		direct: !c.IsSet("output"),
	}
	out := stdout{c.App.Writer}
	if in.direct {
		return in.copy(operands, out)
	}
	to, err := tree.Parse(c.String("output"))
	if err != nil {
		return err
	}
	in.output = to
	spool := &tree.Spool{Dest: to}
	defer spool.Close()
	if err := in.spool(operands, spool); err != nil {
		return err
	}
	if isStdout(to) {
		_, err := io.Copy(out, spool.Open())
		return err
	}
	return tree.Write(in.env, tree.CopyOptions{
		Force:   c.Bool("force"),
		NoSync:  c.Bool("no-sync"),
		InPlace: c.Bool("in-place"),
	}, spool)
}

// spool reads all the operands, none of which may fail.
func (in *input) spool(operands []string, spool *tree.Spool) error {
	if err := in.copy(operands, spool); err != nil {
		return err
	}
	if in.failed {
		return tool.Status(tool.ExitFail)
	}
	return nil
}
