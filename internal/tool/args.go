// SPDX-License-Identifier: GPL-3.0-or-later

package tool

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

func init() {
	cli.VersionFlag = &cli.BoolFlag{Name: "version", Usage: "print the version and exit"}
	cli.VersionPrinter = printVersion
	cli.HelpPrinter = printHelp
}

// helpFlag returns the flag for help of a command with the given flags. It is -h as well,
// unless one of those is.
func helpFlag(flags []cli.Flag) cli.Flag {
	f := &cli.BoolFlag{Name: "help", Usage: "print this help and exit"}
	if lookupShort(flags, "h") == nil {
		f.Aliases = []string{"h"}
	}
	return f
}

// sortArgs puts the options before the operands, each under the first name of its
// flag, one argument each, as the library wants them. It reads them as getopt_long
// does: bundles, attached values, abbreviated long options, "--". --help and
// --version end the reading and stand alone in the result.
func (r *run) sortArgs(flags []cli.Flag, args []string) ([]string, error) {
	var options, operands []string
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		var given []option
		var err error
		switch {
		case arg == "--":
			operands = append(operands, args...)
			args = nil
		case strings.HasPrefix(arg, "--"):
			given, args, err = longOption(flags, arg[2:], args)
		case strings.HasPrefix(arg, "-") && arg != "-":
			given, args, err = shortOptions(flags, arg[1:], args)
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
		for _, o := range given {
			if o.name == "help" || o.name == "version" {
				return []string{"--" + o.name}, nil
			}
			r.given = append(r.given, o.name)
			options = append(options, o.arg())
		}
	}
	return slices.Concat(options, []string{"--"}, operands), nil
}

// option is an option as it was given.
type option struct {
	name     string // the first name of its flag
	value    string
	hasValue bool
}

func (o option) arg() string {
	if o.hasValue {
		return "--" + o.name + "=" + o.value
	}
	return "--" + o.name // the library takes two dashes before a letter, too
}

func longOption(flags []cli.Flag, text string, rest []string) ([]option, []string, error) {
	name, value, attached := strings.Cut(text, "=")
	f, full, err := lookupLong(flags, name)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case attached && !takesValue(f):
		return nil, nil, Usagef("option --%s takes no value", full)
	case !attached && takesValue(f):
		if len(rest) == 0 {
			return nil, nil, Usagef("option --%s needs a value", full)
		}
		value, rest = rest[0], rest[1:]
	}
	return []option{{f.Names()[0], value, takesValue(f)}}, rest, nil
}

func shortOptions(flags []cli.Flag, bundle string, rest []string) ([]option, []string, error) {
	var given []option
	for bundle != "" {
		_, size := utf8.DecodeRuneInString(bundle)
		name := bundle[:size]
		bundle = bundle[size:]
		f := lookupShort(flags, name)
		switch {
		case f == nil:
			return nil, nil, Usagef("unknown option -%s (try --help)", name)
		case !takesValue(f):
			given = append(given, option{name: f.Names()[0]})
			continue
		case bundle == "" && len(rest) == 0:
			return nil, nil, Usagef("option -%s needs a value", name)
		case bundle == "":
			bundle, rest = rest[0], rest[1:]
		}
		return append(given, option{f.Names()[0], bundle, true}), rest, nil
	}
	return given, rest, nil
}

func lookupShort(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// lookupLong finds a flag by its long name or by the beginning of it, if that can be
// no other's.
func lookupLong(flags []cli.Flag, name string) (f cli.Flag, full string, err error) {
	var found []string
	for _, candidate := range flags {
		for _, n := range candidate.Names() {
			if len(n) == 1 || !strings.HasPrefix(n, name) {
				continue
			}
			if n == name {
				return candidate, n, nil
			}
			found = append(found, "--"+n)
			f, full = candidate, n
		}
	}
	switch len(found) {
	case 0:
		return nil, "", Usagef("unknown option --%s (try --help)", name)
	case 1:
		return f, full, nil
	}
	return nil, "", Usagef("option --%s is ambiguous (%s)", name, strings.Join(found, ", "))
}

func takesValue(f cli.Flag) bool { return f.(cli.DocGenerationFlag).TakesValue() }
