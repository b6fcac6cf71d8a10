package main

import (
	"fmt"
	"slices"
	"strings"
)

func wantsHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

func help(p process, args []string) int {
	if len(args) == 0 {
		p.print("%s", overview())
		return exitOK
	}
	for _, cmd := range commands() {
		if cmd.name == args[0] {
			p.print("%s", usage(cmd))
			return exitOK
		}
	}
	p.say("wakelatch: there is no command %q\n\n%s", args[0], overview())
	return exitUsage
}

// overview is what the binary does, in a screen.
func overview() string {
	var b strings.Builder
	b.WriteString("wakelatch keeps the claim lifecycle of pull-wake runners in Postgres.\n\nCommands:\n")
	for _, cmd := range commands() {
		fmt.Fprintf(&b, "  %-28s %s\n", strings.TrimSpace(cmd.name+" "+cmd.args), cmd.summary)
	}
	b.WriteString("\nEvery setting is a flag and a variable: --lease 30s is WAKELATCH_LEASE=30s.\n")
	b.WriteString("Settings of a command: wakelatch help COMMAND\n\n")
	b.WriteString("Exit codes: 0 stopped as asked, 1 failed, 2 wrong command or setting, 3 the database's schema is behind,\n4 what was named does not exist, 130 a demo that was interrupted.")
	return b.String()
}

// settingsTable is what the README says of the settings of a node, one row each.
func settingsTable() string {
	var b strings.Builder
	b.WriteString("| Setting | Default | Of | What it does |\n|---|---|---|---|\n")
	for _, s := range settings() {
		var of []string
		for _, cmd := range commands() {
			if s.in&cmd.kind != 0 && cmd.kind&forNodes != 0 {
				of = append(of, cmd.name)
			}
		}
		if len(of) == 0 {
			continue
		}
		value, fallback := s.kind, s.fallback
		if value != "" {
			value = " " + value
		}
		if fallback != "" {
			fallback = "`" + fallback + "`"
		}
		help, _, _ := strings.Cut(s.help, " (default")
		if _, text, ok := strings.Cut(s.help, "(default: "); ok {
			fallback = strings.TrimSuffix(text, ")")
		}
		fmt.Fprintf(&b, "| `--%s%s` | %s | %s | %s |\n", s.name, strings.ReplaceAll(value, "|", "\\|"), fallback, strings.Join(of, ", "), help)
	}
	return b.String()
}

// usage is one command's help, made from the table of settings.
func usage(cmd command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "wakelatch %s: %s.\n", cmd.name, cmd.summary)
	if cmd.details != "" {
		fmt.Fprintf(&b, "%s\n", cmd.details)
	}
	mine := slices.DeleteFunc(settings(), func(s setting) bool { return s.in&cmd.kind == 0 })
	line := "wakelatch " + cmd.name
	if len(mine) > 0 {
		line += " [flags]"
	}
	fmt.Fprintf(&b, "\nUsage: %s\n", strings.TrimSpace(line+" "+cmd.args))
	if len(mine) == 0 {
		return strings.TrimSpace(b.String())
	}
	b.WriteString("\nFlags:\n")
	for _, s := range mine {
		fmt.Fprintf(&b, "  --%s %s\n      %s", s.name, s.kind, s.help)
		if s.fallback != "" {
			fmt.Fprintf(&b, " (default %s)", s.fallback)
		}
		fmt.Fprintf(&b, "\n      %s\n", s.variable())
	}
	return strings.TrimSpace(b.String())
}
