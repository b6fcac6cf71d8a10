package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// parse reads a command's settings: the flag before the variable, the variable before the default. Every
// bad one is reported, by name, in one error.
func parse(cmd command, args []string, getenv func(string) (string, bool)) (config, []string, error) {
	var c config
	var wrong []error
	flags := flag.NewFlagSet(cmd.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	given := map[string]string{}
	for _, s := range settings() {
		if s.in&cmd.kind == 0 {
			continue
		}
		keep := func(text string) error { given[s.name] = text; return nil }
		if s.kind == "" {
			flags.BoolFunc(s.name, s.help, keep)
			continue
		}
		flags.Func(s.name, s.help, keep)
	}
	own, program := cutProgram(args)
	rest, unknown := parseAll(flags, own)
	rest = append(rest, program...)
	wrong = append(wrong, unknown...)
	for _, s := range settings() {
		if s.in&cmd.kind == 0 {
			continue
		}
		text, source := s.fallback, ""
		if fromEnv, ok := getenv(s.variable()); ok && fromEnv != "" {
			text, source = fromEnv, s.variable()
		}
		if fromFlag, ok := given[s.name]; ok {
			text, source = fromFlag, "--"+s.name
		}
		if err := s.set(&c, text); err != nil {
			if source == "" {
				source = "--" + s.name + " or " + s.variable()
			}
			wrong = append(wrong, fmt.Errorf("%s %w", source, err))
		}
	}
	// What stands behind a flag that nobody knows may be its value.
	if cmd.args == "" && len(rest) > 0 && len(wrong) == 0 {
		wrong = append(wrong, fmt.Errorf("%q is no flag; flags begin with --", rest[0]))
	}
	wrong = append(wrong, relations(cmd, c)...)
	if len(wrong) > 0 {
		return config{}, nil, &usageError{joined(wrong)}
	}
	return c, rest, nil
}

// cutProgram parts what is ours from what stands behind the first "--", which is another program's, flags and all.
func cutProgram(args []string) (own, program []string) {
	if i := slices.Index(args, "--"); i >= 0 {
		return args[:i], args[i+1:]
	}
	return args, nil
}

// parseAll reads every flag, also behind one that is wrong and behind arguments, where package flag alone would
// stop and make the rest look as if it had not been given.
func parseAll(flags *flag.FlagSet, args []string) (rest []string, wrong []error) {
	for len(args) > 0 {
		err := flags.Parse(args)
		left := flags.Args()
		switch {
		case err != nil:
			wrong = append(wrong, err)
			// A malformed flag is left where it is: all that went before it parses.
			if read := args[:len(args)-len(left)]; flags.Parse(read) == nil {
				left = left[1:]
			}
		case len(left) > 0:
			rest, left = append(rest, left[0]), left[1:]
		}
		args = left
	}
	return rest, wrong
}

// relations are what settings must be to each other.
func relations(cmd command, c config) []error {
	var wrong []error
	if cmd.kind&forNodes == 0 {
		return nil
	}
	if c.sweep > 0 && c.lease > 0 && c.sweep > c.lease {
		wrong = append(wrong, errors.New("--sweep-interval must not be longer than --lease, or ended leases are found too late"))
	}
	if c.backoff > 0 && c.backoffMax > 0 && c.backoff > c.backoffMax {
		wrong = append(wrong, errors.New("--backoff must not be longer than --backoff-max"))
	}
	if c.access.auth != "keys" && c.listen != "" && !c.insecureRemote && !loopback(c.listen) {
		wrong = append(wrong, errors.New("--listen is reached by other machines, and without authentication every one of them may do everything; "+
			"listen on 127.0.0.1, ask for keys with --auth=keys, or say --insecure-allow-remote if the network is closed"))
	}
	if cmd.kind == forServe && c.publicURL == "" && everyAddress(c.listen) {
		wrong = append(wrong, fmt.Errorf("--public-url must be set: --listen %s stands for every address of this machine, and runners "+
			"elsewhere could not call back; give the balancer's URL or this node's", c.listen))
	}
	return append(wrong, accessRelations(c)...)
}

func accessRelations(c config) []error {
	var wrong []error
	if c.access.requestTimeout > 0 && c.access.requestTimeout <= c.rideOut {
		wrong = append(wrong, errors.New("--request-timeout must be longer than --ride-out, or a request ends before the outage that it rides out"))
	}
	return wrong
}

// everyAddress says whether the address is none that anybody could be sent to.
func everyAddress(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "" || (err == nil && addr.IsUnspecified())
}

// loopback says whether only this machine reaches the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && addr.IsLoopback())
}

// joined is one error of many, a line each when there is more than one.
func joined(all []error) error {
	if len(all) == 1 {
		return all[0]
	}
	lines := []string{strconv.Itoa(len(all)) + " settings are wrong:"}
	for _, err := range all {
		lines = append(lines, err.Error())
	}
	return errors.New(strings.Join(lines, "\n  "))
}
