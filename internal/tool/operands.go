// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import "github.com/urfave/cli/v2"

// SourcesAndDest returns the operands of a command such as nobodd-cp: SOURCE... DEST, or those
// of -t DEST (its flag target-directory), or SOURCE DEST alone with -T (no-target-directory).
// Errors are wrong usage.
func SourcesAndDest(c *cli.Context) (sources []string, dest string, err error) {
	args := c.Args().Slice()
	into, exact := c.IsSet("target-directory"), c.Bool("no-target-directory")
	switch {
	case into && exact:
		return nil, "", Usagef("-t and -T exclude each other")
	case len(args) == 0:
		return nil, "", Usagef("missing operand (try --help)")
	case into:
		sources, dest = args, c.String("target-directory")
	case len(args) == 1:
		return nil, "", Usagef("missing destination operand after '%s' (try --help)", args[0])
	case exact && len(args) > 2:
		return nil, "", Usagef("extra operand '%s'", args[2])
	default:
		sources, dest = args[:len(args)-1], args[len(args)-1]
	}
	if dest == "-" {
		return nil, "", Usagef("-: standard output is no destination (nobodd-cat writes to it)")
	}
	return sources, dest, nil
}
